#![doc = include_str!("../README.md")]
#![cfg_attr(target_os = "none", no_std)]
#![allow(unsafe_code, reason = "a platform is where addresses become registers and memory")]

#[cfg(target_arch = "x86_64")]
mod interrupts;
#[cfg(target_arch = "x86_64")]
mod platform;

#[cfg(target_arch = "x86_64")]
pub use interrupts::{Vector, wait_any};
#[cfg(target_arch = "x86_64")]
pub use platform::{Bare, Function, Machine, Tsc, Window};
