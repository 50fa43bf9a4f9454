//! `regs --diff`: what differs between two dumps, or between two devices as they are now.

use super::regs::{Dump, Read, bits, dump, value_of};
use crate::args::Regs;
use crate::device::parse_chip;
use crate::failure::Failure;
use crate::html;
use crate::output::Report;
use crate::table::Table;
use igb::Chip;
use igb_regs::meta::{RegisterInfo, by_name};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A larger file is no dump: one of the largest chip is below 2 MB.
const LARGEST: u64 = 16 << 20;

/// What differs.
pub(crate) struct Diff {
    names: [String; 2],
    chips: [Chip; 2],
    different: Vec<Row>,
    only: [Vec<String>; 2],
    same: usize,
}

struct Row {
    title: String,
    offset: u32,
    values: [u32; 2],
    /// Name, bits, and what it is in each.
    fields: Vec<(&'static str, String, [String; 2])>,
}

/// Compares `a` with `b`; each is a device, or a file that `regs --json` wrote.
pub(crate) fn diff(a: &str, b: &str, options: &Regs) -> Result<Diff, Failure> {
    let [a, b] = [take(a, options)?, take(b, options)?];
    let title = |read: &Read| match read.register.is_array {
        true => format!("{}[{}]", read.register.name, read.index),
        false => read.register.name.to_owned(),
    };
    let twin = |read: &Read, of: &Dump| {
        of.registers
            .iter()
            .find(|other| (other.register.name, other.index) == (read.register.name, read.index))
            .map(|other| other.value)
    };
    let mut diff = Diff {
        names: [a.device.clone(), b.device.clone()],
        chips: [a.chip, b.chip],
        different: Vec::new(),
        only: Default::default(),
        same: 0,
    };
    for read in &a.registers {
        match twin(read, &b) {
            None => diff.only[0].push(title(read)),
            Some(value) if value == read.value => diff.same += 1,
            Some(value) => diff.different.push(Row {
                title: title(read),
                offset: read.offset,
                values: [read.value, value],
                fields: fields(read.register, diff.chips, [read.value, value]),
            }),
        }
    }
    diff.only[1].extend(b.registers.iter().filter(|read| twin(read, &a).is_none()).map(title));
    Ok(diff)
}

/// The fields that differ, of those that both chips have in the same bits.
fn fields(
    register: &RegisterInfo,
    chips: [Chip; 2],
    words: [u32; 2],
) -> Vec<(&'static str, String, [String; 2])> {
    let both = register.fields(chips[0]).filter(|field| field.chips.contains(chips[1]));
    both.filter(|field| field.read(words[0]) != field.read(words[1]))
        .map(|field| {
            let word = |word: u32| match value_of(field, word) {
                (value, Some(name)) => format!("{value:#x} {name}"),
                (value, None) => format!("{value:#x}"),
            };
            (field.name, bits(field.shift, field.width), words.map(word))
        })
        .collect()
}

/// A dump of a device, or out of a file.
fn take(name: &str, options: &Regs) -> Result<Dump, Failure> {
    let path = Path::new(name);
    let device = ["sim:", "qemu:", "vfio:"].iter().any(|kind| name.starts_with(kind));
    if device {
        return dump(name, &options.words, options.open, options.take);
    }
    let size = fs::metadata(path).map_err(|error| Failure::file(path, error))?.len();
    let no_dump = |what: &str| {
        Failure::Usage(format!("{name}: {what}; `igbctl regs DEVICE --json > FILE` writes a dump"))
    };
    if size > LARGEST {
        return Err(no_dump(&format!("{size} bytes are no dump")));
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| no_dump(&format!("no JSON: {error}")))?;
    let mut dump = parse(name, &value).map_err(|what| no_dump(&what))?;
    let wanted = |read: &Read| {
        let named = |name: &String| {
            read.register.name.eq_ignore_ascii_case(name) || read.register.group.eq_ignore_ascii_case(name)
        };
        options.words.is_empty() || options.words.iter().any(named)
    };
    dump.registers.retain(wanted);
    Ok(dump)
}

/// The JSON of a dump. Offsets come from the description, not from the file.
fn parse(name: &str, value: &Value) -> Result<Dump, String> {
    let chip = value["chip"].as_str().ok_or("it names no chip")?;
    let chip = parse_chip(chip)?;
    let list = value["registers"].as_array().ok_or("it has no registers")?;
    let mut registers = Vec::new();
    for one in list {
        let name = one["name"].as_str().ok_or("a register has no name")?;
        let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        let index = match &one["index"] {
            Value::Null => 0,
            index => number(index)
                .and_then(|n| u16::try_from(n).ok())
                .ok_or_else(|| format!("{name}: no index"))?,
        };
        let value = number(&one["value"]).ok_or_else(|| format!("{name}: no 32-bit value"))?;
        let register = by_name(name).ok_or_else(|| format!("no register is called {name:?}"))?;
        let place = register.place(chip).ok_or_else(|| format!("the {chip} has no {name}"))?;
        let offset = place.offset_of(index).ok_or_else(|| format!("the {chip} has no {name}[{index}]"))?;
        registers.push(Read { register, index, offset, value });
    }
    Ok(Dump { device: name.to_owned(), chip, registers, unread: Vec::new() })
}

impl Diff {
    /// As text and JSON.
    pub(crate) fn report(&self) -> Report {
        let mut text =
            format!("a  {} ({})\nb  {} ({})\n\n", self.names[0], self.chips[0], self.names[1], self.chips[1]);
        let mut table = Table::new(["", "", "a", "b"]);
        for row in &self.different {
            let [a, b] = row.values.map(|value| format!("{value:08x}"));
            table.row([format!("{:05x}", row.offset), row.title.clone(), a, b]);
            for (name, bits, [a, b]) in &row.fields {
                table.row([String::new(), format!("  {name} {bits}"), a.clone(), b.clone()]);
            }
        }
        if !table.is_empty() {
            text.push_str(&table.render(2));
        }
        for (which, only) in ["a", "b"].iter().zip(&self.only) {
            if !only.is_empty() {
                let _ = writeln!(text, "only in {which}: {}", only.join(" "));
            }
        }
        let _ = writeln!(text, "{} differ, {} are the same", self.different.len(), self.same);
        let rows = self.different.iter().map(|row| {
            let fields = row
                .fields
                .iter()
                .map(|(name, bits, [a, b])| json!({ "name": name, "bits": bits, "a": a, "b": b }));
            json!({
                "name": row.title, "offset": row.offset, "a": row.values[0], "b": row.values[1],
                "fields": fields.collect::<Vec<_>>(),
            })
        });
        let json = json!({
            "a": { "name": self.names[0], "chip": self.chips[0].name() },
            "b": { "name": self.names[1], "chip": self.chips[1].name() },
            "different": rows.collect::<Vec<_>>(),
            "only_a": self.only[0],
            "only_b": self.only[1],
            "same": self.same,
        });
        Report::new(text, json)
    }

    /// As a page.
    pub(crate) fn page(&self) -> String {
        let [a, b] = &self.names;
        let mut page = html::Page::new(&format!("{a} and {b}"));
        page.line(&format!("{} registers differ, {} are the same.", self.different.len(), self.same));
        for row in &self.different {
            let [left, right] = row.values;
            let mut table = Table::new(["bits", "field", a, b]);
            for (name, bits, [a, b]) in &row.fields {
                table.row([bits.as_str(), name, a, b]);
            }
            page.details(&format!("{:05x}  {}  {left:08x}  {right:08x}", row.offset, row.title), "", &table);
        }
        for (name, only) in self.names.iter().zip(&self.only) {
            if !only.is_empty() {
                page.line(&format!("Only in {name}: {}", only.join(" ")));
            }
        }
        page.end()
    }
}
