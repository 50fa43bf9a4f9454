//! A transmit ring against a device: batches, contexts, two threads.

mod device;
use device::Ring;
use igb_ring::descriptors::{TxContext, TxData, TxHeaders};
use igb_ring::{
    Arena, Buffer, Chunk, Domain, Exclusive, Ip, L4, Local, Memory, Pool, TxCleaner, TxOffload, TxSender, tx,
};

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
        let at = device.tail;
        sender.flush(|tail| device.tail = tail);
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
        TxOffload { launch: Some(igb_ring::Launch(1 << 25)), ..base },
    ];
    for offload in bad {
        assert_eq!(offload.context(0), None, "{offload:?}");
    }
    assert_eq!(base.context(8), None);
    let tso = TxOffload { mss: 1000, l4: Some(L4::Tcp), l4_len: 20, ..base };
    assert_eq!(tso.data(54, 0), None, "headers alone");
    assert!(tso.data(55, 0).is_some_and(|data| data.paylen() == 1));
    assert!(TxOffload { timestamp: true, ..TxOffload::default() }.data(60, 0).unwrap().tstamp());
}

#[test]
fn the_context_index_of_82575_is_in_both() {
    let (_dma, _pool, mut memory, mut sender, mut cleaner, mut device) = bench(64);
    sender.set_context_index(3);
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
