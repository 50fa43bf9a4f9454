//! Every golden output compiles without a warning, and its registers do what their descriptions say.
//!
//! Generated code takes the verbs and the tables' types from the root of the crate that it lands in; here that is
//! this test, which has them from `igb-regs`.

#![deny(warnings)]
#![allow(dead_code, reason = "a test is no library: what it does not call is no mistake of the generator")]
#![allow(unreachable_pub, reason = "generated items are public, and nobody can reach into a test")]
#![allow(unused_imports, reason = "the glob of a module whose types are not all used here")]
#![allow(unexpected_cfgs, reason = "the feature `meta` is the register crate's")]
#![allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "registers keep the datasheet's names")]

pub use igb_regs::{Bus, Modify, Read, ReadClear, ReadSet, Reg, Register, Write, WriteClear, WriteSet, meta};

#[rustfmt::skip]
#[path = "cases/uart/expected/registers/mod.rs"]
mod uart;
#[rustfmt::skip]
#[path = "cases/uart/expected/registers/meta.rs"]
mod uart_tables;
#[rustfmt::skip]
#[path = "cases/ethernet/expected/registers/mod.rs"]
mod ethernet;
#[rustfmt::skip]
#[path = "cases/ethernet/expected/registers/meta.rs"]
mod ethernet_tables;
#[rustfmt::skip]
#[path = "cases/ethernet/expected/phy/mod.rs"]
mod phy;
#[rustfmt::skip]
#[path = "cases/ethernet/expected/descriptors/mod.rs"]
mod descriptors;

use std::cell::Cell;

/// Words that keep what is written.
struct Words([Cell<u32>; 0x600]);

impl Words {
    fn new() -> Self {
        Self([const { Cell::new(0) }; 0x600])
    }
}

impl Bus for Words {
    fn read32(&self, offset: u32) -> u32 {
        self.0[offset as usize / 4].get()
    }
    fn write32(&self, offset: u32, value: u32) {
        self.0[offset as usize / 4].set(value);
    }
}

#[test]
fn pieces_and_counts_differ_by_chip() {
    use uart::{Chip, LCR, Regs};
    let regs = Regs::new(Words::new(), Chip::S4);
    let offsets: Vec<_> = (0..4).map(|port| regs.lcr(port).offset()).collect();
    assert_eq!(offsets, [0x100, 0x120, 0x400, 0x410]);
    assert_eq!((regs.port(3).lcr().offset(), regs.port(3).thr().offset()), (0x410, 0x168));
    assert!(regs.try_lcr(4).is_none());
    let small = Regs::new(Words::new(), Chip::S1);
    assert!(small.try_lcr(0).is_some() && small.try_lcr(1).is_none());
    assert_eq!(LCR::offset_of(Chip::S1, 1), None);
}

#[test]
#[should_panic(expected = "Port[1]: the s1 has fewer")]
fn a_cluster_beyond_the_last_panics() {
    let _ = uart::Regs::new(Words::new(), uart::Chip::S1).port(1);
}

#[test]
fn modify_leaves_acting_bits_alone() {
    use uart::{Chip, LCR, Regs};
    let regs = Regs::new(Words::new(), Chip::S4);
    regs.lcr(0).set(0xffff_ffff);
    regs.lcr(0).modify(LCR::WLEN_FIVE);
    assert_eq!(regs.lcr(0).get(), 0xffff_fcfc, "START and OVERRUN are written as 0");
    regs.lcr(0).modify(LCR::WLEN_EIGHT + LCR::START.val(1));
    assert_eq!(regs.lcr(0).get(), 0xffff_fdff);
}

#[test]
fn a_count_of_zero_is_no_register() {
    use uart::{Chip, Regs};
    assert!(Regs::new(Words::new(), Chip::S1).dma(0).is_none());
    assert_eq!(Regs::new(Words::new(), Chip::S4).dma(1).map(|dma| dma.offset()), Some(0x808));
}

#[test]
fn a_chip_that_is_known_has_its_registers_without_asking() {
    use uart::chip::s4::Regs;
    let regs = Regs::new(Words::new());
    assert_eq!(
        (regs.chip(), regs.dma(1).offset(), regs.dma_at::<1>().offset()),
        (uart::Chip::S4, 0x808, 0x808)
    );
    assert_eq!((regs.lcr_at::<3>().offset(), regs.r#type().offset()), (0x410, 0x10));
    assert_eq!(uart::chip::s1::Regs::new(Words::new()).r#type().offset(), 0x8);
}

#[test]
#[should_panic(expected = "LCR[1]: the s1 has fewer")]
fn an_element_beyond_the_last_panics() {
    let _ = uart::chip::s1::Regs::new(Words::new()).lcr(1);
}

#[test]
fn offsets_and_words_of_rust_are_no_obstacle() {
    use uart::{Chip, Regs};
    let offset = |chip| Regs::new(Words::new(), chip).r#type().offset();
    assert_eq!((offset(Chip::S1), offset(Chip::S4)), (0x8, 0x10));
    assert!(descriptors::RxStatus::new().with_type(3).r#type() == 3);
}

#[test]
fn tables_know_what_the_types_know() {
    let clock = uart_tables::REGISTERS.iter().find(|register| register.name == "CLK").unwrap();
    // The tables' chip sets are bits by position, whichever chips they mean.
    let narrowed = clock.places.iter().find(|place| place.chips.0 == 1).unwrap();
    assert_eq!(narrowed.access, Some(meta::Access::ReadOnly));
    let lcr = uart_tables::REGISTERS.iter().find(|register| register.name == "LCR").unwrap();
    let big = lcr.places.iter().find(|place| place.chips.0 == 2).unwrap();
    assert_eq!(
        (big.count(), big.index_of(0x44), big.index_of(0x410), big.index_of(0x48)),
        (4, Some(1), Some(3), None)
    );
}

#[test]
fn words_have_their_constants() {
    use phy::BasicControl;
    assert_eq!((BasicControl::ADDRESS, BasicControl::RESET.into_bits()), (0, 0x1140));
    assert!(BasicControl::from_bits(0x8000).reset());
    assert_eq!(descriptors::RxStatus::from_bits(0x3_0000_05ee).length(), 0x5ee);
    let regs = ethernet::Regs::new(Words::new(), ethernet::Chip::I82540);
    regs.ctrl().write(ethernet::CTRL::SPEED_1000);
    assert_eq!(regs.ctrl().get(), 0x200);
    assert_eq!(ethernet::Device::from_id(0x100E).map(|device| device.media), Some(ethernet::Media::Copper));
}
