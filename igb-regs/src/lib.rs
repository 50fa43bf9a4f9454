#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod access;
mod bus;
#[cfg(feature = "meta")]
mod decode;
#[rustfmt::skip]
#[allow(non_camel_case_types, reason = "registers keep the datasheet's names")]
mod generated;
pub mod meta;
#[cfg(all(feature = "std", feature = "meta"))]
mod transcript;
/// The registers that a virtual function of 82576 or I350 shows its driver: a page of its own in its own BAR.
#[rustfmt::skip]
#[allow(non_camel_case_types, reason = "registers keep the datasheet's names")]
#[path = "generated/vf/mod.rs"]
pub mod vf;
#[cfg(feature = "std")]
mod wrappers;

pub use access::{Modify, Read, ReadClear, ReadSet, Reg, Register, Snapshot, Write, WriteClear, WriteSet};
pub use bus::{Bus, Fault};
#[cfg(feature = "meta")]
pub use decode::{Decoded, Named};
pub use generated::*;
pub use tock_registers::fields::{Field, FieldValue};
#[cfg(feature = "std")]
pub use wrappers::{Access, Faulty, Recorder, Rule, Tracer};
