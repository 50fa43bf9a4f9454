//! A platform on which nothing arrives that was not synced.
#![cfg(feature = "test-dma")]

mod device;
use device::Ring;
use igb_ring::{Arena, Error, Exclusive, Memory, NonCoherent, Pool, RxRing, tx};

#[test]
fn a_coherent_pool_is_refused() {
    let dma = NonCoherent::new(Arena::anonymous(1 << 20, 0).unwrap());
    assert_eq!(Pool::new(&dma, 16, 2304).unwrap_err(), Error::NotCoherent);
}

#[test]
fn frames_cross_both_ways() {
    let arena = Arena::anonymous(4 << 20, 0x4000_0000).unwrap();
    let dma = NonCoherent::new(arena.clone());
    let pool = Pool::non_coherent(&dma, 256, 2304).unwrap();
    let mut memory = pool.local();
    let mut rx = RxRing::new(&dma, 64, memory.buffer_size()).unwrap();
    let (mut sender, mut cleaner) = tx::ring(&dma, 64).unwrap();
    let (mut from, mut to) = (Ring::rx(&arena, &rx), Ring::tx(&arena, &sender));
    rx.fill(|| memory.take());
    rx.flush(|tail| from.tail = tail);
    let mut n = 0u8;
    for _ in 0..40 {
        for i in 0..32 {
            assert!(from.receive(&[n.wrapping_add(i); 100]));
        }
        let mut seen = n;
        assert_eq!(
            rx.poll(32, |mut frame, _| {
                assert_eq!(frame.bytes(), [seen; 100]);
                seen = seen.wrapping_add(1);
                frame.bytes_mut()[0] = 0xee;
                sender.push(frame).err()
            }),
            32
        );
        rx.fill(|| memory.take());
        rx.flush(|tail| from.tail = tail);
        sender.flush(|tail| to.tail = tail);
        for (i, (bytes, _)) in to.send(64).iter().enumerate() {
            assert_eq!((bytes[0], &bytes[1..]), (0xee, &[n.wrapping_add(i as u8); 99][..]));
        }
        assert_eq!(cleaner.clean(|chunk| memory.give(chunk)), 32);
        n = n.wrapping_add(32);
    }
    // A frame that comes home unsent is whole.
    let mut frame = memory.take().unwrap();
    frame.set(&[5; 60]);
    sender.push(frame).unwrap();
    sender.flush(|_| ());
    cleaner.reclaim(&mut sender, |frame| assert_eq!(frame.bytes(), [5; 60]));
    rx.reclaim(|chunk| memory.give(chunk));
    drop((rx, sender, cleaner, memory, pool));
    assert_eq!(arena.allocated(), 0);
}
