//! Which image the NVM holds, and whether firmware runs.

use crate::{Error, Mac};
use core::fmt;
use embedded_hal::delay::DelayNs;
use igb_regs::{Bus, Chip, FWSM};

/// Word 5: the image's version.
const VERSION: u16 = 0x05;
/// Word 0x43: upper half of the image's unique ID. Bits 15:12 are 8 where there is one in the usual order.
const IMAGE_ID_HIGH: u16 = 0x43;

/// Version of the NVM image, and what the manageability firmware does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firmware {
    /// The version, where there is one.
    pub image: Option<ImageVersion>,
    /// Whether manageability firmware runs.
    pub runs: bool,
    /// What it does: 0 nothing, 2 passes frames to a baseboard controller, others by chip.
    pub mode: u8,
}

/// Version of an NVM image, as its maker writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageVersion {
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Build, in images of the early form.
    pub build: Option<u8>,
}

impl ImageVersion {
    /// Word 5 of an early image (82575, 82576, 82580 and I354 without an image ID): major version in bits 15:12, minor
    /// in 11:4, build in 3:0.
    const fn early(word: u16) -> Self {
        Self { major: (word >> 12) as u8, minor: (word >> 4) as u8, build: Some(word as u8 & 0xF) }
    }

    /// Word 5 of any other: major version in bits 15:12; minor in bits 7:0 with bits 11:8 zero (datasheet I210 6.8.3),
    /// or in 11:4. The minor version's hexadecimal digits are decimal ones.
    const fn later(word: u16) -> Self {
        let digits = if word & 0x0F00 == 0 { word as u8 } else { (word >> 4) as u8 };
        let minor = (digits >> 4) * 10 + (digits & 0xF);
        Self { major: (word >> 12) as u8, minor, build: None }
    }
}

impl fmt::Display for ImageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.build {
            Some(build) => write!(f, "{}.{}.{build}", self.major, self.minor),
            None => write!(f, "{}.{:02}", self.major, self.minor),
        }
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.image {
            None => f.write_str("NVM image unversioned")?,
            Some(image) => write!(f, "NVM image {image}")?,
        }
        if self.runs { write!(f, ", firmware mode {}", self.mode) } else { Ok(()) }
    }
}

impl<B: Bus> Mac<B> {
    /// Reads the version of the NVM image and the state of the firmware.
    ///
    /// Sources: datasheet I210 6.8.3; DPDK e1000_nvm.c, e1000_get_fw_version.
    ///
    /// # Errors
    ///
    /// As [`Nvm::read_into`](crate::Nvm::read_into).
    pub fn firmware(&self, delay: &mut impl DelayNs) -> Result<Firmware, Error> {
        let word = self.nvm().read(VERSION, delay)?;
        let image = match (word, self.chip()) {
            (0 | u16::MAX, _) => None,
            (_, Chip::I82575 | Chip::I82576 | Chip::I82580 | Chip::I354)
                if self.nvm().words() <= IMAGE_ID_HIGH.into()
                    || self.nvm().read(IMAGE_ID_HIGH, delay)? & 0xF000 != 0x8000 =>
            {
                Some(ImageVersion::early(word))
            }
            _ => Some(ImageVersion::later(word)),
        };
        let fwsm = self.regs().fwsm().snapshot();
        self.check()?;
        Ok(Firmware { image, runs: fwsm.is_set(FWSM::FW_VALID), mode: fwsm.read(FWSM::FW_MODE) as u8 })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::ImageVersion;
    use std::string::ToString;

    #[test]
    fn forms_of_the_version() {
        assert_eq!(ImageVersion::early(0x1021).to_string(), "1.2.1");
        assert_eq!(ImageVersion::later(0x3025).to_string(), "3.25");
        assert_eq!(ImageVersion::later(0x1630).to_string(), "1.63");
        assert_eq!(ImageVersion::later(0xF0FF).to_string(), "15.165", "no panic on nonsense");
    }
}
