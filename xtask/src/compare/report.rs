//! What came of the comparison: a line, JSON, and a page.

use super::{Fate, HEADERS, Headers, MAP, Map, Row};
use igb_codegen::model::Spec;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

fn count(rows: &[Row<'_>], which: impl Fn(&Fate<'_>) -> bool) -> usize {
    rows.iter().filter(|row| which(&row.fate)).count()
}

/// One line for the step.
pub(super) fn summary(headers: &Headers, rows: &[Row<'_>]) -> String {
    format!(
        "{}: {} numbers are the same, {} differ and are settled, {} are only there",
        headers.version,
        count(rows, |fate| matches!(fate, Fate::Same(_))),
        count(rows, |fate| matches!(fate, Fate::Settled(..))),
        count(rows, |fate| matches!(fate, Fate::OnlyTheirs(_))),
    )
}

/// Every name with its fate.
pub(super) fn json(headers: &Headers, map: &Map, rows: &[Row<'_>]) -> Value {
    let entry = |row: &Row<'_>| {
        let (fate, detail) = match &row.fate {
            Fate::Same(target) => ("same", json!(target)),
            Fate::Settled(settled, difference) => (
                "settled",
                json!({ "ours": settled.ours, "value": difference.ours, "reason": settled.reason }),
            ),
            Fate::OnlyTheirs(group) => ("only theirs", json!(map.only_theirs[*group].reason)),
            Fate::Unknown(candidates) => ("unknown", json!(candidates)),
            Fate::Wrong(what) => ("wrong", json!(what)),
        };
        json!({ "header": row.header, "name": row.name, "value": row.value.as_ref().ok(), "fate": fate, "detail": detail })
    };
    json!({ "version": headers.version, "names": rows.iter().map(entry).collect::<Vec<_>>() })
}

/// The page that is checked in. It has nothing of the headers but names and numbers.
pub(super) fn page(spec: &Spec, headers: &Headers, map: &Map, rows: &[Row<'_>]) -> String {
    let mut page = String::new();
    let out = &mut page;
    let _ = writeln!(
        out,
        "# specs/ and DPDK's e1000 headers\n\n\
         Written by `cargo xtask compare --write`; reasons and names stand in [{MAP}](../{MAP}).\n\n\
         Every constant of {} headers of {} (BSD-3-Clause, fetched as Debian's source package, not part of this tree) is\n\
         compared with ours: offsets element by element on every chip, masks, shifts, values, PCI device IDs.\n",
        HEADERS.len() + 1,
        headers.version
    );
    let _ = writeln!(out, "| what became of a name | names |\n|---|---|");
    let _ =
        writeln!(out, "| the same number on both sides | {} |", count(rows, |f| matches!(f, Fate::Same(_))));
    let _ =
        writeln!(out, "| different, settled below | {} |", count(rows, |f| matches!(f, Fate::Settled(..))));
    let _ =
        writeln!(out, "| only there, listed below | {} |", count(rows, |f| matches!(f, Fate::OnlyTheirs(_))));

    let _ = writeln!(out, "\n## Differences\n\n| name | there | here | | why |\n|---|---|---|---|---|");
    for row in rows {
        if let Fate::Settled(settled, difference) = &row.fate {
            let (theirs, ours) = (&difference.theirs, &difference.ours);
            let _ = writeln!(
                out,
                "| `{}` | {theirs} | {ours} | `{}` | {} |",
                row.name, settled.ours, settled.reason
            );
        }
    }

    let _ = writeln!(out, "\n## Only there");
    for (index, group) in map.only_theirs.iter().enumerate() {
        let names: BTreeSet<&str> = rows
            .iter()
            .filter(|row| matches!(row.fate, Fate::OnlyTheirs(of) if of == index))
            .map(|row| row.name)
            .collect();
        let _ = writeln!(out, "\n### {} ({})\n", group.reason, names.len());
        wrapped(out, names);
    }

    let _ = writeln!(out, "\n## Only here\n\nRegisters, then fields of registers that both sides have.\n");
    let named: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| match &row.fate {
            Fate::Same(target) => parts(target),
            Fate::Settled(settled, _) => parts(&settled.ours),
            _ => Vec::new(),
        })
        .collect();
    let lacking = |(_, register): &(_, &igb_codegen::model::Register)| !named.contains(&register.name);
    wrapped(out, spec.registers().filter(lacking).map(|(_, register)| register.name.as_str()));
    out.push('\n');
    for (_, register) in spec.registers().filter(|one| !lacking(one)) {
        let fields = register.fields.iter().map(|field| format!("{}.{}", register.name, field.name));
        let fields: Vec<String> = fields.filter(|field| !named.contains(field)).collect();
        if !fields.is_empty() {
            let short = fields.iter().filter_map(|field| field.split_once('.')).map(|(_, field)| field);
            wrapped(out, [format!("{}:", register.name)].iter().map(String::as_str).chain(short));
            out.push('\n');
        }
    }
    page.truncate(page.trim_end().len());
    page + "\n"
}

/// The registers and fields that a target names.
fn parts(target: &str) -> Vec<String> {
    let plain = target.split_whitespace().next_back().unwrap_or_default();
    let (plain, _) = plain.split_once('=').unwrap_or((plain, ""));
    let (register, fields) = plain.split_once('.').unwrap_or((plain, ""));
    let register = register.split('[').next().unwrap_or(register);
    let fields = fields.split('+').filter(|field| !field.is_empty());
    let fields = fields.map(|field| format!("{register}.{}", field.split('[').next().unwrap_or(field)));
    [register.to_owned()].into_iter().chain(fields).collect()
}

/// Words in lines of at most 120 columns.
fn wrapped<'a>(out: &mut String, words: impl IntoIterator<Item = &'a str>) {
    let mut column = 0;
    for word in words {
        if column + word.len() >= 120 {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
}
