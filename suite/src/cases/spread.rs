//! Many queues: flows spread over all of them, and each stays where it is.

use super::{close, open};
use crate::drive::Flows;
use crate::{Bed, frames};
use igb::Queues;

/// 512 flows of four datagrams each over `queues` queues: each flow on one queue with one hash, in order, and with
/// more than one queue every queue has some.
pub fn spreads_flows<B: Bed>(bed: &B, queues: u16) {
    let (control, mut all) = open(bed, 0, Queues::combined(queues));
    let own = control.address().0;
    let mut flows = Flows::new(queues);
    for round in 0..4u8 {
        for first in (0..512u16).step_by(32) {
            (first..first + 32)
                .for_each(|flow| assert!(bed.send(0, &frames::flow(own, 1000 + flow, &[round]))));
            flows.receive(bed, &mut all, 32);
        }
    }
    flows.assert_spread(512);
    close(bed, (control, all));
}
