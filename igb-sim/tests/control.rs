//! PHY, NVM, locks, resets, link, configuration space: what bring-up touches.

mod bench;

use bench::{CHIPS, Ring, SRRCTL_ONE_BUFFER, frame, start, wait_link};
use core::time::Duration;
use igb::{Clock, Platform};
use igb_regs::Chip;
use igb_sim::{Abilities, Device, DeviceSpec, Fault, Violation, World};

const CTRL: u32 = 0;
const STATUS: u32 = 8;
const EECD: u32 = 0x10;
const EERD: u32 = 0x14;
const MDIC: u32 = 0x20;
const SWSM: u32 = 0x5b50;
const SYNC: u32 = 0x5b5c;

fn device(chip: Chip) -> (World, Device) {
    let world = World::new();
    let device = world.add(chip);
    (world, device)
}

/// SMBI, SWESMBI, then the bits (fact base 1.1).
fn lock(device: &Device, bits: u32) {
    assert_eq!(device.read(SWSM) & 1, 0, "SMBI was free");
    device.write(SWSM, 2 | 1);
    assert_eq!(device.read(SWSM) & 2, 2);
    device.write(SYNC, device.read(SYNC) | bits);
    device.write(SWSM, 0);
}

fn poll(device: &Device, offset: u32, bits: u32) -> Option<u32> {
    let mut value = 0;
    let done = device.world().run_until(Duration::from_millis(100), || {
        value = device.read(offset);
        value & bits != 0
    });
    done.then_some(value)
}

fn eerd(device: &Device, word: u32) -> Option<u16> {
    device.write(EERD, 1 | word << 2);
    poll(device, EERD, 2).map(|value| (value >> 16) as u16)
}

fn mdic(device: &Device, register: u32, write: Option<u16>) -> Option<u16> {
    let address = if device.chip() == Chip::I354 { 0 } else { 1 };
    let operation = write.map_or(0x0800_0000, |data| 0x0400_0000 | u32::from(data));
    device.write(MDIC, operation | address << 21 | register << 16);
    let value = poll(device, MDIC, 1 << 28)?;
    (value >> 30 & 1 == 0).then_some(value as u16)
}

#[test]
fn nvm_words_sum_up() {
    for chip in CHIPS.into_iter().filter(|chip| *chip != Chip::I211) {
        let (_world, device) = device(chip);
        lock(&device, 1);
        let regions: &[u32] =
            if matches!(chip, Chip::I350 | Chip::I354) { &[0, 0x80, 0xc0, 0x100] } else { &[0] };
        for region in regions {
            let sum = (0..=0x3f)
                .fold(0_u16, |sum, word| sum.wrapping_add(eerd(&device, region + word).expect("done")));
            assert_eq!(sum, 0xbaba, "{chip}");
        }
        assert_eq!(eerd(&device, 0).map(u16::to_le_bytes), Some([2, 0]));
        assert_eq!(device.violations(), []);
        device.inject(Fault::NvmNeverDone);
        assert_eq!(eerd(&device, 0), None);
    }
}

#[test]
fn the_i211_has_its_address_in_invm() {
    let (_world, device) = device(Chip::I211);
    lock(&device, 1);
    assert_eq!(eerd(&device, 0), None, "no flash, no EERD");
    let words: Vec<u32> = (0..3).map(|record| device.read(0x1_2120 + 4 * record)).collect();
    assert_eq!(words, [0x0002_0001, 0x0000_0201, 0x0100_0401]);
    assert_eq!((device.read(0x5400), device.read(0x5404)), (2, 0x8000_0100), "RAL0, RAH0 loaded");
}

#[test]
fn bad_words_are_possible() {
    let world = World::new();
    let sum = |device: &Device| (0..=0x3f).fold(0_u16, |sum, word| sum.wrapping_add(device.nvm(word)));
    let bad = world.attach(DeviceSpec::new(Chip::I210).bad_checksum().mac([1, 2, 3, 4, 5, 6]));
    assert_ne!(sum(&bad), 0xbaba);
    assert_eq!(bad.mac(), [1, 2, 3, 4, 5, 6]);
    bad.fix_checksum();
    assert_eq!(sum(&bad), 0xbaba);
    let other = world.attach(DeviceSpec::new(Chip::I82576).nvm_word(0x24, 0x1234));
    assert_eq!((other.nvm(0x24), sum(&other)), (0x1234, 0xbaba));
    let none = world.attach(DeviceSpec::new(Chip::I210).no_nvm());
    assert_eq!((none.read(EECD) >> 8 & 1, none.nvm(0)), (0, 0xffff));
}

#[test]
fn the_phy_answers() {
    let ids = [0x02a8_0391, 0x02a8_0391, 0x0154_03a1, 0x0154_03b1, 0x0141_0ea1, 0x0141_0c01, 0x0141_0c01];
    for (chip, id) in CHIPS.into_iter().zip(ids) {
        let (_world, device) = device(chip);
        lock(&device, 2);
        let read = [2, 3].map(|register| u32::from(mdic(&device, register, None).expect("answer")));
        assert_eq!(read[0] << 16 | read[1], id, "{chip}");
        assert_eq!(mdic(&device, 4, Some(0x01e1)).and_then(|_| mdic(&device, 4, None)), Some(0x01e1));
        assert_eq!(
            mdic(&device, 3, Some(0)).and_then(|_| mdic(&device, 3, None)),
            Some(id as u16),
            "read only"
        );
        assert_eq!(device.violations(), []);
        device.inject(Fault::DeadPhy);
        assert_eq!(mdic(&device, 2, None), None);
        device.heal_all();
        device.inject(Fault::MdicNeverReady);
        device.write(MDIC, 0x0822_0000);
        assert_eq!(poll(&device, MDIC, 1 << 28), None);
    }
}

#[test]
fn a_wrong_phy_address_is_an_error() {
    let (_world, chip) = device(Chip::I82576);
    lock(&chip, 2);
    chip.write(MDIC, 0x0800_0000 | 2 << 21 | 2 << 16);
    assert_eq!(poll(&chip, MDIC, 1 << 28).map(|value| value & 0x4000_ffff), Some(0x4000_ffff));
    let (_world, chip) = device(Chip::I350);
    lock(&chip, 2);
    chip.write(0x0e04, 5 << 21); // MDICNFG
    assert_eq!(mdic(&chip, 2, None), None);
}

#[test]
fn locks_are_asked_for() {
    let (world, device) = device(Chip::I350);
    device.write(MDIC, 0x0822_0000);
    device.write(MDIC, 0x0823_0000);
    world.advance(Duration::from_millis(1));
    device.write(EERD, 1);
    device.write(SYNC, 1);
    let names: Vec<_> = device.take_violations().iter().map(ToString::to_string).collect();
    let expected = [
        "PHY accessed without its bit in SW_FW_SYNC",
        "MDIC written while an access is under way",
        "PHY accessed without its bit in SW_FW_SYNC",
        "NVM accessed without its bit in SW_FW_SYNC",
        "SW_FW_SYNC written without SWSM.SWESMBI",
    ];
    assert_eq!(names, expected);
    assert_eq!((device.read(SWSM) & 1, device.read(SWSM) & 1), (0, 1), "the first read takes SMBI");
    device.write(SWSM, 0);
    assert_eq!(device.read(SWSM) & 1, 0);
    device.inject(Fault::SemaphoreHeld);
    device.write(SWSM, 0);
    assert_eq!(device.read(SWSM) & 1, 1);
    device.inject(Fault::FirmwareHoldsSync);
    assert_eq!(device.read(SYNC) >> 16, 0xffff);
}

#[test]
fn negotiation_finds_the_best_mode() {
    let world = World::new();
    let device = world.add(Chip::I210);
    let end = world.hold(&device);
    start(&device);
    let status = |device: &Device| device.read(STATUS) & 0xc3;
    assert_eq!(status(&device), 0, "not yet");
    wait_link(&device);
    assert_eq!(
        (status(&device), world.now().as_millis()),
        (0x83, 1200),
        "1000, up, full duplex, after 1.2 s"
    );
    lock(&device, 2);
    assert_eq!(mdic(&device, 1, None).map(|status| status & 0x24), Some(0x24), "BMSR with it");
    assert_eq!(mdic(&device, 5, None), Some(0x4541), "partner: 10, 100, pause");
    end.advertise(Abilities { gigabit: false, ..Abilities::default() });
    assert_eq!(status(&device), 0);
    wait_link(&device);
    assert_eq!(status(&device), 0x43);
    assert_eq!(mdic(&device, 1, None).map(|status| status & 4), Some(0), "it was down: latched");
    assert_eq!(mdic(&device, 1, None).map(|status| status & 4), Some(4));
    end.advertise(Abilities { gigabit: false, fast: false, silent: true, ..Abilities::default() });
    wait_link(&device);
    assert_eq!(status(&device), 0x02, "parallel detection: 10, half duplex");
    end.advertise(Abilities { slow: false, fast: false, silent: true, ..Abilities::default() });
    assert!(!device.wait_link(Duration::from_secs(10)), "a silent gigabit partner is not heard");
    end.advertise(Abilities::default());
    device.inject(Fault::LinkNeverUp);
    assert!(!device.wait_link(Duration::from_secs(10)));
    device.heal(Fault::LinkNeverUp);
    wait_link(&device);
    // Restart from our side; power down.
    mdic(&device, 0, Some(0x1340));
    assert_eq!(status(&device), 0);
    wait_link(&device);
    mdic(&device, 0, Some(0x1940));
    assert!(!end.up() && !device.wait_link(Duration::from_secs(5)));
}

#[test]
fn both_ends_of_a_cable_see_it_cut() {
    let world = World::new();
    let (a, b) = (world.add(Chip::I82575), world.add(Chip::I354));
    let wire = world.wire(&a, &b);
    start(&a);
    start(&b);
    wait_link(&a);
    assert!(wire.up() && b.link().is_some());
    a.read(0xc0);
    b.read(0xc0);
    wire.cut();
    assert_eq!((a.read(0xc0) & 4, b.read(0xc0) & 4, a.link(), b.link()), (4, 4, None, None), "LSC");
    wire.join();
    wait_link(&b);
    a.remove();
    assert_eq!((a.read(STATUS), a.config_read(0), b.link()), (u32::MAX, u32::MAX, None));
    a.insert();
    assert_eq!((a.config_read(4) & 7, a.read(STATUS)), (0, u32::MAX), "not enumerated yet");
    start(&a);
    wait_link(&b);
}

#[test]
fn a_reset_resets() {
    for chip in CHIPS {
        let world = World::new();
        let device = world.add(chip);
        let _end = world.hold(&device);
        start(&device);
        wait_link(&device);
        let ring = Ring::receive(&world, &device, 0, 64, SRRCTL_ONE_BUFFER | 2);
        device.write(0x5400, 0x1234_5678);
        device.write(CTRL, device.read(CTRL) | 1 << 26);
        assert_eq!(
            (device.read(EECD) >> 9 & 1, device.read(STATUS) >> 21 & 1),
            (0, 0),
            "{chip}: AUTO_RD, done"
        );
        assert!(poll(&device, EECD, 1 << 9).is_some());
        assert_eq!(device.read(CTRL) >> 26 & 1, 0, "RST clears itself");
        assert_eq!(device.read(0x0100) & 2, 0, "RCTL.EN");
        assert_eq!(device.read(ring.at + 0x28) & bench::ENABLE, 0, "RXDCTL.ENABLE");
        assert_eq!(device.read(0x5400), 2, "the address is back from the NVM");
        assert_eq!(device.read(STATUS) & 2, 0, "SLU is off");
        device.write(CTRL, device.read(CTRL) | 1 << 6);
        assert_eq!(device.read(STATUS) & 2, 2, "and the PHY kept its link");
    }
}

#[test]
fn resets_fail_as_told() {
    let (world, device) = device(Chip::I350);
    device.inject(Fault::ResetNeverDone);
    device.write(CTRL, 1 << 26);
    world.advance(Duration::from_secs(1));
    assert_eq!(device.read(CTRL) >> 26 & 1, 1);
    device.heal_all();
    device.inject(Fault::AutoReadNeverDone);
    device.write(CTRL, 1 << 26);
    assert_eq!(poll(&device, EECD, 1 << 9), None);
    device.heal_all();
    device.write(CTRL, device.read(CTRL) | 4);
    assert_eq!(device.read(STATUS) >> 19 & 1, 0, "GIO master disabled");
    device.inject(Fault::MasterStuck);
    assert_eq!(device.read(STATUS) >> 19 & 1, 1);
    device.write(CTRL, 1 << 29); // DEV_RST
    assert_eq!(device.read(STATUS) >> 20 & 1, 1);
    device.write(STATUS, 1 << 20);
    assert_eq!(device.read(STATUS) >> 20 & 1, 0);
}

#[test]
fn a_phy_reset_takes_its_time() {
    let (world, device) = device(Chip::I350);
    lock(&device, 2);
    let ctrl = device.read(CTRL);
    device.write(CTRL, ctrl | 1 << 31);
    assert_eq!(device.read(0x1010) >> 18 & 1, 0, "CFG_DONE");
    world.advance(Duration::from_micros(100));
    device.write(CTRL, ctrl);
    mdic(&device, 2, None);
    assert_eq!(device.take_violations(), [Violation::MdicAfterReset]);
    assert!(poll(&device, 0x1010, 1 << 18).is_some());
    assert!(mdic(&device, 2, None).is_some());
    assert_eq!(device.violations(), []);
}

#[test]
fn without_mastering_nothing_moves() {
    let world = World::new();
    let device = world.add(Chip::I350);
    let end = world.hold(&device);
    start(&device);
    wait_link(&device);
    let mut receiver = Ring::receive(&world, &device, 0, 64, SRRCTL_ONE_BUFFER | 2);
    let mut sender = Ring::transmit(&world, &device, 0, 64);
    let before = device.counters();
    device.config_write(4, 2);
    end.send(&frame([0xff; 6], 1, 60));
    sender.send(&device, &frame([0xff; 6], 2, 60));
    let after = device.counters();
    assert_eq!((after.dma_writes, after.dma_reads), (before.dma_writes, before.dma_reads));
    assert!(receiver.take().is_none() && end.recv().is_none());
    device.config_write(4, 6);
    device.write(sender.at + 0x18, sender.next);
    device.write(receiver.at + 0x18, 63);
    assert!(receiver.take().is_some() && end.recv().is_some());
    device.config_write(4, 0);
    assert_eq!(device.read(STATUS), u32::MAX, "memory decoding off");
}

#[test]
fn enable_takes_a_while_and_can_stick() {
    let (world, device) = device(Chip::I210);
    device.config_write(4, 6);
    device.write(0x2828, bench::ENABLE);
    assert_eq!(device.read(0x2828) & bench::ENABLE, 0);
    let names: Vec<_> = device.take_violations().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["RDLEN[0]=0x00000000 is not a length (128 bytes to 0x80000, by 128)"]);
    assert!(poll(&device, 0x2828, bench::ENABLE).is_some());
    device.inject(Fault::StuckDisable);
    device.write(0x2828, 0);
    world.advance(Duration::from_secs(1));
    assert_ne!(device.read(0x2828) & bench::ENABLE, 0);
    device.inject(Fault::StuckEnable);
    device.write(0x3828, bench::ENABLE);
    world.advance(Duration::from_secs(1));
    assert_eq!(device.read(0x3828) & bench::ENABLE, 0);
}

#[test]
fn the_platform_stops_and_starts_mastering() {
    let (_world, device) = device(Chip::I82576);
    let sim = device.platform();
    assert_eq!(device.config_read(0), 0x10c9_8086);
    assert!(sim.start_mastering());
    device.inject(Fault::MasterCannotStop);
    assert!(!sim.stop_mastering());
    device.heal_all();
    assert!(sim.stop_mastering());
    let (before, after) = (sim.clock().now(), sim.clock().now());
    assert!(after > before, "looking costs time");
    device.inject(Fault::ReadFailsAfter(2));
    assert_ne!(device.read(STATUS), u32::MAX);
    assert_ne!(device.read(STATUS), u32::MAX);
    assert_eq!(device.read(STATUS), u32::MAX);
    assert!(!device.is_present());
}

#[test]
fn a_function_level_reset_clears_configuration() {
    let (_world, device) = device(Chip::I350);
    device.config_write(4, 6);
    device.write(0x0100, 2);
    device.config_write(0xa8, device.config_read(0xa8) | 1 << 15);
    assert_eq!((device.config_read(4) & 7, device.config_read(0xa8) >> 15 & 1), (0, 0));
    device.config_write(4, 2);
    assert_eq!(device.read(0x0100) & 2, 0);
    // The size of BAR 0, as a host finds it.
    device.config_write(0x10, u32::MAX);
    assert_eq!(device.config_read(0x10), 0xfffe_0000);
}
