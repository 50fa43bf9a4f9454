//! `igb::Platform` over a simulated device.

use crate::device::Device;
use core::time::Duration;
use embedded_hal::delay::DelayNs;
use igb::{Clock, InterruptKind, PciConfig, Platform, Wait};
use igb_regs::{Bus, Fault};
use igb_ring::Arena;
use std::sync::{Mutex, PoisonError};

/// BAR 0 of a simulated device.
#[derive(Debug, Clone)]
pub struct SimBus {
    pub(crate) device: Device,
}

impl Bus for SimBus {
    fn read32(&self, offset: u32) -> u32 {
        self.device.read(offset)
    }

    fn write32(&self, offset: u32, value: u32) {
        self.device.write(offset, value);
    }

    fn fault(&self) -> Option<Fault> {
        if self.device.is_present() { None } else { Some(Fault::Gone) }
    }
}

/// Configuration space of a simulated device.
#[derive(Debug, Clone)]
pub struct SimPci {
    device: Device,
}

impl PciConfig for SimPci {
    fn read32(&self, offset: u16) -> u32 {
        self.device.config_read(offset)
    }

    fn write32(&self, offset: u16, value: u32) {
        self.device.config_write(offset, value);
    }
}

/// The world's clock. In virtual time each look costs 100 ns, so that a loop until a deadline ends.
#[derive(Debug, Clone)]
pub struct SimClock {
    device: Device,
}

impl Clock for SimClock {
    fn now(&self) -> Duration {
        self.device.world().look()
    }
}

/// Lets the world's time pass.
#[derive(Debug, Clone)]
pub struct SimDelay {
    device: Device,
}

impl SimDelay {
    fn wait(&self, duration: Duration) {
        self.device.world().advance(duration);
    }
}

impl DelayNs for SimDelay {
    fn delay_ns(&mut self, ns: u32) {
        self.wait(Duration::from_nanos(ns.into()));
    }

    fn delay_us(&mut self, us: u32) {
        self.wait(Duration::from_micros(us.into()));
    }

    fn delay_ms(&mut self, ms: u32) {
        self.wait(Duration::from_millis(ms.into()));
    }
}

/// One interrupt vector.
#[derive(Debug)]
pub struct SimIrq {
    device: Device,
    vector: u16,
}

impl SimIrq {
    /// Whether an interrupt is there; takes it.
    pub fn poll(&mut self) -> bool {
        self.device.take_interrupt(self.vector)
    }
}

impl Wait for SimIrq {
    /// In virtual time the waiting thread moves the clock, from timer to timer.
    fn wait(&mut self, limit: Duration) -> bool {
        self.device.world().run_until(limit, || self.device.take_interrupt(self.vector))
    }
}

/// One simulated device as a driver's platform. Dropping it takes the interrupt routes away.
#[derive(Debug)]
pub struct Sim {
    device: Device,
    pci: SimPci,
    /// Vectors whose waiting ends were not taken yet.
    untaken: Mutex<Vec<bool>>,
}

impl Sim {
    pub(crate) fn new(device: Device) -> Self {
        let pci = SimPci { device: device.clone() };
        Self { device, pci, untaken: Mutex::new(Vec::new()) }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.device.release();
    }
}

impl Platform for Sim {
    type Bus = SimBus;
    type Dma = Arena;
    type Irq = SimIrq;
    type Delay = SimDelay;
    type Clock = SimClock;
    type Pci = SimPci;

    fn bus(&self) -> SimBus {
        self.device.bus()
    }

    fn bar_len(&self) -> u64 {
        crate::offsets::BAR_LEN.into()
    }

    fn dma(&self) -> &Arena {
        self.device.world().arena()
    }

    fn pci(&self) -> &SimPci {
        &self.pci
    }

    fn delay(&self) -> SimDelay {
        SimDelay { device: self.device.clone() }
    }

    fn clock(&self) -> SimClock {
        SimClock { device: self.device.clone() }
    }

    fn enable_interrupts(&self, kind: InterruptKind, vectors: u16) -> Option<u16> {
        let routed = self.device.route(Some(kind), vectors.max(1))?;
        *self.untaken.lock().unwrap_or_else(PoisonError::into_inner) = vec![true; routed.into()];
        Some(routed)
    }

    fn disable_interrupts(&self) {
        self.device.route(None, 0);
        self.untaken.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take_irq(&self, vector: u16) -> Option<SimIrq> {
        let mut untaken = self.untaken.lock().unwrap_or_else(PoisonError::into_inner);
        let there = core::mem::take(untaken.get_mut(usize::from(vector))?);
        there.then(|| SimIrq { device: self.device.clone(), vector })
    }
}
