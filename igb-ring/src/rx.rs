//! The receive ring: post chunks, take them back with what the device wrote. One owner, no atomic but the descriptors.
//!
//! Every slot has a chunk, and the device is told of all but one: head = tail means "nothing" to it. So a frame that the
//! callback gives back is posted where it came from, and its slot need not be written.

mod chain;

use self::chain::{Judged, Odd};
use crate::descriptors::RxStatus;
use crate::lines::Lines;
use crate::{Chunk, Coherent, Dma, Domain, Error, Quarantine, RxMeta, after, distance, ring_len};
use alloc::boxed::Box;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::*, fence};

const DD: u64 = RxStatus::new().with_dd(true).into_bits();
const EOP: u64 = RxStatus::new().with_eop(true).into_bits();
/// The frame is broken on the wire: drivers of this family drop it.
const BROKEN: u64 = RxStatus::new()
    .with_ce(true)
    .with_se(true)
    .with_seq(true)
    .with_secerr(2) // bit 28 is CXE where there is no MACsec
    .with_rxe(true)
    .into_bits();

/// What has to be [`WHOLE`] in a status word: a frame in one descriptor, not broken.
const LOOK: u64 = DD | EOP | BROKEN;
const WHOLE: u64 = DD | EOP;

pub use self::chain::RxChain;

/// What was dropped in the ring. Its chunks were posted again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxStats {
    /// Write-backs that cannot be true: a length of zero or of more than the buffer, a frame that does not end.
    pub lies: u64,
    /// Frames that the device reports as broken (CE, SE, SEQ, CXE, RXE).
    pub broken: u64,
    /// Frames over several descriptors that nobody wanted.
    pub chains: u64,
    /// The descriptors of those.
    pub chained: u64,
}

impl RxStats {
    /// What [`poll`](RxRing::poll) counted and did not hand over.
    pub fn bad(&self) -> u64 {
        self.lies + self.broken + self.chains
    }
}

/// Who takes the frames of a poll: [`RxRing::poll_with`]. Programs that want frames in one buffer only give a closure to
/// [`RxRing::poll`].
pub trait Receive<C: Chunk> {
    /// A frame in one chunk. What comes back is posted again.
    fn frame(&mut self, chunk: C, meta: RxMeta<'_>) -> Option<C>;

    /// A frame over several chunks; the metadata is its last descriptor's. What is left in the chain afterwards is posted
    /// again. `false`: not wanted, count it as dropped.
    #[inline]
    fn chain(&mut self, chain: &mut RxChain<'_, C>, meta: RxMeta<'_>) -> bool {
        let _ = (chain, meta);
        false
    }
}

/// Frames in one chunk, to a closure.
struct Single<F>(F);

impl<C: Chunk, F: FnMut(C, RxMeta<'_>) -> Option<C>> Receive<C> for Single<F> {
    #[inline]
    fn frame(&mut self, chunk: C, meta: RxMeta<'_>) -> Option<C> {
        (self.0)(chunk, meta)
    }
}

/// A receive ring of any length from 64 to 4,096 that is a multiple of 8.
///
/// It knows no registers: [`base`](Self::base) is what RDBAL, RDBAH and RDLEN want, and [`flush`](Self::flush) tells a
/// closure what RDT wants. What the device writes back is checked against what was posted; a write-back is believed
/// when DD stands in its status word, never because a length appeared (QEMU's device writes each descriptor twice).
///
/// A frame that is larger than a chunk comes as a chain of them, to [`poll_with`](Self::poll_with); [`poll`](Self::poll)
/// drops it whole and counts it.
///
/// A ring that has been flushed counts as live until [`reclaim`](Self::reclaim): dropped before, its memory goes to
/// the [`Quarantine`] or is leaked, since the device may still write there.
///
/// ```
/// use igb_ring::{Arena, Exclusive, Memory, Pool, RxRing};
/// let dma = Arena::anonymous(1 << 20, 0)?;
/// let mut memory = Pool::new(&dma, 128, 2304)?.local();
/// let mut ring = RxRing::new(&dma, 64, memory.buffer_size())?;
/// ring.fill(|| memory.take());
/// let mut rdt = 0;
/// ring.flush(|tail| rdt = tail);
/// assert_eq!(rdt, 63); // one stays empty
///
/// // The device writes a frame, then the descriptor with DD and EOP.
/// let (base, _) = ring.base();
/// dma.write(dma.read64(base).unwrap(), &[0xff; 60]);
/// dma.write64(base + 8, 60 << 32 | 3);
///
/// let n = ring.poll(64, |frame, _meta| {
///     assert_eq!(frame.bytes(), [0xff; 60]);
///     Some(frame) // posted again
/// });
/// assert_eq!(n, 1);
/// ring.reclaim(|chunk| memory.give(chunk));
/// # Ok::<(), igb_ring::Error>(())
/// ```
#[repr(align(128))]
pub struct RxRing<C: Chunk> {
    held: ManuallyDrop<Held<C>>, // taken in drop only
    place: Place,
    rung: u32, // the device was told of slots up to here
    len: u32,
    size: u16, // what the device was told that it may write; no posted chunk is smaller
    fits: u16, // capacity of the usual chunk: others go the long way. At least `size`.
    live: bool,
    odd: Odd,
    quarantine: Option<Quarantine>,
}

// SAFETY: the ring owns its memory and the chunks in it, which are Send.
unsafe impl<C: Chunk> Send for RxRing<C> {}

/// Slots have chunks from `clean` on, up to `used`. Both are equal when none has, and when all have.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    used: u32,
    clean: u32,
    full: bool,
}

impl Place {
    #[inline]
    fn posted(self, len: u32) -> u32 {
        if self.full { len } else { distance(self.clean, self.used, len) }
    }
}

/// What the device may still use.
struct Held<C> {
    mem: Coherent,
    slots: Lines<MaybeUninit<C>>,
    from: u32, // full slots, set when the ring is dropped
    count: u32,
}
// SAFETY: owns chunks, which are Send, and their descriptors.
unsafe impl<C: Send> Send for Held<C> {}

impl<C> Drop for Held<C> {
    fn drop(&mut self) {
        while self.count != 0 {
            let at = self.from as usize;
            self.count -= 1;
            self.from = if at + 1 == self.slots.len() { 0 } else { self.from + 1 };
            // SAFETY: `count` slots from `from` on are full; this one just left that range.
            unsafe { self.slots.as_mut()[at].assume_init_drop() }
        }
    }
}

/// The indices of a ring while a loop has them in registers. They are put back when it ends, also by a panic.
struct Turn<'a> {
    place: &'a mut Place,
    used: u32,
    clean: u32,
    len: u32,
}

impl<'a> Turn<'a> {
    #[inline]
    fn new(place: &'a mut Place, len: u32) -> Self {
        let Place { used, clean, .. } = *place;
        Self { place, used, clean, len }
    }

    /// Loops let the indices stand at the ring's end for a moment: `used` only where `clean` does, or before it asks.
    #[inline(always)]
    fn wrap(&mut self) {
        if self.used == self.len {
            self.used = 0;
        }
        if self.clean == self.len {
            self.clean = 0;
        }
    }
}

impl Drop for Turn<'_> {
    // Always: what is called by a panic's way out would have its place in memory, and with it the loop.
    #[inline(always)]
    fn drop(&mut self) {
        self.wrap();
        // Whoever takes out of a full ring leaves at least the chunk that the device was not told of.
        let full = self.place.full && self.used == self.clean;
        *self.place = Place { used: self.used, clean: self.clean, full };
    }
}

impl<C: Chunk> RxRing<C> {
    /// A ring of `len` descriptors for chunks into which the device may write up to `size` bytes.
    ///
    /// # Errors
    /// [`Error::RingLength`], [`Error::RingMultiple`], [`Error::BufferSize`] (256 to 16,384), [`Error::NoMemory`].
    pub fn new<D: Dma + Clone + Send + Sync + 'static>(dma: &D, len: u32, size: u16) -> Result<Self, Error> {
        Self::build(dma, len, size, None)
    }

    /// The same; dropped while live, its memory goes to `quarantine`.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_quarantine<D: Dma + Clone + Send + Sync + 'static>(
        dma: &D,
        len: u32,
        size: u16,
        quarantine: &Quarantine,
    ) -> Result<Self, Error> {
        Self::build(dma, len, size, Some(quarantine.clone()))
    }

    fn build<D: Dma + Clone + Send + Sync + 'static>(
        dma: &D,
        len: u32,
        size: u16,
        quarantine: Option<Quarantine>,
    ) -> Result<Self, Error> {
        let len = ring_len(len)?;
        if !(256..=16384).contains(&size) {
            return Err(Error::BufferSize(size));
        }
        let mem = Coherent::new(dma, len as usize * 16, 128)?;
        let slots = Lines::new(len as usize, MaybeUninit::uninit);
        Ok(Self {
            held: ManuallyDrop::new(Held { mem, slots, from: 0, count: 0 }),
            place: Place::default(),
            rung: 0,
            len,
            size,
            fits: size,
            live: false,
            odd: Odd::new(),
            quarantine,
        })
    }

    /// Where the ring is for the device, and how many bytes: RDBAL with RDBAH, and RDLEN.
    pub fn base(&self) -> (u64, u32) {
        (self.held.mem.iova(), self.len * 16)
    }

    /// Descriptors.
    #[allow(clippy::len_without_is_empty)] // see `posted`
    pub fn len(&self) -> u32 {
        self.len
    }

    /// What the device may write into each chunk.
    pub fn buffer_size(&self) -> u16 {
        self.size
    }

    /// Chunks in the ring. One of a full ring waits for its neighbour: head = tail means "nothing" to the device.
    #[inline]
    pub fn posted(&self) -> u32 {
        self.place.posted(self.len)
    }

    /// How many more can be posted.
    #[inline]
    pub fn room(&self) -> u32 {
        self.len - self.posted()
    }

    /// What was dropped here.
    pub fn stats(&self) -> RxStats {
        self.odd.stats
    }

    /// Posts what `take` yields until the ring is full or it yields nothing. Says how many it posted. A chunk of foreign
    /// memory, or a smaller one (the device would write past its end), is dropped instead.
    #[inline]
    pub fn fill(&mut self, mut take: impl FnMut() -> Option<C>) -> u32 {
        if self.place.full {
            return 0;
        }
        let before = self.posted();
        while self.place.used == self.place.clean {
            if !self.learn(&mut take) {
                return 0;
            }
        }
        let at = self.parts();
        let end = self.place.clean;
        let mut turn = Turn::new(&mut self.place, at.len);
        'full: {
            loop {
                let stop = if end > turn.used { end } else { at.len };
                while turn.used != stop {
                    let Some(chunk) = take() else { break 'full };
                    let used = turn.used;
                    if at.fits(&chunk) {
                        at.write(used, chunk);
                        turn.used = used + 1;
                    } else {
                        turn.used = at.refit(used, chunk);
                    }
                }
                turn.wrap();
                if turn.used == end {
                    break;
                }
            }
            turn.place.full = true;
        }
        drop(turn);
        self.posted() - before
    }

    /// The first chunk of an empty ring says what the usual one's capacity is. False if there is none.
    #[cold]
    fn learn(&mut self, take: &mut impl FnMut() -> Option<C>) -> bool {
        let Some(mut chunk) = take() else { return false };
        chunk.rewind();
        self.fits = chunk.capacity().max(self.size);
        let mut used = self.place.used;
        self.parts().put(&mut used, chunk);
        self.place.used = used;
        true
    }

    /// Hands finished frames to `each`, and says how many it did, at most `budget`.
    ///
    /// What `each` gives back is posted again, what it keeps is gone. Bad write-backs count too, so that the budget
    /// bounds a device that writes for ever; they are counted in [`stats`](Self::stats) and posted again. So is a frame
    /// over several descriptors.
    #[inline]
    pub fn poll(&mut self, budget: u32, each: impl FnMut(C, RxMeta<'_>) -> Option<C>) -> u32 {
        self.poll_with(budget, &mut Single(each))
    }

    /// [`poll`](Self::poll) for programs that take frames over several chunks too. Such a frame counts as one.
    ///
    /// ```
    /// use igb_ring::{Arena, Buffer, Chunk, Exclusive, Memory, Pool, Receive, RxChain, RxMeta, RxRing};
    /// # let dma = Arena::anonymous(1 << 20, 0)?;
    /// # let mut memory = Pool::new(&dma, 128, 2304)?.local();
    /// # let mut ring = RxRing::new(&dma, 64, 2048)?;
    /// # ring.fill(|| memory.take());
    /// # ring.flush(|_| ());
    /// # let base = ring.base().0;
    /// # dma.write64(base + 8, 2048 << 32 | 1);
    /// # dma.write64(base + 24, 952 << 32 | 3);
    /// struct Lengths(Vec<u32>);
    /// impl Receive<Buffer> for Lengths {
    ///     fn frame(&mut self, chunk: Buffer, _: RxMeta<'_>) -> Option<Buffer> {
    ///         self.0.push(chunk.len().into());
    ///         Some(chunk)
    ///     }
    ///     fn chain(&mut self, chain: &mut RxChain<'_, Buffer>, _: RxMeta<'_>) -> bool {
    ///         self.0.push(chain.bytes_len());
    ///         let first = chain.next().expect("two at least"); // ours now; the others are posted again
    ///         assert_eq!(first.bytes().len(), 2048);
    ///         true
    ///     }
    /// }
    /// let mut lengths = Lengths(Vec::new());
    /// ring.poll_with(64, &mut lengths);
    /// assert_eq!(lengths.0, [3000]);
    /// # ring.reclaim(drop);
    /// # Ok::<(), igb_ring::Error>(())
    /// ```
    #[inline]
    pub fn poll_with(&mut self, budget: u32, to: &mut impl Receive<C>) -> u32 {
        let (at, rung) = (self.parts(), self.rung);
        let mut look = self.odd.look;
        let mut turn = Turn::new(&mut self.place, at.len);
        let from = turn.clean;
        let mut end = at.step(from, budget.min(distance(from, rung, at.len)));
        let mut more = 0; // descriptors of chains, but for one of each
        'done: while turn.clean != end {
            // To the ring's end, or to ours.
            let stop = if end > turn.clean { end } else { at.len };
            while turn.clean != stop {
                let index = turn.clean;
                let words = at.descriptor(index);
                let status = u64::from_le(words[1].load(Relaxed));
                let len = (status >> 32) as u16;
                if status & look != WHOLE || len.wrapping_sub(1) >= at.size {
                    if status & DD == 0 {
                        break 'done;
                    }
                    let judged = self.odd.judge(at, index, distance(index, rung, at.len), status);
                    look = self.odd.look;
                    let (n, chain) = match judged {
                        Judged::NotDone => break 'done,
                        Judged::Drop(n) => (n, false),
                        Judged::Chain(n) => (n, true),
                    };
                    turn.clean = at.step(index, n);
                    let used = turn.used;
                    if chain {
                        let (mut chain, info, status) = at.gather(index, n);
                        if !to.chain(&mut chain, RxMeta::new(info, status)) {
                            self.odd.unwanted(n);
                        }
                        turn.used = chain.post(used);
                    } else {
                        turn.used = at.pass(index, n, used);
                    }
                    more += n - 1;
                    end = at.step(from, budget.saturating_add(more).min(distance(from, rung, at.len)));
                    continue 'done;
                }
                fence(Acquire); // the frame's bytes and the other quadword after DD
                turn.clean = index + 1;
                let mut chunk = at.take(index); // slots from `clean` up to the doorbell are full
                let stamp = chunk.stamp();
                // SAFETY: 1 <= len <= size by the check above, size <= capacity by `put`.
                unsafe { chunk.set_len(len) };
                chunk.for_cpu(len);
                let Some(chunk) = to.frame(chunk, RxMeta::new(&words[0], status)) else { continue };
                if turn.used == index && stamp.is_some() && chunk.stamp() == stamp {
                    at.offer(index, &chunk);
                    core::mem::forget(chunk); // its copy in the slot stands for it, by the contract of `stamp`
                    turn.used = index + 1;
                } else {
                    at.put(&mut turn.used, chunk);
                }
            }
            turn.wrap();
        }
        turn.wrap();
        let done = distance(from, turn.clean, at.len) - more;
        drop(turn);
        done
    }

    #[inline]
    fn parts(&mut self) -> Parts<C> {
        let held = &mut *self.held;
        Parts {
            descriptors: held.mem.descriptors(),
            slots: held.slots.first(),
            len: self.len,
            domain: held.mem.domain(),
            size: self.size,
            fits: self.fits,
        }
    }

    /// One doorbell for all that was posted since the last: `bell` writes RDT.
    #[inline]
    pub fn flush(&mut self, bell: impl FnOnce(u32)) {
        let Place { used, full, .. } = self.place;
        let tail = match used {
            _ if !full => used,
            0 => self.len - 1,
            _ => used - 1,
        };
        if self.rung != tail {
            self.rung = tail;
            self.live = true;
            bell(tail);
        }
    }

    /// After the hardware queue was disabled and its registers reset: the same chunks stand at the start of the ring
    /// again, to be flushed.
    pub fn restart(&mut self) {
        let n = self.posted();
        let from = self.place.clean as usize;
        self.held.slots.as_mut().rotate_left(from);
        self.place = Place::default();
        self.rung = 0;
        self.odd.restart();
        let (at, mut used) = (self.parts(), 0);
        for i in 0..n {
            // n full slots stand at the start; `put` writes the same place again, and takes all it took before.
            at.put(&mut used, at.take(i));
        }
        self.place = Place { used, clean: 0, full: n == at.len };
    }

    /// After the hardware queue was disabled: everything comes home, the ring starts at 0 again, and may be dropped.
    ///
    /// As with a register write that aims DMA, whoever calls this wrongly lets the device write into other memory.
    pub fn reclaim(&mut self, mut give: impl FnMut(C)) {
        let at = self.parts();
        while self.posted() != 0 {
            let i = self.place.clean;
            self.place = Place { clean: at.after(i), full: false, ..self.place };
            give(at.take(i));
        }
        self.place = Place::default();
        (self.rung, self.live) = (0, false);
        self.odd.restart();
    }
}

/// The ring's constants, copied so that a loop keeps them in registers.
struct Parts<C> {
    descriptors: NonNull<[AtomicU64; 2]>,
    slots: NonNull<MaybeUninit<C>>,
    len: u32,
    domain: Domain,
    size: u16,
    fits: u16,
}

impl<C> Clone for Parts<C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for Parts<C> {}

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
        // SAFETY: zeroed, aligned, seen as atomics only; the ring's memory outlives its methods, where 'a ends.
        unsafe { at.as_ref() }
    }
    #[inline]
    fn slot(&self, index: u32) -> NonNull<MaybeUninit<C>> {
        // SAFETY: indices stay below the length, and there are that many slots.
        unsafe { self.slots.add(index as usize) }
    }
    /// There is room: the caller counted, or just took one out.
    #[inline]
    fn put(&self, used: &mut u32, chunk: C) {
        if self.fits(&chunk) {
            self.write(*used, chunk);
            *used = self.after(*used);
        } else {
            *used = (*self).refit(*used, chunk);
        }
    }
    /// As the usual chunk.
    #[inline]
    fn fits(&self, chunk: &C) -> bool {
        chunk.domain() == self.domain && chunk.capacity() == self.fits
    }
    /// The descriptor of a slot that has this chunk.
    #[inline]
    fn offer(&self, index: u32, chunk: &C) {
        chunk.for_device(self.size);
        let words = self.descriptor(index);
        words[0].store(chunk.iova().to_le(), Relaxed);
        words[1].store(0, Relaxed); // DD off; the bus orders both before the doorbell
    }
    #[inline]
    fn write(&self, index: u32, chunk: C) {
        self.offer(index, &chunk);
        // SAFETY: the slot is inside the ring and empty.
        unsafe { self.slot(index).write(MaybeUninit::new(chunk)) };
    }
    /// A chunk whose data starts elsewhere, of another size, or foreign. By value and out of line, so that the hot path
    /// keeps its state in registers.
    #[cold]
    #[inline(never)]
    fn refit(self, used: u32, mut chunk: C) -> u32 {
        chunk.rewind();
        if chunk.domain() != self.domain || chunk.capacity() < self.size {
            return used;
        }
        self.write(used, chunk);
        self.after(used)
    }

    /// Takes the chunk out of a slot. The caller has seen to it that the slot counts as empty.
    #[inline]
    fn take(&self, index: u32) -> C {
        // SAFETY: inside the ring, and nobody else has a reference.
        let slot = unsafe { self.slot(index).read() };
        // SAFETY: full; every caller asks once for each slot that the ring counts, and stops counting it before.
        unsafe { slot.assume_init() }
    }
}

impl<C: Chunk> Drop for RxRing<C> {
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let mut held = unsafe { ManuallyDrop::take(&mut self.held) };
        (held.from, held.count) = (self.place.clean, self.posted());
        match self.quarantine.take() {
            _ if !self.live => drop(held),
            Some(quarantine) => quarantine.keep(Box::new(held)),
            None => core::mem::forget(held), // nobody said that the device has stopped: it keeps chunks and ring
        }
    }
}

impl<C: Chunk> fmt::Debug for RxRing<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("RxRing");
        s.field("base", &self.base())
            .field("place", &self.place)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
