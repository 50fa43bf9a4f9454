//! Pools, and memory that wants syncs.

#![allow(unsafe_code)] // `Dma` is an unsafe trait

use igb_ring::{Arena, Buffer, Chunk, Dma, Domain, Error, Exclusive, HEADROOM, Memory, Pool, Region};
use std::collections::HashSet;
use std::ptr::NonNull;

#[test]
fn a_buffer_is_two_registers() {
    assert_eq!((size_of::<Buffer>(), size_of::<Option<Buffer>>()), (16, 16));
    assert_eq!(size_of::<Buffer<false>>(), 16);
}

#[test]
fn geometry_that_cannot_be_is_named() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    for (count, size) in
        [(0, 2304), (1, 256), (1, 511), (1, 2000), (1, 65536), (1 << 24, 2304), (u32::MAX, 512)]
    {
        assert_eq!(Pool::new(&dma, count, size).unwrap_err(), Error::PoolGeometry { count, size });
    }
    assert_eq!(Pool::new(&dma, 1024, 2304).unwrap_err(), Error::NoMemory(1024 * 2304));
    for size in [512, 65280] {
        let buffer = Pool::new(&dma, 2, size).unwrap().local().take().unwrap();
        assert_eq!(u32::from(buffer.capacity()), size - u32::from(HEADROOM));
    }
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn the_front_moves_within_the_chunk() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let mut b = Pool::new(&dma, 2, 65280).unwrap().local().take().unwrap();
    let start = b.iova();
    assert!(b.set(b"headerpayload") && b.trim_front(6));
    assert_eq!((b.bytes(), b.headroom(), b.iova()), (&b"payload"[..], 262, start + 6));
    assert!(!b.trim_front(8) && !b.extend_front(263));
    assert!(b.extend_front(262));
    assert_eq!((b.headroom(), b.capacity(), b.len(), b.iova()), (0, 65280, 269, start - 256));
    assert!(b.resize(65280) && !b.resize(65281));
    b.bytes_mut().fill(1);
    b.rewind();
    assert_eq!((b.iova(), b.headroom(), b.capacity(), b.len()), (start, 256, 65024, 0));
    assert_eq!(b.copy_from(&[7; 100]), 100);
    let mut out = [0; 200];
    assert_eq!((b.copy_to(&mut out), out[99], out[100]), (100, 7, 0));
}

#[test]
fn no_chunk_is_given_twice_under_threads() {
    let dma = Arena::anonymous(4 << 20, 0).unwrap();
    let pool = Pool::new(&dma, 1000, 2304).unwrap();
    std::thread::scope(|s| {
        for t in 0..4u8 {
            let pool = &pool;
            s.spawn(move || {
                let (mut local, mut held) = (pool.local(), Vec::<Buffer>::new());
                for round in 0..20_000u32 {
                    if round % 7 < 4 {
                        if let Some(mut b) = local.take() {
                            b.set(&[t; 64]);
                            held.push(b);
                        }
                    } else if let Some(b) = held.pop() {
                        assert!(b.bytes().iter().all(|&x| x == t));
                        if round % 2 == 0 { local.give(b) } else { drop(b) }
                    }
                    if held.len() > 200 {
                        held.clear();
                    }
                }
            });
        }
    });
    let mut local = pool.local();
    let all: Vec<_> = std::iter::from_fn(|| local.take()).collect();
    assert_eq!(all.iter().map(Chunk::iova).collect::<HashSet<_>>().len(), 1000);
    drop((pool, local));
    assert!(dma.allocated() > 0, "buffers outlive pool and stock");
    assert!(std::thread::spawn(move || all.len()).join().is_ok());
    assert_eq!(dma.allocated(), 0);
}

#[test]
fn a_buffer_of_another_pool_goes_home_by_itself() {
    let dma = Arena::anonymous(1 << 20, 0).unwrap();
    let (a, b) = (Pool::new(&dma, 1, 512).unwrap(), Pool::new(&dma, 1, 512).unwrap());
    let (mut in_a, mut in_b) = (a.local(), b.local());
    let of_a = in_a.take().unwrap();
    assert!(in_a.take().is_none());
    in_b.give(of_a);
    assert!(in_b.take().is_some() && in_a.take().is_some());
}

/// A platform that breaks its word.
#[derive(Clone)]
struct Liar(Arena, u64);
// SAFETY: not right, and checked where it can be: that is the test. Memory is real.
unsafe impl Dma for Liar {
    fn domain(&self) -> Domain {
        Domain(0)
    }
    fn mask(&self) -> u64 {
        0xffff_ffff
    }
    fn alloc(&self, len: usize, align: usize) -> Option<Region> {
        Some(Region { iova: self.1, ..self.0.alloc(len, align)? })
    }
    unsafe fn free(&self, _: Region) {}
    unsafe fn map(&self, _: NonNull<u8>, _: usize) -> Option<u64> {
        None
    }
    fn unmap(&self, _: u64, _: usize) {}
}

#[test]
fn memory_beyond_the_mask_or_misaligned_is_refused() {
    let arena = Arena::anonymous(1 << 20, 0).unwrap();
    for iova in [0xffff_fc00 + 1, 0xffff_ff80, 0x1_0000_0000, u64::MAX - 127] {
        let made = igb_ring::RxRing::<Buffer>::new(&Liar(arena.clone(), iova), 64, 2048);
        assert_eq!(made.map(drop), Err(Error::BadRegion { iova }));
    }
    assert!(igb_ring::RxRing::<Buffer>::new(&Liar(arena, 0xffff_fc00), 64, 2048).is_ok());
}
