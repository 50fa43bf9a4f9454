//! Counting what a window does besides computing: register accesses, and calls of the allocator.

use crate::{BATCHES, Case, Rig, Words};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use igb::regs::{Bus, Regs};
use igb::{Chip, Error};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counted. A program makes it its `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator;

// SAFETY: every call goes to the system's allocator as it is.
#[allow(unsafe_code, reason = "the trait is unsafe")]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: by the caller's contract, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[derive(Debug, Default)]
struct Tally {
    reads: AtomicU64,
    doorbells: AtomicU64,
    others: AtomicU64,
}

/// A bus that counts.
#[derive(Debug, Clone)]
pub struct Counted {
    words: Words,
    tally: Arc<Tally>,
}

impl Bus for Counted {
    fn read32(&self, offset: u32) -> u32 {
        self.tally.reads.fetch_add(1, Relaxed);
        self.words.read32(offset)
    }
    fn write32(&self, offset: u32, value: u32) {
        let regs = Regs::new(self.words, Chip::I82576);
        let doorbell = offset == regs.rdt(0).offset() || offset == regs.tdt(0).offset();
        if doorbell { &self.tally.doorbells } else { &self.tally.others }.fetch_add(1, Relaxed);
        self.words.write32(offset, value);
    }
}

/// What one case did in its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accesses {
    /// The case.
    pub case: Case,
    /// Frames a window.
    pub batch: u32,
    /// Frames in all.
    pub frames: u64,
    /// Registers read.
    pub reads: u64,
    /// Tail registers written.
    pub doorbells: u64,
    /// Other registers written.
    pub others: u64,
    /// Calls of the allocator, both ways. Zero in a program without [`CountingAllocator`].
    pub allocations: u64,
}

/// Counts one case. Only one may be counted at a time: the allocator is the process's.
///
/// # Errors
/// What opening says.
///
/// # Panics
/// If a window moves another number of frames than there are.
pub fn accesses(case: Case, batch: u32) -> Result<Accesses, Error> {
    let tally = Arc::new(Tally::default());
    let mut rig = Rig::new(case, batch, |words| Counted { words, tally: tally.clone() })?;
    let now = || {
        let Tally { reads, doorbells, others } = &*tally;
        [reads, doorbells, others, &ALLOCATIONS].map(|count| count.load(Relaxed))
    };
    let (mut sum, mut frames) = ([0; 4], 0);
    for _ in 0..64 {
        rig.prepare();
        let before = now();
        frames += u64::from(rig.run());
        for ((sum, before), after) in sum.iter_mut().zip(before).zip(now()) {
            *sum += after - before;
        }
    }
    assert_eq!(frames, 64 * u64::from(batch), "{} moves the batch", case.name());
    assert_eq!(rig.troubles(), 0);
    let [reads, doorbells, others, allocations] = sum;
    Ok(Accesses { case, batch, frames, reads, doorbells, others, allocations })
}

/// Counts every case at every batch.
///
/// # Errors
/// As [`accesses`].
pub fn all() -> Result<Vec<Accesses>, Error> {
    Case::ALL.into_iter().flat_map(|case| BATCHES.map(|batch| accesses(case, batch))).collect()
}

/// Calls of the allocator so far.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}
