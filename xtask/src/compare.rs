//! Compares specs/ with a second description of the same chips, number by number.
//!
//! The second one is Intel's shared code as DPDK has it (BSD-3-Clause): its headers are fetched as Debian's source
//! package and read where they are unpacked; nothing of them is in this tree. Every constant in them is either one of
//! ours, by rule or by `xtask/compare/dpdk.yaml`, or listed there with the reason why it is not. What both sides have
//! must be the same number, or the difference is settled there with a reason. `docs/registers-vs-dpdk.md` is what comes
//! of it, for people.

mod cpp;
mod ours;
mod report;

use crate::run::Console;
use crate::{Error, Result, While, apt::Apt, cache, metadata};
use clap::Args;
use cpp::{Define, Names};
use igb_codegen::model::Spec;
use ours::Difference;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What to do with the comparison.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Writes docs/registers-vs-dpdk.md anew
    #[arg(long)]
    write: bool,
    /// Prints every name with what became of it, as JSON
    #[arg(long, conflicts_with = "write")]
    json: bool,
}

/// The oldest release with what is needed, and the one whose source packages change least.
const SUITE: &str = "bookworm";
/// The number counts changes of what the cached folder holds.
const CACHED: &str = "dpdk-headers/1";
/// Where the headers are, by release of DPDK.
const FOLDERS: [&str; 2] = ["drivers/net/e1000/base", "drivers/net/intel/e1000/base"];
/// The headers that describe these chips. The others are about older and newer ones.
const HEADERS: [&str; 9] = [
    "e1000_regs.h",
    "e1000_defines.h",
    "e1000_82575.h",
    "e1000_i210.h",
    "e1000_mbx.h",
    "e1000_vf.h",
    "e1000_base.h",
    "e1000_manage.h",
    "e1000_phy.h",
];
/// Of this header only the PCI device IDs are looked at: the rest is about the driver itself.
const DEVICES: (&str, &str) = ("e1000_hw.h", "E1000_DEV_ID_");
/// What the first line of each must say.
const LICENCE: &str = "SPDX-License-Identifier: BSD-3-Clause";
const MAP: &str = "xtask/compare/dpdk.yaml";
const PAGE: &str = "docs/registers-vs-dpdk.md";

/// `xtask/compare/dpdk.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    /// What of ours a name is, where the rule does not find it or finds something else.
    same: BTreeMap<String, String>,
    /// Where both sides differ, and why ours is kept.
    settled: Vec<Settled>,
    /// What only the other side has.
    only_theirs: Vec<Theirs>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settled {
    name: String,
    ours: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Theirs {
    reason: String,
    /// Names; one that ends with `*` stands for all that begin so.
    names: Vec<String>,
}

/// The other side.
struct Headers {
    version: String,
    /// With the header that each stands in.
    defines: Vec<(&'static str, Define)>,
    names: Names,
}

/// What became of one name.
#[derive(Debug)]
enum Fate<'a> {
    Same(String),
    Settled(&'a Settled, Difference),
    OnlyTheirs(usize),
    /// With what of ours has the same number.
    Unknown(Vec<String>),
    Wrong(String),
}

struct Row<'a> {
    header: &'static str,
    name: &'a str,
    define: &'a Define,
    value: core::result::Result<u32, String>,
    fate: Fate<'a>,
}

/// Compares; with a difference that nobody settled, or a settlement that settles nothing, it fails.
pub(crate) fn run(console: &mut Console, options: &Options) -> Result<()> {
    let root = metadata::root();
    let spec = crate::codegen::load(root)?;
    let map = read(&root.join(MAP))?;
    let headers = fetch(console)?;
    let rows = judge(&spec, &map, &headers);
    if options.json {
        println!("{:#}", report::json(&headers, &map, &rows));
        return Ok(());
    }
    let mut wrong = complaints(&spec, &map, &rows);
    let page = report::page(&spec, &headers, &map, &rows);
    let path = root.join(PAGE);
    if options.write {
        fs::write(&path, &page).during(|| format!("writing {}", path.display()))?;
    } else if !fs::read_to_string(&path).is_ok_and(|found| found == page) {
        wrong.push(format!("{PAGE} is not what the comparison gives; run `cargo xtask compare --write`"));
    }
    if wrong.is_empty() {
        println!("{}", report::summary(&headers, &rows));
        Ok(())
    } else {
        Err(Error::Failed(format!("specs/ and {} differ:\n{}", headers.version, wrong.join("\n"))))
    }
}

/// As a step of the tests.
pub(crate) fn step(console: &mut Console) -> Result<()> {
    run(console, &Options { write: false, json: false })
}

fn read(path: &Path) -> Result<Map> {
    let text = fs::read_to_string(path).during(|| format!("reading {}", path.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
}

fn fetch(console: &mut Console) -> Result<Headers> {
    let folder = cache::entry(CACHED, |folder| {
        let work = folder.join("apt");
        let apt = Apt::of_sources(console, &work, SUITE)?;
        let root = folder.join("source");
        let archive = apt.unpack_source(console, "dpdk", "*/e1000/base/*.h", &root)?;
        fs::remove_dir_all(&work).during(|| format!("removing {}", work.display()))?;
        let version = archive.split(".orig").next().unwrap_or(&archive).replace('_', " ");
        fs::write(folder.join("version"), version + "\n").during(|| "writing the version".into())
    })?;
    let version = fs::read_to_string(folder.join("version")).during(|| "reading the version".into())?;
    let place = FOLDERS.iter().map(|place| folder.join("source").join(place)).find(|place| place.is_dir());
    let place = place.ok_or_else(|| {
        Error::Missing(format!(
            "the sources of dpdk hold no e1000 headers; delete {} and try again",
            folder.display()
        ))
    })?;
    let mut headers =
        Headers { version: version.trim().into(), defines: Vec::new(), names: Names::default() };
    for header in HEADERS.into_iter().chain([DEVICES.0]) {
        let text = header_text(&place.join(header))?;
        for define in cpp::defines(&text) {
            headers.names.add(define.clone());
            let again = headers.defines.iter().any(|(_, known)| *known == define);
            if !again && (header != DEVICES.0 || define.name.starts_with(DEVICES.1)) {
                headers.defines.push((header, define));
            }
        }
    }
    Ok(headers)
}

/// A header, if its licence lets everybody read and use it.
fn header_text(path: &PathBuf) -> Result<String> {
    let text = fs::read_to_string(path).during(|| format!("reading {}", path.display()))?;
    if text.lines().next().is_some_and(|line| line.contains(LICENCE)) {
        Ok(text)
    } else {
        Err(Error::Failed(format!(
            "{}: its first line does not say {LICENCE}; it is not used",
            path.display()
        )))
    }
}

fn judge<'a>(spec: &Spec, map: &'a Map, headers: &'a Headers) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (header, define) in &headers.defines {
        let name = define.name.as_str();
        let arguments: &[i64] = if define.parameters.is_some() { &[0] } else { &[] };
        let value = headers.names.value(define, arguments);
        let settled = map.settled.iter().find(|settled| settled.name == name);
        let target = map.same.get(name).cloned();
        let theirs =
            map.only_theirs.iter().position(|group| group.names.iter().any(|known| covers(known, name)));
        let target = target.or_else(|| theirs.is_none().then(|| ours::by_rule(spec, define)).flatten());
        let fate = match (settled, target, theirs) {
            (Some(settled), ..) => match ours::compare(spec, &headers.names, define, &settled.ours) {
                Ok(Some(difference)) => Fate::Settled(settled, difference),
                Ok(None) => {
                    Fate::Wrong(format!("is settled as different from {}, but is the same", settled.ours))
                }
                Err(wrong) => Fate::Wrong(wrong),
            },
            (None, Some(target), _) => match ours::compare(spec, &headers.names, define, &target) {
                Ok(None) => Fate::Same(target),
                Ok(Some(difference)) => Fate::Wrong(format!(
                    "{} is {}, and {target} is {}",
                    name, difference.theirs, difference.ours
                )),
                Err(wrong) => Fate::Wrong(format!("{target}: {wrong}")),
            },
            (None, None, Some(group)) => Fate::OnlyTheirs(group),
            (None, None, None) => Fate::Unknown(ours::candidates(spec, &headers.names, define)),
        };
        rows.push(Row { header, name, define, value, fate });
    }
    rows
}

fn covers(known: &str, name: &str) -> bool {
    known.strip_suffix('*').map_or(known == name, |start| name.starts_with(start))
}

/// Everything that somebody has to look at.
fn complaints(spec: &Spec, map: &Map, rows: &[Row<'_>]) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows {
        match &row.fate {
            Fate::Wrong(what) => wrong.push(format!("{}: {}: {what}", row.header, row.name)),
            Fate::Unknown(candidates) => {
                let value = match &row.value {
                    Ok(value) => format!("{value:#x}"),
                    Err(why) => format!("no number, {why}"),
                };
                let hint = if candidates.is_empty() {
                    String::new()
                } else {
                    format!("; {}?", candidates.join(", "))
                };
                wrong.push(format!(
                    "{}: {} ({value}) is nothing of ours and not in {MAP}{hint}",
                    row.header, row.name
                ));
            }
            _ => {}
        }
    }
    // What the map says and nobody needs.
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    let listed = map.same.keys().chain(map.settled.iter().map(|settled| &settled.name));
    let grouped = map.only_theirs.iter().flat_map(|group| &group.names);
    for name in listed.chain(grouped) {
        if !names.iter().any(|known| covers(name, known)) {
            wrong.push(format!("{MAP}: {name} is in none of the headers"));
        }
    }
    let exact = map.only_theirs.iter().flat_map(|group| &group.names).filter(|name| !name.ends_with('*'));
    for name in exact {
        let row = rows.iter().find(|row| row.name == name && matches!(row.fate, Fate::OnlyTheirs(_)));
        if let Some(target) = row.and_then(|row| ours::by_rule(spec, row.define)) {
            wrong.push(format!("{MAP}: {name} is listed as only theirs, and is {target}"));
        }
    }
    for (name, target) in &map.same {
        let row = rows.iter().find(|row| row.name == name);
        if row.is_some_and(|row| ours::by_rule(spec, row.define).as_ref() == Some(target)) {
            wrong.push(format!("{MAP}: {name} is found without being listed under `same`"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Headers {
        let mut headers = Headers { version: "test 1".into(), defines: Vec::new(), names: Names::default() };
        for define in cpp::defines(text) {
            headers.names.add(define.clone());
            headers.defines.push(("x.h", define));
        }
        headers
    }

    fn said(text: &str, map: &str) -> Vec<String> {
        let spec = crate::codegen::load(metadata::root()).unwrap();
        let map: Map = serde_saphyr::from_str(map).unwrap();
        complaints(&spec, &map, &judge(&spec, &map, &headers(text)))
    }

    const EMPTY: &str = "same: {}\nsettled: []\nonly_theirs: []\n";

    #[test]
    fn what_has_the_same_name_must_have_the_same_number() {
        let fine = "#define E1000_STATUS 0x00008\n#define E1000_STATUS_LU 0x2\n#define E1000_RDT(_n) ((_n) < 4 ? (0x02818 + \
                    ((_n) * 0x100)) : (0x0C018 + ((_n) * 0x40)))\n";
        assert_eq!(said(fine, EMPTY), [""; 0]);
        assert_eq!(
            said("#define E1000_STATUS 0x0000C\n", EMPTY)[0],
            "x.h: E1000_STATUS: E1000_STATUS is 0xc, and STATUS is 0x8 on 82575 82576 82580 i350 i354 i210 i211"
        );
        assert!(said("#define E1000_STATUS_LU 0x4\n", EMPTY)[0].contains("is 0x4, and STATUS.LU is 0x2"));
        let array = fine.replace("0x0C018", "0x0C01C");
        assert!(said(&array, EMPTY)[0].contains("E1000_RDT is 0xc11c for [4], and RDT is 0xc118 on 82576"));
    }

    #[test]
    fn a_name_that_nobody_listed_is_told_with_what_it_may_be() {
        let said = said("#define E1000_STATUS_LINK 0x2\n", EMPTY);
        assert_eq!(
            said,
            [format!("x.h: E1000_STATUS_LINK (0x2) is nothing of ours and not in {MAP}; STATUS.LU?")]
        );
    }

    #[test]
    fn a_settlement_settles_a_difference_that_is_there() {
        let map =
            "same: {}\nsettled: [{ name: E1000_STATUS_LU, ours: STATUS.LU, reason: why }]\nonly_theirs: []\n";
        assert_eq!(said("#define E1000_STATUS_LU 0x4\n", map), [""; 0]);
        assert!(said("#define E1000_STATUS_LU 0x2\n", map)[0].contains("but is the same"));
        assert!(
            said("#define E1000_STATUS 8\n", map)[0].contains("E1000_STATUS_LU is in none of the headers")
        );
    }

    #[test]
    fn a_header_under_another_licence_is_not_read() {
        let path = std::env::temp_dir().join(format!("igb-compare-{}.h", std::process::id()));
        fs::write(&path, "/* SPDX-License-Identifier: GPL-2.0 */\n#define A 1\n").unwrap();
        let error = header_text(&path).unwrap_err().to_string();
        fs::remove_file(&path).unwrap();
        assert!(error.contains("it is not used"), "{error}");
    }
}
