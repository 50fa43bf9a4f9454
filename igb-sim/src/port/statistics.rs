//! The counters: clear on read, stick at all ones, pairs that are read low half first.

use super::{Frame, Port};
use crate::fault::Fault;
use crate::offsets::*;

/// Low halves of 64-bit pairs. Reading the high half clears both (fact base 2.3.11).
const PAIRS: [u32; 6] = [GORCL, GOTCL, TORL, TOTL, HGORCL, HGOTCL];
const FCS: u64 = 4;

/// Index of the size bucket of a frame of `len` bytes, FCS included.
fn bucket(len: u64) -> u32 {
    match len {
        0..=64 => 0,
        65..=127 => 1,
        128..=255 => 2,
        256..=511 => 3,
        512..=1023 => 4,
        _ => 5,
    }
}

impl Port {
    /// Adds to a counter of 32 bits; it sticks at its end.
    pub(super) fn count(&mut self, offset: u32, more: u32) {
        self.regs.set(offset, self.regs.get(offset).saturating_add(more));
    }

    fn count_pair(&mut self, low: u32, more: u64) {
        let value = u64::from(self.regs.get(low)) | u64::from(self.regs.get(low + 4)) << 32;
        let value = value.saturating_add(more);
        self.regs.set(low, value as u32);
        self.regs.set(low + 4, (value >> 32) as u32);
    }

    pub(super) fn read_statistic(&mut self, offset: u32) -> u32 {
        if PAIRS.contains(&offset) || self.has_fault(Fault::CountersStay) {
            return self.regs.get(offset);
        }
        if PAIRS.contains(&offset.wrapping_sub(4)) {
            self.regs.set(offset - 4, 0);
        }
        let value = self.regs.get(offset);
        self.regs.set(offset, 0);
        value
    }

    /// RQDPC clears on read, but on I210 and I211 wants a 0 written (fact base, quirk 20).
    pub(super) fn read_rqdpc(&mut self, offset: u32) -> u32 {
        let value = self.regs.get(offset);
        if !is_i21x(self.chip) {
            self.regs.set(offset, 0);
        }
        value
    }

    /// Anything of 25 bytes or more that came in, good or not (I210 8.18.46, 8.18.50).
    pub(super) fn count_arrived(&mut self, frame: &Frame) {
        let len = frame.bytes.len() as u64 + FCS;
        if len >= 25 {
            self.count(TPR, 1);
            self.count_pair(TORL, len);
        }
    }

    /// A good frame that the filters took.
    pub(super) fn count_received(&mut self, bytes: &[u8]) {
        let len = bytes.len() as u64 + FCS;
        self.count(GPRC, 1);
        self.count_pair(GORCL, len);
        self.count(PRC64 + 4 * bucket(len), 1);
        if bytes[..6] == [0xff; 6] {
            self.count(BPRC, 1);
        } else if bytes[0] & 1 != 0 {
            self.count(MPRC, 1);
        }
    }

    /// A frame that went into host memory.
    pub(super) fn count_delivered(&mut self, queue: usize, len: usize) {
        let octets = len as u64 + FCS;
        self.count(RPTHC, 1);
        self.count_pair(HGORCL, octets);
        self.counters.rx[queue].frames += 1;
        self.counters.rx[queue].bytes += len as u64;
        let base = PQGPRC + 0x100 * queue as u32;
        for (offset, more) in [(base, 1), (base + 8, octets as u32)] {
            self.regs.set(offset, self.regs.get(offset).wrapping_add(more));
        }
    }

    /// A frame that went to the wire.
    pub(super) fn count_sent(&mut self, queue: usize, bytes: &[u8]) {
        let len = bytes.len() as u64 + FCS;
        self.count_transmitted(bytes);
        self.count(GPTC, 1);
        self.count_pair(GOTCL, len);
        self.count(HGPTC, 1);
        self.count_pair(HGOTCL, len);
        self.counters.tx[queue].frames += 1;
        self.counters.tx[queue].bytes += bytes.len() as u64;
        let base = PQGPRC + 0x100 * queue as u32;
        for (offset, more) in [(base + 4, 1), (base + 0x24, len as u32)] {
            self.regs.set(offset, self.regs.get(offset).wrapping_add(more));
        }
    }

    /// The counters that take flow control frames too.
    pub(super) fn count_transmitted(&mut self, bytes: &[u8]) {
        let len = bytes.len() as u64 + FCS;
        self.count(TPT, 1);
        self.count_pair(TOTL, len);
        self.count(PTC64 + 4 * bucket(len), 1);
        if bytes[..6] == [0xff; 6] {
            self.count(BPTC, 1);
        } else if bytes[0] & 1 != 0 {
            self.count(MPTC, 1);
        }
    }
}
