//! What a simulated device is made as: chip, identity, NVM contents, and what it cannot do.

use crate::offsets::{from, is_i21x};
use igb::InterruptKind;
use igb_regs::Chip;

/// A device to be made; `World::attach` makes it.
#[derive(Debug, Clone)]
pub struct DeviceSpec {
    pub(crate) chip: Chip,
    pub(crate) device_id: u16,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) vectors: u16,
    pub(crate) function: u8,
    pub(crate) flash: bool,
    pub(crate) nvm: bool,
    pub(crate) checksum: bool,
    pub(crate) words: Vec<(u16, u16)>,
    pub(crate) without: Vec<InterruptKind>,
}

impl DeviceSpec {
    /// A copper port of this chip, in good health.
    pub fn new(chip: Chip) -> Self {
        Self {
            chip,
            device_id: match chip {
                Chip::I82575 => 0x10a7,
                Chip::I82576 => 0x10c9,
                Chip::I82580 => 0x150e,
                Chip::I350 => 0x1521,
                Chip::I354 => 0x1f41,
                Chip::I210 => 0x1533,
                Chip::I211 => 0x1539,
            },
            mac: None,
            vectors: match chip {
                Chip::I210 | Chip::I211 => 5,
                _ => 10,
            },
            function: 0,
            flash: chip != Chip::I211,
            nvm: true,
            checksum: true,
            words: Vec::new(),
            without: Vec::new(),
        }
    }

    /// Another PCI device ID.
    #[must_use]
    pub fn device_id(mut self, id: u16) -> Self {
        self.device_id = id;
        self
    }

    /// The address in the NVM. Default: 02:00:00:00:00:nn, nn being the device's index plus 1.
    #[must_use]
    pub fn mac(mut self, mac: [u8; 6]) -> Self {
        self.mac = Some(mac);
        self
    }

    /// MSI-X vectors in the capability. Default 10; I210 and I211 5.
    #[must_use]
    pub fn vectors(mut self, vectors: u16) -> Self {
        self.vectors = vectors.clamp(1, 25);
        self
    }

    /// PCI function number, which is the port of the chip.
    #[must_use]
    pub fn function(mut self, function: u8) -> Self {
        self.function = function & 3;
        self
    }

    /// An I210 without flash: its words come from the iNVM (fact base 1.1).
    #[must_use]
    pub fn flashless(mut self) -> Self {
        if is_i21x(self.chip) {
            self.flash = false;
            self.device_id = if self.chip == Chip::I210 { 0x157b } else { self.device_id };
        }
        self
    }

    /// No NVM at all: `EECD.PRES` is 0 and every word reads 0xFFFF.
    #[must_use]
    pub fn no_nvm(mut self) -> Self {
        self.nvm = false;
        self
    }

    /// An NVM whose checksum is wrong.
    #[must_use]
    pub fn bad_checksum(mut self) -> Self {
        self.checksum = false;
        self
    }

    /// Another value of one NVM word; the checksum is made to fit.
    #[must_use]
    pub fn nvm_word(mut self, word: u16, value: u16) -> Self {
        self.words.push((word, value));
        self
    }

    /// A kind of interrupt that this device, or its host, cannot give.
    #[must_use]
    pub fn without(mut self, kind: InterruptKind) -> Self {
        self.without.push(kind);
        self
    }

    /// PHY identifier with its revision (fact base 1.2).
    pub(crate) fn phy_id(&self) -> u32 {
        match self.chip {
            Chip::I82575 | Chip::I82576 => 0x02a8_0391,
            Chip::I82580 => 0x0154_03a1,
            Chip::I350 => 0x0154_03b1,
            Chip::I354 => 0x0141_0ea1,
            Chip::I210 | Chip::I211 => 0x0141_0c01,
        }
    }

    /// The MDIO address at which the PHY answers.
    pub(crate) fn phy_address(&self) -> u32 {
        if self.chip == Chip::I354 { 0 } else { 1 }
    }

    /// First words of the checksummed NVM regions (fact base 1.1).
    pub(crate) fn regions(&self) -> &'static [u16] {
        match self.chip {
            Chip::I350 | Chip::I354 => &[0, 0x80, 0xc0, 0x100],
            _ => &[0],
        }
    }

    /// Whether the PHY's address comes from MDICNFG rather than from MDIC.
    pub(crate) fn has_mdicnfg(&self) -> bool {
        from(self.chip, Chip::I82580)
    }
}
