#![doc = include_str!("../README.md")]
// Shared memory is mapped and given to an arena, and a child is told to die with us: the blocks stand in `memory` and
// `process`, each with its argument. Nothing else is unsafe.
#![allow(unsafe_code)]

mod doorbell;
mod error;
pub mod find;
mod interrupt;
mod iommu;
mod lines;
mod machine;
mod memory;
mod monitor;
mod pci;
mod platform;
mod process;
mod protocol;
mod time;
mod wire;

pub use error::{Cause, Error, Excerpt};
pub use interrupt::Irq;
pub use iommu::{DmaFault, DmaFaults};
pub use machine::{Builder, Connect, Machine};
pub use memory::Memory;
pub use platform::{Config, Port, Registers};
pub use time::{Clock, Delay, Timing};
pub use wire::Wire;

use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The one stream that all accesses go through.
type Link = Arc<Mutex<protocol::Qtest>>;

/// A thread that panicked in the middle of a command left a stream that says so itself.
fn lock(link: &Link) -> MutexGuard<'_, protocol::Qtest> {
    link.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until one of `fds` is readable or closed. False if none was within `limit`.
fn ready(fds: &[BorrowedFd<'_>], limit: Duration) -> Result<bool, std::io::Error> {
    let started = Instant::now();
    let mut fds: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    loop {
        let left = limit.saturating_sub(started.elapsed());
        let left = Timespec::try_from(left).map_err(|_| std::io::ErrorKind::InvalidInput)?;
        match poll(&mut fds, Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
