//! Each vector reaches whoever waits for it.

use super::{close, open_as};
use crate::drive::each_vector_wakes_its_own;
use crate::{Bed, frames};
use core::time::Duration;
use igb::{Action, Config, InterruptKind, Queues};

/// Every vector of `queues` queues and the one for the rest: raised by software it wakes its own waiter and no other.
pub fn every_vector<B: Bed>(bed: &B, queues: u16) {
    let config = Config::default().interrupts(&[InterruptKind::MsiX]);
    let (control, all) = open_as(bed, 0, Queues::combined(queues), config);
    assert_eq!(control.interrupt_kind(), Some(InterruptKind::MsiX));
    each_vector_wakes_its_own(&control, &all, Duration::from_millis(20));
    drop(all);
    close(bed, (control, Vec::new()));
}

/// A sleeper wakes when a frame comes: with MSI-X, MSI or the line.
pub fn wakes_on_frames<B: Bed>(bed: &B, kind: &'static [InterruptKind]) {
    let config = Config::default().interrupts(kind);
    let (control, mut queues) = open_as(bed, 0, Queues::combined(1), config);
    assert_eq!(control.interrupt_kind(), kind.first().copied());
    let own = control.address().0;
    let queue = &mut queues[0];
    let mut irq = queue.take_irq().expect("the first to take it");
    for round in 0..20 {
        assert!(bed.send(0, &frames::numbered(own, round, 100)));
        let mut seen = 0;
        for _ in 0..200 {
            seen += queue
                .poll_or_wait(&mut irq, Duration::from_millis(500), 64, |frame, _| Action::Recycle(frame))
                .unwrap_or_else(|error| panic!("poll: {error}"));
            if seen > 0 {
                break;
            }
        }
        assert_eq!(seen, 1, "round {round}");
    }
    close(bed, (control, queues));
}
