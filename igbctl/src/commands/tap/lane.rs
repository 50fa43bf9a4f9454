//! A queue of the NIC and a queue of the interface, and what goes from one to the other.
//!
//! A frame is read into the buffer that the NIC sends from, and written from the buffer that it was received in: the only copies
//! are the kernel's. A batch is at most [`BUDGET`] frames each way, with one doorbell. Nothing is allocated.

use super::checksum::{Summed, finish};
use crate::failure::Failure;
use crate::meter::Meter;
use crate::nic::BUDGET;
use crate::rates::Totals;
use igb::ring::Checksum;
use igb::{Action, Buffer, Chunk, Exclusive, Local, Memory, Platform, Queue, TxOffload};
use igb_tap::{Header, Written};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Shortest frame that the NIC takes; it pads to 60 by itself.
const SHORTEST: u16 = 17;
/// How long what was handed to the NIC may take to leave when the command ends.
const DRAIN: Duration = Duration::from_millis(200);

/// The pair.
pub(super) struct Lane<P: Platform> {
    pub(super) queue: Queue<Meter<P>, Local>,
    pub(super) end: End,
}

/// The interface's side of it, which outlives an opening of the NIC.
pub(super) struct End {
    pub(super) tap: igb_tap::Queue,
    pub(super) counts: Counts,
    /// For whoever shows rates meanwhile.
    pub(super) live: Arc<Live>,
    /// Whether frames have a header.
    pub(super) offload: bool,
    /// Longest frame.
    pub(super) max_frame: u16,
    /// The host may have sent something.
    pub(super) readable: bool,
}

/// What went through, and what did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// As the NIC sees it: received is what went to the host, or should have.
    pub(super) moved: Totals,
    /// To the host: it had no room.
    pub(super) host_full: u64,
    /// To the host: the interface was down.
    pub(super) host_down: u64,
    /// To the host: it made no sense of it.
    pub(super) host_refused: u64,
    /// From the host: longer than the MTU that the NIC was opened for.
    pub(super) too_long: u64,
    /// From the host: no frame, or its header points out of it.
    pub(super) malformed: u64,
    /// Checksums that the NIC was told to make.
    pub(super) summed_by_nic: u64,
    /// Checksums that were made here.
    pub(super) summed_here: u64,
    /// Received frames of whose checksum the NIC says that it is right.
    pub(super) checked_by_nic: u64,
    /// Batches from the host after which the rest had to wait for the NIC.
    pub(super) held_back: u64,
}

/// Totals that another thread reads, stored once a batch.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Live([AtomicU64; 4]);

impl Live {
    fn store(&self, totals: Totals) {
        let Totals { rx_frames, rx_bytes, tx_frames, tx_bytes } = totals;
        for (to, value) in self.0.iter().zip([rx_frames, rx_bytes, tx_frames, tx_bytes]) {
            to.store(value, Relaxed);
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let [rx_frames, rx_bytes, tx_frames, tx_bytes] = self.0.each_ref().map(|value| value.load(Relaxed));
        Totals { rx_frames, rx_bytes, tx_frames, tx_bytes }
    }
}

/// What became of an attempt to read a frame.
enum Read {
    Frame(TxOffload),
    Dropped,
    Nothing,
}

impl<P: Platform> Lane<P> {
    /// One batch each way. Whether there may be more at once.
    pub(super) fn step(&mut self, device: &str) -> Result<bool, Failure> {
        let received = self.host(device)?;
        let mut more = received >= BUDGET;
        if self.end.readable {
            more |= self.wire(device)?;
        }
        self.end.live.store(self.end.counts.moved);
        Ok(more)
    }

    /// Hands the host what the NIC received.
    fn host(&mut self, device: &str) -> Result<u32, Failure> {
        let End { tap, counts, offload, .. } = &mut self.end;
        let mut failed = None;
        let polled = self.queue.poll(BUDGET, |mut frame, meta| {
            let length = frame.len();
            if *offload {
                let checked = meta.l4_checksum() == Checksum::Good;
                counts.checked_by_nic += u64::from(checked);
                let header = Header { checked, ..Header::default() }.bytes();
                // A buffer's headroom is 256 bytes.
                if frame.extend_front(Header::SIZE)
                    && let Some(front) = frame.bytes_mut().first_chunk_mut()
                {
                    *front = header;
                }
            }
            if failed.is_none() {
                counts.moved.rx_frames += 1;
                counts.moved.rx_bytes += u64::from(length);
                match tap.write(frame.bytes()) {
                    Ok(Written::Taken) => {}
                    Ok(Written::Full) => counts.host_full += 1,
                    Ok(Written::Down) => counts.host_down += 1,
                    Ok(Written::Refused) => counts.host_refused += 1,
                    Err(error) => failed = Some(error),
                }
            }
            Action::Recycle(frame)
        });
        let polled = polled.map_err(|error| Failure::driver(device, error))?;
        failed.map_or(Ok(polled), |error| Err(error.into()))
    }

    /// Sends what the host has. Whether there may be more, and room for it.
    fn wire(&mut self, device: &str) -> Result<bool, Failure> {
        let end = &mut self.end;
        let (mut attempts, mut failed) = (0, None);
        let sent = self.queue.send_batch_with(BUDGET, |memory| {
            while attempts < BUDGET {
                attempts += 1;
                let mut frame = memory.take()?;
                match end.read(&mut frame) {
                    Ok(Read::Frame(offload)) => return Some((frame, offload)),
                    Ok(Read::Dropped) => memory.give(frame),
                    Ok(Read::Nothing) => {
                        memory.give(frame);
                        end.readable = false;
                        return None;
                    }
                    Err(error) => {
                        memory.give(frame);
                        failed = Some(error);
                        return None;
                    }
                }
            }
            None
        });
        sent.map_err(|error| Failure::driver(device, error))?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        // Nothing was tried: the ring is full, or rests for a reset. The host's frames wait in the interface's queue, and when
        // that is full, the host drops and counts them as it does with every interface.
        let blocked = attempts == 0;
        end.counts.held_back += u64::from(blocked);
        Ok(end.readable && !blocked)
    }

    /// What was handed to the NIC leaves, if it can.
    pub(super) fn drain(&mut self) {
        let started = Instant::now();
        while self.queue.finish.pending() > 0 && started.elapsed() < DRAIN && self.queue.clean().is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl End {
    /// Reads one frame into `frame`.
    #[inline]
    fn read(&mut self, frame: &mut Buffer) -> Result<Read, igb_tap::Error> {
        let front = if self.offload { Header::SIZE } else { 0 };
        // One byte more than the longest, to tell the longest from a longer one that was cut.
        let room = self.max_frame.saturating_add(1 + front);
        frame.extend_front(front);
        frame.resize(room.min(frame.capacity()));
        let Some(read) = self.tap.read(frame.bytes_mut())? else { return Ok(Read::Nothing) };
        let counts = &mut self.counts;
        if read >= usize::from(room) {
            counts.too_long += 1;
            return Ok(Read::Dropped);
        }
        let fits = frame.resize(u16::try_from(read).unwrap_or(u16::MAX));
        let header = if self.offload { Header::parse(frame.bytes()) } else { Some(Header::default()) };
        let (true, Some(header)) = (fits, header) else {
            counts.malformed += 1;
            return Ok(Read::Dropped);
        };
        frame.trim_front(front);
        let mut offload = TxOffload::default();
        if let Some((start, offset)) = header.checksum {
            match finish(frame.bytes_mut(), start, offset) {
                Summed::ByNic(wanted) => {
                    offload = wanted;
                    counts.summed_by_nic += 1;
                }
                Summed::Here => counts.summed_here += 1,
                Summed::Nowhere => {
                    counts.malformed += 1;
                    return Ok(Read::Dropped);
                }
            }
        }
        let length = frame.len();
        if length < SHORTEST {
            frame.resize(SHORTEST);
            if let Some(padding) = frame.bytes_mut().get_mut(usize::from(length)..) {
                padding.fill(0);
            }
        }
        counts.moved.tx_frames += 1;
        counts.moved.tx_bytes += u64::from(length);
        Ok(Read::Frame(offload))
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }
}
