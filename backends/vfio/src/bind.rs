//! Giving a function to vfio-pci, and back to the driver that had it.
//!
//! Who had it is remembered in `/run/igb-vfio`, so that another process, or the next one after a crash, can give it back.

use crate::address::Address;
use crate::error::{Errno, Error, Name, Reason, While};
use crate::host::Host;
use std::fs;
use std::path::PathBuf;

const VFIO: &str = "vfio-pci";
/// In the file of a function that no driver had.
const NOBODY: &str = "-";

/// What a change of driver did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change {
    /// Who had the function before.
    pub from: Option<Name>,
    /// Who has it now.
    pub to: Option<Name>,
}

impl Host {
    /// Whether [`bind`](Self::bind) would begin: what can be told without changing anything.
    ///
    /// # Errors
    /// [`Error::NoDevice`], [`Error::NoModule`], [`Error::InUse`].
    pub fn check_bind(&self, address: Address, force: bool) -> Result<(), Error> {
        if !self.has(address) {
            return Err(Error::NoDevice(address));
        }
        if self.driver(address) == Some(Name::new(VFIO)) {
            return Ok(());
        }
        if !self.driver_folder(VFIO).exists() {
            return Err(Error::NoModule);
        }
        match self.use_of(address) {
            Some((interface, reason)) if !force => Err(Error::InUse { address, interface, reason }),
            _ => Ok(()),
        }
    }

    /// Gives a function to vfio-pci. The driver that has it is remembered. One that vfio-pci has already stays there.
    ///
    /// An interface that the host uses is left alone unless `force` is set.
    ///
    /// # Errors
    /// [`Error::NoDevice`], [`Error::NoModule`], [`Error::InUse`], [`Error::NotRoot`]; [`Error::BindRefused`] if
    /// vfio-pci does not take it, or [`Error::NoIommu`] if that is why: the earlier driver has it again then.
    pub fn bind(&self, address: Address, force: bool) -> Result<Change, Error> {
        self.check_bind(address, force)?;
        let from = self.driver(address);
        let to = Some(Name::new(VFIO));
        if from == to {
            return Ok(Change { from, to });
        }
        self.remember(address, from)?;
        match self.hand_over(address, VFIO) {
            Ok(()) if self.driver(address) == to => Ok(Change { from, to }),
            failed => {
                // What can be restored is; the first error is the one to tell.
                let _ = self.give_back(address);
                failed.and(Err(match self.group(address) {
                    Some(_) => Error::BindRefused { address, driver: Name::new(VFIO) },
                    None => Error::NoIommu(address),
                }))
            }
        }
    }

    /// Gives a function back to the driver that had it before [`bind`](Self::bind), or, where that is not known, to
    /// whichever driver the kernel finds. One that another driver has is left alone; so is one that nobody has, unless a
    /// bind was cut short half-way.
    ///
    /// # Errors
    /// [`Error::NoDevice`]; [`Error::Busy`] while a process has its group open, because the kernel would wait for that
    /// process; [`Error::NotRoot`]; [`Error::BindRefused`].
    pub fn unbind(&self, address: Address) -> Result<Change, Error> {
        if !self.has(address) {
            return Err(Error::NoDevice(address));
        }
        let from = self.driver(address);
        let half_way = from.is_none() && self.memory(address).exists();
        if from != Some(Name::new(VFIO)) && !half_way {
            return Ok(Change { from, to: from });
        }
        if let Some(group) = self.group(address)
            && let Some(holder) = self.holder(group)
        {
            return Err(Error::Busy { group, holder: Some(holder) });
        }
        self.give_back(address)?;
        Ok(Change { from, to: self.driver(address) })
    }

    /// Who had a function before it was bound.
    pub fn previous_driver(&self, address: Address) -> Option<Name> {
        let text = fs::read_to_string(self.memory(address)).ok()?;
        Some(text.trim()).filter(|name| !name.is_empty() && *name != NOBODY).map(Name::new)
    }

    /// How the host uses a function's interface, if it does.
    pub fn use_of(&self, address: Address) -> Option<(Name, Reason)> {
        let reason = |interface: Name| {
            let routes = self.routes();
            let mine = || routes.iter().filter(move |(name, _)| *name == interface);
            let folder = self.function(address).join("net").join(interface.as_str());
            if mine().any(|(_, is_default)| *is_default) {
                Some(Reason::DefaultRoute)
            } else if folder.join("master").symlink_metadata().is_ok() {
                Some(Reason::Enslaved)
            } else if mine().next().is_some() || self.has_address(interface) {
                Some(Reason::Address)
            } else {
                None
            }
        };
        self.interfaces(address).into_iter().find_map(|interface| Some((interface, reason(interface)?)))
    }

    /// Every route's interface, and whether it is a default route. IPv6 routes to link-local and multicast addresses,
    /// which each interface has, are none.
    fn routes(&self) -> Vec<(Name, bool)> {
        let text = |file| fs::read_to_string(self.path("proc/net").join(file)).unwrap_or_default();
        let four = text("route");
        let four = four.lines().skip(1).filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, destination) = (words.next()?, words.next()?);
            let mask = words.nth(5)?;
            Some((Name::new(name), destination == "00000000" && mask == "00000000"))
        });
        let six = text("ipv6_route");
        let six = six.lines().filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let (destination, len, name) = (*words.first()?, *words.get(1)?, *words.get(9)?);
            let everywhere = destination.bytes().all(|digit| digit == b'0') && len == "00";
            let own = destination.starts_with("fe80") || destination.starts_with("ff");
            (!own && name != "lo").then(|| (Name::new(name), everywhere))
        });
        four.chain(six).collect()
    }

    fn has_address(&self, interface: Name) -> bool {
        const LINK_LOCAL: &str = "20";
        let six = fs::read_to_string(self.path("proc/net/if_inet6")).unwrap_or_default();
        six.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.get(5) == Some(&interface.as_str()) && words.get(3) != Some(&LINK_LOCAL)
        }) || (self.is_real() && crate::ioctl::has_ipv4_address(interface))
    }

    fn memory(&self, address: Address) -> PathBuf {
        self.path("run/igb-vfio").join(address.to_string())
    }

    fn remember(&self, address: Address, driver: Option<Name>) -> Result<(), Error> {
        let path = self.memory(address);
        let driver = driver.as_ref().map_or(NOBODY, Name::as_str);
        fs::create_dir_all(self.path("run/igb-vfio"))
            .and_then(|()| fs::write(path, format!("{driver}\n")))
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::PermissionDenied => Error::NotRoot(Name::new("/run/igb-vfio")),
                _ => Error::System(
                    "remembering the driver in /run/igb-vfio",
                    Errno(error.raw_os_error().unwrap_or(0)),
                ),
            })
    }

    /// Takes a function from whoever has it and lets the kernel give it to `driver`, or to the one that fits if that is
    /// empty.
    fn hand_over(&self, address: Address, driver: &str) -> Result<(), Error> {
        let folder = self.function(address);
        self.write(&folder.join("driver_override"), &format!("{driver}\n"), "writing driver_override")?;
        if self.driver(address).is_some() {
            self.write(&folder.join("driver/unbind"), &address.to_string(), "unbinding the driver")?;
        }
        self.write(&self.path("sys/bus/pci/drivers_probe"), &address.to_string(), "probing drivers")
    }

    fn give_back(&self, address: Address) -> Result<(), Error> {
        let (known, previous) = (self.memory(address).exists(), self.previous_driver(address));
        let folder = self.function(address);
        if known && previous.is_none() {
            // Nobody had it.
            self.write(&folder.join("driver_override"), "\n", "clearing driver_override")?;
            if self.driver(address).is_some() {
                self.write(&folder.join("driver/unbind"), &address.to_string(), "unbinding vfio-pci")?;
            }
        } else {
            self.hand_over(address, "")?;
            if let Some(driver) = previous.filter(|driver| self.driver(address) != Some(*driver)) {
                // Not the one that the kernel prefers, or its module has gone: ask for it by name.
                if self.driver(address).is_some() {
                    self.write(&folder.join("driver/unbind"), &address.to_string(), "unbinding the driver")?;
                }
                let bind = self.driver_folder(driver.as_str()).join("bind");
                let asked = self.write(&bind, &address.to_string(), "binding the driver");
                if self.driver(address) != Some(driver) {
                    return asked.and(Err(Error::BindRefused { address, driver }));
                }
            }
        }
        match fs::remove_file(self.memory(address)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).during("forgetting the driver")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::{Fake, address};
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::Arc;

    const NIC: &str = "0000:01:00.0";

    /// Acts on what is written as a kernel does. `fits` is the driver that it finds without an override; `refuses` does not
    /// take any function.
    fn kernel(fake: &Fake, fits: Option<&'static str>, refuses: Option<&'static str>) -> Host {
        let plain = fake.host.clone();
        let act = move |path: &Path, text: &str| {
            let link = plain.function(address(NIC)).join("driver");
            let attach = |driver: &str| {
                if !driver.is_empty() && Some(driver) != refuses && plain.driver_folder(driver).exists() {
                    let _ = symlink(plain.driver_folder(driver), &link);
                }
            };
            let text = text.trim();
            let parent = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            match path.file_name().unwrap().to_str().unwrap() {
                "unbind" => fs::remove_file(&link).unwrap(),
                "drivers_probe" => {
                    assert_eq!(text, NIC);
                    let chosen =
                        fs::read_to_string(plain.function(address(NIC)).join("driver_override")).unwrap();
                    match chosen.trim() {
                        "" => fits.into_iter().for_each(attach),
                        chosen => attach(chosen),
                    }
                }
                "bind" => attach(parent),
                "driver_override" => {}
                other => panic!("{other}"),
            }
        };
        Host { kernel: Some(Arc::new(act)), ..fake.host.clone() }
    }

    fn with(driver: Option<&str>) -> Fake {
        let fake = Fake::new();
        fake.driver("vfio-pci").function(NIC, 0x1533, Some(4), driver);
        fake
    }

    #[test]
    fn bound_and_given_back() {
        let fake = with(Some("igb"));
        let host = kernel(&fake, Some("igb"), None);
        let (igb, vfio) = (Some(Name::new("igb")), Some(Name::new("vfio-pci")));
        assert_eq!(host.bind(address(NIC), false), Ok(Change { from: igb, to: vfio }));
        assert_eq!(host.previous_driver(address(NIC)), igb);
        assert_eq!(host.bind(address(NIC), false), Ok(Change { from: vfio, to: vfio }));
        assert_eq!(host.previous_driver(address(NIC)), igb, "still known");
        assert_eq!(host.unbind(address(NIC)), Ok(Change { from: vfio, to: igb }));
        assert_eq!(host.previous_driver(address(NIC)), None);
        assert_eq!(host.unbind(address(NIC)), Ok(Change { from: igb, to: igb }));
    }

    #[test]
    fn a_driver_that_the_kernel_would_not_choose_is_asked_by_name() {
        let fake = with(Some("igb_old"));
        fake.driver("igb");
        let host = kernel(&fake, Some("igb"), None);
        host.bind(address(NIC), false).unwrap();
        assert_eq!(host.unbind(address(NIC)).unwrap().to, Some(Name::new("igb_old")));
    }

    #[test]
    fn what_nobody_had_goes_to_nobody() {
        let fake = with(None);
        fake.driver("igb");
        let host = kernel(&fake, Some("igb"), None);
        host.bind(address(NIC), false).unwrap();
        assert_eq!(host.unbind(address(NIC)).unwrap().to, None);
        // Not known, because somebody else bound it: the kernel chooses.
        let fake = with(Some("vfio-pci"));
        fake.driver("igb");
        let host = kernel(&fake, Some("igb"), None);
        assert_eq!(host.unbind(address(NIC)).unwrap().to, Some(Name::new("igb")));
    }

    #[test]
    fn a_refusal_restores_the_driver() {
        let fake = with(Some("igb"));
        let host = kernel(&fake, Some("igb"), Some("vfio-pci"));
        let refused = Error::BindRefused { address: address(NIC), driver: Name::new("vfio-pci") };
        assert_eq!(host.bind(address(NIC), false), Err(refused));
        assert_eq!(host.driver(address(NIC)), Some(Name::new("igb")));
        assert_eq!(host.previous_driver(address(NIC)), None);
        // vfio-pci takes nothing that is in no group.
        let fake = Fake::new();
        fake.driver("vfio-pci").function(NIC, 0x1533, None, Some("igb"));
        let host = kernel(&fake, Some("igb"), Some("vfio-pci"));
        assert_eq!(host.bind(address(NIC), false), Err(Error::NoIommu(address(NIC))));
        assert_eq!(host.driver(address(NIC)), Some(Name::new("igb")));
    }

    #[test]
    fn a_bind_that_was_cut_short_is_undone() {
        let fake = with(None);
        fake.driver("igb").file(&format!("run/igb-vfio/{NIC}"), "igb\n");
        let host = kernel(&fake, Some("igb"), None);
        let igb = Some(Name::new("igb"));
        assert_eq!(host.unbind(address(NIC)), Ok(Change { from: None, to: igb }));
        assert_eq!(host.previous_driver(address(NIC)), None);
    }

    #[test]
    fn a_group_that_is_open_is_not_unbound() {
        let fake = with(Some("vfio-pci"));
        fake.file("proc/9/comm", "igbctl\n").file("proc/9/fd/x", "");
        symlink("/dev/vfio/4", fake.host.path("proc/9/fd/3")).unwrap();
        assert!(matches!(fake.host.unbind(address(NIC)), Err(Error::Busy { group: 4, holder: Some(_) })));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let fake = Fake::new();
        assert_eq!(fake.host.bind(address(NIC), true), Err(Error::NoDevice(address(NIC))));
        assert_eq!(fake.host.unbind(address(NIC)), Err(Error::NoDevice(address(NIC))));
        fake.function(NIC, 0x1533, None, Some("igb"));
        assert_eq!(fake.host.bind(address(NIC), true), Err(Error::NoModule));
    }

    #[test]
    fn an_interface_in_use_is_left_alone_unless_forced() {
        let eth = |reason| Err(Error::InUse { address: address(NIC), interface: Name::new("eth0"), reason });
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let other = "eth1\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        let six = |destination: &str, len, name| {
            format!(
                "{destination} {len} {z} 00 {z} 00000400 00000001 00000000 00000001     {name}\n",
                z = "0".repeat(32)
            )
        };
        let local = six(&format!("fe80{}", "0".repeat(28)), "40", "eth0")
            + &six(&format!("ff{}", "0".repeat(30)), "08", "eth0");
        let inet6 = "fe80000000000000505400fffe123456 02 40 20 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n";
        let cases: [(&str, String, Option<Reason>); 7] = [
            ("proc/net/route", format!("{head}{other}"), None),
            (
                "proc/net/route",
                format!("{head}{}", other.replace("eth1", "eth0")),
                Some(Reason::DefaultRoute),
            ),
            (
                "proc/net/route",
                format!("{head}eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"),
                Some(Reason::Address),
            ),
            ("proc/net/ipv6_route", local.clone() + &six(&"0".repeat(32), "00", "lo"), None),
            ("proc/net/ipv6_route", six(&"0".repeat(32), "00", "eth0"), Some(Reason::DefaultRoute)),
            ("proc/net/if_inet6", inet6.to_owned(), None),
            ("proc/net/if_inet6", inet6.replace("40 20", "40 00"), Some(Reason::Address)),
        ];
        for (file, text, reason) in cases {
            let fake = with(Some("igb"));
            fake.file(&format!("sys/bus/pci/devices/{NIC}/net/eth0/carrier"), "1\n").file(file, &text);
            let host = kernel(&fake, Some("igb"), None);
            match reason {
                Some(reason) => assert_eq!(host.bind(address(NIC), false), eth(reason), "{text}"),
                None => assert!(host.bind(address(NIC), false).is_ok(), "{text}"),
            }
            host.bind(address(NIC), true).unwrap();
        }
        let fake = with(Some("igb"));
        fake.file(&format!("sys/bus/pci/devices/{NIC}/net/eth0/master"), "");
        assert_eq!(fake.host.bind(address(NIC), false), eth(Reason::Enslaved));
        fake.file("proc/net/route", "Iface\n\x00\neth0\n").file("proc/net/ipv6_route", "x y z\n");
        assert_eq!(
            fake.host.use_of(address(NIC)),
            Some((Name::new("eth0"), Reason::Enslaved)),
            "garbage is no route"
        );
    }
}
