#![doc = include_str!("../README.md")]
#![cfg(target_os = "linux")]
// The ioctls of /dev/net/tun, all in one file, each with its argument.
#![deny(unsafe_code)]

mod error;
mod header;
mod interface;
mod ioctl;
mod name;
mod netlink;
mod queue;

pub use error::{Errno, Error};
pub use header::Header;
pub use interface::{Interface, Options, State, open};
pub use name::{BadName, Name};
pub use queue::{Queue, Written};
