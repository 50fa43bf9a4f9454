//! `regs`: registers by name, with their bits in words. What a read would change is not read.
//!
//! A dump is what was read of a device; it becomes text, JSON or a page here. `regs --chip` shows what is described of a
//! chip, in the same forms; comparing two dumps is `regs_diff`.

use super::regs_diff;
use crate::args::{Regs, Take};
use crate::device::DeviceName;
use crate::failure::Failure;
use crate::html;
use crate::machine::{self, Job, Opening};
use crate::nic::Probed;
use crate::output::Report;
use crate::stop::Stop;
use crate::table::Table;
use igb::{Chip, PciConfig, Platform, Wait};
use igb_regs::meta::{FieldInfo, REGISTERS, RegisterInfo};
use igb_regs::{Bus, Decoded};
use serde_json::{Value, json};
use std::fmt::Write;

/// `regs`.
pub(crate) fn regs(options: Regs) -> Result<Report, Failure> {
    let html = options.html;
    let in_form = |report: Report, page: &dyn Fn() -> String| Report {
        text: if html { page() } else { report.text.clone() },
        ..report
    };
    if let [a, b] = options.diff.as_slice() {
        known(&options.words)?;
        let diff = regs_diff::diff(a, b, &options)?;
        return Ok(in_form(diff.report(), &|| diff.page()));
    }
    if let Some(chip) = options.chip {
        known(&options.words)?;
        let wanted = described(chip, &options.words);
        return Ok(in_form(reference(chip, &wanted), &|| reference_page(chip, &wanted)));
    }
    let Some((device, names)) = options.words.split_first() else {
        let message = "regs needs a device, as `igbctl regs sim:i210`, or --chip or --diff";
        return Err(Failure::Usage(message.into()));
    };
    known(names)?;
    let dump = dump(device, names, options.open, options.take)?;
    Ok(in_form(dump.report(options.decode), &|| dump.page()))
}

/// Refuses names that are of nothing.
fn known(names: &[String]) -> Result<(), Failure> {
    match names.iter().find(|name| !REGISTERS.iter().any(|register| is_named(register, name))) {
        None => Ok(()),
        Some(name) => Err(Failure::Usage(format!(
            "no register and no group is called {name:?}; the groups are {}",
            groups()
        ))),
    }
}

fn is_named(register: &RegisterInfo, name: &str) -> bool {
    register.name.eq_ignore_ascii_case(name) || register.group.eq_ignore_ascii_case(name)
}

fn groups() -> String {
    let mut groups: Vec<_> = REGISTERS.iter().map(|register| register.group).collect();
    groups.dedup();
    groups.join(", ")
}

/// The registers of a chip that have one of the names, or all.
fn described(chip: Chip, names: &[String]) -> Vec<&'static RegisterInfo> {
    let wanted =
        |register: &RegisterInfo| names.is_empty() || names.iter().any(|name| is_named(register, name));
    REGISTERS.iter().filter(|register| register.place(chip).is_some() && wanted(register)).collect()
}

/// What was read of a device.
pub(crate) struct Dump {
    pub(crate) device: String,
    pub(crate) chip: Chip,
    pub(crate) registers: Vec<Read>,
    pub(crate) unread: Vec<&'static str>,
}

/// One register, or one element of an array.
pub(crate) struct Read {
    pub(crate) register: &'static RegisterInfo,
    pub(crate) index: u16,
    pub(crate) offset: u32,
    pub(crate) value: u32,
}

/// Reads a device.
pub(crate) fn dump(device: &str, names: &[String], open: bool, take: Take) -> Result<Dump, Failure> {
    let name: DeviceName = device.parse().map_err(Failure::Usage)?;
    let mut dump = None;
    let job = RegsJob { name: name.to_string(), names: names.to_vec(), open, dump: &mut dump };
    machine::run(&[&name], Opening::small(take), job)?;
    dump.ok_or_else(|| Failure::Usage("no device".into()))
}

struct RegsJob<'a> {
    name: String,
    names: Vec<String>,
    open: bool,
    /// What was read: dumps are compared, so the report comes later.
    dump: &'a mut Option<Dump>,
}

impl Job for RegsJob<'_> {
    fn run<P: Platform<Irq: Wait>>(self, devices: Vec<P>, _: &Stop) -> Result<Report, Failure> {
        let Self { name, names, open, dump } = self;
        let done = || Ok(Report::new(String::new(), Value::Null));
        let Some(platform) = devices.into_iter().next() else {
            return Err(Failure::Usage("no device".into()));
        };
        let fail = |error: igb::Error| Failure::driver(&name, error);
        if open {
            let nic = Probed::new(&*name, platform)?.open(1, 64)?;
            *dump = Some(read(&name, &names, nic.control.chip(), nic.control.mac().regs().bus()));
            nic.control.watchdog().map_err(fail)?;
            return done();
        }
        let identity = platform.pci().read32(0);
        let device = igb::hal::identify(identity, platform.bar_len()).map_err(|error| fail(error.into()))?;
        let bus = platform.bus();
        *dump = Some(read(&name, &names, device.chip, &bus));
        // A device that left answers all ones, and that is no dump.
        igb::hal::Mac::new(&bus, device).check().map_err(|error| fail(error.into()))?;
        done()
    }
}

/// Reads every register of the chip that may be read, and was asked for.
fn read(name: &str, names: &[String], chip: Chip, bus: &impl Bus) -> Dump {
    let mut dump = Dump { device: name.to_owned(), chip, registers: Vec::new(), unread: Vec::new() };
    for register in described(chip, names) {
        let Some(place) = register.place(chip) else { continue };
        if !register.is_read_safe(chip) {
            dump.unread.push(register.name);
            continue;
        }
        for index in 0..place.count() {
            if let Some(offset) = place.offset_of(index) {
                dump.registers.push(Read { register, index, offset, value: bus.read32(offset) });
            }
        }
    }
    dump
}

impl Dump {
    /// Equal neighbours of an array, each run as one line: its title and its first element.
    fn runs(&self) -> impl Iterator<Item = (String, &Read)> {
        let one = |a: &Read, b: &Read| {
            (a.register.name, a.value) == (b.register.name, b.value) && a.index + 1 == b.index
        };
        self.registers.chunk_by(one).filter_map(|run| {
            let (first, last) = (run.first()?, run.last()?);
            let name = first.register.name;
            let title = match (first.register.is_array, first.index == last.index) {
                (false, _) => name.to_owned(),
                (true, true) => format!("{name}[{}]", first.index),
                (true, false) => format!("{name}[{}..={}]", first.index, last.index),
            };
            Some((title, first))
        })
    }

    fn report(&self, decode: bool) -> Report {
        let mut text = String::new();
        let mut group = "";
        for (title, first) in self.runs() {
            if group != first.register.group {
                group = first.register.group;
                let _ = writeln!(text, "{}{group}", if text.is_empty() { "" } else { "\n" });
            }
            let decoded = Decoded::new(self.chip, first.offset, first.value);
            let line = format!("  {:05x}  {title:<22} {:08x}  {decoded}", first.offset, first.value);
            let _ = writeln!(text, "{}", line.trim_end());
            if decode {
                text.push_str(&fields(first.register, self.chip, first.value).render(11));
            }
        }
        if !self.unread.is_empty() {
            let unread = self.unread.join(" ");
            let _ = writeln!(text, "\nnot read, since a read changes them or says nothing\n  {unread}");
        }
        let registers = self.registers.iter().map(|read| {
            json!({
                "name": read.register.name,
                "index": read.register.is_array.then_some(read.index),
                "group": read.register.group,
                "offset": read.offset,
                "value": read.value,
                "fields": fields_json(read.register, self.chip, read.value),
            })
        });
        let json = json!({
            "device": self.device,
            "chip": self.chip.name(),
            "registers": registers.collect::<Vec<_>>(),
            "unread": self.unread,
        });
        Report::new(text, json)
    }

    fn page(&self) -> String {
        let mut page = html::Page::new(&format!("Registers of {} ({})", self.device, self.chip));
        let mut group = "";
        for (title, first) in self.runs() {
            if group != first.register.group {
                group = first.register.group;
                page.title(2, group);
            }
            let decoded = Decoded::new(self.chip, first.offset, first.value).to_string();
            let summary = format!("{:05x}  {title}  {:08x}  {decoded}", first.offset, first.value);
            page.details(
                summary.trim_end(),
                first.register.doc,
                &fields(first.register, self.chip, first.value),
            );
        }
        if !self.unread.is_empty() {
            page.title(2, "not read");
            page.line(&format!("A read changes them, or says nothing: {}", self.unread.join(" ")));
        }
        page.end()
    }
}

/// A field's value, with its name where it has one.
pub(crate) fn value_of(field: &FieldInfo, word: u32) -> (u32, Option<&'static str>) {
    let value = field.read(word);
    (value, field.values.iter().find(|(_, known)| *known == value).map(|(name, _)| *name))
}

pub(crate) fn fields(register: &RegisterInfo, chip: Chip, word: u32) -> Table {
    let mut table = Table::new(["bits", "field", "value", "access", ""]);
    for field in register.fields(chip) {
        let (value, name) = value_of(field, word);
        let value = name.map_or_else(|| format!("{value:#x}"), |name| format!("{value:#x} {name}"));
        table.row([&bits(field.shift, field.width), field.name, &*value, field.access.as_str(), field.doc]);
    }
    table
}

/// `31:16`, or one number.
pub(crate) fn bits(shift: u8, width: u8) -> String {
    match width {
        1 => shift.to_string(),
        width => format!("{}:{shift}", shift + width - 1),
    }
}

pub(crate) fn fields_json(register: &RegisterInfo, chip: Chip, word: u32) -> Value {
    let fields = register.fields(chip).map(|field| {
        let (value, name) = value_of(field, word);
        json!({ "name": field.name, "value": value, "meaning": name })
    });
    Value::Array(fields.collect())
}

/// Where a register is on a chip, in words.
fn place(register: &RegisterInfo, chip: Chip) -> String {
    let Some(place) = register.place(chip) else { return String::new() };
    let runs = place.pieces.iter().map(|piece| match (register.is_array, piece.count) {
        (false, _) => format!("{:05x}", piece.offset),
        (true, count) => {
            format!(
                "{:05x}+{:x}n [{}..={}]",
                piece.offset,
                piece.stride,
                piece.first,
                piece.first + count - 1
            )
        }
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// `regs --chip`: what is described of a chip.
fn reference(chip: Chip, registers: &[&'static RegisterInfo]) -> Report {
    let mut text = String::new();
    let mut rows: Vec<(&str, Table)> = Vec::new();
    for register in registers {
        let reset = register.place(chip).and_then(|place| place.reset);
        let row = [
            register.name.to_owned(),
            place(register, chip),
            register.access(chip).as_str().to_owned(),
            if register.is_read_safe(chip) { "" } else { "not dumped" }.to_owned(),
            reset.map_or(String::new(), |reset| format!("reset {reset:08x}")),
            register.doc.to_owned(),
        ];
        match rows.last_mut() {
            Some((group, table)) if *group == register.group => table.row(row),
            _ => rows.push((register.group, Table::new(row))),
        }
    }
    for (group, table) in rows {
        let _ = writeln!(text, "{}{group}", if text.is_empty() { "" } else { "\n" });
        text.push_str(&table.render(2));
    }
    let registers = registers.iter().map(|register| {
        let fields = register.fields(chip).map(|field| {
            json!({
                "name": field.name, "low": field.shift, "high": field.shift + field.width - 1,
                "access": field.access.as_str(), "doc": field.doc,
            })
        });
        let offsets =
            register.place(chip).into_iter().flat_map(|place| (0..place.count()).map(|n| place.offset_of(n)));
        json!({
            "name": register.name,
            "group": register.group,
            "array": register.is_array,
            "offsets": offsets.collect::<Vec<_>>(),
            "access": register.access(chip).as_str(),
            "read_safe": register.is_read_safe(chip),
            "reset": register.place(chip).and_then(|place| place.reset),
            "doc": register.doc,
            "source": register.source,
            "fields": fields.collect::<Vec<_>>(),
        })
    });
    Report::new(text, json!({ "chip": chip.name(), "registers": registers.collect::<Vec<_>>() }))
}

fn reference_page(chip: Chip, registers: &[&'static RegisterInfo]) -> String {
    let mut page = html::Page::new(&format!("Registers of the {chip}"));
    let mut group = "";
    for register in registers {
        if group != register.group {
            group = register.group;
            page.title(2, group);
        }
        let mut table = Table::new(["bits", "field", "access", ""]);
        for field in register.fields(chip) {
            table.row([&bits(field.shift, field.width), field.name, field.access.as_str(), field.doc]);
        }
        let access = register.access(chip).as_str();
        let summary = format!("{}  {}  {access}", place(register, chip), register.name);
        page.details(&summary, &format!("{} Source: {}.", register.doc, register.source), &table);
    }
    page.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use igb_regs::meta::lookup;

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
        for chip in Chip::ALL {
            let report = read("test", &[], *chip, &Careful(*chip)).report(true);
            assert!(report.json["registers"].as_array().unwrap().len() > 300, "{chip}");
            assert!(report.json["unread"].as_array().unwrap().iter().any(|name| name == "ICR"), "{chip}");
        }
    }

    /// Every chip's reference shows every register of it once.
    #[test]
    fn the_reference_shows_everything() {
        for chip in Chip::ALL {
            let all = described(*chip, &[]);
            let report = reference(*chip, &all);
            assert_eq!(report.json["registers"].as_array().unwrap().len(), all.len());
            assert_eq!(reference_page(*chip, &all).matches("<details>").count(), all.len());
        }
    }
}
