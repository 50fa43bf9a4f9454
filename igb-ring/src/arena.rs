//! A `Dma` over one fixed piece of memory, with an allocator inside: for bare metal, emulators and tests.

use crate::{Dma, Domain, Error, Region};
use alloc::alloc::{alloc_zeroed, dealloc};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::*};

/// Pieces begin and end on 128-byte lines, so that nobody's ring shares a line with another.
const GRANULE: usize = 128;
const PAGE: usize = 4096;

/// One fixed piece of memory that devices see, dealt out in parts. A handle: clones share the memory, and it lives as
/// long as one of them or anything allocated from it.
///
/// It is also the device's side for whoever plays the device: [`read`](Self::read), [`write`](Self::write) and the
/// 64-bit pair take device addresses, check them, and access memory atomically.
///
/// ```
/// use igb_ring::{Arena, Dma};
/// let arena = Arena::anonymous(1 << 20, 0x8000_0000)?;
/// let region = arena.alloc(4096, 128).expect("an empty arena has room");
/// assert!(arena.write(region.iova + 8, &[1, 2, 3]));
/// assert_eq!(arena.read64(region.iova + 8), Some(0x03_02_01));
/// assert!(!arena.write(0x1000, &[0]), "outside");
/// # Ok::<(), igb_ring::Error>(())
/// ```
#[derive(Clone)]
pub struct Arena(Arc<Inner>);

struct Inner {
    region: Region,
    domain: Domain,
    mask: u64,
    heap: Option<Layout>,
    free: spin::Mutex<Free>,
}

impl Arena {
    /// An arena over memory that the caller has.
    ///
    /// # Errors
    /// [`Error::ArenaPlace`] unless both addresses are page-aligned, it has a page, and `iova + len` does not wrap.
    ///
    /// # Safety
    /// `region` is valid for reads and writes, used by nobody else (but devices), and mapped for every device of
    /// `domain` at `region.iova`, as long as the arena, a clone, or anything allocated from it exists.
    pub unsafe fn new(region: Region, domain: Domain, mask: u64) -> Result<Self, Error> {
        Self::over(region, domain, mask, None)
    }

    /// An arena over fresh heap memory, that a simulated device sees at `iova`. Domain 0, no address limit.
    ///
    /// # Errors
    /// [`Error::ArenaPlace`] as for [`new`](Self::new), [`Error::NoMemory`].
    pub fn anonymous(len: usize, iova: u64) -> Result<Self, Error> {
        Self::anonymous_in(len, iova, Domain(0), u64::MAX)
    }

    /// The same with a domain, and a limit beyond which nothing is allocated.
    ///
    /// # Errors
    /// As for [`anonymous`](Self::anonymous).
    pub fn anonymous_in(len: usize, iova: u64, domain: Domain, mask: u64) -> Result<Self, Error> {
        let place = Error::ArenaPlace { iova, len };
        if len < PAGE {
            return Err(place);
        }
        let layout = Layout::from_size_align(len, PAGE).map_err(|_| place)?;
        // SAFETY: at least a page.
        let cpu = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Error::NoMemory(len))?;
        let made = Self::over(Region { cpu, iova, len }, domain, mask, Some(layout));
        if made.is_err() {
            // SAFETY: allocated above, and nobody has it.
            unsafe { dealloc(cpu.as_ptr(), layout) }
        }
        made
    }

    fn over(region: Region, domain: Domain, mask: u64, heap: Option<Layout>) -> Result<Self, Error> {
        let Region { cpu, iova, len } = region;
        let aligned = cpu.addr().get().is_multiple_of(PAGE) && iova.is_multiple_of(PAGE as u64);
        if !aligned || len < PAGE || iova.checked_add(len as u64 - 1).is_none() {
            return Err(Error::ArenaPlace { iova, len });
        }
        let reach = match mask.checked_sub(iova) {
            Some(last) => usize::try_from(last).map_or(len, |last| len.min(last.saturating_add(1))),
            None => 0,
        };
        let free = spin::Mutex::new(Free::new(reach / GRANULE * GRANULE));
        Ok(Self(Arc::new(Inner { region, domain, mask, heap, free })))
    }

    /// All of it.
    pub fn region(&self) -> Region {
        self.0.region
    }

    /// Bytes that are out.
    pub fn allocated(&self) -> usize {
        let free = self.0.free.lock();
        free.total - free.spans.iter().map(|span| span.len).sum::<usize>()
    }

    /// The CPU address of `len` bytes at `iova`, if all of them are inside.
    fn at(&self, iova: u64, len: usize) -> Option<NonNull<u8>> {
        let offset = usize::try_from(iova.checked_sub(self.0.region.iova)?).ok()?;
        if offset.checked_add(len)? > self.0.region.len {
            return None;
        }
        // SAFETY: inside the region.
        Some(unsafe { self.0.region.cpu.add(offset) })
    }

    /// Reads as a device does. False, and nothing read, if a byte lies outside.
    pub fn read(&self, iova: u64, out: &mut [u8]) -> bool {
        let Some(from) = self.at(iova, out.len()) else { return false };
        // SAFETY: inside the region and valid; whoever else has it, the device's accesses are atomic.
        unsafe { load(from, out) }
        true
    }

    /// Writes as a device does. False, and nothing written, if a byte lies outside.
    pub fn write(&self, iova: u64, bytes: &[u8]) -> bool {
        let Some(to) = self.at(iova, bytes.len()) else { return false };
        // SAFETY: as in `read`.
        unsafe { store(to, bytes) }
        true
    }

    /// One little-endian quadword, whole, with acquire order: what was written before it is seen after it. `None` if it
    /// is misaligned or outside.
    pub fn read64(&self, iova: u64) -> Option<u64> {
        Some(u64::from_le(self.word(iova)?.load(Acquire)))
    }

    /// One little-endian quadword, whole, with release order. False if it is misaligned or outside.
    pub fn write64(&self, iova: u64, value: u64) -> bool {
        let Some(word) = self.word(iova) else { return false };
        word.store(value.to_le(), Release);
        true
    }

    fn word(&self, iova: u64) -> Option<&AtomicU64> {
        let at = self.at(iova, 8).filter(|_| iova.is_multiple_of(8))?;
        // SAFETY: inside the region, which `self` keeps alive, and aligned as the region is; rings see it as atomics too.
        Some(unsafe { at.cast::<AtomicU64>().as_ref() })
    }
}

/// # Safety
/// `from` is valid for reads of `out.len()` bytes.
unsafe fn load(from: NonNull<u8>, out: &mut [u8]) {
    let mut at = from;
    let ahead = at.align_offset(8).min(out.len());
    let (head, rest) = out.split_at_mut(ahead);
    let (words, tail) = rest.as_chunks_mut::<8>();
    for byte in head {
        // SAFETY: inside, by contract.
        *byte = unsafe { at.cast::<AtomicU8>().as_ref() }.load(Relaxed);
        // SAFETY: at most one past the end.
        at = unsafe { at.add(1) };
    }
    for word in words {
        // SAFETY: inside, and aligned after the head.
        *word = unsafe { at.cast::<AtomicU64>().as_ref() }.load(Relaxed).to_ne_bytes();
        // SAFETY: as above.
        at = unsafe { at.add(8) };
    }
    for byte in tail {
        // SAFETY: inside, by contract.
        *byte = unsafe { at.cast::<AtomicU8>().as_ref() }.load(Relaxed);
        // SAFETY: as above.
        at = unsafe { at.add(1) };
    }
}

/// # Safety
/// `to` is valid for writes of `bytes.len()` bytes.
unsafe fn store(to: NonNull<u8>, bytes: &[u8]) {
    let mut at = to;
    let (head, rest) = bytes.split_at(at.align_offset(8).min(bytes.len()));
    let (words, tail) = rest.as_chunks::<8>();
    for byte in head {
        // SAFETY: inside, by contract.
        unsafe { at.cast::<AtomicU8>().as_ref() }.store(*byte, Relaxed);
        // SAFETY: at most one past the end.
        at = unsafe { at.add(1) };
    }
    for word in words {
        // SAFETY: inside, and aligned after the head.
        unsafe { at.cast::<AtomicU64>().as_ref() }.store(u64::from_ne_bytes(*word), Relaxed);
        // SAFETY: as above.
        at = unsafe { at.add(8) };
    }
    for byte in tail {
        // SAFETY: inside, by contract.
        unsafe { at.cast::<AtomicU8>().as_ref() }.store(*byte, Relaxed);
        // SAFETY: as above.
        at = unsafe { at.add(1) };
    }
}

// SAFETY: `Free` deals out disjoint spans of a region that is ours by `new`'s contract or from the heap, zeroed here; owners
// keep the arena alive by their clone.
unsafe impl Dma for Arena {
    fn domain(&self) -> Domain {
        self.0.domain
    }
    fn mask(&self) -> u64 {
        self.0.mask
    }
    fn alloc(&self, len: usize, align: usize) -> Option<Region> {
        let base = self.0.region;
        let offset = self.0.free.lock().take(len, align, base.iova)?;
        // SAFETY: the span lies inside the region.
        let cpu = unsafe { base.cpu.add(offset) };
        if align <= PAGE || cpu.addr().get().is_multiple_of(align) {
            // SAFETY: nobody else has the span.
            unsafe { cpu.write_bytes(0, len) };
            return Some(Region { cpu, iova: base.iova + offset as u64, len });
        }
        self.0.free.lock().give(offset, len);
        None
    }
    unsafe fn free(&self, region: Region) {
        let offset = region.iova.checked_sub(self.0.region.iova).and_then(|o| usize::try_from(o).ok());
        if let Some(offset) = offset {
            self.0.free.lock().give(offset, region.len);
        }
    }
    unsafe fn map(&self, cpu: NonNull<u8>, len: usize) -> Option<u64> {
        let base = self.0.region;
        let offset = cpu.addr().get().checked_sub(base.cpu.addr().get())?;
        (offset.checked_add(len)? <= base.len).then_some(base.iova + offset as u64)
    }
    fn unmap(&self, _: u64, _: usize) {}
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(layout) = self.heap {
            // SAFETY: from `anonymous_in`, and the last handle is gone.
            unsafe { dealloc(self.region.cpu.as_ptr(), layout) }
        }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Arena");
        s.field("region", &self.0.region)
            .field("domain", &self.0.domain)
            .field("allocated", &self.allocated());
        s.finish_non_exhaustive()
    }
}

/// First fit over spans that lie in order, with neighbours joined. Rings and pools are few and long-lived.
struct Free {
    total: usize,
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    at: usize,
    len: usize,
}

impl Free {
    fn new(total: usize) -> Self {
        let spans = if total == 0 { Vec::new() } else { Vec::from([Span { at: 0, len: total }]) };
        Self { total, spans }
    }

    /// The offset of `len` bytes whose device address is aligned.
    fn take(&mut self, len: usize, align: usize, iova: u64) -> Option<usize> {
        let len = len.max(1).checked_next_multiple_of(GRANULE)?;
        if !align.is_power_of_two() {
            return None;
        }
        let align = align.max(GRANULE) as u64;
        for i in 0..self.spans.len() {
            let Span { at, len: room } = self.spans[i];
            let start = iova.checked_add(at as u64)?.checked_next_multiple_of(align)?;
            let before = usize::try_from(start - iova).ok()? - at;
            if before.checked_add(len).is_none_or(|need| need > room) {
                continue;
            }
            let after = Span { at: at + before + len, len: room - before - len };
            match (before, after.len) {
                (0, 0) => drop(self.spans.remove(i)),
                (0, _) => self.spans[i] = after,
                (_, 0) => self.spans[i].len = before,
                _ => {
                    self.spans[i].len = before;
                    self.spans.insert(i + 1, after);
                }
            }
            return Some(at + before);
        }
        None
    }

    fn give(&mut self, at: usize, len: usize) {
        let Some(len) = len.max(1).checked_next_multiple_of(GRANULE) else { return };
        let i = self.spans.partition_point(|span| span.at < at);
        debug_assert!(self.spans.get(i).is_none_or(|next| at + len <= next.at), "freed twice");
        debug_assert!(i == 0 || self.spans[i - 1].at + self.spans[i - 1].len <= at, "freed twice");
        self.spans.insert(i, Span { at, len });
        if self.spans.get(i + 1).is_some_and(|next| next.at == at + len) {
            self.spans[i].len += self.spans.remove(i + 1).len;
        }
        if i > 0 && self.spans[i - 1].at + self.spans[i - 1].len == at {
            self.spans[i - 1].len += self.spans.remove(i).len;
        }
    }
}
