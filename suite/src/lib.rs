//! One driver suite for every device that the driver can be tried on.
//!
//! A [`Bed`] is a machine with two ports whose cables end in the test's hands, or in each other. A behaviour in
//! [`cases`] is a function over any bed; `tests/` runs each on the simulator's chips and on QEMU's 82576. A behaviour
//! that a bed cannot show is not in that bed's list, and the list says why.

#![forbid(unsafe_code)]

pub mod beds;
pub mod cases;
mod drive;
pub mod frames;
mod list;
pub mod pair;
pub mod stuck;
pub mod wrap;

pub use beds::{Bed, Incoherent, Ports, Qemu, Simulated};

/// Its code runs with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/platforms.md")]
pub mod platforms {}
