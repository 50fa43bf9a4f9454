//! Interrupts as eventfds: what the device raises, and where the client wants to hear of it.
//!
//! Which kind is in use follows from what the client set: it has one at a time. INTx is a level: its event masks it, and
//! when the client unmasks it the line is looked at again.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `VFIO_PCI_INTX_IRQ_INDEX`.
pub(crate) const INTX: u32 = 0;
/// `VFIO_PCI_MSI_IRQ_INDEX`.
const MSI: u32 = 1;
/// `VFIO_PCI_MSIX_IRQ_INDEX`.
const MSIX: u32 = 2;
/// Those, and the two of errors and requests, which have no vector here.
pub(crate) const INDEXES: u32 = 5;

const DATA: u32 = 7;
const DATA_NONE: u32 = 1;
const DATA_BOOL: u32 = 2;
const DATA_EVENTFD: u32 = 4;
const ACTION: u32 = 0x38;
const ACTION_MASK: u32 = 8;
const ACTION_UNMASK: u32 = 0x10;
const ACTION_TRIGGER: u32 = 0x20;

/// An eventfd that a write cannot block on: a client may hand over anything.
#[derive(Debug)]
struct Event(OwnedFd);

impl Event {
    fn new(fd: OwnedFd) -> Result<Self, Errno> {
        let link =
            std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|_| Errno::BADF)?;
        if link.as_os_str() != "anon_inode:[eventfd]" {
            return Err(Errno::INVAL);
        }
        let flags = fcntl_getfl(&fd)?;
        fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        Ok(Self(fd))
    }

    /// Adds one. A counter that is full says "interrupt" already.
    fn signal(&self) {
        // The client shares the file's flags, and may have made it blocking again.
        let mut room = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::OUT)];
        if poll(&mut room, Some(&rustix::event::Timespec::default())).is_ok_and(|count| count == 1) {
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }
    }
}

#[derive(Debug)]
struct State {
    /// By index, then by vector.
    events: [Vec<Option<Event>>; 3],
    intx_masked: bool,
    vectors: usize,
}

/// Where a device's interrupts go. A handle: clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Interrupts(Arc<Mutex<State>>);

/// What a client asks of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) flags: u32,
    pub(crate) index: u32,
    pub(crate) start: u32,
    pub(crate) count: u32,
}

impl Interrupts {
    /// For a device with so many vectors.
    pub(crate) fn new(vectors: u16) -> Self {
        let vectors = usize::from(vectors);
        let events = [0, 0, 0].map(|_: u8| Vec::new());
        Self(Arc::new(Mutex::new(State { events, intx_masked: false, vectors })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `(flags, count)` of an index, as `VFIO_DEVICE_GET_IRQ_INFO` has them: eventfd, maskable, automasked.
    pub(crate) fn info(&self, index: u32) -> (u32, u32) {
        match index {
            INTX => (7, 1),
            MSI => (1, 1),
            MSIX => (1, self.lock().vectors as u32),
            _ => (0, 0),
        }
    }

    /// The device sent a message, or asserted its line.
    pub(crate) fn raise(&self, vector: u16) {
        let state = &mut *self.lock();
        let used = |index: u32| state.events[index as usize].iter().any(Option::is_some);
        let (index, vector) = if used(MSIX) {
            (MSIX, usize::from(vector))
        } else if used(MSI) {
            (MSI, 0)
        } else {
            if core::mem::replace(&mut state.intx_masked, true) {
                return;
            }
            (INTX, 0)
        };
        if let Some(Some(event)) = state.events[index as usize].get(vector) {
            event.signal();
        }
    }

    /// Does what the client asks. True when INTx is to be looked at again.
    pub(crate) fn set(&self, request: Request, data: &[u8], fds: Vec<OwnedFd>) -> Result<bool, Errno> {
        let Request { flags, index, start, count } = request;
        let most = self.info(index).1;
        let end = start.checked_add(count).ok_or(Errno::INVAL)?;
        if index >= INDEXES || most == 0 || end > most || flags & !(DATA | ACTION) != 0 {
            return Err(Errno::INVAL);
        }
        let (start, count) = (start as usize, count as usize);
        let chosen: Vec<bool> = match flags & DATA {
            DATA_NONE | DATA_EVENTFD => vec![true; count],
            DATA_BOOL => data.get(..count).ok_or(Errno::INVAL)?.iter().map(|byte| *byte != 0).collect(),
            _ => return Err(Errno::INVAL),
        };
        let state = &mut *self.lock();
        let events = &mut state.events[index as usize];
        match flags & ACTION {
            ACTION_TRIGGER if flags & DATA == DATA_EVENTFD => {
                if !fds.is_empty() && fds.len() != count {
                    return Err(Errno::INVAL);
                }
                let fresh: Vec<Event> = fds.into_iter().map(Event::new).collect::<Result<_, _>>()?;
                events.resize_with(most as usize, || None);
                let mut fresh = fresh.into_iter();
                // Without a descriptor the vector goes nowhere.
                events[start..start + count].fill_with(|| fresh.next());
                if index == INTX {
                    state.intx_masked = false;
                }
                return Ok(index == INTX);
            }
            ACTION_TRIGGER if flags & DATA == DATA_NONE && count == 0 => events.clear(),
            ACTION_TRIGGER => {
                for (event, _) in events.iter().skip(start).zip(&chosen).filter(|(_, chosen)| **chosen) {
                    event.iter().for_each(Event::signal);
                }
            }
            // QEMU and the guest mask messages themselves.
            ACTION_MASK | ACTION_UNMASK if index != INTX || flags & DATA == DATA_EVENTFD => {
                return Err(Errno::INVAL);
            }
            ACTION_MASK => state.intx_masked |= chosen == [true],
            ACTION_UNMASK if chosen == [true] => {
                state.intx_masked = false;
                return Ok(true);
            }
            ACTION_UNMASK => {}
            _ => return Err(Errno::INVAL),
        }
        Ok(false)
    }

    /// The client left.
    pub(crate) fn clear(&self) {
        let state = &mut *self.lock();
        state.events.iter_mut().for_each(Vec::clear);
        state.intx_masked = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    fn event() -> (OwnedFd, OwnedFd) {
        let ours = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let theirs = ours.try_clone().unwrap();
        (ours, theirs)
    }

    fn heard(fd: &OwnedFd) -> u64 {
        let mut count = [0; 8];
        rustix::io::read(fd, &mut count).map_or(0, |_| u64::from_ne_bytes(count))
    }

    #[test]
    fn messages_go_to_their_vector() {
        let interrupts = Interrupts::new(5);
        let (one, theirs) = event();
        let request = Request { flags: DATA_EVENTFD | ACTION_TRIGGER, index: MSIX, start: 3, count: 1 };
        assert_eq!(interrupts.set(request, &[], vec![theirs]), Ok(false));
        interrupts.raise(3);
        interrupts.raise(3);
        interrupts.raise(2);
        interrupts.raise(900);
        assert_eq!(heard(&one), 2);
        assert_eq!(interrupts.set(request, &[], vec![]), Ok(false), "no descriptor: off");
        interrupts.raise(3);
        assert_eq!(heard(&one), 0);
    }

    #[test]
    fn the_line_masks_itself() {
        let interrupts = Interrupts::new(5);
        let (line, theirs) = event();
        let set = Request { flags: DATA_EVENTFD | ACTION_TRIGGER, index: INTX, start: 0, count: 1 };
        assert_eq!(interrupts.set(set, &[], vec![theirs]), Ok(true));
        interrupts.raise(0);
        interrupts.raise(0);
        assert_eq!(heard(&line), 1, "masked after the first");
        let unmask = Request { flags: DATA_NONE | ACTION_UNMASK, ..set };
        assert_eq!(interrupts.set(unmask, &[], vec![]), Ok(true));
        interrupts.raise(0);
        assert_eq!(heard(&line), 1);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let interrupts = Interrupts::new(5);
        let refused = |flags, index, start, count, fds| {
            interrupts.set(Request { flags, index, start, count }, &[], fds).is_err()
        };
        let trigger = DATA_EVENTFD | ACTION_TRIGGER;
        assert!(refused(trigger, MSIX, 4, 2, vec![]) && refused(trigger, MSIX, u32::MAX, 2, vec![]));
        assert!(refused(trigger, 3, 0, 1, vec![]) && refused(trigger, 99, 0, 0, vec![]));
        assert!(refused(trigger, MSIX, 0, 2, vec![event().1]), "one descriptor for two vectors");
        assert!(refused(DATA_BOOL | ACTION_TRIGGER, MSIX, 0, 2, vec![]), "no data");
        assert!(refused(0, MSIX, 0, 1, vec![]) && refused(u32::MAX, MSIX, 0, 1, vec![]));
        assert!(refused(DATA_NONE | ACTION_MASK, MSIX, 0, 1, vec![]));
        let (pipe, _) = rustix::pipe::pipe().unwrap();
        assert!(refused(trigger, MSIX, 0, 1, vec![pipe]), "no eventfd");
    }

    #[test]
    fn a_full_counter_blocks_nobody() {
        let interrupts = Interrupts::new(5);
        let (one, theirs) = event();
        let request = Request { flags: DATA_EVENTFD | ACTION_TRIGGER, index: MSIX, start: 0, count: 1 };
        interrupts.set(request, &[], vec![theirs]).unwrap();
        rustix::io::write(&one, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        fcntl_setfl(&one, fcntl_getfl(&one).unwrap() - OFlags::NONBLOCK).unwrap();
        interrupts.raise(0); // would wait for ever
    }
}
