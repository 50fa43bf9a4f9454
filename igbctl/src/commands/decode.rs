//! `decode`: what a register is, and what a value of it means, out of the description alone. Without `--chip` for every
//! chip, those that agree together. A name may also be a word's: a PHY register, an NVM word, a descriptor.

use super::regs::{bits, fields_json};
use crate::args::{Decode, parse_number};
use crate::failure::Failure;
use crate::output::Report;
use crate::table::Table;
use igb::Chip;
use igb_regs::meta::{
    FieldInfo, Member, REGISTERS, RegisterInfo, VF_REGISTERS, WordInfo, by_name, lookup, vf_lookup,
    word_by_name,
};
use igb_regs::{Decoded, vf};
use serde_json::{Value, json};
use std::fmt::Write;

/// `decode`.
pub(crate) fn decode(options: &Decode) -> Result<Report, Failure> {
    let value = || match options.value.map(u32::try_from) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(Failure::Usage("a register has 32 bits, and the value does not fit".into())),
    };
    if options.virtual_function {
        let chips: Vec<_> = vf::Chip::ALL
            .iter()
            .copied()
            .filter(|chip| options.chip.is_none_or(|one| one.name() == chip.name()))
            .collect();
        if chips.is_empty() {
            return Err(Failure::Usage("the chips with virtual functions are 82576 and i350".into()));
        }
        let found = chips.into_iter().filter_map(|chip| Some((chip, find_vf(chip, &options.name)?)));
        let found: Vec<_> = found.map(|(chip, found)| Found::new(chip, chip.name(), found)).collect();
        if found.is_empty() {
            return Err(Failure::Usage(format!("a virtual function has no {}", options.name)));
        }
        return Ok(registers(found, value()?));
    }
    let chips: Vec<_> =
        Chip::ALL.iter().copied().filter(|chip| options.chip.is_none_or(|one| one == *chip)).collect();
    let mut found = Vec::new();
    let mut lacking = None;
    for chip in chips {
        match find(chip, &options.name) {
            Ok(one) => found.push(Found::new(chip, chip.name(), one)),
            Err(why) => lacking = Some(why),
        }
    }
    if !found.is_empty() {
        return Ok(registers(found, value()?));
    }
    if let Some(found) = word_by_name(&options.name) {
        return word(found, options.value);
    }
    let why = match (options.chip, lacking) {
        (None, Some(Lacking::Here(what, _))) => format!("no chip has a {what}"),
        (_, Some(Lacking::Here(what, chip))) => format!("the {chip} has no {what}"),
        (_, Some(Lacking::Wrong(what))) => what,
        (_, None) => format!("there is no {}", options.name),
    };
    Err(Failure::Usage(why))
}

type Place = (&'static RegisterInfo, u16, u32);

/// Why nothing was found.
#[derive(Debug, PartialEq)]
enum Lacking {
    /// This chip has none.
    Here(String, Chip),
    /// It is no name.
    Wrong(String),
}

/// `NAME[3]` in its parts.
fn element(text: &str) -> Result<(&str, u16), String> {
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, index)) => Ok((name, index.parse().map_err(|_| format!("{index:?} is no index"))?)),
        None => Ok((text, 0)),
    }
}

/// Finds the register by offset or by name with an index.
fn find(chip: Chip, text: &str) -> Result<Place, Lacking> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let offset = parse_number(text).map_err(Lacking::Wrong)?;
        let found = lookup(chip, offset).map(|(register, index)| (register, index, offset));
        return found.ok_or_else(|| Lacking::Here(format!("register at {offset:#x}"), chip));
    }
    let (name, index) = element(text).map_err(Lacking::Wrong)?;
    let register =
        by_name(name).ok_or_else(|| Lacking::Wrong(format!("no register and no word is called {name:?}")))?;
    let lacks = |what: String| Lacking::Here(what, chip);
    let place = register.place(chip).ok_or_else(|| lacks(register.name.to_owned()))?;
    let offset = place.offset_of(index).ok_or_else(|| lacks(format!("{}[{index}]", register.name)))?;
    Ok((register, index, offset))
}

/// The same in a virtual function's page.
fn find_vf(chip: vf::Chip, text: &str) -> Option<Place> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let offset = parse_number(text).ok()?;
        return vf_lookup(chip, offset).map(|(register, index)| (register, index, offset));
    }
    let (name, index) = element(text).ok()?;
    let register = VF_REGISTERS.iter().find(|register| register.name.eq_ignore_ascii_case(name))?;
    Some((register, index, register.place(chip)?.offset_of(index)?))
}

/// What a name or an offset is on one chip.
struct Found {
    chip: &'static str,
    register: &'static RegisterInfo,
    index: u16,
    offset: u32,
    reset: Option<u32>,
    access: &'static str,
    fields: Vec<&'static FieldInfo>,
}

impl Found {
    fn new(chip: impl Member, name: &'static str, (register, index, offset): Place) -> Self {
        Self {
            chip: name,
            register,
            index,
            offset,
            reset: register.place(chip).and_then(|place| place.reset),
            access: register.access(chip).as_str(),
            fields: register.fields(chip).collect(),
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        let fields = |found: &Self| {
            found.fields.iter().map(|field| (field.name, field.shift, field.width)).collect::<Vec<_>>()
        };
        let rest = |found: &Self| (found.register.name, found.index, found.offset, found.reset, found.access);
        rest(self) == rest(other) && fields(self) == fields(other)
    }
}

fn registers(found: Vec<Found>, value: Option<u32>) -> Report {
    let mut blocks: Vec<Vec<Found>> = Vec::new();
    for one in found {
        match blocks.iter_mut().find(|block| block[0].is_as(&one)) {
            Some(block) => block.push(one),
            None => blocks.push(vec![one]),
        }
    }
    let (texts, values): (Vec<_>, Vec<_>) = blocks.iter().map(|block| show(block, value)).unzip();
    Report::new(texts.join("\n"), json!({ "value": value, "found": values }))
}

/// Chips that agree.
fn show(block: &[Found], value: Option<u32>) -> (String, Value) {
    let Found { register, index, offset, reset, access, fields, .. } = &block[0];
    let chips: Vec<_> = block.iter().map(|found| found.chip).collect();
    let name =
        if register.is_array { format!("{}[{index}]", register.name) } else { register.name.to_owned() };
    let mut out = format!("{name} at {offset:#07x} ({access}): {}\n", register.doc);
    let _ = writeln!(out, "of {}", chips.join(", "));
    if let Some(reset) = reset {
        let _ = writeln!(out, "after reset {reset:#010x}");
    }
    let _ = writeln!(out, "source {}", register.source);
    if let Some(value) = value {
        let _ = writeln!(out, "\n{}", format!("{value:#010x}  {}", words(fields, value)).trim_end());
    }
    let shown = value.or(*reset);
    let rows = fields.iter().map(|field| Row {
        name: field.name,
        bits: bits(field.shift, field.width),
        value: shown.map(|word| u64::from(field.read(word))),
        values: field.values.iter().map(|(name, value)| (*name, u64::from(*value))).collect(),
        access: field.access.as_str(),
        doc: field.doc,
    });
    out.push_str(&table(rows.collect()));
    let json_fields = value.and_then(|value| {
        let chip = Chip::ALL.iter().find(|chip| chip.name() == chips[0])?;
        REGISTERS.iter().any(|one| std::ptr::eq(one, *register)).then(|| fields_json(register, *chip, value))
    });
    let json = json!({
        "name": register.name,
        "index": register.is_array.then_some(index),
        "chips": chips,
        "offset": offset,
        "access": access,
        "doc": register.doc,
        "source": register.source,
        "reset": reset,
        "fields": json_fields,
    });
    (out, json)
}

/// The fields that are not 0, as a dump shows them.
fn words(fields: &[&FieldInfo], value: u32) -> String {
    Decoded::of(fields.iter().copied(), value).to_string()
}

struct Row {
    name: &'static str,
    bits: String,
    value: Option<u64>,
    values: Vec<(&'static str, u64)>,
    access: &'static str,
    doc: &'static str,
}

/// A line for each field: its value, or where there is none the values that it can have.
fn table(rows: Vec<Row>) -> String {
    let mut table = Table::new(["bits", "field", "value", "access", ""]);
    for row in rows {
        let value = match row.value {
            Some(value) => match row.values.iter().find(|(_, known)| *known == value) {
                Some((name, _)) => format!("{value:#x} {name}"),
                None => format!("{value:#x}"),
            },
            None => row
                .values
                .iter()
                .map(|(name, value)| format!("{value:#x} {name}"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        table.row([&*row.bits, row.name, &*value, row.access, row.doc]);
    }
    if table.is_empty() { String::new() } else { format!("\n{}", table.render(2)) }
}

/// A word that is no register in the window.
fn word(word: &'static WordInfo, value: Option<u64>) -> Result<Report, Failure> {
    let largest = u64::MAX >> (64 - u32::from(word.bits));
    if value.is_some_and(|value| value > largest) {
        return Err(Failure::Usage(format!(
            "{} has {} bits, and the value does not fit",
            word.name, word.bits
        )));
    }
    let mut out = format!("{} ({}", word.name, word.folder);
    for (what, number) in
        [("device", word.device.map(u16::from)), ("page", word.page), ("address", word.address)]
    {
        if let Some(number) = number {
            let _ = write!(out, ", {what} {number:#x}");
        }
    }
    let _ = writeln!(out, ", {} bits, {}): {}", word.bits, word.access.as_str(), word.doc);
    if let Some(name) = word.datasheet {
        let _ = writeln!(out, "the datasheet's {name}");
    }
    let chips: Vec<_> = word.chips.iter().map(Chip::name).collect();
    let _ = writeln!(out, "of {}", chips.join(", "));
    let _ = writeln!(out, "source {}", word.source);
    if let Some(value) = value {
        let _ = writeln!(out, "\n{value:#0width$x}", width = usize::from(word.bits) / 4 + 2);
    }
    let shown = value.or(word.reset);
    let rows = word.fields.iter().map(|field| Row {
        name: field.name,
        bits: bits(field.shift, field.width),
        value: shown.map(|word| field.read(word)),
        values: field.values.to_vec(),
        access: field.access.as_str(),
        doc: field.doc,
    });
    out.push_str(&table(rows.collect()));
    let fields = word.fields.iter().map(|field| {
        let value = value.map(|value| field.read(value));
        let meaning = field.values.iter().find(|(_, known)| Some(*known) == value).map(|(name, _)| *name);
        json!({ "name": field.name, "value": value, "meaning": meaning })
    });
    let json = json!({
        "value": value,
        "word": {
            "name": word.name,
            "datasheet": word.datasheet,
            "folder": word.folder,
            "bits": word.bits,
            "device": word.device,
            "page": word.page,
            "address": word.address,
            "chips": chips,
            "access": word.access.as_str(),
            "doc": word.doc,
            "source": word.source,
            "fields": fields.collect::<Vec<_>>(),
        },
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
}
