//! The traps of the family, each a test: what one chip's registers mean that another's do not. 1 and 2, the places of
//! queue registers and of receive addresses, are in `places.rs`, with the offsets that registers share.

use igb_regs::Chip::{self, I210, I211, I350, I354, I82575, I82576, I82580};
use igb_regs::meta::{Access, Member, by_name};
use igb_regs::{Bus, Decoded, EICS, Regs, STATUS};
use std::cell::RefCell;

const ALL: &[Chip] = &[I82575, I82576, I82580, I350, I354, I210, I211];
const SINCE_82576: &[Chip] = &[I82576, I82580, I350, I354, I210, I211];
const SINCE_82580: &[Chip] = &[I82580, I350, I354, I210, I211];
const INDEXED: &[Chip] = &[I82580, I350, I354];
const VMDQ: &[Chip] = &[I82576, I82580, I350, I354];
const I21X: &[Chip] = &[I210, I211];

/// The field has these bits on these chips and is on no other.
#[track_caller]
fn field(register: &str, name: &str, high: u8, low: u8, chips: &[Chip]) {
    let info = by_name(register).unwrap_or_else(|| panic!("{register}?"));
    for chip in Chip::ALL {
        let found = info.fields(*chip).find(|field| field.name == name);
        let bits = found.map(|field| (field.shift + field.width - 1, field.shift));
        assert_eq!(bits, chips.contains(chip).then_some((high, low)), "{register}.{name} on the {chip}");
    }
}

/// The chips that have a register.
fn on(register: &str) -> Vec<Chip> {
    let info = by_name(register).unwrap_or_else(|| panic!("{register}?"));
    Chip::ALL.iter().copied().filter(|chip| info.place(*chip).is_some()).collect()
}

fn value(register: &str, field: &str, name: &str) -> Option<u32> {
    let info = by_name(register)?;
    let field = info.fields.iter().find(|one| one.name == field)?;
    field.values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn access(register: &str, name: &str, chip: impl Member) -> Access {
    by_name(register).unwrap().fields(chip).find(|field| field.name == name).unwrap().access
}

#[test]
fn trap_3_the_pool_of_an_address_is_a_number_or_a_mask() {
    field("RAH", "QSEL", 19, 18, &[I82575, I210, I211]);
    field("RAH", "QSEL_ENABLE", 28, 28, I21X);
    field("RAH", "POOL", 25, 18, VMDQ);
}

#[test]
fn trap_4_the_flash_bits_of_eecd_moved() {
    field("EECD", "FLASH_DETECTED", 19, 19, I21X);
    field("EECD", "FLUPD", 23, 23, I21X);
    field("EECD", "SEC1VAL", 25, 25, I21X);
    field("EECD", "FLUDONE", 26, 26, I21X);
    field("EECD", "AUTO_RD", 9, 9, ALL);
    field("EECD", "BLOCKED", 15, 15, &[I82580]);
    field("EECD", "ABORT", 16, 16, &[I350, I354]);
    field("EECD", "TIMEOUT", 17, 17, &[I350, I354]);
    field("EECD", "ERROR_CLR", 18, 18, &[I350, I354]);
}

#[test]
fn trap_5_bits_of_ctrl_that_are_taken_for_others() {
    field("CTRL", "GIO_MASTER_DISABLE", 2, 2, ALL);
    field("CTRL", "ADVD3WUC", 20, 20, ALL);
    field("CTRL", "RST", 26, 26, ALL);
    field("CTRL", "DEV_RST", 29, 29, SINCE_82580);
    field("CTRL", "PHY_RST", 31, 31, ALL);
    field("CTRL_EXT", "I2C_ENA", 25, 25, ALL);
    assert!(by_name("CTRL").unwrap().fields.iter().all(|field| field.name != "I2C_ENA"));
}

#[test]
fn trap_6_bits_of_status_by_chip() {
    field("STATUS", "SKU_2P5", 12, 12, &[I354]);
    field("STATUS", "SKU_2P5_OVER", 13, 13, &[I354]);
    field("STATUS", "GIO_MASTER_ENABLE", 19, 19, ALL);
    field("STATUS", "DEV_RST_SET", 20, 20, SINCE_82580);
    assert_eq!(access("STATUS", "DEV_RST_SET", I350), Access::WriteOneClear);
}

#[test]
fn trap_7_the_interval_of_eitr() {
    field("EITR", "INTERVAL", 14, 2, SINCE_82576);
    field("EITR", "CNT_IGNR", 31, 31, SINCE_82576);
}

#[test]
fn trap_8_vectors_are_allocated_in_three_ways() {
    assert_eq!((on("MSIXBM"), on("IVAR")), (vec![I82575], SINCE_82576.to_vec()));
    let counts = SINCE_82576.iter().map(|chip| chip.ivar_registers()).collect::<Vec<_>>();
    assert_eq!(counts, [8, 4, 4, 4, 2, 1]);
    for (byte, low) in [(0, 0), (1, 8), (2, 16), (3, 24)] {
        field("IVAR", &format!("INT_ALLOC{byte}"), low + 4, low, SINCE_82576);
        field("IVAR", &format!("INT_ALLOC{byte}_VAL"), low + 7, low + 7, SINCE_82576);
    }
}

#[test]
fn trap_9_the_mode_of_msix_is_in_gpie_and_eics_cannot_set_other() {
    assert_eq!(on("GPIE"), SINCE_82576);
    field("GPIE", "MULTIPLE_MSIX", 4, 4, SINCE_82576);
    let other = by_name("EICS").unwrap().fields.iter().find(|field| field.name == "OTHER").unwrap();
    assert_eq!((other.mask(), EICS::OTHER.mask << EICS::OTHER.shift), (1 << 31, 1 << 31));
    assert!(other.doc.contains("EICS cannot set it"), "{}", other.doc);
    assert_eq!(on("IMS"), ALL);
}

#[test]
fn trap_10_the_receive_buffer_has_three_units() {
    field("RXPBS", "PBSIZE", 6, 0, &[I82576]);
    field("RXPBS", "INDEX", 3, 0, INDEXED);
    field("RXPBS", "RXPBSIZE", 5, 0, I21X);
    field("RXPBS", "CFG_TS_EN", 31, 31, SINCE_82580);
    let kilobytes = [36, 72, 144, 1, 2, 4, 8, 16, 35, 70, 140];
    for (index, size) in (0..).zip(kilobytes) {
        assert_eq!(value("RXPBS", "INDEX", &format!("KB{size}")), Some(index), "{size} KB");
    }
    assert_eq!(on("PBA"), [I82575]);
}

#[test]
fn trap_11_counters_clear_on_a_read_and_those_of_functions_wrap() {
    let statistics = |name: &str| by_name(name).unwrap().access;
    for name in ["CRCERRS", "MPC", "GPRC", "GORCL", "GORCH", "TOTL", "TOTH", "TSCTC", "HGPTC"] {
        assert_eq!(statistics(name), Access::ReadClear, "{name}");
    }
    for name in ["PVFGPRC", "PVFGPTC", "PVFGORC", "PVFGOTC", "PVFMPRC", "PQGPRC", "PQMPRC"] {
        assert_eq!(statistics(name), Access::ReadOnly, "{name}");
    }
    assert!(!by_name("RQDPC").unwrap().is_read_safe(I350));
    for name in ["ICR", "TSICR", "WVBR", "LVMMC"] {
        let info = by_name(name).unwrap();
        assert!(on(name).into_iter().all(|chip| !info.is_read_safe(chip)), "{name}");
    }
    // The 82580 clears only what is written.
    assert!(by_name("TSICR").unwrap().doc.contains("82580"));
}

#[test]
fn trap_12_counters_that_do_not_count_everywhere() {
    assert_eq!(on("SCVPC"), [I82575, I82576, I82580, I350, I354, I210]);
    assert_eq!((on("TNCRS"), on("RLEC")), (ALL.to_vec(), ALL.to_vec()));
}

#[test]
fn trap_13_buffers_are_sized_by_srrctl() {
    field("SRRCTL", "BSIZEPACKET", 6, 0, ALL);
    field("RCTL", "BSIZE", 17, 16, ALL);
    let size = by_name("RCTL").unwrap().fields.iter().find(|field| field.name == "BSIZE").unwrap();
    assert!(size.doc.contains("SRRCTL.BSIZEPACKET is 0"), "{}", size.doc);
}

#[test]
fn trap_14_one_code_of_mrqc_is_four_queues_or_eight() {
    field("MRQC", "ENABLE", 2, 0, ALL);
    let codes = ["NONE", "RSS", "VMDQ", "VMDQ_RSS"].map(|name| value("MRQC", "ENABLE", name));
    assert_eq!(codes, [Some(0), Some(2), Some(3), Some(5)]);
    assert_eq!((I82575.rx_queues(), I210.rx_queues(), I350.rx_queues()), (4, 4, 8));
}

#[test]
fn trap_15_an_entry_of_reta_is_a_whole_byte() {
    for (entry, low) in (0..).zip([0, 8, 16, 24]) {
        field("RETA", &format!("ENTRY{entry}"), low + 7, low, ALL);
    }
    assert!(ALL.iter().all(|chip| by_name("RETA").unwrap().place(*chip).unwrap().count() == 32));
}

#[test]
fn trap_16_the_tag_of_dca_moved() {
    for register in ["RXCTL", "TXCTL"] {
        field(register, "CPUID", 4, 0, &[I82575]);
        field(register, "CPU_TAG", 31, 24, SINCE_82576);
    }
}

#[test]
fn trap_17_the_header_buffer_has_six_bits() {
    field("SRRCTL", "BSIZEHEADER", 13, 8, ALL);
}

#[test]
fn trap_18_filter_3_is_there_where_two_tuples_took_the_place_of_five() {
    assert_eq!((on("FTQF"), on("TTQF")), (vec![I82576], SINCE_82580.to_vec()));
    let third = |name: &str, chip: Chip| by_name(name).unwrap().place(chip).unwrap().offset_of(3);
    assert_eq!((third("FTQF", I82576), third("TTQF", I350)), (Some(0x59EC), Some(0x59EC)));
    assert!(ALL.iter().all(|chip| third("IMIR", *chip) == Some(0x5A8C)));
    field("FTQF", "TS_1588", 27, 27, &[I82576]);
}

#[test]
fn trap_19_writes_of_the_vlan_filter_may_be_lost() {
    let vfta = by_name("VFTA").unwrap();
    assert!(vfta.doc.contains("I350 and I354 may lose writes"), "{}", vfta.doc);
    // Whoever writes again can see what is there.
    assert!(ALL.iter().all(|chip| vfta.is_read_safe(*chip)));
}

#[test]
fn trap_20_the_clock_has_three_layouts() {
    field("TIMINCA", "PERIOD", 31, 24, &[I82576]);
    field("TIMINCA", "INCREMENT", 23, 0, &[I82576]);
    field("TIMINCA", "INCVALUE", 30, 0, SINCE_82580);
    field("TIMINCA", "ISGN", 31, 31, SINCE_82580);
    assert_eq!(on("SYSTIMR"), SINCE_82580);
    assert!(by_name("SYSTIMR").unwrap().doc.contains("read it first"));
}

#[test]
fn trap_21_one_bit_of_tsauxc_stops_the_clock() {
    field("TSAUXC", "DISABLE", 31, 31, SINCE_82580);
}

#[test]
fn trap_22_words_are_written_at_two_places() {
    assert_eq!((on("EEWR"), on("SRWR")), (vec![I82575], I21X.to_vec()));
    let place = |name: &str, chip: Chip| by_name(name).unwrap().place(chip).unwrap().offset_of(0);
    assert_eq!((place("EEWR", I82575), place("SRWR", I210)), (Some(0x102C), Some(0x12018)));
}

#[test]
fn trap_23_pools_are_chosen_by_bits_that_the_82575_has_not() {
    field("VT_CTL", "DEFAULT_POOL", 9, 7, VMDQ);
    field("VT_CTL", "IGNORE_MAC", 28, 28, VMDQ);
    field("VT_CTL", "DIS_DEF_POOL", 29, 29, VMDQ);
    field("VT_CTL", "VM_REPL_EN", 30, 30, VMDQ);
}

#[test]
fn trap_24_tags_are_stripped_by_queue_or_by_pool() {
    assert_eq!(on("DVMOLR"), [I350, I354, I210, I211]);
    for register in ["DVMOLR", "VMOLR"] {
        field(register, "STRVLAN", 30, 30, &on(register));
        field(register, "STRCRC", 31, 31, &on(register));
    }
    assert_eq!(on("VMOLR"), VMDQ);
}

#[test]
fn trap_25_the_transmit_buffer_of_the_i210_is_four() {
    for (buffer, low) in (0..).zip([0, 6, 12, 18]) {
        field("TXPBS", &format!("TXPB{buffer}SIZE"), low + 5, low, I21X);
    }
    field("TXPBS", "OS2BMCPBSIZE", 29, 24, I21X);
}

/// A device that left reads all ones; no register's description makes that look like an answer: STATUS has bits that
/// are never set.
#[test]
fn trap_26_all_ones_are_no_answer() {
    for chip in Chip::ALL {
        let unknown = Decoded::new(*chip, STATUS::OFFSET, u32::MAX).unknown();
        assert_ne!(unknown, 0, "{chip}");
    }
}

/// A bus that keeps what was written, and notes what was done.
#[derive(Default)]
struct Noted(RefCell<Vec<(u32, Option<u32>)>>);

impl Bus for Noted {
    fn read32(&self, offset: u32) -> u32 {
        self.0.borrow_mut().push((offset, None));
        let written = self.0.borrow().iter().rev().find_map(|(at, value)| value.filter(|_| *at == offset));
        written.unwrap_or(0)
    }
    fn write32(&self, offset: u32, value: u32) {
        self.0.borrow_mut().push((offset, Some(value)));
    }
}

/// 27: the tails are plain registers, whatever state the queue is in: what was written reads back.
#[test]
fn trap_27_a_tail_reads_back_what_was_written() {
    for chip in Chip::ALL {
        let regs = Regs::new(Noted::default(), *chip);
        regs.rdt(0).set(7);
        regs.tdt(0).set(9);
        assert_eq!((regs.rdt(0).get(), regs.tdt(0).get()), (7, 9), "{chip}");
        for name in ["RDT", "TDT"] {
            assert_eq!(by_name(name).unwrap().access(*chip), Access::ReadWrite);
        }
    }
}

/// 28 and 29: the bit that says that an interrupt was raised is in ICR, and what decides about vectors is in
/// another register; which of them a driver writes first is its business.
#[test]
fn trap_28_and_29_interrupts_are_told_in_one_place_and_routed_in_another() {
    field("ICR", "INTA", 31, 31, ALL);
    field("CTRL_EXT", "NSICR", 0, 0, &[I82575]);
    field("GPIE", "NSICR", 0, 0, SINCE_82576);
}

/// 30: the link is in STATUS on every chip, in the same bit.
#[test]
fn trap_30_the_link_is_in_status() {
    field("STATUS", "LU", 1, 1, ALL);
}
