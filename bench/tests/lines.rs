//! No two queues write into one 128-byte line: CPUs fetch lines of 64 bytes in pairs.
//!
//! The allocator of this test deals everything out of one block, so that what a poll has changed anywhere in memory is
//! found by comparing. Descriptors and buffers lie there too, and what the device writes counts for its queue.

// An allocator, and a look at all of memory.
#![allow(unsafe_code)]

use igb::regs::{Chip, Regs};
use igb::ring::Arena;
use igb::{Action, Config, Igb, MacAddress, Pool, Queues};
use igb_bench::MemoryOnly;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const BYTES: usize = 8 << 20;
const LINE: usize = 128;
const QUEUES: u16 = 4;
const RING: u32 = 64;

#[repr(align(4096))]
struct Block(UnsafeCell<[u8; BYTES]>);

// SAFETY: seen through raw pointers only; pieces of it are handed out once each.
unsafe impl Sync for Block {}

impl Block {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }
    fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }
    /// The first `len` bytes of another block.
    fn copy(&self, from: &Self, len: usize) {
        assert!(len <= BYTES);
        // SAFETY: two blocks; nobody writes while the only thread that works is here.
        unsafe { core::ptr::copy_nonoverlapping(from.start(), self.start(), len) }
    }
    fn bytes(&self, len: usize) -> &[u8] {
        assert!(len <= BYTES);
        // SAFETY: a copy, which changes in `copy` only, and not while this is looked at.
        unsafe { core::slice::from_raw_parts(self.start(), len) }
    }
}

static MEMORY: Block = Block::new();
static BEFORE: Block = Block::new();
static AFTER: Block = Block::new();
static USED: AtomicUsize = AtomicUsize::new(0);

struct Bump;

// SAFETY: pieces do not overlap, since USED only grows.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let end = |used: usize| used.checked_next_multiple_of(layout.align())?.checked_add(layout.size());
        match USED.fetch_update(Relaxed, Relaxed, |used| end(used).filter(|end| *end <= BYTES)) {
            Ok(used) => MEMORY.start().wrapping_add(used.next_multiple_of(layout.align())),
            // A panic reads all debugging symbols: they may lie elsewhere.
            // SAFETY: by the caller's contract, which is the same.
            Err(_) => unsafe { System.alloc(layout) },
        }
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump;

#[test]
fn no_two_queues_write_into_one_line() {
    let memory = Arena::anonymous(2 << 20, 0).expect("memory");
    let pool = Pool::new(&memory, 640, 2304).expect("memory");
    let platform = MemoryOnly::new(&memory, |words| words);
    let registers = platform.device().words();
    let config = Config::default().address(MacAddress([2, 0, 0, 0, 0, 1])).interrupts(&[]);
    let igb = Igb::probe(platform, config).expect("probes");
    let (_controller, mut queues) =
        igb.open_with(Queues::combined(QUEUES).rings(RING, RING), |_| pool.local()).expect("opens");
    let regs = Regs::new(registers, Chip::I82576);
    // A doorbell is not in memory that CPUs keep lines of.
    let is_register = |line: usize| registers.addresses().contains(&(MEMORY.start().addr() + line * LINE));

    let mut owners: BTreeMap<usize, usize> = BTreeMap::new();
    for round in 0..2 * u64::from(RING) {
        for (index, queue) in queues.iter_mut().enumerate() {
            let (rx, tx) = (regs.rx_queue(index), regs.tx_queue(index));
            let base = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
            let received = base(rx.rdbal().get(), rx.rdbah().get()) + 16 * (round % u64::from(RING));
            let sent = base(tx.tdbal().get(), tx.tdbah().get());
            let used = USED.load(Relaxed).next_multiple_of(LINE);
            BEFORE.copy(&MEMORY, used);

            // The device: one frame in, everything sent reported.
            memory.write64(received + 8, 60 << 32 | 3);
            for at in (0..u64::from(RING)).map(|n| sent + 16 * n + 8) {
                let word = memory.read64(at).expect("inside");
                if word & 1 << 27 != 0 {
                    memory.write64(at, word | 1 << 32);
                }
            }
            // The program: sends it back, which moves all that a queue has.
            assert_eq!(queue.poll(64, |frame, _| Action::Transmit(frame)), Ok(1));

            // A full ring leaves a queue's own stock empty: its first poll fills it from the shared pool.
            if round == 0 {
                continue;
            }
            AFTER.copy(&MEMORY, used);
            let lines = BEFORE.bytes(used).chunks(LINE).zip(AFTER.bytes(used).chunks(LINE)).enumerate();
            for (line, _) in lines.filter(|(line, (before, after))| before != after && !is_register(*line)) {
                let owner = *owners.entry(line).or_insert(index);
                assert_eq!(
                    owner, index,
                    "line {line} of queue {owner} is written by queue {index}, round {round}"
                );
            }
        }
    }
    // Something was seen: each queue's rings alone have 16 lines, its buffers and its own state some more.
    for index in 0..usize::from(QUEUES) {
        let lines = owners.values().filter(|owner| **owner == index).count();
        assert!(lines > 18, "queue {index} wrote {lines} lines");
    }
}
