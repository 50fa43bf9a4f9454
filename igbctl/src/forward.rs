//! From one device to another without a copy: the buffer that a frame arrived in is the buffer that it leaves from.
//!
//! This is the whole data path of `fwd` and of `demo`, on every platform.

use crate::failure::Failure;
use crate::nic::{BUDGET, Nic};
use igb::{Action, Chunk, Memory, Platform, Wait};

/// Moves what each queue of `from` received to the queue of the same number of `to`: at most [`BUDGET`] frames a queue,
/// one doorbell each way for the batch. Returns the number of frames.
pub(crate) fn forward<P: Platform<Irq: Wait>>(
    from: &mut Nic<P>,
    to: &mut Nic<P>,
    batch: u32,
) -> Result<u32, Failure> {
    let mut frames = 0;
    let lanes = from.queues.iter_mut().zip(&mut from.moved).zip(to.queues.iter_mut().zip(&mut to.moved));
    for ((source, received), (sink, sent)) in lanes {
        // What has left goes back to where it came from, so that neither side runs out.
        let memory = source.rx.memory();
        sink.finish
            .clean(&mut sink.tx, |frame| memory.give(frame))
            .map_err(|error| Failure::driver(&to.name, error))?;
        // No more than there is room for: the rest waits in the receive ring, where the device can tell its partner.
        let budget = batch.min(BUDGET).min(sink.tx.room());
        if budget == 0 {
            continue;
        }
        let polled = source.rx.poll(budget, &mut source.tx, &mut [&mut sink.tx], |frame, _| {
            received.rx_frames += 1;
            received.rx_bytes += u64::from(frame.len());
            sent.tx_frames += 1;
            sent.tx_bytes += u64::from(frame.len());
            Action::Redirect(0, frame)
        });
        frames += polled.map_err(|error| Failure::driver(&from.name, error))?;
    }
    Ok(frames)
}
