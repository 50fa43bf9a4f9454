//! Ethernet addresses.

use core::fmt;
use core::str::FromStr;

/// A 48-bit Ethernet address, in the order in which its bytes are sent.
///
/// ```
/// use igb_hal::MacAddress;
/// let address: MacAddress = "52:54:00:12:34:56".parse()?;
/// assert!(address.is_valid_unicast());
/// assert_eq!(address.to_string(), "52:54:00:12:34:56");
/// # Ok::<(), igb_hal::ParseAddressError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The address that every station hears.
    pub const BROADCAST: Self = Self([0xFF; 6]);

    /// Whether it is a group's address; broadcast is one.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether all bytes are 0, which is nobody's address.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 6]
    }

    /// Whether it is the broadcast address.
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }

    /// Whether a station can have it.
    pub fn is_valid_unicast(self) -> bool {
        !self.is_multicast() && !self.is_zero()
    }

    /// As the device keeps it: RAL, and the lower half of RAH.
    pub(crate) const fn to_words(self) -> (u32, u32) {
        let [a, b, c, d, e, f] = self.0;
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, 0, 0]))
    }

    /// From RAL and RAH.
    pub(crate) const fn from_words(low: u32, high: u32) -> Self {
        let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
        Self([a, b, c, d, e, f])
    }

    /// From three words of the NVM.
    pub(crate) const fn from_nvm(words: [u16; 3]) -> Self {
        Self::from_words(words[0] as u32 | (words[1] as u32) << 16, words[2] as u32)
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<[u8; 6]> for MacAddress {
    fn from(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }
}

/// Text that is no Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address is six pairs of hexadecimal digits between colons or hyphens, as 52:54:00:12:34:56")]
pub struct ParseAddressError;

impl FromStr for MacAddress {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(ParseAddressError)?;
            if !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(ParseAddressError);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| ParseAddressError)?;
        }
        if parts.next().is_some() { Err(ParseAddressError) } else { Ok(Self(bytes)) }
    }
}

/// Why a station cannot have an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WhyBad {
    /// All zeros.
    #[error("it is all zeros")]
    Zero,
    /// A group's address.
    #[error("it is a group's address")]
    Multicast,
}

impl MacAddress {
    /// The address, if a station can have it.
    pub(crate) fn checked(self) -> Result<Self, crate::Error> {
        let why = if self.is_multicast() {
            WhyBad::Multicast
        } else if self.is_zero() {
            WhyBad::Zero
        } else {
            return Ok(self);
        };
        Err(crate::Error::BadAddress { address: self, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_both_ways() {
        extern crate std;
        use std::string::ToString;
        let address = MacAddress([0x00, 0xA0, 0xC9, 0x01, 0x02, 0xFE]);
        assert_eq!(address.to_string(), "00:a0:c9:01:02:fe");
        assert_eq!("00-A0-C9-01-02-FE".parse(), Ok(address));
        for text in [
            "",
            "00:a0:c9:01:02",
            "00:a0:c9:01:02:fe:00",
            "0:a0:c9:01:02:fe",
            "+1:a0:c9:01:02:fe",
            "00:a0:c9:01:02:fg",
        ] {
            assert_eq!(text.parse::<MacAddress>(), Err(ParseAddressError), "{text}");
        }
    }

    #[test]
    fn words_both_ways() {
        let address = MacAddress([0x00, 0xA0, 0xC9, 0x01, 0x02, 0x03]);
        assert_eq!(address.to_words(), (0x01C9_A000, 0x0302));
        assert_eq!(MacAddress::from_words(0x01C9_A000, 0x8000_0302), address);
        assert_eq!(MacAddress::from_nvm([0xA000, 0x01C9, 0x0302]), address);
    }
}
