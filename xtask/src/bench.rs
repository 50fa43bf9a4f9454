//! What the hot path costs, counted, and compared with the table in `docs/benchmarks.md`.
//!
//! Instructions are counted by callgrind through gungraun; the valgrind and the runner that it needs are put into the
//! cache where the machine has none. Register accesses and allocations are counted by a program of their own.

use crate::run::{self, Console};
use crate::{Error, Result, While, apt::Apt, cache, guest, metadata};
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to do with the counts.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Writes the table rather than comparing with it
    #[arg(long)]
    update: bool,
    /// Counts in the Linux guest, over VFIO, rather than on a device that is memory only
    #[arg(long)]
    guest: bool,
}

const TABLE: &str = "docs/benchmarks.md";
const BATCHES: [u32; 4] = [1, 8, 32, 64];
/// Frames that `bench/benches/instructions.rs` moves inside its windows.
const FRAMES: f64 = 4096.0;
/// How much worse is too much: 2 %.
const TOLERANCE: f64 = 1.02;
/// What the table's rounding hides.
const ROUNDING: f64 = 0.00001;

/// Names in programs, names in the table, in its order.
const CASES: [(&str, &str); 9] = [
    ("rx_drop", "RX, drop"),
    ("rx_ethertype", "RX, read the EtherType, drop"),
    ("tx_again", "TX of the same frames again: push and completion"),
    ("tx", "TX, with taking and giving the buffer"),
    ("tx_known_context", "the same, with a checksum whose context the device keeps"),
    ("tx_new_context", "the same, with a context written for every frame"),
    ("echo", "echo (RX and TX of one queue)"),
    ("forward", "forward between two devices"),
    ("forward_through_pool", "the same, buffers home through the shared pool"),
];

/// The step of the tests.
pub(crate) fn check(console: &mut Console) -> Result<()> {
    run(console, &Options { update: false, guest: false })
}

/// The step of the tests in the guest.
pub(crate) fn check_guest(console: &mut Console) -> Result<()> {
    run(console, &Options { update: false, guest: true })
}

/// Counts, prints, and compares or writes.
pub(crate) fn run(console: &mut Console, options: &Options) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Error::Skipped("the table is of x86-64 Linux".into()));
    }
    if options.guest {
        return guest::count(console, &metadata::root().join(TABLE), options.update);
    }
    let mut counts = accesses(console)?;
    instructions(console, &mut counts)?;
    let rustc = rustc()?;
    let text = table(&counts, &rustc);
    for line in text.lines().filter(|line| line.starts_with('|')) {
        println!("{line}");
    }
    let path = metadata::root().join(TABLE);
    if options.update {
        // What was counted in the guest stays as it is.
        let old = fs::read_to_string(&path).unwrap_or_default();
        let rest = old.find(guest::HEADING).map_or("", |at| &old[at..]);
        let text = if rest.is_empty() { text } else { format!("{text}\n{rest}") };
        return fs::write(&path, text).during(|| format!("writing {TABLE}"));
    }
    let old = fs::read_to_string(&path)
        .during(|| format!("reading {TABLE}; `cargo xtask bench --update` writes it"))?;
    compare(&old, &text, &counts, &rustc)
}

/// What was counted in one case at one batch, a frame.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Count {
    instructions: f64,
    locked: f64,
    reads: f64,
    doorbells: f64,
    others: f64,
    allocations: f64,
}

type Counts = BTreeMap<(String, u32), Count>;

fn accesses(console: &mut Console) -> Result<Counts> {
    let mut cargo = run::cargo();
    cargo.args(["bench", "--quiet", "--package", "igb-bench", "--bench", "accesses"]).env_remove("RUSTFLAGS");
    let text = run::quiet(console, "counting register accesses", &mut cargo)?;
    let mut counts = Counts::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, batch, frames, reads, doorbells, others, allocations] = words[..] else { continue };
        let (Ok(batch), Ok(frames)) = (batch.parse(), frames.parse::<f64>()) else { continue };
        let each = |word: &str| word.parse::<f64>().unwrap_or(f64::NAN) / frames;
        let count = Count {
            reads: each(reads),
            doorbells: each(doorbells),
            others: each(others),
            allocations: each(allocations),
            ..Count::default()
        };
        counts.insert((name.to_owned(), batch), count);
    }
    Ok(counts)
}

fn instructions(console: &mut Console, counts: &mut Counts) -> Result<()> {
    let valgrind = valgrind()?;
    let mut cargo = run::cargo();
    cargo
        .args(["bench", "--quiet", "--package", "igb-bench", "--bench", "instructions", "--"])
        .args(["--output-format=json", "--nosummary=yes"])
        .arg(format!("--parallel={}", std::thread::available_parallelism().map_or(1, usize::from)))
        .env("GUNGRAUN_RUNNER", runner(console)?)
        .env("GUNGRAUN_VALGRIND_BIN", valgrind)
        .env_remove("RUSTFLAGS");
    let text = run::quiet(console, "counting instructions", &mut cargo)?;
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let Some((key, [instructions, locked])) = counted(line) else { continue };
        let Some(count) = counts.get_mut(&key) else { continue };
        (count.instructions, count.locked) = (instructions / FRAMES, locked / FRAMES);
    }
    let expected = CASES.len() * BATCHES.len();
    let complete = counts.values().filter(|count| count.instructions > 0.0).count();
    if complete == expected {
        Ok(())
    } else {
        Err(Error::Failed(format!("{complete} of {expected} cases were counted\n{}", run::tail(&text, 60))))
    }
}

/// One line of gungraun's output: which case it is, instructions, and those with a lock.
fn counted(line: &str) -> Option<((String, u32), [f64; 2])> {
    let json: Value = serde_json::from_str(line).ok()?;
    let (name, _) = json["id"].as_str()?.rsplit_once('_')?;
    let digits = |c: char| c.is_ascii_digit();
    let description = json["description"].as_str()?.trim_end_matches(|c| !digits(c));
    let batch = description.rsplit(|c| !digits(c)).next()?.parse().ok()?;
    let metrics = &json["profiles"][0]["data"]["total"]["metrics"];
    let value = |name: &str| {
        let value = &metrics[name]["values"]["new"];
        value.as_f64().or_else(|| value["Int"].as_f64())
    };
    Some(((name.to_owned(), batch), [value("Ir")?, value("Ge")?]))
}

fn table(counts: &Counts, rustc: &str) -> String {
    let mut text = format!(
        "# Benchmarks\n\n\
         Counts, not seconds: they are the same on every machine. `cargo xtask bench` counts again and compares; it fails\n\
         when a number is more than 2 % worse, and `cargo xtask bench --update` writes this page.\n\n\
         Compiled by {rustc}, release profile as shipped, no `target-cpu`, all checks of what the device writes on.\n\n\
         ## Instructions per frame\n\n\
         Counted by callgrind, through gungraun, on a device that is memory only. The window that is counted is what a\n\
         program does for a batch: take sent frames home, receive, refill the ring, ring the doorbells. The machine's half\n\
         is not in it: no device, no bus, no interrupt, no cache miss; descriptors are written back between the windows.\n\
         Frames have 60 bytes, rings 256 descriptors, a poll has a budget of 64 and finds a batch.\n\n\
         | instructions per frame, at batch |"
    );
    let line = |text: &mut String, values: &mut dyn Iterator<Item = String>| {
        for value in values {
            let _ = write!(text, " {value} |");
        }
        text.push('\n');
    };
    line(&mut text, &mut BATCHES.iter().map(u32::to_string));
    text.push_str("|---|---:|---:|---:|---:|\n");
    let get = |name: &str, batch: u32| counts.get(&(name.to_owned(), batch)).copied().unwrap_or_default();
    for (name, title) in CASES {
        let _ = write!(text, "| {title} |");
        line(&mut text, &mut BATCHES.iter().map(|batch| format!("{:.1}", get(name, *batch).instructions)));
    }
    text.push_str(
        "\n## What else happens per frame\n\n\
         In the same windows, at every batch. Locked instructions are those with a lock prefix: the shared pool is touched\n\
         once for 64 buffers, and only where buffers come home on another queue than they were taken from.\n\n\
         | per frame | register reads | other register writes | allocations | locked instructions |",
    );
    line(&mut text, &mut BATCHES.iter().map(|batch| format!("doorbells, batch {batch}")));
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (name, title) in CASES {
        let worst = |what: fn(&Count) -> f64| {
            let worst = BATCHES.iter().map(|batch| what(&get(name, *batch))).fold(0.0, f64::max);
            number(worst)
        };
        let _ = write!(
            text,
            "| {title} | {} | {} | {} | {} |",
            worst(|count| count.reads),
            worst(|count| count.others),
            worst(|count| count.allocations),
            worst(|count| count.locked)
        );
        line(&mut text, &mut BATCHES.iter().map(|batch| number(get(name, *batch).doorbells)));
    }
    text
}

/// Without zeros at the end.
fn number(value: f64) -> String {
    let text = format!("{value:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The numbers of a page by row, in order.
fn rows(text: &str) -> BTreeMap<String, Vec<f64>> {
    let mut rows = BTreeMap::<String, Vec<f64>>::new();
    for line in text.lines() {
        let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
        let Some(title) = cells.next().filter(|_| line.starts_with('|')) else { continue };
        rows.entry(title.to_owned()).or_default().extend(cells.filter_map(|cell| cell.parse::<f64>().ok()));
    }
    rows
}

fn compare(old: &str, new: &str, counts: &Counts, rustc: &str) -> Result<()> {
    let forbidden = counts.iter().find(|(_, count)| count.reads + count.others + count.allocations != 0.0);
    if let Some(((name, batch), count)) = forbidden {
        return Err(Error::Failed(format!(
            "{name} at batch {batch}: the hot path reads no register, writes doorbells only and allocates nothing, but {count:?}"
        )));
    }
    let (before, now) = (rows(old), rows(new));
    let (mut worse, mut better) = (String::new(), 0);
    for (_, title) in CASES {
        let (before, now) = (before.get(title), now.get(title));
        let (Some(before), Some(now)) =
            (before, now.filter(|now| before.is_some_and(|old| old.len() == now.len())))
        else {
            let words = format!(
                "{TABLE} has not the same numbers for {title:?}: `cargo xtask bench --update` writes it"
            );
            return Err(Error::Failed(words));
        };
        for (before, now) in before.iter().zip(now) {
            if *now > before * TOLERANCE + ROUNDING {
                let _ = writeln!(worse, "{title}: {} was {}", number(*now), number(*before));
            } else if *now < before / TOLERANCE - ROUNDING {
                better += 1;
            }
        }
    }
    if better > 0 {
        println!("{better} numbers are better than in {TABLE}: `cargo xtask bench --update` keeps them");
    }
    if worse.is_empty() {
        return Ok(());
    }
    let words = format!(
        "more than {TABLE} says:\n{worse}If that is meant, `cargo xtask bench --update` writes the table."
    );
    if old.contains(rustc) {
        return Err(Error::Failed(words));
    }
    // Another compiler, other numbers: that is nobody's fault here.
    println!("{words}\nNot counted as a failure: the table was made by another compiler than {rustc}.");
    Ok(())
}

fn rustc() -> Result<String> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program).arg("--version").output().during(|| "asking rustc".into())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// The runner of the version that the workspace uses; another one refuses to work.
fn runner(console: &mut Console) -> Result<PathBuf> {
    let lock = metadata::root().join("Cargo.lock");
    let text = fs::read_to_string(&lock).during(|| format!("reading {}", lock.display()))?;
    let version = text
        .split("[[package]]")
        .find(|package| package.contains("name = \"gungraun\"\n"))
        .and_then(|package| package.split("version = \"").nth(1)?.split('"').next())
        .ok_or_else(|| Error::Failed("Cargo.lock has no gungraun".into()))?;
    let entry = cache::entry(&format!("gungraun-runner/{version}"), |folder| {
        let mut cargo = run::cargo();
        // What it does takes no time: a quick build is the best one.
        cargo
            .args(["install", "gungraun-runner", "--locked", "--debug", "--version", version])
            .args([
                "--config",
                "profile.dev.debug=false",
                "--config",
                "profile.dev.incremental=false",
                "--root",
            ])
            .arg(folder)
            .arg("--target-dir")
            .arg(folder.join("target"))
            .env_remove("RUSTFLAGS");
        run::quiet(console, "building gungraun-runner", &mut cargo)?;
        fs::remove_dir_all(folder.join("target")).during(|| "removing what the build left".into())
    })?;
    Ok(entry.join("bin/gungraun-runner"))
}

/// The machine's valgrind, else one from its own release, unpacked into the cache.
fn valgrind() -> Result<PathBuf> {
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("valgrind")).find(|path| path.is_file())
    });
    if let Some(path) = on_path {
        return Ok(path);
    }
    let entry = cache::entry("valgrind/1", unpack).map_err(|error| {
        Error::Missing(format!(
            "no valgrind, and fetching one failed: install package valgrind.\nWhat went wrong: {error}"
        ))
    })?;
    Ok(entry.join("valgrind"))
}

fn unpack(folder: &Path) -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").during(|| "reading /etc/os-release".into())?;
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let suite = suite.ok_or_else(|| Error::Missing("/etc/os-release names no release".into()))?;
    let work = folder.join("apt");
    let console = &mut Console::new();
    let apt = Apt::new(console, &work, suite)?;
    // Alone: it needs the C library, which is there, and its debug symbols only for tools that are not used here.
    apt.unpack(console, &["valgrind".into()], &folder.join("root"))?;
    fs::remove_dir_all(&work).during(|| format!("removing {}", work.display()))?;
    let script = "#!/bin/sh\nroot=$(dirname \"$(readlink -f \"$0\")\")/root/usr\nVALGRIND_LIB=$root/libexec/valgrind exec \"$root/bin/valgrind\" \"$@\"\n";
    let path = folder.join("valgrind");
    fs::write(&path, script)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .during(|| format!("writing {}", path.display()))?;
    run::quiet(
        console,
        "trying valgrind",
        Command::new(&path).args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "true"]),
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: f64) -> Counts {
        let count = Count { instructions, doorbells: 0.25, ..Count::default() };
        CASES.iter().flat_map(|(name, _)| BATCHES.map(|batch| ((name.to_string(), batch), count))).collect()
    }

    #[test]
    fn a_line_of_output() {
        let line = r#"{"id":"rx_drop_2","description":"(rig(Case :: RxDrop, 32))","profiles":[{"data":{"total":{"metrics":{"Ge":{"values":{"new":3}},"Ir":{"values":{"new":210112}}}}}}]}"#;
        assert_eq!(counted(line), Some((("rx_drop".into(), 32), [210112.0, 3.0])));
        assert_eq!(counted("{}"), None);
    }

    #[test]
    fn worse_fails_better_does_not() {
        let old = table(&counts(100.0), "rustc 1.2.3");
        assert!(
            old.contains("| RX, drop | 100.0 | 100.0 | 100.0 | 100.0 |")
                && old.contains("| RX, drop | 0 | 0 | 0 | 0 | 0.25 |")
        );
        let against = |counts: &Counts, rustc| compare(&old, &table(counts, rustc), counts, rustc);
        assert!(against(&counts(101.9), "rustc 1.2.3").is_ok());
        assert!(against(&counts(50.0), "rustc 1.2.3").is_ok());
        let error = against(&counts(103.0), "rustc 1.2.3").unwrap_err().to_string();
        assert!(error.contains("RX, drop: 103 was 100") && error.contains("bench --update"), "{error}");
        assert!(against(&counts(103.0), "rustc 1.3.0").is_ok(), "another compiler");
        let mut reading = counts(100.0);
        reading.values_mut().for_each(|count| count.reads = 1.0);
        assert!(against(&reading, "rustc 1.3.0").is_err(), "whatever the compiler");
        assert!(compare("", &old, &counts(100.0), "rustc 1.2.3").is_err(), "no table");
    }
}
