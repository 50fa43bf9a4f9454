//! Instructions in the windows of `igb_bench::window`, by callgrind. Run by `cargo xtask bench`, which divides by the
//! number of frames.

#![allow(missing_docs, reason = "the macros write public items")]

use gungraun::prelude::*;
use gungraun::{Callgrind, EntryPoint};
use igb_bench::{Case, Rig};

/// Frames that are counted, whatever the batch: sixteen times round a ring.
const FRAMES: u32 = 4096;

fn rig(case: Case, batch: u32) -> Rig {
    Rig::plain(case, batch).expect("a memory-only device opens")
}

#[library_benchmark]
#[benches::rx_drop(args = [(Case::RxDrop, 1), (Case::RxDrop, 8), (Case::RxDrop, 32), (Case::RxDrop, 64)], setup = rig)]
#[benches::rx_ethertype(args = [(Case::RxEtherType, 1), (Case::RxEtherType, 8), (Case::RxEtherType, 32), (Case::RxEtherType, 64)], setup = rig)]
#[benches::tx(args = [(Case::Tx, 1), (Case::Tx, 8), (Case::Tx, 32), (Case::Tx, 64)], setup = rig)]
#[benches::tx_again(args = [(Case::TxAgain, 1), (Case::TxAgain, 8), (Case::TxAgain, 32), (Case::TxAgain, 64)], setup = rig)]
#[benches::tx_known_context(args = [(Case::TxKnownContext, 1), (Case::TxKnownContext, 8), (Case::TxKnownContext, 32), (Case::TxKnownContext, 64)], setup = rig)]
#[benches::tx_new_context(args = [(Case::TxNewContext, 1), (Case::TxNewContext, 8), (Case::TxNewContext, 32), (Case::TxNewContext, 64)], setup = rig)]
#[benches::echo(args = [(Case::Echo, 1), (Case::Echo, 8), (Case::Echo, 32), (Case::Echo, 64)], setup = rig)]
#[benches::forward(args = [(Case::Forward, 1), (Case::Forward, 8), (Case::Forward, 32), (Case::Forward, 64)], setup = rig)]
#[benches::forward_through_pool(args = [(Case::ForwardThroughPool, 1), (Case::ForwardThroughPool, 8), (Case::ForwardThroughPool, 32), (Case::ForwardThroughPool, 64)], setup = rig)]
fn frames(mut rig: Rig) -> Rig {
    rig.rounds(FRAMES);
    rig
}

library_benchmark_group!(name = hot_path, benchmarks = frames);

main!(
    // Counted is what runs inside the windows, the warm-up's forgotten; `Ge` are instructions with a lock.
    config = LibraryBenchmarkConfig::default().tool(
        Callgrind::with_args(["--collect-bus=yes", "--cache-sim=no", "--zero-before=*::rounds"])
            .entry_point(EntryPoint::Custom("igb_bench::window::*".into()))
    ),
    library_benchmark_groups = hot_path
);
