//! `igb-codegen`: the generator as a command.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Turns YAML descriptions of a device's registers into Rust, tables and JSON.
///
/// Exit codes: 0 done; 1 the description is wrong or output is stale; 2 the command line is wrong; 3 a file cannot be
/// read or written.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The description's directory.
    #[arg(long, default_value = "specs")]
    specs: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks the description.
    Check,
    /// Prints the description as JSON, every default filled in.
    Json,
    /// Prints the JSON Schema of one kind of file.
    Schema {
        /// sources, chips, registers or words
        kind: igb_codegen::output::SchemaKind,
    },
    /// Writes Rust files.
    Rust {
        /// Registers, PHY registers or descriptors.
        #[arg(value_enum)]
        part: Part,
        /// The directory that then holds exactly the generated files.
        out: PathBuf,
        /// Only compares.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Part {
    Registers,
    Phy,
    Descriptors,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::Schema { kind } = arguments.command {
        println!("{}", kind.schema());
        return ExitCode::SUCCESS;
    }
    let spec = match igb_codegen::load(&arguments.specs) {
        Ok(spec) => spec,
        Err(diagnostics) => {
            eprintln!("{diagnostics}");
            return ExitCode::from(1);
        }
    };
    match arguments.command {
        Command::Check | Command::Schema { .. } => ExitCode::SUCCESS,
        Command::Json => {
            println!("{:#}", igb_codegen::json::spec(&spec));
            ExitCode::SUCCESS
        }
        Command::Rust { part, out, check } => {
            let files = match part {
                Part::Registers => igb_codegen::registers(&spec),
                Part::Phy => igb_codegen::words(&spec, &spec.phy),
                Part::Descriptors => igb_codegen::words(&spec, &spec.descriptors),
            };
            let result = if check {
                igb_codegen::output::check(&out, &files)
            } else {
                igb_codegen::output::write(&out, &files)
            };
            match result {
                Err(error) => {
                    eprintln!("{}: {error}", out.display());
                    ExitCode::from(3)
                }
                Ok(stale) => {
                    stale.iter().for_each(|one| eprintln!("{one}"));
                    ExitCode::from(u8::from(check && !stale.is_empty()))
                }
            }
        }
    }
}
