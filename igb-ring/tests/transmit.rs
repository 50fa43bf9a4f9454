//! A transmit ring against a device: batches, contexts, two threads.

mod device;
use device::Ring;
use igb_ring::descriptors::{TxContext, TxData, TxHeaders};
use igb_ring::{
    Arena, Buffer, Chunk, Domain, Exclusive, Ip, L4, Launch, Local, Memory, Pool, Refused, TxAbilities,
    TxCleaner, TxOffload, TxSender, tx,
};
use std::ops::Range;

fn bench(len: u32) -> (Arena, Pool, Local, TxSender<Buffer>, TxCleaner<Buffer>, Ring) {
    let dma = Arena::anonymous(16 << 20, 0x1_0000_0000).unwrap();
    let pool = Pool::new(&dma, 2 * len, 2304).unwrap();
    let (sender, cleaner) = tx::ring(&dma, len).unwrap();
    let device = Ring::tx(&dma, &sender);
    (dma, pool.clone(), pool.local(), sender, cleaner, device)
}

fn frame(memory: &mut Local, n: u32, len: usize) -> Buffer {
    let mut frame = memory.take().unwrap();
    let bytes = n.to_le_bytes();
    assert!(frame.set(&bytes.iter().copied().cycle().take(len).collect::<Vec<_>>()));
    frame
}

#[test]
fn frames_go_in_order_with_one_report_a_batch() {
    for len in [64, 72, 256] {
        let (dma, pool, mut memory, mut sender, mut cleaner, mut device) = bench(len);
        let (mut next_in, mut next_out, mut home) = (0u32, 0u32, 0u32);
        for round in 0..300u32 {
            for _ in 0..round % 40 {
                match sender.push(frame(&mut memory, next_in, 60)) {
                    Ok(()) => next_in += 1,
                    Err(back) => memory.give(back),
                }
            }
            let mut bells = 0;
            sender.flush(|tail| (bells, device.tail) = (bells + 1, tail));
            assert!(bells <= 1 && sender.is_flushed());
            let sent = device.send(round as usize % 50);
            for (i, (bytes, data)) in sent.iter().enumerate() {
                assert_eq!(bytes[..], next_out.to_le_bytes().repeat(15));
                assert!(data.eop() && data.ifcs() && data.paylen() == 60, "frame {i}");
                next_out += 1;
            }
            home += cleaner.clean(|chunk| memory.give(chunk));
            assert!(home <= next_out);
        }
        assert!(next_out > 10 * len);
        device.send(usize::MAX);
        home += cleaner.clean(|chunk| memory.give(chunk));
        assert_eq!((home, cleaner.pending()), (next_in, 0));
        cleaner.reclaim(&mut sender, |_| panic!("all is home"));
        drop((sender, cleaner, memory, pool));
        assert_eq!(dma.allocated(), 0);
    }
}

#[test]
fn only_the_last_of_a_batch_reports() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, mut device) = bench(64);
    assert_eq!(sender.fill(10, || Some(frame(&mut memory, 1, 60))), 10);
    sender.flush(|tail| device.tail = tail);
    assert_eq!(device.send(9).iter().filter(|(_, data)| data.rs()).count(), 0);
    assert_eq!(cleaner.clean(|_| panic!("not reported")), 0);
    assert!(device.send(1)[0].1.rs());
    assert_eq!(cleaner.clean(|chunk| memory.give(chunk)), 10);
    cleaner.reclaim(&mut sender, drop);
}

#[test]
fn what_cannot_be_sent_comes_back() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, _device) = bench(64);
    for len in [0, 1, 16] {
        assert!(sender.push(frame(&mut memory, 1, len)).is_err());
        let short = frame(&mut memory, 1, len);
        assert!(sender.push_with(short, &TxOffload::default()).is_err());
    }
    let far = Pool::new(&Arena::anonymous_in(1 << 20, 0, Domain(9), u64::MAX).unwrap(), 8, 2304).unwrap();
    assert!(sender.push(frame(&mut far.local(), 1, 60)).is_err());
    assert!(sender.push_with(frame(&mut far.local(), 1, 60), &TxOffload::default()).is_err());
    let big = Pool::new(&Arena::anonymous(1 << 20, 0).unwrap(), 2, 16384).unwrap();
    assert!(sender.push(frame(&mut big.local(), 1, 9725)).is_err());
    for i in 0..63 {
        assert_eq!(sender.room(), 63 - i);
        assert!(sender.push(frame(&mut memory, 1, 17)).is_ok());
    }
    assert!(sender.push(frame(&mut memory, 1, 60)).is_err(), "full");
    cleaner.reclaim(&mut sender, |chunk| memory.give(chunk));
    assert_eq!(sender.room(), 63);
}

#[test]
fn a_context_goes_before_its_frame_and_holds_no_chunk() {
    let (dma, pool, mut memory, mut sender, mut cleaner, mut device) = bench(64);
    let offload = TxOffload {
        vlan: Some(0x2064),
        ip: Some(Ip::V4),
        ip_len: 20,
        ip_checksum: true,
        l4: Some(L4::Tcp),
        l4_len: 20,
        mss: 1000,
        ..TxOffload::default()
    };
    let mut home = 0;
    for round in 0..50 {
        sender.push(frame(&mut memory, 1, 60)).unwrap();
        sender.push_with(frame(&mut memory, 2, 2000), &offload).unwrap();
        sender.push_with(frame(&mut memory, 3, 60), &TxOffload::default()).unwrap();
        // The device keeps the context: it is written once.
        let at = device.tail;
        sender.flush(|tail| device.tail = tail);
        assert_eq!((device.tail + 64 - at) % 64, if round == 0 { 4 } else { 3 });
        if round == 0 {
            let (headers, context) = device.words(at + 1);
            let (headers, context) = (TxHeaders::from_bits(headers), TxContext::from_bits(context));
            assert_eq!((headers.iplen(), headers.maclen(), headers.vlan()), (20, 14, 0x2064));
            assert_eq!((context.mss(), context.l4len(), context.l4t()), (1000, 20, TxContext::L4T_TCP));
            assert!(context.ipv4() && context.dext() && context.dtyp() == TxContext::DTYP_CONTEXT);
        }
        let sent = device.send(64);
        assert_eq!(sent.iter().map(|(bytes, _)| bytes[0]).collect::<Vec<_>>(), [1, 2, 3]);
        let data = sent[1].1;
        assert!(data.tse() && data.vle() && data.ixsm() && data.txsm());
        assert_eq!(data.paylen(), 2000 - 54);
        assert_eq!(sent[2].1.with_rs(false), TxData::from_bits(60 << 46 | 0x2330_0000 | 60));
        home += cleaner.clean(|chunk| memory.give(chunk));
    }
    assert_eq!(home, 150);
    // Contexts in flight, and contexts never flushed, at the end.
    sender.push_with(frame(&mut memory, 2, 2000), &offload).unwrap();
    sender.flush(|_| ());
    sender.push_with(frame(&mut memory, 2, 2000), &offload).unwrap();
    let mut back = 0;
    cleaner.reclaim(&mut sender, |chunk| {
        back += 1;
        memory.give(chunk);
    });
    assert_eq!(back, 2);
    drop((sender, cleaner, memory, pool));
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn offloads_that_do_not_fit_are_refused() {
    let base = TxOffload { ip: Some(Ip::V4), ip_len: 20, ..TxOffload::default() };
    let bad = [
        TxOffload { mac_len: 128, ..base },
        TxOffload { ip_len: 512, ..base },
        TxOffload { ip: None, l4: Some(L4::Udp), ..base },
        TxOffload { ip: Some(Ip::V6), ip_checksum: true, ..base },
        TxOffload { mss: 1000, ..base },
        TxOffload { mss: 1000, l4: Some(L4::Tcp), ..base },
        TxOffload { mss: 1000, l4: Some(L4::Sctp), l4_len: 12, ..base },
        TxOffload { launch: Some(Launch(1 << 25)), ..base },
    ];
    for offload in bad {
        assert_eq!(offload.context(0), None, "{offload:?}");
    }
    assert_eq!(base.context(8), None);
    let tso = TxOffload { mss: 1000, l4: Some(L4::Tcp), l4_len: 20, ..base };
    assert_eq!(tso.data(54, 0), None, "headers alone");
    assert_eq!(TxOffload::default().data(9725, 0), None);
    assert_eq!(tso.data(0xffff + 128, 0), None);
    assert!(tso.data(55, 0).is_some_and(|data| data.paylen() == 1));
    assert!(TxOffload { timestamp: true, ..TxOffload::default() }.data(60, 0).unwrap().tstamp());
}

#[test]
fn the_context_index_of_82575_is_in_both() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, mut device) = bench(64);
    sender.set_abilities(TxAbilities::of_82575(3));
    let tag = TxOffload { vlan: Some(1), ..TxOffload::default() };
    sender.push_with(frame(&mut memory, 1, 60), &tag).unwrap();
    sender.flush(|tail| device.tail = tail);
    assert_eq!(TxContext::from_bits(device.words(0).1).idx(), 3);
    assert_eq!(TxData::from_bits(device.words(1).1).idx(), 3);
    cleaner.reclaim(&mut sender, drop);
}

#[test]
fn sender_and_cleaner_in_two_threads() {
    const FRAMES: u32 = 100_000;
    let (dma, pool, mut memory, mut sender, mut cleaner, mut device) = bench(128);
    let (bell, tail) = std::sync::mpsc::channel();
    std::thread::scope(|s| {
        let sending = s.spawn(move || {
            let mut n = 0;
            while n < FRAMES {
                let Some(mut chunk) = memory.take() else {
                    std::thread::yield_now();
                    continue;
                };
                chunk.set(&n.to_le_bytes().repeat(15));
                match sender.push(chunk) {
                    Ok(()) => n += 1,
                    Err(back) => {
                        memory.give(back);
                        std::thread::yield_now();
                    }
                }
                if n % 7 == 0 {
                    sender.flush(|tail| bell.send(tail).unwrap());
                }
            }
            sender.flush(|tail| bell.send(tail).unwrap());
            sender
        });
        let playing = s.spawn(move || {
            let mut next = 0u32;
            for at in tail {
                device.tail = at;
                for (bytes, _) in device.send(128) {
                    assert_eq!(bytes[..4], next.to_le_bytes());
                    next += 1;
                }
            }
            assert_eq!(next, FRAMES);
        });
        let cleaning = s.spawn(move || {
            let (mut home, mut n) = (pool.local(), 0);
            while n < FRAMES {
                n += cleaner.clean(|chunk| {
                    assert_eq!(chunk.len(), 60);
                    home.give(chunk);
                });
                std::thread::yield_now();
            }
            cleaner
        });
        let (mut sender, mut cleaner) = (sending.join().unwrap(), cleaning.join().unwrap());
        playing.join().unwrap();
        cleaner.reclaim(&mut sender, |_| panic!("all is home"));
    });
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn a_gathered_frame_is_one_frame_and_its_chunks_come_home_together() {
    let (dma, pool, mut memory, mut sender, mut cleaner, mut device) = bench(64);
    let mut parts = Vec::new();
    let (mut want, mut frames, mut home) = (Vec::new(), 0, 0);
    for n in 1..200usize {
        let count = 1 + n % 9;
        parts.extend((0..count).map(|i| frame(&mut memory, (n * 16 + i) as u32, 100 + i)));
        let bytes = parts.iter().flat_map(|part| part.bytes().to_vec()).collect::<Vec<_>>();
        sender.push_gather(&mut parts, &TxOffload::default()).unwrap();
        assert!(parts.is_empty());
        want.push(bytes);
        if n % 3 == 0 {
            sender.push(frame(&mut memory, 0, 60)).unwrap();
            want.push(vec![0; 60]);
        }
        if n % 4 == 0 {
            sender.flush(|tail| device.tail = tail);
            let sent = device.send(64);
            assert!(sent.iter().all(|(bytes, data)| data.paylen() as usize == bytes.len() && data.ifcs()));
            assert!(sent.into_iter().map(|(bytes, _)| bytes).eq(want.drain(..)));
            let mut chunks = 0;
            frames += cleaner.clean(|chunk| {
                chunks += 1;
                memory.give(chunk);
            });
            home += chunks;
            assert_eq!(cleaner.pending(), 0);
        }
    }
    sender.flush(|_| ());
    assert_eq!((u64::from(frames), sender.frames()), (198 - 2 + 65, 199 + 66));
    assert!(home > frames && sender.bytes() > cleaner.bytes());
    cleaner.reclaim(&mut sender, |chunk| memory.give(chunk));
    assert_eq!(sender.bytes(), cleaner.bytes());
    assert_eq!(std::iter::from_fn(|| memory.take()).collect::<Vec<_>>().len(), 128);
    drop((sender, cleaner, memory, pool));
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn a_gathered_frame_that_is_refused_stays_with_its_owner() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, mut device) = bench(64);
    let far = Pool::new(&Arena::anonymous_in(1 << 20, 0, Domain(9), u64::MAX).unwrap(), 8, 2304).unwrap();
    let plain = TxOffload::default();
    let mut refused = |parts: Vec<Buffer>, why| {
        let mut left = parts;
        let before: Vec<_> = left.iter().map(|part| (part.iova(), part.len())).collect();
        assert_eq!(sender.push_gather(&mut left, &plain), Err(why));
        assert_eq!(before, left.iter().map(|part| (part.iova(), part.len())).collect::<Vec<_>>());
        left
    };
    refused(vec![], Refused::Unsendable);
    refused(vec![frame(&mut memory, 1, 10), frame(&mut memory, 1, 6)], Refused::Unsendable);
    refused(vec![frame(&mut memory, 1, 60), frame(&mut memory, 1, 0)], Refused::Unsendable);
    refused(vec![frame(&mut memory, 1, 60), frame(&mut far.local(), 1, 60)], Refused::Unsendable);
    refused((0..6).map(|_| frame(&mut memory, 1, 2000)).collect(), Refused::Unsendable);
    refused((0..63).map(|_| frame(&mut memory, 1, 17)).collect(), Refused::Unsendable);
    let mut parts: Vec<_> = (0..40).map(|_| frame(&mut memory, 1, 17)).collect();
    sender.push_gather(&mut parts, &plain).unwrap();
    let mut parts: Vec<_> = (0..24).map(|_| frame(&mut memory, 1, 17)).collect();
    assert_eq!(sender.push_gather(&mut parts, &plain), Err(Refused::NoRoom));
    assert_eq!(parts.len(), 24);
    sender.flush(|tail| device.tail = tail);
    device.send(64);
    assert_eq!(cleaner.clean(|chunk| memory.give(chunk)), 1);
    sender.push_gather(&mut parts, &plain).unwrap();
    cleaner.reclaim(&mut sender, drop);
}

#[test]
fn parts_of_one_chunk_go_out_in_order() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, mut device) = bench(64);
    let mut chunk = memory.take().unwrap();
    chunk.set(&(0..=255).collect::<Vec<u8>>());
    for bad in
        [vec![], vec![0..10, 5..5, 20..40], vec![0..10, 200..257], vec![Range { start: 9, end: 3 }, 0..60]]
    {
        chunk = sender.push_parts(chunk, &bad, &TxOffload::default()).unwrap_err();
    }
    sender.push_parts(chunk, &[200..216, 0..14, 100..101], &TxOffload::default()).unwrap();
    sender.flush(|tail| device.tail = tail);
    assert_eq!((device.tail, sender.room()), (3, 60));
    let sent = device.send(64);
    assert_eq!(sent[0].0, (200..216).chain(0..14).chain(100..101).collect::<Vec<u8>>());
    let mut home = 0;
    assert_eq!(cleaner.clean(|chunk| home += usize::from(chunk.len())), 1);
    assert_eq!(home, 256);
    cleaner.reclaim(&mut sender, drop);
}

#[test]
fn segments_of_64_kib_take_descriptors_of_32() {
    let dma = Arena::anonymous(4 << 20, 0).unwrap();
    let pool = Pool::new(&dma, 8, 65280).unwrap();
    let (mut sender, mut cleaner) = tx::ring(&dma, 64).unwrap();
    let mut device = Ring::tx(&dma, &sender);
    let tso = TxOffload {
        ip: Some(Ip::V6),
        ip_len: 40,
        l4: Some(L4::Tcp),
        l4_len: 32,
        mss: 1428,
        ..TxOffload::default()
    };
    let mut chunk = pool.local().take().unwrap();
    let bytes: Vec<u8> = (0..65_000u32).map(|i| (i * 7) as u8).collect();
    chunk.set(&bytes);
    sender.push_with(chunk, &tso).unwrap();
    sender.flush(|tail| device.tail = tail);
    assert_eq!(device.tail, 3, "a context and two pieces");
    let sent = device.send(64);
    assert!(sent[0].0 == bytes && sent[0].1.paylen() == 65_000 - 86 && sent[0].1.tse());
    assert_eq!(cleaner.clean(drop), 1);
    // More than an IP packet holds.
    let mut parts: Vec<_> = std::iter::repeat_with(|| pool.local().take().unwrap()).take(2).collect();
    parts.iter_mut().for_each(|part| assert!(part.resize(65_000)));
    assert_eq!(sender.push_gather(&mut parts, &tso), Err(Refused::Unsendable));
    cleaner.reclaim(&mut sender, drop);
}

#[test]
fn the_device_has_two_contexts_and_one_that_it_has_is_not_written_again() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, mut device) = bench(256);
    let tag = |vlan| TxOffload { vlan: Some(vlan), ..TxOffload::default() };
    let mut took = |sender: &mut TxSender<Buffer>, vlan| {
        let before = sender.room();
        sender.push_with(frame(&mut memory, 1, 60), &tag(vlan)).unwrap();
        before - sender.room()
    };
    assert_eq!([1, 1, 2, 1, 2, 3, 2, 3, 1].map(|vlan| took(&mut sender, vlan)), [2, 1, 2, 1, 1, 2, 1, 1, 2]);
    // What each frame names is what was written there last.
    sender.flush(|tail| device.tail = tail);
    let (mut known, mut at, mut tags) = ([0; 8], 0, Vec::new());
    while at != device.tail {
        let (low, high) = device.words(at);
        at += 1;
        let data = TxData::from_bits(high);
        if data.dtyp() == TxData::DTYP_CONTEXT {
            known[usize::from(TxContext::from_bits(high).idx())] = TxHeaders::from_bits(low).vlan();
        } else {
            tags.push(known[usize::from(data.idx())]);
        }
    }
    assert_eq!(tags, [1, 1, 2, 1, 2, 3, 2, 3, 1]);
    // A reset makes it forget; what was never told to it does not count either.
    cleaner.reclaim(&mut sender, drop);
    assert_eq!([1, 1].map(|vlan| took(&mut sender, vlan)), [2, 1]);
    // A queue of the 82575 has one, and knows neither SCTP nor segments of UDP.
    sender.set_abilities(TxAbilities::of_82575(2));
    assert_eq!([1, 1, 2, 1].map(|vlan| took(&mut sender, vlan)), [2, 1, 2, 2]);
    let ip = TxOffload { ip: Some(Ip::V4), ip_len: 20, ..TxOffload::default() };
    let sctp = TxOffload { l4: Some(L4::Sctp), l4_len: 12, ..ip };
    let uso = TxOffload { l4: Some(L4::Udp), l4_len: 8, mss: 10, ..ip };
    for offload in [sctp, uso] {
        assert!(sender.push_with(frame(&mut memory, 1, 60), &offload).is_err());
    }
    cleaner.reclaim(&mut sender, drop);
}

#[test]
fn a_time_to_send_is_one_frames() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, _) = bench(64);
    let at = TxOffload { launch: Some(Launch(77)), ..TxOffload::default() };
    for _ in 0..3 {
        let before = sender.room();
        sender.push_with(frame(&mut memory, 1, 60), &at).unwrap();
        assert_eq!(before - sender.room(), 2);
    }
    cleaner.reclaim(&mut sender, drop);
}

#[test]
fn a_long_batch_reports_on_its_way() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, mut device) = bench(256);
    let mut parts = Vec::new();
    for n in 0..200 {
        if n == 60 {
            parts.extend((0..7).map(|_| frame(&mut memory, 9, 100))); // the first report would fall into it
            sender.push_gather(&mut parts, &TxOffload::default()).unwrap();
        } else {
            sender.push(frame(&mut memory, n, 60)).unwrap();
        }
    }
    sender.flush(|tail| device.tail = tail);
    assert_eq!(device.tail, 206);
    let (mut sent, mut home, mut most) = (0, 0, 0);
    while home < 200 {
        sent += device.send(10).len() as u32;
        home += cleaner.clean(|chunk| memory.give(chunk));
        most = most.max(sent - home);
        assert!(home <= sent);
    }
    assert!(most < 80, "{most} frames waited for their report");
    assert_eq!((sender.bytes(), cleaner.bytes()), (199 * 60 + 700, 199 * 60 + 700));
    cleaner.reclaim(&mut sender, |_| panic!("all is home"));
}

#[test]
fn a_cleaner_that_panics_among_parts_loses_none() {
    let (dma, pool, mut memory, mut sender, mut cleaner, mut device) = bench(64);
    for _ in 0..3 {
        let mut parts: Vec<_> = (0..5).map(|_| frame(&mut memory, 9, 100)).collect();
        sender.push_gather(&mut parts, &TxOffload::default()).unwrap();
    }
    sender.flush(|tail| device.tail = tail);
    device.send(64);
    let mut n = 0;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cleaner.clean(|_| {
            n += 1;
            assert!(n < 7, "in the callback");
        })
    }));
    assert!(panicked.is_err());
    cleaner.reclaim(&mut sender, |_| panic!("all is home"));
    assert_eq!(std::iter::from_fn(|| memory.take()).collect::<Vec<_>>().len(), 128);
    drop((sender, cleaner, memory, pool));
    assert_eq!(dma.allocated(), 0);
}
