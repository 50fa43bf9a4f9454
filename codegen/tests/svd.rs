//! What goes out as CMSIS-SVD comes in again: the reader that Rust's SVD tools share takes it with every check on.

use igb_codegen::{load, svd};
use std::path::Path;
use svd_parser::svd::{Device, ModifiedWriteValues, ReadAction, RegisterInfo};
use svd_parser::{Config, ValidateLevel};

fn specs(path: &str) -> igb_codegen::model::Spec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    load(&path).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn read(xml: &str) -> Device {
    let config = Config::default().validate_level(ValidateLevel::Strict).expand(true);
    svd_parser::parse_with_config(xml, &config).unwrap_or_else(|error| panic!("{error:?}"))
}

fn register<'a>(device: &'a Device, name: &str) -> &'a RegisterInfo {
    let found = device.peripherals[0].registers().find(|register| register.name == name);
    found.unwrap_or_else(|| panic!("{name}?"))
}

#[test]
fn arrays_fields_and_side_effects_come_through() {
    let files = svd(&specs("tests/cases/uart/specs"));
    let big = read(&files["4000.svd"]);
    assert_eq!((big.name.as_str(), big.peripherals.len()), ("S4", 1));
    let offsets: Vec<_> = (0..4).map(|n| register(&big, &format!("LCR_{n}")).address_offset).collect();
    assert_eq!(offsets, [0x100, 0x120, 0x400, 0x410]);
    assert_eq!(register(&big, "LCR_ALIAS_1").address_offset, 0x44);
    let lcr = register(&big, "LCR_0");
    assert_eq!((lcr.properties.reset_value, lcr.properties.reset_mask), (Some(3), Some(0xffff_ffff)));
    let overrun = lcr.fields().find(|field| field.name == "OVERRUN").unwrap();
    assert_eq!((overrun.bit_range.offset, overrun.bit_range.width), (9, 1));
    assert_eq!(overrun.modified_write_values, Some(ModifiedWriteValues::OneToClear));
    assert_eq!(register(&big, "RBR_0").read_action, Some(ReadAction::Clear));
    let small = read(&files["s1.svd"]);
    assert!(small.peripherals[0].registers().all(|register| !register.name.starts_with("DMA")));
}

/// Every register of every chip is there, once for each place at which it answers.
#[test]
fn the_whole_family_is_readable() {
    for path in ["../specs", "../specs/vf"] {
        let spec = specs(path);
        let files = svd(&spec);
        assert_eq!(files.len(), spec.chips.len());
        for (number, chip) in spec.chips.iter().enumerate() {
            let device = read(&files[&format!("{}.svd", chip.name)]);
            let places = spec.registers().flat_map(|(_, register)| &register.places);
            let pieces = places
                .filter(|place| place.chips.contains(number))
                .flat_map(|place| place.pieces.iter().chain(&place.aliases));
            let elements: usize = pieces.map(|piece| usize::from(piece.count)).sum();
            assert_eq!(device.peripherals[0].registers().count(), elements, "{}", chip.name);
        }
    }
}
