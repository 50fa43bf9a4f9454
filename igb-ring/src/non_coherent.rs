//! A platform for tests on which nothing arrives that was not synced.

use crate::{Arena, Dma, Domain, Region};
use alloc::alloc::{alloc_zeroed, dealloc};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ptr::{self, NonNull};

/// What a byte reads as while it is the device's: a sync that was forgotten shows.
const POISON: u8 = 0xdb;

/// An [`Arena`] whose streaming memory is two: one that the CPU sees, one that the device sees, copied at the sync points
/// only. Bytes that were synced to the device read as 0xdb until they are synced back.
///
/// The device's side is the inner arena's: [`Arena::read`] and [`Arena::write`]. Ring memory is coherent, as it is on
/// machines that need syncs for buffers.
///
/// ```
/// use igb_ring::{Arena, Chunk, Error, Exclusive, Memory, NonCoherent, Pool};
/// let arena = Arena::anonymous(1 << 20, 0)?;
/// let dma = NonCoherent::new(arena.clone());
/// assert_eq!(Pool::new(&dma, 16, 2304).unwrap_err(), Error::NotCoherent);
/// let mut buffer = Pool::non_coherent(&dma, 16, 2304)?.local().take().unwrap();
/// buffer.set(b"seen");
/// let mut there = [0; 4];
/// arena.read(buffer.iova(), &mut there);
/// assert_eq!(&there, &[0; 4]);     // not yet,
/// buffer.for_device(4);
/// arena.read(buffer.iova(), &mut there);
/// assert_eq!(&there, b"seen");     // now.
/// # Ok::<(), igb_ring::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NonCoherent {
    arena: Arena,
    mirrors: Arc<spin::Mutex<Vec<Mirror>>>,
}

/// CPU memory that stands for a region of the arena.
#[derive(Debug, Clone, Copy)]
struct Mirror {
    cpu: NonNull<u8>,
    device: Region,
    layout: Layout,
}
// SAFETY: addresses; access is argued where it happens.
unsafe impl Send for Mirror {}

impl NonCoherent {
    /// Over an arena whose other handles are the device's.
    pub fn new(arena: Arena) -> Self {
        Self { arena, mirrors: Arc::default() }
    }

    /// The device's side.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Both addresses of synced bytes: the CPU's, the device's.
    fn both(&self, iova: u64, len: usize) -> Option<(NonNull<u8>, NonNull<u8>)> {
        let mirrors = self.mirrors.lock();
        let mirror =
            mirrors.iter().find(|m| iova >= m.device.iova && iova - m.device.iova < m.device.len as u64)?;
        let offset = (iova - mirror.device.iova) as usize;
        if offset.checked_add(len)? > mirror.device.len {
            return None;
        }
        // SAFETY: inside the CPU's memory, which is as long.
        let cpu = unsafe { mirror.cpu.add(offset) };
        // SAFETY: inside the region.
        Some((cpu, unsafe { mirror.device.cpu.add(offset) }))
    }
}

// SAFETY: ring memory is the arena's. Streaming memory is the arena's for the device, at its address, and a heap allocation of
// its own for the CPU, freed together.
unsafe impl Dma for NonCoherent {
    fn domain(&self) -> Domain {
        self.arena.domain()
    }
    fn mask(&self) -> u64 {
        self.arena.mask()
    }
    fn is_coherent(&self) -> bool {
        false
    }
    fn alloc(&self, len: usize, align: usize) -> Option<Region> {
        self.arena.alloc(len, align)
    }
    unsafe fn free(&self, region: Region) {
        // SAFETY: by contract, and `alloc` asked the arena.
        unsafe { self.arena.free(region) }
    }
    fn alloc_streaming(&self, len: usize, align: usize) -> Option<Region> {
        let layout = Layout::from_size_align(len.max(1), align).ok()?;
        let device = self.arena.alloc(len, align)?;
        // SAFETY: not of size zero.
        let Some(cpu) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            // SAFETY: allocated above, shown to nobody.
            unsafe { self.arena.free(device) };
            return None;
        };
        self.mirrors.lock().push(Mirror { cpu, device, layout });
        Some(Region { cpu, ..device })
    }
    unsafe fn free_streaming(&self, region: Region) {
        let mut mirrors = self.mirrors.lock();
        let Some(i) = mirrors.iter().position(|mirror| mirror.cpu == region.cpu) else { return };
        let mirror = mirrors.swap_remove(i);
        // SAFETY: from `alloc_zeroed` with this layout, and by contract used by nobody.
        unsafe { dealloc(mirror.cpu.as_ptr(), mirror.layout) };
        // SAFETY: from the arena, and by contract used by no device.
        unsafe { self.arena.free(mirror.device) }
    }
    unsafe fn map(&self, _: NonNull<u8>, _: usize) -> Option<u64> {
        None
    }
    fn unmap(&self, _: u64, _: usize) {}
    fn sync_for_device(&self, iova: u64, len: usize) {
        let Some((cpu, device)) = self.both(iova, len) else { return };
        // SAFETY: both have `len` bytes and are two allocations; the caller owns them until the device is told.
        unsafe { ptr::copy_nonoverlapping(cpu.as_ptr(), device.as_ptr(), len) };
        // SAFETY: as above.
        unsafe { cpu.write_bytes(POISON, len) }
    }
    fn sync_for_cpu(&self, iova: u64, len: usize) {
        let Some((cpu, device)) = self.both(iova, len) else { return };
        // SAFETY: as above; the device has reported that it is done with them.
        unsafe { ptr::copy_nonoverlapping(device.as_ptr(), cpu.as_ptr(), len) }
    }
}
