//! Addresses, groups, VLANs, RSS.

mod device;
use device::*;
use igb_hal::{Chip, Error, MacAddress, RssConfig};

#[test]
fn addresses_go_where_the_chip_keeps_them() {
    let address = MacAddress([2, 3, 4, 5, 6, 7]);
    let cases = [
        (Chip::I82575, 15, 0x5478, 0x8000_0706),
        (Chip::I82576, 1, 0x5408, 0x8004_0706),
        (Chip::I82576, 23, 0x5518, 0x8004_0706),
        (Chip::I350, 31, 0x5558, 0x8004_0706),
        (Chip::I210, 15, 0x5478, 0x8000_0706),
    ];
    for (chip, slot, low, high) in cases {
        let fake = Fake::new(chip);
        let mac = mac(&fake);
        mac.set_unicast(slot, Some(address)).expect("fits");
        assert_eq!((fake.get(low), fake.get(low + 4)), (0x0504_0302, high), "{chip} {slot}");
        mac.set_unicast(slot, None).expect("fits");
        assert_eq!((fake.get(low), fake.get(low + 4)), (0, 0));
        let has = chip.rar_entries();
        assert_eq!(mac.set_unicast(has, None), Err(Error::FilterSlot { slot: has, has }));
        assert!(matches!(mac.set_address(MacAddress::BROADCAST), Err(Error::BadAddress { .. })));
    }
}

#[test]
fn groups_by_hash() {
    // 01:00:5e:00:00:01: bits 47:36 are 0x010, so bit 16 of register 0.
    let groups = [MacAddress([1, 0, 0x5E, 0, 0, 1]), MacAddress([0x33, 0x33, 0, 0, 0xF0, 0xFF])];
    for chip in Chip::ALL.iter().copied() {
        let fake = Fake::new(chip);
        mac(&fake).set_multicast(&groups);
        assert_eq!((fake.get(0x5200), fake.get(0x5200 + 4 * 127)), (1 << 16, 1 << 31), "{chip}");
        mac(&fake).set_multicast(&[]);
        assert!((0x5200..0x5400).step_by(4).all(|offset| fake.get(offset) == 0), "{chip}");
    }
}

#[test]
fn a_lost_write_is_repeated_on_i210() {
    let fake = Fake::new(Chip::I210);
    fake.fault.set(Some(Fault::MtaLosesFirst));
    mac(&fake).set_multicast(&[MacAddress([1, 0, 0x5E, 0, 0, 1])]);
    assert_eq!(fake.get(0x5200), 1 << 16);
}

#[test]
fn modes_of_reception_do_not_forget_each_other() {
    let fake = Fake::new(Chip::I82576);
    let mac = mac(&fake);
    let rctl = || fake.get(RCTL) & 0x4_8018; // VFE, BAM, MPE, UPE
    mac.set_broadcast(true);
    mac.set_vlan_filter(true);
    mac.set_all_multicast(true);
    assert_eq!(rctl(), 0x4_8010);
    mac.set_promiscuous(true);
    assert_eq!(rctl(), 0x0_8018, "everything, so no VLAN filter");
    mac.set_all_multicast(false);
    mac.set_broadcast(false);
    assert_eq!(rctl(), 0x0_0018);
    mac.set_promiscuous(false);
    assert_eq!(rctl(), 0x4_0000, "the VLAN filter is back");
}

#[test]
fn vlans() {
    for (chip, times) in [(Chip::I82576, 1), (Chip::I350, 10), (Chip::I354, 10), (Chip::I210, 1)] {
        let fake = Fake::new(chip);
        let mac = mac(&fake);
        mac.set_vlan(100, true);
        mac.set_vlan(101, true);
        mac.set_vlan(100, false);
        assert_eq!(fake.get(VFTA + 4 * 3), 1 << 5);
        assert_eq!(fake.written(VFTA + 4 * 3).len(), 3 * times, "{chip}");
        mac.set_vlan(4095, true);
        assert_eq!(fake.get(VFTA + 4 * 127), 1 << 31);
        let before = fake.log.borrow().len();
        mac.set_vlan(4096, true);
        mac.set_vlan(u16::MAX, true);
        assert_eq!(fake.log.borrow().len(), before, "no such VLAN");
    }
}

#[test]
fn vlan_tags_are_stripped() {
    for (chip, offset) in [(Chip::I82576, Some(0x5AD0)), (Chip::I350, Some(0xC1F8)), (Chip::I210, None)] {
        let fake = Fake::new(chip);
        mac(&fake).set_vlan_strip(true);
        assert_eq!(fake.get(CTRL) >> 30 & 1, 1, "{chip}");
        if let Some(offset) = offset {
            assert_eq!(fake.get(offset), 1 << 30, "{chip}");
        }
        mac(&fake).set_vlan_strip(false);
        assert_eq!(fake.get(CTRL) >> 30 & 1, 0, "{chip}");
    }
}

#[test]
fn rss_table_and_key() {
    for (chip, first) in [(Chip::I82576, 0x0302_0100), (Chip::I210, 0x0302_0100), (Chip::I82575, 0xC080_4000)]
    {
        let fake = Fake::new(chip);
        mac(&fake).set_rss(&RssConfig::spread(4));
        assert_eq!(fake.get(0x5C00), first, "{chip}");
        assert_eq!(fake.get(0x5C7C), first, "{chip}");
        assert_eq!(fake.get(0x5C80), 0xDA56_5A6D, "{chip}: the key's first bytes");
        assert_eq!(fake.get(0x5CA4), 0xFA01_ACBE, "{chip}: its last");
        assert_eq!(fake.log.borrow().last(), Some(&(0x5818, 0x0037_0002)), "{chip}: MRQC comes last");
        assert_eq!(fake.get(0x5000) >> 13 & 1, 1);
    }
}
