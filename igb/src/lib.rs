//! A driver for Intel's 1 GbE controllers, generic over where it runs.
#![no_std]
#![forbid(unsafe_code)]

mod platform;

pub use platform::{Clock, InterruptKind, PciConfig, Platform, Wait};
