#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod error;
mod filters;
mod firmware;
mod identify;
mod init;
mod interrupts;
mod link;
mod mac;
mod mdio;
mod nvm;
mod pcs;
mod queues;
mod reset;
mod rss;
mod semaphore;
mod statistics;

pub use address::{MacAddress, ParseAddressError, WhyBad};
pub use error::Error;
pub use firmware::{Firmware, ImageVersion};
pub use identify::identify;
pub use igb_phy::{Advertise, Duplex, Mdix, PhyId, Speed};
pub use igb_regs::{Chip, Device, Media};
pub use init::{MAX_FRAME, MIN_FRAME, MacConfig};
pub use interrupts::{Causes, Mode, Routing};
pub use link::{FlowControl, Link, LinkConfig};
pub use mac::Mac;
pub use mdio::{MdioError, MdioPort, PhyInfo};
pub use nvm::Nvm;
pub use queues::{RingAt, RxQueueConfig, TxQueueConfig};
pub use rss::{RssConfig, RssHash};
pub use statistics::Statistics;
