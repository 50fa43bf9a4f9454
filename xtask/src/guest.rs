//! A Linux guest with two or more igb devices: where the driver meets a kernel, an IOMMU and a driver that it did not
//! write.
//!
//! A job is a small shell script in `xtask/guest/jobs`. Each one gets a machine of its own, emulated without KVM: the
//! newest kernel that Debian has, a file system in memory, an IOMMU, and igb devices in pairs on a wire, each behind
//! its own root port. A job passes if its script ends with status 0 and the kernel's log holds no complaint.

mod clock;
mod counts;
mod evidence;
mod image;
mod initramfs;
mod job;
mod machine;
mod simulated;
mod trace;

use crate::run::{self, Console};
use crate::{Error, Result, While, metadata, qemu};
use clap::Args;
pub(crate) use counts::{HEADING, run as count};
use job::Job;
use machine::{Outcome, Verdict};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What to run in the guest.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Names of jobs, or paths of scripts with a slash in them; all jobs if none is named
    #[arg(value_name = "JOB")]
    jobs: Vec<String>,
    /// Lists the jobs and runs none
    #[arg(long)]
    list: bool,
    /// Keeps the guest's console and kernel log also of jobs that passed, in target/guest/logs
    #[arg(long)]
    keep_log: bool,
    /// Prints one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Kernel whose release begins so, as in 6.12; the newest that Debian has if not given
    #[arg(long, value_name = "RELEASE")]
    kernel: Option<String>,
}

/// The step of the tests: every job.
pub(crate) fn step(console: &mut Console) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Error::Skipped("the guest runs this machine's programs, and is x86-64".into()));
    }
    run(console, &Options::default())
}

/// Runs the jobs that `options` choose. All of them run, even after one failed.
pub(crate) fn run(console: &mut Console, options: &Options) -> Result<()> {
    let jobs = choose(&options.jobs)?;
    if options.list {
        return list(&jobs, options.json);
    }
    let folder = metadata::root().join("target/guest");
    let binaries = build(console, &folder, &jobs)?;
    let qemu = qemu::ready(false)?;
    let image = image::ready(console, options.kernel.as_deref())?;
    if !options.json {
        println!("guest: Linux {}", image.release);
    }

    let host = machine::Host { qemu: &qemu, programs: &binaries };
    let width = jobs.iter().map(|job| job.name.len()).max().unwrap_or(0);
    let (mut failed, mut report) = (Vec::new(), Vec::new());
    for job in &jobs {
        let archive = initramfs::archive(&image, job, &binaries)?;
        let outcome = machine::run(console, host, &image, job, &archive, &folder, options.keep_log)?;
        console.clear();
        if options.json {
            report.push(entry(job, &outcome));
        } else {
            print(job, &outcome, width);
        }
        if outcome.verdict != Verdict::Passed {
            failed.push(job.name.clone());
        }
    }
    if options.json {
        println!("{:#}", json!({ "kernel": image.release, "qemu": qemu, "jobs": report }));
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Error::Failed(format!("failed in the guest: {}", failed.join(", "))))
    }
}

fn list(jobs: &[Job], json: bool) -> Result<()> {
    if json {
        let list: Vec<_> = jobs.iter().map(|job| json!({ "job": job.name, "about": job.about })).collect();
        println!("{:#}", json!(list));
    } else {
        let width = jobs.iter().map(|job| job.name.len()).max().unwrap_or(0);
        for job in jobs {
            println!("{:width$}  {}", job.name, job.about);
        }
    }
    Ok(())
}

fn print(job: &Job, outcome: &Outcome, width: usize) {
    let word = if outcome.verdict == Verdict::Passed { "ok" } else { "FAILED" };
    println!(
        "{:width$}  {word} {:.1} s ({:.1} s of it boot)",
        job.name, outcome.seconds, outcome.boot_seconds
    );
    for note in &outcome.notes {
        println!("    {note}");
    }
    if let Some(reason) = outcome.verdict.reason(job) {
        println!("  {reason}");
        for line in outcome.complaints.iter().take(20) {
            println!("    kernel: {line}");
        }
        println!("  the console's last lines:\n{}", indent(run::tail(&outcome.console, 40)));
    }
    if let Some(log) = &outcome.log {
        println!("  log: {}", log.display());
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn entry(job: &Job, outcome: &Outcome) -> serde_json::Value {
    json!({
        "job": job.name,
        "passed": outcome.verdict == Verdict::Passed,
        "reason": outcome.verdict.reason(job),
        "seconds": outcome.seconds,
        "boot_seconds": outcome.boot_seconds,
        "notes": outcome.notes,
        "complaints": outcome.complaints,
        "log": outcome.log,
    })
}

/// The folder with the jobs and with what they share.
fn scripts() -> PathBuf {
    metadata::root().join("xtask/guest")
}

fn choose(names: &[String]) -> Result<Vec<Job>> {
    let folder = scripts().join("jobs");
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(&folder).during(|| format!("reading {}", folder.display()))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            let job = Job::read(&path)?;
            all.insert((job.order, job.name.clone()), job);
        }
    }
    let all: Vec<Job> = all.into_values().collect();
    if names.is_empty() {
        return Ok(all);
    }
    let one = |name: &String| {
        if name.contains('/') {
            return Job::read(Path::new(name));
        }
        all.iter().find(|job| job.name == *name).cloned().ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|job| job.name.as_str()).collect();
            Error::Failed(format!("no job is named {name}; there are: {}", known.join(" ")))
        })
    };
    names.iter().map(one).collect()
}

/// Builds the programs that the jobs name, linked statically: the guest needs no library of this machine.
/// Gives the path of each by its name.
fn build(console: &mut Console, folder: &Path, jobs: &[Job]) -> Result<BTreeMap<String, PathBuf>> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let mut wanted = BTreeMap::new();
    for (package, binary) in jobs.iter().flat_map(|job| &job.binaries) {
        wanted.insert(binary.clone(), package.clone());
    }
    if jobs.iter().any(|job| !job.sim.is_empty()) {
        let (package, binary) = simulated::PROGRAM; // runs here
        wanted.insert(binary.to_owned(), package.to_owned());
    }
    let mut made = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(made);
    }
    let target = folder.join("build");
    let mut cargo = run::cargo();
    cargo.args(["build", "--release", "--target", TARGET]).env("CARGO_TARGET_DIR", &target);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
    for (binary, package) in &wanted {
        cargo.args(["--package", package, "--bin", binary]);
        made.insert(binary.clone(), target.join(TARGET).join("release").join(binary));
    }
    run::quiet(console, "building programs for the guest", &mut cargo)?;
    Ok(made)
}
