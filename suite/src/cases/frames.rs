//! Frames come and go whole, in order, and are counted.

use super::{close, open};
use crate::drive::{BATCH, PATIENCE, collect, send_all};
use crate::{Bed, frames};
use igb::{Action, Config, Exclusive, Queues};

/// `count` frames of every length from 60 to 1514 each way, each byte as it was.
pub fn every_length_both_ways<B: Bed>(bed: &B, count: usize) {
    let (control, mut queues) = open(bed, 0, Queues::combined(1));
    let own = control.address().0;
    let mut lengths = frames::lengths();
    let all: Vec<_> =
        (0..count).map(|n| frames::numbered(own, n as u32, lengths.next().unwrap_or(60))).collect();
    for batch in all.chunks(BATCH) {
        batch.iter().for_each(|frame| assert!(bed.send(0, frame)));
        let seen = collect(bed, &mut queues, batch.len());
        assert_eq!(seen.len(), batch.len());
        for (sent, seen) in batch.iter().zip(&seen) {
            assert_eq!(sent, seen, "frame {:?} of {} bytes", frames::number(sent), sent.len());
        }
    }
    for batch in all.chunks(BATCH) {
        send_all(bed, &mut queues[0], batch);
        for sent in batch {
            let seen = arrival(bed, 0);
            assert_eq!(Some(sent), seen.as_ref(), "frame {:?} of {} bytes", frames::number(sent), sent.len());
        }
    }
    let stats = queues[0].stats();
    assert_eq!((stats.received, stats.rx.bad(), stats.lost, stats.sent), (count as u64, 0, 0, count as u64));
    close(bed, (control, queues));
}

fn arrival<B: Bed>(bed: &B, port: usize) -> Option<Vec<u8>> {
    (0..PATIENCE / 20).find_map(|_| {
        let frame = bed.receive(port);
        if frame.is_none() {
            bed.tick();
        }
        frame
    })
}

/// Rings of `len` descriptors go round three times without losing or swapping a frame.
pub fn ring_wraps<B: Bed>(bed: &B, len: u32) {
    let (control, mut queues) = open(bed, 0, Queues::combined(1).rings(len, len));
    let own = control.address().0;
    let total = len * 3 + 7;
    let mut next = 0;
    while next < total {
        let last = (next + BATCH as u32).min(total);
        (next..last).for_each(|n| assert!(bed.send(0, &frames::numbered(own, n, 64))));
        let mut want = next;
        for _ in 0..PATIENCE {
            // Each frame goes out again by the same queue: both rings turn.
            queues[0]
                .poll(64, |frame, _| {
                    assert_eq!(frames::number(frame.bytes()), Some(want));
                    want += 1;
                    Action::Transmit(frame)
                })
                .unwrap_or_else(|error| panic!("poll: {error}"));
            if want == last {
                break;
            }
            bed.tick();
        }
        assert_eq!(want, last, "received");
        for n in next..last {
            let frame = arrival(bed, 0).unwrap_or_default();
            assert_eq!(frames::number(&frame), Some(n), "sent again");
        }
        next = last;
    }
    let stats = queues[0].stats();
    assert_eq!((stats.received, stats.lost, stats.sent), (total.into(), 0, total.into()));
    close(bed, (control, queues));
}

/// What the chip counted is what was sent.
pub fn counts<B: Bed>(bed: &B) {
    let (control, mut queues) = open(bed, 0, Queues::combined(1));
    let own = control.address().0;
    control.statistics().expect("counts");
    let before = control.statistics().expect("counts");
    let lengths = [60usize, 61, 127, 128, 255, 256, 511, 512, 1023, 1024, 1514];
    let mut sent: Vec<_> =
        lengths.iter().enumerate().map(|(n, len)| frames::numbered(own, n as u32, *len)).collect();
    sent.push(frames::numbered([0xff; 6], 100, 100));
    sent.iter().for_each(|frame| assert!(bed.send(0, frame)));
    assert_eq!(collect(bed, &mut queues, sent.len()).len(), sent.len());
    send_all(bed, &mut queues[0], &sent);
    for frame in &sent {
        assert_eq!(arrival(bed, 0).as_ref(), Some(frame));
    }
    let after = control.statistics().expect("counts");
    let frames = sent.len() as u64;
    // Octet counters include the FCS: four bytes a frame.
    let bytes = sent.iter().map(|frame| frame.len() as u64 + 4).sum::<u64>();
    assert_eq!(
        (after.rx_frames - before.rx_frames, after.tx_frames - before.tx_frames),
        (frames, frames),
        "good frames received and sent"
    );
    assert_eq!(
        (after.rx_bytes - before.rx_bytes, after.tx_bytes - before.tx_bytes),
        (bytes, bytes),
        "good octets"
    );
    assert_eq!((after.rx_broadcast - before.rx_broadcast, after.tx_broadcast - before.tx_broadcast), (1, 1));
    assert_eq!((after.missed, after.crc_errors), (0, 0));
    close(bed, (control, queues));
}

/// Frames that come in at port 0 leave at port 1, by moving the buffer, with the far ends in the test's hands.
pub fn forwards_between_ports<B: Bed>(bed: &B, count: usize) {
    let config = Config::default;
    let (a, mut from) = super::open_as(bed, 0, Queues::combined(1), config());
    let (b, mut to) = super::open_as(bed, 1, Queues::combined(1), config());
    a.set_promiscuous(true).expect("is promiscuous");
    let mut lengths = frames::lengths();
    let all: Vec<_> = (0..count)
        .map(|n| frames::numbered([0x02, 0, 0, 0, 0, 0x99], n as u32, lengths.next().unwrap_or(60)))
        .collect();
    let (from, to) = (&mut from[0], &mut to[0]);
    for batch in all.chunks(BATCH) {
        batch.iter().for_each(|frame| assert!(bed.send(0, frame)));
        let mut moved = 0;
        for _ in 0..PATIENCE {
            let mut ports = [&mut to.tx];
            moved += from
                .poll_to(64, &mut ports, |frame, _| Action::Redirect(0, frame))
                .unwrap_or_else(|error| panic!("poll: {error}"));
            if moved as usize == batch.len() {
                break;
            }
            bed.tick();
        }
        assert_eq!(moved as usize, batch.len());
        for sent in batch {
            assert_eq!(arrival(bed, 1).as_ref(), Some(sent), "frame {:?}", frames::number(sent));
        }
        to.clean().unwrap_or_else(|error| panic!("clean: {error}"));
    }
    assert_eq!((from.stats().lost, to.stats().sent), (0, count as u64));
    a.close();
    b.close();
    assert_eq!(bed.objections(), Vec::<String>::new());
}
