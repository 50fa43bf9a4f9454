//! The cleaning half.

use super::{BARE, BYTES, DD, FRAME, LAST, MIXED, Shared, TxSender, take};
use crate::{Chunk, after, distance};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{Ordering::*, fence};

/// The cleaning half: takes home what the device has sent.
#[repr(align(128))]
pub struct TxCleaner<C: Chunk> {
    pub(super) ring: Arc<Shared<C>>,
    pub(super) next_to_clean: u32,
    pub(super) bytes: u64,
}

/// Where cleaning stands, in a register. It is put back when the loop ends, also by a panic.
struct Stand<'a> {
    clean: u32, // `len` for a moment, at the end of the ring
    len: u32,
    to: &'a mut u32,
}

impl Drop for Stand<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.to = if self.clean == self.len { 0 } else { self.clean };
    }
}

impl<C: Chunk> TxCleaner<C> {
    /// Gives home what the device reports as sent, chunk by chunk, and says how many frames that were.
    #[inline]
    pub fn clean(&mut self, mut give: impl FnMut(C)) -> u32 {
        let ring = &*self.ring;
        let (slots, len) = (ring.held.slots.first(), ring.len);
        let (descriptors, batches) = (ring.held.mem.descriptors(), ring.held.batches.first());
        let used = ring.sender.0.used.load(Acquire);
        let from = self.next_to_clean;
        let (mut at, mut frames) = (Stand { clean: from, len, to: &mut self.next_to_clean }, 0);
        while at.clean != used {
            // SAFETY: indices stay below the length, and there are as many batches.
            let batch = unsafe { batches.add(at.clean as usize) };
            // SAFETY: the ring keeps them alive.
            let batch = unsafe { batch.as_ref() }.load(Relaxed);
            let last = (batch & LAST) as u32;
            // SAFETY: `last` was an index of the ring, written by the sender.
            let report = unsafe { descriptors.add(last as usize) };
            // SAFETY: zeroed, aligned, seen as atomics only.
            let report = &unsafe { report.as_ref() }[1];
            if u64::from_le(report.load(Relaxed)) & DD == 0 {
                break;
            }
            fence(Acquire); // the device has read what it says it has read
            self.bytes += batch >> BYTES;
            let end = after(last, len);
            if batch & MIXED != 0 {
                let from = core::mem::replace(&mut at.clean, end);
                frames += mixed(ring, from, end, &mut give);
                continue;
            }
            frames += distance(at.clean, last, len) + 1;
            while at.clean != end {
                let stop = if end > at.clean { end } else { len };
                while at.clean != stop {
                    let index = at.clean;
                    at.clean = index + 1;
                    // SAFETY: inside [next_to_clean, used), each read once.
                    give(unsafe { take(slots, index) });
                }
                if at.clean == len {
                    at.clean = 0;
                }
            }
        }
        if from != at.clean {
            ring.cleaner.0.store(at.clean, Release); // the slots, for the sender
        }
        frames
    }

    /// Descriptors that were flushed and are not yet cleaned.
    pub fn pending(&self) -> u32 {
        distance(self.next_to_clean, self.ring.sender.0.used.load(Acquire), self.ring.len)
    }

    /// Bytes of the batches that came home since the ring was made. See [`TxSender::bytes`].
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// After the hardware queue was disabled, with both halves at hand: all frames come home, sent or not; the ring
    /// starts at 0 again, and may be dropped. This is also what a reset wants.
    ///
    /// As with a register write that aims DMA, whoever calls this wrongly lets the device send other memory.
    ///
    /// # Panics
    /// If `sender` is of another ring.
    pub fn reclaim(&mut self, sender: &mut TxSender<C>, mut give: impl FnMut(C)) {
        assert!(Arc::ptr_eq(&self.ring, &sender.ring), "the two halves are of one ring");
        sender.forsake(&mut give);
        let from = core::mem::take(&mut self.next_to_clean);
        let end = core::mem::take(&mut sender.next_to_use);
        self.ring.cleaner.0.store(0, Release);
        self.ring.sender.0.used.store(0, Relaxed);
        mixed(&self.ring, from, end, &mut |chunk: C| {
            chunk.for_cpu(chunk.len()); // so that it can be sent again
            give(chunk);
        });
        self.bytes = sender.flushed;
        (sender.batch, sender.limit, sender.stop) = (0, sender.len - 1, sender.len - 1);
        self.ring.sender.0.live.store(false, Relaxed);
    }
}

/// Cleans slots that may be of any kind and that nobody counts any more; says how many frames ended there.
#[inline(never)]
fn mixed<C: Chunk>(ring: &Shared<C>, from: u32, end: u32, give: &mut impl FnMut(C)) -> u32 {
    struct Rest<'a, C: Chunk>(&'a Shared<C>, u32, u32);
    impl<C: Chunk> Iterator for Rest<'_, C> {
        type Item = (u8, Option<C>);
        fn next(&mut self) -> Option<(u8, Option<C>)> {
            let Self(ring, at, end) = *self;
            if at == end {
                return None;
            }
            self.1 = ring.after(at);
            let kind = ring.kind(at);
            // SAFETY: full unless bare, by the caller, and each read once.
            Some((kind, (kind != BARE).then(|| unsafe { take(ring.held.slots.first(), at) })))
        }
    }
    impl<C: Chunk> Drop for Rest<'_, C> {
        /// A callback that panicked.
        fn drop(&mut self) {
            self.for_each(drop);
        }
    }
    let mut frames = 0;
    for (kind, chunk) in &mut Rest(ring, from, end) {
        frames += u32::from(kind == FRAME);
        if let Some(chunk) = chunk {
            give(chunk);
        }
    }
    frames
}

impl<C: Chunk> Drop for TxCleaner<C> {
    fn drop(&mut self) {
        self.ring.cleaner.0.store(self.next_to_clean, Release); // also after a callback that panicked
    }
}

impl<C: Chunk> fmt::Debug for TxCleaner<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("TxCleaner");
        s.field("next_to_clean", &self.next_to_clean)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
