//! CMSIS-SVD, one file a chip, for debuggers, disassemblers and other generators.
//!
//! The register window is one peripheral at address 0; a register's description ends with its group and source. An
//! array is one register with `dim` for each run of equally spaced elements. A read or a write that acts is said with
//! `readAction` and `modifiedWriteValues`, so a debugger does not clear what it shows.

use super::Files;
use super::json::text;
use crate::model::{Access, Field, Piece, Place, Register, Spec};
use std::fmt::Write;

/// The chips, each as a file.
pub fn svd(spec: &Spec) -> Files {
    let one = |number: usize, chip: &crate::model::Chip| {
        (format!("{}.svd", chip.name), device(spec, number, &chip.ident, chip))
    };
    spec.chips.iter().enumerate().map(|(number, chip)| one(number, chip)).collect()
}

fn device(spec: &Spec, number: usize, ident: &str, chip: &crate::model::Chip) -> String {
    let mut xml = Xml::default();
    xml.0.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    let schema = "xmlns:xs=\"http://www.w3.org/2001/XMLSchema-instance\" xs:noNamespaceSchemaLocation=\"CMSIS-SVD.xsd\"";
    let _ = writeln!(xml.0, "<device schemaVersion=\"1.3\" {schema}>");
    xml.leaf(1, "name", ident);
    xml.leaf(1, "version", "1.0");
    xml.leaf(1, "description", &format!("{}: {}", chip.name, text(&chip.doc)));
    xml.leaf(1, "addressUnitBits", "8");
    xml.leaf(1, "width", "32");
    xml.leaf(1, "size", "32");
    xml.leaf(1, "access", "read-write");
    // Where no source gives a value after a reset, none is said.
    xml.leaf(1, "resetValue", "0x00000000");
    xml.leaf(1, "resetMask", "0x00000000");
    xml.open(1, "peripherals");
    xml.open(2, "peripheral");
    xml.leaf(3, "name", ident);
    xml.leaf(3, "description", "The register window");
    xml.leaf(3, "baseAddress", "0x00000000");
    xml.open(3, "addressBlock");
    xml.leaf(4, "offset", "0x00000000");
    xml.leaf(4, "size", &format!("{:#010x}", spec.window));
    xml.leaf(4, "usage", "registers");
    xml.close(3, "addressBlock");
    xml.open(3, "registers");
    for (group, register) in spec.registers() {
        let Some(place) = register.places.iter().find(|place| place.chips.contains(number)) else { continue };
        for piece in &place.pieces {
            xml.register(number, &group.name, register, place, piece, "");
        }
        for (n, piece) in place.aliases.iter().enumerate() {
            let suffix = if n == 0 { "_ALIAS".to_owned() } else { format!("_ALIAS{}", n + 1) };
            xml.register(number, &group.name, register, place, piece, &suffix);
        }
    }
    xml.close(3, "registers");
    xml.close(2, "peripheral");
    xml.close(1, "peripherals");
    xml.0.push_str("</device>\n");
    xml.0
}

#[derive(Default)]
struct Xml(String);

impl Xml {
    fn open(&mut self, depth: usize, name: &str) {
        let _ = writeln!(self.0, "{:1$}<{name}>", "", depth * 2);
    }

    fn close(&mut self, depth: usize, name: &str) {
        let _ = writeln!(self.0, "{:1$}</{name}>", "", depth * 2);
    }

    fn leaf(&mut self, depth: usize, name: &str, value: &str) {
        let _ = writeln!(self.0, "{:1$}<{name}>{2}</{name}>", "", depth * 2, super::xml_text(value));
    }

    fn register(
        &mut self,
        chip: usize,
        group: &str,
        register: &Register,
        place: &Place,
        piece: &Piece,
        suffix: &str,
    ) {
        const DEPTH: usize = 5;
        self.open(4, "register");
        // A `dim` of one has no index in the schema.
        if register.is_array && piece.count == 1 {
            self.leaf(DEPTH, "name", &format!("{}{suffix}_{}", register.name, piece.first));
        } else if register.is_array {
            self.leaf(DEPTH, "dim", &piece.count.to_string());
            self.leaf(DEPTH, "dimIncrement", &format!("{:#x}", piece.stride.max(4)));
            let last = piece.first + piece.count - 1;
            self.leaf(DEPTH, "dimIndex", &format!("{}-{last}", piece.first));
            self.leaf(DEPTH, "name", &format!("{}{suffix}_%s", register.name));
        } else {
            self.leaf(DEPTH, "name", &format!("{}{suffix}", register.name));
        }
        self.leaf(
            DEPTH,
            "description",
            &format!("{} ({group}; source: {})", text(&register.doc), register.source),
        );
        self.leaf(DEPTH, "addressOffset", &format!("{:#07x}", piece.offset));
        let kind = place.access.unwrap_or(register.access);
        self.leaf(DEPTH, "access", access(kind));
        if let Some(reset) = place.reset {
            self.leaf(DEPTH, "resetValue", &format!("{reset:#010x}"));
            self.leaf(DEPTH, "resetMask", "0xffffffff");
        }
        self.actions(DEPTH, kind);
        let fields: Vec<_> = register.fields.iter().filter(|field| field.chips.contains(chip)).collect();
        if !fields.is_empty() {
            self.open(DEPTH, "fields");
            fields.iter().for_each(|field| self.field(field, place));
            self.close(DEPTH, "fields");
        }
        self.close(4, "register");
    }

    fn field(&mut self, field: &Field, place: &Place) {
        const DEPTH: usize = 7;
        self.open(6, "field");
        self.leaf(DEPTH, "name", &field.name);
        self.leaf(DEPTH, "description", &text(&field.doc));
        self.leaf(DEPTH, "bitOffset", &field.low.to_string());
        self.leaf(DEPTH, "bitWidth", &field.width().to_string());
        let kind = place.access.unwrap_or(field.access);
        self.leaf(DEPTH, "access", access(kind));
        self.actions(DEPTH, kind);
        if !field.values.is_empty() {
            self.open(DEPTH, "enumeratedValues");
            for (name, value) in &field.values {
                self.open(8, "enumeratedValue");
                self.leaf(9, "name", name);
                self.leaf(9, "value", &value.to_string());
                self.close(8, "enumeratedValue");
            }
            self.close(DEPTH, "enumeratedValues");
        }
        self.close(6, "field");
    }

    fn actions(&mut self, depth: usize, kind: Access) {
        match kind {
            Access::W1c | Access::RcW1c => self.leaf(depth, "modifiedWriteValues", "oneToClear"),
            Access::W1s => self.leaf(depth, "modifiedWriteValues", "oneToSet"),
            _ => {}
        }
        match kind {
            Access::Rc | Access::RcW1c => self.leaf(depth, "readAction", "clear"),
            Access::Rs => self.leaf(depth, "readAction", "set"),
            _ => {}
        }
    }
}

fn access(kind: Access) -> &'static str {
    match kind {
        Access::Ro | Access::Rc => "read-only",
        Access::Wo | Access::Trigger => "write-only",
        Access::Rw | Access::W1c | Access::RcW1c | Access::W1s | Access::Rs | Access::Sc => "read-write",
    }
}
