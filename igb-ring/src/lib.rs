#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The room where memory is shared with a device: DMA regions, chunks whose ownership goes round a ring, and the pool's
// lock-free stack cannot be said in safe Rust. Everything above this crate forbids unsafe code.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod arena;
mod chunk;
mod dma;
mod error;
mod generated;
mod lines;
mod meta;
#[cfg(feature = "test-dma")]
mod non_coherent;
mod offload;
mod pages;
mod pool;
mod quarantine;
mod rx;
pub mod tx;

pub use arena::Arena;
pub use chunk::{Chunk, Exclusive, Memory};
pub use dma::{Coherent, Dma, Domain, Region};
pub use error::Error;
pub use meta::{Checksum, PacketType, RssType, RxMeta};
#[cfg(feature = "test-dma")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-dma")))]
pub use non_coherent::NonCoherent;
pub use offload::{Ip, L4, Launch, TxAbilities, TxOffload};
pub use pages::{Half, Halves, PageKind, PageStats, Pages};
pub use pool::{Buffer, HEADROOM, Local, Pool};
pub use quarantine::Quarantine;
pub use rx::{Receive, RxChain, RxRing, RxStats};
pub use tx::{Refused, TxCleaner, TxSender};

/// Descriptor words, generated from the specifications: values to copy in and out, not places.
pub mod descriptors {
    pub use crate::generated::*;
}

/// Shortest ring that the device takes, in descriptors.
pub const RING_MIN: u32 = 64;
/// Longest ring that drivers of this family use, in descriptors.
pub const RING_MAX: u32 = 4096;

fn ring_len(len: u32) -> Result<u32, Error> {
    match len {
        RING_MIN..=RING_MAX if len.is_multiple_of(8) => Ok(len),
        RING_MIN..=RING_MAX => Err(Error::RingMultiple(len)),
        _ => Err(Error::RingLength(len)),
    }
}

/// How many steps from `from` to `to` on a circle of `len`.
#[inline]
fn distance(from: u32, to: u32, len: u32) -> u32 {
    if to >= from { to - from } else { to + len - from }
}

/// The next position on a circle of `len`. Wrapping is a branch, taken once a round: cheaper than choosing each time.
#[inline]
fn after(index: u32, len: u32) -> u32 {
    let next = index + 1;
    if next == len {
        seldom();
        return 0;
    }
    next
}

#[cold]
#[inline(always)]
fn seldom() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle() {
        for len in [64, 72] {
            for from in 0..len {
                let mut at = from;
                for n in 0..len {
                    assert_eq!(distance(from, at, len), n);
                    at = after(at, len);
                }
                assert_eq!(at, from);
            }
        }
    }

    #[test]
    fn queues_share_no_line() {
        assert!(align_of::<RxRing<Buffer>>() == 128 && align_of::<Local>() == 128);
        assert!(align_of::<TxSender<Buffer>>() == 128 && align_of::<TxCleaner<Buffer>>() == 128);
    }
}
