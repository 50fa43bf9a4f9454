//! What a frame costs over VFIO: user instructions of the driver's process in the guest, counted by a plugin of QEMU
//! between marks, and compared with the table in `docs/benchmarks.md`.

use super::job::{Counter, Job};
use super::machine::{self, Verdict};
use super::{build, image, initramfs, print, scripts};
use crate::run::{self, Console};
use crate::{Error, Result, While, metadata, qemu};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The part of the page that is written here begins so, and is the last.
pub(crate) const HEADING: &str = "## Over VFIO, in a guest";
/// Instructions repeat to a tenth of a percent; how a burst falls does not quite.
const TOLERANCE: f64 = 1.03;

/// Cases: name in programs, name in the table, what DPDK 22.11 takes (user), what Linux's igb takes (kernel and user).
/// The last two were counted the same way, in the same guest, on QEMU 10.0 and Linux 7.3.4.
const CASES: [(&str, &str, &str, &str); 5] = [
    (
        "rxdrop",
        "receive and drop",
        "179 (own loop), 189 (testpmd rxonly)",
        "213 (XDP_DROP in the driver), 336 (AF_XDP, zero copy)",
    ),
    ("txpush", "send frames built before", "170 (own loop)", "210 (AF_XDP, zero copy)"),
    ("txgen", "build and send, each with its own tuple and number", "257 (testpmd txonly)", "-"),
    (
        "echo",
        "back out of the same port, MACs exchanged",
        "291 (own loop), 296 (testpmd macswap)",
        "590 (AF_XDP, zero copy)",
    ),
    ("fwd", "out of another port, MACs exchanged", "-", "-"),
];

/// Counts, prints, and compares with the page at `page` or writes its part of it.
pub(crate) fn run(console: &mut Console, page: &Path, update: bool) -> Result<()> {
    let counts = count(console)?;
    let part = part(&counts);
    for line in part.lines().filter(|line| line.starts_with('|')) {
        println!("{line}");
    }
    let old = fs::read_to_string(page).during(|| format!("reading {}", page.display()))?;
    let (before, known) = old.split_at(old.find(HEADING).unwrap_or(old.len()));
    if update {
        let text = format!("{}\n\n{part}", before.trim_end());
        return fs::write(page, text).during(|| format!("writing {}", page.display()));
    }
    compare(known, &counts)
}

/// Instructions per frame, by case.
type Counts = BTreeMap<String, f64>;

fn count(console: &mut Console) -> Result<Counts> {
    let folder = metadata::root().join("target/guest");
    let mut job = Job::read(&scripts().join("bench.sh"))?;
    let jobs = [job.clone()];
    let binaries = build(console, &folder, &jobs)?;
    let log = folder.join(format!("count-{}", std::process::id()));
    job.counter = Some(Counter { plugin: plugin(console, &folder)?, log: log.clone() });
    let qemu = qemu::ready(false)?;
    let image = image::ready(console, None)?;
    let archive = initramfs::archive(&image, &job, &binaries)?;
    let host = machine::Host { qemu: &qemu, programs: &binaries };
    let outcome = machine::run(console, host, &image, &job, &archive, &folder, false)?;
    console.clear();
    let marks = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(&log);
    if outcome.verdict != Verdict::Passed {
        print(&job, &outcome, job.name.len());
        return Err(Error::Failed("the counting failed in the guest".into()));
    }
    let frames = outcome.notes.iter().filter_map(|note| counted(note));
    per_frame(&windows(&marks)?, &frames.collect::<Vec<_>>())
}

/// The plugin, built for this machine: QEMU loads it here.
fn plugin(console: &mut Console, folder: &Path) -> Result<PathBuf> {
    let target = folder.join("plugin");
    let mut cargo = run::cargo();
    cargo.args(["build", "--release", "--package", "igb-bench-counter"]).env("CARGO_TARGET_DIR", &target);
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    run::quiet(console, "building the counter", &mut cargo)?;
    Ok(target.join("release/libigb_bench_counter.so"))
}

/// `counted CASE FRAMES POLLS EMPTY`: case and frames.
fn counted(note: &str) -> Option<(String, u64)> {
    let mut words = note.strip_prefix("counted ")?.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// The instructions within windows of each case, in order, from lines such as `mark 1 cpu 0 user 123456`: 3 begins a
/// case, 1 a window, 2 ends it.
fn windows(log: &str) -> Result<Vec<u64>> {
    let (mut cases, mut open) = (Vec::<u64>::new(), None::<(u32, u64)>);
    for line in log.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["mark", mark, "cpu", cpu, "user", user] = words[..] else { continue };
        let (Ok(mark), Ok(cpu), Ok(user)) = (mark.parse::<u32>(), cpu.parse::<u32>(), user.parse::<u64>())
        else {
            return Err(Error::Failed(format!("the counter wrote `{line}`")));
        };
        match (mark, open, cases.last_mut()) {
            (3, None, _) => cases.push(0),
            (1, None, Some(_)) => open = Some((cpu, user)),
            (2, Some((began, start)), Some(case)) if cpu == began => {
                *case += user.saturating_sub(start);
                open = None;
            }
            _ => return Err(Error::Failed(format!("marks out of order, or of two processors: {line}"))),
        }
    }
    Ok(cases)
}

fn per_frame(windows: &[u64], frames: &[(String, u64)]) -> Result<Counts> {
    if windows.len() != CASES.len() || frames.len() != CASES.len() {
        let words = format!("{} cases marked and {} told, of {}", windows.len(), frames.len(), CASES.len());
        return Err(Error::Failed(words));
    }
    let counts = windows.iter().zip(frames);
    Ok(counts
        .map(|(count, (name, frames))| (name.clone(), *count as f64 / (*frames).max(1) as f64))
        .collect())
}

fn part(counts: &Counts) -> String {
    let mut text = format!(
        "{HEADING}\n\n\
         User instructions of the driver's process per frame of 64 bytes on the wire, over at least 100,000 frames, on QEMU's\n\
         82576 behind an IOMMU; `cargo xtask bench --guest` counts again, `--update` writes this part. A plugin of QEMU counts\n\
         between two marks, all that the process executes: polls, refills, doorbells, its own loop. Sleep is outside of the\n\
         marks; 32 frames a poll and a doorbell, rings of 256. DPDK's and Linux's figures were counted with the same marks in\n\
         the same guest and are not counted again: DPDK's are of the user, and hold the few polls that found nothing; Linux's\n\
         are of kernel and user.\n\n\
         | case | igb | DPDK 22.11 | Linux's igb 7.3.4 |\n|---|---:|---:|---:|\n"
    );
    for (name, title, dpdk, linux) in CASES {
        let count = counts.get(name).copied().unwrap_or(f64::NAN);
        let _ = writeln!(text, "| {title} | {count:.1} | {dpdk} | {linux} |");
    }
    text
}

/// Fails where a frame costs more than the page says.
fn compare(known: &str, counts: &Counts) -> Result<()> {
    let mut worse = String::new();
    for (name, title, ..) in CASES {
        let row =
            known.lines().find_map(|line| line.strip_prefix("| ")?.strip_prefix(title)?.strip_prefix(" | "));
        let before = row.and_then(|row| row.split('|').next()?.trim().parse::<f64>().ok());
        let (Some(before), Some(now)) = (before, counts.get(name)) else {
            return Err(Error::Failed(format!(
                "the page has no number for {title:?}: `cargo xtask bench --guest --update` writes it"
            )));
        };
        if *now > before * TOLERANCE {
            let _ = writeln!(worse, "{title}: {now:.1} was {before:.1}");
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "more than docs/benchmarks.md says:\n{worse}If that is meant, `cargo xtask bench --guest --update` writes it."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_add_up_by_case() {
        let log = "x\nmark 3 cpu 0 user 1\nmark 1 cpu 0 user 10\nmark 2 cpu 0 user 110\nmark 1 cpu 0 user 200\n\
                   mark 2 cpu 0 user 250\nmark 3 cpu 0 user 300\nmark 1 cpu 0 user 300\nmark 2 cpu 0 user 301\n";
        assert_eq!(windows(log).unwrap(), [150, 1]);
        assert!(windows("mark 3 cpu 0 user 1\nmark 1 cpu 0 user 1\nmark 2 cpu 1 user 2\n").is_err(), "moved");
        assert!(windows("mark 2 cpu 0 user 1\n").is_err(), "no begin");
    }

    #[test]
    fn notes_give_frames() {
        assert_eq!(counted("counted fwd 100032 3126 0"), Some(("fwd".into(), 100_032)));
        assert_eq!(counted("25 pings"), None);
    }

    #[test]
    fn worse_fails() {
        let counts = |count: f64| CASES.iter().map(|case| (case.0.to_owned(), count)).collect::<Counts>();
        let page = part(&counts(100.0));
        assert!(compare(&page, &counts(102.0)).is_ok());
        assert!(compare(&page, &counts(50.0)).is_ok());
        let error = compare(&page, &counts(104.0)).unwrap_err().to_string();
        assert!(error.contains("receive and drop: 104.0 was 100.0"), "{error}");
        assert!(compare("", &counts(1.0)).is_err());
        assert!(per_frame(&[1], &[]).is_err());
    }
}
