//! Register accesses and allocations of every case, one line each: name, batch, frames, reads, doorbells, other
//! writes, allocations. Run by `cargo xtask bench`.

use igb_bench::count::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> Result<(), igb::Error> {
    for one in count::all()? {
        println!(
            "{} {} {} {} {} {} {}",
            one.case.name(),
            one.batch,
            one.frames,
            one.reads,
            one.doorbells,
            one.others,
            one.allocations
        );
    }
    Ok(())
}
