//! From a cause to a message: ICR and EICR with their masks, IVAR's three layouts, auto-clear, auto-mask, EITR.
//!
//! With `GPIE.Multiple_MSIX` each vector has its bit in EICR, and ICR feeds the "other" vector. Without it (after a
//! reset, and always under MSI and INTx) ICR is the interrupt, and queue causes stand in it (fact base 1.3, 2.3.28).

use super::{Event, Port};
use crate::fault::Fault;
use crate::offsets::*;
use crate::violation::Violation;
use igb::InterruptKind;
use igb_regs::Chip;

pub(super) const TXDW: u32 = 1;
pub(super) const LSC: u32 = 1 << 2;
pub(super) const RXDMT0: u32 = 1 << 4;
pub(super) const RX_MISS: u32 = 1 << 6;
pub(super) const RXT0: u32 = 1 << 7;
pub(super) const DRSTA: u32 = 1 << 30;
const INTA: u32 = 1 << 31;
/// EICR's bit for the causes of ICR.
const OTHER: u32 = 1 << 31;
/// Vectors that EICR and EITR have room for.
const VECTORS: usize = 25;

/// Everything about interrupts that is not in registers.
#[derive(Debug)]
pub(crate) struct Interrupts {
    /// EICR bits whose message went out and that were not cleared or unmasked anew since.
    sent: u32,
    /// ICR bits of the same kind, under MSI.
    sent_causes: u32,
    /// The INTx line is asserted.
    pub(crate) line: bool,
    /// No message before this moment, by vector.
    next: [u64; VECTORS],
    waiting: [bool; VECTORS],
    /// Messages that arrived and nobody took, by vector.
    pub(crate) arrived: Vec<bool>,
    /// Vectors that the host routed; messages of others are lost.
    pub(crate) routed: usize,
    /// Messages since the world last looked, for callbacks.
    pub(crate) fresh: Vec<u16>,
}

impl Interrupts {
    pub(super) fn new(vectors: u16) -> Self {
        Self {
            sent: 0,
            sent_causes: 0,
            line: false,
            next: [0; VECTORS],
            waiting: [false; VECTORS],
            arrived: vec![false; usize::from(vectors.max(1))],
            routed: 0,
            fresh: Vec::new(),
        }
    }

    /// A MAC reset: nothing is pending in the device. What arrived at the host stays there.
    pub(super) fn reset(&mut self) {
        self.sent = 0;
        self.sent_causes = 0;
        self.line = false;
        self.next = [0; VECTORS];
    }
}

/// One byte of IVAR: a vector, and whether it counts.
fn ivar(byte: u32) -> Option<u32> {
    if byte & 0x80 != 0 { Some(byte & 0x1f) } else { None }
}

impl Port {
    /// MSI-X with a bit for each vector. 82575 has no GPIE; what its driver calls IRCA (CTRL_EXT bit 0) switches, as
    /// Linux's interrupt test needs it (fact base 2.3.28; the manual calls the bit NSICR).
    fn is_multiple(&self) -> bool {
        let switch =
            if self.chip == Chip::I82575 { self.regs.has(CTRL_EXT, 1) } else { self.regs.has(GPIE, 1 << 4) };
        switch && self.pci.kind() == InterruptKind::MsiX
    }

    fn auto_masks(&self) -> bool {
        if self.has_fault(Fault::EiamIgnored) {
            false
        } else if self.chip == Chip::I82575 {
            self.regs.has(CTRL_EXT, 1 << 24)
        } else {
            self.regs.has(GPIE, 1 << 30)
        }
    }

    fn clears_always(&self) -> bool {
        if self.chip == Chip::I82575 { self.regs.has(CTRL_EXT, 1) } else { self.regs.has(GPIE, 1) }
    }

    /// The entry of IVAR for a queue, as the chip lays it out (fact base 1.3).
    fn queue_vector(&self, rx: bool, queue: usize) -> Option<u32> {
        let (queue, rx) = (queue as u32, rx != self.has_fault(Fault::IvarSwapped));
        let (index, shift) = if self.chip == Chip::I82576 {
            (queue & 7, (queue & 8) << 1)
        } else {
            (queue >> 1, (queue & 1) << 4)
        };
        ivar(self.regs.get(IVAR + 4 * index) >> (shift + if rx { 0 } else { 8 }))
    }

    /// A queue wrote back.
    pub(super) fn queue_cause(&mut self, rx: bool, queue: usize) {
        let bit = match self.chip {
            Chip::I82575 => Some(queue as u32 + if rx { 0 } else { 8 }),
            _ => self.queue_vector(rx, queue),
        };
        let multiple = self.is_multiple();
        if let Some(bit) = bit {
            if multiple && self.chip != Chip::I82575 && bit >= u32::from(self.spec.vectors) {
                self.violate(Violation::NoSuchVector { vector: bit });
            } else {
                self.regs.change(EICR, 1 << bit, 0);
            }
        }
        if !multiple {
            self.regs.change(ICR, if rx { RXT0 } else { TXDW }, 0);
        }
        self.deliver();
    }

    /// One of ICR's causes.
    pub(super) fn cause(&mut self, causes: u32) {
        self.regs.change(ICR, causes & !INTA, 0);
        self.feed_other(causes);
    }

    /// ICR's causes that IMS lets through go to the "other" bit of EICR.
    fn feed_other(&mut self, causes: u32) {
        if causes & self.regs.get(IMS) == 0 {
            return;
        }
        if !self.is_multiple() || self.chip == Chip::I82575 {
            self.regs.change(EICR, OTHER, 0);
        } else if let Some(vector) = ivar(self.regs.get(IVAR_MISC) >> 8) {
            if vector < u32::from(self.spec.vectors) {
                self.regs.change(EICR, 1 << vector, 0);
            } else {
                self.violate(Violation::NoSuchVector { vector });
            }
        }
    }

    pub(super) fn read_interrupt(&mut self, offset: u32) -> u32 {
        let value = match offset {
            ICR => return self.read_icr(),
            ICS => self.regs.get(ICR),
            IMC => self.regs.get(IMS),
            EICS => self.regs.get(EICR),
            EIMC => self.regs.get(EIMS),
            _ => self.regs.get(offset),
        };
        if offset == EICR && !self.is_multiple() {
            // A read clears, and masks what EIAM selects (I210 8.8.3, 8.8.8).
            self.regs.set(EICR, 0);
            let masked = self.regs.get(EIAM);
            self.regs.change(EIMS, 0, masked);
            self.deliver();
        }
        value
    }

    /// ICR clears when the interrupt is asserted, nothing is unmasked, or GPIE.NSICR says so (I210 8.8.17). INTA is
    /// computed before the auto-mask of the same read (fact base 2.3.29).
    fn read_icr(&mut self) -> u32 {
        let causes = self.regs.get(ICR) & !INTA;
        let mask = self.regs.get(IMS);
        let asserted = causes & mask != 0;
        if asserted || mask == 0 || self.clears_always() {
            self.regs.set(ICR, 0);
        }
        self.auto_mask(asserted);
        self.deliver();
        causes | if asserted { INTA } else { 0 }
    }

    /// IAM is copied to IMC on any access to ICR, and without NSICR only while asserted (82575 5.13.5).
    fn auto_mask(&mut self, asserted: bool) {
        if asserted || self.clears_always() {
            let masked = self.regs.get(IAM);
            self.regs.change(IMS, 0, masked);
        }
    }

    pub(super) fn write_interrupt(&mut self, offset: u32, value: u32) {
        match offset {
            ICR => {
                let asserted = self.regs.get(ICR) & self.regs.get(IMS) != 0;
                self.regs.change(ICR, 0, value);
                self.auto_mask(asserted);
            }
            ICS => self.cause(value & !INTA),
            IMS => {
                self.regs.change(IMS, value & !INTA, 0);
                self.interrupts.sent_causes &= !value;
                self.feed_other(self.regs.get(ICR) & value);
            }
            IMC => self.regs.change(IMS, 0, value),
            EICR => self.regs.change(EICR, 0, value),
            EICS => {
                // Bit 31 cannot be raised from here (I210 8.8.4). A write unmasks what EIAM selects (8.8.8).
                self.regs.change(EICR, value & !OTHER, 0);
                if !self.is_multiple() {
                    let unmasked = self.regs.get(EIAM) & value;
                    self.regs.change(EIMS, unmasked, 0);
                }
            }
            EIMS => {
                let unmasked = value & !self.regs.get(EIMS);
                self.regs.change(EIMS, value, 0);
                self.interrupts.sent &= !unmasked;
            }
            EIMC => self.regs.change(EIMS, 0, value),
            EITR..0x1700 => self.write_eitr(offset, value),
            IVAR..=IVAR_MISC => self.write_ivar(offset, value),
            _ => self.regs.write(offset, value),
        }
        self.deliver();
    }

    /// Interval in bits 14:2; bit 31 (CNT_IGNR, not on 82575) keeps the counter that runs, without it the next message
    /// waits for nothing.
    fn write_eitr(&mut self, offset: u32, value: u32) {
        let vector = ((offset - EITR) / 4) as usize;
        if vector >= VECTORS {
            return;
        }
        self.regs.set(offset, value & 0x7fff_ffff);
        if self.chip == Chip::I82575 || value >> 31 == 0 {
            self.interrupts.next[vector] = 0;
        }
    }

    /// The interval in nanoseconds: microseconds in bits 14:2 at a quarter (the value is 4 for each µs); on 82575 units
    /// of 256 ns in the low half (I210 8.8.14, 82575 14.3.45).
    fn interval(&self, vector: usize) -> u64 {
        let value = u64::from(self.regs.get(EITR + 4 * vector as u32));
        if self.chip == Chip::I82575 { (value & 0xffff) * 256 } else { (value & 0x7ffc) * 250 }
    }

    fn write_ivar(&mut self, offset: u32, value: u32) {
        if self.chip == Chip::I82575 {
            return;
        }
        if self.pci.kind() == InterruptKind::MsiX && !self.regs.has(GPIE, 1 << 4) && value & 0x8080_8080 != 0
        {
            self.violate(Violation::IvarBeforeGpie { register: self.regs.name(offset) });
            return; // lost (fact base, quirk 21)
        }
        self.regs.set(offset, value);
    }

    /// Turns what is pending and unmasked into messages, as far as the throttles let them through.
    pub(super) fn deliver(&mut self) {
        if self.is_multiple() {
            self.deliver_vectors();
            return;
        }
        let causes = self.regs.get(ICR) & self.regs.get(IMS);
        let extended = self.regs.get(EICR) & self.regs.get(EIMS);
        let pending = causes | extended & !OTHER;
        self.interrupts.sent_causes &= pending;
        if self.pci.kind() == InterruptKind::Intx {
            let line = pending != 0 && self.pci.intx_enabled();
            if line && !self.interrupts.line {
                self.message(0);
            }
            self.interrupts.line = line;
            self.pci.set_line(line);
        } else if pending & !self.interrupts.sent_causes != 0 && self.passes(0) {
            self.interrupts.sent_causes = pending;
            self.message(0);
        }
    }

    fn deliver_vectors(&mut self) {
        let active = self.regs.get(EICR) & self.regs.get(EIMS);
        self.interrupts.sent &= active;
        let fresh = active & !self.interrupts.sent;
        if fresh == 0 {
            return;
        }
        for vector in 0..usize::from(self.spec.vectors).min(VECTORS) {
            let bits = match self.chip {
                Chip::I82575 => self.regs.get(MSIXBM + 4 * vector as u32),
                _ => 1 << vector,
            } & fresh;
            if bits == 0 || !self.passes(vector) {
                continue;
            }
            self.interrupts.sent |= bits;
            if self.auto_masks() {
                let masked = bits & self.regs.get(EIAM);
                self.regs.change(EIMS, 0, masked);
            }
            let auto_clear = if self.has_fault(Fault::EiacIgnored) { 0 } else { self.regs.get(EIAC) };
            let cleared = bits & auto_clear;
            self.regs.change(EICR, 0, cleared);
            self.interrupts.sent &= self.regs.get(EICR) & self.regs.get(EIMS);
            self.message(vector);
        }
    }

    /// Whether the vector's throttle is open; if not, a timer looks again.
    fn passes(&mut self, vector: usize) -> bool {
        let open = self.interrupts.next[vector];
        if self.now >= open {
            self.interrupts.next[vector] = self.now + self.interval(vector);
            return true;
        }
        if !self.interrupts.waiting[vector] {
            self.interrupts.waiting[vector] = true;
            self.timers.push((open, Event::Throttled { vector }));
        }
        false
    }

    pub(super) fn throttle_over(&mut self, vector: usize) {
        if let Some(waiting) = self.interrupts.waiting.get_mut(vector) {
            *waiting = false;
        }
        self.deliver();
    }

    /// One message on its way to the host.
    pub(crate) fn message(&mut self, vector: usize) {
        self.count(IAC, 1);
        if !self.present || self.has_fault(Fault::LostInterrupts) || !self.pci.sends_messages() {
            return;
        }
        self.counters.interrupts += 1;
        self.interrupts.fresh.push(vector as u16);
        if vector < self.interrupts.routed {
            self.interrupts.arrived[vector] = true;
        }
    }

    /// The host changed how interrupts travel.
    pub(crate) fn rerouted(&mut self) {
        self.interrupts.sent = 0;
        self.interrupts.sent_causes = 0;
        self.deliver();
    }
}
