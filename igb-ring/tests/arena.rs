//! The arena's allocator: pieces never overlap, and freed ones join again.

#![allow(unsafe_code)] // `Dma` is an unsafe trait

use igb_ring::{Arena, Dma, Domain, Error, Region};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Alloc(usize, u32),
    Free(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1usize..20_000, 0u32..14).prop_map(|(len, align)| Step::Alloc(len, align)),
        any::<usize>().prop_map(Step::Free),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn pieces_are_apart_aligned_zeroed_and_all_come_back(steps in steps(), page in 0u64..1 << 40) {
        let len = 1 << 17;
        let arena = Arena::anonymous(len, page * 4096).unwrap();
        let all = arena.region();
        let mut out: Vec<Region> = Vec::new();
        for step in steps {
            match step {
                Step::Alloc(len, align) => {
                    let Some(region) = arena.alloc(len, 1 << align) else { continue };
                    prop_assert!(region.iova.is_multiple_of(1 << align) && region.len == len);
                    prop_assert_eq!(region.cpu.addr().get() - all.cpu.addr().get(), (region.iova - all.iova) as usize);
                    prop_assert!(region.iova >= all.iova && region.iova + len as u64 <= all.iova + all.len as u64);
                    for other in &out {
                        let apart = region.iova / 128 > (other.iova + other.len as u64 - 1) / 128
                            || other.iova / 128 > (region.iova + len as u64 - 1) / 128;
                        prop_assert!(apart, "{:?} and {:?} share a line", region, other);
                    }
                    let mut bytes = vec![1; len];
                    prop_assert!(arena.read(region.iova, &mut bytes) && bytes.iter().all(|b| *b == 0));
                    prop_assert!(arena.write(region.iova, &vec![0xff; len]));
                    out.push(region);
                }
                Step::Free(i) if !out.is_empty() => {
                    let region = out.swap_remove(i % out.len());
                    // SAFETY: allocated above, and forgotten now.
                    unsafe { arena.free(region) }
                }
                Step::Free(_) => {}
            }
        }
        for region in out {
            // SAFETY: as above.
            unsafe { arena.free(region) }
        }
        prop_assert_eq!(arena.allocated(), 0);
        prop_assert!(arena.alloc(len, 4096).is_some(), "one piece again");
    }

    #[test]
    fn a_device_reads_what_it_wrote_wherever(at in 0u64..300, bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let arena = Arena::anonymous(4096, 0x1000).unwrap();
        let iova = 0x1000 + at;
        let mut back = vec![0; bytes.len()];
        prop_assert!(arena.write(iova, &bytes) && arena.read(iova, &mut back));
        prop_assert_eq!(&back, &bytes);
        let mut all = vec![0; 4096];
        arena.read(0x1000, &mut all);
        let at = at as usize;
        prop_assert!(all[..at].iter().chain(&all[at + bytes.len()..]).all(|b| *b == 0));
    }
}

#[test]
fn a_device_reaches_nothing_outside() {
    let arena = Arena::anonymous(4096, 0x10_0000).unwrap();
    for (iova, len) in
        [(0x0f_ffff, 2), (0x10_0fff, 2), (0x10_1000, 1), (0, 1), (u64::MAX, 2), (u64::MAX - 7, 8)]
    {
        assert!(!arena.write(iova, &vec![1; len]) && !arena.read(iova, &mut vec![0; len]), "{iova:#x}");
    }
    for iova in [0x10_0001, 0x10_0ffc, 0x10_1000, 0x0f_fff8, u64::MAX - 7] {
        assert!(arena.read64(iova).is_none() && !arena.write64(iova, 1), "{iova:#x}");
    }
    assert!(arena.write64(0x10_0ff8, 0x0102_0304_0506_0708));
    assert_eq!(arena.read64(0x10_0ff8), Some(0x0102_0304_0506_0708));
    let mut first = [0];
    assert!(arena.read(0x10_0ff8, &mut first) && first == [8], "little endian");
}

#[test]
fn places_that_cannot_be_are_named() {
    for (len, iova) in [(4095, 0), (0, 0), (4096, 1), (4096, 0x80), (8192, u64::MAX - 4095)] {
        assert_eq!(Arena::anonymous(len, iova).map(drop), Err(Error::ArenaPlace { iova, len }));
    }
    assert!(Arena::anonymous(4096, u64::MAX - 4095).is_ok(), "to the very end");
}

#[test]
fn nothing_beyond_the_mask_is_dealt_out() {
    let arena = Arena::anonymous_in(8192, 0xffff_f000, Domain(3), 0xffff_ffff).unwrap();
    assert_eq!((arena.domain(), arena.mask()), (Domain(3), 0xffff_ffff));
    assert!(arena.alloc(4096, 128).is_some_and(|region| region.iova == 0xffff_f000));
    assert!(arena.alloc(1, 1).is_none());
    let beyond = Arena::anonymous_in(8192, 0x1_0000_0000, Domain(3), 0xffff_ffff).unwrap();
    assert!(beyond.alloc(1, 1).is_none());
}

#[test]
fn memory_lives_as_long_as_what_was_allocated() {
    let arena = Arena::anonymous(1 << 16, 0).unwrap();
    let memory = igb_ring::Coherent::new(&arena, 4096, 128).unwrap();
    let region = memory.region();
    drop(arena);
    // SAFETY: the arena lives in `memory`.
    assert_eq!(unsafe { region.cpu.read() }, 0);
    let at = memory.leak();
    // SAFETY: leaked.
    assert_eq!(unsafe { at.cpu.read() }, 0);
}
