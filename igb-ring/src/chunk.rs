//! What the rings move, and where it comes from.

use crate::Domain;
use core::{ptr::NonNull, slice};

/// The move-only right to one piece of DMA memory.
///
/// While the device has the bytes, the value sleeps in a ring; there is no Rust reference to them meanwhile.
///
/// # Safety
/// While a value exists, nobody obtains a second right to `capacity` bytes from `ptr`/`iova`. All that a device in
/// `domain` may write there lies in memory that outlives the value, even if the value is forgotten. `len` is at most
/// `capacity`. The five getters answer the same until a method that takes `&mut self` is called.
#[allow(clippy::len_without_is_empty)] // an empty one is a chunk like another
pub unsafe trait Chunk: Sized + Send + 'static {
    /// Where the CPU sees the data.
    fn ptr(&self) -> NonNull<u8>;
    /// Where the device sees the data.
    fn iova(&self) -> u64;
    /// Bytes from the data's start to the chunk's end.
    fn capacity(&self) -> u16;
    /// Which devices see it.
    fn domain(&self) -> Domain;
    /// Bytes of data.
    fn len(&self) -> u16;
    /// Says how much of the chunk is data.
    ///
    /// # Safety
    /// `len` is at most `capacity`.
    unsafe fn set_len(&mut self, len: u16);

    /// Says how much of the chunk is data. False, and nothing done, if it would not fit.
    #[inline]
    fn resize(&mut self, len: u16) -> bool {
        let fits = len <= self.capacity();
        if fits {
            // SAFETY: checked.
            unsafe { self.set_len(len) }
        }
        fits
    }

    /// What makes this value this one, its length apart: `None` for kinds that have nothing of the sort.
    ///
    /// If it has not changed while the value was out of a ring, the copy that the ring moved it from stands for it: the
    /// ring forgets the value and keeps the copy. So equal stamps mean equal answers of all getters but `len`, and a
    /// bitwise copy that is as good as the value. A kind that cannot promise that leaves it out.
    #[inline]
    fn stamp(&self) -> Option<(usize, u64)> {
        None
    }

    /// Puts the data's start where it stands in a fresh chunk, for kinds that can move it. What was data is lost.
    fn rewind(&mut self) {}

    /// The device is about to have the first `len` bytes. Nothing where DMA is coherent.
    #[inline]
    fn for_device(&self, len: u16) {
        let _ = len;
    }

    /// The device has written the first `len` bytes. Nothing where DMA is coherent.
    #[inline]
    fn for_cpu(&self, len: u16) {
        let _ = len;
    }

    /// Fills the chunk from ordinary memory, as far as it reaches, and says how far that was. Works for every kind.
    fn copy_from(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(usize::from(self.capacity()));
        for (i, byte) in bytes[..n].iter().enumerate() {
            // SAFETY: i < capacity.
            let at = unsafe { self.ptr().add(i) };
            // SAFETY: ours by this trait's contract.
            unsafe { at.write_volatile(*byte) }
        }
        // SAFETY: n <= capacity.
        unsafe { self.set_len(n as u16) }
        n
    }

    /// Copies the data out, as far as `out` reaches. Works for every kind, also where another process may be writing.
    fn copy_to(&self, out: &mut [u8]) -> usize {
        let n = out.len().min(usize::from(self.len()));
        for (i, byte) in out[..n].iter_mut().enumerate() {
            // SAFETY: i < len <= capacity.
            let at = unsafe { self.ptr().add(i) };
            // SAFETY: readable by this trait's contract.
            *byte = unsafe { at.read_volatile() };
        }
        n
    }
}

/// A chunk whose bytes are the owner's alone, so that there may be slices of them.
///
/// # Safety
/// Nobody but the owner writes the bytes: no other process, and the device only between post and write-back. (A device
/// that writes elsewhere is held by an IOMMU or by nothing.)
pub unsafe trait Exclusive: Chunk {
    /// The data.
    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `Chunk` gives the bytes to us alone, this trait says that nobody else writes them.
        unsafe { slice::from_raw_parts(self.ptr().as_ptr(), usize::from(self.len())) }
    }

    /// The data.
    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.ptr().as_ptr(), usize::from(self.len())) }
    }

    /// Replaces the data by `bytes`. False, and nothing done, if they do not fit.
    #[inline]
    fn set(&mut self, bytes: &[u8]) -> bool {
        let fits = u16::try_from(bytes.len()).is_ok_and(|len| self.resize(len));
        if fits {
            self.bytes_mut().copy_from_slice(bytes);
        }
        fits
    }
}

/// Where receive buffers come from and where all go back to. One per queue, not shared, so no lock and no atomic.
pub trait Memory: Send {
    /// What it deals in.
    type Buf: Chunk;
    /// What a device may write into each.
    fn buffer_size(&self) -> u16;
    /// One chunk, or `None` when all are out.
    fn take(&mut self) -> Option<Self::Buf>;
    /// Takes one back.
    fn give(&mut self, buf: Self::Buf);
}

/// The way out that is never taken: by value and out of line, so that the hot path keeps the chunk in registers.
#[cold]
#[inline(never)]
pub(crate) fn discard<C>(_: C) {}
