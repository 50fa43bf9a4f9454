#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod action;
mod config;
mod control;
mod error;
mod pci;
mod platform;
mod probe;
mod queue;
mod shared;

pub use action::{Action, ChainAction, Frames, Outbox, Port, Ports};
pub use config::{Config, Queues};
pub use control::{Controller, Health};
pub use error::{Error, Side};
pub use platform::{Clock, InterruptKind, PciConfig, Platform, Wait};
pub use probe::{Igb, supports};
pub use queue::{Queue, QueueStats, RxQueue, TxFinish, TxQueue};

pub use igb_hal as hal;
pub use igb_hal::{Duplex, FlowControl, Link, LinkConfig, MacAddress, RssConfig, Speed, Statistics};
pub use igb_regs as regs;
pub use igb_regs::{Chip, Device};
pub use igb_ring as ring;
pub use igb_ring::{Buffer, Chunk, Exclusive, Local, Memory, Pool, Refused, RxChain, RxMeta, TxOffload};
