//! From any state to the state after a reset: quiet, no queue, no filter, no interrupt.

use crate::mac::Wait;
use crate::{Error, Mac, MacAddress};
use core::sync::atomic::Ordering::Relaxed;
use embedded_hal::delay::DelayNs;
use igb_regs::{Bus, CCMCTL, CTRL, CTRL_EXT, Chip, EECD, EICR, EIMC, GCR, RAH, STATUS, TCTL};

/// Word 0x37: where alternate addresses are; three words a port.
const ALTERNATE_ADDRESS: u16 = 0x37;

impl<B: Bus> Mac<B> {
    /// Masks every interrupt and clears what is pending.
    pub fn mask_interrupts(&self) {
        let regs = self.regs();
        let extended = EIMC::RXQ.mask << EIMC::RXQ.shift
            | EIMC::TXQ.mask << EIMC::TXQ.shift
            | (EIMC::TCP_TIMER.val(1) + EIMC::OTHER.val(1)).value;
        let extended = match self.chip() {
            Chip::I82575 => extended,
            _ => extended | EICR::CAUSES.mask << EICR::CAUSES.shift,
        };
        regs.eimc().set(extended);
        regs.imc().set(u32::MAX);
        self.flush();
        let _ = regs.icr().read_clear();
        regs.eicr().clear_bits(extended);
    }

    /// Stops receive and transmit units and disables every queue. What is in flight has 10 ms to end.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceGone`].
    pub fn stop(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        let regs = self.regs();
        regs.rctl().set(0);
        regs.tctl().write(TCTL::PSP.val(1));
        for queue in 0..self.chip().rx_queues() {
            regs.rxdctl(queue).set(0);
        }
        for queue in 0..self.chip().tx_queues() {
            regs.txdctl(queue).set(0);
        }
        self.flush();
        delay.delay_ms(10);
        self.check()
    }

    /// Forbids the device to start PCIe requests and waits until those that it started have ended: 80 ms at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when requests are still open, [`Error::DeviceGone`].
    pub fn master_disable(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        let wait = Wait {
            register: "STATUS",
            index: u16::MAX,
            what: "GIO_MASTER_ENABLE did not clear",
            step_us: 100,
            limit_us: 80_000,
        };
        self.regs().ctrl().modify(CTRL::GIO_MASTER_DISABLE.val(1));
        let status = self.regs().status();
        self.poll(&wait, delay, || status.get(), |value| !STATUS::GIO_MASTER_ENABLE.is_set(value)).map(drop)
    }

    /// Resets the MAC: everything but the PHY, PCI configuration and the locks.
    ///
    /// The sequence of the drivers' `reset_hw`: interrupts masked, units and queues stopped, master disable, RST, the
    /// NVM read again, interrupts masked and cleared again. A master disable that does not end is not an error here:
    /// the reset ends what it waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when RST does not clear, [`Error::DeviceGone`].
    pub fn reset(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        match self.quiet(delay) {
            Ok(()) | Err(Error::Timeout { .. }) => self.reset_quiet(delay),
            Err(error) => Err(error),
        }
    }

    /// The first half of a reset: nothing comes in, nothing goes out, nobody is interrupted.
    fn quiet(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        self.check()?;
        self.mask_interrupts();
        self.stop(delay)?;
        self.master_disable(delay)
    }

    /// The second half: the reset itself, and the state after it.
    fn reset_quiet(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        self.completion_timeout();
        self.assert_reset(delay)?;
        self.wait_auto_read(delay)?;
        if self.chip() >= Chip::I82580 {
            self.regs().status().clear(STATUS::DEV_RST_SET.val(1));
        }
        if self.chip() == Chip::I82575 && !self.regs().eecd().is_set(EECD::PRES) {
            self.analog_defaults(delay)?;
        }
        self.reception.store(0, Relaxed);
        self.mask_interrupts();
        // A chip that keeps the bit over a reset would never master the bus again.
        if self.regs().ctrl().is_set(CTRL::GIO_MASTER_DISABLE) {
            self.check()?;
            self.regs().ctrl().modify(CTRL::GIO_MASTER_DISABLE.val(0));
        }
        self.check()
    }

    /// Leaves the device quiet: [`reset`](Self::reset), link down by the MAC, the driver's mark taken away. Wake-up
    /// settings stay. Does all of it whatever fails, and then tells what failed first.
    ///
    /// # Errors
    ///
    /// As [`reset`](Self::reset), and [`Error::Timeout`] when the device did not end its PCIe requests before it: who
    /// frees memory must know.
    pub fn shutdown(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        let quiet = self.quiet(delay);
        let reset = self.reset_quiet(delay);
        self.regs().ctrl().modify(CTRL::SLU.val(0));
        self.regs().ctrl_ext().modify(CTRL_EXT::DRV_LOAD.val(0));
        self.check().and(quiet).and(reset)
    }

    /// The station address: the NVM's, which the reset loaded into RAL0 and RAH0.
    ///
    /// On 82575 and 82576 an alternate address in the NVM (word 0x37) comes first. Where RAR 0 is empty the NVM's own
    /// words are read, those of this port.
    ///
    /// # Errors
    ///
    /// [`Error::BadAddress`] for an address that no station can have; else as
    /// [`Nvm::read_into`](crate::Nvm::read_into).
    pub fn read_address(&self, delay: &mut impl DelayNs) -> Result<MacAddress, Error> {
        self.or_gone(self.find_address(delay))
    }

    fn find_address(&self, delay: &mut impl DelayNs) -> Result<MacAddress, Error> {
        self.check()?;
        if let Some(alternate) = self.alternate_address(delay)? {
            return Ok(alternate);
        }
        let address = MacAddress::from_words(self.regs().ral(0).get(), self.regs().rah(0).read(RAH::RAH));
        if !address.is_zero() {
            return address.checked();
        }
        let nvm = self.nvm();
        if !nvm.is_present() && !matches!(self.chip(), Chip::I210 | Chip::I211) {
            return address.checked();
        }
        let port = u16::from(self.function());
        let mut words = [0; 3];
        let address = match self.chip() {
            Chip::I82575 | Chip::I82576 => {
                nvm.read_into(0, &mut words, delay)?;
                let mut address = MacAddress::from_nvm(words);
                address.0[5] ^= self.function() & 1;
                address
            }
            _ => {
                let first = if port == 0 { 0 } else { 0x40 + 0x40 * port };
                nvm.read_into(first, &mut words, delay)?;
                MacAddress::from_nvm(words)
            }
        };
        address.checked()
    }

    fn alternate_address(&self, delay: &mut impl DelayNs) -> Result<Option<MacAddress>, Error> {
        if self.chip() >= Chip::I82580 || !self.nvm().is_present() {
            return Ok(None);
        }
        let pointer = self.nvm().read(ALTERNATE_ADDRESS, delay)?;
        if matches!(pointer, 0 | u16::MAX) {
            return Ok(None);
        }
        let mut words = [0; 3];
        let first = pointer.saturating_add(3 * u16::from(self.function()));
        match self.nvm().read_into(first, &mut words, delay) {
            // A pointer into nowhere is no pointer.
            Err(Error::NvmRange { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(Some(MacAddress::from_nvm(words)).filter(|address| address.is_valid_unicast())),
        }
    }

    fn assert_reset(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        let wait = Wait {
            register: "CTRL",
            index: u16::MAX,
            what: "RST did not clear",
            step_us: 1_000,
            limit_us: 100_000,
        };
        let ctrl = self.regs().ctrl();
        ctrl.modify(CTRL::RST.val(1));
        // Registers of a chip in reset must not be read.
        delay.delay_ms(1);
        self.poll(&wait, delay, || ctrl.get(), |value| !CTRL::RST.is_set(value)).map(drop)
    }

    /// The device reads its NVM anew, 10 ms at most. That it does not end is no error: some boards have no NVM, and
    /// QEMU's model does not show it.
    fn wait_auto_read(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        let wait = Wait {
            register: "EECD",
            index: u16::MAX,
            what: "AUTO_RD did not set",
            step_us: 1_000,
            limit_us: 10_000,
        };
        let eecd = self.regs().eecd();
        match self.poll(&wait, delay, || eecd.get(), |value| EECD::AUTO_RD.is_set(value)) {
            Ok(_) | Err(Error::Timeout { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// 82575 and 82576: a completion time-out of 0 lets requests fail at once, so 10 ms; and no request is sent
    /// again. With a version 2 capability the time-out stands in PCI configuration space, which is not ours.
    fn completion_timeout(&self) {
        if self.chip() >= Chip::I82580 {
            return;
        }
        let gcr = self.regs().gcr();
        let now = gcr.snapshot();
        let resend = GCR::CMPL_TMOUT_RESEND.val(0);
        if now.read(GCR::CMPL_TMOUT) == 0 && !now.is_set(GCR::CAP_VER2) {
            gcr.modify(resend + GCR::CMPL_TMOUT_MS10);
        } else if now.is_set(GCR::CMPL_TMOUT_RESEND) {
            gcr.modify(resend);
        }
    }

    /// An 82575 without an EEPROM has nobody to set its analog parts. Source of the values and of the wait, 640 times
    /// 5 us: DPDK e1000_82575.c, e1000_reset_init_script_82575.
    fn analog_defaults(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        const SCTL: &[(u32, u32)] = &[(0x00, 0x0C), (0x01, 0x78), (0x1B, 0x23), (0x23, 0x15)];
        const CCMCTL_VALUES: &[(u32, u32)] = &[(0x14, 0x00), (0x10, 0x00)];
        const GIOCTL: &[(u32, u32)] = &[(0x00, 0xEC), (0x61, 0xDF), (0x34, 0x05), (0x2F, 0x81)];
        const SCCTL: &[(u32, u32)] = &[(0x02, 0x47), (0x14, 0x00), (0x10, 0x00)];
        let regs = self.regs();
        let offsets = [
            ("SCTL", regs.sctl().map(|register| register.offset()), SCTL),
            ("CCMCTL", regs.ccmctl().map(|register| register.offset()), CCMCTL_VALUES),
            ("GIOCTL", regs.gioctl().map(|register| register.offset()), GIOCTL),
            ("SCCTL", regs.scctl().map(|register| register.offset()), SCCTL),
        ];
        for (register, offset, values) in offsets {
            let Some(offset) = offset else { continue };
            let wait =
                Wait { register, index: u16::MAX, what: "READY did not set", step_us: 5, limit_us: 3_200 };
            for (address, data) in values {
                regs.bus().write32(offset, data | address << 8);
                let ready = |value: u32| CCMCTL::READY.is_set(value);
                self.poll(&wait, delay, || regs.bus().read32(offset), ready)?;
            }
        }
        Ok(())
    }
}
