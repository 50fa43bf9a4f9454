//! Platforms around a platform: another bus, another view of memory.

use igb::{InterruptKind, Platform};
use igb_regs::Bus;
use igb_ring::Dma;
use std::sync::Arc;

/// The same platform with another bus: one that records, or one that breaks.
#[derive(Debug)]
pub struct WithBus<P, B> {
    platform: P,
    bus: Arc<B>,
}

impl<P: Platform, B: Bus + Send + Sync + 'static> WithBus<P, B> {
    /// `make` gets the platform's own bus. The bus is also handed out, for the test to look into.
    pub fn new(platform: P, make: impl FnOnce(P::Bus) -> B) -> (Self, Arc<B>) {
        let bus = Arc::new(make(platform.bus()));
        (Self { platform, bus: bus.clone() }, bus)
    }
}

impl<P: Platform, B: Bus + Send + Sync + 'static> Platform for WithBus<P, B> {
    type Bus = Arc<B>;
    type Dma = P::Dma;
    type Irq = P::Irq;
    type Delay = P::Delay;
    type Clock = P::Clock;
    type Pci = P::Pci;

    fn bus(&self) -> Arc<B> {
        self.bus.clone()
    }
    fn bar_len(&self) -> u64 {
        self.platform.bar_len()
    }
    fn dma(&self) -> &P::Dma {
        self.platform.dma()
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

/// The same platform with another view of memory.
#[derive(Debug)]
pub struct WithDma<P, D> {
    platform: P,
    dma: D,
}

impl<P: Platform, D: Dma + Clone + Send + Sync + 'static> WithDma<P, D> {
    /// `make` gets the platform's own memory.
    pub fn new(platform: P, make: impl FnOnce(&P::Dma) -> D) -> Self {
        let dma = make(platform.dma());
        Self { platform, dma }
    }
}

impl<P: Platform, D: Dma + Clone + Send + Sync + 'static> Platform for WithDma<P, D> {
    type Bus = P::Bus;
    type Dma = D;
    type Irq = P::Irq;
    type Delay = P::Delay;
    type Clock = P::Clock;
    type Pci = P::Pci;

    fn bus(&self) -> P::Bus {
        self.platform.bus()
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
