//! Waiting for an interrupt: an eventfd that QEMU signals, or an input line that it tells us about.

use crate::platform::Handle;
use core::time::Duration;
use igb::Wait;
use rustix::io::read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

/// What a waiting end listens to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    MsiX(u16),
    Msi,
    /// INTx: the input that this port shares with every fourth.
    Line,
}

/// What is routed to us now.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Counts changes: waiting ends of an earlier routing hear nothing any more.
    pub(crate) generation: u64,
    /// By vector, until taken.
    pub(crate) waiting: Vec<Option<Irq>>,
}

/// One interrupt vector of a port.
///
/// With INTx the wait is over as long as the input is high, whoever holds it: ports share inputs, as they do on hardware.
/// After [`disable_interrupts`](igb::Platform::disable_interrupts), and when the device is gone, no interrupt comes and
/// each wait lasts to its limit.
#[derive(Debug)]
pub struct Irq {
    handle: Arc<Handle>,
    source: Source,
    event: OwnedFd,
    generation: u64,
}

impl Irq {
    /// A waiting end, with what happened before forgotten.
    pub(crate) fn new(handle: Arc<Handle>, source: Source, generation: u64) -> Option<Self> {
        let machine = &handle.machine;
        let index = handle.place.index;
        let event = match source {
            Source::MsiX(vector) => machine.doorbell.msix_event(index, vector)?,
            Source::Msi => machine.doorbell.msi_event(index)?,
            Source::Line => &machine.ports.get(index)?.line_event,
        };
        let event = event.try_clone().ok()?;
        let irq = Self { handle, source, event, generation };
        irq.take();
        Some(irq)
    }

    /// Takes what came. True if something had.
    fn take(&self) -> bool {
        let mut count = [0; 8];
        read(&self.event, &mut count) == Ok(8)
    }

    fn is_high(&self) -> bool {
        matches!(self.source, Source::Line) && self.handle.machine.lines.is_high(self.handle.place.line())
    }
}

/// To wait in somebody else's poll loop: readable when an MSI-X or MSI vector has fired. For INTx it is readable only
/// while somebody talks to QEMU: use [`Wait`].
impl AsFd for Irq {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Wait for Irq {
    fn wait(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        let line = matches!(self.source, Source::Line);
        loop {
            let left = limit.saturating_sub(started.elapsed());
            if !self.handle.serves(self.generation) {
                std::thread::sleep(left);
                return false;
            }
            let mut listening = false;
            if line {
                let mut qtest = crate::lock(&self.handle.machine.qtest);
                listening = qtest.drain().is_ok();
            }
            if self.take() || self.is_high() {
                return true;
            }
            if left.is_zero() {
                return false;
            }
            // Whoever else talks to QEMU reads what it says of our line, and signals us; if nobody does, it is for us.
            let output = listening
                .then(|| crate::lock(&self.handle.machine.qtest).readable_end().try_clone_to_owned());
            let ready = match &output {
                Some(Ok(output)) => crate::ready(&[self.event.as_fd(), output.as_fd()], left),
                _ => crate::ready(&[self.event.as_fd()], left),
            };
            if ready.is_err() {
                return false;
            }
        }
    }
}
