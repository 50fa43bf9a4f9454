//! Fixed chunks. A shared lock-free stack of free chunks, touched in bulk of [`BULK`], and a plain array per queue.
//! Reference counting is in bulk too: every handle and every chunk that is off the shared stack counts one, so a `Buffer`
//! keeps the pool alive without an atomic operation per frame. All bookkeeping lies outside the DMA memory.

use crate::{Chunk, Coherent, Dma, Domain, Error, Exclusive, Memory, chunk::discard};
use alloc::boxed::Box;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::*, fence};

/// Bytes in front of a fresh buffer's data: for headers that are put before it, and for metadata of packet programs.
pub const HEADROOM: u16 = 256;
const BULK: usize = 64;
const NIL: u32 = !0;
/// Chunks are named by their offset in units of 256 bytes: no multiplication or division on the way in or out.
const GRANULE: u32 = 8;

struct Inner {
    mem: Coherent,
    size: u32,
    head: AtomicU64,        // tag << 32 | granule; the tag defeats ABA
    next: Box<[AtomicU32]>, // by granule; only those at a chunk's start are used
    refs: AtomicUsize,
}

impl Inner {
    fn pop(&self, out: &mut [u32; BULK]) -> usize {
        let mut head = self.head.load(Acquire);
        loop {
            let (mut n, mut at) = (0, head as u32);
            while n < BULK && at != NIL {
                out[n] = at << GRANULE; // a stale link is still an index; the tag then refuses the exchange
                at = self.next[at as usize].load(Relaxed);
                n += 1;
            }
            match self.head.compare_exchange_weak(head, Self::tagged(head, at), AcqRel, Acquire) {
                Ok(_) => {
                    self.refs.fetch_add(n, Relaxed);
                    return n;
                }
                Err(now) => head = now,
            }
        }
    }

    fn tagged(old: u64, granule: u32) -> u64 {
        (old >> 32).wrapping_add(1) << 32 | u64::from(granule)
    }

    /// # Safety
    /// `this` is alive, and the caller owned `chunks` and one reference for each.
    unsafe fn push(this: NonNull<Self>, chunks: &[u32]) {
        // SAFETY: the caller's references keep it alive until `unref`.
        let inner = unsafe { this.as_ref() };
        let (Some(&first), Some(&last)) = (chunks.first(), chunks.last()) else { return };
        for pair in chunks.windows(2) {
            inner.next[(pair[0] >> GRANULE) as usize].store(pair[1] >> GRANULE, Relaxed);
        }
        let mut head = inner.head.load(Relaxed);
        loop {
            inner.next[(last >> GRANULE) as usize].store(head as u32, Relaxed);
            match inner.head.compare_exchange_weak(
                head,
                Self::tagged(head, first >> GRANULE),
                Release,
                Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        // SAFETY: by contract.
        unsafe { Self::unref(this, chunks.len()) }
    }

    /// # Safety
    /// The caller owns `n` references and gives them up.
    unsafe fn unref(this: NonNull<Self>, n: usize) {
        // SAFETY: alive by the caller's references.
        if unsafe { this.as_ref() }.refs.fetch_sub(n, Release) == n {
            fence(Acquire);
            // SAFETY: from `Box::leak`; these were the last references, as in `Arc`.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        }
    }
}

/// A stock of equal buffers in one piece of DMA memory. A handle: clone it for every queue of every device in the domain.
///
/// Everything is allocated in [`new`](Self::new). `COHERENT = false` is the kind for platforms whose DMA wants syncs; it
/// is a type, so that the usual kind pays nothing for it.
///
/// ```
/// use igb_ring::{Arena, Exclusive, Chunk, Memory, Pool};
/// let dma = Arena::anonymous(1 << 20, 0)?;
/// let pool = Pool::new(&dma, 128, 2304)?; // 2,048 bytes of room behind 256 of headroom
/// let mut local = pool.local();
/// let mut buffer = local.take().expect("128 are there");
/// assert!(buffer.set(b"a frame"));
/// std::thread::spawn(move || assert_eq!(buffer.bytes(), b"a frame")).join().unwrap(); // dropped over there
/// # Ok::<(), igb_ring::Error>(())
/// ```
pub struct Pool<const COHERENT: bool = true>(NonNull<Inner>);
// SAFETY: Inner is shared through atomics only; the memory itself is split among Buffers.
unsafe impl<const COHERENT: bool> Send for Pool<COHERENT> {}
// SAFETY: as above.
unsafe impl<const COHERENT: bool> Sync for Pool<COHERENT> {}

impl Pool {
    /// `count` chunks of `size` bytes each, [`HEADROOM`] included, in one contiguous piece.
    ///
    /// # Errors
    /// [`Error::PoolGeometry`], [`Error::NoMemory`]; [`Error::NotCoherent`] where DMA wants syncs.
    pub fn new<D: Dma + Clone + Send + Sync + 'static>(
        dma: &D,
        count: u32,
        size: u32,
    ) -> Result<Self, Error> {
        if !dma.is_coherent() {
            return Err(Error::NotCoherent);
        }
        Self::build(dma, count, size)
    }
}

impl Pool<false> {
    /// The same, for platforms whose DMA wants syncs. Right everywhere, and slower.
    ///
    /// # Errors
    /// [`Error::PoolGeometry`], [`Error::NoMemory`].
    pub fn non_coherent<D: Dma + Clone + Send + Sync + 'static>(
        dma: &D,
        count: u32,
        size: u32,
    ) -> Result<Self, Error> {
        Self::build(dma, count, size)
    }
}

impl<const COHERENT: bool> Pool<COHERENT> {
    fn build<D: Dma + Clone + Send + Sync + 'static>(dma: &D, count: u32, size: u32) -> Result<Self, Error> {
        let room = 2 * u32::from(HEADROOM)..=(u32::from(u16::MAX) >> GRANULE << GRANULE);
        let geometry = Error::PoolGeometry { count, size };
        let bytes = count.checked_mul(size).ok_or(geometry)?;
        if count == 0 || !room.contains(&size) || !size.is_multiple_of(1 << GRANULE) {
            return Err(geometry);
        }
        let mem = Coherent::streaming(dma, bytes as usize, 4096)?;
        let (step, end) = (size >> GRANULE, bytes >> GRANULE);
        let next = (0..end).map(|g| AtomicU32::new(if g + step < end { g + step } else { NIL })).collect();
        let inner = Inner { mem, size, head: AtomicU64::new(0), next, refs: AtomicUsize::new(1) };
        Ok(Self(NonNull::from(Box::leak(Box::new(inner)))))
    }

    fn inner(&self) -> &Inner {
        // SAFETY: our handle's reference keeps it alive.
        unsafe { self.0.as_ref() }
    }

    /// A queue's own stock, empty at first.
    pub fn local(&self) -> Local<COHERENT> {
        Local { pool: self.clone(), cache: [0; 2 * BULK], n: 0, room: self.buffer_size() }
    }

    /// Bytes that fit into a fresh buffer.
    pub fn buffer_size(&self) -> u16 {
        (self.inner().size - u32::from(HEADROOM)) as u16
    }

    /// Which devices see it.
    pub fn domain(&self) -> Domain {
        self.inner().mem.domain()
    }
}

impl<const COHERENT: bool> Clone for Pool<COHERENT> {
    fn clone(&self) -> Self {
        self.inner().refs.fetch_add(1, Relaxed);
        Self(self.0)
    }
}

impl<const COHERENT: bool> Drop for Pool<COHERENT> {
    fn drop(&mut self) {
        // SAFETY: this handle's own reference.
        unsafe { Inner::unref(self.0, 1) }
    }
}

impl<const COHERENT: bool> fmt::Debug for Pool<COHERENT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Pool");
        s.field("memory", &self.inner().mem).field("size", &self.inner().size).finish_non_exhaustive()
    }
}

/// One buffer: 16 bytes, two registers, moved and never copied. Dropping it anywhere, on any thread, is right (one atomic
/// exchange); the queues give it back to their [`Local`] instead (none).
pub struct Buffer<const COHERENT: bool = true> {
    pool: NonNull<Inner>,
    at: u32,   // offset of the data in the pool
    room: u16, // from the data to the chunk's end
    len: u16,
}
// SAFETY: owns its bytes; the pool is Sync.
unsafe impl<const COHERENT: bool> Send for Buffer<COHERENT> {}
// SAFETY: a shared reference only reads.
unsafe impl<const COHERENT: bool> Sync for Buffer<COHERENT> {}

impl<const COHERENT: bool> Buffer<COHERENT> {
    #[inline]
    fn inner(&self) -> &Inner {
        // SAFETY: the chunk's reference keeps the pool alive.
        unsafe { self.pool.as_ref() }
    }
    #[inline]
    fn base(&self) -> u32 {
        self.at + u32::from(self.room) - self.inner().size
    }

    /// Bytes that can still be put before the data.
    pub fn headroom(&self) -> u16 {
        (self.inner().size - u32::from(self.room)) as u16
    }

    /// Takes `n` bytes off the front. False, and nothing done, if there are fewer.
    #[inline]
    pub fn trim_front(&mut self, n: u16) -> bool {
        let fits = n <= self.len();
        if fits {
            (self.at, self.room, self.len) = (self.at + u32::from(n), self.room - n, self.len - n);
        }
        fits
    }

    /// Adds `n` bytes to the front; they hold whatever was there. False, and nothing done, if the headroom is smaller.
    #[inline]
    pub fn extend_front(&mut self, n: u16) -> bool {
        let fits = n <= self.headroom();
        if fits {
            (self.at, self.room, self.len) = (self.at - u32::from(n), self.room + n, self.len + n);
        }
        fits
    }
}

/// Out of line, so that the only locked instructions stay out of the loops that never drop.
#[cold]
#[inline(never)]
fn home(pool: NonNull<Inner>, base: u32) {
    // SAFETY: called by a buffer's drop, which owns this chunk and its reference.
    unsafe { Inner::push(pool, &[base]) }
}

impl<const COHERENT: bool> Drop for Buffer<COHERENT> {
    #[inline]
    fn drop(&mut self) {
        home(self.pool, self.base());
    }
}

// SAFETY: chunks leave the stack once; at and room stay within the chunk; the pool leaks rather than dies under a forgotten
// value, because the value's reference is never given up.
unsafe impl<const COHERENT: bool> Chunk for Buffer<COHERENT> {
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
        self.at = self.base() + u32::from(HEADROOM);
        (self.room, self.len) = ((self.inner().size - u32::from(HEADROOM)) as u16, 0);
    }
    #[inline]
    fn for_device(&self, len: u16) {
        if !COHERENT {
            self.inner().mem.sync(true, self.iova(), usize::from(len));
        }
    }
    #[inline]
    fn for_cpu(&self, len: u16) {
        if !COHERENT {
            self.inner().mem.sync(false, self.iova(), usize::from(len));
        }
    }
}
// SAFETY: pool memory is not shared with another process.
unsafe impl<const COHERENT: bool> Exclusive for Buffer<COHERENT> {}

impl<const COHERENT: bool> fmt::Debug for Buffer<COHERENT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Buffer");
        s.field("iova", &self.iova()).field("len", &self.len()).field("capacity", &self.capacity());
        s.finish_non_exhaustive()
    }
}

/// One queue's stock of free buffers. `Send`, one owner, no lock.
#[repr(align(128))]
pub struct Local<const COHERENT: bool = true> {
    pool: Pool<COHERENT>,
    cache: [u32; 2 * BULK], // offsets of fresh buffers' data
    n: usize,
    room: u16, // of a fresh buffer
}

impl<const COHERENT: bool> Local<COHERENT> {
    /// Whose stock it is.
    pub fn pool(&self) -> &Pool<COHERENT> {
        &self.pool
    }

    #[cold]
    fn refill(&mut self) -> bool {
        let mut got = [0; BULK];
        let n = self.pool.inner().pop(&mut got);
        for (at, chunk) in self.cache.iter_mut().zip(&got[..n]) {
            *at = chunk + u32::from(HEADROOM);
        }
        self.n = n;
        n > 0
    }
    #[cold]
    fn spill(&mut self) {
        self.home(BULK);
    }
    /// Gives the last `n` to the shared stock.
    fn home(&mut self, n: usize) {
        let (mut chunks, rest) = ([0; 2 * BULK], self.n - n);
        for (chunk, at) in chunks.iter_mut().zip(&self.cache[rest..self.n]) {
            *chunk = at - u32::from(HEADROOM);
        }
        self.n = rest;
        // SAFETY: cached chunks are ours, with a reference each.
        unsafe { Inner::push(self.pool.0, &chunks[..n]) }
    }
}

impl<const COHERENT: bool> Memory for Local<COHERENT> {
    type Buf = Buffer<COHERENT>;
    fn buffer_size(&self) -> u16 {
        self.room
    }
    #[inline]
    fn take(&mut self) -> Option<Buffer<COHERENT>> {
        if self.n == 0 && !self.refill() {
            return None;
        }
        self.n -= 1;
        // SAFETY: n < 2 * BULK, always.
        let at = unsafe { *self.cache.get_unchecked(self.n) };
        Some(Buffer { pool: self.pool.0, at, room: self.room, len: 0 })
    }
    #[inline]
    fn give(&mut self, buf: Buffer<COHERENT>) {
        if buf.pool != self.pool.0 {
            return discard(buf); // of another pool: it finds its own way home
        }
        if self.n == self.cache.len() {
            self.spill();
        }
        let fresh = buf.at + u32::from(buf.room) - u32::from(self.room);
        // SAFETY: n < 2 * BULK, since a full cache was just spilled and nothing else raises n.
        unsafe { *self.cache.get_unchecked_mut(self.n) = fresh };
        self.n += 1;
        core::mem::forget(buf);
    }
}

impl<const COHERENT: bool> Drop for Local<COHERENT> {
    fn drop(&mut self) {
        self.home(self.n);
    }
}

impl<const COHERENT: bool> fmt::Debug for Local<COHERENT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("pool", &self.pool).field("free", &self.n).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arena;

    /// A popper that slept while its chunk left the stack and came back must not succeed: the links may be others.
    #[test]
    fn the_head_is_another_after_a_chunk_went_and_came() {
        let pool = Pool::new(&Arena::anonymous(1 << 20, 0).unwrap(), 4, 512).unwrap();
        let before = pool.inner().head.load(Relaxed);
        let all: alloc::vec::Vec<_> = {
            let mut local = pool.local();
            core::iter::from_fn(|| local.take()).collect()
        };
        all.into_iter().for_each(drop);
        let after = pool.inner().head.load(Relaxed);
        assert_eq!(before as u32, after as u32, "the same chunk is on top");
        assert_ne!(before, after);
    }
}
