//! Which image the NVM holds, and whether firmware runs.

use crate::{Error, Mac};
use core::fmt;
use embedded_hal::delay::DelayNs;
use igb_regs::{Bus, FWSM};

/// Version of the NVM image, and what the manageability firmware does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firmware {
    /// NVM word 5: major version in bits 15:12, minor in bits 7:0, both decimal by their digits.
    pub image: u16,
    /// Whether manageability firmware runs.
    pub runs: bool,
    /// What it does: 0 nothing, 2 passes frames to a baseboard controller, others by chip.
    pub mode: u8,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.image {
            0 | u16::MAX => f.write_str("NVM image unversioned")?,
            image => write!(f, "NVM image {:x}.{:02x}", image >> 12, image & 0xFF)?,
        }
        if self.runs { write!(f, ", firmware mode {}", self.mode) } else { Ok(()) }
    }
}

impl<B: Bus> Mac<B> {
    /// Reads the version of the NVM image (datasheet I210 6.8.3) and the state of the firmware.
    ///
    /// # Errors
    ///
    /// As [`Nvm::read_into`](crate::Nvm::read_into).
    pub fn firmware(&self, delay: &mut impl DelayNs) -> Result<Firmware, Error> {
        let image = self.nvm().read(5, delay)?;
        let fwsm = self.regs().fwsm().snapshot();
        self.check()?;
        Ok(Firmware { image, runs: fwsm.is_set(FWSM::FW_VALID), mode: fwsm.read(FWSM::FW_MODE) as u8 })
    }
}
