//! `doctor`: what this machine lacks, and the command that mends it.

use crate::args::Doctor;
use crate::doctor::{Machine, examine};
use crate::failure::Failure;
use crate::output::Report;

/// `doctor`.
pub(crate) fn doctor(options: &Doctor) -> Result<Report, Failure> {
    Ok(examine(&Machine::here(), options.address).report())
}
