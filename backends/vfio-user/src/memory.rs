//! The guest's memory: files that the client handed over, and which addresses of the device lead where into them.
//!
//! A file is mapped once, whole, however many ranges point into it: behind an emulated IOMMU ranges are single pages that
//! come and go. Accesses take a lock, so that after an unmap was answered none is under way.

use core::ptr::NonNull;
use igb_ring::{Arena, Domain, Region};
use igb_sim::DeviceMemory;
use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

const PAGE: u64 = 4096;
/// Ranges of one device. An IOMMU that maps 4 GiB by single pages needs so many.
const MOST_RANGES: usize = 1 << 20;
/// Files of one device.
const MOST_FILES: usize = 64;

/// One file, mapped.
///
/// Invariant: `arena` is over a mapping of its length that stays until this value is dropped, of a file that cannot
/// shrink, so that no access faults.
#[derive(Debug)]
struct File {
    identity: (u64, u64),
    arena: Arena,
}

impl File {
    fn map(fd: &OwnedFd) -> Result<Self, Errno> {
        let stat = fstat(fd)?;
        // Without the seal the client could take the pages away, and with them this process. Other files than memfds
        // have no seals, and are refused.
        if !fcntl_get_seals(fd)?.contains(SealFlags::SHRINK) {
            return Err(Errno::PERM);
        }
        let len = u64::try_from(stat.st_size).unwrap_or(0) / PAGE * PAGE;
        let len = usize::try_from(len).map_err(|_| Errno::FBIG)?;
        if len == 0 {
            return Err(Errno::INVAL);
        }
        // SAFETY: a new mapping at an address of the kernel's choice; nothing else is there.
        let base = unsafe {
            mmap(core::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0)
        }?;
        let cpu = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        // SAFETY: mapped, readable and writable, until `drop`. The other side is a virtual machine, which is to this
        // process what a device is to a driver; this side's accesses are the arena's atomic ones. Nothing is allocated.
        let arena = unsafe { Arena::new(Region { cpu, iova: 0, len }, Domain(0), u64::MAX) };
        let arena = arena.map_err(|_| Errno::INVAL)?;
        Ok(Self { identity: (stat.st_dev, stat.st_ino), arena })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let region = self.arena.region();
        // SAFETY: mapped in `map`; ranges that lead here hold this value, and the arena dies with it.
        let _ = unsafe { munmap(region.cpu.as_ptr().cast(), region.len) };
    }
}

#[derive(Debug)]
struct Range {
    len: u64,
    /// Where in the file; `None` for memory that came without one, which nobody can reach.
    place: Option<(Arc<File>, u64)>,
    readable: bool,
    writable: bool,
}

#[derive(Debug, Default)]
struct Map {
    ranges: BTreeMap<u64, Range>,
    files: Vec<Weak<File>>,
}

/// What one device can reach. A handle: clones are the same memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Map>>);

/// A range that the client wants to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) iova: u64,
    pub(crate) len: u64,
    pub(crate) offset: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a range; the file is in `fd`.
    pub(crate) fn map(&self, request: Request, fd: Option<&OwnedFd>) -> Result<(), Errno> {
        let Request { iova, len, offset, readable, writable } = request;
        if len == 0 || iova.checked_add(len - 1).is_none() {
            return Err(Errno::INVAL);
        }
        let map = &mut *self.lock();
        let before = map.ranges.range(..=iova + (len - 1)).next_back();
        if before.is_some_and(|(start, range)| start + (range.len - 1) >= iova) {
            return Err(Errno::EXIST);
        }
        if map.ranges.len() >= MOST_RANGES {
            return Err(Errno::NOSPC);
        }
        let place = match fd {
            Some(fd) => {
                let file = map.file(fd)?;
                let end = offset.checked_add(len).ok_or(Errno::INVAL)?;
                if end > file.arena.region().len as u64
                    || !offset.is_multiple_of(8)
                    || !iova.is_multiple_of(8)
                {
                    return Err(Errno::INVAL);
                }
                Some((file, offset))
            }
            None => None,
        };
        map.ranges.insert(iova, Range { len, place, readable, writable });
        Ok(())
    }

    /// Removes every range that lies inside. A range that lies across the edge is refused.
    pub(crate) fn unmap(&self, iova: u64, len: u64) -> Result<(), Errno> {
        if len == 0 {
            return Err(Errno::INVAL);
        }
        // Clients ask for more than there is, once for a length that wraps.
        let last = iova.saturating_add(len - 1);
        let map = &mut *self.lock();
        let across =
            |(start, range): (&u64, &Range), edge: u64| *start < edge && start + (range.len - 1) >= edge;
        let torn = map.ranges.range(..iova).next_back().is_some_and(|one| across(one, iova))
            || last < u64::MAX
                && map.ranges.range(iova..=last).next_back().is_some_and(|one| across(one, last + 1));
        if torn {
            return Err(Errno::INVAL);
        }
        let inside: Vec<u64> = map.ranges.range(iova..=last).map(|(start, _)| *start).collect();
        for start in inside {
            map.ranges.remove(&start);
        }
        Ok(())
    }

    /// Removes all.
    pub(crate) fn clear(&self) {
        *self.lock() = Map::default();
    }
}

impl Map {
    /// The mapping of a file, made now if it is a new one.
    fn file(&mut self, fd: &OwnedFd) -> Result<Arc<File>, Errno> {
        self.files.retain(|file| file.strong_count() > 0);
        let stat = fstat(fd)?;
        let identity = (stat.st_dev, stat.st_ino);
        let known = self.files.iter().filter_map(Weak::upgrade).find(|file| file.identity == identity);
        // A file that grew since is mapped anew.
        let known = known.filter(|file| file.arena.region().len as u64 == stat.st_size as u64 / PAGE * PAGE);
        if let Some(file) = known {
            return Ok(file);
        }
        if self.files.len() >= MOST_FILES {
            return Err(Errno::MFILE);
        }
        let file = Arc::new(File::map(fd)?);
        self.files.push(Arc::downgrade(&file));
        Ok(file)
    }

    /// The pieces of an access, as file, offset and length; `None` unless all of it is mapped and allowed.
    fn pieces(&self, iova: u64, len: usize, write: bool) -> Option<Vec<(&File, u64, usize)>> {
        let (mut at, mut left) = (iova, len);
        let mut pieces = Vec::with_capacity(2);
        while left > 0 {
            let (start, range) = self.ranges.range(..=at).next_back()?;
            let inside = at - start;
            if inside >= range.len || !(if write { range.writable } else { range.readable }) {
                return None;
            }
            let (file, offset) = range.place.as_ref()?;
            let take = usize::try_from(range.len - inside).unwrap_or(usize::MAX).min(left);
            pieces.push((&**file, offset + inside, take));
            left -= take;
            at = if left > 0 { at.checked_add(take as u64)? } else { at };
        }
        Some(pieces)
    }
}

impl DeviceMemory for Memory {
    fn read(&self, iova: u64, out: &mut [u8]) -> bool {
        let map = self.lock();
        let Some(pieces) = map.pieces(iova, out.len(), false) else { return false };
        let mut rest = out;
        pieces.into_iter().all(|(file, offset, len)| {
            let (part, behind) = core::mem::take(&mut rest).split_at_mut(len);
            rest = behind;
            file.arena.read(offset, part)
        })
    }

    fn write(&self, iova: u64, bytes: &[u8]) -> bool {
        let map = self.lock();
        let Some(pieces) = map.pieces(iova, bytes.len(), true) else { return false };
        let mut rest = bytes;
        pieces.into_iter().all(|(file, offset, len)| {
            let (part, behind) = rest.split_at(len);
            rest = behind;
            file.arena.write(offset, part)
        })
    }

    fn write64(&self, iova: u64, value: u64) -> bool {
        let map = self.lock();
        match map.pieces(iova, 8, true).as_deref() {
            Some([(file, offset, _)]) => file.arena.write64(*offset, value),
            _ => false,
        }
    }

    fn read64(&self, iova: u64) -> Option<u64> {
        let map = self.lock();
        match map.pieces(iova, 8, false)?[..] {
            [(file, offset, _)] => file.arena.read64(offset),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, fcntl_add_seals, ftruncate, memfd_create};

    fn file(len: u64, seals: SealFlags) -> OwnedFd {
        let fd = memfd_create("t", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, len).unwrap();
        fcntl_add_seals(&fd, seals).unwrap();
        fd
    }

    fn at(iova: u64, len: u64, offset: u64) -> Request {
        Request { iova, len, offset, readable: true, writable: true }
    }

    #[test]
    fn ranges_lead_into_the_file() {
        let (memory, fd) = (Memory::default(), file(4 * PAGE, SealFlags::SHRINK));
        memory.map(at(0x1_0000, PAGE, PAGE), Some(&fd)).unwrap();
        memory.map(at(0x1_1000, PAGE, 0), Some(&fd)).unwrap();
        // Across both, whose places in the file are the other way round.
        assert!(memory.write(0x1_0ffe, &[1, 2, 3, 4]));
        let mut back = [0; 4];
        assert!(memory.read(0x1_0ffe, &mut back));
        assert_eq!(back, [1, 2, 3, 4]);
        let mut raw = [0; 2];
        rustix::io::pread(&fd, &mut raw, 0).unwrap();
        assert_eq!(raw, [3, 4]);
        assert!(memory.write64(0x1_0008, 7) && memory.read64(0x1_0008) == Some(7));
        assert!(!memory.write64(0x1_0ffc, 7), "misaligned, and in two pieces");
        assert!(!memory.write(0x1_1fff, &[0, 0]) && !memory.read(0, &mut back));
        memory.unmap(0x1_0000, PAGE).unwrap();
        assert!(!memory.write(0x1_0000, &[1]) && memory.write(0x1_1000, &[1]));
        memory.unmap(0, u64::MAX).unwrap();
        assert!(!memory.write(0x1_1000, &[1]));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let (memory, fd) = (Memory::default(), file(2 * PAGE, SealFlags::SHRINK));
        let loose = file(2 * PAGE, SealFlags::GROW);
        assert_eq!(memory.map(at(0, PAGE, 0), Some(&loose)), Err(Errno::PERM), "it could shrink");
        let (pipe, _) = rustix::pipe::pipe().unwrap();
        assert_eq!(memory.map(at(0, PAGE, 0), Some(&pipe)), Err(Errno::INVAL));
        assert_eq!(memory.map(at(0, 0, 0), Some(&fd)), Err(Errno::INVAL));
        assert_eq!(memory.map(at(u64::MAX - 1, PAGE, 0), Some(&fd)), Err(Errno::INVAL));
        assert_eq!(memory.map(at(0, PAGE, 2 * PAGE), Some(&fd)), Err(Errno::INVAL));
        assert_eq!(memory.map(at(0, PAGE, u64::MAX - 7), Some(&fd)), Err(Errno::INVAL));
        memory.map(at(0x4000, 2 * PAGE, 0), Some(&fd)).unwrap();
        assert_eq!(memory.map(at(0x5000, PAGE, 0), Some(&fd)), Err(Errno::EXIST));
        assert_eq!(memory.map(at(0x3000, 9 * PAGE, 0), None), Err(Errno::EXIST));
        assert_eq!(memory.unmap(0x4000, PAGE), Err(Errno::INVAL), "half of a range");
        assert_eq!(memory.unmap(0x5000, PAGE), Err(Errno::INVAL));
        assert_eq!(memory.unmap(0x8000, 0), Err(Errno::INVAL));
        let only = Request { writable: false, ..at(0x8000, PAGE, 0) };
        memory.map(only, Some(&fd)).unwrap();
        assert!(!memory.write(0x8000, &[1]) && memory.read(0x8000, &mut [0]));
        // Memory without a file is known, and cannot be reached.
        memory.map(at(0x9000, PAGE, 0), None).unwrap();
        assert!(!memory.read(0x9000, &mut [0]));
    }
}
