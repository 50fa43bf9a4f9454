//! What can go wrong, each with the command that mends it.

use crate::address::Address;
use core::fmt;

/// Why a device could not be opened, bound or given memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// That is no PCI address.
    #[error("`{0}` is no PCI address: one looks like 0000:01:00.0")]
    BadAddress(Name),
    /// No such function.
    #[error("there is no PCI function {0}: `ls /sys/bus/pci/devices` shows those that are")]
    NoDevice(Address),
    /// The kernel's VFIO is not loaded.
    #[error("VFIO is not there: modprobe vfio-pci")]
    NoModule,
    /// VFIO is there, its part for IOMMUs is not.
    #[error("VFIO's part for IOMMUs is not loaded: modprobe vfio_iommu_type1")]
    NoType1,
    /// The function is in no IOMMU group.
    #[error(
        "{0} is in no IOMMU group: switch the IOMMU on (firmware: VT-d or AMD-Vi; kernel command line: intel_iommu=on, or \
         on AMD no amd_iommu=off) and boot again"
    )]
    NoIommu(Address),
    /// The IOMMU guards memory, but not interrupts.
    #[error(
        "the IOMMU of {0} does not remap interrupts, so the device could forge them, and VFIO refuses: boot without \
         intremap=off and nointremap, with interrupt remapping (x2APIC) on in the firmware; to go without: \
         echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
    )]
    UnsafeInterrupts(Address),
    /// The group has no IOMMU behind it, and that was not asked for.
    #[error(
        "{0} is in a group without an IOMMU: its DMA would reach all of this machine's memory. Switch the IOMMU on \
         (intel_iommu=on, or on AMD no amd_iommu=off); to go without, say so: Options::without_iommu"
    )]
    WithoutIommu(Address),
    /// Another driver, or none, has the function.
    #[error("{address} is not for us: {}. Bind it to vfio-pci: echo vfio-pci > /sys/bus/pci/devices/{address}/driver_override{}; echo {address} > /sys/bus/pci/drivers_probe", Has(*.driver), Unbind(*.driver, *.address))]
    NotBound {
        /// The function.
        address: Address,
        /// Who has it.
        driver: Option<Name>,
    },
    /// Other functions of the group are in the hands of the kernel.
    #[error(
        "IOMMU group {group} cannot be handed out, because the kernel drives {others}: unbind it too (echo ADDRESS > /sys/bus/pci/devices/ADDRESS/driver/unbind), or move the card to another slot"
    )]
    NotViable {
        /// The group.
        group: u32,
        /// Who else is in it.
        others: Others,
    },
    /// The file system says no.
    #[error(
        "no permission on {node}: chown it to this user (udev: SUBSYSTEM==\"vfio\", OWNER=\"USER\"), or run as root"
    )]
    NoPermission {
        /// The file.
        node: Name,
    },
    /// The kernel takes such orders from root only.
    #[error("no permission to write {0}: that takes root (sudo)")]
    NotRoot(Name),
    /// Somebody else has the group open.
    #[error("/dev/vfio/{group} is in use{}", By(*.holder))]
    Busy {
        /// The group.
        group: u32,
        /// Who has it, where that can be seen.
        holder: Option<Holder>,
    },
    /// This process has it open.
    #[error("{0} is open in this process already")]
    AlreadyOpen(Address),
    /// The limit of locked memory is too low.
    #[error(
        "{need} bytes of memory for the device are over the limit of locked memory, {limit} bytes: ulimit -l unlimited, \
         or `* - memlock unlimited` in /etc/security/limits.conf, or LimitMEMLOCK=infinity in the unit"
    )]
    Memlock {
        /// Bytes that this container would have in all.
        need: u64,
        /// `RLIMIT_MEMLOCK`.
        limit: u64,
    },
    /// The IOMMU has no addresses left that the device can use.
    #[error(
        "the IOMMU has no free range of {0} bytes below the device's address limit: use fewer queues and shorter rings; \
         cat /sys/kernel/iommu_groups/*/reserved_regions shows the holes"
    )]
    NoIova(u64),
    /// The kernel takes no further mapping.
    #[error(
        "the IOMMU takes no further mapping: use fewer, larger pools, or \
         echo 1000000 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
    )]
    TooManyMappings,
    /// Memory without an IOMMU has to lie in one piece.
    #[error(
        "without an IOMMU, {0} bytes have to lie in one piece: echo 64 > /proc/sys/vm/nr_hugepages (as root, right after boot)"
    )]
    NotContiguous(u64),
    /// The machine has no memory left.
    #[error("the machine has no {0} bytes of memory left (free -m): use fewer queues and shorter rings")]
    NoMemory(u64),
    /// BAR 0 cannot be mapped.
    #[error(
        "BAR 0 of {address} cannot be mapped ({bytes:#x} bytes): lspci -vs {address} shows it; one without an address gets \
         one if the kernel boots with pci=realloc"
    )]
    NotMappable {
        /// The function.
        address: Address,
        /// Size of the BAR as VFIO tells it.
        bytes: u64,
    },
    /// The interface is in use by the host.
    #[error("{interface} ({address}) {reason}: unbinding it would cut that off. Force it if that is meant")]
    InUse {
        /// The function.
        address: Address,
        /// The interface.
        interface: Name,
        /// How.
        reason: Reason,
    },
    /// The kernel did not give the function to the driver.
    #[error("{driver} did not take {address}: dmesg | grep {address} says why")]
    BindRefused {
        /// The function.
        address: Address,
        /// The driver.
        driver: Name,
    },
    /// The system refused something else.
    #[error("{0}: {1}")]
    System(&'static str, Errno),
}

/// How the host uses an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The way out of this machine.
    #[error("carries the default route")]
    DefaultRoute,
    /// It has an address or a route.
    #[error("has an address or a route")]
    Address,
    /// It is part of a bridge, a bond or a team.
    #[error("is part of a bridge or bond")]
    Enslaved,
}

/// A system's error number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&std::io::Error::from_raw_os_error(self.0), f)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A short name as a value: of a driver, an interface, a file, a process. A longer one is cut.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    text: [u8; 31],
    len: u8,
}

impl Name {
    /// The beginning of `text`; control characters become spaces.
    pub fn new(text: &str) -> Self {
        let mut name = Self { text: [0; 31], len: 0 };
        for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
            let (at, end) = (usize::from(name.len), usize::from(name.len) + c.len_utf8());
            let Some(room) = name.text.get_mut(at..end) else { break };
            c.encode_utf8(room);
            name.len = end as u8;
        }
        name
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.text.get(..self.len.into()).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A process that has something open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: Name,
}

/// The functions of a group that are in the way, at most two of them by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Others {
    named: [Option<(Address, Name)>; 2],
    more: u32,
}

impl Others {
    /// The named ones.
    pub fn named(&self) -> impl Iterator<Item = (Address, Name)> + '_ {
        self.named.iter().flatten().copied()
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.named().count() as u32 + self.more
    }
}

impl FromIterator<(Address, Name)> for Others {
    fn from_iter<I: IntoIterator<Item = (Address, Name)>>(all: I) -> Self {
        let mut others = Self::default();
        for other in all {
            match others.named.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) => *slot = Some(other),
                None => others.more = others.more.saturating_add(1),
            }
        }
        others
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count() == 0 {
            return f.write_str("something else in it");
        }
        for (n, (address, driver)) in self.named().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{address} ({driver})")?;
        }
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

struct Has(Option<Name>);
impl fmt::Display for Has {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(driver) => write!(f, "{driver} drives it"),
            None => f.write_str("no driver has it"),
        }
    }
}

struct Unbind(Option<Name>, Address);
impl fmt::Display for Unbind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(driver, address) = self;
        match driver {
            Some(_) => write!(f, "; echo {address} > /sys/bus/pci/devices/{address}/driver/unbind"),
            None => Ok(()),
        }
    }
}

struct By(Option<Holder>);
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Holder { pid, name }) => write!(f, " by process {pid} ({name}): end it first"),
            None => f.write_str(": fuser -v on that file says by whom"),
        }
    }
}

/// Says what was being done when the system refused.
pub(crate) trait While<T> {
    fn during(self, what: &'static str) -> Result<T, Error>;
}

impl<T> While<T> for rustix::io::Result<T> {
    fn during(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::System(what, Errno(error.raw_os_error())))
    }
}

impl<T> While<T> for std::io::Result<T> {
    fn during(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::System(what, Errno(error.raw_os_error().unwrap_or(0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_a_character() {
        assert_eq!(Name::new(&"ä".repeat(200)).as_str(), "ä".repeat(15));
        assert_eq!(Name::new("a\tb\n").to_string(), "a b ");
    }

    #[test]
    fn each_message_says_what_to_do() {
        let address: Address = "0000:01:00.0".parse().unwrap();
        let igb = Some(Name::new("igb"));
        let said = Error::NotBound { address, driver: igb }.to_string();
        assert_eq!(
            said,
            "0000:01:00.0 is not for us: igb drives it. Bind it to vfio-pci: echo vfio-pci > \
             /sys/bus/pci/devices/0000:01:00.0/driver_override; echo 0000:01:00.0 > \
             /sys/bus/pci/devices/0000:01:00.0/driver/unbind; echo 0000:01:00.0 > /sys/bus/pci/drivers_probe"
        );
        assert!(!Error::NotBound { address, driver: None }.to_string().contains("unbind"));
        let others =
            (0..6).map(|function| (Address { function, ..address }, Name::new("snd"))).collect::<Others>();
        assert_eq!(others.count(), 6);
        let said = Error::NotViable { group: 7, others }.to_string();
        assert!(said.contains("group 7") && said.contains("0000:01:00.1 (snd) and 4 more"), "{said}");
        let said =
            Error::Busy { group: 7, holder: Some(Holder { pid: 12, name: Name::new("igbctl") }) }.to_string();
        assert_eq!(said, "/dev/vfio/7 is in use by process 12 (igbctl): end it first");
        let said = Error::Memlock { need: 1 << 20, limit: 65536 }.to_string();
        assert!(said.contains("ulimit -l unlimited"), "{said}");
        for (error, command) in [
            (Error::NoDevice(address), "ls /sys/bus/pci/devices"),
            (Error::NoModule, "modprobe vfio-pci"),
            (Error::NoType1, "modprobe vfio_iommu_type1"),
            (Error::NoIommu(address), "intel_iommu=on"),
            (Error::UnsafeInterrupts(address), "without intremap=off"),
            (Error::WithoutIommu(address), "intel_iommu=on"),
            (Error::NotBound { address, driver: igb }, "driver_override"),
            (Error::NotViable { group: 7, others }, "driver/unbind"),
            (Error::NoPermission { node: Name::new("/dev/vfio/7") }, "OWNER="),
            (Error::NotRoot(Name::new("unbind")), "sudo"),
            (Error::Busy { group: 7, holder: None }, "fuser -v"),
            (Error::NoIova(4096), "fewer queues"),
            (Error::TooManyMappings, "dma_entry_limit"),
            (Error::NotContiguous(4096), "nr_hugepages"),
            (Error::NoMemory(4096), "free -m"),
            (Error::NotMappable { address, bytes: 0 }, "pci=realloc"),
            (Error::BindRefused { address, driver: Name::new("vfio-pci") }, "dmesg | grep 0000:01:00.0"),
        ] {
            assert!(error.to_string().contains(command), "{error}");
        }
        assert_eq!(
            Error::System("opening", Errno(2)).to_string(),
            "opening: No such file or directory (os error 2)"
        );
    }
}
