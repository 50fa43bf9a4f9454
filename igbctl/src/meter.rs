//! A platform that counts what passes through it: register accesses, doorbells, interrupts. It wraps any other, so that
//! the same figures come from the simulator, from QEMU and from hardware.

use crate::wake::Wake;
use igb::{Device, InterruptKind, PciConfig, Platform, Wait};
use igb_regs::meta::{Place, by_name};
use igb_regs::{Bus, Fault};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What was counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    /// Of the writes, those to a receive tail (RDT).
    pub(crate) rx_doorbells: u64,
    /// Of the writes, those to a transmit tail (TDT).
    pub(crate) tx_doorbells: u64,
    /// Interrupts that a waiting thread took.
    pub(crate) interrupts: u64,
}

impl Counted {
    /// What came after `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            rx_doorbells: self.rx_doorbells - earlier.rx_doorbells,
            tx_doorbells: self.tx_doorbells - earlier.tx_doorbells,
            interrupts: self.interrupts - earlier.interrupts,
        }
    }
}

/// The counters of one device.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
    rx_doorbells: AtomicU64,
    tx_doorbells: AtomicU64,
    interrupts: AtomicU64,
    tails: Option<(&'static Place, &'static Place)>,
}

impl Counts {
    fn new(chip: Option<igb::Chip>) -> Self {
        let tail = |name| by_name(name)?.place(chip?);
        Self { tails: tail("RDT").zip(tail("TDT")), ..Self::default() }
    }

    /// So far.
    pub(crate) fn now(&self) -> Counted {
        Counted {
            reads: self.reads.load(Relaxed),
            writes: self.writes.load(Relaxed),
            rx_doorbells: self.rx_doorbells.load(Relaxed),
            tx_doorbells: self.tx_doorbells.load(Relaxed),
            interrupts: self.interrupts.load(Relaxed),
        }
    }

    fn write(&self, offset: u32) {
        self.writes.fetch_add(1, Relaxed);
        if let Some((rdt, tdt)) = self.tails {
            if rdt.index_of(offset).is_some() {
                self.rx_doorbells.fetch_add(1, Relaxed);
            } else if tdt.index_of(offset).is_some() {
                self.tx_doorbells.fetch_add(1, Relaxed);
            }
        }
    }
}

/// The platform that counts.
#[derive(Debug)]
pub(crate) struct Meter<P> {
    inner: Arc<P>,
    counts: Arc<Counts>,
}

impl<P: Platform> Meter<P> {
    /// Counts what `inner` does from here on.
    pub(crate) fn new(inner: Arc<P>) -> Self {
        let id = (inner.pci().read32(0) >> 16) as u16;
        let counts = Arc::new(Counts::new(Device::from_id(id).map(|device| device.chip)));
        Self { inner, counts }
    }

    /// The counters.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }
}

/// Registers that are counted.
#[derive(Debug, Clone)]
pub(crate) struct MeterBus<B> {
    inner: B,
    counts: Arc<Counts>,
}

impl<B: Bus> Bus for MeterBus<B> {
    #[inline]
    fn read32(&self, offset: u32) -> u32 {
        self.counts.reads.fetch_add(1, Relaxed);
        self.inner.read32(offset)
    }
    #[inline]
    fn write32(&self, offset: u32, value: u32) {
        self.counts.write(offset);
        self.inner.write32(offset, value);
    }
    fn fault(&self) -> Option<Fault> {
        self.inner.fault()
    }
}

/// An interrupt that is counted.
#[derive(Debug)]
pub(crate) struct MeterIrq<I> {
    inner: I,
    counts: Arc<Counts>,
}

impl<I: Wait> Wait for MeterIrq<I> {
    fn wait(&mut self, limit: Duration) -> bool {
        let came = self.inner.wait(limit);
        self.counts.interrupts.fetch_add(u64::from(came), Relaxed);
        came
    }
}

impl<I: Wake> Wake for MeterIrq<I> {
    const LOOK: Duration = I::LOOK;

    fn file(&self) -> Option<BorrowedFd<'_>> {
        self.inner.file()
    }
    fn prepare(&mut self) {
        self.inner.prepare();
    }
}

impl<P: Platform> Platform for Meter<P> {
    type Bus = MeterBus<P::Bus>;
    type Dma = P::Dma;
    type Irq = MeterIrq<P::Irq>;
    type Delay = P::Delay;
    type Clock = P::Clock;
    type Pci = P::Pci;

    fn bus(&self) -> Self::Bus {
        MeterBus { inner: self.inner.bus(), counts: self.counts.clone() }
    }
    fn bar_len(&self) -> u64 {
        self.inner.bar_len()
    }
    fn dma(&self) -> &P::Dma {
        self.inner.dma()
    }
    fn pci(&self) -> &P::Pci {
        self.inner.pci()
    }
    fn delay(&self) -> P::Delay {
        self.inner.delay()
    }
    fn clock(&self) -> P::Clock {
        self.inner.clock()
    }
    fn enable_interrupts(&self, kind: InterruptKind, vectors: u16) -> Option<u16> {
        self.inner.enable_interrupts(kind, vectors)
    }
    fn disable_interrupts(&self) {
        self.inner.disable_interrupts();
    }
    fn take_irq(&self, vector: u16) -> Option<Self::Irq> {
        Some(MeterIrq { inner: self.inner.take_irq(vector)?, counts: self.counts.clone() })
    }
    fn stop_mastering(&self) -> bool {
        self.inner.stop_mastering()
    }
    fn start_mastering(&self) -> bool {
        self.inner.start_mastering()
    }
}
