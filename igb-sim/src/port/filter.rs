//! Which frames the receiver wants: length, address, VLAN; and flow control frames, which it takes for itself.

use super::{Event, Frame, Port};
use crate::fault::Fault;
use crate::offsets::*;
use crate::packet::Headers;

const SBP: u32 = 1 << 2;
const UPE: u32 = 1 << 3;
const MPE: u32 = 1 << 4;
const LPE: u32 = 1 << 5;
const BAM: u32 = 1 << 15;
const VFE: u32 = 1 << 18;
const DPF: u32 = 1 << 22;
const PMCF: u32 = 1 << 23;
const RFCE: u32 = 1 << 27;
const FCS: usize = 4;

/// What becomes of an arriving frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Into the packet buffer; `exact` unless only a hash or promiscuous mode took it.
    Accept { exact: bool },
    /// Stored although bad (RCTL.SBP).
    AcceptBad,
    /// Not for us.
    Filtered,
    /// Broken, or flow control: counted and gone.
    Consumed,
}

impl Port {
    /// VLAN EtherTypes: the inner one, and the outer where CTRL_EXT.EXT_VLAN wants it.
    pub(super) fn vlan_types(&self) -> (u16, Option<u16>) {
        let vet = self.regs.get(VET);
        (vet as u16, self.regs.has(CTRL_EXT, 1 << 26).then_some((vet >> 16) as u16))
    }

    pub(super) fn judge(&mut self, frame: &Frame, headers: &Headers) -> Verdict {
        let rctl = self.regs.get(RCTL);
        self.count_arrived(frame);
        let store_bad = if rctl & SBP != 0 { Verdict::AcceptBad } else { Verdict::Consumed };
        let len = frame.bytes.len() + FCS;
        if len < 64 {
            if len >= 25 {
                self.count(if frame.good { RUC } else { RFC }, 1);
                self.count(RLEC, 1);
            }
            return if frame.bytes.len() >= 14 { store_bad } else { Verdict::Consumed };
        }
        if len > self.longest(rctl, headers) {
            self.count(if frame.good { ROC } else { RJC }, 1);
            self.count(RLEC, 1);
            return store_bad;
        }
        if !frame.good {
            self.count(CRCERRS, 1);
            return store_bad;
        }
        if self.is_flow_control(&frame.bytes) {
            self.take_pause(&frame.bytes);
            // PAUSE that acts goes no further; other MAC control frames only with PMCF (82575 14.3.47).
            let pause = frame.bytes[14..16] == [0, 1];
            if pause && (self.regs.has(CTRL, RFCE) || rctl & DPF != 0) || !pause && rctl & PMCF == 0 {
                return Verdict::Consumed;
            }
        }
        if self.vlan_refuses(rctl, headers) {
            return Verdict::Filtered;
        }
        match self.address(rctl, &frame.bytes) {
            Some(exact) => Verdict::Accept { exact },
            None => Verdict::Filtered,
        }
    }

    /// The longest frame with FCS: 1518 and 4 for each tag, or RLPML once LPE is set; never above 9728.
    fn longest(&self, rctl: u32, headers: &Headers) -> usize {
        if rctl & LPE != 0 {
            return (self.regs.get(RLPML) & 0x3fff).min(0x2600) as usize;
        }
        1518 + 4 * (usize::from(headers.tag.is_some()) + usize::from(headers.outer))
    }

    fn vlan_refuses(&self, rctl: u32, headers: &Headers) -> bool {
        let Some((tag, _)) = headers.tag else { return false };
        let id = u32::from(tag & 0xfff);
        rctl & VFE != 0 && self.regs.get(VFTA + 4 * (id >> 5)) >> (id & 31) & 1 == 0
    }

    /// Whether an address filter takes it, and whether exactly.
    fn address(&self, rctl: u32, frame: &[u8]) -> Option<bool> {
        let destination = &frame[..6];
        if destination == [0xff; 6] {
            return (rctl & BAM != 0).then_some(true);
        }
        if (0..self.chip.rar_entries() as u32)
            .any(|entry| self.station(entry).is_some_and(|own| own == destination))
        {
            return Some(true);
        }
        if destination[0] & 1 == 0 {
            return (rctl & UPE != 0).then_some(false);
        }
        // RCTL.MO picks 12 of the address's upper 16 bits (82575 10.1; the driver uses 0: bits 47:36).
        let shift = [4, 3, 2, 0][(rctl >> 12 & 3) as usize];
        let hash = (u32::from(destination[5]) << 8 | u32::from(destination[4])) >> shift & 0xfff;
        let deaf = self.has_fault(Fault::MulticastDeaf);
        let hit = !deaf && self.regs.get(MTA + 4 * (hash >> 5)) >> (hash & 31) & 1 != 0;
        (hit || rctl & MPE != 0).then_some(false)
    }

    /// Address of one RAR entry, if it is valid and compares destinations. Entries from 16 on sit apart.
    fn station(&self, entry: u32) -> Option<[u8; 6]> {
        let at = if entry < 16 { RAL + 8 * entry } else { RAL16 + 8 * (entry - 16) };
        let (low, high) = (self.regs.get(at), self.regs.get(at + 4));
        let source = is_i21x(self.chip) && high >> 16 & 3 != 0; // ASEL
        if high >> 31 == 0 || source {
            return None;
        }
        let [a, b, c, d] = low.to_le_bytes();
        let [e, f, ..] = high.to_le_bytes();
        Some([a, b, c, d, e, f])
    }

    /// MAC control: FCT's EtherType to FCAL/FCAH's address or to our own (82575 9.3.4.1).
    fn is_flow_control(&self, frame: &[u8]) -> bool {
        let ethertype = u16::from_be_bytes([frame[12], frame[13]]);
        let [a, b, c, d] = self.regs.get(FCAL).to_le_bytes();
        let [e, f, ..] = self.regs.get(FCAH).to_le_bytes();
        let address =
            frame[..6] == [a, b, c, d, e, f] || self.station(0).is_some_and(|own| own == frame[..6]);
        ethertype != 0 && u32::from(ethertype) == self.regs.get(FCT) & 0xffff && address
    }

    fn take_pause(&mut self, frame: &[u8]) {
        if frame[14..16] != [0, 1] {
            self.count(FCRUC, 1);
            return;
        }
        let quanta = u64::from(u16::from_be_bytes([frame[16], frame[17]]));
        self.count(if quanta == 0 { XONRXC } else { XOFFRXC }, 1);
        if self.regs.has(CTRL, RFCE) {
            // One quantum is 512 bit times.
            let speed = self.link().map_or(1000, |link| u64::from(link.speed_mbps));
            let pause = quanta * 512 * 1000 / speed;
            self.paused_until = self.now + pause;
            self.after(pause, Event::PauseOver);
        }
    }
}
