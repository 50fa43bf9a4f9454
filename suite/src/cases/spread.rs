//! Many queues: flows spread over all of them, and each stays where it is.

use super::{PATIENCE, close, open};
use crate::{Bed, frames};
use igb::{Action, Exclusive, Queues};
use std::collections::BTreeMap;

/// 512 flows of four datagrams each over `queues` queues: each flow on one queue with one hash, in order, and with
/// more than one queue every queue has some.
pub fn spreads_flows<B: Bed>(bed: &B, queues: u16) {
    let (control, mut all) = open(bed, 0, Queues::combined(queues));
    let own = control.address().0;
    let mut homes: BTreeMap<u16, (u16, u32, u8)> = BTreeMap::new();
    let mut per_queue = vec![0u32; queues.into()];
    for round in 0..4u8 {
        for first in (0..512u16).step_by(32) {
            (first..first + 32)
                .for_each(|flow| assert!(bed.send(0, &frames::flow(own, 1000 + flow, &[round]))));
            let mut seen = 0;
            for _ in 0..PATIENCE {
                for queue in &mut all {
                    let index = queue.index();
                    seen += queue
                        .poll(64, |frame, meta| {
                            let flow = frames::source_port(frame.bytes()).unwrap_or(0);
                            let sequence = frame.bytes()[42];
                            let home = homes.entry(flow).or_insert((index, meta.rss_hash(), 0));
                            assert_eq!(*home, (index, meta.rss_hash(), sequence), "flow {flow}");
                            home.2 += 1;
                            per_queue[usize::from(index)] += 1;
                            Action::Recycle(frame)
                        })
                        .unwrap_or_else(|error| panic!("poll: {error}"));
                }
                if seen == 32 {
                    break;
                }
                bed.tick();
            }
            assert_eq!(seen, 32, "round {round}, flows from {first}");
        }
    }
    assert_eq!(homes.len(), 512);
    assert!(per_queue.iter().all(|count| *count > 0), "{per_queue:?}");
    close(bed, (control, all));
}
