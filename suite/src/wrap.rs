//! A platform around a platform: another bus, another view of memory.

use igb::{InterruptKind, Platform};
use igb_regs::Bus;
use igb_ring::Dma;
use std::sync::Arc;

/// The same platform with a bus and memory of the test's choice.
#[derive(Debug)]
pub struct Wrapped<P, B, D> {
    platform: P,
    bus: B,
    dma: D,
}

/// Another bus: one that records, or one that breaks. `make` gets the platform's own; the bus is also handed out, for
/// the test to look into.
pub fn with_bus<P: Platform, B: Bus>(
    platform: P,
    make: impl FnOnce(P::Bus) -> B,
) -> (Wrapped<P, Arc<B>, P::Dma>, Arc<B>) {
    let (bus, dma) = (Arc::new(make(platform.bus())), platform.dma().clone());
    (Wrapped { platform, bus: bus.clone(), dma }, bus)
}

/// Another view of memory.
pub fn with_dma<P: Platform, D>(platform: P, dma: D) -> Wrapped<P, P::Bus, D> {
    let bus = platform.bus();
    Wrapped { platform, bus, dma }
}

impl<P, B, D> Platform for Wrapped<P, B, D>
where
    P: Platform,
    B: Bus + Clone + Send + Sync + 'static,
    D: Dma + Clone + Send + Sync + 'static,
{
    type Bus = B;
    type Dma = D;
    type Irq = P::Irq;
    type Delay = P::Delay;
    type Clock = P::Clock;
    type Pci = P::Pci;

    fn bus(&self) -> B {
        self.bus.clone()
    }
    fn bar_len(&self) -> u64 {
        self.platform.bar_len()
    }
    fn dma(&self) -> &D {
        &self.dma
    }
    fn pci(&self) -> &P::Pci {
        self.platform.pci()
    }
    fn delay(&self) -> P::Delay {
        self.platform.delay()
    }
    fn clock(&self) -> P::Clock {
        self.platform.clock()
    }
    fn enable_interrupts(&self, kind: InterruptKind, vectors: u16) -> Option<u16> {
        self.platform.enable_interrupts(kind, vectors)
    }
    fn disable_interrupts(&self) {
        self.platform.disable_interrupts();
    }
    fn take_irq(&self, vector: u16) -> Option<P::Irq> {
        self.platform.take_irq(vector)
    }
    fn stop_mastering(&self) -> bool {
        self.platform.stop_mastering()
    }
    fn start_mastering(&self) -> bool {
        self.platform.start_mastering()
    }
}
