//! Memory of this process that devices reach: where it comes from.

use crate::error::{Errno, Error};
use core::ffi::c_void;
use core::ptr::{self, NonNull};
use rustix::io::Errno as Code;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use std::os::unix::fs::FileExt;

/// Memory is taken in pieces of this: a huge page of x86-64, and of AArch64 with small pages.
pub(crate) const HUGE: u64 = 2 << 20;

/// A mapping of our own, page-aligned (at 2 MiB, in fact), zeroed, not inherited by children: a child's copy-on-write would
/// part the process from what the device sees.
///
/// Invariant: `len` bytes at `base` are mapped, readable and writable, until this value is dropped.
#[derive(Debug)]
pub(crate) struct Block {
    base: NonNull<c_void>,
    len: usize,
}
// SAFETY: an address and a length.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Huge pages that the machine keeps for such uses, if it has enough of them.
    pub(crate) fn huge(len: u64) -> Option<Self> {
        let len = usize::try_from(len).ok()?;
        let flags = MapFlags::PRIVATE | MapFlags::HUGETLB | MapFlags::HUGE_2MB | MapFlags::POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) };
        let block = Self { base: NonNull::new(base.ok()?)?, len };
        block.keep_from_children().then_some(block)
    }

    /// Ordinary memory, as huge pages if the kernel finds some.
    pub(crate) fn ordinary(len: u64) -> Result<Self, Error> {
        let none = Error::NoMemory(len);
        let size = usize::try_from(len).map_err(|_| none)?;
        let more = size.checked_add(HUGE as usize).ok_or(none)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap_anonymous(ptr::null_mut(), more, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        };
        let base = NonNull::new(base.map_err(|_| none)?).ok_or(none)?;
        // The part that begins at 2 MiB stays, so that the IOMMU can use large pages too.
        let before = base.addr().get().wrapping_neg() % HUGE as usize;
        // SAFETY: `before` is less than the 2 MiB that were taken beyond `size`.
        let start = unsafe { base.byte_add(before) };
        // SAFETY: `size` bytes from `start` end inside the mapping.
        let end = unsafe { start.byte_add(size) };
        for (at, len) in [(base, before), (end, more - before - size)] {
            if len > 0 {
                // SAFETY: the ends of the new mapping, which nobody has seen.
                let _ = unsafe { munmap(at.as_ptr(), len) };
            }
        }
        let block = Self { base: start, len: size };
        // SAFETY: our mapping. A kernel without huge pages says no, and nothing is lost.
        let _ = unsafe { madvise(block.base.as_ptr(), block.len, Advice::LinuxHugepage) };
        if block.keep_from_children() { Ok(block) } else { Err(none) }
    }

    fn keep_from_children(&self) -> bool {
        // SAFETY: our mapping; children have no use for it.
        unsafe { madvise(self.base.as_ptr(), self.len, Advice::LinuxDontFork) }.is_ok()
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base.cast()
    }

    pub(crate) fn len(&self) -> u64 {
        self.len as u64
    }

    /// Keeps it in memory, in place, and gives its physical address, if it is one piece there.
    pub(crate) fn physical(&self) -> Result<u64, Error> {
        // SAFETY: our mapping.
        unsafe { mlock(self.base.as_ptr(), self.len) }.map_err(|error| refused(error, self.len()))?;
        let page = rustix::param::page_size();
        let first = self.base.addr().get() / page;
        let mut entries = vec![0; self.len / page * 8];
        let read = std::fs::File::open("/proc/self/pagemap")
            .and_then(|map| map.read_exact_at(&mut entries, first as u64 * 8));
        read.map_err(|error| {
            Error::System("reading /proc/self/pagemap", Errno(error.raw_os_error().unwrap_or(0)))
        })?;
        one_piece(&entries, page as u64).ok_or(Error::NotContiguous(self.len()))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: our mapping; who points into it keeps this value.
        let _ = unsafe { munmap(self.base.as_ptr(), self.len) };
    }
}

/// The physical address of pages that follow each other, by their entries in pagemap: bit 63 says present, bits 54:0 are
/// the frame's number, which only a privileged reader sees (others see 0).
fn one_piece(entries: &[u8], page: u64) -> Option<u64> {
    let (entries, _) = entries.as_chunks::<8>();
    let frame = |entry: &[u8; 8]| {
        let entry = u64::from_ne_bytes(*entry);
        let number = entry & ((1 << 55) - 1);
        (entry >> 63 == 1 && number != 0).then_some(number)
    };
    let first = frame(entries.first()?)?;
    let follows = |(n, entry)| frame(entry) == Some(first + n as u64);
    entries.iter().enumerate().all(follows).then_some(first.checked_mul(page)?)
}

/// Why the kernel did not pin `need` bytes in all.
pub(crate) fn refused(code: Code, need: u64) -> Error {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    match (code, limit) {
        (Code::NOSPC, _) => Error::TooManyMappings,
        (Code::NOMEM | Code::PERM | Code::AGAIN, Some(limit)) if need > limit => {
            Error::Memlock { need, limit }
        }
        (Code::NOMEM, _) => Error::NoMemory(need),
        (code, _) => Error::System("mapping memory for the device", Errno(code.raw_os_error())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_memory_is_aligned_zeroed_and_ours() {
        for len in [HUGE, 3 * HUGE] {
            let block = Block::ordinary(len).unwrap();
            assert_eq!((block.base().addr().get() as u64 % HUGE, block.len()), (0, len));
            for at in (0..len as usize).step_by(4096) {
                // SAFETY: inside the block.
                let byte = unsafe { block.base().add(at) };
                // SAFETY: mapped, and nobody else has it.
                assert_eq!(unsafe { byte.read_volatile() }, 0);
                // SAFETY: as above.
                unsafe { byte.write_volatile(1) };
            }
        }
        assert_eq!(Block::ordinary(u64::MAX - 5).err(), Some(Error::NoMemory(u64::MAX - 5)));
        assert_eq!(Block::ordinary(1 << 62).err(), Some(Error::NoMemory(1 << 62)));
    }

    #[test]
    fn huge_pages_only_where_there_are_some() {
        assert!(Block::huge(1 << 45).is_none());
    }

    #[test]
    fn physical_pages_are_one_piece_or_refused() {
        let entry = |frame: u64| (1 << 63 | frame).to_ne_bytes();
        let three = |a, b, c| [entry(a), entry(b), entry(c)].concat();
        assert_eq!(one_piece(&three(5, 6, 7), 4096), Some(5 * 4096));
        assert_eq!(one_piece(&three(5, 7, 6), 4096), None);
        assert_eq!(one_piece(&three(0, 0, 0), 4096), None, "hidden from us");
        assert_eq!(one_piece(&[5u64.to_ne_bytes(), 6u64.to_ne_bytes()].concat(), 4096), None, "not present");
        assert_eq!(one_piece(&[], 4096), None);
    }

    #[test]
    fn a_limit_is_told_only_where_it_is_the_reason() {
        assert_eq!(refused(Code::NOSPC, 1), Error::TooManyMappings);
        assert_eq!(refused(Code::NOMEM, 0), Error::NoMemory(0));
    }
}
