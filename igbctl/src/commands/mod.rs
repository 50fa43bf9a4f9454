//! The commands, one a file.

mod demo;
mod fwd;
mod info;
mod list;
mod man;
mod receive;
mod regs;
mod run;
mod txgen;

use crate::args::Command;
use crate::failure::Failure;
use crate::output::Report;

/// Does what the command line says. `json`: standard output is for the answer.
pub(crate) fn run(command: Command, json: bool) -> Result<Report, Failure> {
    match command {
        Command::List => Ok(list::list()),
        Command::Info(options) => info::info(options),
        Command::Regs(options) => regs::regs(options),
        Command::Stats(options) => receive::stats(options),
        Command::Rxdrop(options) => receive::rxdrop(options),
        Command::Txgen(options) => txgen::txgen(options),
        Command::Fwd(options) => fwd::fwd(options),
        Command::Dump(options) => receive::dump(options, json),
        Command::Demo(options) => demo::demo(options),
        Command::Man(options) => man::man(&options),
    }
}
