#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod args;
mod borrow;
pub mod capture;
mod commands;
pub mod compare;
mod device;
mod doctor;
mod failure;
mod forward;
mod html;
mod machine;
mod mend;
mod meter;
mod nic;
mod output;
mod rates;
mod stop;
mod table;
mod traffic;
mod wake;

use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// What the program does: reads the command line, runs the command, prints its report, and says how it went.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match args::Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        // Help and version are no errors, and go to standard output; a reader that closed it is no error either.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE));
        }
    };
    let json = arguments.json;
    output::finish(json, commands::run(arguments.command, json))
}
