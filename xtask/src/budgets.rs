//! What the generated registers cost those who depend on them: time to compile, size, pages of documentation.
//!
//! Everything is built cold, in a folder of its own. Time is that of the processors, children included: it hardly
//! depends on what else the machine does, which the clock does. The limits are held on every run; the figures that are
//! checked in with them are those of the last `--write`.

use crate::run::{self, Console};
use crate::{Error, Result, While, metadata};
use clap::Args;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What to do with what was measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Writes docs/budgets.md anew
    #[arg(long)]
    write: bool,
}

const PAGE: &str = "docs/budgets.md";
const CRATE: &str = "igb-regs";
/// Ten seconds on two processors.
const RELEASE_SECONDS: f64 = 20.0;
const RLIB_BYTES: u64 = 15_000_000;
const DOC_FILES: u64 = 3_000;

/// What was measured, without and with the tables of the feature `meta`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cost {
    check_seconds: f64,
    release_seconds: f64,
    rlib_bytes: u64,
    doc_files: u64,
}

/// As a step of the tests.
pub(crate) fn step(console: &mut Console) -> Result<()> {
    run(console, &Options { write: false })
}

/// Measures, and holds the limits.
pub(crate) fn run(console: &mut Console, options: &Options) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Err(Error::Skipped("the processors' time is read from Linux's /proc".into()));
    }
    let plain = measure(console, &[])?;
    let all = measure(console, &["--all-features"])?;
    println!(
        "{CRATE} with all features: check {:.1} s, release {:.1} s of the processors, rlib {:.1} MB, {} files of documentation",
        all.check_seconds,
        all.release_seconds,
        megabytes(all.rlib_bytes),
        all.doc_files
    );
    let path = metadata::root().join(PAGE);
    if options.write {
        fs::write(&path, page(&plain, &all)).during(|| format!("writing {}", path.display()))?;
    } else if !path.is_file() {
        return Err(Error::Failed(format!("{PAGE} is missing; run `cargo xtask budgets --write`")));
    }
    let wrong = exceeded(&all);
    if wrong.is_empty() { Ok(()) } else { Err(Error::Failed(wrong.join("\n"))) }
}

fn measure(console: &mut Console, features: &[&str]) -> Result<Cost> {
    let target = metadata::root().join("target/budgets");
    if target.exists() {
        fs::remove_dir_all(&target).during(|| format!("emptying {}", target.display()))?;
    }
    let mut cargo = |title: &str, words: &[&str]| -> Result<f64> {
        let before = children_seconds()?;
        let mut cargo = run::cargo();
        cargo.args(words).args(["--quiet", "--package", CRATE]).args(features);
        cargo.env("CARGO_TARGET_DIR", &target).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        run::quiet(console, title, &mut cargo)?;
        Ok(children_seconds()? - before)
    };
    let check_seconds = cargo("checking igb-regs cold", &["check"])?;
    let release_seconds = cargo("building igb-regs cold", &["build", "--release"])?;
    cargo("documenting igb-regs", &["doc", "--no-deps"])?;
    let rlib = target.join("release/libigb_regs.rlib");
    let rlib_bytes = fs::metadata(&rlib).during(|| format!("looking at {}", rlib.display()))?.len();
    let doc_files = files(&target.join("doc/igb_regs"))?;
    fs::remove_dir_all(&target).during(|| format!("removing {}", target.display()))?;
    Ok(Cost { check_seconds, release_seconds, rlib_bytes, doc_files })
}

/// The processors' time of all children that have ended.
fn children_seconds() -> Result<f64> {
    let path = "/proc/self/stat";
    let text = fs::read_to_string(path).during(|| format!("reading {path}"))?;
    ticks(&text).map(|ticks| ticks as f64 / 100.0).ok_or_else(|| Error::Failed(format!("{path}: {text}")))
}

/// Hundredths of seconds: the 16th and 17th word, counted behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut next = || words.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn files(folder: &Path) -> Result<u64> {
    let reading = || format!("reading {}", folder.display());
    let mut count = 0;
    for entry in fs::read_dir(folder).during(reading)? {
        let entry = entry.during(reading)?;
        count += if entry.file_type().during(reading)?.is_dir() { files(&entry.path())? } else { 1 };
    }
    Ok(count)
}

fn exceeded(cost: &Cost) -> Vec<String> {
    let mut wrong = Vec::new();
    if cost.release_seconds > RELEASE_SECONDS {
        let seconds = cost.release_seconds;
        wrong.push(format!(
            "a release build of {CRATE} takes {seconds:.1} s of the processors; the limit is {RELEASE_SECONDS:.0}"
        ));
    }
    if cost.rlib_bytes > RLIB_BYTES {
        let (size, limit) = (megabytes(cost.rlib_bytes), megabytes(RLIB_BYTES));
        wrong.push(format!("the rlib of {CRATE} has {size:.1} MB; the limit is {limit:.0}"));
    }
    if cost.doc_files > DOC_FILES {
        let files = cost.doc_files;
        wrong.push(format!("the documentation of {CRATE} has {files} files; the limit is {DOC_FILES}"));
    }
    wrong
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn page(plain: &Cost, all: &Cost) -> String {
    let mut page = format!(
        "# What depending on {CRATE} costs\n\n\
         Written by `cargo xtask budgets --write`; `cargo xtask test` measures again and holds the limits. Everything is built\n\
         cold, {CRATE}'s only dependency included. Time is that of the processors, all of them together.\n\n\
         | | without features | with all features | limit |\n|---|---|---|---|\n"
    );
    let mut row = |what: &str, figure: fn(&Cost) -> String, limit: &str| {
        let _ = writeln!(page, "| {what} | {} | {} | {limit} |", figure(plain), figure(all));
    };
    row("`cargo check`", |cost| format!("{:.1} s", cost.check_seconds), "");
    let limit = format!("{RELEASE_SECONDS:.0} s: ten on two processors");
    row("`cargo build --release`", |cost| format!("{:.1} s", cost.release_seconds), &limit);
    let limit = format!("{:.0} MB", megabytes(RLIB_BYTES));
    row("rlib, release", |cost| format!("{:.1} MB", megabytes(cost.rlib_bytes)), &limit);
    row("files of documentation", |cost| cost.doc_files.to_string(), &DOC_FILES.to_string());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_children_stands_behind_the_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 130 25 20 0 1";
        assert_eq!(ticks(stat), Some(155));
        assert_eq!(ticks("7 (x) S 1"), None);
    }

    #[test]
    fn each_limit_is_held() {
        let fine =
            Cost { check_seconds: 1.0, release_seconds: 20.0, rlib_bytes: 15_000_000, doc_files: 3_000 };
        assert!(exceeded(&fine).is_empty());
        let over = Cost { release_seconds: 20.1, rlib_bytes: 15_000_001, doc_files: 3_001, ..fine };
        assert_eq!(exceeded(&over).len(), 3);
    }
}
