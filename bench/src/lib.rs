//! What the hot path costs, counted and not timed, on a device that is memory only.
//!
//! [`MemoryOnly`] is a platform whose registers are words. Nothing runs behind them: what a device does between two
//! polls (writing descriptors back) is done by [`Rig::prepare`], and [`Rig::run`] is the window that is counted. A
//! window is what a program does per batch: clean, receive, refill, doorbells.
//!
//! `benches/instructions.rs` counts the windows with callgrind; `benches/accesses.rs` counts register accesses and
//! allocations in the same windows; `cargo xtask bench` runs both and compares with the table in `docs/`.

// One room: `count` implements the allocator trait.
#![deny(unsafe_code)]

pub mod count;
mod memory_only;
mod rig;
pub mod window;

pub use memory_only::{Device, MemoryOnly, Pci, Ticks, Words};
pub use rig::{BATCHES, Case, FRAME, Rig, WARM_UP};
