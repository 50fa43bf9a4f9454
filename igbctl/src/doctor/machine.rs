//! The machine's points: what any device of it needs.

use super::{Check, Machine, kernel};
use crate::machine::memory;
use crate::mend::MEMLOCK;
use igb::Chip;
use igb_vfio::Container;

/// All of them, in the order in which one would mend them.
pub(super) fn checks(machine: &Machine) -> Vec<Check> {
    let mut all = vec![kernel::check(machine), iommu(machine)];
    all.extend(interrupt_remapping(machine));
    all.extend([modules(machine), container(machine), memlock(machine), huge_pages(machine), tun(machine)]);
    all
}

const IOMMU: &str = "IOMMU";

/// Whether there is an IOMMU, and if not, what keeps it away.
pub(super) fn iommu(machine: &Machine) -> Check {
    let groups = machine.names("sys/kernel/iommu_groups").len();
    if groups > 0 {
        let units = machine.names("sys/class/iommu").join(", ");
        let units = if units.is_empty() { "a unit without a name".into() } else { units };
        return Check::ok(IOMMU, format!("on: {units}; {groups} groups"));
    }
    // The firmware's tables say whose IOMMU it is; the processor is a guess, and in a virtual machine may be a wrong one.
    let table = |name: &str| machine.has(&format!("sys/firmware/acpi/tables/{name}"));
    let processor = || machine.text("proc/cpuinfo").is_some_and(|text| text.contains("AuthenticAMD"));
    let amd = table("IVRS") || (!table("DMAR") && processor());
    let (name, feature, off) =
        if amd { ("IVRS", "AMD-Vi (IOMMU)", "amd_iommu=off") } else { ("DMAR", "VT-d", "intel_iommu=off") };
    let line = |edit: &str| format!("{edit}; update-grub; reboot");
    for word in [off, "iommu=off"] {
        if machine.booted_with(word) {
            return Check::fail(
                IOMMU,
                format!("switched off by {word} on the kernel's command line"),
                line(&format!("sed -i 's/{word}//' /etc/default/grub")),
            );
        }
    }
    let grub = line(
        "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX intel_iommu=on\"' > /etc/default/grub.d/iommu.cfg",
    );
    match (table(name), amd) {
        (false, amd) => {
            let then = if amd { String::new() } else { format!(", then {grub}") };
            Check::fail(
                IOMMU,
                format!("the firmware shows none (no ACPI table {name})"),
                format!(
                    "switch {feature} on in the firmware's setup (systemctl reboot --firmware-setup){then}"
                ),
            )
        }
        (true, false) => Check::fail(IOMMU, "there, and not switched on", grub),
        (true, true) => Check::fail(IOMMU, "there, and the kernel does not use it", "dmesg | grep -i amd-vi"),
    }
}

/// Whether interrupt remapping was switched off: VFIO then refuses.
fn interrupt_remapping(machine: &Machine) -> Option<Check> {
    let word = ["intremap=off", "nointremap"].into_iter().find(|word| machine.booted_with(word))?;
    let allowed = machine.text("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
    let about = "interrupt remapping";
    Some(match allowed.as_deref() {
        Some("Y" | "1") => Check::warn(
            about,
            format!("off ({word}), and allowed to be"),
            "boot without it: a device can forge interrupts",
        ),
        _ => Check::fail(
            about,
            format!("switched off by {word} on the kernel's command line, and VFIO refuses without"),
            format!("sed -i 's/{word}//' /etc/default/grub; update-grub; reboot"),
        ),
    })
}

fn modules(machine: &Machine) -> Check {
    let about = "VFIO modules";
    if !machine.has("sys/bus/pci/drivers/vfio-pci") {
        return Check::fail(about, "vfio-pci is not loaded", "modprobe vfio-pci");
    }
    if !machine.has("sys/module/vfio_iommu_type1") {
        return Check::fail(about, "vfio_iommu_type1 is not loaded", "modprobe vfio_iommu_type1");
    }
    Check::ok(about, "vfio-pci and vfio_iommu_type1 loaded")
}

fn container(machine: &Machine) -> Check {
    let about = "/dev/vfio/vfio";
    let node = machine.host.root().join("dev/vfio/vfio");
    if !node.exists() {
        Check::fail(about, "is not there", "modprobe vfio-pci")
    } else if !(machine.access)(&node) {
        Check::fail(about, "this user may not open it", "sudo chmod 666 /dev/vfio/vfio")
    } else {
        Check::ok(about, "may be opened")
    }
}

fn memlock(machine: &Machine) -> Check {
    let about = "locked memory";
    // What opening a device takes, and what one takes with all queues of the largest chip.
    let queues = Chip::ALL.iter().map(|chip| chip.rx_queues()).max().unwrap_or(1);
    let (least, all_queues) = (Container::LEAST, memory(1, queues as u16, 256) as u64);
    // CAP_IPC_LOCK is bit 14 of the effective capabilities; who has it has no limit.
    let status = machine.text("proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    if effective
        .is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask >> 14 & 1 == 1))
    {
        return Check::ok(about, "no limit for this user (CAP_IPC_LOCK)");
    }
    let limits = machine.text("proc/self/limits").unwrap_or_default();
    let soft =
        limits.lines().find_map(|line| line.strip_prefix("Max locked memory")?.split_whitespace().next());
    match soft.map(|soft| (soft, soft.parse::<u64>())) {
        Some(("unlimited", _)) => Check::ok(about, "no limit"),
        Some((_, Ok(limit))) if limit < least => {
            Check::fail(about, format!("{limit} bytes; a device takes {least} at least"), MEMLOCK)
        }
        Some((_, Ok(limit))) if limit < all_queues => Check::warn(
            about,
            format!("{limit} bytes: enough for one queue, all of a device take {all_queues}"),
            MEMLOCK,
        ),
        Some((_, Ok(limit))) => Check::ok(about, format!("{limit} bytes")),
        _ => Check::note(about, "/proc/self/limits does not say").with("ulimit -l"),
    }
}

fn huge_pages(machine: &Machine) -> Check {
    let about = "huge pages";
    let folder = "sys/kernel/mm/hugepages/hugepages-2048kB";
    let number =
        |file: &str| machine.text(&format!("{folder}/{file}")).and_then(|text| text.parse::<u64>().ok());
    let keep = "echo 64 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    match (number("free_hugepages"), number("nr_hugepages")) {
        (Some(free), Some(all)) if free > 0 => Check::ok(about, format!("{free} of {all} of 2 MiB free")),
        (_, all) => {
            let transparent = machine.text("sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
            if transparent.contains("[always]") || transparent.contains("[madvise]") {
                Check::note(about, "none kept; memory comes in ordinary pages, joined where the kernel can")
                    .with(keep)
            } else {
                let said = if all == Some(0) || all.is_none() { "none kept" } else { "all in use" };
                Check::warn(
                    about,
                    format!("{said}, and transparent ones are off: more work for the IOMMU"),
                    keep,
                )
            }
        }
    }
}

fn tun(machine: &Machine) -> Check {
    let about = "/dev/net/tun";
    let node = machine.host.root().join("dev/net/tun");
    if !node.exists() {
        Check::note(about, "is not there; igbctl tap wants it").with("modprobe tun")
    } else if !(machine.access)(&node) {
        Check::note(about, "this user may not open it; igbctl tap has to").with("sudo chmod 666 /dev/net/tun")
    } else {
        Check::ok(about, "may be opened")
    }
}
