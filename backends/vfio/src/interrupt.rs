//! Interrupts: eventfds that the kernel signals, and waiting for them.

use crate::device::Handle;
use crate::ioctl;
use crate::sys;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use igb::{InterruptKind, Wait};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// VFIO's number of a kind.
pub(crate) fn index(kind: InterruptKind) -> u32 {
    match kind {
        InterruptKind::MsiX => sys::VFIO_PCI_MSIX_IRQ_INDEX,
        InterruptKind::Msi => sys::VFIO_PCI_MSI_IRQ_INDEX,
        InterruptKind::Intx => sys::VFIO_PCI_INTX_IRQ_INDEX,
    }
}

/// What is routed to us now.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    kind: Option<InterruptKind>,
    /// Whether what was routed still is.
    live: Arc<AtomicBool>,
    /// By vector, until taken.
    waiting: Vec<Option<Irq>>,
}

impl Routes {
    /// Routes up to `vectors` interrupts of a kind, and says how many.
    pub(crate) fn set(&mut self, handle: &Arc<Handle>, kind: InterruptKind, vectors: u16) -> Option<u16> {
        self.clear(handle);
        let index = index(kind);
        let there = ioctl::irq_count(handle, index).ok()?;
        let mut count = u32::from(vectors).min(there);
        if kind != InterruptKind::MsiX {
            count = count.min(1);
        }
        let events: Option<Vec<_>> = (0..count).map(|_| event().ok()).collect();
        let mut events = events.filter(|events| !events.is_empty())?;
        loop {
            let borrowed: Vec<_> = events.iter().map(AsFd::as_fd).collect();
            match ioctl::set_events(handle, index, &borrowed).ok()? {
                0 => break,
                // The host has only so many vectors left.
                fewer if (fewer as usize) < events.len() => events.truncate(fewer as usize),
                _ => return None,
            }
        }
        self.kind = Some(kind);
        self.live = Arc::new(AtomicBool::new(true));
        let line = (kind == InterruptKind::Intx).then(|| Arc::downgrade(handle));
        let irq = |event| Irq { event, line: line.clone(), fired: false, live: self.live.clone() };
        self.waiting = events.into_iter().map(|event| Some(irq(event))).collect();
        u16::try_from(self.waiting.len()).ok()
    }

    /// Takes the routes away.
    pub(crate) fn clear(&mut self, handle: &Handle) {
        self.live.store(false, Ordering::Release);
        self.waiting.clear();
        if let Some(kind) = self.kind.take() {
            // A device that is gone interrupts nobody.
            let _ = ioctl::clear_events(handle, index(kind));
        }
    }

    pub(crate) fn take(&mut self, vector: u16) -> Option<Irq> {
        self.waiting.get_mut(usize::from(vector))?.take()
    }
}

/// A counter that the kernel signals. Never blocks a reader.
pub(crate) fn event() -> rustix::io::Result<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
}

/// Takes what came. True if something had.
pub(crate) fn take(event: impl AsFd) -> bool {
    let mut count = [0; 8];
    read(event, &mut count) == Ok(8)
}

/// One interrupt vector of a device.
///
/// The kernel masks the line (INTx) each time that it fires; [`wait`](Wait::wait) unmasks it before it sleeps, so what
/// raised it is to be dealt with between two waits.
///
/// After [`disable_interrupts`](igb::Platform::disable_interrupts), and when the device is gone, no interrupt comes and
/// each wait lasts to its limit.
#[derive(Debug)]
pub struct Irq {
    event: OwnedFd,
    /// Only of the line: whom to tell to unmask it.
    line: Option<Weak<Handle>>,
    fired: bool,
    live: Arc<AtomicBool>,
}

impl Irq {
    /// Takes an interrupt that came, without waiting. For somebody else's poll loop, together with the descriptor
    /// ([`AsFd`]), which is readable when one did.
    pub fn take(&mut self) -> bool {
        let came = take(&self.event);
        self.fired |= came;
        came && self.live.load(Ordering::Acquire)
    }

    /// Unmasks the line, if it fired since. Does nothing for messages.
    pub fn unmask(&mut self) {
        if core::mem::take(&mut self.fired)
            && self.live.load(Ordering::Acquire)
            && let Some(handle) = self.line.as_ref().and_then(Weak::upgrade)
        {
            // A device that is gone has no line.
            let _ = ioctl::unmask_line(&*handle);
        }
    }
}

impl AsFd for Irq {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Wait for Irq {
    fn wait(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        self.unmask();
        loop {
            if self.take() {
                return true;
            }
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return false;
            }
            if !self.live.load(Ordering::Acquire) {
                std::thread::sleep(left);
                return false;
            }
            // A limit that no timer can hold is one of very long.
            let left = Timespec::try_from(left.min(Duration::from_secs(1 << 30))).ok();
            let mut fds = [PollFd::new(&self.event, PollFlags::IN)];
            match poll(&mut fds, left.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::write;

    fn irq(live: bool) -> (Irq, OwnedFd) {
        let event = event().unwrap();
        let other = event.try_clone().unwrap();
        (Irq { event, line: None, fired: false, live: Arc::new(AtomicBool::new(live)) }, other)
    }

    fn raise(event: &OwnedFd) {
        assert_eq!(write(event, &1u64.to_ne_bytes()), Ok(8));
    }

    #[test]
    fn one_that_came_before_counts_once() {
        let (mut irq, event) = irq(true);
        raise(&event);
        raise(&event);
        assert!(irq.wait(Duration::ZERO));
        assert!(!irq.wait(Duration::ZERO));
    }

    #[test]
    fn a_sleeper_wakes() {
        let (mut irq, event) = irq(true);
        let sleeper = std::thread::spawn(move || irq.wait(Duration::MAX));
        raise(&event);
        assert!(sleeper.join().unwrap());
    }

    #[test]
    fn silence_lasts_to_the_limit() {
        let limit = Duration::from_millis(20);
        for live in [true, false] {
            let (mut irq, event) = irq(live);
            if !live {
                raise(&event);
            }
            let started = Instant::now();
            assert!(!irq.wait(limit));
            assert!(started.elapsed() >= limit);
        }
    }
}
