//! Split pages: every half is one holder's, however it comes back.

mod device;
use device::Ring;
use igb_ring::{Arena, Chunk, Error, Exclusive, Half, Memory, PageKind, PageStats, Pages, RxRing};
use proptest::prelude::*;
use std::collections::HashSet;

#[test]
fn kinds_say_what_a_frame_may_have() {
    let dma = Arena::anonymous(1 << 20, 0x10_0000).unwrap();
    for (kind, size, headroom, apart) in
        [(PageKind::TwoKib, 2048, 0, 2048), (PageKind::ThreeKib, 3072, 1024, 4096)]
    {
        let mut halves = Pages::new(&dma, 4, kind).unwrap().local();
        assert_eq!(halves.buffer_size(), size);
        let all: Vec<Half> = std::iter::from_fn(|| halves.take()).collect();
        let mut at: Vec<_> = all.iter().map(|half| half.iova() - u64::from(half.headroom())).collect();
        at.sort_unstable();
        assert_eq!(at.len(), 8);
        assert!(at.windows(2).all(|two| two[1] - two[0] == apart));
        assert!(all.iter().all(|half| (half.capacity(), half.headroom()) == (size, headroom)));
        let mut half = all.into_iter().next().unwrap();
        assert!(half.set(&[1; 100]) && half.trim_front(40));
        assert_eq!((half.len(), half.headroom(), half.capacity()), (60, headroom + 40, size - 40));
        assert!(half.extend_front(headroom + 40) && !half.extend_front(1));
        half.rewind();
        assert_eq!((half.len(), half.headroom(), half.capacity()), (0, headroom, size));
        assert_eq!(size_of::<Option<Half>>(), 16);
    }
    assert!(matches!(Pages::new(&dma, 0, PageKind::TwoKib), Err(Error::PoolGeometry { .. })));
    assert!(matches!(Pages::new(&dma, 1 << 20, PageKind::TwoKib), Err(Error::PoolGeometry { .. })));
    assert_eq!(dma.allocated(), 0);
}

/// A program that keeps a window of frames and drops them late: a few pages go round and round.
#[test]
fn a_ring_lives_on_pages_that_come_back_by_being_dropped() {
    let dma = Arena::anonymous(4 << 20, 0).unwrap();
    let pages = Pages::new(&dma, 200, PageKind::TwoKib).unwrap();
    let mut halves = pages.local();
    let mut ring = RxRing::new(&dma, 64, halves.buffer_size()).unwrap();
    let mut device = Ring::rx(&dma, &ring);
    let mut kept = std::collections::VecDeque::new();
    for n in 0..20_000u32 {
        ring.fill(|| halves.take());
        ring.flush(|tail| device.tail = tail);
        assert!(device.receive(&n.to_le_bytes().repeat(15)));
        ring.poll(64, |half, _| {
            kept.push_back((n, half));
            None
        });
        if kept.len() > 40 {
            let (n, half) = kept.pop_front().unwrap();
            assert_eq!(half.bytes(), n.to_le_bytes().repeat(15), "nobody wrote into what is held");
        }
    }
    let PageStats { recycled, allocated, waited, .. } = halves.stats();
    // 64 in the ring and 41 held, and as many again while the oldest are looked at.
    assert!(allocated < 110 && waited == 0 && recycled > 19_700, "{:?}", halves.stats());
    ring.reclaim(|half| halves.give(half));
    drop((kept, ring, halves));
    assert_eq!(pages.left(), 200);
    drop(pages);
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn halves_outlive_stock_and_pool() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let pages = Pages::new(&dma, 4, PageKind::TwoKib).unwrap();
    let mut halves = pages.local();
    let held: Vec<Half> = (0..3).filter_map(|_| halves.take()).collect();
    drop(halves);
    assert_eq!(pages.left(), 2, "the pages of what is held are not free");
    let mut other = pages.local();
    assert_eq!(std::iter::from_fn(|| other.take()).collect::<Vec<_>>().len(), 4);
    drop((other, pages));
    assert!(dma.allocated() > 0);
    std::thread::spawn(move || drop(held)).join().unwrap();
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn threads_drop_what_one_takes() {
    const FRAMES: u32 = 60_000;
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let pages = Pages::new(&dma, 32, PageKind::TwoKib).unwrap();
    std::thread::scope(|s| {
        let droppers: Vec<_> = (0..3)
            .map(|_| {
                let (to, from) = std::sync::mpsc::sync_channel::<(u32, Half)>(8);
                let mut own = pages.local();
                s.spawn(move || {
                    for (n, mut half) in from {
                        assert_eq!(half.bytes(), n.to_le_bytes().repeat(16));
                        half.bytes_mut().fill(0xee);
                        // Of another stock: it goes home by itself all the same.
                        if n % 2 == 0 { own.give(half) } else { drop(half) }
                    }
                });
                to
            })
            .collect();
        let mut halves = pages.local();
        let mut n = 0;
        while n < FRAMES {
            let Some(mut half) = halves.take() else {
                std::thread::yield_now();
                continue;
            };
            half.set(&n.to_le_bytes().repeat(16));
            if n % 5 == 0 {
                halves.give(half);
            } else {
                droppers[n as usize % 3].send((n, half)).unwrap();
            }
            n += 1;
        }
        drop(droppers);
        assert!(halves.stats().recycled + halves.stats().returned > u64::from(FRAMES) - 100);
    });
    assert_eq!(pages.left(), 32);
    drop(pages);
    assert_eq!(dma.allocated(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Two stocks of one pool, in any order: no half is two holders', and none is lost.
    #[test]
    fn any_order(count in 1u32..6, steps in proptest::collection::vec((0u8..2, 0u8..4, any::<u8>()), 1..400)) {
        let dma = Arena::anonymous(1 << 20, 0).unwrap();
        let pages = Pages::new(&dma, count, PageKind::TwoKib).unwrap();
        let mut stocks = [pages.local(), pages.local()];
        let mut held: Vec<Half> = Vec::new();
        let mut out = HashSet::new();
        for (which, step, n) in steps {
            let stock = &mut stocks[usize::from(which)];
            if step < 2 {
                match stock.take() {
                    Some(half) => {
                        prop_assert!(out.insert(half.iova()), "handed out twice");
                        held.push(half);
                    }
                    // What the other stock has in its pages is not ours to take.
                    None => prop_assert_eq!(pages.left(), 0),
                }
            } else if !held.is_empty() {
                let half = held.swap_remove(usize::from(n) % held.len());
                out.remove(&half.iova());
                if step == 2 { stock.give(half) } else { drop(half) }
            }
        }
        drop(held);
        // Nobody holds any: each stock has all halves of its pages.
        let [mut a, mut b] = stocks;
        let all: Vec<_> = std::iter::from_fn(|| a.take().or_else(|| b.take())).collect();
        prop_assert_eq!(all.len() as u32, 2 * count);
        drop((a, b, all));
        prop_assert_eq!(pages.left() as u32, count);
        drop(pages);
        prop_assert_eq!(dma.allocated(), 0);
    }
}
