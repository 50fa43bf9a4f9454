//! Descriptors that are not one whole, good frame: frames over several, broken ones, and what cannot be true.

use super::{BROKEN, DD, EOP, LOOK, Parts, RxStats};
use crate::Chunk;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::sync::atomic::{AtomicU64, Ordering::*, fence};

/// With this mask no status is whole.
const NEVER: u64 = 0;
/// No frame is longer, whatever the device says (largest setting that any driver of the family makes: 0x3f00).
const CHAIN_MAX: u32 = 0x3f00;

/// What is kept for descriptors that are not one whole, good frame.
#[derive(Debug)]
pub(super) struct Odd {
    pub(super) look: u64, // mask that finds whole frames; `NEVER` until a chain that was given up has ended
    pub(super) stats: RxStats,
}

impl Odd {
    pub(super) fn new() -> Self {
        Self { look: LOOK, stats: RxStats::default() }
    }

    /// The ring starts anew: no chain is left of what was.
    pub(super) fn restart(&mut self) {
        self.look = LOOK;
    }
}

/// What to do about a descriptor that is not one whole, good frame.
pub(super) enum Judged {
    /// The device is not done: with this one, or with the frame that begins here.
    NotDone,
    /// Post so many again.
    Drop(u32),
    /// A frame of so many descriptors.
    Chain(u32),
}

impl Odd {
    /// `told` is how many descriptors from here on the device knows.
    #[cold]
    #[inline(never)]
    pub(super) fn judge<C: Chunk>(&mut self, at: Parts<C>, index: u32, told: u32, status: u64) -> Judged {
        let len = (status >> 32) as u16;
        match status {
            _ if status & DD == 0 => Judged::NotDone,
            _ if self.look == NEVER => {
                self.stats.lies += 1;
                if status & EOP != 0 {
                    self.look = LOOK;
                }
                Judged::Drop(1)
            }
            _ if status & EOP == 0 => self.chain(at, index, told),
            _ => {
                let lie = len == 0 || len > at.size;
                *(if lie { &mut self.stats.lies } else { &mut self.stats.broken }) += 1;
                Judged::Drop(1)
            }
        }
    }

    /// Looks for the end of the frame that begins here.
    fn chain<C: Chunk>(&mut self, at: Parts<C>, index: u32, told: u32) -> Judged {
        let (mut i, mut bytes, mut possible) = (index, 0, true);
        for n in 1..=told {
            let status = u64::from_le(at.descriptor(i)[1].load(Relaxed));
            if status & DD == 0 {
                return Judged::NotDone;
            }
            let (len, ends) = ((status >> 32) as u16, status & EOP != 0);
            bytes += u32::from(len);
            // A last piece of nothing held what was left of the FCS, which was taken off.
            possible &= len <= at.size && (len != 0 || ends) && bytes <= CHAIN_MAX;
            match (ends, possible) {
                (true, true) if status & BROKEN & self.look == 0 => return Judged::Chain(n),
                (true, _) => {
                    *(if possible { &mut self.stats.broken } else { &mut self.stats.lies }) += 1;
                    return Judged::Drop(n);
                }
                (false, false) => {
                    self.stats.lies += 1;
                    self.look = NEVER; // the rest of it as it comes
                    return Judged::Drop(n);
                }
                (false, true) => i = at.after(i),
            }
        }
        // All that the device was given, and no end.
        self.stats.lies += 1;
        self.look = NEVER;
        Judged::Drop(told)
    }

    #[cold]
    pub(super) fn unwanted(&mut self, n: u32) {
        self.stats.chains += 1;
        self.stats.chained += u64::from(n);
    }
}

/// A frame over several chunks, as long as a callback looks at it. It yields them in order; what is left is posted again.
pub struct RxChain<'a, C: Chunk> {
    at: Parts<C>,
    index: u32,
    left: u32,
    bytes: u32,
    spare: Option<u32>, // the slot of a chunk that holds nothing of the frame
    ring: PhantomData<&'a mut C>,
}
// SAFETY: the right to the chunks that are left, which are Send.
unsafe impl<C: Chunk> Send for RxChain<'_, C> {}

impl<C: Chunk> RxChain<'_, C> {
    /// Chunks that are left.
    pub fn remaining(&self) -> u32 {
        self.left
    }

    /// Bytes in the chunks that are left.
    pub fn bytes_len(&self) -> u32 {
        self.bytes
    }

    /// Looks at the chunk in place `n`, counted among those that are left.
    pub fn get(&self, n: u32) -> Option<&C> {
        if n >= self.left {
            return None;
        }
        // SAFETY: inside the ring.
        let slot = unsafe { self.at.slot(self.at.step(self.index, n)).as_ref() };
        // SAFETY: `left` slots from `index` on are full, and this value alone may take from them.
        Some(unsafe { slot.assume_init_ref() })
    }

    /// Copies what is left into `out`, as far as it reaches, and says how far that was. The chunks stay.
    pub fn copy_to(&self, out: &mut [u8]) -> usize {
        let mut n = 0;
        for chunk in (0..self.left).filter_map(|i| self.get(i)) {
            n += chunk.copy_to(out.get_mut(n..).unwrap_or_default());
        }
        n
    }
}

impl<C: Chunk> Iterator for RxChain<'_, C> {
    type Item = C;
    fn next(&mut self) -> Option<C> {
        self.left = self.left.checked_sub(1)?;
        let chunk = self.at.take(self.index);
        self.index = self.at.after(self.index);
        self.bytes -= u32::from(chunk.len());
        Some(chunk)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<C: Chunk> RxChain<'_, C> {
    /// Posts again what is left, and says where posting stands then.
    #[cold]
    #[inline(never)]
    pub(super) fn post(mut self, mut used: u32) -> u32 {
        let at = self.at;
        for chunk in &mut self {
            at.put(&mut used, chunk);
        }
        if let Some(spare) = self.spare.take() {
            let chunk = at.take(spare);
            at.put(&mut used, chunk);
        }
        used
    }
}

impl<C: Chunk> Drop for RxChain<'_, C> {
    /// A callback that panicked.
    fn drop(&mut self) {
        self.for_each(drop);
        if let Some(spare) = self.spare.take() {
            drop(self.at.take(spare));
        }
    }
}

impl<C: Chunk> fmt::Debug for RxChain<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RxChain")
            .field("count", &self.left)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl<C: Chunk> Parts<C> {
    /// Posts `n` chunks again, unseen.
    #[cold]
    #[inline(never)]
    pub(super) fn pass(self, mut index: u32, n: u32, mut used: u32) -> u32 {
        for _ in 0..n {
            let chunk = self.take(index);
            index = self.after(index);
            self.put(&mut used, chunk);
        }
        used
    }

    /// Gathers a frame of `n` descriptors, all of them done and no longer counted, with what its last one says.
    #[cold]
    #[inline(never)]
    pub(super) fn gather<'a>(self, first: u32, n: u32) -> (RxChain<'a, C>, &'a AtomicU64, u64) {
        fence(Acquire); // the frame's bytes and the other quadwords after DD
        let (mut index, mut last, mut bytes, mut status) = (first, first, 0, 0);
        for _ in 0..n {
            status = u64::from_le(self.descriptor(index)[1].load(Relaxed));
            // Looked at before, but a device may change its mind.
            let len = ((status >> 32) as u16).min(self.size);
            let mut chunk = ManuallyDrop::new(self.take(index));
            // SAFETY: len <= size, and size <= capacity by `put`.
            unsafe { chunk.set_len(len) };
            chunk.for_cpu(len);
            // SAFETY: inside the ring, empty as of now.
            unsafe { self.slot(index).write(MaybeUninit::new(ManuallyDrop::into_inner(chunk))) };
            bytes += u32::from(len);
            last = index;
            index = self.after(index);
        }
        // What was left of the FCS lay in a chunk of its own, and was taken off.
        let spare = ((status >> 32) as u16 == 0).then_some(last);
        let left = n - u32::from(spare.is_some());
        let chain = RxChain { at: self, index: first, left, bytes, spare, ring: PhantomData };
        (chain, &self.descriptor(last)[0], status)
    }
}
