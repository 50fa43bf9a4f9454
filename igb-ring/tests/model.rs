//! Any order of driver's and device's steps, hostile ones too, against a model of who owns what.

mod device;
use device::Ring;
use igb_ring::descriptors::RxStatus;
use igb_ring::{
    Arena, Buffer, Chunk, Memory, Pool, Receive, Refused, RxChain, RxMeta, RxRing, TxOffload, tx,
};
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
        3 => (2048u16..9728).prop_map(Rx::Receive),
        2 => any::<u64>().prop_map(Rx::WriteBack),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(at, word)| Rx::Forge(at, word)),
        6 => (0u32..100, any::<u8>()).prop_map(|(budget, keep)| Rx::Poll(budget, keep)),
        3 => any::<u8>().prop_map(Rx::Refill),
        3 => Just(Rx::Flush),
        1 => Just(Rx::Restart),
    ]
}

/// Keeps some of what it gets, and knows what an honest device sent.
struct Taker<'a> {
    kept: &'a mut VecDeque<Buffer>,
    honest: &'a mut VecDeque<u16>,
    forged: bool,
    keep: u8,
    seen: u32,
}

impl Receive<Buffer> for Taker<'_> {
    fn frame(&mut self, chunk: Buffer, meta: RxMeta<'_>) -> Option<Buffer> {
        assert!(chunk.len() == meta.len() && (1..=2048).contains(&chunk.len()));
        if !self.forged {
            assert_eq!(Some(chunk.len()), self.honest.pop_front());
        }
        self.seen += 1;
        if self.seen % 8 < u32::from(self.keep % 8) {
            self.kept.push_back(chunk);
            return None;
        }
        Some(chunk)
    }
    fn chain(&mut self, chain: &mut RxChain<'_, Buffer>, _: RxMeta<'_>) -> bool {
        let bytes = (0..chain.remaining()).map(|n| u32::from(chain.get(n).unwrap().len())).sum::<u32>();
        assert_eq!(bytes, chain.bytes_len());
        if !self.forged {
            assert_eq!(Some(bytes as u16), self.honest.pop_front());
        }
        self.seen += 1;
        self.kept.extend(chain.take(usize::from(self.keep % 6)));
        true
    }
}

#[derive(Debug, Clone)]
enum Tx {
    Push(u16),
    PushWith(u16),
    Gather(Vec<u16>),
    Parts(Vec<(u16, u16)>),
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
        3 => proptest::collection::vec(0u16..2048, 0..12).prop_map(Tx::Gather),
        2 => proptest::collection::vec((0u16..600, 0u16..600), 0..5).prop_map(Tx::Parts),
        2 => (0u8..80).prop_map(Tx::Fill),
        4 => Just(Tx::Flush),
        4 => any::<u8>().prop_map(Tx::Send),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(at, word)| Tx::Forge(at, word)),
        4 => Just(Tx::Clean),
        1 => Just(Tx::Reclaim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

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
                    if device.receive_over(&vec![n as u8; usize::from(n)], 2048) {
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
                    let mut to =
                        Taker { kept: &mut kept, honest: &mut honest, forged, keep, seen: 0 };
                    let n = ring.poll_with(budget, &mut to);
                    let seen = to.seen;
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
            prop_assert!(ring.posted() <= len);
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
        let mut known = false; // the device has the context
        for step in steps {
            match step {
                Tx::Push(n) | Tx::PushWith(n) => {
                    let Some(mut chunk) = memory.take() else { continue };
                    prop_assert!(chunk.resize(n));
                    let with = matches!(step, Tx::PushWith(_));
                    let room = sender.room();
                    let result = if with { sender.push_with(chunk, &tag) } else { sender.push(chunk) };
                    prop_assert_eq!(result.is_ok(), n >= 17 && room > u32::from(with && !known));
                    known |= with && result.is_ok();
                    match result {
                        Ok(()) => pushed += 1,
                        Err(back) => memory.give(back),
                    }
                }
                Tx::Gather(lens) => {
                    let mut parts: Vec<Buffer> = lens.iter().map_while(|_| memory.take()).collect();
                    parts.iter_mut().zip(&lens).for_each(|(part, len)| assert!(part.resize(*len)));
                    let total: u32 = parts.iter().map(|part| u32::from(part.len())).sum();
                    let good = (17..=9724).contains(&total) && parts.iter().all(|part| part.len() != 0);
                    let fits = sender.room() >= parts.len() as u32;
                    let count = parts.len();
                    let result = sender.push_gather(&mut parts, &TxOffload::default());
                    match result {
                        Ok(()) => { prop_assert!(good && fits && parts.is_empty()); pushed += 1 }
                        Err(Refused::NoRoom) => prop_assert!(good && !fits && parts.len() == count),
                        Err(_) => prop_assert!(!good && parts.len() == count),
                    }
                    parts.into_iter().for_each(|part| memory.give(part));
                }
                Tx::Parts(spans) => {
                    let Some(mut chunk) = memory.take() else { continue };
                    prop_assert!(chunk.resize(1000));
                    let parts: Vec<_> = spans.iter().map(|(at, len)| *at..at + len).collect();
                    let total: u32 = spans.iter().map(|(_, len)| u32::from(*len)).sum();
                    let good = total >= 17 && parts.iter().all(|part| !part.is_empty() && part.end <= 1000);
                    let room = sender.room();
                    let result = sender.push_parts(chunk, &parts, &TxOffload::default());
                    prop_assert_eq!(result.is_ok(), good && room >= parts.len() as u32);
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
                    cleaner.reclaim(&mut sender, |chunk| memory.give(chunk));
                    prop_assert_eq!(sender.bytes(), cleaner.bytes());
                    home = pushed;
                    device.forget();
                    (device.head, device.tail, sent, forged, known) = (0, 0, pushed, false, false);
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
