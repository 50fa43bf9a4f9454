//! Resets and losses, while queues are running.

use super::{close, open, open_as};
use crate::drive::{PATIENCE, collect};
use crate::{Bed, frames};
use core::slice::from_mut;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use igb::{Action, Config, Error, Igb, MacAddress, Queues, Side};

const GROUP: [u8; 6] = [0x01, 0x00, 0x5e, 0x01, 0x02, 0x03];

/// After a reset everything is as it was: filters, queues, frames both ways.
pub fn reset_keeps_configuration<B: Bed>(bed: &B) {
    let (control, queues) = open(bed, 0, Queues::combined(1));
    let own = control.address().0;
    control.set_multicast(&[MacAddress(GROUP)]).expect("joins");
    let stop = AtomicBool::new(false);
    let mut queue = queues.into_iter().next().expect("one queue");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let got = queue.poll(64, |frame, _| Action::Recycle(frame));
                assert!(got.is_ok(), "{got:?}");
                std::thread::yield_now();
            }
        });
        for round in 0..3 {
            control.reset().unwrap_or_else(|error| panic!("reset {round}: {error}"));
            control.wait_link(Duration::from_secs(10)).unwrap_or_else(|error| panic!("link: {error}"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    // The last reset may have passed after the owner's last poll.
    collect(bed, from_mut(&mut queue), 0);
    for (number, to) in [(1, own), (2, GROUP)] {
        assert!(bed.send(0, &frames::numbered(to, number, 100)));
        let seen = collect(bed, from_mut(&mut queue), 1);
        assert_eq!(seen.first().and_then(|frame| frames::number(frame)), Some(number));
    }
    close(bed, (control, vec![queue]));
}

/// Queues in other threads, reset again and again under traffic; then one that is not polled refuses the reset by
/// name; dropped and leaked queues are in nobody's way, and no memory is written after it was freed.
pub fn reset_under_threads<B: Bed>(bed: &B) {
    let config = Config::default().reset_patience(Duration::from_millis(300));
    let count = bed.chip().rx_queues().min(4) as u16;
    let (control, mut queues) = open_as(bed, 0, Queues::combined(count), config);
    let own = control.address().0;
    let (stop, frames_seen) = (AtomicBool::new(false), AtomicU32::new(0));
    // The last one is dropped later; where there are enough, the one before it is never polled at all.
    let dropped = queues.pop();
    let unpolled = (count == 4).then(|| queues.pop());
    let polled = queues.len() as u16;
    std::thread::scope(|scope| {
        let owners: Vec<_> = queues
            .into_iter()
            .map(|mut queue| {
                let (stop, seen) = (&stop, &frames_seen);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        match queue.poll(32, |frame, _| Action::Recycle(frame)) {
                            Ok(count) => seen.fetch_add(count, Ordering::Relaxed),
                            Err(error) => panic!("poll: {error}"),
                        };
                        std::thread::yield_now();
                    }
                    queue
                })
            })
            .collect();
        let traffic = |rounds: u16| {
            for n in 0..rounds {
                bed.send(0, &frames::flow(own, 1000 + n, &[1]));
                if n % 16 == 0 {
                    bed.tick();
                }
            }
        };
        traffic(64);
        // Queues are alive and nobody polls them.
        match control.reset() {
            Err(Error::NotParked { queue, side: Side::Rx, .. }) => assert!(queue >= polled, "{queue}"),
            other => panic!("a reset under a queue that nobody polls: {other:?}"),
        }
        traffic(64);
        drop(dropped);
        if unpolled.is_some() {
            match control.reset() {
                Err(Error::NotParked { queue, .. }) => assert_eq!(queue, polled),
                other => panic!("a reset under a queue that nobody polls: {other:?}"),
            }
        }
        drop(unpolled);
        for round in 0..5 {
            traffic(64);
            control.reset().unwrap_or_else(|error| panic!("reset {round}: {error}"));
        }
        control.wait_link(Duration::from_secs(10)).unwrap_or_else(|error| panic!("link: {error}"));
        let before = frames_seen.load(Ordering::Relaxed);
        for _ in 0..PATIENCE {
            traffic(64);
            if frames_seen.load(Ordering::Relaxed) > before {
                break;
            }
        }
        assert!(frames_seen.load(Ordering::Relaxed) > before, "frames come after the resets");
        stop.store(true, Ordering::Relaxed);
        let mut left = owners.into_iter().map(|owner| owner.join().expect("the owner is well"));
        // One is forgotten for good: close does not wait for it, and its memory stays where it is.
        std::mem::forget(left.next());
        control.close();
    });
    assert_eq!(control.link().err(), Some(Error::Closed));
    drop(control);
    assert_eq!(bed.objections(), Vec::<String>::new());
}

/// The device is pulled while queues run: a named error everywhere, in bounded time; put back, it works again.
pub fn removal_under_traffic<B: Bed>(bed: &B) {
    let before = bed.allocated();
    for _ in 0..2 {
        let (control, mut queues) = open(bed, 0, Queues::combined(1));
        let own = control.address().0;
        for n in 0..32 {
            bed.send(0, &frames::numbered(own, n, 200));
        }
        bed.remove(0);
        let polled = queues[0].poll(64, |frame, _| Action::Recycle(frame));
        assert!(matches!(polled, Ok(_) | Err(Error::DeviceGone)), "{polled:?}");
        assert_eq!(control.watchdog().err(), Some(Error::DeviceGone));
        assert_eq!(control.statistics().err(), Some(Error::DeviceGone));
        assert_eq!(control.reset().err(), Some(Error::DeviceGone));
        let polled = queues[0].poll(64, |frame, _| Action::Recycle(frame));
        assert_eq!(polled.err(), Some(Error::DeviceGone));
        control.close();
        drop((control, queues));
        assert_eq!(bed.allocated(), before, "a device that is gone reaches no memory");
        bed.insert(0);
    }
    let nic = Igb::probe(bed.platform(0), Config::default()).unwrap_or_else(|error| panic!("probe: {error}"));
    drop(nic);
    let (control, mut queues) = open(bed, 0, Queues::combined(1));
    assert!(bed.send(0, &frames::numbered(control.address().0, 1000, 100)));
    // Frames that were on the cable when the device left may come first.
    let came = (0..40).any(|_| {
        let frames = collect(bed, &mut queues, 1);
        frames.iter().any(|frame| frames::number(frame) == Some(1000))
    });
    assert!(came, "a frame sent after the return comes");
    control.close();
}
