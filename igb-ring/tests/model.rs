//! Any order of driver's and device's steps, hostile ones too, against a model of who owns what.

mod device;
use device::Ring;
use igb_ring::descriptors::RxStatus;
use igb_ring::{Arena, Buffer, Chunk, Memory, Pool, RxRing, TxOffload, tx};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Debug, Clone)]
enum Rx {
    Receive(u16),
    WriteBack(u64),
    /// Anywhere, also where nothing is posted.
    Forge(u32, u64),
    Poll(u32, u8),
    Refill(u8),
    Flush,
    Restart,
}

fn rx_step() -> impl Strategy<Value = Rx> {
    prop_oneof![
        8 => (1u16..2048).prop_map(Rx::Receive),
        2 => any::<u64>().prop_map(Rx::WriteBack),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(at, word)| Rx::Forge(at, word)),
        6 => (0u32..100, any::<u8>()).prop_map(|(budget, keep)| Rx::Poll(budget, keep)),
        3 => any::<u8>().prop_map(Rx::Refill),
        3 => Just(Rx::Flush),
        1 => Just(Rx::Restart),
    ]
}

#[derive(Debug, Clone)]
enum Tx {
    Push(u16),
    PushWith(u16),
    Fill(u8),
    Flush,
    Send(u8),
    /// A report that the device had no right to make.
    Forge(u32, u64),
    Clean,
    Reclaim,
}

fn tx_step() -> impl Strategy<Value = Tx> {
    prop_oneof![
        6 => (0u16..2048).prop_map(Tx::Push),
        3 => (0u16..2048).prop_map(Tx::PushWith),
        2 => (0u8..80).prop_map(Tx::Fill),
        4 => Just(Tx::Flush),
        4 => any::<u8>().prop_map(Tx::Send),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(at, word)| Tx::Forge(at, word)),
        4 => Just(Tx::Clean),
        1 => Just(Tx::Reclaim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn receive(len in 8u32..20, steps in proptest::collection::vec(rx_step(), 1..300)) {
        let (len, count) = (len * 8, 200);
        let dma = Arena::anonymous(1 << 20, 0).unwrap();
        let pool = Pool::new(&dma, count, 2304).unwrap();
        let mut memory = pool.local();
        let mut ring = RxRing::<Buffer>::new(&dma, len, 2048).unwrap();
        let mut device = Ring::rx(&dma, &ring);
        let (mut kept, mut forged) = (VecDeque::new(), false);
        let mut honest = VecDeque::new(); // lengths, as long as the device was honest
        for step in steps {
            match step {
                Rx::Receive(n) => {
                    if device.receive(&vec![n as u8; usize::from(n)]) {
                        honest.push_back(n);
                    }
                }
                Rx::WriteBack(word) => forged |= device.write_back(None, RxStatus::from_bits(word)),
                Rx::Forge(at, word) => {
                    device.write_status(at % len, RxStatus::from_bits(word));
                    forged = true;
                }
                Rx::Poll(budget, keep) => {
                    let before = ring.posted();
                    let mut seen = 0;
                    let n = ring.poll(budget, |chunk, meta| {
                        assert!(chunk.len() == meta.len() && (1..=2048).contains(&chunk.len()));
                        if !forged {
                            assert_eq!(Some(chunk.len()), honest.pop_front());
                        }
                        seen += 1;
                        if seen % 8 < u32::from(keep % 8) { kept.push_back(chunk); None } else { Some(chunk) }
                    });
                    prop_assert!(n <= budget && n <= before && seen <= n);
                    prop_assert!(forged || n == seen);
                }
                Rx::Refill(n) => {
                    kept.drain(..usize::from(n).min(kept.len())).for_each(|chunk| memory.give(chunk));
                    ring.fill(|| memory.take());
                }
                Rx::Flush => ring.flush(|tail| device.tail = tail),
                Rx::Restart => {
                    let posted = ring.posted();
                    ring.restart();
                    prop_assert_eq!(ring.posted(), posted);
                    (device.head, device.tail) = (0, 0);
                    honest.clear();
                }
            }
            prop_assert!(ring.posted() < len);
        }
        let mut home: Vec<_> = kept.into();
        ring.reclaim(|chunk| home.push(chunk));
        home.extend(std::iter::from_fn(|| memory.take()));
        let mut at: Vec<_> = home.iter().map(Chunk::iova).collect();
        at.sort_unstable();
        at.dedup();
        prop_assert_eq!(at.len(), count as usize, "a chunk was lost or doubled");
        drop((home, ring, memory, pool));
        prop_assert_eq!(dma.allocated(), 0);
    }

    #[test]
    fn transmit(len in 8u32..20, steps in proptest::collection::vec(tx_step(), 1..300)) {
        let (len, count) = (len * 8, 200);
        let dma = Arena::anonymous(1 << 20, 0).unwrap();
        let pool = Pool::new(&dma, count, 2304).unwrap();
        let mut memory = pool.local();
        let (mut sender, mut cleaner) = tx::ring::<Buffer, _>(&dma, len).unwrap();
        let mut device = Ring::tx(&dma, &sender);
        let tag = TxOffload { vlan: Some(1), ..TxOffload::default() };
        let (mut pushed, mut sent, mut home, mut forged) = (0u32, 0u32, 0u32, false);
        for step in steps {
            match step {
                Tx::Push(n) | Tx::PushWith(n) => {
                    let Some(mut chunk) = memory.take() else { continue };
                    prop_assert!(chunk.resize(n));
                    let with = matches!(step, Tx::PushWith(_));
                    let room = sender.room();
                    let result = if with { sender.push_with(chunk, &tag) } else { sender.push(chunk) };
                    prop_assert_eq!(result.is_ok(), n >= 17 && room > u32::from(with));
                    match result {
                        Ok(()) => pushed += 1,
                        Err(back) => memory.give(back),
                    }
                }
                Tx::Fill(n) => {
                    let room = sender.room();
                    let got = sender.fill(u32::from(n), || memory.take().map(|mut b| { b.resize(60); b }));
                    prop_assert!(got <= room && got <= u32::from(n));
                    pushed += got;
                }
                Tx::Flush => sender.flush(|tail| device.tail = tail),
                Tx::Send(n) if !forged => sent += device.send(usize::from(n)).len() as u32,
                Tx::Send(_) => {}
                Tx::Forge(at, word) => {
                    dma.write64(device.base + u64::from(at % len) * 16 + 8, word);
                    forged = true;
                }
                Tx::Clean => {
                    home += cleaner.clean(|chunk| memory.give(chunk));
                    prop_assert!(home <= pushed && (forged || home <= sent));
                }
                Tx::Reclaim => {
                    cleaner.reclaim(&mut sender, |chunk| { home += 1; memory.give(chunk) });
                    prop_assert_eq!(home, pushed);
                    (device.head, device.tail, sent, forged) = (0, 0, pushed, false);
                }
            }
        }
        cleaner.reclaim(&mut sender, |chunk| memory.give(chunk));
        let all: Vec<_> = std::iter::from_fn(|| memory.take()).collect();
        let mut at: Vec<_> = all.iter().map(Chunk::iova).collect();
        at.sort_unstable();
        at.dedup();
        prop_assert_eq!(at.len(), count as usize, "a chunk was lost or doubled");
        drop((all, sender, cleaner, memory, pool));
        prop_assert_eq!(dma.allocated(), 0);
    }
}
