//! The transmit ring in two halves: a sender that pushes and rings, a cleaner that takes finished chunks home.
//!
//! They may live in two contexts at once (Linux: xmit under the queue lock, NAPI poll), and meet in two counters, each
//! stored once a batch: no lock, no locked instruction. One report-status request per batch of up to 64 descriptors:
//! completion costs one descriptor read per batch, not per frame.

mod clean;

pub use self::clean::TxCleaner;
use crate::descriptors::{TxData, TxStatus};
use crate::lines::{Line, Lines};
use crate::offload::{Contexts, FRAME_MAX, FRAME_MIN, PIECE_MAX, PLAIN, Plan, REST};
use crate::{
    Chunk, Coherent, Dma, Domain, Error, Quarantine, RxChain, TxAbilities, TxOffload, after, chunk::discard,
    distance, ring_len,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::*};

const COMMAND: u64 = PLAIN.into_bits();
const EOP: u64 = TxData::new().with_eop(true).into_bits();
const RS: u64 = TxData::new().with_rs(true).into_bits();
const DD: u64 = TxStatus::new().with_dd(true).into_bits();
/// A batch of more descriptors than this reports in several parts, so that what is sent comes home meanwhile.
const REPORT_EVERY: u32 = 64;

/// A batch, kept at its first index: the index of its last descriptor, the one that reports; whether it has slots of
/// other kinds than [`FRAME`]; its bytes.
const LAST: u64 = 0xffff;
const MIXED: u64 = 1 << 31;
const BYTES: u32 = 32;

/// Kinds of slots. The chunk of a frame, or the last chunk of one: what every slot of an unmixed batch is.
const FRAME: u8 = 0;
/// A chunk of a frame that goes on behind it.
const PIECE: u8 = 1;
/// No chunk: a context descriptor, or a part of a chunk that stands further on.
const BARE: u8 = 2;

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
    batches: Lines<AtomicU64>,
    kinds: Lines<AtomicU8>,
    from: u32, // full slots, set when the ring is dropped
    to: u32,
}
// SAFETY: a slot belongs to the sender outside [cleaner, used) and to the cleaner inside; the two counters hand it over.
unsafe impl<C: Chunk> Sync for Shared<C> {}
// SAFETY: owns chunks that are Send.
unsafe impl<C: Chunk> Send for Shared<C> {}
// SAFETY: as above.
unsafe impl<C: Send> Send for Held<C> {}

/// Why a frame of several parts was not queued. It is still its owner's.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too few descriptors are free: later.
    #[error("too few transmit descriptors are free: clean the ring and try again")]
    NoRoom,
    /// The device cannot send that, now or later: too short or too long, an empty part, foreign memory, or an offload
    /// that does not fit the frame or the chip.
    #[error(
        "the device cannot send this frame: its length, a part's memory or what is asked for it does not fit"
    )]
    Unsendable,
}

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
    next_to_use: u32, // `len` for a moment, at the ring's end
    stop: u32,        // where next_to_use has to think: at the limit or at the ring's end
    limit: u32,       // full when next_to_use is here
    batch: u32,       // where the batch begins that is being pushed,
    bytes: u32,       // its bytes,
    others: u32,      // and how many of its slots are no `FRAME`
    flushed: u64,
    frames: u64,
    contexts: Contexts,
}
// SAFETY: the pointers go into `ring`, which it keeps alive and which is Sync.
unsafe impl<C: Chunk> Send for TxSender<C> {}

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
        batches: Lines::new(len as usize, AtomicU64::default),
        kinds: Lines::new(len as usize, || AtomicU8::new(FRAME)),
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
    let cleaner = TxCleaner { ring: ring.clone(), next_to_clean: 0, bytes: 0 };
    let sender = TxSender {
        ring,
        descriptors,
        slots,
        len,
        domain,
        next_to_use: 0,
        stop: len - 1,
        limit: len - 1,
        batch: 0,
        bytes: 0,
        others: 0,
        flushed: 0,
        frames: 0,
        contexts: Contexts::default(),
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

    /// What this queue of this chip can do; without a word, all that any chip can, in contexts 0 and 1.
    pub fn set_abilities(&mut self, abilities: TxAbilities) {
        self.contexts = Contexts::new(abilities);
    }

    /// How many descriptors are free. A frame takes one for each chunk (of at most 32 KiB), and one more for a context
    /// that the device does not have yet.
    pub fn room(&mut self) -> u32 {
        self.look();
        distance(self.next_to_use, self.limit, self.len)
    }

    /// Nothing is pushed that was not flushed?
    pub fn is_flushed(&self) -> bool {
        self.batch == self.next_to_use
    }

    /// Bytes that were flushed since the ring was made. Less [`TxCleaner::bytes`], those on their way: what a limit of
    /// bytes in the queue is about.
    pub fn bytes(&self) -> u64 {
        self.flushed
    }

    /// Frames that were flushed since the ring was made.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Looks how far cleaning is.
    #[cold]
    fn look(&mut self) {
        let cleaned = self.ring.cleaner.0.load(Acquire); // the slots before it
        self.limit = before(cleaned, self.len);
        self.wrap();
    }

    /// The next index as others know it, and where the next thought is due.
    #[inline]
    fn wrap(&mut self) {
        if self.next_to_use == self.len {
            self.next_to_use = 0;
        }
        self.stop = if self.limit >= self.next_to_use { self.limit } else { self.len };
    }

    /// At the stop: is the ring full?
    #[cold]
    fn full(&mut self) -> bool {
        self.wrap();
        if self.next_to_use == self.limit {
            self.look();
        }
        self.next_to_use == self.limit
    }

    /// Looks for room, further than at what is known only where that is too little.
    fn has_room(&mut self, need: u32) -> bool {
        self.wrap();
        distance(self.next_to_use, self.limit, self.len) >= need || self.room() >= need
    }

    /// One frame in one chunk. It comes back if the ring is full (see [`room`](Self::room)), its memory is unknown to
    /// this device, or the device cannot send it: less than 17 bytes, or more than 9,724.
    #[inline]
    pub fn push(&mut self, chunk: C) -> Result<(), C> {
        let full = self.next_to_use == self.stop && self.full();
        if full || !sendable(&chunk, self.domain) {
            return Err(chunk);
        }
        self.bytes += u32::from(chunk.len());
        let used = self.next_to_use;
        self.parts().put(used, chunk);
        self.next_to_use = used + 1;
        Ok(())
    }

    /// One frame in one chunk, and what the device does to it. A context descriptor goes before it where the device does
    /// not have that context yet. It comes back as from [`push`](Self::push), or when what is asked does not fit the frame
    /// or the chip (see [`TxOffload::context`]).
    pub fn push_with(&mut self, chunk: C, offload: &TxOffload) -> Result<(), C> {
        let len = u32::from(chunk.len());
        match self.admit(len, pieces(len), chunk.domain() == self.domain, offload) {
            Ok(plan) => {
                self.write_frame(&plan, core::iter::once(chunk), len);
                Ok(())
            }
            Err(_) => Err(chunk),
        }
    }

    /// One frame in several chunks, in order. They are gone from `chunks` afterwards, which keeps its allocation; one
    /// report gives all of them home.
    ///
    /// ```
    /// use igb_ring::{Arena, Exclusive, Memory, Pool, TxOffload, tx};
    /// # let dma = Arena::anonymous(1 << 20, 0)?;
    /// # let mut memory = Pool::new(&dma, 128, 2304)?.local();
    /// let (mut sender, mut cleaner) = tx::ring(&dma, 64)?;
    /// let mut parts = vec![memory.take().unwrap(), memory.take().unwrap()];
    /// parts[0].set(b"destinationsource08");
    /// parts[1].set(&[0; 1000]);
    /// sender.push_gather(&mut parts, &TxOffload::default()).expect("there is room");
    /// assert!(parts.is_empty() && sender.room() == 61);
    /// # cleaner.reclaim(&mut sender, drop);
    /// # Ok::<(), igb_ring::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Refused`], with `chunks` as they were.
    pub fn push_gather(&mut self, chunks: &mut Vec<C>, offload: &TxOffload) -> Result<(), Refused> {
        let (mut total, mut need, mut good) = (0u32, 0u32, true);
        for chunk in chunks.iter() {
            let len = u32::from(chunk.len());
            good &= len != 0 && chunk.domain() == self.domain;
            total = total.saturating_add(len);
            need = need.saturating_add(pieces(len));
        }
        let plan = self.admit(total, need, good, offload)?;
        self.write_frame(&plan, chunks.drain(..), total);
        Ok(())
    }

    /// A received frame over several chunks, sent as it came. Its chunks are gone from the chain then.
    ///
    /// # Errors
    /// [`Refused`], with the chain as it was.
    pub fn push_chain(&mut self, chain: &mut RxChain<'_, C>) -> Result<(), Refused> {
        let (total, count) = (chain.bytes_len(), chain.remaining());
        // No piece is longer than a receive buffer, and none is empty.
        let good = (0..count)
            .filter_map(|n| chain.get(n))
            .all(|chunk| chunk.domain() == self.domain && chunk.len() != 0);
        let plan = self.admit(total, count, good, &TxOffload::default())?;
        self.write_frame(&plan, chain, total);
        Ok(())
    }

    /// One frame out of parts of one chunk, in order: `parts` are ranges of its data. They may overlap.
    ///
    /// # Errors
    /// The chunk, as from [`push_with`](Self::push_with), or if a range is empty or not inside the data.
    pub fn push_parts(&mut self, chunk: C, parts: &[Range<u16>], offload: &TxOffload) -> Result<(), C> {
        let (mut total, mut need, mut good) = (0u32, 0u32, chunk.domain() == self.domain);
        for part in parts {
            good &= part.start < part.end && part.end <= chunk.len();
            let len = u32::from(part.end.saturating_sub(part.start));
            total = total.saturating_add(len);
            need = need.saturating_add(pieces(len));
        }
        let Ok(plan) = self.admit(total, need, good, offload) else { return Err(chunk) };
        chunk.for_device(chunk.len());
        let (at, mut word, mut used) = (self.parts(), plan.data, self.begin(&plan, total));
        let last = parts.len().saturating_sub(1);
        for (n, part) in parts.iter().enumerate() {
            let span = (chunk.iova() + u64::from(part.start), u32::from(part.end - part.start));
            used = self.write_span(&at, used, span, &mut word, &plan, n == last);
            self.mark(before(used, self.len), if n == last { FRAME } else { BARE });
        }
        at.keep(before(used, self.len), chunk); // where its frame ends
        self.next_to_use = used;
        self.wrap();
        Ok(())
    }

    /// Whether a frame may go, and how.
    fn admit(&mut self, total: u32, pieces: u32, good: bool, offload: &TxOffload) -> Result<Plan, Refused> {
        let plan = self.contexts.plan(offload, total).filter(|_| good && pieces < self.len - 1);
        let plan = plan.ok_or(Refused::Unsendable)?;
        if !self.has_room(pieces + u32::from(plan.context.is_some())) {
            return Err(Refused::NoRoom);
        }
        Ok(plan)
    }

    /// Puts the context there, if there is one, and says where the data begins.
    fn begin(&mut self, plan: &Plan, total: u32) -> u32 {
        self.bytes += total;
        let used = self.next_to_use;
        let Some(context) = plan.context else { return used };
        let words = self.parts().descriptor(used);
        words[0].store(context[0].to_le(), Relaxed);
        words[1].store(context[1].to_le(), Relaxed);
        self.mark(used, BARE);
        self.contexts.remember(plan);
        after(used, self.len)
    }

    /// Handed over with `used`.
    fn mark(&mut self, index: u32, kind: u8) {
        self.ring.held.kinds[index as usize].store(kind, Relaxed);
        self.others += u32::from(kind != FRAME);
    }

    /// The frame's descriptors. There is room, and nothing is wrong with it.
    fn write_frame(&mut self, plan: &Plan, chunks: impl Iterator<Item = C>, total: u32) {
        let (at, mut word, mut used) = (self.parts(), plan.data, self.begin(plan, total));
        let mut left = total;
        for chunk in chunks {
            let len = u32::from(chunk.len());
            left -= len;
            chunk.for_device(chunk.len());
            used = self.write_span(&at, used, (chunk.iova(), len), &mut word, plan, left == 0);
            let end = before(used, self.len);
            self.mark(end, if left == 0 { FRAME } else { PIECE });
            at.keep(end, chunk);
        }
        self.next_to_use = used;
        self.wrap();
    }

    /// Descriptors for one span of memory; what the last one's slot holds is the caller's to say. `word` is what the next
    /// one says besides its length.
    fn write_span(
        &mut self,
        at: &Parts<C>,
        mut used: u32,
        (mut address, mut len): (u64, u32),
        word: &mut u64,
        plan: &Plan,
        ends: bool,
    ) -> u32 {
        while len != 0 {
            let n = len.min(PIECE_MAX);
            len -= n;
            let end = if ends && len == 0 { EOP } else { 0 };
            at.describe(used, address, *word | end | u64::from(n));
            if len != 0 {
                self.mark(used, BARE);
            }
            *word = plan.data & REST;
            address += u64::from(n);
            used = after(used, self.len);
        }
        used
    }

    /// Pushes what `next` yields while there is room, at most `budget`, and says how many: the loop form of
    /// [`push`](Self::push), with the ring in registers. Frames that `push` would give back are dropped.
    #[inline]
    pub fn fill(&mut self, budget: u32, mut next: impl FnMut() -> Option<C>) -> u32 {
        self.wrap();
        if distance(self.next_to_use, self.limit, self.len) < budget {
            self.look();
        }
        let (at, from) = (self.parts(), self.next_to_use);
        let end = at.step(from, budget.min(distance(from, self.limit, self.len)));
        let mut turn = Turn {
            used: from,
            bytes: self.bytes,
            to: (&mut self.next_to_use, &mut self.stop, &mut self.bytes),
        };
        'all: while turn.used != end {
            let stop = if end > turn.used { end } else { at.len };
            while turn.used != stop {
                let Some(chunk) = next() else { break 'all };
                if !sendable(&chunk, at.domain) {
                    discard(chunk);
                    continue;
                }
                turn.bytes += u32::from(chunk.len());
                at.put(turn.used, chunk);
                turn.used += 1;
            }
            if turn.used == at.len {
                turn.used = 0;
            }
        }
        distance(from, turn.used, at.len)
    }

    #[inline]
    fn parts(&self) -> Parts<C> {
        Parts { descriptors: self.descriptors, slots: self.slots, len: self.len, domain: self.domain }
    }

    /// One report (one for each 64 descriptors) and one doorbell for all that was pushed since the last: `bell` writes
    /// TDT.
    #[inline]
    pub fn flush(&mut self, bell: impl FnOnce(u32)) {
        if self.batch == self.next_to_use {
            return;
        }
        self.wrap();
        let end = self.next_to_use;
        if distance(self.batch, end, self.len) > REPORT_EVERY {
            self.divide();
        }
        self.report(end, self.bytes);
        self.frames -= u64::from(self.others);
        (self.others, self.bytes) = (0, 0);
        let sender = &self.ring.sender.0;
        sender.live.store(true, Relaxed);
        sender.used.store(end, Release); // slots, descriptors and batches, for the cleaner
        bell(end);
    }

    /// Ends a batch before `end`, and begins the next there.
    #[inline]
    fn report(&mut self, end: u32, bytes: u32) {
        let last = before(end, self.len);
        let word = &self.parts().descriptor(last)[1];
        word.store(word.load(Relaxed) | RS.to_le(), Relaxed); // still ours: the device's end is the tail
        let mixed = if self.others != 0 { MIXED } else { 0 };
        let batch = u64::from(last) | mixed | u64::from(bytes) << BYTES;
        // SAFETY: an index of the ring, which has as many batches.
        let at = unsafe { self.ring.held.batches.first().add(self.batch as usize) };
        // SAFETY: the ring keeps them alive.
        unsafe { at.as_ref() }.store(batch, Relaxed);
        self.flushed += u64::from(bytes);
        self.frames += u64::from(distance(self.batch, end, self.len));
        self.batch = end;
    }

    /// A long batch becomes several, each of whole frames.
    #[cold]
    #[inline(never)]
    fn divide(&mut self) {
        let (at, mut index, mut n, mut bytes) = (self.parts(), self.batch, 0, 0u32);
        while index != self.next_to_use {
            let word = TxData::from_bits(u64::from_le(at.descriptor(index)[1].load(Relaxed)));
            index = after(index, self.len);
            n += 1;
            if word.dtyp() == TxData::DTYP_DATA {
                bytes += u32::from(word.dtalen());
            }
            if n >= REPORT_EVERY && word.eop() && index != self.next_to_use {
                let bytes = core::mem::take(&mut bytes).min(self.bytes);
                self.report(index, bytes);
                self.bytes -= bytes;
                n = 0;
            }
        }
    }
}

/// Descriptors that a span of `len` bytes takes.
fn pieces(len: u32) -> u32 {
    len.div_ceil(PIECE_MAX)
}

/// The position before another on a circle of `len`.
#[inline]
fn before(index: u32, len: u32) -> u32 {
    if index == 0 { len - 1 } else { index - 1 }
}

/// One check for both ends of the length.
#[inline]
fn sendable<C: Chunk>(chunk: &C, domain: Domain) -> bool {
    let len = u64::from(chunk.len()); // wider than the field: no instruction to cut it back
    len.wrapping_sub(u64::from(FRAME_MIN)) <= u64::from(FRAME_MAX - FRAME_MIN) && chunk.domain() == domain
}

/// What a loop has in registers, put back when it ends, also by a panic.
struct Turn<'a> {
    used: u32,
    bytes: u32,
    to: (&'a mut u32, &'a mut u32, &'a mut u32),
}

impl Drop for Turn<'_> {
    #[inline(always)] // see `rx`
    fn drop(&mut self) {
        // The next push thinks first.
        (*self.to.0, *self.to.1, *self.to.2) = (self.used, self.used, self.bytes);
    }
}

/// The ring's constants, copied so that a loop keeps them in registers.
struct Parts<C> {
    descriptors: NonNull<[AtomicU64; 2]>,
    slots: NonNull<UnsafeCell<MaybeUninit<C>>>,
    len: u32,
    domain: Domain,
}

impl<C: Chunk> Parts<C> {
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
    fn describe(&self, index: u32, address: u64, command: u64) {
        let words = self.descriptor(index);
        words[0].store(address.to_le(), Relaxed);
        words[1].store(command.to_le(), Relaxed);
    }
    /// A frame in one chunk that may be sent; there is room.
    #[inline]
    fn put(&self, index: u32, chunk: C) {
        let len = u64::from(chunk.len());
        chunk.for_device(chunk.len());
        self.describe(index, chunk.iova(), len << 46 | COMMAND | len);
        self.keep(index, chunk);
    }
    #[inline]
    fn keep(&self, index: u32, chunk: C) {
        // SAFETY: indices stay below the length.
        let slot = unsafe { self.slots.add(index as usize) };
        // SAFETY: a slot's memory outlives the ring's methods.
        let cell = unsafe { slot.as_ref() };
        // SAFETY: the slot is free, by `limit`, and the sender's.
        unsafe { cell.get().write(MaybeUninit::new(chunk)) };
    }
}

impl<C: Chunk> Shared<C> {
    #[inline]
    fn after(&self, index: u32) -> u32 {
        after(index, self.len)
    }

    /// What kind of slot it was; it is of the usual one from now on.
    fn kind(&self, index: u32) -> u8 {
        let kind = &self.held.kinds[index as usize];
        let was = kind.load(Relaxed);
        kind.store(FRAME, Relaxed);
        was
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

impl<C: Chunk> TxSender<C> {
    /// Takes back what was pushed and never flushed: the device does not know of it.
    fn forsake(&mut self, give: &mut impl FnMut(C)) {
        self.wrap();
        let end = core::mem::replace(&mut self.next_to_use, self.batch);
        (self.others, self.bytes) = (0, 0);
        self.contexts.forget();
        self.wrap();
        let mut at = self.batch;
        while at != end {
            let i = at;
            at = self.ring.after(i);
            if self.ring.kind(i) != BARE {
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

impl<C> Drop for Held<C> {
    fn drop(&mut self) {
        while self.from != self.to {
            let at = self.from as usize;
            self.from = if at + 1 == self.slots.len() { 0 } else { self.from + 1 };
            if self.kinds[at].load(Relaxed) != BARE {
                // SAFETY: slots between the two are full, bare ones apart; this one just left that range.
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
