//! CTRL, STATUS, resets and the locks between driver and firmware.

use super::{Event, Port, queue};
use crate::counters::Counters;
use crate::fault::Fault;
use crate::offsets::*;
use crate::violation::Violation;
use igb_regs::Chip;

const MASTER_DISABLE: u32 = 1 << 2;
const SLU: u32 = 1 << 6;
const RST: u32 = 1 << 26;
const DEV_RST: u32 = 1 << 29;
const PHY_RST: u32 = 1 << 31;
const DEV_RST_SET: u32 = 1 << 20;
const PF_RST_DONE: u32 = 1 << 21;
const AUTO_RD: u32 = 1 << 9;
/// From CTRL.RST until the NVM's words are loaded; drivers wait up to 10 ms for EECD.AUTO_RD.
const AUTO_READ_TIME: u64 = 1_000_000;
/// From a PHY reset until firmware has configured the PHY; drivers wait up to 100 ms for CFG_DONE.
const CONFIG_TIME: u64 = 3_000_000;
const SMBI: u32 = 1;
const SWESMBI: u32 = 2;

impl Port {
    /// Everything as after power came and firmware did its work.
    pub(crate) fn power_on(&mut self) {
        self.present = true;
        self.pci.power_on();
        self.interrupts = super::interrupt::Interrupts::new(self.spec.vectors);
        self.reset_mac(false);
        self.phy.reset();
        self.relink = true;
        for offset in [SWSM, SW_FW_SYNC] {
            self.regs.set(offset, 0);
        }
        let mdicnfg = match self.chip {
            Chip::I354 => 1 << 31,
            _ if self.spec.has_mdicnfg() => 1 << 21,
            _ => 0,
        };
        self.regs.set(MDICNFG, mdicnfg);
        self.nvm_loaded();
        self.finish_config();
    }

    /// CTRL.RST: MAC, queues and register file. PHY, PCI configuration and locks stay.
    fn reset_mac(&mut self, timed: bool) {
        self.generation = self.generation.wrapping_add(1);
        let kept = [SWSM, SW_FW_SYNC, MDICNFG, EEMNGCTL, EEMNGCTL_I210].map(|at| (at, self.regs.get(at)));
        self.regs.reset();
        for (offset, value) in self.defaults().into_iter().chain(kept) {
            self.regs.set(offset, value);
        }
        self.rx.fill_with(queue::RxQueue::default);
        self.tx.fill_with(queue::TxQueue::default);
        self.more = 0;
        self.fifo.clear();
        self.contexts = super::transmit::Contexts::default();
        self.paused_until = 0;
        self.xoff_sent = false;
        self.interrupts.reset();
        self.nvm.fill_invm(&mut self.regs, &self.spec);
        if timed {
            self.after(AUTO_READ_TIME, Event::NvmLoaded(self.generation));
        }
        self.update_link();
    }

    /// Values after a reset that the model stands on, whether or not the specs name a source for them: as the model
    /// judged by Linux's igb had them (test beds, part 6), and I210's register tables.
    fn defaults(&self) -> Vec<(u32, u32)> {
        let chip = self.chip;
        let (rxpbs, txpbs) = match chip {
            Chip::I82575 => (0, 0),
            Chip::I82576 => (0x40, 0x28),
            Chip::I210 | Chip::I211 => (0x22, 0x0400_0014),
            _ => (0, 0),
        };
        let size = 4 << 11; // 1024 words, as 1 << (4 + 6)
        let flash = if chip == Chip::I210 && self.spec.flash { 1 << 19 } else { 0 };
        let present = if self.spec.nvm { 1 << 8 } else { 0 };
        let link_mode = if chip == Chip::I354 { 2 << 22 } else { 0 };
        let mut values = vec![
            (CTRL, 0x0010_0201),
            (STATUS, 0),
            (EECD, 0x10 | present | size | flash),
            (CTRL_EXT, 1 << 20 | link_mode),
            (I2CCMD, 1 << 29),
            (VET, 0x8100),
            (FCAL, 0x00c2_8001),
            (FCAH, 0x0100),
            (TCTL, 0xa404_00f8),
            (TIPG, 0x0060_1008),
            (PBA, 0x22),
            (RXPBS, rxpbs),
            (TXPBS, txpbs),
            (RLPML, 0x2600),
            (RXCSUM, 1 << 8),
            (PHPM, 0x1c),
            (PCS_LSTAT, 0x0001_001b),
            (TSAUXC, 1 << 31),
        ];
        if from(chip, Chip::I82576) && !is_i21x(chip) {
            values.extend((0..8).map(|pool| (VMOLR + 4 * pool, 0x8000_2600)));
        }
        for queue in 0..chip.rx_queues() {
            values.push((Self::rx_at(queue) + DCTL, 0x0001_0000));
        }
        for queue in 0..chip.tx_queues() {
            values.push((Self::tx_at(queue) + DCTL, 0));
        }
        values
    }

    /// The NVM's words reached the registers: station address, AUTO_RD, reset done.
    pub(super) fn nvm_loaded(&mut self) {
        if self.has_fault(Fault::AutoReadNeverDone) {
            return;
        }
        if self.spec.nvm {
            let [low, middle, high] = [0, 1, 2].map(|word| u32::from(self.nvm.word(word)));
            self.regs.set(RAL, low | middle << 16);
            self.regs.set(RAL + 4, high | 1 << 31);
        }
        self.regs.change(EECD, AUTO_RD, 0);
        self.regs.change(STATUS, PF_RST_DONE, 0);
    }

    fn cfg_done_bit(&self) -> u32 {
        1 << 18 << self.spec.function
    }

    fn finish_config(&mut self) {
        if !self.has_fault(Fault::CfgNeverDone) {
            let offset = if is_i21x(self.chip) { EEMNGCTL_I210 } else { EEMNGCTL };
            self.regs.change(offset, self.cfg_done_bit(), 0);
        }
    }

    pub(super) fn config_done(&mut self, attempt: u32) {
        if attempt == self.phy.resets() {
            self.finish_config();
        }
    }

    /// The device leaves the bus.
    pub(crate) fn remove(&mut self) {
        self.present = false;
        self.generation = self.generation.wrapping_add(1);
        self.fifo.clear();
        self.relink = true;
    }

    /// A function-level reset: registers and configuration space.
    pub(crate) fn function_reset(&mut self) {
        self.counters.resets += 1;
        self.pci.reset();
        self.interrupts = super::interrupt::Interrupts::new(self.spec.vectors);
        self.reset_mac(true);
    }

    pub(crate) fn reset_counters(&mut self) {
        self.counters = Counters::new(self.rx.len(), self.tx.len());
    }

    /// STATUS.LU and what goes with it, after PHY or CTRL changed.
    pub(super) fn update_link(&mut self) {
        let was = self.regs.has(STATUS, 2);
        let link = self.link();
        let mut status = 0;
        if let Some(link) = link {
            let speed = match link.speed_mbps {
                10 => 0,
                100 => 1,
                _ => 2,
            };
            status = 2 | u32::from(link.full_duplex) | speed << 6 | speed << 8;
        }
        self.regs.change(STATUS, status, 0x3c3);
        if was != link.is_some() {
            if !self.has_fault(Fault::NoLinkInterrupt) {
                self.cause(super::interrupt::LSC);
                self.deliver();
            }
            self.transmit_all();
        }
    }

    /// The link as the MAC shows it: the PHY's, once CTRL.SLU is set.
    pub(crate) fn link(&self) -> Option<super::Link> {
        if !self.present || !self.regs.has(CTRL, SLU) {
            return None;
        }
        self.phy.link()
    }

    pub(super) fn read_control(&mut self, offset: u32) -> u32 {
        let value = self.regs.get(offset);
        match offset {
            STATUS => {
                let stopped = self.regs.has(CTRL, MASTER_DISABLE) && !self.has_fault(Fault::MasterStuck);
                let paused = if self.now < self.paused_until { 1 << 4 } else { 0 };
                let reset_done = if self.chip == Chip::I82576 { 1 << 31 } else { 0 };
                let lan = u32::from(self.spec.function) << 2;
                value | lan | paused | u32::from(!stopped) << 19 | reset_done
            }
            SWSM => {
                // Reading takes the lock; who reads 0 has it (I210 8.7.1).
                self.regs.set(SWSM, value | SMBI);
                if self.has_fault(Fault::SemaphoreHeld) { value | SMBI } else { value }
            }
            SW_FW_SYNC if self.has_fault(Fault::FirmwareHoldsSync) => value | 0xffff_0000,
            MDIC | EERD => value,
            _ => value,
        }
    }

    pub(super) fn write_control(&mut self, offset: u32, value: u32) {
        match offset {
            CTRL => self.write_ctrl(value),
            STATUS => self.regs.change(STATUS, 0, value & DEV_RST_SET),
            EECD => self.write_eecd(value),
            EERD | EEWR | SRWR => self.write_nvm_command(offset, value),
            MDIC => self.write_mdic(value),
            SWSM => self.regs.set(SWSM, value & (SMBI | SWESMBI)),
            SW_FW_SYNC => {
                if !self.regs.has(SWSM, SWESMBI) {
                    self.violate(Violation::NotLocked { rule: "SW_FW_SYNC written without SWSM.SWESMBI" });
                }
                self.regs.set(SW_FW_SYNC, value & 0xffff | self.regs.get(SW_FW_SYNC) & 0xffff_0000);
            }
            // No device on the I2C bus: ready, with the error bit on a read.
            I2CCMD => self.regs.set(I2CCMD, value & 0x0fff_ffff | 1 << 29 | (value >> 27 & 1) << 31),
            // Indirect analogue access: done at once.
            _ => self.regs.set(offset, value | 1 << 31),
        }
    }

    fn write_ctrl(&mut self, value: u32) {
        let device = value & DEV_RST != 0 && from(self.chip, Chip::I82580);
        if value & RST != 0 || device {
            self.counters.resets += 1;
            if self.has_fault(Fault::ResetNeverDone) {
                self.regs.change(CTRL, value & (RST | DEV_RST), 0);
                return;
            }
            if self.has_fault(Fault::ResetKeepsRegisters) {
                self.regs.change(CTRL, value & !(RST | DEV_RST), u32::MAX);
                return;
            }
            self.reset_mac(true);
            if device {
                self.regs.change(STATUS, DEV_RST_SET, 0);
                self.cause(super::interrupt::DRSTA);
            }
            return;
        }
        let before = self.regs.get(CTRL);
        self.regs.set(CTRL, value & !(RST | DEV_RST));
        if value & PHY_RST != 0 && before & PHY_RST == 0 {
            // Held in reset until the bit is written 0.
            self.phy.hold(self.now);
            self.relink = true;
            let cfg = self.cfg_done_bit();
            self.regs.change(EEMNGCTL, 0, cfg);
            self.regs.change(EEMNGCTL_I210, 0, cfg);
        } else if value & PHY_RST == 0 && before & PHY_RST != 0 {
            self.phy.release(self.now);
            self.relink = true;
            self.after(CONFIG_TIME, Event::ConfigDone(self.phy.resets()));
        }
        if (before ^ value) & SLU != 0 {
            self.update_link();
        }
        if (before ^ value) & MASTER_DISABLE != 0 {
            self.drain_fifo();
            self.transmit_all();
        }
    }
}
