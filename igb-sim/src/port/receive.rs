//! The receive path: packet buffer, descriptors, write-back.
//!
//! A frame that passed the filters waits in the packet buffer until its queue has descriptors. Without
//! `SRRCTL.DROP_EN` it waits there and holds up what is behind it; once the buffer is full, what arrives is missed
//! (MPC). With `DROP_EN` it is dropped and its queue counts it (RQDPC). Either way RNBC counts it once.

use super::filter::Verdict;
use super::rss::Hash;
use super::split;
use super::{Frame, Port, interrupt};
use crate::fault::Fault;
use crate::offsets::*;
use crate::packet::{self, Headers, Network, Transport};
use crate::violation::Violation;
use igb_regs::Chip;
use std::collections::VecDeque;

/// Descriptors that the device fetches ahead. A driver that changes a posted descriptor changes nothing.
const CACHE: usize = 32;
const DD: u32 = 1;
const EOP: u32 = 1 << 1;

/// The packet buffer.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    frames: VecDeque<Stored>,
    bytes: usize,
}

impl Fifo {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[derive(Debug)]
struct Stored {
    frame: Frame,
    headers: Headers,
    queue: usize,
    hash: Hash,
    filter: Option<u32>,
    exact: bool,
    /// RNBC has counted it.
    noted: bool,
}

/// Bytes that a frame takes in the packet buffer: with FCS, in lines of 16.
fn room_for(len: usize) -> usize {
    (len + 4).next_multiple_of(16)
}

enum Step {
    Done,
    Wait,
}

impl Port {
    /// Bytes of the receive packet buffer (fact base 0.2).
    pub(crate) fn buffer_capacity(&self) -> usize {
        const TABLE: [usize; 11] = [36, 72, 144, 1, 2, 4, 8, 16, 35, 70, 140];
        let size = self.regs.get(RXPBS);
        let kilobytes = match self.chip {
            Chip::I82575 => (self.regs.get(PBA) & 0x7f) as usize,
            Chip::I82576 => (size & 0x7f) as usize,
            Chip::I210 | Chip::I211 => (size & 0x3f) as usize,
            _ => TABLE.get((size & 0xf) as usize).copied().unwrap_or(36),
        };
        kilobytes * 1024
    }

    /// Frames and bytes that wait in the packet buffer.
    pub(crate) fn buffered(&self) -> (usize, usize) {
        (self.fifo.frames.len(), self.fifo.bytes)
    }

    /// A frame from the wire, or from the loop.
    pub(crate) fn receive(&mut self, frame: Frame) {
        if !self.present || !self.regs.has(RCTL, 2) {
            self.counters.rx_disabled += 1;
            return;
        }
        let (vet, outer) = self.vlan_types();
        let headers = Headers::parse(&frame.bytes, vet, outer);
        let exact = match self.judge(&frame, &headers) {
            Verdict::Accept { exact } => exact,
            Verdict::AcceptBad => false,
            Verdict::Filtered => {
                self.counters.rx_filtered += 1;
                return;
            }
            Verdict::Consumed => return,
        };
        let room = room_for(frame.bytes.len());
        if self.fifo.bytes + room > self.buffer_capacity() {
            self.count(MPC, 1);
            self.counters.rx_missed += 1;
            self.cause(interrupt::RX_MISS);
            self.deliver();
            return;
        }
        if frame.good && frame.bytes.len() >= 60 {
            self.count_received(&frame.bytes);
        }
        let (queue, hash, filter) = self.steer(&frame.bytes, &headers);
        self.fifo.bytes += room;
        self.fifo.frames.push_back(Stored { frame, headers, queue, hash, filter, exact, noted: false });
        self.drain_fifo();
        self.push_back();
    }

    /// Moves frames from the packet buffer to host memory, as far as descriptors reach.
    pub(super) fn drain_fifo(&mut self) {
        while let Some(mut stored) = self.fifo.frames.pop_front() {
            match self.place(&mut stored) {
                Step::Done => self.fifo.bytes -= room_for(stored.frame.bytes.len()),
                Step::Wait => {
                    self.fifo.frames.push_front(stored);
                    break;
                }
            }
        }
        self.relieve();
    }

    fn place(&mut self, stored: &mut Stored) -> Step {
        let queue = stored.queue;
        if !self.rx[queue].on {
            self.counters.rx_disabled += 1;
            return Step::Done;
        }
        if !self.masters() {
            return Step::Wait;
        }
        let at = Self::rx_at(queue);
        let srrctl = self.regs.get(at + SRRCTL);
        let size = self.buffer_size(srrctl);
        let (bytes, tag) = self.host_bytes(stored, queue);
        let (status, stamp) = self.status(stored, srrctl, tag.is_some());
        let shift = if tag.is_some() { 4 } else { 0 };
        let header = self.split_header(queue, &stored.frame.bytes, &stored.headers);
        let stamp = stamp.unwrap_or_default();
        let header = header.map(|len| len - shift + stamp.len());
        let bytes = if stamp.is_empty() { bytes } else { [stamp, bytes].concat() };
        let cut = split::Wish::new(srrctl).map(|wish| wish.cut(bytes.len(), header)).unwrap_or_default();
        let (front, mut rest) = bytes.split_at(cut.front.min(bytes.len()));
        let needed = rest.len().div_ceil(size).max(1);
        if self.free_descriptors(queue) < needed {
            if !core::mem::replace(&mut stored.noted, true) {
                self.count(RNBC, 1);
            }
            // QDE (82575 to I354 headers) drops for a queue as DROP_EN does.
            if srrctl >> 31 != 0 || self.regs.get(QDE) >> queue & 1 != 0 && !is_i21x(self.chip) {
                self.count(at + RQDPC, 1);
                self.counters.rx[queue].dropped += 1;
                return Step::Done;
            }
            return Step::Wait;
        }
        let info = self.info(stored);
        let mut cut = Some(cut);
        while let Some((index, descriptor)) = self.take_descriptor(queue) {
            let (part, left) = rest.split_at(rest.len().min(size));
            rest = left;
            // Header length and buffer belong to the first descriptor.
            let cut = cut.take().unwrap_or_default();
            if cut.front > 0 {
                self.dma_write(descriptor[1], front);
            }
            if !part.is_empty() {
                self.dma_write(descriptor[0], part);
            }
            let info = info | u64::from(cut.info(self.chip));
            let last = rest.is_empty();
            let mut status = if last { status } else { DD } | cut.status();
            let mut tag = if last { tag.unwrap_or(0) } else { 0 };
            let mut len = part.len() as u16;
            if self.has_fault(Fault::LengthWithCrc) && last {
                len += 4;
            }
            if self.has_fault(Fault::NoEndOfPacket) {
                status &= !EOP;
            }
            if self.has_fault(Fault::VlanTagLost) {
                (status, tag) = (status & !(1 << 3), 0);
            }
            self.write_back(queue, index, srrctl, info, (status, len, tag));
            if last {
                break;
            }
        }
        let len = stored.frame.bytes.len();
        self.count_delivered(queue, len);
        self.check_threshold(queue, srrctl);
        self.queue_cause(true, queue);
        Step::Done
    }

    /// Both quadwords, the one with DD last.
    fn write_back(&mut self, queue: usize, index: u32, srrctl: u32, info: u64, end: (u32, u16, u16)) {
        let (status, len, tag) = end;
        let place = self.ring_base(Self::rx_at(queue)) + u64::from(index) * 16;
        let high = if srrctl >> 25 & 7 == 0 {
            // Legacy: length, then status and errors a byte each, then the tag (I210 7.1.4.1).
            u64::from(len) | u64::from(status & 0xff | status >> 16 & 0xff00) << 32 | u64::from(tag) << 48
        } else {
            self.dma_write64(place, info);
            u64::from(status) | u64::from(len) << 32 | u64::from(tag) << 48
        };
        self.dma_write64(place + 8, high);
    }

    fn buffer_size(&self, srrctl: u32) -> usize {
        match srrctl & 0x7f {
            0 => [2048, 1024, 512, 256][(self.regs.get(RCTL) >> 16 & 3) as usize],
            kilobytes => kilobytes as usize * 1024,
        }
    }

    /// What goes to the host: tag taken out where wanted, FCS left in where wanted.
    fn host_bytes(&self, stored: &Stored, queue: usize) -> (Vec<u8>, Option<u16>) {
        let mut bytes = stored.frame.bytes.clone();
        let dvmolr = if from(self.chip, Chip::I350) { self.regs.get(Self::rx_at(queue) + DVMOLR) } else { 0 };
        let strip_tag = self.regs.has(CTRL, 1 << 30) || dvmolr & 1 << 30 != 0;
        if !self.regs.has(RCTL, 1 << 26) && dvmolr >> 31 == 0 {
            let fcs = packet::fcs(&bytes) ^ u32::from(!stored.frame.good);
            bytes.extend_from_slice(&fcs.to_le_bytes());
        }
        let tag = stored.headers.tag.filter(|_| strip_tag);
        if let Some((_, at)) = tag {
            bytes.drain(at..at + 4);
        }
        (bytes, tag.map(|(tag, _)| tag))
    }

    /// dw0 and dw1: types and hash.
    fn info(&self, stored: &Stored) -> u64 {
        let Stored { headers, hash, filter, .. } = stored;
        let mut kind = match headers.network {
            Network::Other => 0,
            Network::V4 { options } => 1 << 4 | u32::from(options) << 5,
            Network::V6 { extensions } => 1 << 6 | u32::from(extensions) << 7,
        } | match headers.transport {
            Transport::Other => 0,
            Transport::Tcp => 1 << 8,
            Transport::Udp => 1 << 9,
            Transport::Sctp => 1 << 10,
        };
        if let Some(index) = filter {
            kind = 1 << 15 | index << 4;
        }
        if is_i21x(self.chip) && headers.tag.is_some() {
            kind |= 1 << 16;
        }
        let report = self.regs.has(RXCSUM, 1 << 13); // PCSD: the hash, not the fragment checksum
        let hash = if report { *hash } else { Hash::default() };
        u64::from(kind | hash.kind) | u64::from(hash.value) << 32
    }

    /// dw2 of the last descriptor, and the time stamp that goes before the frame.
    fn status(&self, stored: &Stored, srrctl: u32, stripped: bool) -> (u32, Option<Vec<u8>>) {
        let Stored { frame, headers, exact, .. } = stored;
        let mut status = DD | EOP;
        status |= u32::from(stripped) << 3 | u32::from(!exact) << 7 | u32::from(headers.outer) << 9;
        if !frame.good {
            return (status | 1 << 31, None);
        }
        status |= self.checksums(&frame.bytes, headers);
        // TIMESTAMP, with every packet stamped (TSYNCRXCTL type 4, enabled).
        let wanted = srrctl & 1 << 30 != 0 && self.regs.get(TSYNCRXCTL) & 0x1e == 0x18;
        if from(self.chip, Chip::I82580) && wanted {
            let mut stamp = vec![0; 8];
            let nanos = self.now;
            let value = if is_i21x(self.chip) {
                ((nanos / 1_000_000_000) << 32) | (nanos % 1_000_000_000)
            } else {
                nanos & 0xff_ffff_ffff
            };
            stamp.extend_from_slice(&value.to_le_bytes());
            return (status | 1 << 15, Some(stamp));
        }
        (status, None)
    }

    /// Status and error bits of the checksums that RXCSUM wants checked.
    fn checksums(&self, bytes: &[u8], headers: &Headers) -> u32 {
        let rxcsum = self.regs.get(RXCSUM);
        let mut status = 0;
        if let (Network::V4 { .. }, true) = (headers.network, rxcsum & 1 << 8 != 0) {
            let header = bytes.get(headers.network_at..headers.transport_at).unwrap_or(&[]);
            let good = packet::fold(packet::sum(header)) == 0xffff;
            status |= 1 << 6 | u32::from(!good) << 30;
        }
        let at = headers.transport_at;
        let good = match headers.transport {
            Transport::Udp if rxcsum & 1 << 9 != 0 => {
                if bytes[at + 6..at + 8] == [0, 0] {
                    return status; // the sender computed none
                }
                status |= 1 << 4;
                headers.transport_sum(bytes) == 0xffff
            }
            Transport::Tcp if rxcsum & 1 << 9 != 0 => headers.transport_sum(bytes) == 0xffff,
            Transport::Sctp if rxcsum & 1 << 11 != 0 && from(self.chip, Chip::I82576) => {
                let mut packet = bytes[at..headers.end].to_vec();
                let (carried, zero) = (packet[8..12].to_vec(), [0; 4]);
                packet[8..12].copy_from_slice(&zero);
                packet::crc32c(&packet).to_le_bytes() == carried[..]
            }
            _ => return status,
        };
        let good = good && !self.has_fault(Fault::ChecksumSlander);
        status | 1 << 5 | u32::from(!good) << 29
    }

    /// Descriptors between head and tail.
    fn free_descriptors(&self, queue: usize) -> usize {
        let at = Self::rx_at(queue);
        let len = self.ring_len(at);
        if len == 0 {
            return 0;
        }
        let (head, tail) = (self.regs.get(at + HEAD) % len, self.regs.get(at + TAIL) % len);
        ((tail + len - head) % len) as usize
    }

    /// Fetches descriptors ahead, in as few reads as the ring's end allows.
    pub(super) fn fetch(&mut self, queue: usize) {
        let at = Self::rx_at(queue);
        let len = self.ring_len(at);
        if len == 0 || !self.masters() {
            return;
        }
        let tail = self.regs.get(at + TAIL) % len;
        let base = self.ring_base(at);
        while self.rx[queue].cache.len() < CACHE {
            let from = self.rx[queue].fetched % len;
            let until = if tail >= from { tail } else { len };
            let count = (until - from).min((CACHE - self.rx[queue].cache.len()) as u32);
            if count == 0 {
                break;
            }
            let mut bytes = vec![0; count as usize * 16];
            self.dma_read(base + u64::from(from) * 16, &mut bytes);
            for (index, descriptor) in bytes.as_chunks::<16>().0.iter().enumerate() {
                let (low, high) = descriptor.split_at(8);
                let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
                let words = [word(low), word(high)];
                self.check_descriptor(queue, from + index as u32, words);
                self.rx[queue].cache.push_back(words);
            }
            self.rx[queue].fetched = (from + count) % len;
        }
    }

    fn check_descriptor(&mut self, queue: usize, index: u32, words: [u64; 2]) {
        let splits = split::Wish::new(self.regs.get(Self::rx_at(queue) + SRRCTL)).is_some();
        let rule = match words {
            [_, 0] if splits => "header address 0 in a queue that splits",
            [0, _] => "buffer address 0: null descriptors are not supported",
            [_, header] if header & 1 != 0 => "bit 0 of the header address is DD and must be 0",
            _ => return,
        };
        self.violate(Violation::Descriptor { ring: "RX", queue, index, rule });
    }

    /// The descriptor at the head, which moves on.
    fn take_descriptor(&mut self, queue: usize) -> Option<(u32, [u64; 2])> {
        if self.rx[queue].cache.is_empty() {
            self.fetch(queue);
        }
        let descriptor = self.rx[queue].cache.pop_front()?;
        let at = Self::rx_at(queue);
        let len = self.ring_len(at).max(1);
        let index = self.regs.get(at + HEAD) % len;
        self.regs.set(at + HEAD, (index + 1) % len);
        self.counters.rx[queue].descriptors += 1;
        if self.rx[queue].cache.len() < CACHE / 2 {
            self.fetch(queue);
        }
        Some((index, descriptor))
    }

    /// Fewer descriptors left than SRRCTL.RDMTS times 16: a cause, once until the ring is refilled.
    fn check_threshold(&mut self, queue: usize, srrctl: u32) {
        let threshold = (srrctl >> 20 & 0x1f) as usize * 16;
        if self.free_descriptors(queue) < threshold && !core::mem::replace(&mut self.rx[queue].low, true) {
            self.count(RXDMTC, 1);
            self.cause(interrupt::RXDMT0);
        }
    }

    /// XOFF to the partner when the packet buffer is above FCRTH and CTRL.TFCE allows it.
    fn push_back(&mut self) {
        let high = (self.regs.get(FCRTH) & 0x3_fff0) as usize;
        if high != 0 && self.fifo.bytes > high && !self.xoff_sent && self.regs.has(CTRL, 1 << 28) {
            self.xoff_sent = true;
            self.send_pause(self.regs.get(FCTTV) as u16, XOFFTXC);
        }
    }

    /// XON when it fell below FCRTL and FCRTL.XONE is set.
    fn relieve(&mut self) {
        let low = self.regs.get(FCRTL);
        if self.xoff_sent && self.fifo.bytes <= (low & 0xfff0) as usize {
            self.xoff_sent = false;
            if low >> 31 != 0 {
                self.send_pause(0, XONTXC);
            }
        }
    }

    fn send_pause(&mut self, quanta: u16, counter: u32) {
        let mut frame = vec![0; 60];
        frame[..4].copy_from_slice(&self.regs.get(FCAL).to_le_bytes());
        frame[4..6].copy_from_slice(&self.regs.get(FCAH).to_le_bytes()[..2]);
        frame[6..10].copy_from_slice(&self.regs.get(RAL).to_le_bytes());
        frame[10..12].copy_from_slice(&self.regs.get(RAL + 4).to_le_bytes()[..2]);
        frame[12..14].copy_from_slice(&(self.regs.get(FCT) as u16).to_be_bytes());
        frame[14..16].copy_from_slice(&[0, 1]);
        frame[16..18].copy_from_slice(&quanta.to_be_bytes());
        self.count(counter, 1);
        self.count_transmitted(&frame);
        self.out.push(Frame { bytes: frame, good: true });
    }
}
