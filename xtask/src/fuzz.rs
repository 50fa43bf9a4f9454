//! Fuzzing: libFuzzer on the programs of `fuzz/`, each for a number of executions that is the same every time.
//!
//! The compiler's coverage instrumentation is switched on by options that a stable compiler takes, so neither a nightly
//! one nor a tool beside cargo is needed; libFuzzer itself comes with the crate `libfuzzer-sys` and wants a C++ compiler.

use crate::run::{self, Console};
use crate::{Error, Result, While, metadata};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

/// What to fuzz.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Names of targets, as in fuzz/targets; all of them if none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Executions of each
    #[arg(long, value_name = "N", default_value_t = RUNS)]
    runs: u64,
    /// Another seed: other inputs
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u32,
    /// Adds the inputs that found new paths to fuzz/corpus, and takes those away that no others need
    #[arg(long)]
    update: bool,
}

/// Executions of each target in the tests.
const RUNS: u64 = 1_000_000;
/// Longest input, in bytes.
const LONGEST: &str = "-max_len=1024";
/// As `cargo fuzz` sets them, without a sanitizer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The step of the tests.
pub(crate) fn step(console: &mut Console) -> Result<()> {
    run(console, &Options { targets: Vec::new(), runs: RUNS, seed: 1, update: false })
}

/// Builds the targets and runs them, as many at a time as there are processors.
pub(crate) fn run(console: &mut Console, options: &Options) -> Result<()> {
    let home = metadata::root().join("fuzz");
    let names = choose(&home, &options.targets)?;
    let built = metadata::root().join("target/fuzz");
    // The versions of everything are the ones that the workspace was tested with; libFuzzer's are added.
    let (workspace, lock) = (metadata::root().join("Cargo.lock"), home.join("Cargo.lock"));
    fs::copy(&workspace, &lock)
        .during(|| format!("copying {} to {}", workspace.display(), lock.display()))?;
    let mut cargo = run::cargo();
    cargo.current_dir(&home).args(["build", "--release", "--bins", "--target", TARGET]);
    cargo.env("CARGO_TARGET_DIR", &built).env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS");
    run::quiet(console, "building fuzz targets", &mut cargo)?;

    let left = Mutex::new(names.iter());
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(name) = left.lock().ok().and_then(|mut names| names.next()) {
                    let program = built.join(TARGET).join("release").join(name);
                    match one(&home, &program, name, options) {
                        Ok(line) => println!("{line}"),
                        Err(error) => {
                            if let Ok(mut failures) = failures.lock() {
                                failures.push(error.to_string());
                            }
                        }
                    }
                }
            });
        }
    });
    match failures.into_inner() {
        Ok(failures) if failures.is_empty() => Ok(()),
        Ok(failures) => Err(Error::Failed(failures.join("\n"))),
        Err(_) => Err(Error::Failed("a thread that ran a fuzz target failed".into())),
    }
}

fn choose(home: &Path, wanted: &[String]) -> Result<Vec<String>> {
    let folder = home.join("targets");
    let mut known: Vec<String> = fs::read_dir(&folder)
        .during(|| format!("reading {}", folder.display()))?
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    known.sort_unstable();
    if wanted.is_empty() {
        return Ok(known);
    }
    match wanted.iter().find(|name| !known.contains(name)) {
        Some(name) => {
            Err(Error::Failed(format!("no fuzz target is named {name}; there are: {}", known.join(" "))))
        }
        None => Ok(wanted.to_vec()),
    }
}

/// Runs one target from the corpus that is checked in.
fn one(home: &Path, program: &Path, name: &str, options: &Options) -> Result<String> {
    let corpus = home.join("corpus").join(name);
    let work = metadata::root().join("target/fuzz/work").join(name);
    let fresh = |folder: &PathBuf| {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).during(|| format!("making {}", folder.display()))
    };
    let found = work.join("found");
    fresh(&found)?;
    fs::create_dir_all(&corpus).during(|| format!("making {}", corpus.display()))?;
    let started = Instant::now();
    let mut fuzzer = Command::new(program);
    fuzzer.arg(&found).arg(&corpus).arg(LONGEST);
    // An input that takes 20 s is a hang; one is some microseconds.
    fuzzer.args(["-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048"]);
    fuzzer.arg(format!("-runs={}", options.runs)).arg(format!("-seed={}", options.seed));
    fuzzer.arg(format!("-artifact_prefix={}/", work.display()));
    let text = run::quiet(&mut Console::new(), name, &mut fuzzer)?;
    let executed = text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|count| count.trim().parse::<u64>().ok())
        .unwrap_or(0);
    if executed < options.runs {
        return Err(Error::Failed(format!(
            "{name}: {executed} of {} executions\n{}",
            options.runs,
            run::tail(&text, 20)
        )));
    }
    if options.update {
        let least = work.join("least");
        fresh(&least)?;
        let mut merge = Command::new(program);
        merge.args(["-merge=1", LONGEST]).arg(&least).arg(&corpus).arg(&found);
        run::quiet(&mut Console::new(), name, &mut merge)?;
        fresh(&corpus)?;
        for entry in fs::read_dir(&least).during(|| format!("reading {}", least.display()))?.flatten() {
            let place = corpus.join(entry.file_name());
            fs::copy(entry.path(), &place).during(|| format!("writing {}", place.display()))?;
        }
    }
    Ok(format!("{name}: {executed} executions in {:.0} s", started.elapsed().as_secs_f64()))
}
