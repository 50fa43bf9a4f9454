//! The hot path reads no register, allocates nothing, and writes doorbells only, one per batch and direction.

use igb_bench::Case;
use igb_bench::count::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn no_register_is_read_and_nothing_is_allocated() {
    // The counter counts: an allocation of ours shows.
    let before = count::allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert!(count::allocations() > before);
    for one in count::all().expect("a memory-only device opens") {
        assert_eq!((one.reads, one.others, one.allocations), (0, 0, 0), "{one:?}");
        let windows = one.frames / u64::from(one.batch);
        let directions = match one.case {
            Case::RxDrop | Case::RxEtherType => 1,
            case if case.sends_only() => 1,
            _ => 2,
        };
        assert_eq!(one.doorbells, windows * directions, "{one:?}");
    }
}
