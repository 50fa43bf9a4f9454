//! A function's points: who has it, who shares its group, what its slot gives it, and what opening it shows.

use super::{Check, Machine, Opened, machine};
use crate::mend;
use igb_vfio::{Address, Error};
use std::fs;
use std::path::PathBuf;

/// All of them. `wanted`: it is to be ready; otherwise it may be in other hands.
pub(super) fn checks(machine: &Machine, address: Address, wanted: bool) -> Vec<Check> {
    let host = &machine.host;
    if !host.has(address) {
        return vec![Check::fail("function", Error::NoDevice(address).to_string(), "igbctl list")];
    }
    let Some(function) = host.describe(address) else {
        return vec![Check::fail("function", format!("{address} is no igb"), "igbctl list")];
    };
    let bound = function.driver.is_some_and(|driver| driver.as_str() == "vfio-pci");
    let mut all = vec![owner(machine, address, wanted), group(machine, address, wanted || bound)];
    let held = if bound { function.group.and_then(|group| host.holder(group)) } else { None };
    if let Some(group) = function.group.filter(|_| bound) {
        all.push(node(machine, group));
        if let Some(holder) = held {
            all.push(Check::warn(
                "in use",
                format!("process {} ({}) has it open", holder.pid, holder.name),
                format!("kill {}", holder.pid),
            ));
        }
    }
    all.extend(bar(machine, address));
    all.extend(link(machine, address));
    all.extend(sleep_states(machine, address));
    all.extend(node_of_memory(machine, address, function.numa_node));
    if held.is_none() && all.iter().all(|check| check.status < super::Status::Fail) {
        all.extend(device(machine, address, bound));
    }
    all
}

fn folder(address: Address) -> String {
    format!("sys/bus/pci/devices/{address}")
}

fn owner(machine: &Machine, address: Address, wanted: bool) -> Check {
    let about = "driver";
    let host = &machine.host;
    let (said, mend) = match host.driver(address) {
        Some(driver) if driver.as_str() == "vfio-pci" => {
            let back = match host.previous_driver(address) {
                Some(driver) => format!("{driver} gets it back by igbctl unbind {address}"),
                None => format!("igbctl unbind {address} gives it to whom the kernel chooses"),
            };
            return Check::ok(about, format!("vfio-pci; {back}"));
        }
        Some(driver) => match host.use_of(address) {
            Some((interface, reason)) => (
                format!("{driver}; {interface} {reason}, and would be cut off"),
                format!("igbctl bind --force {address}"),
            ),
            None => (driver.to_string(), format!("igbctl bind {address}")),
        },
        None => ("none".into(), format!("igbctl bind {address}")),
    };
    if wanted { Check::fail(about, said, mend) } else { Check::note(about, said).with(mend) }
}

fn group(machine: &Machine, address: Address, wanted: bool) -> Check {
    let about = "IOMMU group";
    let host = &machine.host;
    let Some(group) = host.group(address) else {
        let off = machine::iommu(machine);
        let mend = off.mend.unwrap_or_else(|| "dmesg | grep -i iommu".into());
        return Check::fail(about, "none: DMA would reach all of the machine's memory", mend);
    };
    if host.is_without_iommu(group) {
        let mend = machine::iommu(machine).mend.unwrap_or_else(|| "dmesg | grep -i iommu".into());
        return Check::warn(about, format!("{group}, without an IOMMU: DMA reaches all of memory"), mend);
    }
    let others = host.in_the_way(group);
    let others: Vec<_> = others.iter().filter(|(other, _)| *other != address).collect();
    if others.is_empty() {
        let shared = host.members(group).len().saturating_sub(1);
        let said = match shared {
            0 => format!("{group}, alone in it"),
            _ => format!("{group}, shared with {shared} that nobody drives or that do no harm"),
        };
        return Check::ok(about, said);
    }
    let list: Vec<_> = others.iter().map(|(other, driver)| format!("{other} ({driver})")).collect();
    let said = format!("{group}, which the kernel uses: {}", list.join(", "));
    let mend = mend::bind_all(host, group, &[address]);
    if wanted { Check::fail(about, said, mend) } else { Check::note(about, said).with(mend) }
}

fn node(machine: &Machine, group: u32) -> Check {
    let about = "/dev/vfio node";
    let node = format!("dev/vfio/{group}");
    let path = machine.host.root().join(&node);
    if !path.exists() {
        Check::fail(about, format!("no /{node}"), "modprobe vfio-pci; udevadm trigger")
    } else if !(machine.access)(&path) {
        Check::fail(about, format!("this user may not open /{node}"), format!("sudo chown $USER /{node}"))
    } else {
        Check::ok(about, format!("/{node} may be opened"))
    }
}

/// Whether BAR 0 has an address. The file: first, last and flags of each BAR.
fn bar(machine: &Machine, address: Address) -> Option<Check> {
    let text = machine.text(&format!("{}/resource", folder(address)))?;
    let mut words =
        text.lines().next()?.split_whitespace().map(|word| {
            word.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0)
        });
    let (first, last) = (words.next()?, words.next()?);
    (first == 0 || last < first).then(|| {
        Check::fail(
            "BAR 0",
            "has no address, so there are no registers to map",
            format!("echo 1 > /sys/bus/pci/devices/{address}/remove; echo 1 > /sys/bus/pci/rescan; or boot with pci=realloc"),
        )
    })
}

/// Speed and width of the slot against what the device can.
fn link(machine: &Machine, address: Address) -> Option<Check> {
    let about = "PCIe link";
    let read = |file: &str| machine.text(&format!("{}/{file}", folder(address)));
    // "2.5 GT/s PCIe", "8.0 GT/s", "Unknown".
    let speed = |text: String| text.split_whitespace().next()?.parse::<f64>().ok();
    let width = |text: String| text.parse::<u32>().ok().filter(|width| *width > 0);
    let (now, most) = (speed(read("current_link_speed")?)?, speed(read("max_link_speed")?)?);
    let (lanes, all) = (width(read("current_link_width")?)?, width(read("max_link_width")?)?);
    if now >= most && lanes >= all {
        return Some(Check::ok(about, format!("x{lanes} at {now} GT/s, as the device can")));
    }
    let said = format!("x{lanes} at {now} GT/s; the device can x{all} at {most} GT/s");
    // The bridge above: the folder that holds the function's, where that is a function too.
    let above = fs::canonicalize(machine.host.root().join(folder(address))).ok()?;
    let above: Option<(Address, PathBuf)> =
        above.parent().and_then(|port| Some((port.file_name()?.to_str()?.parse().ok()?, port.to_owned())));
    let port_lanes =
        above.as_ref().and_then(|(_, port)| fs::read_to_string(port.join("max_link_width")).ok());
    let mend = match (above, port_lanes.and_then(|text| width(text.trim().to_owned()))) {
        (Some((port, _)), Some(lanes)) if lanes < all => {
            format!("put it into a slot of x{all}: this one ({port}) has x{lanes}; igbctl doctor {address}")
        }
        (Some((port, _)), _) => {
            format!("setpci -s {port} CAP_EXP+10.w=20:20 (trains again); else put the card in anew")
        }
        (None, _) => format!("lspci -vvs {address} | grep Lnk"),
    };
    Some(Check::warn(about, said, mend))
}

/// Sleep of the link (ASPM): each frame after a pause waits until it wakes.
fn sleep_states(machine: &Machine, address: Address) -> Option<Check> {
    let on = |state: &&str| {
        machine.text(&format!("{}/link/{state}_aspm", folder(address))).is_some_and(|text| text == "1")
    };
    let states: Vec<_> = ["l0s", "l1"].into_iter().filter(on).collect();
    if states.is_empty() {
        return None;
    }
    let commands: Vec<_> = states
        .iter()
        .map(|state| format!("echo 0 > /sys/bus/pci/devices/{address}/link/{state}_aspm"))
        .collect();
    let said = format!("the link sleeps ({}): saves power, costs microseconds", states.join(", "));
    Some(Check::note("ASPM", said).with(commands.join("; ")))
}

/// On a machine with several nodes of memory: which processors are near.
fn node_of_memory(machine: &Machine, address: Address, node: Option<u16>) -> Option<Check> {
    let numbered = |name: &String| name.strip_prefix("node").is_some_and(|n| n.parse::<u32>().is_ok());
    let nodes = machine.names("sys/devices/system/node").iter().filter(|name| numbered(name)).count();
    let node = node.filter(|_| nodes > 1)?;
    let list = format!("/sys/bus/pci/devices/{address}/local_cpulist");
    Some(
        Check::note("NUMA node", format!("{node} of {nodes}"))
            .with(format!("taskset -c $(cat {list}) igbctl ... keeps to processors that are near")),
    )
}

/// What only the device itself can tell.
fn device(machine: &Machine, address: Address, bound: bool) -> Vec<Check> {
    let about = "NVM";
    if !bound {
        return vec![match machine.host.driver(address) {
            // igb_probe (Linux, igb_main.c) gives up on a device whose checksum is wrong.
            Some(driver) if driver.as_str() == "igb" => {
                Check::ok(about, "its checksum was right when igb took the device")
            }
            _ => Check::note(about, "is read when vfio-pci has the device")
                .with(format!("igbctl bind {address}")),
        }];
    }
    match (machine.open)(address) {
        Opened::Well { said, shortage } => {
            let mut all = vec![Check::ok(about, said)];
            all.push(match shortage {
                None => Check::ok("interrupts", "MSI-X"),
                Some(shortage) => Check::warn("interrupts", shortage, "dmesg | tail"),
            });
            all
        }
        Opened::Refused(error) => {
            let said = mend::told(&error, &machine.host);
            vec![Check::fail("NVM, not read", said, mend::command(&error, &machine.host))]
        }
        Opened::Broken(error @ igb::Error::Hal(igb::hal::Error::NvmChecksum { .. })) => vec![Check::fail(
            about,
            error.to_string(),
            "write the board maker's image again (Intel's nvmupdate64e, or eeupdate64e)",
        )],
        Opened::Broken(error) => {
            vec![Check::fail(
                "device",
                error.to_string(),
                format!("igbctl info vfio:{address}; dmesg | grep {address}"),
            )]
        }
    }
}
