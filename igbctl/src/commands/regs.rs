//! `regs`: registers by name, with their bits in words. What a read would change is not read.

use crate::args::{Regs, RegsCommand, parse_number};
use crate::failure::Failure;
use crate::machine::{self, Job, Opening};
use crate::nic::Probed;
use crate::output::Report;
use crate::stop::Stop;
use crate::table::Table;
use igb::{Chip, PciConfig, Platform, Wait};
use igb_regs::meta::{FieldInfo, REGISTERS, RegisterInfo, by_name, lookup};
use igb_regs::{Bus, Decoded};
use serde_json::{Value, json};
use std::fmt::Write;

/// `regs`.
pub(crate) fn regs(options: Regs) -> Result<Report, Failure> {
    if let Some(RegsCommand::Decode { chip, register, value }) = options.look_up {
        return decode(chip, &register, value);
    }
    let Some(device) = options.device.clone() else {
        return Err(Failure::Usage("regs needs a device".into()));
    };
    for name in &options.names {
        if !REGISTERS.iter().any(|register| is_named(register, name)) {
            return Err(Failure::Usage(format!(
                "no register and no group is called {name:?}; the groups are {}",
                groups()
            )));
        }
    }
    machine::run(&[&device], Opening::small(options.take), RegsJob { name: device.to_string(), options })
}

fn is_named(register: &RegisterInfo, name: &str) -> bool {
    register.name.eq_ignore_ascii_case(name) || register.group.eq_ignore_ascii_case(name)
}

fn groups() -> String {
    let mut groups: Vec<_> = REGISTERS.iter().map(|register| register.group).collect();
    groups.dedup();
    groups.join(", ")
}

struct RegsJob {
    name: String,
    options: Regs,
}

impl Job for RegsJob {
    fn run<P: Platform<Irq: Wait>>(self, devices: Vec<P>, _: &Stop) -> Result<Report, Failure> {
        let Self { name, options } = self;
        let Some(platform) = devices.into_iter().next() else {
            return Err(Failure::Usage("no device".into()));
        };
        let fail = |error: igb::Error| Failure::driver(&name, error);
        if options.open {
            let nic = Probed::new(&*name, platform)?.open(1, 64)?;
            let report = dump(&name, &options, nic.control.chip(), nic.control.mac().regs().bus());
            nic.control.watchdog().map_err(fail)?;
            return Ok(report);
        }
        let identity = platform.pci().read32(0);
        let device = igb::hal::identify(identity, platform.bar_len()).map_err(|error| fail(error.into()))?;
        let bus = platform.bus();
        let report = dump(&name, &options, device.chip, &bus);
        // A device that left answers all ones, and that is no dump.
        igb::hal::Mac::new(&bus, device).check().map_err(|error| fail(error.into()))?;
        Ok(report)
    }
}

/// Reads every register of the chip that may be read, and was asked for.
fn dump(name: &str, options: &Regs, chip: Chip, bus: &impl Bus) -> Report {
    let mut text = String::new();
    let mut registers = Vec::new();
    let mut unread = Vec::new();
    let mut group = "";
    let wanted = |register: &RegisterInfo| {
        options.names.is_empty() || options.names.iter().any(|name| is_named(register, name))
    };
    for register in REGISTERS.iter().filter(|register| wanted(register)) {
        let Some(place) = register.place(chip) else { continue };
        if !register.is_read_safe(chip) {
            unread.push(register.name);
            continue;
        }
        if group != register.group {
            group = register.group;
            let _ = writeln!(text, "{}{group}", if text.is_empty() { "" } else { "\n" });
        }
        let mut values = Vec::new();
        for index in 0..place.count() {
            if let Some(offset) = place.offset_of(index) {
                values.push((index, offset, bus.read32(offset)));
            }
        }
        // Equal neighbours of an array are one line.
        for run in values.chunk_by(|a, b| a.2 == b.2 && a.0 + 1 == b.0) {
            let (Some((first, offset, value)), Some((last, ..))) = (run.first(), run.last()) else {
                continue;
            };
            let title = match (register.is_array, first == last) {
                (false, _) => register.name.to_owned(),
                (true, true) => format!("{}[{first}]", register.name),
                (true, false) => format!("{}[{first}..={last}]", register.name),
            };
            let decoded = Decoded::new(chip, *offset, *value);
            let line = format!("  {offset:05x}  {title:<22} {value:08x}  {decoded}");
            let _ = writeln!(text, "{}", line.trim_end());
            if options.fields {
                text.push_str(&fields(register, chip, *value).render(11));
            }
        }
        registers.extend(values.into_iter().map(|(index, offset, value)| {
            json!({
                "name": register.name,
                "index": register.is_array.then_some(index),
                "group": register.group,
                "offset": offset,
                "value": value,
                "fields": fields_json(register, chip, value),
            })
        }));
    }
    if !unread.is_empty() {
        let _ =
            writeln!(text, "\nnot read, since a read changes them or says nothing\n  {}", unread.join(" "));
    }
    let json = json!({ "device": name, "chip": chip.name(), "registers": registers, "unread": unread });
    Report::new(text, json)
}

/// A field's value, with its name where it has one.
fn value_of(field: &FieldInfo, word: u32) -> (u32, Option<&'static str>) {
    let value = field.read(word);
    (value, field.values.iter().find(|(_, known)| *known == value).map(|(name, _)| *name))
}

fn fields(register: &RegisterInfo, chip: Chip, word: u32) -> Table {
    let mut table = Table::new(["bits", "field", "value", "access", ""]);
    for field in register.fields(chip) {
        let (value, name) = value_of(field, word);
        let value = name.map_or_else(|| format!("{value:#x}"), |name| format!("{value:#x} {name}"));
        table.row([&bits(field), field.name, &*value, field.access.as_str(), field.doc]);
    }
    table
}

fn bits(field: &FieldInfo) -> String {
    match field.width {
        1 => field.shift.to_string(),
        width => format!("{}:{}", field.shift + width - 1, field.shift),
    }
}

fn fields_json(register: &RegisterInfo, chip: Chip, word: u32) -> Value {
    let fields = register.fields(chip).map(|field| {
        let (value, name) = value_of(field, word);
        json!({ "name": field.name, "value": value, "meaning": name })
    });
    Value::Array(fields.collect())
}

/// Finds the register by offset or by name with an index.
fn find(chip: Chip, text: &str) -> Result<(&'static RegisterInfo, u16, u32), String> {
    let lacks = |name: &str| format!("the {chip} has no {name}");
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let offset = parse_number(text)?;
        let (register, index) =
            lookup(chip, offset).ok_or_else(|| lacks(&format!("register at {offset:#x}")))?;
        return Ok((register, index, offset));
    }
    let (name, index) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, index)) => (name, index.parse().map_err(|_| format!("{index:?} is no index"))?),
        None => (text, 0u16),
    };
    let register = by_name(name).ok_or_else(|| format!("no register is called {name:?}"))?;
    let place = register.place(chip).ok_or_else(|| lacks(register.name))?;
    let offset = place.offset_of(index).ok_or_else(|| lacks(&format!("{}[{index}]", register.name)))?;
    Ok((register, index, offset))
}

/// `regs decode`.
fn decode(chip: Chip, text: &str, value: Option<u32>) -> Result<Report, Failure> {
    let (register, index, offset) = find(chip, text).map_err(Failure::Usage)?;
    let name =
        if register.is_array { format!("{}[{index}]", register.name) } else { register.name.to_owned() };
    let mut out =
        format!("{name} at {offset:#07x} of the {chip} ({}): {}\n", register.access.as_str(), register.doc);
    let reset = register.place(chip).and_then(|place| place.reset);
    if let Some(reset) = reset {
        let _ = writeln!(out, "after reset {reset:#010x}");
    }
    let _ = writeln!(out, "source {}", register.source);
    let word = value.or(reset).unwrap_or(0);
    if let Some(value) = value {
        let _ =
            writeln!(out, "\n{}", format!("{value:#010x}  {}", Decoded::new(chip, offset, value)).trim_end());
    }
    let table = fields(register, chip, word);
    if !table.is_empty() {
        out.push('\n');
        out.push_str(&table.render(2));
    }
    let json = json!({
        "name": register.name,
        "index": register.is_array.then_some(index),
        "chip": chip.name(),
        "offset": offset,
        "access": register.access.as_str(),
        "doc": register.doc,
        "source": register.source,
        "reset": reset,
        "value": value,
        "fields": value.map(|value| fields_json(register, chip, value)),
    });
    Ok(Report::new(out, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_found_by_offset_and_by_name() {
        let found =
            |text| find(Chip::I82576, text).map(|(register, index, offset)| (register.name, index, offset));
        assert_eq!(found("0x8"), Ok(("STATUS", 0, 8)));
        assert_eq!(found("status"), Ok(("STATUS", 0, 8)));
        assert_eq!(found("RDT[4]"), Ok(("RDT", 4, 0xC118)));
        for wrong in ["RDT[16]", "RDT[x]", "RDT[", "NOSUCH", "0x1fffc", "0xfffffffff", ""] {
            assert!(found(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_dump_reads_nothing_that_a_read_changes() {
        struct Careful(Chip);
        impl Bus for Careful {
            fn read32(&self, offset: u32) -> u32 {
                let (register, _) = lookup(self.0, offset).expect("only what is described");
                assert!(register.is_read_safe(self.0), "{}", register.name);
                0
            }
            fn write32(&self, offset: u32, _: u32) {
                panic!("a dump wrote to {offset:#x}");
            }
        }
        let options = Regs {
            look_up: None,
            device: None,
            take: Default::default(),
            names: Vec::new(),
            open: false,
            fields: true,
        };
        for chip in Chip::ALL {
            let report = dump("test", &options, *chip, &Careful(*chip));
            assert!(report.json["registers"].as_array().unwrap().len() > 300, "{chip}");
            assert!(report.json["unread"].as_array().unwrap().iter().any(|name| name == "ICR"), "{chip}");
        }
    }
}
