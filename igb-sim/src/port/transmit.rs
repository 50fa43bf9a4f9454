//! The transmit path: descriptors in, frames out, DD back.
//!
//! A doorbell is worked off at once, within a bound; what is beyond it goes on later, at the pace of the wire. Without
//! a link, or paused, the ring stands still.

use super::offload::{self, Context, Wishes};
use super::{Event, Frame, Port};
use crate::fault::Fault;
use crate::offsets::*;
use crate::violation::Violation;
use igb_regs::Chip;

/// Descriptors and frames that one doorbell may cost before others get their turn.
const BUDGET: usize = 8192;
/// Time that the smallest frame takes on a gigabit wire, preamble and gap included.
const FRAME_TIME: u64 = 672;
/// The longest frame with FCS (I210 7.1.1.4).
const LONGEST: usize = 9728;
/// PAYLEN has 18 bits; headers come before it.
const LONGEST_SEGMENTED: usize = (1 << 18) + 512;
const EOP: u32 = 1 << 24;
const IFCS: u32 = 1 << 25;
const RS: u32 = 1 << 27;
const DEXT: u32 = 1 << 29;
const VLE: u32 = 1 << 30;
const TSE: u32 = 1 << 31;

/// Context slots: eight for each queue, or shared by all on 82575 (fact base 3.4).
#[derive(Debug, Default)]
pub(crate) struct Contexts([[Option<[u32; 4]>; 8]; 16]);

/// A frame of which not all descriptors have been seen.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    bytes: Vec<u8>,
    /// The first descriptor: its words, and its index.
    first: Option<([u32; 4], u32)>,
    /// Its bytes so far, kept or not.
    total: usize,
}

impl Port {
    pub(super) fn transmit_all(&mut self) {
        for queue in 0..self.tx.len() {
            self.transmit(queue);
        }
    }

    fn loops(&self) -> bool {
        self.regs.get(RCTL) & 0xc0 != 0 || self.phy.loops()
    }

    /// Works a ring off, from head to tail: one frame, then the world carries it and comes back by
    /// [`resume`](Self::resume), so that a partner's PAUSE stops the next.
    pub(super) fn transmit(&mut self, queue: usize) {
        let at = Self::tx_at(queue);
        let len = self.ring_len(at);
        self.more &= !(1 << queue);
        while self.may_transmit(queue) && len != 0 {
            let (head, tail) = (self.regs.get(at + HEAD) % len, self.regs.get(at + TAIL) % len);
            if head == tail {
                break;
            }
            if self.work >= BUDGET {
                let generation = self.generation;
                self.after(self.work as u64 * FRAME_TIME, Event::TransmitMore { queue, generation });
                break;
            }
            let place = self.ring_base(at) + u64::from(head) * 16;
            let mut bytes = [0; 16];
            self.dma_read(place, &mut bytes);
            let words = core::array::from_fn(|word| {
                u32::from_le_bytes([
                    bytes[4 * word],
                    bytes[4 * word + 1],
                    bytes[4 * word + 2],
                    bytes[4 * word + 3],
                ])
            });
            self.counters.tx[queue].descriptors += 1;
            let frames = self.descriptor(queue, head, words);
            self.work += 1 + frames;
            self.regs.set(at + HEAD, (head + 1) % len);
            if words[2] & RS != 0 && words[2] >> 20 & 15 != 2 {
                self.report(queue, place, (head + 1) % len);
                self.tx[queue].reported = true;
            }
            if frames > 0 {
                self.more |= 1 << queue;
                return;
            }
        }
        if core::mem::take(&mut self.tx[queue].reported) {
            self.queue_cause(false, queue);
        }
    }

    /// Whether a queue stopped after a frame and has more.
    pub(crate) fn has_more(&self) -> bool {
        self.more != 0
    }

    /// Goes on where the last frame left off.
    pub(crate) fn resume(&mut self) {
        let more = self.more;
        for queue in (0..self.tx.len()).filter(|queue| more >> queue & 1 != 0) {
            self.transmit(queue);
        }
        self.settle();
    }

    fn may_transmit(&self, queue: usize) -> bool {
        let wire = self.link().is_some() && self.now >= self.paused_until;
        self.tx[queue].on && self.regs.has(TCTL, 2) && self.masters() && (wire || self.loops())
    }

    /// DD into the descriptor, or the head into the place that TDWBAL names (bit 0 turns that on).
    fn report(&mut self, queue: usize, place: u64, head: u32) {
        let at = Self::tx_at(queue);
        let low = self.regs.get(at + TDWBAL);
        if low & 1 != 0 {
            let iova = u64::from(low & !3) | u64::from(self.regs.get(at + TDWBAH)) << 32;
            self.dma_write(iova, &head.to_le_bytes());
        } else {
            self.dma_write64(place + 8, 1 << 32);
        }
    }

    fn break_rule(&mut self, queue: usize, index: u32, rule: &'static str) {
        self.violate(Violation::Descriptor { ring: "TX", queue, index, rule });
    }

    /// One descriptor; gives the number of frames that went out.
    fn descriptor(&mut self, queue: usize, index: u32, words: [u32; 4]) -> usize {
        if words[2] & DEXT == 0 {
            self.break_rule(queue, index, "legacy descriptor (DEXT 0)");
            return 0;
        }
        match words[2] >> 20 & 15 {
            2 => {
                if self.tx[queue].partial.first.is_some() {
                    self.break_rule(queue, index, "context descriptor inside a frame");
                }
                let slot = (words[3] >> 4 & 7) as usize;
                if is_i21x(self.chip) && slot > 1 {
                    self.break_rule(queue, index, "context slot above 1");
                }
                if let Some(rule) = Context::broken_form(words, self.chip) {
                    self.break_rule(queue, index, rule);
                }
                self.contexts.0[self.context_set(queue)][slot] = Some(words);
                0
            }
            3 => self.data(queue, index, words),
            _ => {
                self.break_rule(queue, index, "DTYP is neither context (2) nor data (3)");
                0
            }
        }
    }

    fn context_set(&self, queue: usize) -> usize {
        if self.chip == Chip::I82575 { 0 } else { queue }
    }

    fn data(&mut self, queue: usize, index: u32, words: [u32; 4]) -> usize {
        let mac = if self.chip == Chip::I82575 { 0x000c_0000 } else { 0 };
        if words[2] & (0x1403_0000 | mac) != 0 || words[3] & 0x3c0f != 0 {
            self.break_rule(queue, index, "reserved bits or STA set in a data descriptor");
        }
        let len = (words[2] & 0xffff) as usize;
        if len == 0 {
            self.break_rule(queue, index, "DTALEN 0");
        }
        let mut partial = core::mem::take(&mut self.tx[queue].partial);
        let first = *partial.first.get_or_insert((words, index));
        let most = if first.0[2] & TSE != 0 { LONGEST_SEGMENTED } else { LONGEST };
        partial.total += len;
        if partial.total <= most {
            let at = partial.bytes.len();
            partial.bytes.resize(at + len, 0);
            let address = u64::from(words[0]) | u64::from(words[1]) << 32;
            self.dma_read(address, &mut partial.bytes[at..]);
        }
        if words[2] & EOP == 0 {
            self.tx[queue].partial = partial;
            return 0;
        }
        self.send(queue, partial, first)
    }

    /// What ill devices do to frames.
    fn spoil(&self, frames: &mut [Vec<u8>], context: &Context, wishes: Wishes) {
        let l4 = context.mac_len + context.ip_len + if wishes.tag.is_some() { 4 } else { 0 };
        if self.has_fault(Fault::TsoSequenceStands) && wishes.segment && context.l4 == 1 {
            let first = frames.first().and_then(|frame| frame.get(l4 + 4..l4 + 8)).map(<[u8]>::to_vec);
            for frame in frames.iter_mut() {
                if let (Some(first), Some(place)) = (&first, frame.get_mut(l4 + 4..l4 + 8)) {
                    place.copy_from_slice(first);
                }
            }
        }
        if self.has_fault(Fault::WrongChecksum) && wishes.transport_sum {
            let at = l4 + if context.l4 == 1 { 16 } else { 6 };
            frames.iter_mut().filter_map(|frame| frame.get_mut(at + 1)).for_each(|byte| *byte ^= 1);
        }
    }

    /// A whole frame: checks, offloads, out.
    fn send(&mut self, queue: usize, partial: Partial, (first, index): ([u32; 4], u32)) -> usize {
        let segment = first[2] & TSE != 0;
        let slot = self.contexts.0[self.context_set(queue)][(first[3] >> 4 & 7) as usize];
        let context = slot.map(Context::new).unwrap_or_default();
        let tag = (first[2] & VLE != 0).then(|| self.vlan_types().0);
        let wishes = Wishes {
            ip_sum: first[3] & 1 << 8 != 0,
            transport_sum: first[3] & 1 << 9 != 0,
            tag: tag.filter(|_| self.regs.has(CTRL, 1 << 30)),
            segment,
            pad: self.regs.has(TCTL, 1 << 3),
        };
        let offloads = wishes.ip_sum || wishes.transport_sum || segment || tag.is_some();
        let len = partial.bytes.len();
        let payload = (first[3] >> 14) as usize;
        let expected =
            if segment { partial.total.saturating_sub(context.header_len()) } else { partial.total };
        let rule = if slot.is_none() && offloads {
            Some("offload without a context")
        } else if partial.total != len {
            Some("frame longer than 9728 bytes, or segmented payload above 18 bits")
        } else if len < 17 {
            Some("frame shorter than 17 bytes")
        } else if !segment && len + 4 > LONGEST {
            Some("frame longer than 9728 bytes")
        } else if payload != expected & 0x3_ffff {
            Some("PAYLEN is not the frame's length (segmented: its payload's)")
        } else if tag.is_some() && wishes.tag.is_none() {
            Some("VLE without CTRL.VME")
        } else if first[2] & IFCS == 0 && (offloads || len < 60 && wishes.pad) {
            Some("IFCS 0 with padding or an offload")
        } else {
            slot.and_then(|_| context.broken_rule(&partial.bytes, wishes, self.chip)).filter(|_| offloads)
        };
        if let Some(rule) = rule {
            self.break_rule(queue, index, rule);
        }
        if partial.total != len || len < 17 || !segment && len + 4 > LONGEST || slot.is_none() && offloads {
            self.counters.tx[queue].dropped += 1;
            return 0;
        }
        if segment {
            self.count(TSCTC, 1);
        }
        let mut frames = offload::apply(partial.bytes, &context, wishes);
        self.spoil(&mut frames, &context, wishes);
        let count = frames.len();
        let loops = self.loops();
        for bytes in frames {
            self.count_sent(queue, &bytes);
            let frame = Frame { bytes, good: true };
            if loops { self.looped.push(frame) } else { self.out.push(frame) }
        }
        count
    }
}
