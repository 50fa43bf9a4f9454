//! Where the driver runs: what it asks of the world, and nothing else.
//!
//! A backend implements [`Platform`] for one function of one device. The methods take `&self` and give values, so
//! that a driver hands a bus to each doorbell and a delay to whoever waits, without a lock and without `dyn`.

use core::time::Duration;
use embedded_hal::delay::DelayNs;
use igb_regs::Bus;
use igb_ring::Dma;

/// How interrupts reach us, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InterruptKind {
    /// One message per vector.
    MsiX,
    /// One message for all causes.
    Msi,
    /// The level-triggered line.
    Intx,
}

impl InterruptKind {
    /// The name that people use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MsiX => "MSI-X",
            Self::Msi => "MSI",
            Self::Intx => "INTx",
        }
    }
}

impl core::fmt::Display for InterruptKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The first 4 KiB of configuration space of the function.
pub trait PciConfig {
    /// Reads the dword at `offset`, a multiple of 4. A function that left the bus gives all ones; so does an offset
    /// that this platform cannot reach.
    fn read32(&self, offset: u16) -> u32;
    /// Writes the dword at `offset`, a multiple of 4.
    fn write32(&self, offset: u16, value: u32);
}

/// Monotonic time since any fixed moment.
pub trait Clock {
    /// Now.
    fn now(&self) -> Duration;
}

/// An interrupt that a thread can wait for. Where the host calls us instead, [`Platform::Irq`] is `()`.
pub trait Wait {
    /// Sleeps until the interrupt came, or for `limit`. `true` when it came; one that came before the call counts.
    fn wait(&mut self, limit: Duration) -> bool;
}

/// One function of one device, and the machine around it.
///
/// Dropping a platform gives the device back to whoever had it. The driver keeps it alive as long as any queue or
/// buffer of it exists.
pub trait Platform: Send + Sync + 'static {
    /// Registers: BAR 0.
    type Bus: Bus + Clone + Send + Sync + 'static;
    /// Memory that the device reaches.
    type Dma: Dma + Clone + Send + Sync + 'static;
    /// One interrupt vector. [`Wait`] where threads wait for it; `()` where the host calls us.
    type Irq: Send + 'static;
    /// How to wait: sleeping where that is possible, spinning where not.
    type Delay: DelayNs;
    /// What time it is.
    type Clock: Clock + Clone + Send + Sync + 'static;
    /// Configuration space.
    type Pci: PciConfig;

    /// The registers. Cheap: every doorbell holds one.
    fn bus(&self) -> Self::Bus;
    /// Size of BAR 0 in bytes.
    fn bar_len(&self) -> u64;
    /// The device's view of memory.
    fn dma(&self) -> &Self::Dma;
    /// Configuration space.
    fn pci(&self) -> &Self::Pci;
    /// A delay of the caller's own.
    fn delay(&self) -> Self::Delay;
    /// The clock that time-outs and watchdogs are measured by.
    fn clock(&self) -> Self::Clock;

    /// Routes up to `vectors` interrupts of this kind to us, and says how many there are now (fewer, if the host has
    /// no more to give); `None` if this kind cannot be had here. Replaces what an earlier call routed.
    ///
    /// MSI and INTx have one vector.
    fn enable_interrupts(&self, kind: InterruptKind, vectors: u16) -> Option<u16>;
    /// Takes the routes away. No interrupt is delivered afterwards.
    fn disable_interrupts(&self);
    /// The vector's waiting end, once each time [`enable_interrupts`](Self::enable_interrupts) succeeded.
    fn take_irq(&self, vector: u16) -> Option<Self::Irq>;

    /// Forbids the device to master the bus, and sees that it obeyed: after `true` it neither reads nor writes memory
    /// until [`start_mastering`](Self::start_mastering). A device that is gone obeys too.
    fn stop_mastering(&self) -> bool {
        let command = self.pci().read32(0x04);
        if command == u32::MAX {
            return true;
        }
        self.pci().write32(0x04, command & 0xffff & !0x4);
        let now = self.pci().read32(0x04);
        now == u32::MAX || now & 0x4 == 0
    }

    /// Allows memory decoding and bus mastering (bits 1 and 2 of COMMAND). `false` if the function does not accept it.
    fn start_mastering(&self) -> bool {
        let command = self.pci().read32(0x04);
        if command == u32::MAX {
            return false;
        }
        self.pci().write32(0x04, command & 0xffff | 0x6);
        self.pci().read32(0x04) & 0x6 == 0x6
    }
}
