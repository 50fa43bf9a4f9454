//! Words, checksums, addresses.

mod device;
use device::*;
use igb_hal::{Chip, Error, MacAddress, WhyBad};

#[test]
fn a_wrong_checksum_names_its_region() {
    let regions = |chip: Chip| match chip {
        Chip::I350 | Chip::I354 => vec![0, 0x80, 0xC0, 0x100],
        Chip::I211 => vec![],
        _ => vec![0],
    };
    for chip in Chip::ALL.iter().copied() {
        for first in [0u16, 0x80, 0xC0, 0x100] {
            let (fake, mut time) = (Fake::new(chip), Time::default());
            fake.nvm.borrow_mut()[usize::from(first) + 9] ^= 0x0100;
            let result = mac(&fake).nvm().verify(&mut time);
            if regions(chip).contains(&first) {
                assert!(
                    matches!(result, Err(Error::NvmChecksum { first: at, .. }) if at == first),
                    "{chip}: {result:?}"
                );
            } else {
                assert_eq!(result, Ok(()), "{chip} {first:#x}");
            }
        }
    }
}

#[test]
fn an_82580_may_have_a_checksum_for_each_port() {
    let (fake, mut time) = (Fake::new(Chip::I82580), Time::default());
    fake.nvm.borrow_mut()[3] = 0x8000;
    fake.seal();
    assert_eq!(mac(&fake).nvm().verify(&mut time), Ok(()));
    fake.nvm.borrow_mut()[0x13F] ^= 1;
    let error = mac(&fake).nvm().verify(&mut time).unwrap_err();
    assert!(
        error.to_string().starts_with("the NVM's checksum is wrong: words 0x100 to 0x13f sum up to 0xbab"),
        "{error}"
    );
}

#[test]
fn words_beyond_the_end() {
    let (fake, mut time) = (Fake::new(Chip::I82576), Time::default());
    let mac = mac(&fake);
    assert_eq!(mac.nvm().words(), 1024);
    assert_eq!(mac.nvm().read(1024, &mut time), Err(Error::NvmRange { word: 1024, words: 1024 }));
    let mut words = [0; 3];
    assert!(mac.nvm().read_into(1022, &mut words, &mut time).is_err());
    assert!(mac.nvm().read_into(u16::MAX, &mut words, &mut time).is_err());
    assert_eq!(mac.nvm().read_into(u16::MAX, &mut [], &mut time), Ok(()));
    fake.set(EECD, 0);
    assert_eq!(mac.nvm().verify(&mut time), Err(Error::NvmAbsent));
}

#[test]
fn words_of_a_flashless_chip_are_records() {
    let (fake, mut time) = (Fake::new(Chip::I211), Time::default());
    let record = |word: u32, data: u32| 1 | word << 9 | data << 16;
    let dwords = [
        record(0, 0xA000),
        2,                 // a CSR with
        record(5, 0x2222), // its value
        4,                 // a key
        record(5, 0x3333),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        7, // taken back
        record(5, 0x4444),
        record(5, 0x6666), // the first counts
        0,
        record(3, 0x5555), // after the end
    ];
    for (index, dword) in (0..).zip(dwords) {
        fake.set(0x1_2120 + 4 * index, dword);
    }
    let mac = mac(&fake);
    let mut words = [0; 6];
    mac.nvm().read_into(0, &mut words, &mut time).expect("works");
    assert_eq!(words, [0xA000, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0x4444]);
    assert_eq!(mac.nvm().read(0x0F, &mut time), Ok(0x7243), "a default that drivers know");
    assert_eq!(mac.nvm().verify(&mut time), Ok(()), "no checksum");
    assert!(!mac.nvm().is_present());
}

#[test]
fn the_address_is_checked() {
    let (fake, mut time) = (Fake::new(Chip::I210), Time::default());
    let mac = mac(&fake);
    fake.set(RAL0, 0x0000_0001);
    let error = mac.read_address(&mut time).unwrap_err();
    assert!(matches!(error, Error::BadAddress { why: WhyBad::Multicast, .. }));
    assert_eq!(error.to_string(), "01:00:00:00:00:00 cannot be a station's address: it is a group's address");
    fake.set(RAL0, 0);
    fake.set(RAL0 + 4, 0);
    fake.nvm.borrow_mut()[..3].fill(0);
    assert!(matches!(mac.read_address(&mut time), Err(Error::BadAddress { why: WhyBad::Zero, .. })));
}

#[test]
fn an_empty_filter_sends_us_to_the_words_of_this_port() {
    for (chip, last) in [(Chip::I82576, 1), (Chip::I350, 1)] {
        let (fake, mut time) = (Fake::new(chip), Time::default());
        let mac = mac(&fake);
        fake.set(STATUS, 1 << 2);
        fake.set(RAL0, 0);
        fake.set(RAL0 + 4, 0);
        assert_eq!(mac.read_address(&mut time), Ok(MacAddress([0x00, 0xA0, 0xC9, 0, 0, last])), "{chip}");
    }
}

#[test]
fn an_alternate_address_comes_first_on_the_early_chips() {
    for (chip, taken) in [(Chip::I82575, true), (Chip::I82576, true), (Chip::I350, false)] {
        let (fake, mut time) = (Fake::new(chip), Time::default());
        fake.nvm.borrow_mut()[0x37] = 0x200;
        fake.nvm.borrow_mut()[0x200..0x206]
            .copy_from_slice(&[0x0002, 0x0000, 0x0700, 0x0002, 0x0000, 0x0800]);
        let mac = mac(&fake);
        assert_eq!(
            mac.read_address(&mut time).map(|address| address.0[5]),
            Ok(if taken { 7 } else { 0 }),
            "{chip}"
        );
        fake.set(STATUS, 1 << 2);
        assert_eq!(
            mac.read_address(&mut time).map(|address| address.0[5]),
            Ok(if taken { 8 } else { 0 }),
            "{chip}"
        );
        fake.nvm.borrow_mut()[0x203] = 0x0001; // a group's
        assert_eq!(mac.read_address(&mut time).map(|address| address.0[5]), Ok(0), "{chip}");
        fake.nvm.borrow_mut()[0x37] = 0xFFFE; // nowhere
        assert_eq!(mac.read_address(&mut time).map(|address| address.0[5]), Ok(0), "{chip}");
    }
}

#[test]
fn firmware_has_a_name() {
    let (fake, mut time) = (Fake::new(Chip::I82576), Time::default());
    let name = |fake: &Fake, time: &mut Time| mac(fake).firmware(time).expect("works").to_string();
    fake.nvm.borrow_mut()[0x43] = 0x8000;
    assert_eq!(name(&fake, &mut time), "NVM image 3.25");
    fake.nvm.borrow_mut()[0x43] = 0xFFFF;
    assert_eq!(name(&fake, &mut time), "NVM image 3.2.5", "without an image ID");
    fake.set(0x5B54, 1 << 15 | 2 << 1);
    assert_eq!(name(&fake, &mut time), "NVM image 3.2.5, firmware mode 2");
    fake.nvm.borrow_mut()[5] = 0xFFFF;
    assert_eq!(name(&fake, &mut time), "NVM image unversioned, firmware mode 2");
    assert_eq!(name(&Fake::new(Chip::I350), &mut time), "NVM image 3.25");
}
