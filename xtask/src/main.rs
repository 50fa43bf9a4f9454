//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! Nothing here depends on the driver's crates: these commands make what those crates are built from.

mod apt;
mod asm;
mod bench;
mod budgets;
mod cache;
mod codegen;
mod compare;
mod consumer;
// The library that drives QEMU and the command that fetches it look in the same places.
#[allow(unreachable_pub, dead_code, reason = "public there, private here")]
#[path = "../../backends/qtest/src/find.rs"]
mod find;
mod fuzz;
mod guest;
mod image;
mod metadata;
mod qemu;
mod run;
mod specs;
mod suite;
mod sysroot;
mod units;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Commands of the project's developers and of its CI.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    after_help = "Exit status:\n  0  all went well\n  1  a step failed, or a test in it\n  2  the command line is wrong\n  \
                  3  this machine lacks something that could not be installed; the message says what"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything that proves the project: lints, tests on QEMU's device, bare-metal builds
    Test(suite::Options),
    /// Runs jobs in a Linux guest with igb devices: VFIO, and Linux's own igb at the wire's other end
    Guest(guest::Options),
    /// Builds the bare-metal image and runs it in QEMU: ping and forwarding, with polling and with MSI-X
    Image(image::Options),
    /// Finds a QEMU that has the igb device, fetches one if there is none, and prints its path
    Qemu {
        /// Fetch into the cache even where another QEMU would do
        #[arg(long)]
        fetch: bool,
    },
    /// Writes the files that are generated from specs/
    Codegen {
        /// Only compare, and fail on a difference
        #[arg(long)]
        check: bool,
    },
    /// Counts what specs/ describes, and fails if a register name of Linux's igb is missing
    Specs {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Compares specs/ with the e1000 headers of DPDK, number by number
    Compare(compare::Options),
    /// Counts what the hot path costs, and compares with docs/benchmarks.md
    Bench(bench::Options),
    /// Fuzzes what strangers write: frames, files, descriptors, registers
    Fuzz(fuzz::Options),
    /// Looks at the assembly of register accesses and polls
    Asm(asm::Options),
    /// Measures what depending on igb-regs costs: compile time, size, documentation
    Budgets(budgets::Options),
    /// Packs the crates and builds a consumer outside the workspace from them
    Consumer,
    /// Builds every no_std crate for bare metal: x86_64-unknown-none and aarch64-unknown-none
    Sysroot,
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// A step ran and failed.
    #[error("{0}")]
    Failed(String),
    /// Something is not on this machine and could not be put there.
    #[error("{0}")]
    Missing(String),
    /// It says nothing on a machine of this kind.
    #[error("{0}")]
    Skipped(String),
    /// A file or a process of ours.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

type Result<T> = core::result::Result<T, Error>;

/// Says what was being done when the system refused.
trait While<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> While<T> for std::io::Result<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Test(options) => suite::run(&options),
        Command::Guest(options) => guest::run(&mut run::Console::new(), &options),
        Command::Image(options) => image::run(&mut run::Console::new(), &options),
        Command::Qemu { fetch } => qemu::ready(fetch).map(|path| println!("{}", path.display())),
        Command::Codegen { check } => codegen::run(check),
        Command::Specs { json } => specs::run(json),
        Command::Compare(options) => compare::run(&mut run::Console::new(), &options),
        Command::Bench(options) => bench::run(&mut run::Console::new(), &options),
        Command::Fuzz(options) => fuzz::run(&mut run::Console::new(), &options),
        Command::Asm(options) => asm::run(&mut run::Console::new(), &options),
        Command::Budgets(options) => budgets::run(&mut run::Console::new(), &options),
        Command::Consumer => consumer::run(&mut run::Console::new()),
        Command::Sysroot => sysroot::build_all(&mut run::Console::new()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(if matches!(error, Error::Missing(_) | Error::Skipped(_)) { 3 } else { 1 })
        }
    }
}
