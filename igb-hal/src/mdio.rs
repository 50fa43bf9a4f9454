//! The PHY's registers through MDIC, and finding the PHY.

use crate::mac::Wait;
use crate::semaphore::Lock;
use crate::{Error, Mac};
use core::cell::RefCell;
use core::sync::atomic::Ordering::Relaxed;
use embedded_hal::delay::DelayNs;
use igb_phy::{Mdio, Model, Phy, PhyId};
use igb_regs::{Bus, CTRL, CTRL_EXT, Chip, EEMNGCTL, MANC, MDIC, MDICNFG, Media};

/// The PHY inside a chip.
const INTERNAL: u8 = 1;

/// Why an access to a PHY register failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MdioError {
    /// The device left the bus.
    #[error("the device is gone")]
    Gone,
    /// The MAC did not end the access.
    #[error("MDIC.READY did not set within 96 ms, register {register} (MDIC={mdic:#010x})")]
    NotReady {
        /// The PHY's register.
        register: u8,
        /// The MAC's register.
        mdic: u32,
    },
    /// Nobody answered.
    #[error("MDIC.ERROR is set, register {register} (MDIC={mdic:#010x})")]
    Refused {
        /// The PHY's register.
        register: u8,
        /// The MAC's register.
        mdic: u32,
    },
    /// Firmware or another driver holds the PHY.
    #[error("the PHY is locked (SWSM={swsm:#010x}, SW_FW_SYNC={sync:#010x})")]
    Locked {
        /// Who holds the semaphore.
        swsm: u32,
        /// Who holds what.
        sync: u32,
    },
}

/// The way to one PHY through the MAC: an [`igb_phy::Mdio`].
///
/// Each access takes the PHY's lock, and ends within 96 ms as the drivers have it (a good one takes 64 us).
#[derive(Debug)]
pub struct MdioPort<'a, B, D> {
    mac: &'a Mac<B>,
    address: u8,
    delay: D,
    /// The lock is held by whoever made this.
    locked: bool,
}

/// Which PHY was found, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhyInfo {
    /// Its identifier.
    pub id: PhyId,
    /// Which PHY that is.
    pub model: Model,
    /// Its address on MDIO.
    pub address: u8,
}

impl core::fmt::Display for PhyInfo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({}) at address {}", self.model, self.id, self.address)
    }
}

impl<B: Bus> Mac<B> {
    /// The way to this port's PHY.
    pub fn mdio<D: DelayNs>(&self, delay: D) -> MdioPort<'_, B, D> {
        MdioPort { mac: self, address: self.phy_address(), delay, locked: false }
    }

    /// Finds the PHY, powers it up and resets it, unless the firmware forbids a reset (MANC.BLK_PHY_RST).
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedMedia`] on a port without an MDIO PHY, [`Error::Phy`], [`Error::Semaphore`],
    /// [`Error::DeviceGone`].
    pub fn open_phy(&self, delay: &mut impl DelayNs) -> Result<PhyInfo, Error> {
        self.or_gone(self.find_phy(delay))
    }

    fn find_phy(&self, delay: &mut impl DelayNs) -> Result<PhyInfo, Error> {
        self.check()?;
        match self.media() {
            Media::Copper => {}
            Media::Sgmii if self.has_external_mdio() => {}
            media => return Err(Error::UnsupportedMedia { media, why: "the port has no PHY on MDIO" }),
        }
        let address = self.phy_address();
        self.phy_address.store(address, Relaxed);
        let id = Phy::identify(self.mdio(&mut *delay))?.id();
        if !self.regs().manc().is_set(MANC::BLK_PHY_RST) {
            self.reset_phy(delay)?;
        }
        Phy::resume(self.mdio(&mut *delay), id).power_up()?;
        self.phy_id.store(id.0, Relaxed);
        Ok(PhyInfo { id, model: id.model(), address })
    }

    /// Runs `f` on the PHY, found before or now, under one lock: what pages it selects stay selected.
    pub(crate) fn with_phy<T, D: DelayNs>(
        &self,
        delay: &mut D,
        f: impl for<'a, 'd> FnOnce(&mut PhyOf<'a, 'd, B, D>, &mut SharedDelay<'a, 'd, D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let id = match self.phy_id.load(Relaxed) {
            0 => self.open_phy(delay)?.id,
            id => PhyId(id),
        };
        self.locked(Lock::Phy, delay, |delay| {
            let delay = RefCell::new(delay);
            let mut delay = SharedDelay(&delay);
            let port = MdioPort { mac: self, address: self.phy_address(), delay, locked: true };
            f(&mut Phy::resume(port, id), &mut delay)
        })
    }

    /// Resets the PHY by its pin: 100 us, then 150 us, and 300 us in which it takes no access; then its settings are
    /// loaded from the NVM, 100 ms at most. That this does not end is no error: there may be no NVM.
    ///
    /// Sources: the drivers' `phy_hw_reset`; datasheet I210 page 90 (300 us).
    fn reset_phy(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        let ctrl = self.regs().ctrl();
        self.locked(Lock::Phy, delay, |delay| {
            ctrl.modify(CTRL::PHY_RST.val(1));
            self.flush();
            delay.delay_us(100);
            ctrl.modify(CTRL::PHY_RST.val(0));
            self.flush();
            delay.delay_us(450);
            Ok(())
        })?;
        let done = match self.function() {
            0 => EEMNGCTL::CFG_DONE0,
            1 => EEMNGCTL::CFG_DONE1,
            2 => EEMNGCTL::CFG_DONE2,
            _ => EEMNGCTL::CFG_DONE3,
        };
        let wait = Wait {
            register: "EEMNGCTL",
            index: u16::MAX,
            what: "CFG_DONE did not set",
            step_us: 1_000,
            limit_us: 100_000,
        };
        let eemngctl = self.regs().eemngctl();
        match self.poll(&wait, delay, || eemngctl.get(), |value| done.is_set(value)) {
            Ok(_) | Err(Error::Timeout { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What the port is: CTRL_EXT.LINK_MODE, which the NVM sets and software may change.
    pub(crate) fn media(&self) -> Media {
        match self.regs().ctrl_ext().read(CTRL_EXT::LINK_MODE) {
            0 => Media::Copper,
            1 => Media::Backplane,
            2 => Media::Sgmii,
            _ => Media::Serdes,
        }
    }

    /// Whether the SGMII PHY is on MDIO. Else it is a module's, on I2C.
    pub(crate) fn has_external_mdio(&self) -> bool {
        match self.regs().mdicnfg() {
            Some(mdicnfg) => mdicnfg.is_set(MDICNFG::EXT_MDIO),
            None => self.regs().mdic().is_set(MDIC::DEST),
        }
    }

    /// From 82580 on MDICNFG has the address, set by the NVM. Before, it is 1 inside the chip, and outside what MDIC
    /// shows after a reset.
    fn phy_address(&self) -> u8 {
        let address = match self.regs().mdicnfg() {
            Some(mdicnfg) => mdicnfg.read(MDICNFG::PHYADD),
            None if self.phy_id.load(Relaxed) != 0 => self.phy_address.load(Relaxed).into(),
            None if self.media() == Media::Sgmii => self.regs().mdic().read(MDIC::PHYADD),
            None => INTERNAL.into(),
        };
        (address & 31) as u8
    }
}

/// The PHY under a lock.
pub(crate) type PhyOf<'a, 'd, B, D> = Phy<MdioPort<'a, B, SharedDelay<'a, 'd, D>>>;

/// One delay for the port and for who drives the PHY behind it; neither calls the other from within a delay.
pub(crate) struct SharedDelay<'a, 'd, D>(pub(crate) &'a RefCell<&'d mut D>);

impl<D> Clone for SharedDelay<'_, '_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for SharedDelay<'_, '_, D> {}

impl<D: DelayNs> DelayNs for SharedDelay<'_, '_, D> {
    fn delay_ns(&mut self, ns: u32) {
        self.0.borrow_mut().delay_ns(ns);
    }
    fn delay_us(&mut self, us: u32) {
        self.0.borrow_mut().delay_us(us);
    }
    fn delay_ms(&mut self, ms: u32) {
        self.0.borrow_mut().delay_ms(ms);
    }
}

impl<B: Bus, D: DelayNs> Mdio for MdioPort<'_, B, D> {
    type Error = MdioError;

    fn read(&mut self, register: u8) -> Result<u16, MdioError> {
        let done = self.access(register, MDIC::OP_READ.value)?;
        Ok(MDIC::DATA.read(done) as u16)
    }

    fn write(&mut self, register: u8, value: u16) -> Result<(), MdioError> {
        self.access(register, MDIC::OP_WRITE.value | u32::from(value)).map(drop)
    }
}

impl<B: Bus, D: DelayNs> MdioPort<'_, B, D> {
    /// The drivers wait 1920 times 50 us.
    fn access(&mut self, register: u8, command: u32) -> Result<u32, MdioError> {
        let wait = Wait {
            register: "MDIC",
            index: u16::MAX,
            what: "READY did not set",
            step_us: 50,
            limit_us: 96_000,
        };
        let mac = self.mac;
        let mut command = command | MDIC::REGADD.val(u32::from(register)).value;
        if mac.chip() < Chip::I82580 {
            // The bit that routes to an external PHY keeps its value.
            let external = mac.regs().mdic().get() & MDIC::DEST.val(1).value;
            command |= MDIC::PHYADD.val(u32::from(self.address)).value | external;
        }
        let go = |delay: &mut D| {
            let mdic = mac.regs().mdic();
            mdic.set(command);
            delay.delay_us(50);
            let done = (MDIC::READY.val(1) + MDIC::ERROR.val(1)).value;
            mac.poll(&wait, delay, || mdic.get(), |value| value & done != 0)
        };
        let result =
            if self.locked { go(&mut self.delay) } else { mac.locked(Lock::Phy, &mut self.delay, go) };
        match result {
            Ok(mdic) if MDIC::ERROR.is_set(mdic) => Err(MdioError::Refused { register, mdic }),
            Ok(mdic) => Ok(mdic),
            Err(Error::DeviceGone) => Err(MdioError::Gone),
            Err(Error::Timeout { value: mdic, .. }) => Err(MdioError::NotReady { register, mdic }),
            Err(Error::Semaphore { swsm, sync, .. }) => Err(MdioError::Locked { swsm, sync }),
            Err(_) => Err(MdioError::NotReady { register, mdic: 0 }),
        }
    }
}
