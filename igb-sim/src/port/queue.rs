//! The registers of the queues: ring place, head, tail, enable.
//!
//! A queue's ENABLE takes a while to read back, both ways. A tail of a disabled queue reads back what was written and
//! starts nothing (fact base 2.3.27); setting ENABLE resets head and tail (I210 8.12.15).

use super::{Event, Port};
use crate::fault::Fault;
use crate::offsets::*;
use crate::violation::Violation;
use igb_regs::Chip;
use std::collections::VecDeque;

const ENABLE: u32 = 1 << 25;
/// How long ENABLE takes to set and to clear. The datasheet gives no figure; drivers poll for milliseconds.
const ENABLE_TIME: u64 = 20_000;

/// A receive queue's part that is not in registers.
#[derive(Debug, Default)]
pub(super) struct RxQueue {
    /// The device works on it.
    pub(super) on: bool,
    /// What ENABLE was last written as.
    pub(super) wish: bool,
    /// Descriptors fetched ahead, with the index of the first one not fetched.
    pub(super) cache: VecDeque<[u64; 2]>,
    pub(super) fetched: u32,
    /// The low-threshold interrupt was raised and the ring not refilled since.
    pub(super) low: bool,
}

/// A transmit queue's part that is not in registers.
#[derive(Debug, Default)]
pub(super) struct TxQueue {
    pub(super) on: bool,
    pub(super) wish: bool,
    /// Something was reported done, and the interrupt for it is still to come.
    pub(super) reported: bool,
    /// The frame being collected.
    pub(super) partial: super::transmit::Partial,
}

pub(super) fn is_rx(offset: u32) -> bool {
    (RX..RX + 16 * QUEUE).contains(&offset)
}

pub(super) fn is_tx(offset: u32) -> bool {
    (TX..TX + 16 * QUEUE).contains(&offset)
}

impl Port {
    /// Where the registers of receive queue `queue` start.
    pub(super) fn rx_at(queue: usize) -> u32 {
        RX + queue as u32 * QUEUE
    }

    pub(super) fn tx_at(queue: usize) -> u32 {
        TX + queue as u32 * QUEUE
    }

    /// Descriptors in the ring whose registers start at `at`.
    pub(super) fn ring_len(&self, at: u32) -> u32 {
        self.regs.get(at + LEN) / 16
    }

    pub(super) fn ring_base(&self, at: u32) -> u64 {
        u64::from(self.regs.get(at + BAL)) | u64::from(self.regs.get(at + BAH)) << 32
    }

    pub(super) fn write_rx_queue(&mut self, offset: u32, value: u32) {
        let queue = ((offset - RX) / QUEUE) as usize;
        if queue >= self.rx.len() {
            return;
        }
        match offset & 0x3f {
            TAIL => {
                self.counters.rx_doorbells += 1;
                if self.write_tail(offset, value, self.rx[queue].on) {
                    self.rx[queue].low = false;
                    self.fetch(queue);
                    self.drain_fifo();
                }
            }
            DCTL => self.write_dctl(true, queue, offset, value),
            RQDPC if is_i21x(self.chip) => self.regs.set(offset, value),
            RQDPC => {}
            _ => self.write_ring(offset, value, self.rx[queue].on),
        }
    }

    pub(super) fn write_tx_queue(&mut self, offset: u32, value: u32) {
        let queue = ((offset - TX) / QUEUE) as usize;
        if queue >= self.tx.len() {
            return;
        }
        match offset & 0x3f {
            TAIL => {
                self.counters.tx_doorbells += 1;
                if self.write_tail(offset, value, self.tx[queue].on) {
                    self.transmit(queue);
                }
            }
            DCTL => self.write_dctl(false, queue, offset, value),
            _ => self.write_ring(offset, value, self.tx[queue].on),
        }
    }

    fn write_ring(&mut self, offset: u32, value: u32, on: bool) {
        let register = || self.regs.name(offset);
        let place = offset & 0x3f;
        let broken = match place {
            BAL if value & 0x7f != 0 => Some(Violation::RingBase { register: register(), value }),
            LEN if value & !0xf_ff80 != 0 || value > 0x8_0000 => {
                Some(Violation::RingLength { register: register(), value })
            }
            BAL | BAH | LEN | HEAD if on => Some(Violation::RingBusy { register: register() }),
            _ => None,
        };
        if let Some(violation) = broken {
            self.violate(violation);
        }
        match place {
            BAL => self.regs.set(offset, value & !0x7f),
            // What Linux's register test finds writable (fact base 1.6); 82580 is not judged by it.
            LEN if matches!(self.chip, Chip::I82576 | Chip::I82580) => {
                self.regs.set(offset, value & 0xf_fff0);
            }
            LEN => self.regs.set(offset, value & 0xf_ff80),
            HEAD => self.regs.set(offset, value & 0xffff),
            _ => self.regs.write(offset, value),
        }
    }

    /// Stores a tail; true when the queue works and should look at it.
    fn write_tail(&mut self, offset: u32, value: u32, on: bool) -> bool {
        let tail = value & 0xffff;
        self.regs.set(offset, tail);
        let len = self.ring_len(offset & !0x3f);
        if !on {
            if tail != 0 {
                self.violate(Violation::TailBeforeEnable { register: self.regs.name(offset) });
            }
            return false;
        }
        if value >= len {
            self.violate(Violation::TailRange { register: self.regs.name(offset), tail: value, len });
            return false;
        }
        true
    }

    fn write_dctl(&mut self, rx: bool, queue: usize, offset: u32, value: u32) {
        let at = offset & !0x3f;
        let asked = if rx { &mut self.rx[queue].wish } else { &mut self.tx[queue].wish };
        let before = core::mem::replace(asked, value & ENABLE != 0);
        let was = self.regs.get(offset) & ENABLE;
        // ENABLE itself reads back as what the queue does; a wish under way is in the timers.
        self.regs.set(offset, value & !ENABLE | was);
        let wish = value & ENABLE != 0;
        if wish == before {
            return;
        }
        if wish {
            self.check_ring(at);
            if rx && let Some(rule) = super::split::Wish::broken_rule(self.regs.get(at + SRRCTL), self.chip) {
                self.violate(Violation::Descriptor { ring: "RX", queue, index: 0, rule });
            }
            self.regs.set(at + HEAD, 0);
            self.regs.set(at + TAIL, 0);
        }
        let event = Event::QueueEnabled { rx, queue, generation: self.generation, on: wish };
        self.after(ENABLE_TIME, event);
    }

    fn check_ring(&mut self, at: u32) {
        let (len, tail) = (self.regs.get(at + LEN), self.regs.get(at + TAIL));
        if len == 0 || len & 0x7f != 0 || len > 0x8_0000 {
            self.violate(Violation::RingLength { register: self.regs.name(at + LEN), value: len });
        }
        if tail != 0 {
            self.violate(Violation::EnabledWithTail { register: self.regs.name(at + TAIL), tail });
        }
        if !self.pci.masters() {
            self.violate(Violation::NotMastering);
        }
    }

    pub(super) fn queue_enabled(&mut self, rx: bool, queue: usize, on: bool) {
        let wish = if rx { self.rx[queue].wish } else { self.tx[queue].wish };
        if wish != on || self.has_fault(if on { Fault::StuckEnable } else { Fault::StuckDisable }) {
            return;
        }
        let at = if rx { Self::rx_at(queue) } else { Self::tx_at(queue) };
        self.regs.change(at + DCTL, if on { ENABLE } else { 0 }, ENABLE);
        if rx {
            self.rx[queue] = RxQueue { on, wish, ..RxQueue::default() };
            if on {
                self.fetch(queue);
            }
            self.drain_fifo();
        } else {
            self.tx[queue] = TxQueue { on, wish, ..TxQueue::default() };
            if on {
                self.transmit(queue);
            }
        }
    }

    /// Whether any queue works.
    pub(crate) fn has_running_queues(&self) -> bool {
        self.rx.iter().any(|queue| queue.on) || self.tx.iter().any(|queue| queue.on)
    }

    pub(super) fn write_enables(&mut self, offset: u32, value: u32) {
        self.regs.write(offset, value);
        if offset == TCTL {
            self.transmit_all();
        } else if value & 2 == 0 {
            self.fifo.clear();
        }
    }

    /// A hostile device's hand: writes both quadwords of a descriptor.
    pub(crate) fn forge(&mut self, rx: bool, queue: usize, index: u32, words: [u64; 2]) -> bool {
        let (count, at) =
            if rx { (self.rx.len(), Self::rx_at(queue)) } else { (self.tx.len(), Self::tx_at(queue)) };
        if queue >= count || index >= self.ring_len(at) {
            return false;
        }
        let place = self.ring_base(at) + u64::from(index) * 16;
        self.memory.write64(place, words[0]) && self.memory.write64(place + 8, words[1])
    }
}
