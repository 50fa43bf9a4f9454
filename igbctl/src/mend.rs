//! What VFIO's errors say to somebody who has this program: the same reasons, with its own commands as the remedy.

use crate::failure::Failure;
use igb_vfio::{Address, Error, Host};
use std::fmt;

/// An error in this program's words.
pub(crate) struct Told(pub(crate) Error);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&told(&self.0, &Host::new()))
    }
}

/// The same for the machine that it happened on.
pub(crate) fn told(error: &Error, host: &Host) -> String {
    match error {
        Error::NotBound { address, driver } => {
            let who = match driver {
                Some(driver) => format!("{driver} drives {address}, not vfio-pci"),
                None => format!("no driver has {address}, not even vfio-pci"),
            };
            format!("{who}: igbctl bind {address} (or --bind, for one command)")
        }
        Error::InUse { address, interface, reason } => format!(
            "{interface} ({address}) {reason}: to take it would cut that off. If that is meant: igbctl bind --force \
             {address}"
        ),
        Error::NotViable { group, .. } => not_viable(host, *group, &[]),
        error => error.to_string(),
    }
}

/// The command that mends it, for a list of remedies.
pub(crate) fn command(error: &Error, host: &Host) -> String {
    match error {
        Error::BadAddress(_) | Error::NoDevice(_) => "igbctl list".into(),
        Error::NoModule => "modprobe vfio-pci".into(),
        Error::NoType1 => "modprobe vfio_iommu_type1".into(),
        Error::NotBound { address, .. } => format!("igbctl bind {address}"),
        Error::InUse { address, .. } => format!("igbctl bind --force {address}"),
        Error::NotViable { group, .. } => bind_all(host, *group, &[]),
        Error::NoPermission { node } => format!("sudo chown $USER {node}"),
        Error::NotRoot(_) => "run it as root (sudo)".into(),
        Error::Busy { holder: Some(holder), .. } => format!("kill {}", holder.pid),
        Error::Busy { group, .. } => format!("fuser -v /dev/vfio/{group}"),
        Error::Memlock { .. } => MEMLOCK.into(),
        Error::NoMemory(_) => "free -m".into(),
        Error::NoIova(_) => "cat /sys/kernel/iommu_groups/*/reserved_regions; --queues 1 --ring 64".into(),
        Error::UnsafeInterrupts(_) => {
            "boot without intremap=off and nointremap on the kernel's command line".into()
        }
        Error::NotMappable { address, .. } => format!("lspci -vs {address}; boot with pci=realloc"),
        Error::TooManyMappings => {
            "echo 1000000 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit".into()
        }
        _ => "dmesg | tail".into(),
    }
}

/// What raises the limit of locked memory.
pub(crate) const MEMLOCK: &str =
    "ulimit -l unlimited (for good: `* - memlock unlimited` in /etc/security/limits.conf)";

/// Whether the groups of these functions can be handed out once they are bound.
pub(crate) fn check_groups(host: &Host, addresses: &[Address]) -> Result<(), Failure> {
    for group in addresses.iter().filter_map(|address| host.group(*address)) {
        if host.in_the_way(group).iter().any(|(other, _)| !addresses.contains(other)) {
            return Err(Failure::Refused(not_viable(host, group, addresses)));
        }
    }
    Ok(())
}

/// Whether these functions are of the family: others are taken only on purpose.
pub(crate) fn check_family(host: &Host, addresses: &[Address]) -> Result<(), Failure> {
    match addresses.iter().find(|address| host.has(**address) && host.describe(**address).is_none()) {
        Some(address) => {
            let driver = host.driver(*address).map_or("no driver".into(), |driver| driver.to_string());
            Err(Failure::Refused(format!(
                "{address} ({driver}) is no igb. If it is to be taken for the sake of its IOMMU group: \
                 igbctl bind --force {address}"
            )))
        }
        None => Ok(()),
    }
}

fn not_viable(host: &Host, group: u32, wanted: &[Address]) -> String {
    let others = host.in_the_way(group);
    let others: Vec<_> = others
        .iter()
        .filter(|(other, _)| !wanted.contains(other))
        .map(|(address, driver)| format!("{address} ({driver})"))
        .collect();
    let others = if others.is_empty() { "something else in it".into() } else { others.join(", ") };
    format!(
        "IOMMU group {group} is handed out whole or not at all, and the kernel drives {others}: {}, or move the card to \
         another slot",
        bind_all(host, group, wanted)
    )
}

/// `igbctl bind` with everything that is wanted and everything in the way.
pub(crate) fn bind_all(host: &Host, group: u32, wanted: &[Address]) -> String {
    let mut all = wanted.to_vec();
    all.extend(host.in_the_way(group).into_iter().map(|(address, _)| address));
    all.sort_unstable();
    all.dedup();
    let force = if all.iter().any(|address| host.describe(*address).is_none()) { " --force" } else { "" };
    let all: Vec<_> = all.iter().map(Address::to_string).collect();
    format!("igbctl bind{force} {}", all.join(" "))
}
