//! The receive ring: post chunks, take them back with what the device wrote. One owner, no atomic but the descriptors.

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

/// Equal to no status.
const IN_CHAIN: u64 = !0;

/// What was dropped in the ring. Its chunks were posted again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxStats {
    /// Write-backs that cannot be true: a length of zero, or more than the buffer.
    pub lies: u64,
    /// Frames that the device reports as broken (CE, SE, SEQ, CXE, RXE).
    pub broken: u64,
    /// Frames over several descriptors, which are dropped whole.
    pub chains: u64,
    /// The descriptors of those.
    pub chained: u64,
}

impl RxStats {
    /// Descriptors that were written back and gave no frame.
    pub fn bad(&self) -> u64 {
        self.lies + self.broken + self.chained
    }
}

/// A receive ring of any length from 64 to 4,096 that is a multiple of 8.
///
/// It knows no registers: [`base`](Self::base) is what RDBAL, RDBAH and RDLEN want, and [`flush`](Self::flush) tells a
/// closure what RDT wants. What the device writes back is checked against what was posted; a write-back is believed
/// when DD stands in its status word, never because a length appeared (QEMU's device writes each descriptor twice).
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
    next_to_use: u32,            // slots are full from next_to_clean to next_to_use; one is always empty
    next_to_clean: u32,
    rung: u32,
    len: u32,
    size: u16,   // what the device was told that it may write; no posted chunk is smaller
    fits: u16,   // capacity of the usual chunk: others go the long way. At least `size`.
    expect: u64, // EOP; nothing that exists, inside a chain
    live: bool,
    stats: RxStats,
    quarantine: Option<Quarantine>,
}

// SAFETY: the ring owns its memory and the chunks in it, which are Send.
unsafe impl<C: Chunk> Send for RxRing<C> {}

/// What the device may still use.
struct Held<C> {
    mem: Coherent,
    slots: Lines<MaybeUninit<C>>,
    from: u32, // full slots, set when the ring is dropped
    to: u32,
}
// SAFETY: owns chunks, which are Send, and their descriptors.
unsafe impl<C: Send> Send for Held<C> {}

impl<C> Drop for Held<C> {
    fn drop(&mut self) {
        while self.from != self.to {
            let at = self.from as usize;
            self.from = if at + 1 == self.slots.len() { 0 } else { self.from + 1 };
            // SAFETY: slots between the two are full; this one just left that range.
            unsafe { self.slots.as_mut()[at].assume_init_drop() }
        }
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
            held: ManuallyDrop::new(Held { mem, slots, from: 0, to: 0 }),
            next_to_use: 0,
            next_to_clean: 0,
            rung: 0,
            len,
            size,
            fits: size,
            expect: EOP,
            live: false,
            stats: RxStats::default(),
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

    /// Chunks in the ring.
    #[inline]
    pub fn posted(&self) -> u32 {
        distance(self.next_to_clean, self.next_to_use, self.len)
    }

    /// How many more can be posted: one descriptor stays empty, since head = tail means "nothing" to the device.
    #[inline]
    pub fn room(&self) -> u32 {
        self.len - 1 - self.posted()
    }

    /// What was dropped here.
    pub fn stats(&self) -> RxStats {
        self.stats
    }

    /// Posts what `take` yields until the ring is full or it yields nothing. Says how many it posted. A chunk of foreign
    /// memory, or a smaller one (the device would write past its end), is dropped instead.
    #[inline]
    pub fn fill(&mut self, mut take: impl FnMut() -> Option<C>) -> u32 {
        let from = self.next_to_use;
        if from == self.next_to_clean {
            self.learn(&mut take);
        }
        let (at, mut used) = (self.parts(), self.next_to_use);
        for _ in 0..self.room() {
            let Some(chunk) = take() else { break };
            at.put(&mut used, chunk);
            self.next_to_use = used;
        }
        distance(from, self.next_to_use, self.len)
    }

    /// The first chunk of an empty ring says what the usual one's capacity is.
    #[cold]
    fn learn(&mut self, take: &mut impl FnMut() -> Option<C>) {
        let Some(mut chunk) = take() else { return };
        chunk.rewind();
        self.fits = chunk.capacity().max(self.size);
        let mut used = self.next_to_use;
        self.parts().put(&mut used, chunk);
        self.next_to_use = used;
    }

    /// Hands finished frames to `each`, and says how many descriptors were done, at most `budget`.
    ///
    /// What `each` gives back is posted again, what it keeps is gone. Bad write-backs count too, so that the budget
    /// bounds a device that writes for ever; they are counted in [`stats`](Self::stats) and posted again. So is a frame
    /// over several descriptors: all of them, to its end.
    #[inline]
    pub fn poll(&mut self, budget: u32, mut each: impl FnMut(C, RxMeta<'_>) -> Option<C>) -> u32 {
        let at = self.parts();
        let (mut used, mut clean) = (self.next_to_use, self.next_to_clean); // in registers; stored, never loaded, in the loop
        let from = clean;
        let end = at.step(clean, budget.min(distance(clean, used, at.len))); // what is posted below is not done before a doorbell
        while clean != end {
            let words = at.descriptor(clean);
            let status = u64::from_le(words[1].load(Relaxed));
            if status & DD == 0 {
                break;
            }
            fence(Acquire); // the frame's bytes and the other quadword after DD
            // SAFETY: inside the ring, and nobody else has a reference.
            let slot = unsafe { at.slot(clean).read() };
            // SAFETY: slots between the indices are full, and this one leaves that range now.
            let mut chunk = unsafe { slot.assume_init() };
            clean = at.after(clean);
            self.next_to_clean = clean; // before a callback that may panic: nothing is ever read twice
            let len = (status >> 32) as u16;
            let back = if status & (EOP | BROKEN) != self.expect || len.wrapping_sub(1) >= at.size {
                self.judge(status);
                Some(chunk)
            } else {
                // SAFETY: 1 <= len <= size by the check above, size <= capacity by `put`.
                unsafe { chunk.set_len(len) };
                chunk.for_cpu(len);
                each(chunk, RxMeta::new(&words[0], status))
            };
            if let Some(chunk) = back {
                at.put(&mut used, chunk);
            }
            self.next_to_use = used;
        }
        distance(from, clean, at.len)
    }

    #[cold]
    #[inline(never)]
    fn judge(&mut self, status: u64) {
        let len = (status >> 32) as u16;
        let ends = status & EOP != 0;
        if self.expect != EOP || !ends {
            self.stats.chained += 1;
            self.stats.chains += u64::from(ends);
        } else if len == 0 || len > self.size {
            self.stats.lies += 1;
        } else {
            self.stats.broken += 1;
        }
        self.expect = if ends { EOP } else { IN_CHAIN };
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
        if self.rung != self.next_to_use {
            self.rung = self.next_to_use;
            self.live = true;
            bell(self.next_to_use);
        }
    }

    /// After the hardware queue was disabled and its registers reset: the same chunks stand at the start of the ring
    /// again, to be flushed.
    pub fn restart(&mut self) {
        let n = self.posted();
        let from = self.next_to_clean as usize;
        self.held.slots.as_mut().rotate_left(from);
        (self.next_to_clean, self.next_to_use, self.rung, self.expect) = (0, 0, 0, EOP);
        let (at, mut used) = (self.parts(), 0);
        for i in 0..n {
            // SAFETY: inside the ring.
            let slot = unsafe { at.slot(i).read() };
            // SAFETY: n full slots stand at the start; `put` writes the same place again, and takes all it took before.
            at.put(&mut used, unsafe { slot.assume_init() });
        }
        self.next_to_use = used;
    }

    /// After the hardware queue was disabled: everything comes home, the ring starts at 0 again, and may be dropped.
    ///
    /// As with a register write that aims DMA, whoever calls this wrongly lets the device write into other memory.
    pub fn reclaim(&mut self, mut give: impl FnMut(C)) {
        let at = self.parts();
        while self.next_to_clean != self.next_to_use {
            let i = self.next_to_clean;
            self.next_to_clean = at.after(i);
            // SAFETY: inside the ring.
            let slot = unsafe { at.slot(i).read() };
            // SAFETY: as in `poll`.
            give(unsafe { slot.assume_init() });
        }
        (self.next_to_clean, self.next_to_use, self.rung) = (0, 0, 0);
        (self.expect, self.live) = (EOP, false);
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
        if chunk.domain() != self.domain || chunk.capacity() != self.fits {
            *used = (*self).refit(*used, chunk);
            return;
        }
        self.write(used, chunk);
    }
    #[inline]
    fn write(&self, used: &mut u32, chunk: C) {
        chunk.for_device(self.size);
        let words = self.descriptor(*used);
        words[0].store(chunk.iova().to_le(), Relaxed);
        words[1].store(0, Relaxed); // DD off; the bus orders both before the doorbell
        // SAFETY: the slot is inside the ring and empty.
        unsafe { self.slot(*used).write(MaybeUninit::new(chunk)) };
        *used = self.after(*used);
    }
    /// A chunk whose data starts elsewhere, of another size, or foreign. By value and out of line, so that the hot path
    /// keeps its state in registers.
    #[cold]
    #[inline(never)]
    fn refit(self, mut used: u32, mut chunk: C) -> u32 {
        chunk.rewind();
        if chunk.domain() == self.domain && chunk.capacity() >= self.size {
            self.write(&mut used, chunk);
        }
        used
    }
}

impl<C: Chunk> Drop for RxRing<C> {
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let mut held = unsafe { ManuallyDrop::take(&mut self.held) };
        (held.from, held.to) = (self.next_to_clean, self.next_to_use);
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
        s.field("base", &self.base()).field("next_to_use", &self.next_to_use);
        s.field("next_to_clean", &self.next_to_clean).field("stats", &self.stats).finish_non_exhaustive()
    }
}
