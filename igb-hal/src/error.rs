//! What can go wrong, each a thing that the caller can act on differently.

use crate::{MacAddress, MdioError, WhyBad};
use core::fmt;
use igb_regs::Media;

/// Why the MAC could not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device left the bus: every register reads all ones, STATUS too.
    #[error("the device is gone: STATUS reads 0xffffffff")]
    DeviceGone,
    /// The function is another manufacturer's.
    #[error("vendor {vendor:#06x} is not Intel (0x8086)")]
    NotIntel {
        /// The vendor ID.
        vendor: u16,
    },
    /// Intel's, but none of this family.
    #[error("device {id:#06x} is none of 82575, 82576, 82580, I350, I354, I210, I211")]
    UnknownDevice {
        /// The device ID.
        id: u16,
    },
    /// A virtual function: it has other registers and belongs to the driver of its physical function.
    #[error("device {id:#06x} is a virtual function; open the physical function")]
    VirtualFunction {
        /// The device ID.
        id: u16,
    },
    /// BAR 0 cannot hold the registers.
    #[error("BAR 0 has {bytes} bytes; the registers take 131072")]
    BarTooSmall {
        /// Its size.
        bytes: u64,
    },
    /// A register did not change in time. `register`, `index` and `what` make the sentence: `RXDCTL[0].ENABLE did not
    /// set within 10 ms (RXDCTL=0x00000000)`.
    #[error("{}", Late { what, register, index: *index, value: *value, micros: *micros })]
    Timeout {
        /// The bit, and what it did not do: `RST did not clear`.
        what: &'static str,
        /// The register.
        register: &'static str,
        /// Which of an array; `u16::MAX` for a register that there is one of.
        index: u16,
        /// What it held at last.
        value: u32,
        /// How long was waited.
        micros: u32,
    },
    /// The NVM's words do not sum up to 0xBABA. Most drivers refuse the device; who knows better may go on.
    #[error("the NVM's checksum is wrong: words {first:#x} to {:#x} sum up to {sum:#06x}, not 0xbaba", first + 0x3F)]
    NvmChecksum {
        /// The sum.
        sum: u16,
        /// First word of the region.
        first: u16,
    },
    /// The NVM has no such word.
    #[error("the NVM has {words} words, not a word {word:#x}")]
    NvmRange {
        /// The word asked for.
        word: u16,
        /// How many there are.
        words: u32,
    },
    /// There is no NVM.
    #[error("there is no NVM (EECD.PRES is 0)")]
    NvmAbsent,
    /// A station cannot have this address.
    #[error("{address} cannot be a station's address: {why}")]
    BadAddress {
        /// The address.
        address: MacAddress,
        /// Why not.
        why: WhyBad,
    },
    /// What the PHY said.
    #[error("PHY: {0}")]
    Phy(igb_phy::Error<MdioError>),
    /// A lock that software and firmware share could not be had.
    #[error("the lock {lock} could not be had (SWSM={swsm:#010x}, SW_FW_SYNC={sync:#010x})")]
    Semaphore {
        /// Which.
        lock: &'static str,
        /// Who holds the semaphore.
        swsm: u32,
        /// Who holds what.
        sync: u32,
    },
    /// A kind of port that is not driven.
    #[error("{} ports are not driven: {why}", media.name())]
    UnsupportedMedia {
        /// Which kind.
        media: Media,
        /// What is missing.
        why: &'static str,
    },
    /// The chip has no such queue.
    #[error("there is no queue {queue}: the chip has {has}")]
    QueueIndex {
        /// The queue asked for.
        queue: usize,
        /// How many there are.
        has: usize,
    },
    /// A ring that the hardware does not take: its base is a multiple of 128, its length of 128 bytes, 128 to 524288.
    #[error(
        "a ring of {bytes} bytes at {base:#x} does not do: base and length are multiples of 128, length 128 to 524288"
    )]
    Ring {
        /// Its address.
        base: u64,
        /// Its length.
        bytes: u32,
    },
    /// Buffers are counted in whole KB.
    #[error("receive buffers of {bytes} bytes do not do: whole KB, 1024 to 64512")]
    BufferSize {
        /// Their size.
        bytes: u16,
    },
    /// A frame length that the receive unit does not take.
    #[error("frames of {bytes} bytes do not do: {} to {}", crate::MIN_FRAME, crate::MAX_FRAME)]
    FrameLength {
        /// The length, without FCS.
        bytes: u16,
    },
    /// The chip has fewer address filters.
    #[error("there is no address filter {slot}: the chip has {has}")]
    FilterSlot {
        /// The slot asked for.
        slot: usize,
        /// How many there are.
        has: usize,
    },
}

/// The sentence of a time-out.
struct Late<'a> {
    what: &'a str,
    register: &'a str,
    index: u16,
    value: u32,
    micros: u32,
}

impl fmt::Display for Late<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, register, index, value, micros } = self;
        f.write_str(register)?;
        if *index != u16::MAX {
            write!(f, "[{index}]")?;
        }
        write!(f, ".{what} within ")?;
        if micros % 1000 == 0 && *micros > 0 {
            write!(f, "{} ms", micros / 1000)
        } else {
            write!(f, "{micros} us")
        }?;
        write!(f, " ({register}={value:#010x})")
    }
}

impl From<MdioError> for Error {
    fn from(error: MdioError) -> Self {
        Self::from(igb_phy::Error::Mdio(error))
    }
}

impl From<igb_phy::Error<MdioError>> for Error {
    fn from(error: igb_phy::Error<MdioError>) -> Self {
        match error {
            igb_phy::Error::Mdio(MdioError::Gone) => Self::DeviceGone,
            igb_phy::Error::Mdio(MdioError::Locked { swsm, sync }) => {
                Self::Semaphore { lock: "PHY", swsm, sync }
            }
            other => Self::Phy(other),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_time_out_names_register_and_value() {
        let late = Error::Timeout {
            what: "ENABLE did not set",
            register: "RXDCTL",
            index: 0,
            value: 0,
            micros: 10_000,
        };
        assert_eq!(late.to_string(), "RXDCTL[0].ENABLE did not set within 10 ms (RXDCTL=0x00000000)");
        let late = Error::Timeout {
            what: "RST did not clear",
            register: "CTRL",
            index: u16::MAX,
            value: 1 << 26,
            micros: 50,
        };
        assert_eq!(late.to_string(), "CTRL.RST did not clear within 50 us (CTRL=0x04000000)");
    }
}
