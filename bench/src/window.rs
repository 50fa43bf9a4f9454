//! The windows that are counted: each is what a program writes in its loop, and nothing else.
//!
//! None is inlined, so that callgrind finds them by name. The budget is the 64 of NAPI, whatever the batch: a poll looks
//! at one descriptor more than there are frames, as it does in life.

use crate::MemoryOnly;
use igb::regs::Bus;
use igb::ring::{Ip, L4};
use igb::{Action, Chunk, Exclusive, Local, Memory, Port, Queue, TxOffload};

/// The queue of a memory-only device.
pub type Q<B> = Queue<MemoryOnly<B>, Local>;

const BUDGET: u32 = 64;

/// What a bus of such a device is.
pub trait Wires: Bus + Clone + Send + Sync + 'static {}
impl<B: Bus + Clone + Send + Sync + 'static> Wires for B {}

/// Receives, looks at nothing, drops.
#[inline(never)]
pub fn rx_drop<B: Wires>(queue: &mut Q<B>) -> u32 {
    queue.poll(BUDGET, |frame, _| Action::Recycle(frame)).unwrap_or(0)
}

/// Receives, reads the EtherType, drops all but ARP, of which there is none.
#[inline(never)]
pub fn rx_ethertype<B: Wires>(queue: &mut Q<B>) -> u32 {
    let each = |frame: igb::Buffer, _: igb::RxMeta<'_>| match frame.bytes() {
        [_, _, _, _, _, _, _, _, _, _, _, _, 0x08, 0x06, ..] => Action::Transmit(frame),
        _ => Action::Recycle(frame),
    };
    queue.poll(BUDGET, each).unwrap_or(0)
}

/// Takes sent frames home, and sends `batch` frames of 60 bytes out of the queue's memory.
#[inline(never)]
pub fn tx<B: Wires>(queue: &mut Q<B>, batch: u32) -> u32 {
    let next = |memory: &mut Local| {
        let mut frame = memory.take()?;
        frame.resize(60);
        Some(frame)
    };
    queue.send_batch(batch, next).unwrap_or(0)
}

/// Sends the frames that were sent once more: push and completion alone.
#[inline(never)]
pub fn tx_again<B: Wires>(queue: &mut Q<B>) -> u32 {
    let (tx, mut sent) = (&mut queue.tx, 0);
    let cleaned = queue.finish.clean_alone(|frame| sent += u32::from(tx.send(frame).is_ok()));
    Port::flush(tx);
    cleaned.map_or(0, |_| sent)
}

/// [`tx`] with a UDP checksum by the device, the same for all frames, whose context it keeps.
#[inline(never)]
pub fn tx_known_context<B: Wires>(queue: &mut Q<B>, batch: u32) -> u32 {
    tx_checksum(queue, batch, 1)
}

/// The same with headers of three lengths in turn: more contexts than the device keeps, so each frame has its own.
#[inline(never)]
pub fn tx_new_context<B: Wires>(queue: &mut Q<B>, batch: u32) -> u32 {
    tx_checksum(queue, batch, 3)
}

#[inline(always)]
fn tx_checksum<B: Wires>(queue: &mut Q<B>, batch: u32, kinds: u16) -> u32 {
    if queue.clean().is_err() {
        return 0;
    }
    let mut sent = 0;
    for n in 0..batch as u16 {
        let Some(mut frame) = queue.rx.memory().take() else { break };
        frame.resize(60);
        let ip_len = 20 + 4 * (n % kinds);
        let offload =
            TxOffload { ip: Some(Ip::V4), ip_len, l4: Some(L4::Udp), l4_len: 8, ..TxOffload::default() };
        sent += u32::from(queue.tx.send_with(frame, &offload).is_ok());
    }
    Port::flush(&mut queue.tx);
    sent
}

/// Takes sent frames home.
#[inline(never)]
pub fn clean<B: Wires>(queue: &mut Q<B>) -> u32 {
    queue.clean().unwrap_or(0)
}

/// Sends back what comes, out of the same queue.
#[inline(never)]
pub fn echo<B: Wires>(queue: &mut Q<B>) -> u32 {
    queue.poll(BUDGET, |frame, _| Action::Transmit(frame)).unwrap_or(0)
}

/// Sends what comes to `from` out of `to`, another device. Sent buffers go straight back to where frames are received.
#[inline(never)]
pub fn forward<B: Wires>(from: &mut Q<B>, to: &mut Q<B>) -> u32 {
    let home = from.rx.memory();
    if to.finish.clean(&mut to.tx, |frame| home.give(frame)).is_err() {
        return 0;
    }
    let ports = core::slice::from_mut(&mut to.tx);
    from.poll_to(BUDGET, ports, |frame, _| Action::Redirect(0, frame)).unwrap_or(0)
}

/// The same with each queue cleaning up after itself: buffers come back through the pool that both share, 64 at a time.
#[inline(never)]
pub fn forward_through_pool<B: Wires>(from: &mut Q<B>, to: &mut Q<B>) -> u32 {
    if to.clean().is_err() {
        return 0;
    }
    let ports = core::slice::from_mut(&mut to.tx);
    from.poll_to(BUDGET, ports, |frame, _| Action::Redirect(0, frame)).unwrap_or(0)
}
