//! Where memory waits that a device may still write to.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::*};

/// Keeps the memory of rings that were dropped while their hardware queue may have been running, until somebody who
/// knows that the device no longer masters the bus says so.
///
/// A handle; clone it for every ring of one device. Without one, such a ring leaks its memory.
///
/// The quarantine holds until [`release`](Self::release). From then on rings free at once, until [`hold`](Self::hold).
/// If the last handle goes while it holds, what is inside is leaked: nobody said that the device had stopped.
///
/// ```
/// use igb_ring::{Arena, Pool, Memory, Quarantine, RxRing};
/// let dma = Arena::anonymous(1 << 20, 0x10_0000)?;
/// let quarantine = Quarantine::new();
/// let pool = Pool::new(&dma, 64, 2304)?;
/// let mut local = pool.local();
/// let mut ring = RxRing::with_quarantine(&dma, 64, 2048, &quarantine)?;
/// ring.fill(|| local.take());
/// ring.flush(|_tail| ());
/// drop((ring, local, pool));          // the device may still be writing,
/// assert!(dma.allocated() > 0);
/// quarantine.release();               // now it cannot
/// assert_eq!(dma.allocated(), 0);
/// # Ok::<(), igb_ring::Error>(())
/// ```
#[derive(Clone)]
pub struct Quarantine(Arc<Inner>);

/// A stack; its head is a tagged pointer, so that "released" and "empty" are one word's states.
struct Inner {
    head: AtomicPtr<Node>,
}

struct Node {
    next: *mut Self,
    held: Option<Box<dyn Send>>,
}

fn released() -> *mut Node {
    ptr::without_provenance_mut(1)
}

impl Default for Quarantine {
    fn default() -> Self {
        Self::new()
    }
}

impl Quarantine {
    /// An empty one that holds.
    pub fn new() -> Self {
        Self(Arc::new(Inner { head: AtomicPtr::new(ptr::null_mut()) }))
    }

    /// The device has stopped: it neither reads nor writes memory (bus mastering is off, or it is gone). Frees what is
    /// inside, and from now on rings free at once.
    ///
    /// As with a register write that aims DMA, whoever calls this wrongly lets the device write into other memory.
    pub fn release(&self) {
        free(self.0.head.swap(released(), AcqRel), true);
    }

    /// The device is about to run again.
    pub fn hold(&self) {
        let _ = self.0.head.compare_exchange(released(), ptr::null_mut(), AcqRel, Relaxed);
    }

    /// Whether rings that are dropped now wait here.
    pub fn is_holding(&self) -> bool {
        self.0.head.load(Acquire) != released()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        let head = self.0.head.load(Acquire);
        head.is_null() || head == released()
    }

    pub(crate) fn keep(&self, held: Box<dyn Send>) {
        let node = Box::into_raw(Box::new(Node { next: ptr::null_mut(), held: Some(held) }));
        let mut head = self.0.head.load(Relaxed);
        loop {
            if head == released() {
                return free(node, true);
            }
            // SAFETY: ours until the exchange succeeds.
            unsafe { (*node).next = head };
            match self.0.head.compare_exchange_weak(head, node, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

/// Takes a list apart that was detached from its head, or never put there.
fn free(mut list: *mut Node, contents: bool) {
    while !list.is_null() && list != released() {
        // SAFETY: from `Box::into_raw` in `keep`, and detached, so ours alone.
        let mut node = unsafe { Box::from_raw(list) };
        list = node.next;
        let held = node.held.take();
        if contents {
            drop(held);
        } else {
            core::mem::forget(held);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        free(*self.head.get_mut(), false);
    }
}

impl fmt::Debug for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Quarantine");
        s.field("holding", &self.is_holding()).field("empty", &self.is_empty()).finish_non_exhaustive()
    }
}
// SAFETY: a node is owned by the stack alone and what it holds is Send; only atomics are shared.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}
