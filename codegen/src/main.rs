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
    /// Prints a JSON Schema: of one kind of file, or of what `json` prints.
    Schema {
        /// sources, chips, registers, words or json
        kind: igb_codegen::output::SchemaKind,
    },
    /// Writes Rust files.
    Rust {
        /// `registers`, or a folder of words as chips.yaml names it.
        part: String,
        #[command(flatten)]
        output: Output,
    },
    /// Writes the register reference as HTML: an index, and a page for each chip.
    Html(Output),
    /// Writes the register reference as Markdown.
    Markdown(Output),
    /// Writes CMSIS-SVD, a file for each chip.
    Svd(Output),
}

#[derive(clap::Args)]
struct Output {
    /// The directory that then holds exactly the generated files of this kind.
    out: PathBuf,
    /// Only compares.
    #[arg(long)]
    check: bool,
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
        Command::Rust { part, output } if part == "registers" => put(&output, &igb_codegen::registers(&spec)),
        Command::Rust { part, output } => match spec.words.get(&part) {
            Some(words) => put(&output, &igb_codegen::words(&spec, words)),
            None => {
                let known: Vec<_> = spec.words.keys().map(String::as_str).collect();
                eprintln!(
                    "no folder of words is called `{part}`\n  help: there are registers {}",
                    known.join(" ")
                );
                ExitCode::from(2)
            }
        },
        Command::Html(output) => put(&output, &igb_codegen::html(&spec)),
        Command::Markdown(output) => put(&output, &igb_codegen::markdown(&spec)),
        Command::Svd(output) => put(&output, &igb_codegen::svd(&spec)),
    }
}

fn put(output: &Output, files: &igb_codegen::Files) -> ExitCode {
    let Output { out, check } = output;
    let result =
        if *check { igb_codegen::output::check(out, files) } else { igb_codegen::output::write(out, files) };
    match result {
        Err(error) => {
            eprintln!("{}: {error}", out.display());
            ExitCode::from(3)
        }
        Ok(stale) => {
            stale.iter().for_each(|one| eprintln!("{one}"));
            ExitCode::from(u8::from(*check && !stale.is_empty()))
        }
    }
}
