//! The machine as its files tell it: /sys, /proc, /dev, /run, under a root that tests can choose.

use crate::address::Address;
use crate::error::{Errno, Error, Holder, Name, Others, While};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the machine's files are.
#[derive(Clone)]
pub struct Host {
    pub(crate) root: PathBuf,
    /// Acts on what is written, as the kernel would.
    #[cfg(test)]
    pub(crate) kernel: Option<tests::Kernel>,
}

impl core::fmt::Debug for Host {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Host").field(&self.root).finish()
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// The drivers that a group may have in it without harm: they give nothing to anybody.
const HARMLESS: [&str; 3] = ["vfio-pci", "pci-stub", "pcieport"];

impl Host {
    /// This machine.
    pub fn new() -> Self {
        Self::at("/")
    }

    /// A machine whose `/sys`, `/proc`, `/dev` and `/run` are under `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            #[cfg(test)]
            kernel: None,
        }
    }

    /// The folder that holds the machine's files.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether this is the machine that we run on.
    pub fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn function(&self, address: Address) -> PathBuf {
        self.path("sys/bus/pci/devices").join(address.to_string())
    }

    pub(crate) fn driver_folder(&self, driver: &str) -> PathBuf {
        self.path("sys/bus/pci/drivers").join(driver)
    }

    /// Writes what tells the kernel to do something.
    pub(crate) fn write(&self, path: &Path, text: &str, what: &'static str) -> Result<(), Error> {
        let result = fs::write(path, text);
        #[cfg(test)]
        if let Some(kernel) = &self.kernel {
            kernel(path, text);
        }
        match result {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                let file = path.file_name().unwrap_or_default();
                Err(Error::NotRoot(Name::new(&file.to_string_lossy())))
            }
            other => other.during(what),
        }
    }

    /// Whether there is such a function.
    pub fn has(&self, address: Address) -> bool {
        self.function(address).join("vendor").exists()
    }

    /// Who drives a function.
    pub fn driver(&self, address: Address) -> Option<Name> {
        link_name(&self.function(address).join("driver")).map(|name| Name::new(&name))
    }

    /// The function's IOMMU group.
    pub fn group(&self, address: Address) -> Option<u32> {
        link_name(&self.function(address).join("iommu_group"))?.parse().ok()
    }

    /// Whether a group has no IOMMU behind it, but the kernel's permission to go without.
    pub fn is_without_iommu(&self, group: u32) -> bool {
        let name = self.path("sys/kernel/iommu_groups").join(group.to_string()).join("name");
        fs::read_to_string(name).is_ok_and(|name| name.trim() == "vfio-noiommu")
    }

    /// The functions of a group.
    pub fn members(&self, group: u32) -> Vec<Address> {
        let folder = self.path("sys/kernel/iommu_groups").join(group.to_string()).join("devices");
        names(&folder).iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// The functions of a group that keep it from being handed out, each with the driver that has it.
    pub fn in_the_way(&self, group: u32) -> Vec<(Address, Name)> {
        let blocks = |address: Address| {
            let driver = self.driver(address)?;
            (!HARMLESS.contains(&driver.as_str()) && !driver.as_str().starts_with("vfio"))
                .then_some((address, driver))
        };
        self.members(group).into_iter().filter_map(blocks).collect()
    }

    /// The same, as [`Error::NotViable`] has it.
    pub fn blockers(&self, group: u32) -> Others {
        self.in_the_way(group).into_iter().collect()
    }

    /// The network interfaces of a function, as this network namespace sees them.
    pub fn interfaces(&self, address: Address) -> Vec<Name> {
        names(&self.function(address).join("net")).iter().map(|name| Name::new(name)).collect()
    }

    /// Who has the group's file open, as far as we may look.
    pub fn holder(&self, group: u32) -> Option<Holder> {
        let file = PathBuf::from("/dev/vfio").join(group.to_string());
        let opened = |pid: &String| {
            let fds = self.path("proc").join(pid).join("fd");
            names(&fds).iter().any(|fd| fs::read_link(fds.join(fd)).is_ok_and(|target| target == file))
        };
        let pid =
            names(&self.path("proc")).into_iter().filter(|name| name.parse::<u32>().is_ok()).find(opened)?;
        let comm = fs::read_to_string(self.path("proc").join(&pid).join("comm")).unwrap_or_default();
        Some(Holder { pid: pid.parse().ok()?, name: Name::new(comm.trim()) })
    }

    /// What a function needs to be opened, each step checked in the order in which one would mend it. Gives its group.
    ///
    /// # Errors
    /// [`Error::NoDevice`], [`Error::NoModule`], [`Error::NoIommu`], [`Error::NotBound`], [`Error::NotViable`].
    pub fn check(&self, address: Address) -> Result<u32, Error> {
        if !self.has(address) {
            return Err(Error::NoDevice(address));
        }
        if !self.driver_folder("vfio-pci").exists() {
            return Err(Error::NoModule);
        }
        let driver = self.driver(address).filter(|driver| driver.as_str() != "vfio-pci");
        let Some(group) = self.group(address) else { return Err(Error::NoIommu(address)) };
        if driver.is_some() || self.driver(address).is_none() {
            return Err(Error::NotBound { address, driver });
        }
        match self.blockers(group) {
            others if others.count() > 0 => Err(Error::NotViable { group, others }),
            _ => Ok(group),
        }
    }

    /// A number that a file of a function holds, decimal or with 0x.
    pub(crate) fn number(&self, address: Address, file: &str) -> Option<i64> {
        let text = fs::read_to_string(self.function(address).join(file)).ok()?;
        match text.trim().strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok(),
            None => text.trim().parse().ok(),
        }
    }

    /// All PCI functions.
    pub(crate) fn functions(&self) -> Result<Vec<Address>, Error> {
        let folder = self.path("sys/bus/pci/devices");
        match fs::read_dir(&folder) {
            Err(error) => Err(Error::System(
                "listing /sys/bus/pci/devices (is sysfs mounted?)",
                Errno(error.raw_os_error().unwrap_or(0)),
            )),
            Ok(_) => Ok(names(&folder).iter().filter_map(|name| name.parse().ok()).collect()),
        }
    }
}

/// The last part of where a link points.
fn link_name(link: &Path) -> Option<String> {
    Some(fs::read_link(link).ok()?.file_name()?.to_str()?.to_owned())
}

/// What is in a folder, in order. Nothing, where there is none.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    pub(crate) type Kernel = std::sync::Arc<dyn Fn(&Path, &str) + Send + Sync>;

    /// A machine in a folder, with functions where the test puts them.
    pub(crate) struct Fake {
        _folder: tempfile::TempDir,
        pub(crate) host: Host,
    }

    pub(crate) fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    impl Fake {
        pub(crate) fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let host = Host::at(folder.path());
            let fake = Self { _folder: folder, host };
            for made in [
                "sys/bus/pci/devices",
                "sys/bus/pci/drivers",
                "sys/kernel/iommu_groups",
                "proc/net",
                "dev/vfio",
                "run",
            ] {
                fs::create_dir_all(fake.host.path(made)).unwrap();
            }
            fake
        }

        pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
            let path = self.host.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        pub(crate) fn driver(&self, name: &str) -> &Self {
            self.file(&format!("sys/bus/pci/drivers/{name}/bind"), "")
                .file(&format!("sys/bus/pci/drivers/{name}/unbind"), "")
        }

        /// A function of device `id`, in a group, with a driver.
        pub(crate) fn function(&self, at: &str, id: u16, group: Option<u32>, driver: Option<&str>) -> &Self {
            let folder = format!("sys/bus/pci/devices/{at}");
            self.file(&format!("{folder}/vendor"), "0x8086\n")
                .file(&format!("{folder}/device"), &format!("{id:#06x}\n"));
            self.file(&format!("{folder}/class"), "0x020000\n").file(&format!("{folder}/numa_node"), "-1\n");
            let folder = self.host.path(&folder);
            if let Some(group) = group {
                let devices =
                    self.host.path("sys/kernel/iommu_groups").join(group.to_string()).join("devices");
                fs::create_dir_all(&devices).unwrap();
                symlink(&folder, devices.join(at)).unwrap();
                symlink(devices.parent().unwrap(), folder.join("iommu_group")).unwrap();
            }
            if let Some(driver) = driver {
                self.driver(driver);
                symlink(self.host.driver_folder(driver), folder.join("driver")).unwrap();
            }
            self
        }
    }

    #[test]
    fn steps_fail_in_the_order_in_which_one_mends_them() {
        let fake = Fake::new();
        let (host, nic) = (&fake.host, address("0000:01:00.0"));
        assert_eq!(host.check(nic), Err(Error::NoDevice(nic)));
        fake.function("0000:01:00.0", 0x1533, None, Some("igb"));
        assert_eq!(host.check(nic), Err(Error::NoModule));
        fake.driver("vfio-pci");
        assert_eq!(host.check(nic), Err(Error::NoIommu(nic)));
        let fake = Fake::new();
        let host = &fake.host;
        fake.driver("vfio-pci").function("0000:01:00.0", 0x1533, Some(4), Some("igb"));
        assert_eq!(host.check(nic), Err(Error::NotBound { address: nic, driver: Some(Name::new("igb")) }));
        fake.function("0000:02:00.0", 0x1533, Some(5), None);
        let second = address("0000:02:00.0");
        assert_eq!(host.check(second), Err(Error::NotBound { address: second, driver: None }));
        fake.function("0000:03:00.0", 0x1533, Some(6), Some("vfio-pci"));
        assert_eq!(host.check(address("0000:03:00.0")), Ok(6));
    }

    #[test]
    fn a_group_is_held_up_by_who_is_driven_by_the_kernel() {
        let fake = Fake::new();
        fake.function("0000:03:00.0", 0x1521, Some(6), Some("vfio-pci"));
        fake.function("0000:03:00.1", 0x1521, Some(6), Some("igb"));
        fake.function("0000:03:00.2", 0x1521, Some(6), None);
        fake.function("0000:00:1c.0", 0xa110, Some(6), Some("pcieport"));
        let others = fake.host.blockers(6);
        assert_eq!(others.named().collect::<Vec<_>>(), [(address("0000:03:00.1"), Name::new("igb"))]);
        assert_eq!(fake.host.check(address("0000:03:00.0")), Err(Error::NotViable { group: 6, others }));
    }

    #[test]
    fn the_process_that_has_a_group_is_named() {
        let fake = Fake::new();
        fake.file("proc/77/comm", "igbctl\n").file("proc/self/comm", "x");
        fs::create_dir_all(fake.host.path("proc/77/fd")).unwrap();
        symlink("/dev/vfio/4", fake.host.path("proc/77/fd/5")).unwrap();
        assert_eq!(fake.host.holder(4), Some(Holder { pid: 77, name: Name::new("igbctl") }));
        assert_eq!(fake.host.holder(5), None);
    }

    #[test]
    fn a_group_without_iommu_is_known_by_its_name() {
        let fake = Fake::new();
        fake.file("sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
        assert!(fake.host.is_without_iommu(0));
        assert!(!fake.host.is_without_iommu(1));
    }
}
