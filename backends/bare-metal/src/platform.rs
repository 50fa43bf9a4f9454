//! One machine without an operating system, and the functions on its PCI bus.

use crate::interrupts::{self, Vector};
use core::arch::{asm, x86_64::_rdtsc};
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering::*};
use core::time::Duration;
use embedded_hal::delay::DelayNs;
use igb::regs::Bus;
use igb::ring::{Arena, Domain, Region};
use igb::{Clock, InterruptKind, PciConfig, Platform};
use x86_64::instructions::port::Port;

/// Memory for rings and buffers of all devices.
const DMA_BYTES: usize = 8 << 20;

#[repr(align(4096))]
struct Memory(UnsafeCell<[u8; DMA_BYTES]>);
// SAFETY: only its address is taken here, once, by `Machine::take`.
unsafe impl Sync for Memory {}
static MEMORY: Memory = Memory(UnsafeCell::new([0; DMA_BYTES]));
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The machine: whoever has it may use what [`take`](Self::take) promised. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Machine {
    dma: Arena,
    tsc: Tsc,
}

impl Machine {
    /// Takes the machine, once, and measures its time-stamp counter.
    ///
    /// # Safety
    /// This is ring 0 of a PC with one processor running. Addresses below 4 GiB are mapped to themselves, those of
    /// devices uncached, and no IOMMU stands between a device and memory. Nobody else uses the configuration ports
    /// (0xcf8), channel 2 of the timer chip (0x42) or functions that this driver takes. In an image built for
    /// `x86_64-unknown-none`: interrupts then find no red zone and no vector registers to spoil.
    pub unsafe fn take() -> Option<Self> {
        if TAKEN.swap(true, AcqRel) {
            return None;
        }
        let cpu = NonNull::new(MEMORY.0.get().cast::<u8>())?;
        let region = Region { cpu, iova: cpu.addr().get() as u64, len: DMA_BYTES };
        // SAFETY: nobody else has MEMORY, devices see it at its own address, and it is static.
        let dma = unsafe { Arena::new(region, Domain(0), u64::from(u32::MAX)) }.ok()?;
        Some(Self { dma, tsc: Tsc::measure() })
    }

    /// Time.
    pub fn tsc(&self) -> Tsc {
        self.tsc
    }

    /// Every function on the PCI bus that answers.
    pub fn functions(&self) -> impl Iterator<Item = Function> + use<> {
        let there = |f: &Function| f.read32(0) as u16 != 0xffff;
        let devices = (0..0x1_0000).step_by(8).map(Function).filter(there);
        devices.flat_map(move |Function(first)| (first..first + 8).map(Function).filter(there))
    }

    /// The platform of one function. `None` if its BAR 0 is not memory below 4 GiB.
    pub fn open(&self, function: Function) -> Option<Bare> {
        let base = function.bar(0)?;
        let command = function.read32(0x04) & 0xffff;
        function.write32(0x04, command & !0x2); // what is written next must decode nothing
        function.write32(0x10, u32::MAX);
        let len = (!(function.read32(0x10) & !0xf)).wrapping_add(1);
        function.write32(0x10, base.addr().get() as u32);
        function.write32(0x04, command);
        let (window, dma) = (Window { base, len }, self.dma.clone());
        Some(Bare {
            function,
            window,
            dma,
            tsc: self.tsc,
            vectors: AtomicU16::new(0),
            taken: AtomicU16::new(0),
        })
    }

    /// Starts the local APIC, without which every queue is polled.
    pub fn start_interrupts(&self) {
        interrupts::start();
    }
}

/// A function on the PCI bus; prints as `00:02.0`. Reached by the ports 0xcf8 and 0xcfc: its first 256 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function(u32);

static PORTS: spin::Mutex<(Port<u32>, Port<u32>)> = spin::Mutex::new((Port::new(0xcf8), Port::new(0xcfc)));

impl PciConfig for Function {
    fn read32(&self, offset: u16) -> u32 {
        // SAFETY: the data port after the address port, under the lock.
        self.reach(offset, |data| unsafe { data.read() }).unwrap_or(u32::MAX)
    }
    fn write32(&self, offset: u16, value: u32) {
        // SAFETY: as above.
        self.reach(offset, |data| unsafe { data.write(value) });
    }
}

impl Function {
    fn reach<T>(&self, offset: u16, act: impl FnOnce(&mut Port<u32>) -> T) -> Option<T> {
        let (address, data) = &mut *PORTS.lock();
        // SAFETY: a function exists only where a machine was taken; no interrupt handler takes the lock.
        unsafe { address.write(1 << 31 | self.0 << 8 | u32::from(offset) & 0xfc) };
        (offset <= 0xfc).then(|| act(data))
    }

    /// Where a BAR is, if it is memory that we can reach.
    fn bar(&self, index: u16) -> Option<NonNull<u32>> {
        let low = self.read32(0x10 + 4 * index);
        let high = if low & 0x6 == 0x4 { self.read32(0x14 + 4 * index) } else { 0 };
        let reachable = low & 1 == 0 && high == 0;
        NonNull::new(core::ptr::with_exposed_provenance_mut((low & !0xf) as usize)).filter(|_| reachable)
    }

    /// Offset of the MSI-X capability, its entries and the table's address.
    fn msix(&self) -> Option<(u16, u16, NonNull<u32>)> {
        let mut at = (self.read32(0x34) & 0xfc) as u16;
        for _ in 0..48 {
            let header = self.read32(at);
            if at < 0x40 || header as u8 == 0xff {
                break;
            }
            if header as u8 == 0x11 {
                let table = self.read32(at + 4);
                let bar = self.bar((table & 0x7) as u16)?;
                let place =
                    core::ptr::with_exposed_provenance_mut(bar.addr().get() + (table & !0x7) as usize);
                return Some((at, (header >> 16 & 0x7ff) as u16 + 1, NonNull::new(place)?));
            }
            at = (header >> 8 & 0xfc) as u16;
        }
        None
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.0 >> 8, self.0 >> 3 & 0x1f, self.0 & 0x7)
    }
}
/// BAR 0. Each access is one `mov`: stores are seen in order, and an uncached load ends before later loads begin.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    base: NonNull<u32>,
    len: u32,
}
// SAFETY: a device's address; single accesses, which threads may issue at the same time.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    #[inline]
    fn at(self, offset: u32) -> Option<*mut u32> {
        let inside = offset < self.len && offset.is_multiple_of(4);
        inside.then(|| self.base.as_ptr().wrapping_byte_add(offset as usize))
    }
}

impl Bus for Window {
    #[inline]
    fn read32(&self, offset: u32) -> u32 {
        let Some(at) = self.at(offset) else { return u32::MAX };
        let value;
        // SAFETY: mapped, as `Machine::take` was promised. Not `nomem`: memory accesses stay in order.
        unsafe { asm!("mov {0:e}, [{1}]", out(reg) value, in(reg) at, options(nostack, preserves_flags)) };
        value
    }
    #[inline]
    fn write32(&self, offset: u32, value: u32) {
        let Some(at) = self.at(offset) else { return };
        // SAFETY: as above.
        unsafe { asm!("mov [{1}], {0:e}", in(reg) value, in(reg) at, options(nostack, preserves_flags)) };
    }
}

/// The time-stamp counter, as clock and as delay that spins. Holds the counter's frequency in Hz.
#[derive(Debug, Clone, Copy)]
pub struct Tsc(u64);

impl Tsc {
    /// Counts for 10 ms of the timer chip, which runs at 1,193,182 Hz.
    fn measure() -> Self {
        // Gate on, speaker off; channel 2 counts 11,932 down, then raises its output.
        for (port, value) in [(0x61, 0x01), (0x43, 0xb0), (0x42, 0x9c), (0x42, 0x2e)] {
            // SAFETY: ours, says `Machine::take`.
            unsafe { Port::<u8>::new(port).write(value) };
        }
        let start = Self::count();
        // SAFETY: as above.
        while unsafe { Port::<u8>::new(0x61).read() } & 0x20 == 0 {}
        Self((Self::count() - start) * 100)
    }

    fn count() -> u64 {
        // SAFETY: every x86-64 processor has it.
        unsafe { _rdtsc() }
    }
}

impl Clock for Tsc {
    fn now(&self) -> Duration {
        let nanos = u128::from(Self::count()) * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(nanos as u64)
    }
}

impl DelayNs for Tsc {
    fn delay_ns(&mut self, ns: u32) {
        let end = self.now() + Duration::from_nanos(ns.into());
        while self.now() < end {
            core::hint::spin_loop();
        }
    }
}

/// One function, and the machine around it.
#[derive(Debug)]
pub struct Bare {
    function: Function,
    window: Window,
    dma: Arena,
    tsc: Tsc,
    /// The first vector in the upper byte, how many there are in the lower.
    vectors: AtomicU16,
    /// A bit for each vector that somebody took.
    taken: AtomicU16,
}

impl Platform for Bare {
    type Bus = Window;
    type Dma = Arena;
    type Irq = Vector;
    type Delay = Tsc;
    type Clock = Tsc;
    type Pci = Function;

    fn bus(&self) -> Window {
        self.window
    }
    fn bar_len(&self) -> u64 {
        self.window.len.into()
    }
    fn dma(&self) -> &Arena {
        &self.dma
    }
    fn pci(&self) -> &Function {
        &self.function
    }
    fn delay(&self) -> Tsc {
        self.tsc
    }
    fn clock(&self) -> Tsc {
        self.tsc
    }

    fn enable_interrupts(&self, kind: InterruptKind, vectors: u16) -> Option<u16> {
        let (at, entries, table) = self.function.msix().filter(|_| kind == InterruptKind::MsiX)?;
        let (first, count) = interrupts::allocate(vectors.min(entries))?;
        self.function.write32(0x04, self.function.read32(0x04) & 0xffff | 0x2);
        for n in 0..count {
            let entry = Window { base: table, len: u32::from(entries) * 16 };
            for (word, value) in interrupts::message(first + n).into_iter().enumerate() {
                entry.write32(u32::from(n) * 16 + word as u32 * 4, value);
            }
        }
        self.vectors.store(first << 8 | count, Release);
        self.taken.store(0, Release);
        self.function.write32(at, self.function.read32(at) & 0x3fff_ffff | 1 << 31); // enabled, not masked
        Some(count)
    }
    fn disable_interrupts(&self) {
        if let Some((at, ..)) = self.function.msix() {
            self.function.write32(at, self.function.read32(at) & !(1 << 31));
        }
    }
    fn take_irq(&self, vector: u16) -> Option<Vector> {
        let vectors = self.vectors.load(Acquire);
        let ours = vector < vectors & 0xff && self.taken.fetch_or(1 << vector, AcqRel) & 1 << vector == 0;
        ours.then(|| Vector::new(vectors >> 8 | vector, self.tsc))
    }
}
