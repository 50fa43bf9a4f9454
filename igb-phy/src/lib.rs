#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod autoneg;
mod diagnostics;
mod eee;
mod error;
#[rustfmt::skip]
mod generated;
mod ident;
mod mdio;
mod pause;
mod setup;

pub use access::Phy;
pub use autoneg::{Advertise, Duplex, Link, MasterSlave, Resolved, Speed};
pub use diagnostics::{CableLength, Diagnostics};
pub use eee::Eee;
pub use error::Error;
pub use ident::{Family, Model, PhyId};
pub use mdio::{Mdio, MmdWord, Word};
pub use pause::{Pause, PauseAbility};
pub use setup::{Mdix, Setup};

/// The register words, made from the description in `specs/phy`.
pub mod words {
    pub use crate::generated::*;
}
