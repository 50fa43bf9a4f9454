//! The commands, one a file.

mod bind;
mod decode;
mod demo;
mod doctor;
mod fwd;
mod info;
mod list;
mod man;
mod receive;
mod regs;
mod regs_diff;
mod run;
mod sim;
mod tap;
mod txgen;

use crate::args::Command;
use crate::failure::Failure;
use crate::output::Report;
use igb_vfio::Host;

/// Does what the command line says. `json`: standard output is for the answer.
pub(crate) fn run(command: Command, json: bool) -> Result<Report, Failure> {
    match command {
        Command::List => Ok(list::list(&Host::new())),
        Command::Bind(options) => bind::bind(&Host::new(), &options),
        Command::Unbind(options) => bind::unbind(&Host::new(), &options),
        Command::Doctor(options) => doctor::doctor(&options),
        Command::Info(options) => info::info(options),
        Command::Regs(options) => regs::regs(options),
        Command::Decode(options) => decode::decode(&options),
        Command::Stats(options) => receive::stats(options),
        Command::Rxdrop(options) => receive::rxdrop(options),
        Command::Txgen(options) => txgen::txgen(options),
        Command::Fwd(options) => fwd::fwd(options),
        Command::Dump(options) => receive::dump(options, json),
        Command::Demo(options) => demo::demo(options),
        Command::Sim(options) => sim::sim(&options, json),
        Command::Tap(options) => tap::tap(options),
        Command::Man(options) => man::man(&options),
    }
}
