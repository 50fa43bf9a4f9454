//! What the driver reads in configuration space itself.

use crate::PciConfig;

const STATUS_CAPABILITIES: u32 = 1 << 20;
const CAPABILITY_MSIX: u8 = 0x11;

/// Bytes of BAR 0 are the platform's to know; whether memory is decoded is COMMAND's.
pub(crate) fn decode_memory(pci: &impl PciConfig) {
    let command = pci.read32(0x04);
    if command != u32::MAX {
        pci.write32(0x04, command & 0xffff | 0x2);
    }
}

/// Entries of the MSI-X table: the number that no chip table can know, since the NVM sets it.
pub(crate) fn msix_table_len(pci: &impl PciConfig) -> Option<u16> {
    let at = capability(pci, CAPABILITY_MSIX)?;
    Some((pci.read32(at) >> 16 & 0x7ff) as u16 + 1)
}

/// The offset of a capability. A list that a broken device closes into a ring ends after 48 entries: no more fit.
fn capability(pci: &impl PciConfig, id: u8) -> Option<u16> {
    let command = pci.read32(0x04);
    if command == u32::MAX || command & STATUS_CAPABILITIES == 0 {
        return None;
    }
    let mut at = (pci.read32(0x34) & 0xfc) as u16;
    for _ in 0..48 {
        if at < 0x40 {
            return None;
        }
        let header = pci.read32(at);
        match header as u8 {
            0xff => return None,
            found if found == id => return Some(at),
            _ => at = (header >> 8 & 0xfc) as u16,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::RefCell;

    struct Config(RefCell<[u32; 64]>);
    impl PciConfig for Config {
        fn read32(&self, offset: u16) -> u32 {
            self.0.borrow().get(usize::from(offset) / 4).copied().unwrap_or(u32::MAX)
        }
        fn write32(&self, offset: u16, value: u32) {
            self.0.borrow_mut()[usize::from(offset) / 4] = value;
        }
    }
    fn config(dwords: &[(usize, u32)]) -> Config {
        let mut all = [0; 64];
        dwords.iter().for_each(|(offset, value)| all[offset / 4] = *value);
        Config(RefCell::new(all))
    }

    #[test]
    fn walks_to_the_table() {
        let pci =
            config(&[(4, 1 << 20), (0x34, 0x40), (0x40, 0x5001), (0x50, 0x0080_7005), (0x70, 0x8009_a011)]);
        assert_eq!(msix_table_len(&pci), Some(10));
    }

    #[test]
    fn a_ring_of_capabilities_ends() {
        let pci = config(&[(4, 1 << 20), (0x34, 0x40), (0x40, 0x5001), (0x50, 0x4005)]);
        assert_eq!(msix_table_len(&pci), None);
    }

    #[test]
    fn a_device_that_is_gone_has_none_and_is_not_written() {
        let pci = config(&[(4, u32::MAX)]);
        decode_memory(&pci);
        assert_eq!((msix_table_len(&pci), pci.read32(4)), (None, u32::MAX));
    }
}
