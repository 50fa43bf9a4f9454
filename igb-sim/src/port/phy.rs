//! The PHY behind MDIC: clause 22, what drivers read of each family's own registers, and its side of negotiation.
//!
//! Numbers of pages, registers and bits beyond clause 22 are the fact base's (1.2, and the model that Linux's igb
//! judged). Cables and the other end belong to `cable`.

use super::{Event, Port};
use crate::fault::Fault;
use crate::offsets::*;
use crate::spec::DeviceSpec;
use crate::violation::Violation;
use std::collections::HashMap;

/// A link that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// 10, 100 or 1000.
    pub speed_mbps: u32,
    /// Both ways at once.
    pub full_duplex: bool,
}

/// What one end offers: its advertisement, or the one mode that it is forced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// Register 4 as advertised.
    pub(crate) base: u16,
    /// Register 9 as advertised.
    pub(crate) gigabit: u16,
    /// Not negotiating: this link or none.
    pub(crate) forced: Option<Link>,
}

const BMCR: u16 = 0;
const BMSR: u16 = 1;
const ADVERTISE: u16 = 4;
const PARTNER: u16 = 5;
const EXPANSION: u16 = 6;
const GIGABIT: u16 = 9;
const GIGABIT_STATUS: u16 = 10;
const PAGE: u16 = 22;
const RESET: u16 = 1 << 15;
const LOOPBACK: u16 = 1 << 14;
const AUTONEG: u16 = 1 << 12;
const POWER_DOWN: u16 = 1 << 11;
const RESTART: u16 = 1 << 9;

/// An MDIC access; the datasheet's upper bound (I210 page 90).
const MDIC_TIME: u64 = 64_000;
/// No access for so long after a reset (I210 page 90).
const QUIET_TIME: u64 = 300_000;
const READY: u32 = 1 << 28;
const ERROR: u32 = 1 << 30;

#[derive(Debug)]
pub(crate) struct Phy {
    id: u32,
    registers: HashMap<(u16, u16), u16>,
    page: u16,
    mmd: HashMap<(u16, u16), u16>,
    link: Option<Link>,
    /// The link dropped since BMSR was last read: its bit latches low.
    dropped: bool,
    held: bool,
    resets: u32,
    released_at: Option<u64>,
    pending: Option<u32>,
}

impl Phy {
    pub(super) fn new(spec: &DeviceSpec) -> Self {
        let mut phy = Self {
            id: spec.phy_id(),
            registers: HashMap::new(),
            page: 0,
            mmd: HashMap::new(),
            link: None,
            dropped: false,
            held: false,
            resets: 0,
            released_at: None,
            pending: None,
        };
        phy.reset();
        phy
    }

    fn is_marvell(&self) -> bool {
        self.id >> 16 == 0x0141
    }

    /// Registers as after a reset: negotiating, advertising everything. The link is gone.
    pub(super) fn reset(&mut self) {
        self.registers.clear();
        self.mmd.clear();
        self.page = 0;
        self.held = false;
        self.set_link(None);
        let words = [
            (BMCR, AUTONEG | 1 << 8 | 1 << 6),
            (2, (self.id >> 16) as u16),
            (3, self.id as u16),
            (ADVERTISE, 0x0de1),
            (GIGABIT, 0x0300),
            (15, 0x3000), // 1000BASE-T, both duplexes
        ];
        self.registers.extend(words.map(|(register, value)| ((0, register), value)));
        if self.is_marvell() {
            self.registers.insert((0, 16), 0x3060); // PHY specific control
        }
    }

    /// Into reset, until `release`.
    pub(super) fn hold(&mut self, now: u64) {
        self.reset();
        self.held = true;
        self.resets = self.resets.wrapping_add(1);
        self.released_at = Some(now);
    }

    pub(super) fn release(&mut self, now: u64) {
        self.held = false;
        self.released_at = Some(now);
    }

    pub(super) fn resets(&self) -> u32 {
        self.resets
    }

    pub(crate) fn get(&self, register: u16) -> u16 {
        self.registers.get(&(0, register)).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, register: u16, value: u16) {
        self.registers.insert((0, register), value);
    }

    pub(super) fn loops(&self) -> bool {
        self.get(BMCR) & LOOPBACK != 0
    }

    /// The link, or the loop, which counts as one.
    pub(super) fn link(&self) -> Option<Link> {
        if self.loops() {
            return Some(self.forced());
        }
        self.link
    }

    fn forced(&self) -> Link {
        let control = self.get(BMCR);
        let speed_mbps = match (control >> 6 & 1, control >> 13 & 1) {
            (1, 0) => 1000,
            (0, 1) => 100,
            _ => 10,
        };
        Link { speed_mbps, full_duplex: control & 1 << 8 != 0 }
    }

    /// What this end offers; `None` when it is silent: in reset, powered down, looped.
    pub(crate) fn abilities(&self) -> Option<Abilities> {
        let control = self.get(BMCR);
        if self.held || control & (POWER_DOWN | LOOPBACK) != 0 {
            return None;
        }
        let forced = if control & AUTONEG == 0 { Some(self.forced()) } else { None };
        Some(Abilities { base: self.get(ADVERTISE), gigabit: self.get(GIGABIT), forced })
    }

    /// The cable's verdict, with what the partner said.
    pub(crate) fn resolve(&mut self, link: Option<Link>, partner: Option<Abilities>) {
        self.set_link(link);
        let spoken = partner.filter(|partner| partner.forced.is_none() && self.get(BMCR) & AUTONEG != 0);
        let (base, expansion, gigabit) = match (spoken, link) {
            (Some(partner), Some(_)) => {
                let status =
                    if partner.gigabit & 0x0300 != 0 { 0x7000 | (partner.gigabit & 0x0300) << 2 } else { 0 };
                (partner.base | 0x4000, 0x000f, status)
            }
            _ => (0, 0x0004, 0),
        };
        self.set(PARTNER, base);
        self.set(EXPANSION, expansion);
        self.set(GIGABIT_STATUS, gigabit);
    }

    fn set_link(&mut self, link: Option<Link>) {
        if self.link.is_some() && link.is_none() {
            self.dropped = true;
        }
        self.link = link;
    }

    fn read(&mut self, register: u16) -> u16 {
        if self.is_marvell() && register == PAGE {
            return self.page;
        }
        let page = if self.is_marvell() && register != PAGE { self.page } else { 0 };
        if page == 0 {
            match register {
                BMSR => return self.status(),
                14 => return self.read_mmd(),
                17 if self.is_marvell() => return self.marvell_status(),
                17 if self.id >> 16 == 0x02a8 => {
                    return self.speed_bits() | if self.link.is_some() { 0x0400 } else { 0 };
                }
                26 if self.id >> 16 == 0x0154 => return self.intel_status(),
                _ => {}
            }
        }
        self.registers.get(&(page, register)).copied().unwrap_or(0)
    }

    /// BMSR: every ability, negotiation's end, and the link, which latches low.
    fn status(&mut self) -> u16 {
        let mut value = 0x7949;
        if self.link().is_some() {
            if !core::mem::take(&mut self.dropped) {
                value |= 1 << 2;
            }
            if self.get(BMCR) & AUTONEG != 0 {
                value |= 1 << 5;
            }
        } else {
            self.dropped = false;
        }
        value
    }

    /// Speed in bits 15:14, as Marvell's and IGP's status registers have it.
    fn speed_bits(&self) -> u16 {
        match self.link() {
            Some(Link { speed_mbps: 1000, .. }) => 2 << 14,
            Some(Link { speed_mbps: 100, .. }) => 1 << 14,
            _ => 0,
        }
    }

    /// Marvell's specific status: speed, duplex (13), resolved (11), link (10).
    fn marvell_status(&self) -> u16 {
        match self.link() {
            Some(link) => self.speed_bits() | u16::from(link.full_duplex) << 13 | 1 << 11 | 1 << 10,
            None => 0,
        }
    }

    /// 82580 and I350, register 26: crossover (11), speed in 9:8.
    fn intel_status(&self) -> u16 {
        match self.link() {
            Some(Link { speed_mbps: 1000, .. }) => 0x0a00,
            Some(Link { speed_mbps: 100, .. }) => 0x0900,
            Some(_) => 0x0800,
            None => 0,
        }
    }

    fn read_mmd(&self) -> u16 {
        let control = self.get(13);
        if control >> 14 == 0 {
            self.get(14)
        } else {
            self.mmd.get(&(control & 31, self.get(14))).copied().unwrap_or(0)
        }
    }

    /// A write; true when the cable must be looked at anew.
    fn write(&mut self, register: u16, value: u16) -> bool {
        if self.is_marvell() && register == PAGE {
            self.page = value & 0xff;
            return false;
        }
        let page = if self.is_marvell() { self.page } else { 0 };
        if page != 0 {
            self.registers.insert((page, register), value);
            return false;
        }
        match register {
            BMCR => {
                if value & RESET != 0 {
                    self.reset();
                    return true;
                }
                let before = self.get(BMCR);
                self.set(BMCR, value & !(RESET | RESTART));
                return before != value & !RESTART || value & RESTART != 0;
            }
            BMSR | 2 | 3 | PARTNER | EXPANSION | GIGABIT_STATUS | 15 => {}
            14 if self.get(13) >> 14 != 0 => {
                self.mmd.insert((self.get(13) & 31, self.get(14)), value);
            }
            _ => self.set(register, value),
        }
        false
    }
}

impl Port {
    /// What this end of a cable offers; `None` when nobody is there or the PHY is silent.
    pub(crate) fn abilities(&self) -> Option<Abilities> {
        let disconnected = is_i21x(self.chip) && self.regs.has(PHPM, 1 << 5);
        if self.present && !disconnected { self.phy.abilities() } else { None }
    }

    /// The cable's verdict.
    pub(crate) fn resolve(&mut self, link: Option<Link>, partner: Option<Abilities>) {
        self.phy.resolve(link, partner);
        self.update_link();
        self.settle();
    }

    /// The PHY's lock in SW_FW_SYNC: one bit for each port (fact base 1.1).
    fn phy_sync(&self) -> u32 {
        [0x02, 0x04, 0x20, 0x40][usize::from(self.spec.function)]
    }

    pub(super) fn write_mdic(&mut self, value: u32) {
        self.counters.mdio += 1;
        if self.phy.pending.is_some() && !self.has_fault(Fault::MdicNeverReady) {
            self.violate(Violation::MdicBusy);
        }
        if self.phy.held || self.phy.released_at.is_some_and(|at| self.now < at + QUIET_TIME) {
            self.violate(Violation::MdicAfterReset);
        }
        if !self.regs.has(SW_FW_SYNC, self.phy_sync()) {
            self.violate(Violation::NotLocked { rule: "PHY accessed without its bit in SW_FW_SYNC" });
        }
        self.regs.set(MDIC, value & !(READY | ERROR));
        if !matches!(value >> 26 & 3, 1 | 2) {
            return; // an invalid opcode does nothing
        }
        self.phy.pending = Some(value);
        self.after(MDIC_TIME, Event::MdicReady(self.generation));
    }

    pub(super) fn mdic_ready(&mut self, _: u32) {
        if self.has_fault(Fault::MdicNeverReady) {
            return;
        }
        let Some(command) = self.phy.pending.take() else { return };
        let (register, data) = ((command >> 16 & 31) as u16, command as u16);
        let mdicnfg = self.regs.get(MDICNFG);
        let (address, wrong_place) = if self.spec.has_mdicnfg() {
            (mdicnfg >> 21 & 31, (mdicnfg >> 31 != 0) != (self.chip == igb_regs::Chip::I354))
        } else {
            (command >> 21 & 31, command >> 31 != 0)
        };
        if address != self.spec.phy_address()
            || wrong_place
            || self.phy.held
            || self.has_fault(Fault::DeadPhy)
        {
            self.regs.set(MDIC, command & 0xafff_0000 | 0xffff | READY | ERROR);
            return;
        }
        let answer = if command >> 26 & 3 == 2 {
            self.phy.read(register)
        } else {
            self.relink |= self.phy.write(register, data);
            // A loop is a link of its own, at once.
            self.update_link();
            data
        };
        self.regs.set(MDIC, command & 0xafff_0000 | u32::from(answer) | READY);
    }
}
