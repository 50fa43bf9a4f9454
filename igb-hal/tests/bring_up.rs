//! From a reset to a link, on every chip.

mod device;
use device::*;
use igb_hal::{Chip, Duplex, Error, FlowControl, LinkConfig, MAX_FRAME, MacAddress, MacConfig, Speed};

const ADDRESS: MacAddress = MacAddress([0x00, 0xA0, 0xC9, 0x00, 0x00, 0x00]);

fn config() -> MacConfig {
    MacConfig::new(ADDRESS)
}

#[test]
fn every_chip_comes_up() {
    for chip in Chip::ALL.iter().copied() {
        let (fake, mut time) = (Fake::new(chip), Time::default());
        let mac = mac(&fake);
        mac.reset(&mut time).expect("reset");
        mac.nvm().verify(&mut time).expect("checksum");
        assert_eq!(mac.read_address(&mut time), Ok(ADDRESS), "{chip}");
        mac.init(&config(), &mut time).expect("init");
        mac.open_phy(&mut time).expect("PHY");
        assert!(!mac.link(&mut time).expect("link").up, "SLU is not set yet");
        mac.setup_link(&LinkConfig::default(), &mut time).expect("link set up");
        let link = mac.link(&mut time).expect("link");
        assert_eq!((link.up, link.speed, link.duplex), (true, Speed::M1000, Duplex::Full), "{chip}");
        assert_eq!(link.flow, FlowControl::Full, "{chip}");
        assert_eq!(fake.get(CTRL) >> 27 & 3, 3, "{chip}: CTRL.RFCE and TFCE");
        assert_eq!(
            (fake.get(RLPML), fake.get(RCTL) & 2),
            (1522, 0),
            "{chip}: long frames cut, receive still off"
        );
        assert_eq!(fake.get(SW_FW_SYNC), 0, "{chip}: no lock is left");
        assert!(time.ms() < 100, "{chip}: {} ms", time.ms());
        mac.shutdown(&mut time).expect("quiet");
        assert_eq!(fake.get(CTRL) & 0x40, 0, "{chip}: SLU is off");
    }
}

#[test]
fn pause_thresholds_are_the_drivers() {
    let cases = [
        (Chip::I82576, 0xD400, 0x8000_D3F0),
        (Chip::I350, 0x6400, 0x8000_63F0),
        (Chip::I82580, 0x6400, 0x8000_63F0),
        (Chip::I210, 0x5C00, 0x8000_5BF0),
        (Chip::I82575, 0x5C00, 0x8000_5BF0),
    ];
    for (chip, high, low) in cases {
        let (fake, mut time) = (Fake::new(chip), Time::default());
        let mac = mac(&fake);
        mac.init(&config(), &mut time).expect("init");
        assert_eq!((fake.get(FCRTH), fake.get(FCRTL)), (high, low), "{chip}");
        let mut quiet = config();
        quiet.flow_control = FlowControl::Rx;
        mac.init(&quiet, &mut time).expect("init");
        assert_eq!((fake.get(FCRTH), fake.get(FCRTL)), (0, 0), "{chip}: no pause frames of ours");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let (fake, mut time) = (Fake::new(Chip::I82576), Time::default());
    let mac = mac(&fake);
    for address in [MacAddress([1, 0, 0, 0, 0, 1]), MacAddress([0; 6])] {
        assert!(matches!(mac.init(&MacConfig::new(address), &mut time), Err(Error::BadAddress { .. })));
    }
    for bytes in [0, 59, MAX_FRAME + 1, u16::MAX] {
        let mut long = config();
        long.max_frame = bytes;
        assert_eq!(mac.init(&long, &mut time), Err(Error::FrameLength { bytes }));
        assert_eq!(mac.set_max_frame(bytes), Err(Error::FrameLength { bytes }));
    }
    assert!(fake.log.borrow().is_empty());
}

#[test]
fn speed_is_forced_in_mac_and_phy() {
    let (fake, mut time) = (Fake::new(Chip::I82576), Time::default());
    let mac = mac(&fake);
    mac.reset(&mut time).expect("reset");
    let force = LinkConfig { force: Some((Speed::M100, Duplex::Full)), ..LinkConfig::default() };
    mac.setup_link(&force, &mut time).expect("forced");
    assert_eq!(fake.get(CTRL) & 0x1B41, 0x1941, "FRCDPX, FRCSPD, 100 Mb/s, SLU, FD");
    assert_eq!(fake.phy.borrow()[0], 0x2100);
    mac.setup_link(&LinkConfig::default(), &mut time).expect("negotiated again");
    assert_eq!(fake.get(CTRL) & 0x1800, 0);
    assert_eq!(fake.phy.borrow()[0] & 0x1000, 0x1000);
}

#[test]
fn firmware_that_forbids_it_is_obeyed() {
    let (fake, mut time) = (Fake::new(Chip::I82576), Time::default());
    let mac = mac(&fake);
    fake.set(0x5820, 1 << 18);
    fake.phy.borrow_mut()[0] = 0x3140;
    mac.open_phy(&mut time).expect("found");
    mac.setup_link(&LinkConfig::default(), &mut time).expect("the MAC alone");
    assert_eq!(fake.phy.borrow()[0], 0x3140, "the PHY is as it was");
    assert!(fake.written(CTRL).iter().all(|value| value >> 31 == 0), "no PHY reset");
    assert_eq!(fake.get(CTRL) & 0x40, 0x40);
}

#[test]
fn ports_without_an_mdio_phy() {
    let (fake, mut time) = (Fake::new(Chip::I350), Time::default());
    let mac = mac(&fake);
    fake.set(CTRL_EXT, 2 << 22);
    let refused = mac.setup_link(&LinkConfig::default(), &mut time).unwrap_err();
    assert_eq!(refused.to_string(), "sgmii ports are not driven: its PHY is a module's, on I2C");
    assert!(matches!(mac.open_phy(&mut time), Err(Error::UnsupportedMedia { .. })));

    fake.set(CTRL_EXT, 3 << 22);
    mac.setup_link(&LinkConfig::default(), &mut time).expect("SerDes");
    assert_eq!(fake.get(0x4208) & 0x3_000C, 0x3_000C, "autonegotiation restarted, 1000 Mb/s full duplex");
    assert_eq!(fake.get(0x4218), 0x180, "both pause bits");
    assert!(!mac.link(&mut time).expect("works").up);
    fake.set(0x420C, 0x1_001D);
    fake.set(0x421C, 0x100);
    let link = mac.link(&mut time).expect("works");
    assert_eq!((link.up, link.speed, link.flow), (true, Speed::M1000, FlowControl::Rx));
}

#[test]
fn a_board_without_an_eeprom_gets_its_analog_values() {
    let (fake, mut time) = (Fake::new(Chip::I82575), Time::default());
    fake.set(EECD, 0x200);
    fake.set(0x24, 1 << 31);
    // Nothing sets the ready bit, so the first of them is waited for in vain, and not for ever.
    let late = mac(&fake).reset(&mut time).unwrap_err();
    assert_eq!(late.to_string(), "SCTL.READY did not set within 3200 us (SCTL=0x0000000c)");
}
