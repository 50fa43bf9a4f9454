//! A platform whose device is memory: registers keep what is written. The device gets to act only while the driver
//! waits, which is where bring-up needs it; the hot path never waits.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::*};
use core::time::Duration;
use embedded_hal::delay::DelayNs;
use igb::regs::{Bus, CTRL, EECD, EEMNGCTL, EERD, MDIC, Regs};
use igb::ring::Arena;
use igb::{Chip, Clock, InterruptKind, PciConfig, Platform};
use std::sync::Arc;

/// Bytes of BAR 0.
const BAR: usize = 0x2_0000;
/// Vendor and device ID: an 82576 with copper.
const IDENTITY: u32 = 0x10C9_8086;
/// Identifier of the PHY inside it.
const PHY: u32 = 0x02A8_0390;

/// Registers as plain words: one `mov` each way, behind the check that any mapping of a BAR needs.
#[derive(Debug, Clone, Copy)]
pub struct Words(&'static [AtomicU32; BAR / 4]);

impl Words {
    /// Where they lie.
    pub fn addresses(&self) -> core::ops::Range<usize> {
        let range = self.0.as_ptr_range();
        range.start.addr()..range.end.addr()
    }

    /// Fresh ones, all zero. They live as long as the process.
    fn leak() -> Self {
        Self(Box::leak(Box::new([const { AtomicU32::new(0) }; BAR / 4])))
    }
}

impl Bus for Words {
    // Acquire and release are what the trait's contract asks for; on x86-64 both are a plain `mov`.
    #[inline]
    fn read32(&self, offset: u32) -> u32 {
        self.0.get(offset as usize >> 2).map_or(u32::MAX, |word| word.load(Acquire))
    }
    #[inline]
    fn write32(&self, offset: u32, value: u32) {
        if let Some(word) = self.0.get(offset as usize >> 2) {
            word.store(value, Release);
        }
    }
}

/// The device behind the words: what bring-up waits for, and no more.
#[derive(Debug)]
pub struct Device {
    words: Words,
    phy: [AtomicU16; 32],
    nanoseconds: AtomicU64,
}

impl Device {
    fn new() -> Self {
        let phy = [const { AtomicU16::new(0) }; 32];
        phy[2].store((PHY >> 16) as u16, Relaxed);
        phy[3].store(PHY as u16, Relaxed);
        let device = Self { words: Words::leak(), phy, nanoseconds: AtomicU64::new(0) };
        device.act();
        device
    }

    /// Its registers.
    pub fn words(&self) -> Words {
        self.words
    }

    /// What a device does of its own: ends resets, has read its NVM, answers for the PHY.
    fn act(&self) {
        let regs = Regs::new(self.words, Chip::I82576);
        if regs.ctrl().is_set(CTRL::RST) {
            regs.ctrl().set(0);
        }
        regs.eecd().set(EECD::AUTO_RD.val(1).value);
        regs.eemngctl().set(EEMNGCTL::CFG_DONE0.val(1).value);
        // Every word of the NVM is 0.
        let eerd = regs.eerd().snapshot();
        if eerd.is_set(EERD::START) && !eerd.is_set(EERD::DONE) {
            regs.eerd().write(EERD::DONE.val(1));
        }
        let mdic = regs.mdic().get();
        let register = &self.phy[MDIC::REGADD.read(mdic) as usize & 31];
        let answer = match MDIC::OP.val(MDIC::OP.read(mdic)).value {
            _ if MDIC::READY.is_set(mdic) => return,
            operation if operation == MDIC::OP_READ.value => u32::from(register.load(Relaxed)),
            operation if operation == MDIC::OP_WRITE.value => {
                let value = MDIC::DATA.read(mdic) as u16;
                // A reset of the PHY (register 0, bit 15) ends at once.
                register.store(value & 0x7fff, Relaxed);
                u32::from(value)
            }
            _ => return,
        };
        regs.mdic().set(mdic & !0xffff | answer | MDIC::READY.val(1).value);
    }
}

/// Time that passes only while somebody waits.
#[derive(Debug, Clone)]
pub struct Ticks(Arc<Device>);

impl DelayNs for Ticks {
    fn delay_ns(&mut self, nanoseconds: u32) {
        self.0.nanoseconds.fetch_add(nanoseconds.into(), Relaxed);
        self.0.act();
    }
}

impl Clock for Ticks {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.nanoseconds.load(Relaxed))
    }
}

/// Configuration space: who it is, and COMMAND.
#[derive(Debug, Default)]
pub struct Pci(AtomicU32);

impl PciConfig for Pci {
    fn read32(&self, offset: u16) -> u32 {
        match offset {
            0 => IDENTITY,
            4 => self.0.load(Relaxed),
            _ => 0,
        }
    }
    fn write32(&self, offset: u16, value: u32) {
        if offset == 4 {
            self.0.store(value & 0xffff, Relaxed);
        }
    }
}

/// The platform. `B` is how the driver reaches the words: [`Words`] themselves, or a bus around them that counts.
#[derive(Debug)]
pub struct MemoryOnly<B = Words> {
    device: Arc<Device>,
    bus: B,
    memory: Arena,
    pci: Pci,
}

impl<B> MemoryOnly<B> {
    /// A device that reaches `memory`. Devices over the same arena are of one domain.
    pub fn new(memory: &Arena, bus: impl FnOnce(Words) -> B) -> Self {
        let device = Arc::new(Device::new());
        let bus = bus(device.words);
        Self { device, bus, memory: memory.clone(), pci: Pci::default() }
    }

    /// What is behind the bus.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

impl<B: Bus + Clone + Send + Sync + 'static> Platform for MemoryOnly<B> {
    type Bus = B;
    type Dma = Arena;
    type Irq = ();
    type Delay = Ticks;
    type Clock = Ticks;
    type Pci = Pci;

    fn bus(&self) -> B {
        self.bus.clone()
    }
    fn bar_len(&self) -> u64 {
        BAR as u64
    }
    fn dma(&self) -> &Arena {
        &self.memory
    }
    fn pci(&self) -> &Pci {
        &self.pci
    }
    fn delay(&self) -> Ticks {
        Ticks(self.device.clone())
    }
    fn clock(&self) -> Ticks {
        Ticks(self.device.clone())
    }
    fn enable_interrupts(&self, _: InterruptKind, _: u16) -> Option<u16> {
        None
    }
    fn disable_interrupts(&self) {}
    fn take_irq(&self, _: u16) -> Option<()> {
        None
    }
}
