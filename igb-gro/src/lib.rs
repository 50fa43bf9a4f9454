#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod error;
mod flow;
mod merge;
mod split;
mod sum;
mod virtio;

pub use error::Error;
pub use merge::{Checked, Gro, Packet, Stats};
pub use split::{Fill, Split};
pub use virtio::{Segmentation, SegmentationKind, Unfinished, VnetHeader, Work};

/// Longest IP packet, in bytes: what its length field can say.
const IP_MAX: usize = 65_535;
