//! Configuration space: header, power management, MSI, MSI-X, PCIe, AER, serial number.
//!
//! Places and ids of the capabilities as the I210 has them (I210 chapter 9; fact base, datasheet part C).

use crate::offsets::BAR_LEN;
use crate::spec::DeviceSpec;
use igb::InterruptKind;

const COMMAND: u16 = 0x04;
const PMCSR: u16 = 0x44;
const MSI: u16 = 0x50;
const MSIX: u16 = 0x70;
const DEVCTL: u16 = 0xa8;
const MEMORY: u32 = 1 << 1;
const MASTER: u32 = 1 << 2;
const INTX_OFF: u32 = 1 << 10;
const INTX_STATUS: u32 = 1 << 19;

#[derive(Debug)]
pub(crate) struct Pci {
    words: Vec<u32>,
    writable: Vec<u32>,
    has_msi: bool,
    has_msix: bool,
    fixed: Vec<(u16, u32, u32)>,
}

impl Pci {
    pub(crate) fn new(spec: &DeviceSpec) -> Self {
        let has_msi = !spec.without.contains(&InterruptKind::Msi);
        let has_msix = !spec.without.contains(&InterruptKind::MsiX);
        let pin = u32::from(!spec.without.contains(&InterruptKind::Intx));
        let after_msi = if has_msix { 0x70 } else { 0xa0 };
        let after_pm = if has_msi { 0x50 } else { after_msi };
        let header = if spec.function > 0 { 0x0080_0000 } else { 0 };
        let mut fixed = vec![
            (0x00, u32::from(spec.device_id) << 16 | 0x8086, 0),
            (COMMAND, 0x0010_0000, 0x0000_0547),
            (0x08, 0x0200_0001, 0),
            (0x0c, header, 0x0000_00ff),
            (0x10, 0, !(BAR_LEN - 1)),
            (0x18, 1, 0xffff_ffe0),
            (0x1c, 0, 0xffff_c000),
            (0x2c, u32::from(spec.device_id) << 16 | 0x8086, 0),
            (0x34, 0x40, 0),
            (0x3c, pin << 8, 0xff),
            (0x40, 0xc823_0001 | after_pm << 8, 0),
            (PMCSR, 1 << 3, 0x0000_1f03),
            (0xa0, 0x0002_0010, 0),
            (0xa4, 0x1000_8cc2, 0), // function-level reset
            (DEVCTL, 0x0000_2810, 0x0000_7fff),
            (0xac, 0x0003_5c11, 0),
            (0xb0, 0x1011_0000, 0x0000_00cb),
            (0xc4, 0x0000_001f, 0),
            (0xc8, 0, 0x0000_ffff),
            (0x100, 0x1402_0001, 0),
            (0x108, 0, u32::MAX),
            (0x10c, 0x0006_2011, u32::MAX),
            (0x114, 0x0000_2000, u32::MAX),
            (0x140, 0x0001_0003, 0),
            (0x144, 0xff00_0001, 0),
            (0x148, 0x0200_00ff, 0),
        ];
        if has_msi {
            fixed.push((MSI, 0x0180_0005 | after_msi << 8, 1 << 16));
            fixed.extend([(0x54, 0, !3), (0x58, 0, u32::MAX), (0x5c, 0, 0xffff), (0x60, 0, 1)]);
        }
        if has_msix {
            let size = u32::from(spec.vectors) - 1;
            fixed.extend([(MSIX, size << 16 | 0xa011, 0xc000_0000), (0x74, 3, 0), (0x78, 0x2003, 0)]);
        }
        let mut pci = Self { words: vec![0; 1024], writable: vec![0; 1024], has_msi, has_msix, fixed };
        pci.reset();
        pci
    }

    /// As after power came: the host has not looked yet.
    pub(crate) fn power_on(&mut self) {
        self.reset();
    }

    /// A function-level reset: everything to its first value.
    pub(crate) fn reset(&mut self) {
        self.words.fill(0);
        for (offset, value, writable) in &self.fixed {
            self.words[usize::from(*offset) / 4] = *value;
            self.writable[usize::from(*offset) / 4] = *writable;
        }
    }

    /// Memory decoded, as the host leaves a device that nobody drives.
    pub(crate) fn enumerate(&mut self) {
        self.set(COMMAND, self.get(COMMAND) | MEMORY);
    }

    fn get(&self, offset: u16) -> u32 {
        self.words.get(usize::from(offset) / 4).copied().unwrap_or(u32::MAX)
    }

    fn set(&mut self, offset: u16, value: u32) {
        if let Some(word) = self.words.get_mut(usize::from(offset) / 4) {
            *word = value;
        }
    }

    pub(crate) fn read(&self, offset: u16) -> u32 {
        self.get(offset)
    }

    /// A write; true when it asks for a function-level reset.
    pub(crate) fn write(&mut self, offset: u16, value: u32) -> bool {
        let Some(writable) = self.writable.get(usize::from(offset) / 4).copied() else { return false };
        self.set(offset, self.get(offset) & !writable | value & writable);
        offset & !3 == DEVCTL && value & 1 << 15 != 0
    }

    /// Keeps bus mastering on against a write that took it away.
    pub(crate) fn force_master(&mut self) {
        self.set(COMMAND, self.get(COMMAND) | MASTER);
    }

    pub(crate) fn decodes_memory(&self) -> bool {
        self.get(COMMAND) & MEMORY != 0 && self.get(PMCSR) & 3 == 0
    }

    pub(crate) fn masters(&self) -> bool {
        self.get(COMMAND) & MASTER != 0 && self.get(PMCSR) & 3 == 0
    }

    /// How interrupts leave the device now: what is enabled, MSI-X before MSI before the line.
    pub(crate) fn kind(&self) -> InterruptKind {
        if self.has_msix && self.get(MSIX) >> 31 != 0 {
            InterruptKind::MsiX
        } else if self.has_msi && self.get(MSI) & 1 << 16 != 0 {
            InterruptKind::Msi
        } else {
            InterruptKind::Intx
        }
    }

    /// Turns on one kind and the others off, as a host does that routes interrupts. False if there is no such thing.
    pub(crate) fn enable(&mut self, kind: Option<InterruptKind>) -> bool {
        let there = match kind {
            Some(InterruptKind::MsiX) => self.has_msix,
            Some(InterruptKind::Msi) => self.has_msi,
            Some(InterruptKind::Intx) => self.get(0x3c) & 0xff00 != 0,
            None => true,
        };
        if !there {
            return false;
        }
        if self.has_msix {
            let bit = u32::from(kind == Some(InterruptKind::MsiX)) << 31;
            self.set(MSIX, self.get(MSIX) & 0x3fff_ffff | bit);
        }
        if self.has_msi {
            let bit = u32::from(kind == Some(InterruptKind::Msi)) << 16;
            self.set(MSI, self.get(MSI) & !(1 << 16) | bit);
        }
        let off = if kind == Some(InterruptKind::Intx) { 0 } else { INTX_OFF };
        self.set(COMMAND, self.get(COMMAND) & !INTX_OFF | off);
        true
    }

    /// Messages are writes, so they need mastering; the line does not.
    pub(crate) fn sends_messages(&self) -> bool {
        match self.kind() {
            InterruptKind::Intx => self.intx_enabled(),
            InterruptKind::MsiX => self.masters() && self.get(MSIX) & 1 << 30 == 0,
            InterruptKind::Msi => self.masters() && self.get(0x60) & 1 == 0,
        }
    }

    pub(crate) fn intx_enabled(&self) -> bool {
        self.get(COMMAND) & INTX_OFF == 0
    }

    pub(crate) fn set_line(&mut self, asserted: bool) {
        let bit = if asserted { INTX_STATUS } else { 0 };
        self.set(COMMAND, self.get(COMMAND) & !INTX_STATUS | bit);
    }
}
