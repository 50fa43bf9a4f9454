//! A receive ring against a device: round and round, and lied to.

mod device;
use device::{Ring, good};
use igb_ring::descriptors::{RxInfo, RxStatus};
use igb_ring::{
    Arena, Buffer, Checksum, Chunk, Domain, Error, Exclusive, Local, Memory, Pool, RssType, RxRing, RxStats,
};

struct Bench {
    dma: Arena,
    pool: Pool,
    memory: Local,
    ring: RxRing<Buffer>,
    device: Ring,
}

fn bench(len: u32) -> Bench {
    let dma = Arena::anonymous(32 << 20, 0x1_0000_0000).unwrap();
    let pool = Pool::new(&dma, 2 * len, 2304).unwrap();
    let mut memory = pool.local();
    let mut ring = RxRing::new(&dma, len, memory.buffer_size()).unwrap();
    let mut device = Ring::rx(&dma, &ring);
    ring.fill(|| memory.take());
    ring.flush(|tail| device.tail = tail);
    Bench { dma, pool, memory, ring, device }
}

impl Bench {
    fn refill(&mut self) {
        self.ring.fill(|| self.memory.take());
        self.ring.flush(|tail| self.device.tail = tail);
    }
    /// Every chunk is somewhere: nothing lost, nothing doubled.
    fn close(mut self) {
        self.ring.reclaim(|chunk| self.memory.give(chunk));
        let home: Vec<_> = std::iter::from_fn(|| self.memory.take()).collect();
        let mut all: Vec<_> = home.iter().map(Chunk::iova).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len() as u32, 2 * self.ring.len());
        drop((home, self.ring, self.memory, self.pool));
        assert_eq!(self.dma.allocated(), 0);
    }
}

#[test]
fn lengths_that_the_device_does_not_take_are_named() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let make = |len, size| RxRing::<Buffer>::new(&dma, len, size).map(drop);
    for len in [0, 8, 56, 63, 4097, 4104, u32::MAX] {
        assert_eq!(make(len, 2048), Err(Error::RingLength(len)));
    }
    for len in [65, 100, 4095] {
        assert_eq!(make(len, 2048), Err(Error::RingMultiple(len)));
    }
    for len in [64, 72, 80, 1000, 4096] {
        assert_eq!(make(len, 2048), Ok(()));
    }
    assert_eq!(make(64, 0), Err(Error::BufferSize(0)));
    assert_eq!(make(64, 20_000), Err(Error::BufferSize(20_000)));
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn ring_memory_is_aligned_and_the_device_is_told_of_all_but_one() {
    for len in [64, 80, 4096] {
        let b = bench(len);
        assert_eq!(b.ring.base().0 % 128, 0);
        assert_eq!((b.ring.base().1, b.device.tail, b.ring.posted()), (len * 16, len - 1, len));
        b.close();
    }
}

#[test]
fn frames_come_in_order_round_and_round() {
    for len in [64, 72, 256] {
        let (mut b, mut next_in, mut next_out) = (bench(len), 0u32, 0u32);
        for round in 0..200u32 {
            for _ in 0..round % len {
                next_in += u32::from(b.device.receive(&next_in.to_le_bytes().repeat(15)));
            }
            b.ring.poll(1 + round % 50, |frame, meta| {
                assert_eq!((frame.bytes(), meta.len()), (&*next_out.to_le_bytes().repeat(15), 60));
                next_out += 1;
                if next_out.is_multiple_of(3) { None } else { Some(frame) }
            });
            b.refill();
        }
        assert!(next_out > 10 * len);
        assert_eq!(b.ring.stats(), RxStats::default());
        b.close();
    }
}

#[test]
fn done_is_dd_and_never_a_length() {
    let mut b = bench(64);
    // As QEMU's device: everything with DD off, then the status.
    b.device.write_status(0, good(60).with_dd(false));
    assert_eq!(b.ring.poll(64, |_, _| panic!("not done")), 0);
    b.device.write_status(0, good(60));
    assert_eq!(b.ring.poll(64, |frame, _| Some(frame)), 1);
    b.close();
}

#[test]
fn a_reposted_descriptor_is_not_done() {
    let mut b = bench(64);
    for i in 0..63 {
        b.device.write_status(i, good(60));
    }
    assert_eq!(b.ring.poll(1000, |frame, _| Some(frame)), 63, "each once, whatever is posted meanwhile");
    assert_eq!(b.ring.poll(1000, |frame, _| Some(frame)), 0);
    b.close();
}

#[test]
fn lies_cost_a_count_and_no_buffer() {
    let mut b = bench(64);
    let lies = [
        good(2049),              // longer than the buffer
        good(0xffff),            // much longer
        good(0),                 // empty
        good(60).with_rxe(true), // broken on the wire
        good(60).with_ce(true),
        good(60).with_eop(false), // three pieces
        good(9000).with_eop(false),
        good(60),
        good(2048), // and a good one
    ];
    for lie in lies {
        b.device.write_back(None, lie);
    }
    let mut seen = Vec::new();
    let n = b.ring.poll(64, |frame, _| {
        seen.push(frame.len());
        Some(frame)
    });
    assert_eq!((n, seen), (8, vec![2048]));
    let stats = b.ring.stats();
    // The chain's second piece is longer than a buffer: both are given up, and its end is passed over.
    assert_eq!(stats, RxStats { lies: 5, broken: 2, chains: 0, chained: 0 });
    assert_eq!(stats.bad(), 7);
    assert_eq!(b.ring.room(), 0);
    b.close();
}

#[test]
fn a_chain_that_nobody_wants_is_dropped_when_it_is_whole() {
    let mut b = bench(64);
    for _ in 0..2 {
        b.device.write_back(None, good(2048).with_eop(false));
    }
    assert_eq!(b.ring.poll(64, |_, _| panic!("a piece")), 0);
    b.refill();
    b.device.write_back(None, good(100));
    b.device.receive(&[1; 60]);
    let mut good = 0;
    assert_eq!(
        b.ring.poll(64, |frame, _| {
            good += 1;
            Some(frame)
        }),
        2
    );
    assert_eq!((good, b.ring.stats().chains, b.ring.stats().chained), (1, 1, 3));
    b.close();
}

#[test]
fn reports_beyond_what_is_posted_are_not_read() {
    let mut b = bench(64);
    for i in 0..64 {
        b.device.write_status(i, good(60));
    }
    assert_eq!(b.ring.poll(u32::MAX, |_, _| None), 63);
    assert_eq!(b.ring.poll(u32::MAX, |_, _| panic!("nothing is posted that the device was told of")), 0);
    b.device.write_status(63, good(60).with_dd(false)); // it may not be told before
    b.refill();
    assert_eq!(b.ring.poll(u32::MAX, |_, _| panic!("posting takes DD away")), 0);
    // The frames were dropped in the callback: they are home already.
    b.close();
}

#[test]
fn a_foreign_or_small_chunk_is_never_posted() {
    let mut b = bench(64);
    let far = Pool::new(&Arena::anonymous_in(1 << 20, 0, Domain(7), u64::MAX).unwrap(), 8, 2304).unwrap();
    let small = Pool::new(&b.dma, 8, 1024).unwrap();
    let mut wrong = vec![small.local().take().unwrap(), far.local().take().unwrap()];
    let mut kept = Vec::new();
    b.device.receive(&[1; 60]);
    b.device.receive(&[1; 60]);
    assert_eq!(
        b.ring.poll(64, |frame, _| {
            kept.push(frame);
            wrong.pop()
        }),
        2
    );
    assert_eq!((b.ring.room(), b.ring.posted()), (2, 62));
    drop((kept, small));
    b.refill();
    for _ in 0..200 {
        b.device.receive(&[1; 1500]);
        b.ring.poll(64, |frame, _| Some(frame));
        b.refill();
    }
    b.close();
}

#[test]
fn a_trimmed_buffer_is_posted_with_its_headroom_back() {
    let mut b = bench(64);
    let mut addresses = std::collections::BTreeMap::new();
    for round in 0..3 {
        for _ in 0..63 {
            assert!(b.device.receive(&[1; 76]));
        }
        b.ring.poll(64, |mut frame, _| {
            *addresses.entry(frame.iova()).or_insert(0) += 1;
            assert_eq!(frame.headroom(), 256, "round {round}");
            if frame.iova() % 512 == 0 {
                frame.trim_front(16)
            } else {
                frame.extend_front(100)
            };
            Some(frame)
        });
        b.refill();
    }
    // Each of the 64 chunks stood last once or more, where the device was not told of it.
    assert!(addresses.len() == 64 && addresses.values().sum::<i32>() == 3 * 63);
    assert!(addresses.values().all(|n| (2..=3).contains(n)));
    b.close();
}

#[test]
fn a_callback_that_panics_loses_one_chunk_at_most() {
    let mut b = bench(64);
    for _ in 0..10 {
        b.device.receive(&[1; 60]);
    }
    let mut n = 0;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        b.ring.poll(64, |frame, _| {
            n += 1;
            assert!(n < 5, "in the callback");
            Some(frame)
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(b.ring.poll(64, |frame, _| Some(frame)), 5);
    b.close();
}

#[test]
fn restart_posts_the_same_chunks_from_the_start() {
    let mut b = bench(72);
    for _ in 0..50 {
        b.device.receive(&[1; 60]);
    }
    b.ring.poll(20, |frame, _| Some(frame));
    b.ring.poll(10, |_, _| None); // 20 reposted, 10 gone, 20 done and not seen
    b.ring.restart();
    assert_eq!(b.ring.posted(), 62);
    (b.device.head, b.device.tail) = (0, 0);
    b.ring.flush(|tail| b.device.tail = tail);
    assert_eq!(b.device.tail, 62);
    assert_eq!(b.ring.poll(64, |_, _| panic!("old reports are gone")), 0);
    for _ in 0..62 {
        assert!(b.device.receive(&[2; 60]));
    }
    assert!(!b.device.receive(&[2; 60]));
    assert_eq!(
        b.ring.poll(64, |frame, _| {
            assert_eq!(frame.bytes(), [2; 60]);
            Some(frame)
        }),
        62
    );
    b.close();
}

#[test]
fn what_the_device_says_of_a_frame() {
    let mut b = bench(64);
    let info = RxInfo::new().with_rss_type(RxInfo::RSS_TYPE_IPV4_TCP).with_rss_hash(0xdead_beef);
    let info = info.with_ipv4(true).with_tcp(true);
    b.device.receive(&[1; 60]);
    b.device.write_info(0, info.into_bits());
    b.device.write_status(
        0,
        good(60).with_vp(true).with_vlan(0x2064).with_ipcs(true).with_l4cs(true).with_l4e(true),
    );
    b.device.write_back(None, good(60).with_vp(true).with_lb(true).with_vlan(0x6420).with_tsip(true));
    b.device.write_back(None, good(60).with_l4cs(true).with_l4e(true));
    b.device.write_info(2, RxInfo::new().with_ipv4(true).with_sctp(true).with_rss_type(15).into_bits());
    b.device.write_back(None, good(60));
    b.device.write_info(3, RxInfo::new().with_etqf(true).with_ipv4_options(true).with_tcp(true).into_bits());
    let mut at = 0;
    b.ring.poll(64, |frame, meta| {
        let (ip, l4, kind) = (meta.ip_checksum(), meta.l4_checksum(), meta.packet_type());
        match at {
            0 => {
                assert_eq!((meta.rss_type(), meta.rss_hash()), (RssType::Ipv4Tcp, 0xdead_beef));
                assert_eq!((ip, l4, meta.vlan()), (Checksum::Good, Checksum::Bad, Some(0x2064)));
                assert!(kind.is_ipv4() && kind.is_tcp() && !kind.is_udp() && !meta.has_timestamp());
            }
            1 => {
                assert_eq!(
                    (ip, l4, meta.vlan_from_loopback()),
                    (Checksum::Unknown, Checksum::Unknown, Some(0x2064))
                );
                assert!(meta.has_timestamp() && meta.is_loopback());
            }
            2 => assert_eq!(
                (l4, meta.rss_type(), meta.vlan()),
                (Checksum::Unknown, RssType::Unknown(15), None)
            ),
            _ => assert!(kind.ethertype_filter() == Some(2) && !kind.is_ipv4() && !kind.is_tcp()),
        }
        at += 1;
        Some(frame)
    });
    assert_eq!(at, 4);
    assert_eq!(RxStatus::from(3u64), good(0));
    b.close();
}
