//! A driver that writes anything anywhere: no panic, no hang, no access outside memory goes unseen.

mod bench;

use core::time::Duration;
use igb_regs::Chip;
use igb_ring::Dma;
use igb_sim::{Fault, World};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Write(u32, u32),
    Read(u32),
    Config(u16, u32),
    Send(Vec<u8>, bool),
    Advance(u32),
    Memory(u16, u64),
    Unplug(bool),
    Ill(u8),
}

/// Offsets that do something, more often than the rest.
fn offset() -> impl Strategy<Value = u32> {
    let hot = prop::sample::select(vec![
        0x0000_u32, 0x0008, 0x0010, 0x0014, 0x0018, 0x0020, 0x00c0, 0x00c8, 0x00d0, 0x0100, 0x0400, 0x0e04,
        0x0e14, 0x1514, 0x1520, 0x1524, 0x1580, 0x1680, 0x1700, 0x1740, 0x2404, 0x2800, 0x2804, 0x2808,
        0x280c, 0x2810, 0x2818, 0x2828, 0x3800, 0x3804, 0x3808, 0x3810, 0x3818, 0x3828, 0x3838, 0x5000,
        0x5004, 0x5008, 0x5818, 0x5b50, 0x5b5c, 0xb620,
    ]);
    prop_oneof![4 => hot, 1 => (0..0x8100_u32).prop_map(|word| word * 4), 1 => any::<u32>()]
}

fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        prop::sample::select(vec![
            0,
            1,
            2,
            6,
            7,
            u32::MAX,
            0x0200_0000,
            0x0208_0808,
            0x0402_8002,
            0x400,
            0x80000,
            0x0010_0241
        ]),
        0..512_u32,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (offset(), value()).prop_map(|(offset, value)| Step::Write(offset, value)),
        2 => offset().prop_map(Step::Read),
        1 => (0..0x400_u16, any::<u32>()).prop_map(|(offset, value)| Step::Config(offset, value | 6)),
        2 => (prop::collection::vec(any::<u8>(), 0..2000), any::<bool>()).prop_map(|(bytes, good)| Step::Send(bytes, good)),
        2 => (0..2_000_000_u32).prop_map(Step::Advance),
        4 => (any::<u16>(), any::<u64>()).prop_map(|(place, value)| Step::Memory(place, value)),
        1 => any::<bool>().prop_map(Step::Unplug),
        1 => any::<u8>().prop_map(Step::Ill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks(chip in prop::sample::select(bench::CHIPS.to_vec()), steps in prop::collection::vec(step(), 1..150)) {
        let world = World::builder().memory(1 << 20).iova(0).build();
        let device = world.add(chip);
        let end = world.hold(&device);
        let arena = world.arena().clone();
        let _all = arena.alloc(1 << 16, 4096);
        bench::start(&device);
        for step in steps {
            match step {
                Step::Write(offset, value) => device.write(offset, value),
                Step::Read(offset) => drop(device.read(offset)),
                Step::Config(offset, value) => device.config_write(offset & !3, value),
                Step::Send(bytes, good) => drop(end.send_raw(&bytes, good)),
                Step::Advance(micros) => world.advance(Duration::from_micros(micros.into())),
                Step::Memory(place, value) => drop(arena.write64(u64::from(place) * 8, value)),
                Step::Unplug(out) => if out { device.remove() } else { device.insert() },
                Step::Ill(kind) => match kind % 4 {
                    0 => device.inject(Fault::FrozenDma),
                    1 => device.inject(Fault::InterruptStorm),
                    2 => device.inject(Fault::StuckDisable),
                    _ => device.heal_all(),
                },
            }
        }
        for violation in device.violations() {
            prop_assert!(!violation.to_string().is_empty());
        }
    }
}

/// The most work that one doorbell can ask for: it comes back in bounded time, and goes on at the wire's pace.
#[test]
fn a_doorbell_is_bounded() {
    let world = World::builder().memory(4 << 20).iova(0).build();
    let device = world.add(Chip::I350);
    let end = world.hold(&device);
    bench::start(&device);
    bench::wait_link(&device);
    let arena = world.arena().clone();
    // A context with MSS 1, and segmented frames of 64 KB.
    let len = 4096_u64;
    assert!(arena.write64(0, 0x1c14) && arena.write64(8, 0x2020_0c00 | (1 << 48 | 20 << 40)));
    for index in 1..len {
        assert!(
            arena.write64(index * 16, 0x10_0000)
                && arena.write64(index * 16 + 8, 0xab30_ffff | 0x3_u64 << 40)
        );
    }
    for (offset, value) in [(0x3800, 0), (0x3804, 0), (0x3808, len as u32 * 16), (0x3828, 1 << 25)] {
        device.write(offset, value);
    }
    world.advance(Duration::from_millis(1));
    device.write(0x3818, len as u32 - 1);
    let first = end.recv_all().len();
    assert!((1..200_000).contains(&first), "{first} frames at once");
    world.advance(Duration::from_millis(50));
    assert!(!end.recv_all().is_empty(), "and the rest in its time");
}
