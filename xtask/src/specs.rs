//! What the description covers: names, fields, chips, access kinds, sources, counted; and that it covers every register
//! name of Linux's igb driver, each at its offset.

use crate::{Error, Result, While, metadata};
use igb_codegen::model::{Access, ChipSet, Register, Spec, Words};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A name of Linux's header, and what it is here.
struct Name<'a> {
    theirs: &'a str,
    offset: u32,
    ours: &'a str,
}

/// Reads `NAME OFFSET` or `NAME OFFSET = REGISTER` a line.
fn names(text: &str) -> Result<Vec<Name<'_>>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let name = |line: &'_ str| -> Option<(usize, u32)> {
        let mut words = line.split_whitespace();
        let theirs = words.next()?;
        let offset = u32::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        Some((theirs.len(), offset))
    };
    lines
        .map(|line| {
            let wrong =
                || Error::Failed(format!("specs/linux-names.txt: `{line}` is no `NAME OFFSET [= REGISTER]`"));
            let (length, offset) = name(line).ok_or_else(wrong)?;
            let theirs = &line[..length];
            let ours = line.split_once(" = ").map_or(theirs, |(_, ours)| ours.trim());
            Ok(Name { theirs, offset, ours })
        })
        .collect()
}

/// The names that have no register at their offset, each with what is wrong.
fn uncovered(spec: &Spec, names: &[Name<'_>]) -> Vec<String> {
    let registers: BTreeMap<_, _> = spec.registers().map(|(_, one)| (one.name.as_str(), one)).collect();
    let at = |register: &Register, offset: u32| {
        let pieces = register.places.iter().flat_map(|place| place.pieces.iter().chain(&place.aliases));
        pieces.flat_map(|piece| piece.offsets()).any(|(_, one)| one == offset)
    };
    let wrong = |name: &Name<'_>| match registers.get(name.ours) {
        None => Some(format!("{}: no register `{}`", name.theirs, name.ours)),
        Some(register) if !at(register, name.offset) => {
            Some(format!("{}: `{}` is never at {:#07x}", name.theirs, name.ours, name.offset))
        }
        Some(_) => None,
    };
    names.iter().filter_map(wrong).collect()
}

/// Everything that is counted of one description.
fn counts(spec: &Spec) -> Value {
    let registers: Vec<_> = spec.registers().map(|(_, one)| one).collect();
    let kind =
        |access: Access| serde_json::to_value(access).ok().and_then(|kind| kind.as_str().map(str::to_owned));
    let mut kinds = BTreeMap::<String, usize>::new();
    let (mut with_fields, mut values, mut resets) = (0, 0, 0);
    for register in &registers {
        let accesses = register.fields.iter().map(|field| field.access);
        let whole = register.fields.is_empty().then_some(register.access);
        for access in accesses.chain(whole) {
            *kinds.entry(kind(access).unwrap_or_default()).or_default() += 1;
        }
        with_fields += usize::from(!register.fields.is_empty());
        values += register.fields.iter().map(|field| field.values.len()).sum::<usize>();
        resets += usize::from(register.places.iter().any(|place| place.reset.is_some()));
    }
    let chips = spec.chips.iter().enumerate().map(|(number, chip)| {
        let on = |set: ChipSet| set.contains(number);
        let here = registers.iter().filter(|register| on(register.chips));
        let places = here.clone().flat_map(|one| one.places.iter().filter(|place| on(place.chips)));
        let elements: usize =
            places.flat_map(|place| &place.pieces).map(|piece| usize::from(piece.count)).sum();
        let fields: usize =
            here.clone().map(|one| one.fields.iter().filter(|field| on(field.chips)).count()).sum();
        (chip.name.clone(), json!({ "registers": here.count(), "elements": elements, "fields": fields }))
    });
    let words = spec.words.iter().map(|(folder, groups)| (folder.clone(), word_counts(groups)));
    let fields: usize = registers.iter().map(|one| one.fields.len()).sum();
    json!({
        "registers": registers.len(),
        "with_fields": with_fields,
        "fields": fields,
        "values": values,
        "with_reset_value": resets,
        "access": kinds,
        "chips": chips.collect::<serde_json::Map<_, _>>(),
        "words": words.collect::<serde_json::Map<_, _>>(),
        "sources": sources(spec),
        "without_source": without_source(spec),
    })
}

fn word_counts(groups: &[Words]) -> Value {
    let words = groups.iter().flat_map(|group| &group.words);
    json!({ "words": words.clone().count(), "fields": words.map(|word| word.fields.len()).sum::<usize>() })
}

/// How many registers and fields lean on each source; a field without one of its own leans on its register's.
fn sources(spec: &Spec) -> BTreeMap<&str, Value> {
    let mut leaning: BTreeMap<&str, [usize; 2]> =
        spec.sources.keys().map(|id| (id.as_str(), [0; 2])).collect();
    for (_, register) in spec.registers() {
        let fields =
            register.fields.iter().map(|field| (1, field.source.as_deref().unwrap_or(&register.source)));
        for (what, text) in fields.chain([(0, register.source.as_str())]) {
            let ids: BTreeSet<_> =
                text.split(';').filter_map(|entry| entry.split_whitespace().next()).collect();
            for id in ids {
                if let Some(counts) = leaning.get_mut(id) {
                    counts[what] += 1;
                }
            }
        }
    }
    leaning
        .into_iter()
        .map(|(id, [registers, fields])| (id, json!({ "registers": registers, "fields": fields })))
        .collect()
}

/// The loader refuses what has no source; that nothing slipped through is counted here from the result.
fn without_source(spec: &Spec) -> usize {
    let of = |source: &str, fields: &[igb_codegen::model::Field]| {
        let own =
            fields.iter().filter(|field| field.source.as_deref().unwrap_or(source).trim().is_empty()).count();
        own + usize::from(source.trim().is_empty())
    };
    let registers: usize = spec.registers().map(|(_, one)| of(&one.source, &one.fields)).sum();
    let words = spec.words.values().flatten().flat_map(|group| &group.words);
    registers + words.map(|word| of(&word.source, &word.fields)).sum::<usize>()
}

/// The report, and whether it is as it must be.
fn report(root: &Path) -> Result<(Value, Vec<String>)> {
    let load = |below: &str| {
        igb_codegen::load(&root.join(below)).map_err(|diagnostics| Error::Failed(diagnostics.to_string()))
    };
    let (spec, functions) = (load("specs")?, load("specs/vf")?);
    let path = root.join("specs/linux-names.txt");
    let text = std::fs::read_to_string(&path).during(|| path.display().to_string())?;
    let names = names(&text)?;
    let mut wrong = uncovered(&spec, &names);
    let covered = names.len() - wrong.len();
    for (what, spec) in [("specs", &spec), ("specs/vf", &functions)] {
        match without_source(spec) {
            0 => {}
            n => wrong.push(format!("{what}: {n} registers and fields without a source")),
        }
    }
    let report = json!({
        "linux_names": { "covered": covered, "of": names.len() },
        "physical_function": counts(&spec),
        "virtual_function": counts(&functions),
    });
    Ok((report, wrong))
}

/// `cargo xtask specs`: the report for people, or as JSON. Fails where a name is not covered.
pub(crate) fn run(json: bool) -> Result<()> {
    let (report, wrong) = report(metadata::root())?;
    if json {
        println!("{report:#}");
    } else {
        print(&report);
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Failed(wrong.join("\n"))) }
}

fn print(report: &Value) {
    let names = &report["linux_names"];
    println!("{} of {} register names of Linux's igb", names["covered"], names["of"]);
    for (title, key) in [("physical function", "physical_function"), ("virtual function", "virtual_function")]
    {
        let part = &report[key];
        println!(
            "\n{title}: {} registers, {} of them with fields; {} fields, {} named values; {} with a value after reset; {} without a source",
            part["registers"],
            part["with_fields"],
            part["fields"],
            part["values"],
            part["with_reset_value"],
            part["without_source"]
        );
        let row = |name: &str, cells: &[&Value]| {
            println!(
                "  {name:<14}{}",
                cells.iter().map(|cell| format!("{:>10}", cell.to_string())).collect::<String>()
            );
        };
        let each = |key: &str, columns: &[&str]| {
            let Some(rows) = part[key].as_object().filter(|rows| !rows.is_empty()) else { return };
            println!(
                "  {key:<14}{}",
                columns.iter().map(|column| format!("{column:>10}")).collect::<String>()
            );
            for (name, value) in rows {
                row(name, &columns.iter().map(|column| &value[*column]).collect::<Vec<_>>());
            }
        };
        each("chips", &["registers", "elements", "fields"]);
        each("sources", &["registers", "fields"]);
        each("words", &["words", "fields"]);
        let kinds = part["access"].as_object().into_iter().flatten();
        println!(
            "  access        {}",
            kinds.map(|(kind, n)| format!("{kind} {n}")).collect::<Vec<_>>().join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_covered_and_everything_has_a_source() {
        let (report, wrong) = report(metadata::root()).unwrap();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(report["linux_names"], json!({ "covered": 294, "of": 294 }));
        assert_eq!(report["physical_function"]["without_source"], 0);
    }

    #[test]
    fn a_name_at_another_place_is_told() {
        let spec = igb_codegen::load(&metadata::root().join("specs")).unwrap();
        let text = "CTRL 0x00000\nSTATUS 0x00004\nNOSUCH 0x00000\nIVAR0 0x01700 = IVAR\n";
        let wrong = uncovered(&spec, &names(text).unwrap());
        assert_eq!(wrong, ["STATUS: `STATUS` is never at 0x00004", "NOSUCH: no register `NOSUCH`"]);
        assert!(names("CTRL").is_err() && names("CTRL 12").is_err());
    }
}
