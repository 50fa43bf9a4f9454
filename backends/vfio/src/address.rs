//! Where a function sits: segment, bus, device, function, as Linux writes them.

use crate::error::{Error, Name};
use core::fmt;
use core::str::FromStr;

/// A PCI address.
///
/// ```
/// use igb_vfio::Address;
/// let address: Address = "0000:01:00.0".parse()?;
/// assert_eq!((address.segment, address.bus, address.device, address.function), (0, 1, 0, 0));
/// assert_eq!("3b:1f.7".parse::<Address>()?.to_string(), "0000:3b:1f.7"); // segment 0 goes without saying
/// # Ok::<(), igb_vfio::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The segment, which Linux calls domain. Machines with odd bridges have numbers above 16 bits.
    pub segment: u32,
    /// The bus.
    pub bus: u8,
    /// The device on the bus: 0 to 31.
    pub device: u8,
    /// The function of the device: 0 to 7.
    pub function: u8,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::BadAddress(Name::new(text)))
    }
}

fn parse(text: &str) -> Option<Address> {
    // `from_str_radix` takes a sign; an address has none.
    fn hex(text: &str, digits: core::ops::RangeInclusive<usize>) -> Option<u32> {
        (digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u32::from_str_radix(text, 16).ok())
            .flatten()
    }
    let (place, function) = text.rsplit_once('.')?;
    let (place, device) = place.rsplit_once(':')?;
    let (segment, bus) = match place.rsplit_once(':') {
        Some((segment, bus)) => (hex(segment, 4..=8)?, bus),
        None => (0, place),
    };
    let device = hex(device, 1..=2).filter(|device| *device < 32)?;
    let function = hex(function, 1..=1).filter(|function| *function < 8)?;
    Some(Address { segment, bus: hex(bus, 1..=2)? as u8, device: device as u8, function: function as u8 })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, bus, device, function } = self;
        write!(f, "{segment:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for text in [
            "",
            ".",
            ":.",
            "eth0",
            "01:00",
            "01:00.8",
            "01:20.0",
            "1:2:3:4.0",
            "0000:100:00.0",
            "+1:00.0",
            "0:01:00.0",
            "0000:01:00.0 ",
        ] {
            match text.parse::<Address>() {
                Err(Error::BadAddress(name)) => assert_eq!(name.as_str(), text),
                other => panic!("{text:?}: {other:?}"),
            }
        }
        assert!("ü".repeat(100).parse::<Address>().is_err());
    }

    proptest! {
        #[test]
        fn an_address_is_read_as_it_is_written(segment: u32, bus: u8, device in 0u8..32, function in 0u8..8) {
            let address = Address { segment, bus, device, function };
            prop_assert_eq!(address.to_string().parse::<Address>().ok(), Some(address));
        }

        #[test]
        fn any_text_is_judged(text: String) {
            let _ = text.parse::<Address>();
        }
    }
}
