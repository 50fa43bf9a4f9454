//! The transmit ring in two halves: a sender that pushes and rings, a cleaner that takes finished chunks home.
//!
//! They may live in two contexts at once (Linux: xmit under the queue lock, NAPI poll), and meet in two counters, each
//! stored once a batch: no lock, no locked instruction. One report-status request per batch: completion costs one
//! descriptor read per batch, not per frame.

use crate::descriptors::{TxData, TxStatus};
use crate::lines::{Line, Lines};
use crate::offload::{FRAME_MAX, FRAME_MIN, PLAIN};
use crate::{
    Chunk, Coherent, Dma, Domain, Error, Quarantine, TxOffload, after, chunk::discard, distance, ring_len,
};
use alloc::{boxed::Box, sync::Arc};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*, fence};

const COMMAND: u64 = PLAIN.into_bits();
const RS: u64 = TxData::new().with_rs(true).into_bits();
const DD: u64 = TxStatus::new().with_dd(true).into_bits();
/// In `last`: the batch has context descriptors, whose slots hold no chunk.
const CONTEXTS: u32 = 1 << 31;

struct Shared<C: Chunk> {
    held: ManuallyDrop<Held<C>>, // taken in drop only
    len: u32,
    quarantine: Option<Quarantine>,
    sender: Line<FromSender>,
    cleaner: Line<AtomicU32>, // where cleaning stands: slots before it are the sender's
}

/// Written by the sender, once a batch.
struct FromSender {
    used: AtomicU32, // whole batches told to the device end here
    live: AtomicBool,
}

/// What the device may still use.
struct Held<C> {
    mem: Coherent,
    slots: Lines<UnsafeCell<MaybeUninit<C>>>,
    last: Lines<AtomicU32>, // at a batch's first index: its last, the one that reports
    context: Lines<AtomicBool>, // the slot belongs to a context descriptor
    from: u32,              // full slots, set when the ring is dropped
    to: u32,
}
// SAFETY: a slot belongs to the sender outside [cleaner, used) and to the cleaner inside; the two counters hand it over.
unsafe impl<C: Chunk> Sync for Shared<C> {}
// SAFETY: owns chunks that are Send.
unsafe impl<C: Chunk> Send for Shared<C> {}
// SAFETY: as above.
unsafe impl<C: Send> Send for Held<C> {}

/// The sending half: pushes frames and rings the bell.
///
/// ```
/// use igb_ring::{Arena, Chunk, Exclusive, Memory, Pool, tx};
/// let dma = Arena::anonymous(1 << 20, 0)?;
/// let mut memory = Pool::new(&dma, 128, 2304)?.local();
/// let (mut sender, mut cleaner) = tx::ring(&dma, 64)?;
///
/// let mut frame = memory.take().expect("the pool is full");
/// frame.set(&[0xff; 60]);
/// sender.push(frame).expect("the ring is empty");
/// let mut tdt = 0;
/// sender.flush(|tail| tdt = tail);
///
/// // The device reads the descriptor, sends, and reports.
/// let (base, _) = sender.base();
/// let command = dma.read64(base + 8).unwrap();
/// assert_eq!((tdt, command & 0xffff), (1, 60));
/// dma.write64(base + 8, command | 1 << 32);
///
/// assert_eq!(cleaner.clean(|chunk| memory.give(chunk)), 1);
/// cleaner.reclaim(&mut sender, |chunk| memory.give(chunk));
/// # Ok::<(), igb_ring::Error>(())
/// ```
#[repr(align(128))]
pub struct TxSender<C: Chunk> {
    ring: Arc<Shared<C>>,
    descriptors: NonNull<[AtomicU64; 2]>, // of `ring`, one load nearer
    slots: NonNull<UnsafeCell<MaybeUninit<C>>>,
    len: u32,
    domain: Domain,
    next_to_use: u32,
    batch: u32, // where the batch begins that is being pushed
    limit: u32, // full when next_to_use is here
    contexts: bool,
    index: u8,
}
// SAFETY: the pointers go into `ring`, which it keeps alive and which is Sync.
unsafe impl<C: Chunk> Send for TxSender<C> {}

/// The cleaning half: takes home what the device has sent.
#[repr(align(128))]
pub struct TxCleaner<C: Chunk> {
    ring: Arc<Shared<C>>,
    next_to_clean: u32,
}

/// A transmit ring of `len` descriptors, 64 to 4,096 and a multiple of 8.
///
/// # Errors
/// [`Error::RingLength`], [`Error::RingMultiple`], [`Error::NoMemory`].
pub fn ring<C: Chunk, D: Dma + Clone + Send + Sync + 'static>(
    dma: &D,
    len: u32,
) -> Result<(TxSender<C>, TxCleaner<C>), Error> {
    build(dma, len, None)
}

/// The same; when both halves are dropped while it is live, its memory goes to `quarantine`.
///
/// # Errors
/// As for [`ring`].
pub fn ring_with_quarantine<C: Chunk, D: Dma + Clone + Send + Sync + 'static>(
    dma: &D,
    len: u32,
    quarantine: &Quarantine,
) -> Result<(TxSender<C>, TxCleaner<C>), Error> {
    build(dma, len, Some(quarantine.clone()))
}

fn build<C: Chunk, D: Dma + Clone + Send + Sync + 'static>(
    dma: &D,
    len: u32,
    quarantine: Option<Quarantine>,
) -> Result<(TxSender<C>, TxCleaner<C>), Error> {
    let len = ring_len(len)?;
    let held = Held {
        mem: Coherent::new(dma, len as usize * 16, 128)?,
        slots: Lines::new(len as usize, || UnsafeCell::new(MaybeUninit::uninit())),
        last: Lines::new(len as usize, AtomicU32::default),
        context: Lines::new(len as usize, AtomicBool::default),
        from: 0,
        to: 0,
    };
    let (descriptors, slots, domain) = (held.mem.descriptors(), held.slots.first(), held.mem.domain());
    let ring = Arc::new(Shared {
        held: ManuallyDrop::new(held),
        len,
        quarantine,
        sender: Line(FromSender { used: AtomicU32::new(0), live: AtomicBool::new(false) }),
        cleaner: Line(AtomicU32::new(0)),
    });
    let cleaner = TxCleaner { ring: ring.clone(), next_to_clean: 0 };
    let sender = TxSender {
        ring,
        descriptors,
        slots,
        len,
        domain,
        next_to_use: 0,
        batch: 0,
        limit: len - 1,
        contexts: false,
        index: 0,
    };
    Ok((sender, cleaner))
}

impl<C: Chunk> TxSender<C> {
    /// Where the ring is for the device, and how many bytes: TDBAL with TDBAH, and TDLEN.
    pub fn base(&self) -> (u64, u32) {
        (self.ring.held.mem.iova(), self.len * 16)
    }

    /// Descriptors.
    #[allow(clippy::len_without_is_empty)] // see `room`
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Which context of the device this ring uses: 0, except on 82575, where two queues share the contexts and each
    /// uses its own number.
    pub fn set_context_index(&mut self, index: u8) {
        self.index = index & 7;
    }

    /// How many descriptors are free. A frame takes one, or two with a context.
    pub fn room(&mut self) -> u32 {
        self.full();
        distance(self.next_to_use, self.limit, self.len)
    }

    /// Frames pushed and not yet flushed?
    pub fn is_flushed(&self) -> bool {
        self.batch == self.next_to_use
    }

    #[cold]
    fn full(&mut self) -> bool {
        let cleaned = self.ring.cleaner.0.load(Acquire); // the slots before it
        self.limit = if cleaned == 0 { self.len - 1 } else { cleaned - 1 };
        self.next_to_use == self.limit
    }

    /// One frame in one chunk. It comes back if the ring is full (see [`room`](Self::room)), its memory is unknown to
    /// this device, or the device cannot send it: less than 17 bytes, or more than 9,724.
    #[inline]
    pub fn push(&mut self, chunk: C) -> Result<(), C> {
        let full = self.next_to_use == self.limit && self.full();
        if full || !sendable(&chunk, self.domain) {
            return Err(chunk);
        }
        let mut used = self.next_to_use;
        self.parts().put(&mut used, chunk);
        self.next_to_use = used;
        Ok(())
    }

    /// One frame, and what the device does to it. A context descriptor goes before it where one is needed. It comes back
    /// as from [`push`](Self::push), or when what is asked does not fit the frame (see [`TxOffload::context`]).
    pub fn push_with(&mut self, chunk: C, offload: &TxOffload) -> Result<(), C> {
        let need = if offload.needs_context() { 2 } else { 1 };
        let (Some((headers, context)), Some(data)) =
            (offload.context(self.index), offload.data(chunk.len(), self.index))
        else {
            return Err(chunk);
        };
        if chunk.domain() != self.domain || self.room() < need {
            return Err(chunk);
        }
        let at = self.parts();
        let mut used = self.next_to_use;
        if need == 2 {
            let words = at.descriptor(used);
            words[0].store(headers.into_bits().to_le(), Relaxed);
            words[1].store(context.into_bits().to_le(), Relaxed);
            self.ring.held.context[used as usize].store(true, Relaxed); // handed over with `used`
            self.contexts = true;
            used = at.after(used);
        }
        at.write(&mut used, chunk, data.into_bits());
        self.next_to_use = used;
        Ok(())
    }

    /// Pushes what `next` yields while there is room, at most `budget`, and says how many: the loop form of
    /// [`push`](Self::push), with the ring in registers. Frames that `push` would give back are dropped.
    #[inline]
    pub fn fill(&mut self, budget: u32, mut next: impl FnMut() -> Option<C>) -> u32 {
        if distance(self.next_to_use, self.limit, self.len) < budget {
            self.full();
        }
        let (at, from) = (self.parts(), self.next_to_use);
        let mut used = from;
        let end = at.step(used, budget.min(distance(used, self.limit, self.len)));
        while used != end {
            let Some(chunk) = next() else { break };
            if !sendable(&chunk, at.domain) {
                discard(chunk);
                continue;
            }
            at.put(&mut used, chunk);
            self.next_to_use = used;
        }
        distance(from, used, at.len)
    }

    #[inline]
    fn parts(&self) -> Parts<C> {
        Parts { descriptors: self.descriptors, slots: self.slots, len: self.len, domain: self.domain }
    }

    /// One report and one doorbell for all that was pushed since the last: `bell` writes TDT.
    #[inline]
    pub fn flush(&mut self, bell: impl FnOnce(u32)) {
        if self.batch == self.next_to_use {
            return;
        }
        let at = self.parts();
        let last = if self.next_to_use == 0 { self.len - 1 } else { self.next_to_use - 1 };
        let word = &at.descriptor(last)[1];
        word.store(word.load(Relaxed) | RS.to_le(), Relaxed); // still ours: the device's end is the tail
        let contexts = if self.contexts { CONTEXTS } else { 0 };
        self.contexts = false;
        let ring = &*self.ring;
        ring.held.last[self.batch as usize].store(last | contexts, Relaxed);
        ring.sender.0.live.store(true, Relaxed);
        ring.sender.0.used.store(self.next_to_use, Release); // slots, descriptors and `last`, for the cleaner
        self.batch = self.next_to_use;
        bell(self.next_to_use);
    }
}

/// One check for both ends of the length.
#[inline]
fn sendable<C: Chunk>(chunk: &C, domain: Domain) -> bool {
    let len = u64::from(chunk.len()); // wider than the field: no instruction to cut it back
    len.wrapping_sub(u64::from(FRAME_MIN)) <= u64::from(FRAME_MAX - FRAME_MIN) && chunk.domain() == domain
}

/// The ring's constants, copied so that a loop keeps them in registers.
struct Parts<C> {
    descriptors: NonNull<[AtomicU64; 2]>,
    slots: NonNull<UnsafeCell<MaybeUninit<C>>>,
    len: u32,
    domain: Domain,
}

impl<C: Chunk> Parts<C> {
    #[inline]
    fn after(&self, index: u32) -> u32 {
        after(index, self.len)
    }
    /// `n` is less than the ring's length.
    #[inline]
    fn step(&self, index: u32, n: u32) -> u32 {
        if index + n >= self.len { index + n - self.len } else { index + n }
    }
    #[inline]
    fn descriptor<'a>(&self, index: u32) -> &'a [AtomicU64; 2] {
        // SAFETY: indices stay below the length, and the memory has that many.
        let at = unsafe { self.descriptors.add(index as usize) };
        // SAFETY: zeroed, aligned, seen as atomics only; the ring outlives its methods, where 'a ends.
        unsafe { at.as_ref() }
    }
    #[inline]
    fn put(&self, used: &mut u32, chunk: C) {
        let len = u64::from(chunk.len());
        self.write(used, chunk, len << 46 | COMMAND | len);
    }
    /// There is room, and the chunk may be sent.
    #[inline]
    fn write(&self, used: &mut u32, chunk: C, command: u64) {
        chunk.for_device(chunk.len());
        let words = self.descriptor(*used);
        words[0].store(chunk.iova().to_le(), Relaxed);
        words[1].store(command.to_le(), Relaxed);
        // SAFETY: indices stay below the length.
        let slot = unsafe { self.slots.add(*used as usize) };
        // SAFETY: a slot's memory outlives the ring's methods.
        let cell = unsafe { slot.as_ref() };
        // SAFETY: the slot is free, by `limit`, and the sender's.
        unsafe { cell.get().write(MaybeUninit::new(chunk)) };
        *used = self.after(*used);
    }
}

impl<C: Chunk> Shared<C> {
    #[inline]
    fn after(&self, index: u32) -> u32 {
        after(index, self.len)
    }
}

/// Takes the chunk out of a full slot.
///
/// # Safety
/// The index is inside the ring, the slot is full and the caller's, and he forgets it in the same breath.
#[inline]
unsafe fn take<C>(slots: NonNull<UnsafeCell<MaybeUninit<C>>>, index: u32) -> C {
    // SAFETY: inside the ring.
    let slot = unsafe { slots.add(index as usize) };
    // SAFETY: the caller's slot; `UnsafeCell` is transparent.
    let value = unsafe { slot.cast::<MaybeUninit<C>>().read() };
    // SAFETY: it is full.
    unsafe { value.assume_init() }
}

impl<C: Chunk> TxCleaner<C> {
    /// Gives home what the device reports as sent, and says how many frames that were.
    #[inline]
    pub fn clean(&mut self, mut give: impl FnMut(C)) -> u32 {
        let (ring, next_to_clean) = (&*self.ring, &mut self.next_to_clean);
        let (slots, len) = (ring.held.slots.first(), ring.len);
        let used = ring.sender.0.used.load(Acquire);
        let (from, mut clean, mut contexts) = (*next_to_clean, *next_to_clean, 0);
        while clean != used {
            let last = ring.held.last[clean as usize].load(Relaxed);
            // SAFETY: `last` was an index of the ring, written by the sender.
            let report = unsafe { ring.held.mem.descriptors().add((last & !CONTEXTS) as usize) };
            // SAFETY: zeroed, aligned, seen as atomics only.
            let report = &unsafe { report.as_ref() }[1];
            if u64::from_le(report.load(Relaxed)) & DD == 0 {
                break;
            }
            fence(Acquire); // the device has read what it says it has read
            let end = ring.after(last & !CONTEXTS);
            if last & CONTEXTS != 0 {
                contexts += mixed(ring, next_to_clean, end, &mut give);
                clean = end;
                continue;
            }
            while clean != end {
                // SAFETY: inside [next_to_clean, used), each read once.
                let chunk = unsafe { take(slots, clean) };
                clean = after(clean, len);
                *next_to_clean = clean; // before a callback that may panic
                give(chunk);
            }
        }
        if from != clean {
            ring.cleaner.0.store(clean, Release); // the slots, for the sender
        }
        distance(from, clean, ring.len) - contexts
    }

    /// Descriptors that were flushed and are not yet cleaned.
    pub fn pending(&self) -> u32 {
        distance(self.next_to_clean, self.ring.sender.0.used.load(Acquire), self.ring.len)
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
        mixed(&self.ring, &mut self.next_to_clean, sender.next_to_use, &mut |chunk: C| {
            chunk.for_cpu(chunk.len()); // so that it can be sent again
            give(chunk);
        });
        self.next_to_clean = 0;
        (sender.next_to_use, sender.batch, sender.limit) = (0, 0, sender.len - 1);
        self.ring.sender.0.used.store(0, Relaxed);
        self.ring.sender.0.live.store(false, Relaxed);
        self.ring.cleaner.0.store(0, Release);
    }
}

/// Cleans slots among which some are context descriptors'; says how many those were.
#[inline(never)]
fn mixed<C: Chunk>(ring: &Shared<C>, clean: &mut u32, end: u32, give: &mut impl FnMut(C)) -> u32 {
    let mut contexts = 0;
    while *clean != end {
        let i = *clean;
        *clean = ring.after(i); // before a callback that may panic
        if ring.held.context[i as usize].load(Relaxed) {
            ring.held.context[i as usize].store(false, Relaxed);
            contexts += 1;
        } else {
            // SAFETY: inside [next_to_clean, used), each read once.
            give(unsafe { take(ring.held.slots.first(), i) });
        }
    }
    contexts
}

impl<C: Chunk> TxSender<C> {
    /// Takes back what was pushed and never flushed: the device does not know of it.
    fn forsake(&mut self, give: &mut impl FnMut(C)) {
        let end = self.next_to_use;
        self.next_to_use = self.batch;
        self.contexts = false;
        let mut at = self.batch;
        while at != end {
            let i = at;
            at = self.ring.after(i);
            if !self.ring.held.context[i as usize].swap(false, Relaxed) {
                // SAFETY: pushed by us and handed to nobody; `next_to_use` no longer counts it.
                give(unsafe { take(self.slots, i) });
            }
        }
    }
}

impl<C: Chunk> Drop for TxSender<C> {
    fn drop(&mut self) {
        self.forsake(&mut drop);
    }
}

impl<C: Chunk> Drop for TxCleaner<C> {
    fn drop(&mut self) {
        self.ring.cleaner.0.store(self.next_to_clean, Release); // also after a callback that panicked
    }
}

impl<C> Drop for Held<C> {
    fn drop(&mut self) {
        while self.from != self.to {
            let at = self.from as usize;
            self.from = if at + 1 == self.slots.len() { 0 } else { self.from + 1 };
            if !self.context[at].load(Relaxed) {
                // SAFETY: slots between the two are full, contexts apart; this one just left that range.
                unsafe { self.slots.as_mut()[at].get_mut().assume_init_drop() }
            }
        }
    }
}

impl<C: Chunk> Drop for Shared<C> {
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let mut held = unsafe { ManuallyDrop::take(&mut self.held) };
        (held.from, held.to) = (*self.cleaner.0.get_mut(), *self.sender.0.used.get_mut());
        match self.quarantine.take() {
            _ if !*self.sender.0.live.get_mut() => drop(held),
            Some(quarantine) => quarantine.keep(Box::new(held)),
            None => core::mem::forget(held), // nobody said that the device has stopped: it keeps chunks and ring
        }
    }
}

impl<C: Chunk> fmt::Debug for TxSender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("TxSender");
        s.field("base", &self.base()).field("next_to_use", &self.next_to_use).finish_non_exhaustive()
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
