#![doc = include_str!("../README.md")]
// Mapping memory that a virtual machine shares: three blocks in `memory`, each with its argument.
#![allow(unsafe_code)]
#![cfg(target_os = "linux")]

mod connection;
mod error;
mod interrupt;
mod laboratory;
mod memory;
mod message;
mod region;
mod server;

pub use error::Error;
pub use region::{Access, Space};
pub use server::{Server, Serving, Summary};
