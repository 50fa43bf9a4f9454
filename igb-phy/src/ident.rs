//! Which PHY it is.

use core::fmt;
use num_enum::{FromPrimitive, IntoPrimitive};

/// The 32-bit identifier of registers 2 and 3.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhyId(pub u32);

impl PhyId {
    /// Put together from registers 2 and 3.
    pub const fn new(register2: u16, register3: u16) -> Self {
        Self((register2 as u32) << 16 | register3 as u32)
    }

    /// Revision, the lowest four bits.
    pub const fn revision(self) -> u8 {
        (self.0 & 0xF) as u8
    }

    /// Manufacturer and model, the revision cleared.
    pub const fn without_revision(self) -> u32 {
        self.0 & !0xF
    }

    /// Which PHY that is.
    pub fn model(self) -> Model {
        Model::from(self.without_revision())
    }

    /// Whether no PHY can have this identifier.
    pub const fn is_nobody(self) -> bool {
        let (high, low) = (self.0 >> 16, self.0 & 0xFFFF);
        high == 0xFFFF || low == 0xFFFF || self.0 == 0
    }
}

impl fmt::Debug for PhyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Display for PhyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// The PHYs found with these controllers, by identifier without revision.
///
/// Source: the identifiers in the drivers' headers (Linux and DPDK, `e1000_defines.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, FromPrimitive, IntoPrimitive)]
#[repr(u32)]
#[non_exhaustive]
pub enum Model {
    /// Marvell 88E1111, in SGMII modules and on 82575 and 82576 boards.
    M88E1111 = 0x0141_0CC0,
    /// Marvell 88E1112, which also does fiber.
    M88E1112 = 0x0141_0C90,
    /// Marvell 88E1340M, four ports.
    M88E1340M = 0x0141_0DF0,
    /// Marvell 88E1512.
    M88E1512 = 0x0141_0DD0,
    /// Marvell 88E1543, four ports; beside I354.
    M88E1543 = 0x0141_0EA0,
    /// Intel I347-AT4, four ports.
    I347At4 = 0x0141_0DC0,
    /// Inside I210 and I211.
    I210 = 0x0141_0C00,
    /// Inside 82575 and 82576.
    Igp03 = 0x02A8_0390,
    /// Inside 82580.
    I82580 = 0x0154_03A0,
    /// Inside I350.
    I350 = 0x0154_03B0,
    /// Broadcom BCM54616S, beside I354.
    Bcm54616 = 0x0362_5D10,
    /// Another one.
    #[num_enum(catch_all)]
    Other(u32),
}

impl Model {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::M88E1111 => "88E1111",
            Self::M88E1112 => "88E1112",
            Self::M88E1340M => "88E1340M",
            Self::M88E1512 => "88E1512",
            Self::M88E1543 => "88E1543",
            Self::I347At4 => "I347-AT4",
            Self::I210 => "I210 internal",
            Self::Igp03 => "IGP03",
            Self::I82580 => "82580 internal",
            Self::I350 => "I350 internal",
            Self::Bcm54616 => "BCM54616S",
            Self::Other(_) => "unknown",
        }
    }

    /// How its registers above 15 are laid out.
    pub const fn family(self) -> Family {
        match self {
            Self::M88E1111 => Family::Marvell,
            Self::M88E1112
            | Self::M88E1340M
            | Self::M88E1512
            | Self::M88E1543
            | Self::I347At4
            | Self::I210 => Family::Marvell2,
            Self::Igp03 => Family::Igp,
            Self::I82580 | Self::I350 => Family::I82580,
            Self::Bcm54616 | Self::Other(_) => Family::Generic,
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the registers that IEEE 802.3 leaves to the manufacturer are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Marvell, first generation: no pages but by registers 29 and 30.
    Marvell,
    /// Marvell, second generation: register 22 selects the page. The PHY inside I210 and I211 is one.
    Marvell2,
    /// Intel IGP03: register 31 selects the page of registers 16 to 30.
    Igp,
    /// Intel 82580 and I350: no pages, further registers by address and data.
    I82580,
    /// Clause 22 only.
    Generic,
}
