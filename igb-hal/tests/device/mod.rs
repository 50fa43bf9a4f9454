//! A device made of words, with the few that answer: reset, NVM, MDIO, locks, queue switches, counters. And the ways in
//! which they can fail to.
#![allow(dead_code, reason = "each test uses its part")]

use core::cell::{Cell, RefCell};
use embedded_hal::delay::DelayNs;
use igb_hal::{Chip, Device, Mac};
use igb_regs::Bus;

pub(crate) const CTRL: u32 = 0x0000;
pub(crate) const STATUS: u32 = 0x0008;
pub(crate) const EECD: u32 = 0x0010;
pub(crate) const EERD: u32 = 0x0014;
pub(crate) const CTRL_EXT: u32 = 0x0018;
pub(crate) const MDIC: u32 = 0x0020;
pub(crate) const ICR: u32 = 0x00C0;
pub(crate) const RCTL: u32 = 0x0100;
pub(crate) const TCTL: u32 = 0x0400;
pub(crate) const MDICNFG: u32 = 0x0E04;
pub(crate) const GPIE: u32 = 0x1514;
pub(crate) const EICR: u32 = 0x1580;
pub(crate) const MSIXBM: u32 = 0x1600;
pub(crate) const EITR: u32 = 0x1680;
pub(crate) const IVAR: u32 = 0x1700;
pub(crate) const IVAR_MISC: u32 = 0x1740;
pub(crate) const FCRTL: u32 = 0x2160;
pub(crate) const FCRTH: u32 = 0x2168;
pub(crate) const RXPBS: u32 = 0x2404;
pub(crate) const RLPML: u32 = 0x5004;
pub(crate) const RAL0: u32 = 0x5400;
pub(crate) const VFTA: u32 = 0x5600;
pub(crate) const SWSM: u32 = 0x5B50;
pub(crate) const SW_FW_SYNC: u32 = 0x5B5C;

pub(crate) const MASTER: u32 = 1 << 19;
const LINK_AND_GIGABIT_FULL: u32 = 0x83;

/// Which register answers wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    ResetStays,
    MasterStays,
    NvmNeverDone,
    MdicNeverReady,
    MdicError,
    SmbiHeld,
    SwesmbiRefused,
    FirmwareHolds,
    EnableNeverSets,
    EnableNeverClears,
    MtaLosesFirst,
}

pub(crate) struct Fake {
    words: RefCell<Vec<u32>>,
    pub(crate) chip: Chip,
    pub(crate) nvm: RefCell<Vec<u16>>,
    pub(crate) phy: RefCell<[u16; 32]>,
    pub(crate) fault: Cell<Option<Fault>>,
    /// All ones from this access on.
    pub(crate) gone_at: Cell<Option<usize>>,
    pub(crate) accesses: Cell<usize>,
    pub(crate) log: RefCell<Vec<(u32, u32)>>,
    lost: Cell<u32>,
}

pub(crate) fn device(chip: Chip) -> &'static Device {
    let id = match chip {
        Chip::I82575 => 0x10A7,
        Chip::I82576 => 0x10C9,
        Chip::I82580 => 0x150E,
        Chip::I350 => 0x1521,
        Chip::I354 => 0x1F41,
        Chip::I210 => 0x1533,
        Chip::I211 => 0x1539,
    };
    Device::from_id(id).expect("listed")
}

pub(crate) fn mac(fake: &Fake) -> Mac<&Fake> {
    Mac::new(fake, device(fake.chip))
}

impl Fake {
    pub(crate) fn new(chip: Chip) -> Self {
        let mut nvm = vec![0xFFFF; 0x400];
        for (port, first) in [0, 0x80, 0xC0, 0x100].into_iter().enumerate() {
            let address = [0xA000, 0x00C9, (port as u16) << 8];
            nvm[first..first + 3].copy_from_slice(&address);
        }
        (nvm[3], nvm[5], nvm[0x37]) = (0, 0x3025, 0xFFFF);
        let id: u32 = match chip {
            Chip::I82575 | Chip::I82576 => 0x02A8_0391,
            Chip::I82580 => 0x0154_03A1,
            Chip::I350 => 0x0154_03B1,
            Chip::I354 => 0x0141_0EA1,
            Chip::I210 | Chip::I211 => 0x0141_0C01,
        };
        let mut phy = [0; 32];
        phy[..11].copy_from_slice(&[0x1140, 0x796D, 0, 0, 0x01E1, 0x4DE1, 0x000F, 0, 0, 0x0300, 0x7C00]);
        (phy[2], phy[3]) = ((id >> 16) as u16, id as u16);
        if id >> 16 == 0x0141 {
            phy[17] = 0xAC00;
        }
        let fake = Self {
            words: RefCell::new(vec![0; 0x8000]),
            chip,
            nvm: RefCell::new(nvm),
            phy: RefCell::new(phy),
            fault: Cell::new(None),
            gone_at: Cell::new(None),
            accesses: Cell::new(0),
            log: RefCell::default(),
            lost: Cell::new(0),
        };
        fake.seal();
        fake.reset();
        fake
    }

    /// Makes the NVM's checksums right.
    pub(crate) fn seal(&self) {
        let mut nvm = self.nvm.borrow_mut();
        for first in [0, 0x80, 0xC0, 0x100] {
            let sum = nvm[first..first + 0x3F].iter().fold(0u16, |sum, word| sum.wrapping_add(*word));
            nvm[first + 0x3F] = 0xBABA_u16.wrapping_sub(sum);
        }
    }

    pub(crate) fn get(&self, offset: u32) -> u32 {
        self.words.borrow()[offset as usize / 4]
    }

    pub(crate) fn set(&self, offset: u32, value: u32) {
        self.words.borrow_mut()[offset as usize / 4] = value;
    }

    /// What was written to `offset`, in order.
    pub(crate) fn written(&self, offset: u32) -> Vec<u32> {
        self.log.borrow().iter().filter(|(at, _)| *at == offset).map(|(_, value)| *value).collect()
    }

    fn reset(&self) {
        let keep = [SWSM, SW_FW_SYNC, MDICNFG, EECD].map(|offset| (offset, self.get(offset)));
        self.words.borrow_mut().fill(0);
        keep.into_iter().for_each(|(offset, value)| self.set(offset, value));
        let eecd = match self.chip {
            Chip::I210 => 0x8_0300 | 4 << 11,
            _ => 0x300 | 4 << 11,
        };
        self.set(EECD, if keep[3].1 == 0 { eecd } else { keep[3].1 });
        self.set(CTRL, 0x0010_0201);
        self.set(CTRL_EXT, if self.chip == Chip::I354 { 2 << 22 } else { 0 });
        self.set(MDICNFG, if self.chip == Chip::I354 { 1 << 31 } else { 1 << 21 });
        self.set(RXPBS, [0, 0x40, 0, 0, 0, 0x22, 0x22][self.chip as usize]);
        self.set(RAL0, 0x00C9_A000);
        self.set(RAL0 + 4, 0x8000_0000 | u32::from(self.nvm.borrow()[2]));
        for offset in [0x1010, 0x1_2030] {
            self.set(offset, 0xF << 18);
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault.get() == Some(fault)
    }

    fn is_gone(&self) -> bool {
        let now = self.accesses.get();
        self.accesses.set(now + 1);
        self.gone_at.get().is_some_and(|at| now >= at)
    }

    fn mdic(&self, command: u32) -> u32 {
        if self.is(Fault::MdicNeverReady) {
            return command;
        }
        let (address, register) = if self.chip < Chip::I82580 {
            (command >> 21 & 31, command >> 16 & 31)
        } else {
            (self.get(MDICNFG) >> 21 & 31, command >> 16 & 31)
        };
        if self.is(Fault::MdicError) || address != u32::from(self.chip != Chip::I354) {
            return command | 0x5000_FFFF;
        }
        let mut phy = self.phy.borrow_mut();
        if command & 0x0800_0000 != 0 {
            return command & 0xFFFF_0000 | 1 << 28 | u32::from(phy[register as usize]);
        }
        match register {
            0 => phy[0] = command as u16 & !0x8200,
            1..=3 => {}
            _ => phy[register as usize] = command as u16,
        }
        command | 1 << 28
    }
}

/// Queue switches: 0x2828 and on, 0xC128 and on, and the transmit queues'.
fn is_switch(offset: u32) -> bool {
    let row = |first: u32, count: u32, stride: u32| {
        offset >= first && (offset - first).is_multiple_of(stride) && (offset - first) / stride < count
    };
    row(0x2828, 4, 0x100) || row(0xC128, 12, 0x40) || row(0x3828, 4, 0x100) || row(0xE128, 12, 0x40)
}

impl Bus for Fake {
    fn read32(&self, offset: u32) -> u32 {
        if self.is_gone() {
            return u32::MAX;
        }
        let value = self.get(offset);
        match offset {
            STATUS => {
                let master = self.get(CTRL) & 4 == 0 || self.is(Fault::MasterStays);
                let up = self.get(CTRL) & 0x40 != 0;
                value & !(MASTER | 0xFF & !0xC)
                    | if master { MASTER } else { 0 }
                    | if up { LINK_AND_GIGABIT_FULL } else { 0 }
            }
            SWSM => {
                if self.is(Fault::SmbiHeld) {
                    return value | 1;
                }
                self.set(SWSM, value | 1);
                value
            }
            SW_FW_SYNC if self.is(Fault::FirmwareHolds) => value | 0x7F_0000,
            ICR | EICR | 0x4000..=0x4138 => {
                self.set(offset, 0);
                value
            }
            _ => value,
        }
    }

    fn write32(&self, offset: u32, value: u32) {
        if self.is_gone() {
            return;
        }
        self.log.borrow_mut().push((offset, value));
        let value = match offset {
            CTRL if value & 1 << 26 != 0 && !self.is(Fault::ResetStays) => return self.reset(),
            STATUS | ICR | EICR => return,
            EERD if self.is(Fault::NvmNeverDone) => value,
            EERD => {
                let word = self.nvm.borrow().get((value >> 2 & 0x3FFF) as usize).copied().unwrap_or(0xFFFF);
                value & 0xFFFC | 2 | u32::from(word) << 16
            }
            MDIC => self.mdic(value),
            SWSM if self.is(Fault::SwesmbiRefused) => value & !2,
            _ if is_switch(offset) && self.is(Fault::EnableNeverSets) => value & !(1 << 25),
            _ if is_switch(offset) && self.is(Fault::EnableNeverClears) => value | 1 << 25,
            0x5200..0x5400 if self.is(Fault::MtaLosesFirst) && self.lost.get() < 3 && value != 0 => {
                self.lost.set(self.lost.get() + 1);
                return;
            }
            _ => value,
        };
        self.set(offset, value);
    }
}

/// Time that passes at once, and is counted.
#[derive(Default)]
pub(crate) struct Time(u64);

impl DelayNs for Time {
    fn delay_ns(&mut self, ns: u32) {
        self.0 += u64::from(ns);
    }
}

impl Time {
    pub(crate) fn ms(&self) -> u64 {
        self.0 / 1_000_000
    }
}
