//! What a driver that we did not write did to the device, decoded with specs/.
//!
//! QEMU writes down every access to a region that a device answers; those of the igb devices' registers are looked at
//! here. Each has to be of a described register of the 82576, and each bit that is set of a described field, or of the
//! value that the register has after a reset. A bit that is only said to be reserved is not described.

use igb_codegen::model::{Access as Kind, ChipSet, Register, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

/// What QEMU is to write down.
pub(crate) const EVENTS: [&str; 2] = ["memory_region_ops_read", "memory_region_ops_write"];
/// QEMU's name of the region with the registers.
const REGION: &str = "name 'igb-mmio'";
/// The region is at a multiple of its size.
const SIZE: u32 = 0x20000;
/// What QEMU models.
const CHIP: &str = "82576";

/// Registers of other chips that Linux reads on every chip, and where.
const ELSEWHERE: [(&str, &str); 1] = [("TSICR", "igb_up clears it, whether the chip has it or not")];
/// Bits that the model reads as set and that no source gives the chip; Linux writes back what it read.
const MODEL: [(&str, u32, &str); 1] =
    [("EIAM", 0x3e00_0000, "the model keeps the complement of what is written")];

/// One access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Access {
    write: bool,
    offset: u32,
    value: u32,
}

/// `… memory_region_ops_write cpu 0 mr 0x… addr 0xfe80fc value 0x4 size 4 name 'igb-mmio'`.
fn access(line: &str) -> Option<Access> {
    if !line.ends_with(REGION) {
        return None;
    }
    let event = EVENTS.iter().position(|event| line.contains(event))?;
    let number = |key: &str| {
        let text = line.split(key).nth(1)?.split_whitespace().next()?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    let offset = u32::try_from(number(" addr ")? % u64::from(SIZE)).ok()?;
    Some(Access { write: event == 1, offset, value: u32::try_from(number(" value ")?).ok()? })
}

/// What came of a trace.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    /// Names of the registers that were touched.
    pub(crate) registers: BTreeSet<String>,
    /// Those of them that are one number, without fields.
    pub(crate) numbers: BTreeSet<String>,
    /// What is not described: a line each.
    pub(crate) unknown: Vec<String>,
}

/// Decodes what QEMU wrote.
pub(crate) fn decode(spec: &Spec, trace: impl BufRead) -> std::io::Result<Decoded> {
    let mut decoded = Decoded::default();
    let Some(chip) = spec.chips.iter().position(|chip| chip.name == CHIP) else { return Ok(decoded) };
    let (mut offsets, mut bits) = (BTreeMap::<u32, usize>::new(), BTreeMap::<String, (u32, u32)>::new());
    let mut known = BTreeMap::new();
    for line in trace.lines() {
        let Some(access) = access(&line?) else { continue };
        *if access.write { &mut decoded.writes } else { &mut decoded.reads } += 1;
        let register = *known.entry(access.offset).or_insert_with(|| find(spec, chip, access.offset));
        let Some(register) = register.or_else(|| elsewhere(spec, access)) else {
            *offsets.entry(access.offset).or_default() += 1;
            continue;
        };
        decoded.registers.insert(register.name.clone());
        let described = described(register, chip);
        if described.is_none() {
            decoded.numbers.insert(register.name.clone());
        }
        // Where 1 clears, all ones say "everything", also of bits that are not there.
        let clears = [Kind::Wo, Kind::W1c, Kind::RcW1c].contains(&register.access);
        let everything = access.write && access.value == u32::MAX && clears;
        let model = MODEL.iter().find(|(name, ..)| *name == register.name).map_or(0, |(_, bits, _)| *bits);
        let unknown = if everything { 0 } else { access.value & !(described.unwrap_or(u32::MAX) | model) };
        if unknown != 0 {
            let (read, written) = bits.entry(register.name.clone()).or_default();
            *if access.write { written } else { read } |= unknown;
        }
    }
    for (offset, count) in offsets {
        decoded
            .unknown
            .push(format!("{offset:#07x}: no register of the {CHIP} is described there ({count} times)"));
    }
    for (name, (read, written)) in bits {
        decoded
            .unknown
            .push(format!("{name}: nobody described the bits {read:#010x} read, {written:#010x} written"));
    }
    Ok(decoded)
}

fn find(spec: &Spec, chip: usize, offset: u32) -> Option<&Register> {
    let here = |register: &&Register| {
        let places = register.places.iter().filter(|place| place.chips.contains(chip));
        let mut pieces = places.flat_map(|place| place.pieces.iter().chain(&place.aliases));
        pieces.any(|piece| piece.offsets().any(|(_, known)| known == offset))
    };
    spec.registers().map(|(_, register)| register).find(here)
}

/// A register that only other chips have, of those that are known to be read all the same.
fn elsewhere(spec: &Spec, access: Access) -> Option<&Register> {
    let read =
        |register: &&Register| !access.write && ELSEWHERE.iter().any(|(name, _)| *name == register.name);
    let here = |register: &&Register| {
        let pieces = register.places.iter().flat_map(|place| &place.pieces);
        pieces.into_iter().any(|piece| piece.offset == access.offset)
    };
    spec.registers().map(|(_, register)| register).filter(read).find(here)
}

/// The bits of fields and of the reset value; `None` where the register is one number.
fn described(register: &Register, chip: usize) -> Option<u32> {
    let on = |chips: ChipSet| chips.contains(chip);
    let fields: Vec<_> = register.fields.iter().filter(|field| on(field.chips)).collect();
    if fields.is_empty() {
        return None;
    }
    let reset = register.places.iter().filter(|place| on(place.chips)).filter_map(|place| place.reset);
    Some(fields.iter().fold(reset.fold(0, |all, value| all | value), |all, field| all | field.mask() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        crate::codegen::load(crate::metadata::root()).unwrap()
    }

    fn line(event: &str, addr: u64, value: u32) -> String {
        format!("{event} cpu 0 mr 0x55d0c8 addr {addr:#x} value {value:#x} size 4 name 'igb-mmio'\n")
    }

    #[test]
    fn lines_of_the_registers_are_read_and_others_are_not() {
        let write = line(EVENTS[1], 0xfe62_0100, 0x0400_8002);
        assert_eq!(access(write.trim()), Some(Access { write: true, offset: 0x100, value: 0x0400_8002 }));
        assert_eq!(access(write.replace("igb-mmio", "igbvf-mmio").trim()), None);
        assert_eq!(access("memory_region_ops_read cpu 0 mr 0x1 addr 0xcf8 value 0x0 size 4 name 'io'"), None);
        assert_eq!(access("name 'igb-mmio'"), None);
    }

    #[test]
    fn what_is_not_described_is_told() {
        let spec = spec();
        let text = line(EVENTS[0], 0xfe60_0008, 0x8008_0483) + &line(EVENTS[1], 0xfe60_0100, 0x0400_8002);
        let decoded = decode(&spec, text.as_bytes()).unwrap();
        assert_eq!((decoded.reads, decoded.writes, decoded.unknown.len()), (1, 1, 0), "{decoded:?}");
        let text = line(EVENTS[0], 0xfe61_fffc, 0) + &line(EVENTS[1], 0xfe60_0100, 0x0400_8003);
        let unknown = decode(&spec, text.as_bytes()).unwrap().unknown;
        assert_eq!(unknown[0], "0x1fffc: no register of the 82576 is described there (1 times)");
        assert_eq!(unknown[1], "RCTL: nobody described the bits 0x00000000 read, 0x00000001 written");
    }

    /// What would make every bit known by saying nothing of it.
    #[test]
    fn no_field_stands_for_what_is_reserved() {
        for (_, register) in spec().registers() {
            for field in &register.fields {
                let name = field.name.as_str();
                let empty = ["RESERVED", "RSV", "UNKNOWN", "UNUSED"].iter().any(|word| name.contains(word));
                assert!(!empty, "{}.{name} is no description", register.name);
            }
        }
    }
}
