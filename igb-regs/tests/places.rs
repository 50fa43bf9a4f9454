//! Handles and tables say the same of where registers are, and what facts of the chips say of shared offsets is so.

use igb_regs::Chip::{I210, I211, I350, I354, I82575, I82576, I82580};
use igb_regs::meta::{Access, REGISTERS, by_name, lookup};
use igb_regs::{Bus, Chip, Regs};

struct Nothing;

impl Bus for Nothing {
    fn read32(&self, _: u32) -> u32 {
        0
    }
    fn write32(&self, _: u32, _: u32) {}
}

/// Where the tables have element `index` of a register.
fn told(chip: Chip, name: &str, index: u16) -> Option<u32> {
    by_name(name).unwrap_or_else(|| panic!("{name}?")).place(chip)?.offset_of(index)
}

/// Compares handles with the tables on every chip. `every` are registers of all chips, `some` of some; `[]` arrays.
macro_rules! agree {
    (every: $($every:ident)*; some: $($some:ident)*; every[]: $($array:ident $try:ident)*; some[]: $($part:ident)*;) => {
        for chip in Chip::ALL.iter().copied() {
            let regs = Regs::new(Nothing, chip);
            $(assert_eq!(Some(regs.$every().offset()), told(chip, stringify!($every), 0), "{chip} {}", stringify!($every));)*
            $(assert_eq!(regs.$some().map(|r| r.offset()), told(chip, stringify!($some), 0), "{chip} {}", stringify!($some));)*
            for index in 0..260 {
                $(assert_eq!(
                    regs.$try(index).map(|r| r.offset()),
                    told(chip, stringify!($array), index as u16),
                    "{chip} {}[{index}]", stringify!($array)
                );
                if let Some(register) = regs.$try(index) {
                    assert_eq!(regs.$array(index).offset(), register.offset());
                })*
                $(assert_eq!(
                    regs.$part(index).map(|r| r.offset()),
                    told(chip, stringify!($part), index as u16),
                    "{chip} {}[{index}]", stringify!($part)
                );)*
            }
        }
    };
}

#[test]
fn handles_and_tables_agree() {
    agree! {
        every: ctrl status ctrl_ext eecd eerd mdic icr ics ims imc rctl tctl tipg fcal fcah fct fcttv fcrtl fcrth
            vet ledctl swsm fwsm sw_fw_sync eemngctl gcr wuc wufc wus manc rxcsum rlpml rfctl mrqc gprc gptc mpc;
        some: mphy_addr_ctrl sctl mdicnfg eewr srwr i2cparams rxpbs txpbs swpbs dtxswc txswc tqavctrl phpm eeer ipcnfg dmacr fcrtc
            pba tsicr tsauxc systimr gpie vt_ctl vfre vfte cbrmpc htcbdpc ccmctl pphy_ctrl iovtcl;
        every[]: mta try_mta vfta try_vfta ral try_ral rah try_rah rdbal try_rdbal rdbah try_rdbah rdlen try_rdlen rdh try_rdh rdt try_rdt
            rxdctl try_rxdctl srrctl try_srrctl tdbal try_tdbal tdbah try_tdbah tdlen try_tdlen tdh try_tdh tdt try_tdt
            txdctl try_txdctl eitr try_eitr psrtype try_psrtype reta try_reta rssrk try_rssrk;
        some[]: ivar msixbm uta vmolr dvmolr vlvf vmbmem p2vmailbox ftqf ttqf tqavcc etqf rqdpc ffmt fhft;
    }
}

#[test]
fn every_element_is_found_at_its_offset_and_at_its_aliases() {
    for chip in Chip::ALL.iter().copied() {
        for register in REGISTERS {
            let Some(place) = register.place(chip) else { continue };
            for index in 0..place.count() {
                let offset =
                    place.offset_of(index).unwrap_or_else(|| panic!("{chip} {}[{index}]", register.name));
                let (found, at) = lookup(chip, offset).unwrap();
                assert_eq!((found.name, at), (register.name, index), "{chip} {offset:#x}");
            }
            for alias in place.aliases {
                for step in 0..u32::from(alias.count) {
                    let offset = alias.offset + step * alias.stride;
                    let (found, at) = lookup(chip, offset).unwrap();
                    assert_eq!(
                        (found.name, u32::from(at)),
                        (register.name, u32::from(alias.first) + step),
                        "{chip} {offset:#x}"
                    );
                }
            }
        }
    }
}

/// Trap 1: the old range for the first four queues, the new one from the fifth on, is right on every chip; all but
/// the 82575 answer at the new range for the first four too.
#[test]
fn queue_registers_come_in_two_pieces() {
    for chip in Chip::ALL.iter().copied() {
        let regs = Regs::new(Nothing, chip);
        for queue in 0..chip.rx_queues() {
            let base = if queue < 4 { 0x2800 + 0x100 * queue as u32 } else { 0xC000 + 0x40 * queue as u32 };
            let registers = [
                regs.rdbal(queue).offset(),
                regs.rdh(queue).offset(),
                regs.rdt(queue).offset(),
                regs.rxdctl(queue).offset(),
            ];
            assert_eq!(registers, [base, base + 0x10, base + 0x18, base + 0x28], "{chip}");
            let new =
                lookup(chip, 0xC018 + 0x40 * queue as u32).map(|(register, index)| (register.name, index));
            assert_eq!(new, (chip != I82575).then_some(("RDT", queue as u16)), "{chip}");
        }
        for queue in 0..chip.tx_queues() {
            let base = if queue < 4 { 0x3800 + 0x100 * queue as u32 } else { 0xE000 + 0x40 * queue as u32 };
            let registers = [
                regs.tdbal(queue).offset(),
                regs.tdh(queue).offset(),
                regs.tdt(queue).offset(),
                regs.txdctl(queue).offset(),
            ];
            assert_eq!(registers, [base, base + 0x10, base + 0x18, base + 0x28], "{chip}");
            let new =
                lookup(chip, 0xE028 + 0x40 * queue as u32).map(|(register, index)| (register.name, index));
            assert_eq!(new, (chip != I82575).then_some(("TXDCTL", queue as u16)), "{chip}");
        }
    }
}

/// The same offset, another register: who has what, chip by chip, oldest first.
#[test]
fn shared_offsets_name_the_register_of_the_chip() {
    const SHARED: &[(u32, [&str; 7])] = &[
        (0x0024, ["SCTL", "SCTL", "SCTL", "SCTL", "MPHY_ADDR_CTRL", "SCTL", ""]),
        (0x0034, ["CONNSW", "CONNSW", "CONNSW", "CONNSW", "CONNSW", "CONNSW", "CONNSW"]),
        (0x102C, ["EEWR", "", "I2CPARAMS", "I2CPARAMS", "I2CPARAMS", "I2CPARAMS", "I2CPARAMS"]),
        (0x1010, ["EEMNGCTL", "EEMNGCTL", "EEMNGCTL", "EEMNGCTL", "EEMNGCTL", "", ""]),
        (0x12030, ["", "", "", "", "", "EEMNGCTL", "EEMNGCTL"]),
        (0x12018, ["", "", "", "", "", "SRWR", "SRWR"]),
        (0x2170, ["", "", "", "FCRTC", "FCRTC", "FCRTC", "FCRTC"]),
        (0x3004, ["", "SWPBS", "SWPBS", "", "", "TQAVCC", ""]),
        (0x403C, ["HTDPMC", "HTDPMC", "HTDPMC", "HTDPMC", "HTDPMC", "HTDPMC", "HTDPMC"]),
        (0x40FC, ["CBRMPC", "CBRMPC", "CBRMPC", "CBRMPC", "CBRMPC", "", ""]),
        (0x4124, ["HTCBDPC", "HTCBDPC", "HTCBDPC", "HTCBDPC", "HTCBDPC", "", ""]),
        (0x59E0, ["", "FTQF", "TTQF", "TTQF", "TTQF", "TTQF", "TTQF"]),
        (0x5B48, ["CCMCTL", "", "PPHY_CTRL", "PPHY_CTRL", "PPHY_CTRL", "PPHY_CTRL", "PPHY_CTRL"]),
        (0x4104, ["RPTHC", "RPTHC", "RPTHC", "RPTHC", "RPTHC", "RPTHC", "RPTHC"]),
        (0x4118, ["HGPTC", "HGPTC", "HGPTC", "HGPTC", "HGPTC", "HGPTC", "HGPTC"]),
        (0x5B58, ["", "", "", "", "", "", ""]),
        (0x5BBC, ["", "IOVTCL", "", "IOVTCL", "", "", ""]),
        (0x5BFC, ["", "", "", "BARCTRL", "BARCTRL", "BARCTRL", "BARCTRL"]),
        (0xB000, ["", "LSECTXCAP", "", "", "", "", ""]),
        (0x9000, ["FFMT", "FHFT", "FHFT", "FHFT", "FHFT", "FHFT", "FHFT"]),
        (0x1600, ["MSIXBM", "", "", "", "", "", ""]),
        (0x1700, ["", "IVAR", "IVAR", "IVAR", "IVAR", "IVAR", "IVAR"]),
    ];
    for (offset, names) in SHARED {
        for (chip, name) in Chip::ALL.iter().zip(names) {
            let found = lookup(*chip, *offset).map_or("", |(register, _)| register.name);
            assert_eq!(found, *name, "{chip} {offset:#x}");
        }
    }
}

/// Trap 2: the receive addresses are in two rows, with PSRTYPE between them.
#[test]
fn receive_addresses_are_in_two_rows() {
    let regs = Regs::new(Nothing, I350);
    let offsets = [15, 16, 31].map(|entry| (regs.ral(entry).offset(), regs.rah(entry).offset()));
    assert_eq!(offsets, [(0x5478, 0x547C), (0x54E0, 0x54E4), (0x5558, 0x555C)]);
    assert_eq!(regs.psrtype(0).offset(), 0x5480);
    assert!(Regs::new(Nothing, I210).try_ral(16).is_none());
}

/// Traps 3, 4, 7, 10: one bit, another meaning. A field that a chip has not is not in its table.
#[test]
fn fields_belong_to_chips() {
    let has = |chip: Chip, register: &str, field: &str| {
        by_name(register).unwrap().fields(chip).any(|one| one.name == field)
    };
    for chip in Chip::ALL.iter().copied() {
        assert_eq!(has(chip, "RAH", "POOL"), [I82576, I82580, I350, I354].contains(&chip), "{chip}");
        assert_eq!(has(chip, "RAH", "QSEL"), [I82575, I210, I211].contains(&chip), "{chip}");
        assert_eq!(has(chip, "EITR", "CNT_IGNR"), chip != I82575, "{chip}");
        assert_eq!(has(chip, "RXPBS", "INDEX"), [I82580, I350, I354].contains(&chip), "{chip}");
        assert_eq!(has(chip, "CTRL", "DEV_RST"), ![I82575, I82576].contains(&chip), "{chip}");
        assert_eq!(has(chip, "SRRCTL", "TIMESTAMP"), ![I82575, I82576].contains(&chip), "{chip}");
    }
    let counts = |name: &str| {
        Chip::ALL
            .iter()
            .map(|chip| by_name(name).unwrap().place(*chip).map_or(0, igb_regs::meta::Place::count))
            .collect::<Vec<_>>()
    };
    assert_eq!(counts("IVAR")[1], 8);
    assert_eq!(counts("IVAR")[3], 4);
    assert_eq!(counts("IVAR")[5], 2);
}

/// Trap 11: what clears on read is no register that a dump may read.
#[test]
fn reading_has_no_silent_effects() {
    for name in ["GPRC", "MPC", "ICR", "TSICR", "WVBR", "RQDPC", "EICR", "TORL", "SWSM", "VFLRE"] {
        let register = by_name(name).unwrap();
        for chip in Chip::ALL.iter().copied().filter(|chip| register.place(*chip).is_some()) {
            assert_eq!(register.is_read_safe(chip), name == "VFLRE", "{name} on the {chip}");
        }
    }
    assert!(by_name("STATUS").unwrap().is_read_safe(I211));
}

/// The pause address is fixed on the last two chips; others let one write it.
#[test]
fn access_may_be_narrower_on_a_chip() {
    let register = by_name("FCAL").unwrap();
    assert_eq!((register.access(I82576), register.access(I210)), (Access::ReadWrite, Access::ReadOnly));
    assert_eq!(
        (register.mask(I82576, Access::ReadWrite), register.mask(I210, Access::ReadWrite)),
        (u32::MAX, 0)
    );
}

/// A chip that is known gives the same offsets as one that is looked up.
#[test]
fn known_chips_and_looked_up_ones_agree() {
    use igb_regs::chip;
    let (known, looked_up) = (chip::i210::Regs::new(Nothing), Regs::new(Nothing, I210));
    assert_eq!(known.chip(), I210);
    assert_eq!(known.eemngctl().offset(), looked_up.eemngctl().offset());
    assert_eq!(Some(known.tqavctrl().offset()), looked_up.tqavctrl().map(|register| register.offset()));
    assert_eq!(Some(known.tqavcc_at::<1>().offset()), looked_up.tqavcc(1).map(|register| register.offset()));
    for queue in 0..I210.rx_queues() {
        assert_eq!(known.rxdctl(queue).offset(), looked_up.rxdctl(queue).offset());
    }
    assert_eq!(chip::i82576::Regs::new(Nothing).rdt(15).offset(), 0xC3D8);
}

/// A virtual function's page: its own offsets, and queues by chip.
#[test]
fn a_virtual_function_has_a_page_of_its_own() {
    use igb_regs::meta::{VF_REGISTERS, vf_lookup};
    use igb_regs::vf;
    let regs = vf::Regs::new(Nothing, vf::Chip::I82576);
    assert_eq!(
        (regs.v2pmailbox().offset(), regs.vtivar().offset(), regs.rdt(1).offset()),
        (0xC40, 0x1700, 0x2918)
    );
    assert!(vf::Regs::new(Nothing, vf::Chip::I350).try_rdt(1).is_none());
    let name = |chip, offset| vf_lookup(chip, offset).map(|(register, index)| (register.name, index));
    assert_eq!(name(vf::Chip::I350, 0xF3C), Some(("VFMPRC", 0)));
    assert_eq!(name(vf::Chip::I82576, 0x083C), Some(("VMBMEM", 15)));
    // What the physical function sees of a counter lies 0xF100 higher in function 0's page.
    for (theirs, ours) in [("VFGPRC", "PVFGPRC"), ("VFMPRC", "PVFMPRC"), ("VFGOTLBC", "PVFGOTLBC")] {
        let function = VF_REGISTERS.iter().find(|register| register.name == theirs).unwrap();
        let function = function.place(vf::Chip::I82576).and_then(|place| place.offset_of(0));
        assert_eq!(function.map(|offset| offset + 0xF100), told(I82576, ours, 0), "{theirs}");
    }
    let mailbox = VF_REGISTERS.iter().find(|register| register.name == "V2PMAILBOX").unwrap();
    assert!(!mailbox.is_read_safe(vf::Chip::I350));
}

/// Words are found by our name and by the datasheet's.
#[test]
fn words_are_found_by_name() {
    use igb_regs::meta::{WORDS, word_by_name};
    assert_eq!(
        word_by_name("nvmchecksum").map(|word| (word.folder, word.address)),
        Some(("nvm", Some(0x3F)))
    );
    assert_eq!(word_by_name("MSIXTVCTRL").map(|word| word.name), Some("MsixVector"));
    let sph = word_by_name("RxInfo").unwrap().fields.iter().find(|field| field.name == "rss_hash").unwrap();
    assert_eq!((sph.mask(), sph.read(0x1234_5678_0000_0000)), (0xFFFF_FFFF_0000_0000, 0x1234_5678));
    for word in WORDS {
        let mask = word.fields.iter().fold(0, |mask, field| mask | field.mask());
        assert_eq!(mask & !(u64::MAX >> (64 - u32::from(word.bits))), 0, "{}", word.name);
    }
}
