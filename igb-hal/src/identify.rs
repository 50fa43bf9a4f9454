//! What a PCI function is, by the first dword of its configuration space and the size of BAR 0.

use crate::Error;
use igb_regs::Device;

const INTEL: u16 = 0x8086;
/// All chips have 128 KB of registers (the I210's flash may follow them).
const BAR_BYTES: u64 = 0x2_0000;

/// The physical function with this vendor and device ID.
///
/// ```
/// use igb_hal::{Chip, Error, identify};
/// assert_eq!(identify(0x10C9_8086, 0x2_0000)?.chip, Chip::I82576);
/// assert_eq!(identify(0x100E_8086, 0x2_0000), Err(Error::UnknownDevice { id: 0x100E }));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// [`Error::DeviceGone`] when configuration space reads all ones, [`Error::NotIntel`], [`Error::UnknownDevice`],
/// [`Error::VirtualFunction`], [`Error::BarTooSmall`].
pub fn identify(vendor_device: u32, bar_len: u64) -> Result<&'static Device, Error> {
    if vendor_device == u32::MAX {
        return Err(Error::DeviceGone);
    }
    let [a, b, c, d] = vendor_device.to_le_bytes();
    let (vendor, id) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    if vendor != INTEL {
        return Err(Error::NotIntel { vendor });
    }
    let device = Device::from_id(id).ok_or(Error::UnknownDevice { id })?;
    if device.virtual_function {
        return Err(Error::VirtualFunction { id });
    }
    if bar_len < BAR_BYTES {
        return Err(Error::BarTooSmall { bytes: bar_len });
    }
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_of_the_family_and_nothing_else() {
        for device in Device::ALL {
            let word = u32::from(device.id) << 16 | 0x8086;
            let expected = if device.virtual_function {
                Err(Error::VirtualFunction { id: device.id })
            } else {
                Ok(device)
            };
            assert_eq!(identify(word, 0x2_0000).map(|found| found.id), expected.map(|device| device.id));
        }
        assert_eq!(identify(u32::MAX, 0x2_0000), Err(Error::DeviceGone));
        assert_eq!(identify(0x10C9_1AF4, 0x2_0000), Err(Error::NotIntel { vendor: 0x1AF4 }));
        assert_eq!(identify(0x10C9_8086, 0x1_FFFF), Err(Error::BarTooSmall { bytes: 0x1_FFFF }));
    }
}
