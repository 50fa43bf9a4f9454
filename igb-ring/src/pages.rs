//! Split pages: one page serves two halves in turn. A half that its holder dropped, on whatever thread, is found free by
//! looking, and posted again.
//!
//! Each page has one word that counts references to both halves. The queue's stock buys references in bulk (the bias), so
//! that handing a half out is a subtraction in its own memory; whoever drops a half gives one back with one atomic
//! operation. A half is free when the word has as many references to it as the stock still holds. All bookkeeping lies
//! outside the DMA memory.

use crate::{Chunk, Coherent, Dma, Domain, Error, Exclusive, Memory, chunk::discard};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*, fence};

/// References to one half that a stock buys at once. Both halves' counts share a word of 32 bits.
const BIAS: u16 = 1 << 14;
/// How far a stock looks for a free half before it takes a page.
const LOOK: usize = 4;

/// How pages are cut.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// Pages of 4 KiB in two halves of 2 KiB, all of it for the frame.
    TwoKib,
    /// Pages of 8 KiB in two halves: 3 KiB for the frame behind 1 KiB of headroom.
    ThreeKib,
}

impl PageKind {
    const fn half(self) -> u32 {
        match self {
            Self::TwoKib => 2048,
            Self::ThreeKib => 4096,
        }
    }

    const fn headroom(self) -> u32 {
        match self {
            Self::TwoKib => 0,
            Self::ThreeKib => 1024,
        }
    }
}

struct Inner {
    mem: Coherent,
    kind: PageKind,
    words: Box<[AtomicU32]>, // of each page: references to the upper half << 16, to the lower
    stock: spin::Mutex<Vec<u32>>, // pages that nobody has; taken when a stock needs a page, never per frame
    refs: AtomicUsize,       // handles, stocks and pages that somebody has
}

impl Inner {
    /// # Safety
    /// The caller owns one reference and gives it up.
    unsafe fn unref(this: NonNull<Self>) {
        // SAFETY: alive by the caller's reference.
        if unsafe { this.as_ref() }.refs.fetch_sub(1, Release) == 1 {
            fence(Acquire);
            // SAFETY: from `Box::leak`; this was the last reference, as in `Arc`.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        }
    }

    /// Gives references of a page back; the last brings the page home.
    ///
    /// # Safety
    /// The caller owned them. The pool is alive by them.
    unsafe fn release(this: NonNull<Self>, page: u32, references: u32) {
        // SAFETY: alive by contract.
        let inner = unsafe { this.as_ref() };
        if references != 0 && inner.words[page as usize].fetch_sub(references, AcqRel) == references {
            inner.stock.lock().push(page);
            // SAFETY: the page's own, which nobody has any more.
            unsafe { Self::unref(this) }
        }
    }
}

/// A stock of pages that are used by halves: for programs that keep received frames for a while, and drop them where they
/// are done with them. A handle: clone it for every queue of every device in the domain.
///
/// ```
/// use igb_ring::{Arena, Exclusive, Memory, PageKind, Pages};
/// let dma = Arena::anonymous(1 << 20, 0)?;
/// let pages = Pages::new(&dma, 8, PageKind::TwoKib)?;
/// let mut halves = pages.local();
/// let mut half = halves.take().expect("there are sixteen");
/// assert!(half.set(b"a frame"));
/// std::thread::spawn(move || drop(half)).join().unwrap(); // free again, and nobody was told
/// # Ok::<(), igb_ring::Error>(())
/// ```
pub struct Pages(NonNull<Inner>);
// SAFETY: Inner is shared through atomics and a mutex; the memory itself is split among halves.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// `count` pages in one contiguous piece.
    ///
    /// # Errors
    /// [`Error::PoolGeometry`] for none or for 4 GiB and more, [`Error::NoMemory`]; [`Error::NotCoherent`] where DMA wants
    /// syncs.
    pub fn new<D: Dma + Clone + Send + Sync + 'static>(
        dma: &D,
        count: u32,
        kind: PageKind,
    ) -> Result<Self, Error> {
        if !dma.is_coherent() {
            return Err(Error::NotCoherent);
        }
        let size = 2 * kind.half();
        let geometry = Error::PoolGeometry { count, size };
        let bytes = count.checked_mul(size).filter(|bytes| *bytes != 0).ok_or(geometry)?;
        let mem = Coherent::streaming(dma, bytes as usize, 4096)?;
        let words = (0..count).map(|_| AtomicU32::new(0)).collect();
        let stock = spin::Mutex::new((0..count).rev().collect());
        let inner = Inner { mem, kind, words, stock, refs: AtomicUsize::new(1) };
        Ok(Self(NonNull::from(Box::leak(Box::new(inner)))))
    }

    fn inner(&self) -> &Inner {
        // SAFETY: our handle's reference keeps it alive.
        unsafe { self.0.as_ref() }
    }

    /// A queue's own stock, empty at first. Everything that it will ever need is allocated here.
    pub fn local(&self) -> Halves {
        let pages = self.inner().words.len();
        Halves {
            pool: self.clone(),
            held: (0..2 * pages).map(|_| Held::default()).collect(),
            free: Vec::with_capacity(2 * pages),
            lent: VecDeque::with_capacity(2 * pages),
            stats: PageStats::default(),
        }
    }

    /// Pages that nobody has.
    pub fn left(&self) -> usize {
        self.inner().stock.lock().len()
    }
}

impl Clone for Pages {
    fn clone(&self) -> Self {
        self.inner().refs.fetch_add(1, Relaxed);
        Self(self.0)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this handle's own reference.
        unsafe { Inner::unref(self.0) }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Pages");
        s.field("memory", &self.inner().mem).field("kind", &self.inner().kind).finish_non_exhaustive()
    }
}

/// Half a page: 16 bytes, moved and never copied. Dropping it anywhere, on any thread, is right: one atomic operation.
pub struct Half {
    pool: NonNull<Inner>,
    at: u32,   // offset of the data in the pool
    room: u16, // from the data to the half's end
    len: u16,
}
// SAFETY: owns its bytes; the pool is shared through atomics.
unsafe impl Send for Half {}
// SAFETY: a shared reference only reads.
unsafe impl Sync for Half {}

impl Half {
    #[inline]
    fn inner(&self) -> &Inner {
        // SAFETY: the page's reference keeps the pool alive.
        unsafe { self.pool.as_ref() }
    }

    /// Which half of the pool's it is: twice its page, and one more if it is the upper.
    #[inline]
    fn index(&self) -> u32 {
        self.at / self.inner().kind.half()
    }

    /// Bytes that can still be put before the data.
    pub fn headroom(&self) -> u16 {
        (self.at % self.inner().kind.half()) as u16
    }

    /// Takes `n` bytes off the front. False, and nothing done, if there are fewer.
    pub fn trim_front(&mut self, n: u16) -> bool {
        let fits = n <= self.len;
        if fits {
            (self.at, self.room, self.len) = (self.at + u32::from(n), self.room - n, self.len - n);
        }
        fits
    }

    /// Adds `n` bytes to the front; they hold whatever was there. False, and nothing done, if the headroom is smaller.
    pub fn extend_front(&mut self, n: u16) -> bool {
        let fits = n <= self.headroom();
        if fits {
            (self.at, self.room, self.len) = (self.at - u32::from(n), self.room + n, self.len + n);
        }
        fits
    }
}

/// A reference to one half, in its page's word.
const fn one(half: u32) -> u32 {
    1 << (16 * (half & 1))
}

/// Out of line, so that the only locked instructions stay out of the loops that never drop.
#[cold]
#[inline(never)]
fn home(pool: NonNull<Inner>, half: u32) {
    // SAFETY: called by a half's drop, which owns this reference.
    unsafe { Inner::release(pool, half / 2, one(half)) }
}

impl Drop for Half {
    #[inline]
    fn drop(&mut self) {
        home(self.pool, self.index());
    }
}

// SAFETY: a stock hands a half out only when no other reference to it is left; `at` and `room` stay within the half; the
// pool leaks rather than dies under a forgotten value, because the value's reference is never given up.
unsafe impl Chunk for Half {
    #[inline]
    fn ptr(&self) -> NonNull<u8> {
        // SAFETY: `at` is inside the pool.
        unsafe { self.inner().mem.cpu().add(self.at as usize) }
    }
    #[inline]
    fn iova(&self) -> u64 {
        self.inner().mem.iova() + u64::from(self.at)
    }
    #[inline]
    fn capacity(&self) -> u16 {
        self.room
    }
    #[inline]
    fn domain(&self) -> Domain {
        self.inner().mem.domain()
    }
    #[inline]
    fn len(&self) -> u16 {
        self.len
    }
    #[inline]
    unsafe fn set_len(&mut self, len: u16) {
        self.len = len;
    }
    #[inline]
    fn stamp(&self) -> Option<(usize, u64)> {
        Some((self.pool.addr().get(), u64::from(self.room) << 32 | u64::from(self.at)))
    }
    fn rewind(&mut self) {
        let kind = self.inner().kind;
        self.at = self.index() * kind.half() + kind.headroom();
        (self.room, self.len) = ((kind.half() - kind.headroom()) as u16, 0);
    }
}
// SAFETY: the memory is not shared with another process.
unsafe impl Exclusive for Half {}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Half");
        s.field("iova", &self.iova())
            .field("len", &self.len)
            .field("capacity", &self.room)
            .finish_non_exhaustive()
    }
}

/// Where a queue's halves came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageStats {
    /// Halves that were given back to the stock, and taken again.
    pub returned: u64,
    /// Halves that were dropped elsewhere, found free, and taken again.
    pub recycled: u64,
    /// Pages that were taken from the shared stock.
    pub allocated: u64,
    /// Times that all were out.
    pub waited: u64,
}

/// What a stock knows of a half.
#[derive(Clone, Copy, Default)]
struct Held {
    bias: u16, // references that are ours; 0 when the page is not
    out: bool,
    listed: bool, // in `lent`
}

/// One queue's stock of halves. `Send`, one owner, no lock; the pool's is taken when a page is.
#[repr(align(128))]
pub struct Halves {
    pool: Pages,
    held: Box<[Held]>,   // by half, of all pages
    free: Vec<u32>,      // halves that are here
    lent: VecDeque<u32>, // halves that were handed out, each once, oldest first
    stats: PageStats,
}

impl Halves {
    /// Whose stock it is.
    pub fn pages(&self) -> &Pages {
        &self.pool
    }

    /// Where halves came from.
    pub fn stats(&self) -> PageStats {
        self.stats
    }

    /// Whether nobody holds a half any more that was handed out.
    fn is_back(&self, half: u32) -> bool {
        let word = self.pool.inner().words[half as usize / 2].load(Acquire);
        (word >> (16 * (half & 1))) as u16 == self.held[half as usize].bias
    }

    /// Looks at the oldest that are out, `most` of them, for one that was dropped.
    fn recycle(&mut self, most: usize) -> Option<u32> {
        for _ in 0..most.min(self.lent.len()) {
            let half = self.lent.pop_front()?;
            let held = &mut self.held[half as usize];
            held.listed = false;
            if !held.out {
                continue; // it was given back
            }
            if self.is_back(half) {
                self.held[half as usize].out = false;
                return Some(half);
            }
            self.held[half as usize].listed = true;
            self.lent.push_back(half);
        }
        None
    }

    #[cold]
    fn allocate(&mut self) -> Option<u32> {
        let inner = self.pool.inner();
        let page = inner.stock.lock().pop()?;
        inner.refs.fetch_add(1, Relaxed);
        let bias = u32::from(BIAS);
        inner.words[page as usize].store(bias << 16 | bias, Relaxed);
        for half in [2 * page, 2 * page + 1] {
            self.held[half as usize].bias = BIAS;
        }
        self.stats.allocated += 1;
        self.free.push(2 * page + 1);
        Some(2 * page)
    }

    /// Hands a half out that is nobody's.
    #[inline]
    fn lend(&mut self, half: u32) -> Half {
        let held = &mut self.held[half as usize];
        if held.bias == 1 {
            // The last of ours stays: it says whose the page is.
            self.pool.inner().words[half as usize / 2].fetch_add(one(half) * u32::from(BIAS - 1), Relaxed);
            held.bias = BIAS;
        }
        held.bias -= 1;
        held.out = true;
        if !held.listed {
            held.listed = true;
            self.lent.push_back(half);
        }
        let kind = self.pool.inner().kind;
        let (at, room) = (half * kind.half() + kind.headroom(), (kind.half() - kind.headroom()) as u16);
        Half { pool: self.pool.0, at, room, len: 0 }
    }
}

impl Memory for Halves {
    type Buf = Half;
    fn buffer_size(&self) -> u16 {
        let kind = self.pool.inner().kind;
        (kind.half() - kind.headroom()) as u16
    }
    #[inline]
    fn take(&mut self) -> Option<Half> {
        if let Some(half) = self.free.pop() {
            self.stats.returned += u64::from(self.held[half as usize].listed);
            return Some(self.lend(half));
        }
        let found = match self.recycle(LOOK) {
            Some(half) => Some(half),
            None => match self.allocate() {
                Some(half) => return Some(self.lend(half)),
                None => self.recycle(usize::MAX),
            },
        };
        match found {
            Some(half) => {
                self.stats.recycled += 1;
                Some(self.lend(half))
            }
            None => {
                self.stats.waited += 1;
                None
            }
        }
    }
    #[inline]
    fn give(&mut self, buf: Half) {
        if buf.pool != self.pool.0 || self.held[buf.index() as usize].bias == 0 {
            return discard(buf); // of another's: it finds its own way home
        }
        let half = buf.index();
        let held = &mut self.held[half as usize];
        (held.bias, held.out) = (held.bias + 1, false);
        self.free.push(half);
        core::mem::forget(buf);
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        for page in 0..self.held.len() / 2 {
            let [lower, upper] = [2 * page, 2 * page + 1].map(|half| u32::from(self.held[half].bias));
            // SAFETY: the bias is ours, and the page is by it.
            unsafe { Inner::release(self.pool.0, page as u32, upper << 16 | lower) }
        }
    }
}

impl fmt::Debug for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Halves");
        s.field("pages", &self.pool).field("free", &self.free.len()).field("stats", &self.stats);
        s.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arena;

    /// More hand-outs than are bought at once, with and without the way back through the stock.
    #[test]
    fn references_are_bought_again_before_they_run_out() {
        let dma = Arena::anonymous(1 << 20, 0).unwrap();
        let pages = Pages::new(&dma, 1, PageKind::TwoKib).unwrap();
        let mut halves = pages.local();
        for n in 0..5 * u32::from(BIAS) {
            let a = halves.take().unwrap();
            let b = halves.take().unwrap();
            assert!(a.iova() != b.iova() && halves.take().is_none());
            let word = pages.inner().words[0].load(Relaxed);
            for half in [&a, &b] {
                let count = word >> (16 * (half.index() & 1)) & 0xffff;
                assert!(halves.held[half.index() as usize].bias >= 1 && count <= u32::from(BIAS));
            }
            drop(a);
            if n % 3 == 0 { halves.give(b) } else { drop(b) }
        }
        assert_eq!((halves.stats().allocated, pages.left()), (1, 0));
        drop(halves);
        assert_eq!(pages.left(), 1);
        drop(pages);
        assert_eq!(dma.allocated(), 0);
    }
}
