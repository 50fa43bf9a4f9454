//! Every function of the family on the machine.

use crate::address::Address;
use crate::error::{Error, Name};
use crate::host::Host;
use std::fs;

/// A function as the machine's files show it. Nothing is opened to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// Where it is.
    pub address: Address,
    /// What it is, by its device ID.
    pub device: &'static igb_regs::Device,
    /// Who drives it.
    pub driver: Option<Name>,
    /// Its IOMMU group. None without an IOMMU.
    pub group: Option<u32>,
    /// Who else is in the group, with their drivers: all of it is handed out or nothing.
    pub shared_with: Vec<(Address, Option<Name>)>,
    /// The node of the machine's memory that is nearest, where there is more than one.
    pub numa_node: Option<u16>,
    /// The network interface that the host has of it.
    pub interface: Option<Name>,
    /// The link, as far as the host knows: only with an interface that is up.
    pub link: Option<Carrier>,
}

/// What the host says of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Carrier {
    /// Whether there is a carrier.
    pub up: bool,
    /// Its speed.
    pub mbps: Option<u32>,
}

impl core::fmt::Display for Carrier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.up, self.mbps) {
            (true, Some(mbps)) => write!(f, "up, {mbps} Mb/s"),
            (true, None) => f.write_str("up"),
            (false, _) => f.write_str("down"),
        }
    }
}

impl Host {
    /// Every function of the family, by address.
    ///
    /// # Errors
    /// [`Error::System`] if there is no list of PCI functions.
    pub fn list(&self) -> Result<Vec<Function>, Error> {
        Ok(self.functions()?.into_iter().filter_map(|address| self.describe(address)).collect())
    }

    /// What is known of one function; `None` if it is not of the family.
    pub fn describe(&self, address: Address) -> Option<Function> {
        if self.number(address, "vendor")? != 0x8086 {
            return None;
        }
        let device = igb_regs::Device::from_id(u16::try_from(self.number(address, "device")?).ok()?)?;
        let group = self.group(address);
        let others = group.map(|group| self.members(group)).unwrap_or_default();
        let shared = others.into_iter().filter(|other| *other != address);
        let interface = self.interfaces(address).first().copied();
        Some(Function {
            address,
            device,
            driver: self.driver(address),
            group,
            shared_with: shared.map(|other| (other, self.driver(other))).collect(),
            numa_node: self.number(address, "numa_node").and_then(|node| u16::try_from(node).ok()),
            interface,
            link: interface.and_then(|interface| self.carrier(address, interface)),
        })
    }

    fn carrier(&self, address: Address, interface: Name) -> Option<Carrier> {
        let folder = self.function(address).join("net").join(interface.as_str());
        let text = |file| fs::read_to_string(folder.join(file)).ok();
        let up = text("carrier")?.trim() == "1"; // cannot be read while the interface is down
        Some(Carrier { up, mbps: text("speed").and_then(|speed| speed.trim().parse().ok()).filter(|_| up) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::{Fake, address};

    #[test]
    fn the_family_is_listed_and_nothing_else() {
        let fake = Fake::new();
        fake.function("0000:02:00.0", 0x1521, Some(4), Some("igb"));
        fake.function("0000:02:00.1", 0x1521, Some(4), Some("vfio-pci"));
        fake.function("0000:01:00.0", 0x1533, None, None);
        fake.function("0000:00:1f.6", 0x15bc, Some(9), Some("e1000e"));
        fake.file("sys/bus/pci/devices/0000:05:00.0/vendor", "garbage")
            .file("sys/bus/pci/devices/x/vendor", "0x8086");
        let net = "sys/bus/pci/devices/0000:02:00.0/net/eth1";
        fake.file(&format!("{net}/carrier"), "1\n").file(&format!("{net}/speed"), "1000\n");
        fake.file("sys/bus/pci/devices/0000:02:00.0/numa_node", "1\n");
        let all = fake.host.list().unwrap();
        assert_eq!(
            all.iter().map(|f| f.address.to_string()).collect::<Vec<_>>(),
            ["0000:01:00.0", "0000:02:00.0", "0000:02:00.1"]
        );
        let [alone, first, second] = &all[..] else { panic!() };
        assert_eq!((alone.driver, alone.group, alone.link, alone.numa_node), (None, None, None, None));
        assert_eq!(alone.device.chip, igb::Chip::I210);
        assert_eq!(first.driver, Some(Name::new("igb")));
        assert_eq!(first.shared_with, [(address("0000:02:00.1"), Some(Name::new("vfio-pci")))]);
        assert_eq!((first.interface, first.numa_node), (Some(Name::new("eth1")), Some(1)));
        assert_eq!(first.link.unwrap().to_string(), "up, 1000 Mb/s");
        assert_eq!((second.interface, second.group), (None, Some(4)));
    }

    #[test]
    fn a_machine_without_pci_says_so() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Host::at(folder.path()).list(), Err(Error::System(..))));
    }

    #[test]
    fn an_interface_that_is_down_has_no_carrier_to_read() {
        let fake = Fake::new();
        fake.function("0000:02:00.0", 0x1521, None, Some("igb"));
        fake.file("sys/bus/pci/devices/0000:02:00.0/net/eth1/speed", "-1\n");
        assert_eq!(fake.host.list().unwrap()[0].link, None);
        fake.file("sys/bus/pci/devices/0000:02:00.0/net/eth1/carrier", "0\n");
        assert_eq!(fake.host.list().unwrap()[0].link, Some(Carrier { up: false, mbps: None }));
    }
}
