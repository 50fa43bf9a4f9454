//! The test command: named steps, each with one line of outcome; everything a step said when it failed.
//!
//! A step installs what it needs. The runner's own closing lines are printed as they are.

use crate::run::{self, Console};
use crate::{
    Error, Result, asm, bench, budgets, codegen, compare, consumer, fuzz, guest, image, qemu, sysroot, units,
};
use clap::Args;
use std::process::Command;
use std::time::Instant;

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Lists the steps and runs none
    #[arg(long)]
    list: bool,
    /// Runs only this step; may be given several times
    #[arg(long, value_name = "STEP", value_parser = names())]
    only: Vec<String>,
    /// Leaves this step out; may be given several times
    #[arg(long, value_name = "STEP", value_parser = names())]
    skip: Vec<String>,
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Console) -> Result<()>,
}

/// In the order of running: cheap and telling first.
const STEPS: &[Step] = &[
    Step { name: "format", about: "rustfmt leaves every file as it is", run: format },
    Step { name: "generated", about: "generated files are what specs/ gives", run: generated },
    Step { name: "lint", about: "clippy finds nothing, in any target of any crate", run: lint },
    Step { name: "test", about: "unit, documentation and behaviour tests; on QEMU's device too", run: test },
    Step {
        name: "no-std",
        about: "every no_std crate builds for two targets without an operating system",
        run: sysroot::build_all,
    },
    Step {
        name: "image",
        about: "the bare-metal image answers ping and forwards, with polling and with MSI-X",
        run: image::step,
    },
    Step {
        name: "guest",
        about: "the driver over VFIO in a Linux guest, behind an IOMMU, with Linux's own igb at the far end",
        run: guest::step,
    },
    Step {
        name: "consumer",
        about: "the packages are complete and serve a crate outside the workspace",
        run: consumer::run,
    },
    Step {
        name: "asm",
        about: "register accesses are the instructions of volatile ones; polls lock nothing",
        run: asm::step,
    },
    Step {
        name: "compare",
        about: "offsets, masks and shifts are those of DPDK's headers, or the difference has a reason",
        run: compare::step,
    },
    Step {
        name: "budgets",
        about: "igb-regs compiles as fast and is as small as promised",
        run: budgets::step,
    },
    Step { name: "bench", about: "the hot path costs what docs/benchmarks.md says", run: bench::check },
    Step {
        name: "fuzz",
        about: "a million hostile inputs for each fuzz target break nothing",
        run: fuzz::step,
    },
    Step {
        name: "units",
        about: "systemd, udev and groff find nothing wrong in what the program brings for a host",
        run: units::step,
    },
    Step {
        name: "guest-bench",
        about: "a frame costs over VFIO what docs/benchmarks.md says",
        run: bench::check_guest,
    },
    Step { name: "docs", about: "the documentation builds without a broken link", run: docs },
];

fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

/// Runs the steps that `options` choose. All of them run, even after one failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let width = STEPS.iter().map(|step| step.name.len()).max().unwrap_or(0);
    if options.list {
        for step in STEPS {
            println!("{:width$}  {}", step.name, step.about);
        }
        return Ok(());
    }
    let chosen = |step: &&Step| {
        let name = |list: &[String]| list.iter().any(|name| name == step.name);
        (options.only.is_empty() || name(&options.only)) && !name(&options.skip)
    };
    let console = &mut Console::new();
    let (mut failed, mut missing) = (Vec::new(), None);
    for step in STEPS.iter().filter(chosen) {
        console.now(&format!("{} …", step.name));
        let started = Instant::now();
        let outcome = (step.run)(console);
        console.clear();
        let word = match outcome {
            Ok(()) => "ok",
            Err(Error::Skipped(_)) => "skipped",
            Err(_) => "FAILED",
        };
        println!("{:width$}  {word} {:.1} s", step.name, started.elapsed().as_secs_f64());
        if let Err(error) = outcome {
            println!("{error}");
            match error {
                Error::Skipped(_) => continue,
                Error::Missing(_) => missing = Some(error),
                _ => {}
            }
            failed.push(step.name);
        }
    }
    match (failed.as_slice(), missing) {
        ([], _) => Ok(()),
        ([_], Some(missing)) => Err(missing),
        _ => Err(Error::Failed(format!("failed: {}", failed.join(", ")))),
    }
}

fn format(console: &mut Console) -> Result<()> {
    run::quiet(console, "format", run::cargo().args(["fmt", "--all", "--check"])).map(drop)
}

fn generated(_: &mut Console) -> Result<()> {
    codegen::run(true)
}

fn lint(console: &mut Console) -> Result<()> {
    let mut cargo = run::cargo();
    cargo.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]);
    run::quiet(console, "lint", &mut cargo).map(drop)
}

fn docs(console: &mut Console) -> Result<()> {
    let mut cargo = run::cargo();
    cargo
        .args(["doc", "--workspace", "--all-features", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings");
    run::quiet(console, "docs", &mut cargo).map(drop)
}

fn test(console: &mut Console) -> Result<()> {
    let qemu = qemu::ready(false)?;
    let mut cargo = run::cargo();
    cargo.args(["test", "--workspace", "--all-features", "--no-fail-fast"]);
    cargo.env(crate::find::VARIABLE, qemu);
    let (text, success) = tests(console, &mut cargo)?;
    if success { Ok(()) } else { Err(Error::Failed(failures(&text))) }
}

/// Runs `cargo test` and prints the closing line of every test program, then their sum.
fn tests(console: &mut Console, cargo: &mut Command) -> Result<(String, bool)> {
    let (text, success) = run::follow(console, "test", cargo)?;
    let mut program = "";
    let mut sum = [0_u64; 3];
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("Running ").or_else(|| line.strip_prefix("Doc-tests ")) {
            program = name;
        } else if line.starts_with("test result: ") {
            let counts = ["passed", "failed", "ignored"].map(|word| count(line, word));
            for (sum, one) in sum.iter_mut().zip(counts) {
                *sum += one;
            }
            if counts != [0; 3] {
                println!("\n{}\n{line}", program.split(" (").next().unwrap_or(program));
            }
        }
    }
    println!("{} passed, {} failed, {} skipped", sum[0], sum[1], sum[2]);
    Ok((text, success))
}

/// The number before `word` in a closing line.
fn count(line: &str, word: &str) -> u64 {
    let before = line.split(word).next().filter(|before| before.len() < line.len());
    before.and_then(|text| text.split_whitespace().next_back()?.parse().ok()).unwrap_or(0)
}

/// What `cargo test` said of the tests that failed; all of it if it did not get so far.
fn failures(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.lines() {
        inside = match line {
            "failures:" => true,
            _ if line.starts_with("test result: ") => false,
            _ => inside,
        };
        if inside || line.starts_with("error") || line.ends_with("... FAILED") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let compiled = text.contains("test result: ");
    if compiled && !kept.is_empty() {
        run::tail(&kept, 400).to_owned()
    } else {
        run::tail(text, 200).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSING: &str =
        "test result: FAILED. 12 passed; 1 failed; 3 ignored; 0 measured; 2 filtered out; finished in 0.05s";

    #[test]
    fn closing_lines_are_counted() {
        assert_eq!(["passed", "failed", "ignored"].map(|word| count(CLOSING, word)), [12, 1, 3]);
        assert_eq!(count("nothing here", "passed"), 0);
    }

    #[test]
    fn what_failed_is_kept_and_what_passed_is_not() {
        let text = format!(
            "test a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\nthread panicked\n\n{CLOSING}\ntest c ... ok\n"
        );
        let kept = failures(&text);
        assert!(kept.contains("b ... FAILED") && kept.contains("thread panicked"));
        assert!(!kept.contains("a ... ok") && !kept.contains("c ... ok"));
        assert_eq!(failures("error[E0308]: mismatched types\n"), "error[E0308]: mismatched types");
    }
}
