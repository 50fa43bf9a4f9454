//! Memory under a device that may still be running is kept.

mod device;
use device::Ring;
use igb_ring::{Arena, Buffer, Chunk, Exclusive, Memory, Pool, Quarantine, RxRing, TxOffload, tx};
use std::collections::BTreeSet;

fn live_rx(dma: &Arena, quarantine: Option<&Quarantine>) -> RxRing<Buffer> {
    let mut memory = Pool::new(dma, 128, 2304).unwrap().local();
    let mut ring = match quarantine {
        Some(quarantine) => RxRing::with_quarantine(dma, 64, 2048, quarantine).unwrap(),
        None => RxRing::new(dma, 64, 2048).unwrap(),
    };
    ring.fill(|| memory.take());
    ring.flush(|_| ());
    ring
}

#[test]
fn a_live_ring_leaks_without_a_quarantine() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let ring = live_rx(&dma, None);
    let mut device = Ring::rx(&dma, &ring);
    device.tail = 63;
    drop(ring);
    let kept = dma.allocated();
    assert!(kept >= 128 * 2304 + 1024, "ring and pool stay");
    assert!(device.receive(&[7; 1500]));
    let mut other = Pool::new(&dma, 16, 2304).unwrap().local();
    let buffers: Vec<_> = std::iter::from_fn(|| other.take()).collect();
    assert!(buffers.iter().all(|b| !b.bytes().contains(&7)), "and nobody else gets them");
}

#[test]
fn a_ring_that_never_rang_or_was_reclaimed_is_free() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let mut memory = Pool::new(&dma, 128, 2304).unwrap().local();
    let mut ring = RxRing::new(&dma, 64, 2048).unwrap();
    ring.fill(|| memory.take());
    drop(ring);
    let (mut sender, mut cleaner) = tx::ring(&dma, 64).unwrap();
    sender
        .push({
            let mut b = memory.take().unwrap();
            b.set(&[1; 60]);
            b
        })
        .unwrap();
    sender
        .push_with(
            {
                let mut b = memory.take().unwrap();
                b.set(&[1; 60]);
                b
            },
            &TxOffload { vlan: Some(1), ..Default::default() },
        )
        .unwrap();
    drop((sender, memory));
    assert_eq!(cleaner.clean(drop), 0);
    drop(cleaner);
    assert_eq!(dma.allocated(), 0);
    let mut ring = live_rx(&dma, None);
    ring.reclaim(drop);
    drop(ring);
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn a_live_transmit_ring_waits_in_the_quarantine() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let quarantine = Quarantine::new();
    let mut memory = Pool::new(&dma, 128, 2304).unwrap().local();
    let (mut sender, mut cleaner) = tx::ring_with_quarantine(&dma, 64, &quarantine).unwrap();
    let tag = TxOffload { vlan: Some(1), ..Default::default() };
    for i in 0..20 {
        let mut b = memory.take().unwrap();
        b.set(&[1; 60]);
        if i % 3 == 0 {
            sender.push_with(b, &tag).unwrap();
        } else {
            sender.push(b).unwrap();
        }
        if i == 9 || i == 15 {
            sender.flush(|_| ());
        }
    }
    let mut device = Ring::tx(&dma, &sender);
    device.tail = 11; // the first batch: ten frames, and the context once
    device.send(11);
    assert_eq!(cleaner.clean(|b| memory.give(b)), 10);
    drop((sender, cleaner, memory));
    assert!(!quarantine.is_empty() && dma.allocated() > 0);
    quarantine.release();
    assert!(quarantine.is_empty());
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn a_released_quarantine_frees_at_once_until_it_holds_again() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let quarantine = Quarantine::new();
    for _ in 0..2 {
        drop(live_rx(&dma, Some(&quarantine)));
    }
    assert!(quarantine.is_holding() && !quarantine.is_empty());
    quarantine.release();
    assert_eq!(dma.allocated(), 0);
    drop(live_rx(&dma, Some(&quarantine)));
    assert_eq!(dma.allocated(), 0);
    quarantine.hold();
    drop(live_rx(&dma, Some(&quarantine)));
    assert!(dma.allocated() > 0);
    drop(quarantine);
    assert!(dma.allocated() > 0, "nobody said that the device had stopped");
}

#[test]
fn a_cleaner_that_panicked_gives_nothing_twice() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let quarantine = Quarantine::new();
    let mut memory = Pool::new(&dma, 128, 2304).unwrap().local();
    let (mut sender, mut cleaner) = tx::ring_with_quarantine(&dma, 64, &quarantine).unwrap();
    let mut device = Ring::tx(&dma, &sender);
    sender.fill(10, || {
        memory.take().map(|mut b| {
            b.set(&[1; 60]);
            b
        })
    });
    sender.flush(|tail| device.tail = tail);
    device.send(10);
    let mut kept = Vec::new();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cleaner.clean(|chunk| {
            kept.push(chunk);
            assert!(kept.len() < 4, "in the callback");
        })
    }));
    assert!(panicked.is_err() && kept.len() == 4);
    drop((sender, cleaner));
    quarantine.release();
    drop(kept);
    let all: Vec<_> = std::iter::from_fn(|| memory.take()).collect();
    let at: BTreeSet<_> = all.iter().map(Chunk::iova).collect();
    assert_eq!(at.len(), 128);
}
