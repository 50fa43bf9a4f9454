//! DMA memory of one device. There is no global: two devices are two values, and they may stand in one [`Domain`].

use crate::Error;
use alloc::boxed::Box;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

/// Who shares addresses: devices with equal domains see the same memory at the same IOVA (one VFIO container, an
/// identity map).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Domain(pub u32);

/// Memory seen by the CPU at `cpu` and by the device at `iova`. Only addresses: whoever reads or writes there says why
/// that is right.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Where the CPU sees it.
    pub cpu: NonNull<u8>,
    /// Where the device sees it.
    pub iova: u64,
    /// Bytes.
    pub len: usize,
}
// SAFETY: two numbers and a pointer that nothing here follows; every access is an unsafe block with its own argument.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

/// Where a device's memory comes from.
///
/// Two kinds of memory are asked for. Rings need memory where each side sees the other's stores at once
/// ([`alloc`](Self::alloc); uncached where the machine needs that). Buffers may be memory that wants maintenance at
/// each change of hands ([`alloc_streaming`](Self::alloc_streaming)); where [`is_coherent`](Self::is_coherent) is
/// true, the two are one and the syncs are never called.
///
/// # Safety
/// `alloc` and `alloc_streaming` return zeroed memory, `cpu` and `iova` aligned as asked (the CPU side up to 4,096 at
/// least), that nobody else has, valid and mapped for every device of `domain` at `iova` until it is freed;
/// `iova + len - 1` does not pass `mask`. `map` makes foreign memory visible until `unmap`. A clone stands for the same
/// memory and keeps it alive.
pub unsafe trait Dma {
    /// Who shares this device's addresses.
    fn domain(&self) -> Domain;
    /// The highest address that the device can put on the bus.
    fn mask(&self) -> u64;
    /// Whether CPU and device see streaming memory alike without the syncs.
    fn is_coherent(&self) -> bool {
        true
    }
    /// Memory that needs no sync, in one piece. `None` when there is none.
    fn alloc(&self, len: usize, align: usize) -> Option<Region>;
    /// Gives back what [`alloc`](Self::alloc) gave.
    ///
    /// # Safety
    /// `region` came from `alloc` of this domain, and neither a device nor anybody else uses it any more.
    unsafe fn free(&self, region: Region);
    /// Memory for buffers, synced by the two functions below where DMA is not coherent.
    fn alloc_streaming(&self, len: usize, align: usize) -> Option<Region> {
        self.alloc(len, align)
    }
    /// Gives back what [`alloc_streaming`](Self::alloc_streaming) gave.
    ///
    /// # Safety
    /// As for [`free`](Self::free).
    unsafe fn free_streaming(&self, region: Region) {
        // SAFETY: by contract, and `alloc_streaming` is `alloc` unless both are replaced.
        unsafe { self.free(region) }
    }
    /// Shows memory that came from elsewhere to the device. `None` where that is impossible.
    ///
    /// # Safety
    /// The memory stays valid until `unmap`, and whoever else writes it does so only through raw or atomic access.
    unsafe fn map(&self, cpu: NonNull<u8>, len: usize) -> Option<u64>;
    /// Hides again what `map` showed.
    fn unmap(&self, iova: u64, len: usize);
    /// The CPU has written; the device gets these bytes of streaming memory.
    fn sync_for_device(&self, iova: u64, len: usize) {
        let _ = (iova, len);
    }
    /// The device has written; the CPU gets these bytes of streaming memory.
    fn sync_for_cpu(&self, iova: u64, len: usize) {
        let _ = (iova, len);
    }
}

/// A piece of DMA memory that frees itself.
///
/// The `dyn` inside is met when memory is freed (and synced, where DMA is not coherent); it keeps the platform's type
/// out of every ring and buffer.
pub struct Coherent {
    region: Region,
    domain: Domain,
    streaming: bool,
    owner: Option<Box<dyn Dma + Send + Sync>>,
}

impl Coherent {
    /// Memory that needs no sync.
    ///
    /// # Errors
    /// [`Error::NoMemory`], or [`Error::BadRegion`] when the platform breaks its word.
    pub fn new<D: Dma + Clone + Send + Sync + 'static>(
        dma: &D,
        len: usize,
        align: usize,
    ) -> Result<Self, Error> {
        Self::with(dma, len, align, false)
    }

    pub(crate) fn streaming<D: Dma + Clone + Send + Sync + 'static>(
        dma: &D,
        len: usize,
        align: usize,
    ) -> Result<Self, Error> {
        Self::with(dma, len, align, true)
    }

    fn with<D: Dma + Clone + Send + Sync + 'static>(
        dma: &D,
        len: usize,
        align: usize,
        streaming: bool,
    ) -> Result<Self, Error> {
        let region = if streaming { dma.alloc_streaming(len, align) } else { dma.alloc(len, align) };
        let region = region.ok_or(Error::NoMemory(len))?;
        let memory = Self { region, domain: dma.domain(), streaming, owner: Some(Box::new(dma.clone())) };
        let last = (len as u64).checked_sub(1).and_then(|n| region.iova.checked_add(n));
        let aligned =
            region.iova.is_multiple_of(align as u64) && region.cpu.addr().get().is_multiple_of(align);
        if region.len < len || !aligned || last.is_none_or(|last| last > dma.mask()) {
            return Err(Error::BadRegion { iova: region.iova }); // frees it
        }
        Ok(memory)
    }

    /// Where it is.
    pub fn region(&self) -> Region {
        self.region
    }

    /// Who shares its addresses.
    #[inline]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The device may write here for ever: never frees it.
    pub fn leak(mut self) -> Region {
        core::mem::forget(self.owner.take());
        self.region
    }

    #[cold]
    pub(crate) fn sync(&self, to_device: bool, iova: u64, len: usize) {
        match &self.owner {
            Some(owner) if to_device => owner.sync_for_device(iova, len),
            Some(owner) => owner.sync_for_cpu(iova, len),
            None => {}
        }
    }

    #[inline]
    pub(crate) fn iova(&self) -> u64 {
        self.region.iova
    }

    #[inline]
    pub(crate) fn cpu(&self) -> NonNull<u8> {
        self.region.cpu
    }

    /// Descriptors laid at the start: two little-endian quadwords each, seen as atomics only, because the device writes
    /// them while we look and because reading the status needs an order (acquire) that volatile access does not have.
    #[inline]
    pub(crate) fn descriptors(&self) -> NonNull<[AtomicU64; 2]> {
        self.region.cpu.cast()
    }
}

impl Drop for Coherent {
    fn drop(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        if self.streaming {
            // SAFETY: from `alloc_streaming` in `with`; rings keep it in quarantine or leak it while a device may use it.
            unsafe { owner.free_streaming(self.region) }
        } else {
            // SAFETY: the same, from `alloc`.
            unsafe { owner.free(self.region) }
        }
    }
}

impl fmt::Debug for Coherent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coherent")
            .field("region", &self.region)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}
