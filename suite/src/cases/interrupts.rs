//! Each vector reaches whoever waits for it.

use super::{close, open_as};
use crate::{Bed, frames};
use core::time::Duration;
use igb::{Action, Config, InterruptKind, Queues, Wait};

/// Every vector of `queues` queues and the one for the rest: raised by software it wakes its own waiter and no other.
pub fn every_vector<B: Bed>(bed: &B, queues: u16) {
    let config = Config::default().interrupts(&[InterruptKind::MsiX]);
    let (control, all) = open_as(bed, 0, Queues::combined(queues), config);
    assert_eq!(control.interrupt_kind(), Some(InterruptKind::MsiX));
    let vectors = control.vectors();
    let mut irqs: Vec<_> =
        (0..vectors).map(|vector| control.take_vector(vector).expect("each is there once")).collect();
    assert!(control.take_vector(0).is_none(), "and only once");
    let arm = || {
        all.iter().for_each(igb::Queue::arm);
        control.arm();
    };
    for raised in 0..vectors {
        // Armed, and nothing left of what came before: the link coming up, a message held back by its interval.
        let settled = (0..20).any(|_| {
            control.on_interrupt().expect("the device is there");
            arm();
            !irqs.iter_mut().fold(false, |woken, irq| woken | irq.wait(Duration::from_millis(5)))
        });
        assert!(settled, "vectors go on firing");
        control.raise(raised);
        let woken = irqs.iter_mut().map(|irq| irq.wait(Duration::from_millis(20)));
        let woken: Vec<_> = woken.enumerate().filter(|(_, woken)| *woken).map(|(vector, _)| vector).collect();
        assert_eq!(woken, [usize::from(raised)]);
    }
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
