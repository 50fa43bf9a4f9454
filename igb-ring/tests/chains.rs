//! Frames over several descriptors, received.

mod device;
use device::{Ring, good};
use igb_ring::descriptors::RxStatus;
use igb_ring::{
    Arena, Buffer, Chunk, Exclusive, Local, Memory, Pool, Receive, RxChain, RxMeta, RxRing, RxStats,
};

const SIZE: u16 = 2048;

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
    let mut ring = RxRing::new(&dma, len, SIZE).unwrap();
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

/// Takes `take` chunks of each chain, and puts all bytes together.
#[derive(Default)]
struct Whole {
    take: usize,
    frames: Vec<Vec<u8>>,
    kept: Vec<Buffer>,
}

impl Receive<Buffer> for Whole {
    fn frame(&mut self, chunk: Buffer, meta: RxMeta<'_>) -> Option<Buffer> {
        assert_eq!(chunk.len(), meta.len());
        self.frames.push(chunk.bytes().to_vec());
        Some(chunk)
    }
    fn chain(&mut self, chain: &mut RxChain<'_, Buffer>, meta: RxMeta<'_>) -> bool {
        assert!(meta.status().eop());
        let mut all = vec![0; 20_000];
        let n = chain.copy_to(&mut all);
        assert_eq!(n as u32, chain.bytes_len());
        all.truncate(n);
        let (count, bytes) = (chain.remaining(), chain.bytes_len());
        assert!(chain.get(count).is_none());
        let taken: Vec<_> = chain.by_ref().take(self.take).collect();
        let gone: u32 = taken.iter().map(|chunk| u32::from(chunk.len())).sum();
        assert_eq!((chain.remaining(), chain.bytes_len()), (count - taken.len() as u32, bytes - gone));
        let mut at = 0;
        for chunk in &taken {
            assert_eq!(chunk.bytes(), &all[at..at + chunk.bytes().len()]);
            at += chunk.bytes().len();
        }
        self.kept.extend(taken);
        self.frames.push(all);
        true
    }
}

fn pattern(n: u32, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u32).wrapping_mul(31).wrapping_add(n) as u8).collect()
}

#[test]
fn frames_of_every_length_whole_and_in_order() {
    for take in [0, 1, 2, 9] {
        let mut b = bench(64);
        let mut want = Vec::new();
        let mut whole = Whole { take, ..Whole::default() };
        for n in 0..400u32 {
            let len = [60, 2047, 2048, 2049, 4096, 4097, 9728, 6144][n as usize % 8] + n as usize % 3;
            let frame = pattern(n, len);
            assert!(b.device.receive_over(&frame, SIZE));
            want.push(frame);
            if n % 5 == 4 {
                while b.ring.poll_with(2, &mut whole) != 0 {}
                whole.kept.drain(..).for_each(|chunk| b.memory.give(chunk));
                b.refill();
                assert_eq!(b.ring.room(), 0);
            }
        }
        assert_eq!(whole.frames.len(), want.len());
        assert!(whole.frames == want);
        assert_eq!(b.ring.stats(), RxStats::default());
        b.close();
    }
}

#[test]
fn a_chain_counts_once_against_the_budget_and_waits_until_it_is_whole() {
    let mut b = bench(64);
    let mut whole = Whole::default();
    b.device.receive_over(&pattern(1, 5000), SIZE);
    b.device.receive_over(&pattern(2, 5000), SIZE);
    b.device.receive_over(&pattern(3, 60), SIZE);
    assert_eq!(b.ring.poll_with(1, &mut whole), 1);
    assert_eq!(b.ring.poll_with(64, &mut whole), 2);
    assert_eq!(whole.frames, [pattern(1, 5000), pattern(2, 5000), pattern(3, 60)]);
    b.device.write_back(Some(&[4; SIZE as usize]), good(SIZE).with_eop(false));
    assert_eq!((b.ring.poll_with(64, &mut whole), b.ring.poll_with(64, &mut whole)), (0, 0));
    b.device.write_back(Some(&[4; 10]), good(10));
    assert_eq!(b.ring.poll_with(64, &mut whole), 1);
    assert_eq!(whole.frames[3], [4; SIZE as usize + 10]);
    b.close();
}

#[test]
fn an_fcs_that_spilled_over_and_was_stripped_leaves_no_empty_piece() {
    let mut b = bench(64);
    b.device.write_back(Some(&[1; SIZE as usize]), good(SIZE).with_eop(false));
    b.device.write_back(None, good(0));
    struct One;
    impl Receive<Buffer> for One {
        fn frame(&mut self, _: Buffer, _: RxMeta<'_>) -> Option<Buffer> {
            panic!("it has two descriptors")
        }
        fn chain(&mut self, chain: &mut RxChain<'_, Buffer>, _: RxMeta<'_>) -> bool {
            assert_eq!((chain.remaining(), chain.bytes_len()), (1, SIZE.into()));
            true
        }
    }
    assert_eq!(b.ring.poll_with(64, &mut One), 1);
    assert_eq!(b.ring.stats(), RxStats::default());
    b.close();
}

#[test]
fn chains_that_cannot_be_cost_a_count_and_no_chunk() {
    let piece = good(SIZE).with_eop(false);
    let lies: [&[RxStatus]; 4] = [
        &[piece, good(0).with_eop(false), good(60)], // an empty piece inside
        &[piece, good(SIZE + 1)],                    // an end that is longer than the chunk
        &[piece, piece, piece, piece, piece, piece, piece, piece, good(60)], // longer than any frame
        &[good(SIZE + 1).with_eop(false), piece, good(60)],
    ];
    for (n, lie) in lies.iter().enumerate() {
        let mut b = bench(64);
        lie.iter().for_each(|status| assert!(b.device.write_back(None, *status)));
        b.device.receive(&[7; 60]);
        let mut whole = Whole::default();
        b.ring.poll_with(64, &mut whole);
        assert_eq!(whole.frames, [vec![7; 60]], "lie {n}");
        let stats = b.ring.stats();
        assert!(stats.lies > 0 && stats.broken + stats.chains + stats.chained == 0, "lie {n}: {stats:?}");
        b.refill();
        b.close();
    }
    // Broken on the wire, which the last descriptor says.
    let mut b = bench(64);
    b.device.write_back(None, piece);
    b.device.write_back(None, good(60).with_rxe(true));
    assert_eq!(b.ring.poll_with(64, &mut Whole::default()), 1);
    assert_eq!(b.ring.stats(), RxStats { broken: 1, ..RxStats::default() });
    b.close();
}

#[test]
fn a_device_that_never_ends_a_frame_does_not_stop_the_ring() {
    let mut b = bench(64);
    let mut whole = Whole::default();
    for _ in 0..40 {
        while b.device.write_back(None, good(100).with_eop(false)) {}
        b.ring.poll_with(64, &mut whole);
        b.refill();
        assert_eq!(b.ring.room(), 0);
    }
    assert!(b.ring.stats().lies > 0 && whole.frames.is_empty());
    b.device.write_back(None, good(100)); // the end at last, of nothing
    b.device.receive(&[7; 60]);
    b.ring.poll_with(64, &mut whole);
    assert_eq!(whole.frames, [vec![7; 60]]);
    b.close();
}

#[test]
fn a_callback_that_panics_loses_no_chunk() {
    struct Panics;
    impl Receive<Buffer> for Panics {
        fn frame(&mut self, chunk: Buffer, _: RxMeta<'_>) -> Option<Buffer> {
            Some(chunk)
        }
        fn chain(&mut self, chain: &mut RxChain<'_, Buffer>, _: RxMeta<'_>) -> bool {
            let _first = chain.next();
            panic!("in the callback")
        }
    }
    let mut b = bench(64);
    b.device.receive(&[1; 60]);
    b.device.receive_over(&pattern(1, 9000), SIZE);
    b.device.receive(&[2; 60]);
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| b.ring.poll_with(64, &mut Panics)));
    assert!(panicked.is_err());
    assert_eq!(b.ring.room(), 5);
    assert_eq!(b.ring.poll(64, |frame, _| Some(frame)), 1);
    b.refill();
    b.close();
}
