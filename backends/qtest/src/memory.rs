//! The machine's RAM: one piece of shared memory, mapped here and used by QEMU as it is.
//!
//! A guest-physical address below 2 GiB is an offset into it; what lies at 4 GiB and above follows at offset 2 GiB.
//! The part that drivers get is an [`Arena`]; with an IOMMU each allocation is mapped when it is made and unmapped
//! when it is freed, so a device that reaches for anything else is found out.

use crate::error::{Error, While};
use crate::iommu::Iommu;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use igb_ring::{Arena, Dma, Domain, Region};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Where memory beyond the first 2 GiB begins for the machine.
pub(crate) const HIGH: u64 = 4 << 30;
const LOW_SIZE: u64 = 2 << 30;
pub(crate) const PAGE: u64 = 4096;

/// All of the RAM, mapped. Lives as long as anything points into it.
///
/// Invariant: `base` is a mapping of `len` bytes, readable and writable, until this value is dropped.
#[derive(Debug)]
pub(crate) struct Ram {
    base: NonNull<u8>,
    len: usize,
}
// SAFETY: an address and a length; accesses here are atomic, and the arena deals out disjoint parts.
unsafe impl Send for Ram {}
// SAFETY: as above.
unsafe impl Sync for Ram {}

impl Ram {
    /// `len` bytes of sparse memory, and the descriptor that QEMU maps it by.
    pub(crate) fn new(len: usize) -> Result<(Self, OwnedFd), Error> {
        let fd = memfd_create("igb-ram", MemfdFlags::CLOEXEC).during("making the machine's memory")?;
        ftruncate(&fd, len as u64).during("sizing the machine's memory")?;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing else is there.
        let base = unsafe {
            mmap(core::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &fd, 0)
        };
        let base = NonNull::new(base.during("mapping the machine's memory")?.cast());
        let base =
            base.ok_or(Error::System("mapping the machine's memory", std::io::ErrorKind::OutOfMemory))?;
        Ok((Self { base, len }, fd))
    }

    /// Where the CPU sees `len` bytes at a guest-physical address, if that is RAM. Neither part wraps into the other.
    pub(crate) fn at(&self, address: u64, len: u64) -> Option<NonNull<u8>> {
        let end = address.checked_add(len)?;
        let offset = match address {
            HIGH.. => address - HIGH + LOW_SIZE,
            _ if end <= LOW_SIZE => address,
            _ => return None,
        };
        if offset.checked_add(len)? > self.len as u64 {
            return None;
        }
        // SAFETY: inside the mapping, as just seen.
        Some(unsafe { self.base.add(usize::try_from(offset).ok()?) })
    }

    fn word(&self, address: u64) -> Option<&AtomicU64> {
        let at = self.at(address, 8).filter(|_| address.is_multiple_of(8))?;
        // SAFETY: inside the mapping, which `self` keeps alive, and aligned; both sides use whole words.
        Some(unsafe { at.cast::<AtomicU64>().as_ref() })
    }

    /// A word of a table that is ours. All ones outside the RAM.
    pub(crate) fn read64(&self, address: u64) -> u64 {
        self.word(address).map_or(u64::MAX, |word| u64::from_le(word.load(Ordering::Acquire)))
    }

    /// Writes such a word.
    pub(crate) fn write64(&self, address: u64, value: u64) {
        if let Some(word) = self.word(address) {
            word.store(value.to_le(), Ordering::Release);
        }
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; whoever pointed into it held this value.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The device's view of memory: what a driver allocates from. Clones stand for the same memory, and every port of one
/// machine has the same [`Domain`].
#[derive(Debug, Clone)]
pub struct Memory {
    arena: Arena,
    iommu: Option<Arc<Iommu>>,
    /// The mapping that the arena points into: an owner of a piece has a clone of all this.
    _ram: Arc<Ram>,
}

impl Memory {
    /// The part of `ram` at guest-physical `address`, which devices see at `iova`.
    pub(crate) fn new(
        ram: Arc<Ram>,
        address: u64,
        iova: u64,
        len: usize,
        iommu: Option<Arc<Iommu>>,
    ) -> Result<Self, Error> {
        static MACHINES: AtomicU64 = AtomicU64::new(1);
        let limit = Error::Limit("this much memory does not fit into the machine");
        let cpu = ram.at(address, len as u64).ok_or(limit)?;
        let domain = Domain(MACHINES.fetch_add(1, Ordering::Relaxed) as u32);
        // SAFETY: inside the RAM, which every value that can allocate keeps alive; nobody else is given this part, and QEMU
        // shows it to every device at `iova`, by identity or by the tables that `iommu` keeps for each piece.
        let arena = unsafe { Arena::new(Region { cpu, iova, len }, domain, u64::MAX) }.map_err(|_| limit)?;
        Ok(Self { arena, iommu, _ram: ram })
    }

    /// Everything that can be allocated: for judging addresses, not for access.
    pub fn region(&self) -> Region {
        self.arena.region()
    }

    /// Bytes that are allocated now.
    pub fn allocated(&self) -> usize {
        self.arena.allocated()
    }

    /// Reads as the device would, whoever owns the bytes. False, and nothing read, if a byte lies outside.
    pub fn read(&self, iova: u64, out: &mut [u8]) -> bool {
        self.arena.read(iova, out)
    }

    /// Writes as the device would. False, and nothing written, if a byte lies outside.
    pub fn write(&self, iova: u64, bytes: &[u8]) -> bool {
        self.arena.write(iova, bytes)
    }
}

// SAFETY: the arena's promise, which QEMU's shared mapping keeps for the device's side too. With an IOMMU pieces are whole
// pages, mapped before they are handed out and unmapped before they are taken back; `mask` is the arena's. `_ram` in each
// clone keeps the memory valid.
unsafe impl Dma for Memory {
    fn domain(&self) -> Domain {
        self.arena.domain()
    }

    fn mask(&self) -> u64 {
        self.arena.mask()
    }

    fn alloc(&self, len: usize, align: usize) -> Option<Region> {
        let Some(iommu) = &self.iommu else { return self.arena.alloc(len, align) };
        let region = self
            .arena
            .alloc(len.max(1).checked_next_multiple_of(PAGE as usize)?, align.max(PAGE as usize))?;
        iommu.map(region.iova, region.len as u64);
        Some(region)
    }

    unsafe fn free(&self, region: Region) {
        if let Some(iommu) = &self.iommu {
            iommu.unmap(region.iova, region.len as u64);
        }
        // SAFETY: by contract it came from `alloc`, hence from the arena as it is.
        unsafe { self.arena.free(region) }
    }

    /// The device reaches this machine's memory only: a piece of it is shown, anything else is refused. With an IOMMU
    /// nothing is, for what is mapped there belongs to allocations.
    unsafe fn map(&self, cpu: NonNull<u8>, len: usize) -> Option<u64> {
        if self.iommu.is_some() {
            return None;
        }
        // SAFETY: by contract.
        unsafe { self.arena.map(cpu, len) }
    }

    fn unmap(&self, iova: u64, len: usize) {
        self.arena.unmap(iova, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_memory_map_of_the_machine() {
        let (ram, _fd) = Ram::new(3 << 30).unwrap(); // sparse: costs nothing
        let offset = |address, len| ram.at(address, len).map(|at| at.addr().get() - ram.base.addr().get());
        assert_eq!(offset(0x10_0000, 8), Some(0x10_0000));
        assert_eq!(offset((2 << 30) - 8, 8), Some((2 << 30) - 8));
        assert_eq!(offset((2 << 30) - 4, 8), None, "half of it would lie above");
        assert_eq!(offset(3 << 30, 8), None, "no RAM but devices");
        assert_eq!(offset(HIGH, 8), Some(2 << 30));
        assert_eq!(offset(HIGH + (1 << 30) - 8, 8), Some((3 << 30) - 8));
        assert_eq!(offset(HIGH + (1 << 30), 1), None);
        assert_eq!(offset(u64::MAX, 2), None);
    }

    #[test]
    fn pieces_are_zeroed_apart_and_come_back() {
        let (ram, _fd) = Ram::new(4 << 20).unwrap();
        let memory = Memory::new(Arc::new(ram), 0x10_0000, 0x10_0000, 1 << 20, None).unwrap();
        let a = memory.alloc(4096, 128).unwrap();
        let b = memory.alloc(4096, 128).unwrap();
        assert_ne!(a.iova, b.iova);
        assert!(memory.write(a.iova, &[7; 4096]));
        let mut back = [1; 16];
        assert!(memory.read(b.iova, &mut back));
        assert_eq!(back, [0; 16]);
        assert!(memory.alloc(1 << 20, 128).is_none());
        // SAFETY: from `alloc`, and nobody uses them.
        unsafe { memory.free(a) };
        // SAFETY: as above.
        unsafe { memory.free(b) };
        assert_eq!(memory.allocated(), 0);
        assert!(memory.alloc(1 << 20, 128).is_some());
    }
}
