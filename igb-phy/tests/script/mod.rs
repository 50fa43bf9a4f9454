//! A PHY made of words: pages, latched and self-clearing bits, and whatever the test scripts on top.
#![allow(dead_code, reason = "each test uses its part")]

use embedded_hal::delay::DelayNs;
use igb_phy::Mdio;
use std::collections::HashMap;

/// The bus says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) u8);

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "register {} refused", self.0)
    }
}

/// How registers above 15 are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    None,
    /// Register 22; all registers are paged.
    Marvell,
    /// Register 31; registers above 15 are paged.
    Igp,
}

pub(crate) struct Script {
    pub(crate) words: HashMap<(u16, u8), u16>,
    pub(crate) mmd: HashMap<(u16, u16), u16>,
    pub(crate) paging: Paging,
    pub(crate) page: u16,
    pub(crate) log: Vec<String>,
    /// Every read of this many and after gives all ones.
    pub(crate) gone_after: Option<usize>,
    /// The bus refuses this register.
    pub(crate) refuse: Option<u8>,
    /// Reset never ends.
    pub(crate) stuck_reset: bool,
    /// Reads of the status until autonegotiation and link are there.
    pub(crate) negotiates_after: usize,
    reads: usize,
    status_reads: usize,
    mmd_device: u16,
    mmd_data: bool,
    mmd_address: u16,
}

impl Script {
    pub(crate) fn new(id: u32) -> Self {
        let paging = match id >> 16 {
            0x0141 => Paging::Marvell,
            0x02A8 => Paging::Igp,
            _ => Paging::None,
        };
        let mut script = Self {
            words: HashMap::new(),
            mmd: HashMap::new(),
            paging,
            page: 0,
            log: Vec::new(),
            gone_after: None,
            refuse: None,
            stuck_reset: false,
            negotiates_after: 0,
            reads: 0,
            status_reads: 0,
            mmd_device: 0,
            mmd_data: false,
            mmd_address: 0,
        };
        script.set(0, 0x1140);
        script.set(1, 0x7949 | 0x24);
        script.set(2, (id >> 16) as u16);
        script.set(3, id as u16);
        script.set(4, 0x01E1);
        script.set(5, 0x4DE1);
        script.set(6, 0x000F);
        script.set(9, 0x0300);
        script.set(10, 0x7C00);
        script.set(15, 0x3000);
        script
    }

    pub(crate) fn set(&mut self, register: u8, value: u16) -> &mut Self {
        self.words.insert((0, register), value);
        self
    }

    pub(crate) fn get(&self, register: u8) -> u16 {
        self.words.get(&(0, register)).copied().unwrap_or(0)
    }

    fn key(&self, register: u8) -> (u16, u8) {
        let paged = match self.paging {
            Paging::None => false,
            Paging::Marvell => register != 22,
            Paging::Igp => (16..31).contains(&register),
        };
        (if paged { self.page } else { 0 }, register)
    }
}

impl Mdio for Script {
    type Error = Refused;

    fn read(&mut self, register: u8) -> Result<u16, Refused> {
        assert!(register < 32, "register {register} is no register");
        if self.refuse == Some(register) {
            return Err(Refused(register));
        }
        self.reads += 1;
        if self.gone_after.is_some_and(|after| self.reads > after) {
            return Ok(0xFFFF);
        }
        let key = self.key(register);
        let mut value = self.words.get(&key).copied().unwrap_or(0);
        match key {
            (0, 1) => {
                self.status_reads += 1;
                if self.status_reads <= self.negotiates_after {
                    value &= !0x24;
                } else {
                    // The loss was told; from now on the truth.
                    self.words.insert(key, value | (0x04 * u16::from(value & 0x20 != 0)));
                }
            }
            (_, 14) if self.mmd_data => {
                value = self.mmd.get(&(self.mmd_device, self.mmd_address)).copied().unwrap_or(0);
            }
            _ => {}
        }
        self.log.push(format!("read {}.{register} {value:#06x}", key.0));
        Ok(value)
    }

    fn write(&mut self, register: u8, value: u16) -> Result<(), Refused> {
        assert!(register < 32, "register {register} is no register");
        if self.refuse == Some(register) {
            return Err(Refused(register));
        }
        let key = self.key(register);
        self.log.push(format!("write {}.{register} {value:#06x}", key.0));
        match (self.paging, register) {
            (Paging::Marvell, 22) => self.page = value,
            (Paging::Igp, 31) => self.page = value >> 5,
            (_, 13) => (self.mmd_device, self.mmd_data) = (value & 31, value >> 14 == 1),
            (_, 14) if self.mmd_data => {
                self.mmd.insert((self.mmd_device, self.mmd_address), value);
            }
            (_, 14) => self.mmd_address = value,
            (_, 0) => {
                let kept = if self.stuck_reset { value } else { value & !0x8200 };
                self.words.insert(key, kept);
            }
            (_, 1..=3) => {}
            _ => {
                self.words.insert(key, value);
            }
        }
        Ok(())
    }
}

/// Time that passes at once, and is counted.
#[derive(Default)]
pub(crate) struct Time(pub(crate) u64);

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

/// One of each.
pub(crate) const IDS: [u32; 11] = [
    0x0141_0CC2,
    0x0141_0C91,
    0x0141_0DF0,
    0x0141_0DD1,
    0x0141_0EA1,
    0x0141_0DC0,
    0x0141_0C01,
    0x02A8_0391,
    0x0154_03A1,
    0x0154_03B1,
    0x0362_5D12,
];
