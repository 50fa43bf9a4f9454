#![doc = include_str!("../README.md")]
// System calls that map memory, memory that devices write, and a signal handler: each block has its argument. Nothing
// here hands out a reference to memory that a device writes.
#![allow(unsafe_code)]
#![cfg(target_os = "linux")]

mod address;
mod bar;
mod bind;
mod container;
mod device;
mod error;
mod host;
mod interrupt;
mod ioctl;
mod iova;
mod list;
mod memory;
mod sigbus;
#[allow(
    missing_docs,
    missing_debug_implementations,
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    clippy::undocumented_unsafe_blocks,
    reason = "generated from the kernel's header"
)]
mod sys;
mod time;

pub use address::Address;
pub use bar::Registers;
pub use bind::Change;
pub use container::{Container, Memory, Options};
pub use device::{Config, Device, Notice, Reset};
pub use error::{Errno, Error, Holder, Name, Others, Reason};
pub use host::Host;
pub use interrupt::Irq;
pub use list::{Carrier, Function};
pub use time::{Clock, Delay};

/// Opens a device by its PCI address, in a container of its own.
///
/// # Errors
/// What is missing, and the command that mends it: see [`Error`].
pub fn open(address: &str) -> Result<Device, Error> {
    Container::new()?.open(address)
}

/// Every function of the family on this machine.
///
/// # Errors
/// [`Error::System`] if there is no list of PCI functions.
pub fn list() -> Result<Vec<Function>, Error> {
    Host::new().list()
}

/// Gives a function to vfio-pci: see [`Host::bind`].
///
/// # Errors
/// As [`Host::bind`].
pub fn bind(address: Address, force: bool) -> Result<Change, Error> {
    Host::new().bind(address, force)
}

/// Gives a function back to the driver that had it: see [`Host::unbind`].
///
/// # Errors
/// As [`Host::unbind`].
pub fn unbind(address: Address) -> Result<Change, Error> {
    Host::new().unbind(address)
}
