//! The interrupt inputs of the machine, as QEMU reports them: for INTx, which has no message to catch.

use core::sync::atomic::{AtomicU32, Ordering};
use rustix::io::write;
use std::os::fd::OwnedFd;

/// The state of 24 inputs, and who wants to know when one rises.
#[derive(Debug)]
pub(crate) struct Lines {
    high: AtomicU32,
    /// An input, and the eventfd of one port that shares it.
    listeners: Vec<(u32, OwnedFd)>,
}

impl Lines {
    pub(crate) fn new(listeners: Vec<(u32, OwnedFd)>) -> Self {
        Self { high: AtomicU32::new(0), listeners }
    }

    /// What QEMU said of input `line`.
    pub(crate) fn set(&self, line: u32, high: bool) {
        let Some(bit) = 1_u32.checked_shl(line) else { return };
        if !high {
            self.high.fetch_and(!bit, Ordering::Relaxed);
            return;
        }
        self.high.fetch_or(bit, Ordering::Relaxed);
        for (_, event) in self.listeners.iter().filter(|(input, _)| *input == line) {
            // A full counter is a wake-up already.
            let _ = write(event, &1_u64.to_ne_bytes());
        }
    }

    /// Whether somebody holds input `line` high.
    pub(crate) fn is_high(&self, line: u32) -> bool {
        1_u32.checked_shl(line).is_some_and(|bit| self.high.load(Ordering::Relaxed) & bit != 0)
    }
}
