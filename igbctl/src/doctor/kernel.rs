//! The kernel's options: those of the handbook's appendix B, and those that VFIO and TAP need beyond it.
//!
//! They stand in `/proc/config.gz` or in a file beside the kernel, and a running kernel shows traces of most: a module, a
//! file in /proc. Without either, nothing is claimed.

use super::{Check, Machine};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

/// What shows that a kernel has it.
enum Trace {
    /// A module by this name, loaded, built in, or there to be loaded.
    Module(&'static str),
    /// A file.
    File(&'static str),
    /// A line that begins so in `/proc/net/protocols`.
    Protocol(&'static str),
}

struct KernelOption {
    name: &'static str,
    /// Nothing of ours works without.
    vital: bool,
    purpose: &'static str,
    trace: Trace,
}

const LINUX_IGB: &str = "XDP and AF_XDP on Linux's own igb";
const OURS: &str = "this driver";

const OPTIONS: &[KernelOption] = &[
    // The handbook's.
    KernelOption {
        name: "IGB",
        vital: false,
        purpose: "Linux's own driver, to give a device back to",
        trace: Trace::Module("igb"),
    },
    KernelOption {
        name: "BPF",
        vital: false,
        purpose: LINUX_IGB,
        trace: Trace::File("proc/sys/kernel/unprivileged_bpf_disabled"),
    },
    KernelOption {
        name: "BPF_SYSCALL",
        vital: false,
        purpose: LINUX_IGB,
        trace: Trace::File("proc/sys/kernel/unprivileged_bpf_disabled"),
    },
    KernelOption { name: "XDP_SOCKETS", vital: false, purpose: LINUX_IGB, trace: Trace::Protocol("XDP") },
    KernelOption {
        name: "BPF_JIT",
        vital: false,
        purpose: LINUX_IGB,
        trace: Trace::File("proc/sys/net/core/bpf_jit_enable"),
    },
    KernelOption {
        name: "NET_ACT_BPF",
        vital: false,
        purpose: "BPF as a traffic-control action",
        trace: Trace::Module("act_bpf"),
    },
    KernelOption {
        name: "PTP_1588_CLOCK",
        vital: false,
        purpose: "the clock of Linux's own igb",
        trace: Trace::File("sys/class/ptp"),
    },
    KernelOption { name: "VFIO", vital: true, purpose: OURS, trace: Trace::Module("vfio") },
    // Ours.
    KernelOption { name: "VFIO_PCI", vital: true, purpose: OURS, trace: Trace::Module("vfio-pci") },
    KernelOption {
        name: "VFIO_IOMMU_TYPE1",
        vital: true,
        purpose: OURS,
        trace: Trace::Module("vfio_iommu_type1"),
    },
    KernelOption { name: "TUN", vital: false, purpose: "igbctl tap", trace: Trace::Module("tun") },
];

const ABOUT: &str = "kernel options";

/// Checks all of them.
pub(super) fn check(machine: &Machine) -> Check {
    let release = machine.text("proc/sys/kernel/osrelease").unwrap_or_default();
    let config = configuration(machine, &release);
    let modules = modules(machine, &release);
    let (mut lacking, mut unknown) = (Vec::new(), Vec::new());
    for option in OPTIONS {
        match &config {
            Some((values, _)) => {
                let set = values.get(option.name).is_some_and(|value| value == "y" || value == "m");
                lacking.extend((!set).then_some(option));
            }
            None if !option.trace.is_seen(machine, &modules) => unknown.push(option),
            None => {}
        }
    }
    let place = config.as_ref().map_or("at work", |(_, place)| place);
    if !lacking.is_empty() {
        let said = format!("{place} lacks {}", grouped(&lacking));
        let mend =
            "boot a kernel that has them: apt install linux-image-amd64; reboot (your own: make menuconfig)";
        return match lacking.iter().any(|option| option.vital) {
            true => Check::fail(ABOUT, said, mend),
            false => Check::warn(ABOUT, said, mend),
        };
    }
    if unknown.is_empty() {
        return Check::ok(ABOUT, format!("all {} seen, {place}", OPTIONS.len()));
    }
    Check::note(
        ABOUT,
        format!("no /proc/config.gz and no /boot/config-{release}, and no trace of {}", grouped(&unknown)),
    )
    .with("modprobe configs; igbctl doctor")
}

/// Options by what they are for.
fn grouped(options: &[&KernelOption]) -> String {
    let mut purposes: Vec<_> = options.iter().map(|option| option.purpose).collect();
    purposes.dedup();
    let group = |purpose: &&str| {
        let names = options.iter().filter(|option| option.purpose == *purpose);
        let names: Vec<_> = names.map(|option| format!("CONFIG_{}", option.name)).collect();
        format!("{} ({purpose})", names.join(", "))
    };
    purposes.iter().map(group).collect::<Vec<_>>().join("; ")
}

/// What the kernel was built with, and the file that says so.
fn configuration(machine: &Machine, release: &str) -> Option<(BTreeMap<String, String>, &'static str)> {
    /// More than any configuration has.
    const MOST: u64 = 8 << 20;
    let packed = fs::read(machine.host.root().join("proc/config.gz")).ok().and_then(|bytes| {
        let mut text = String::new();
        GzDecoder::new(&*bytes).take(MOST).read_to_string(&mut text).ok()?;
        Some((text, "/proc/config.gz"))
    });
    let plain =
        || machine.text(&format!("boot/config-{release}")).map(|text| (text, "the configuration in /boot"));
    let beside = || {
        let text = machine.text(&format!("lib/modules/{release}/config"));
        text.map(|text| (text, "the configuration beside the modules"))
    };
    let (text, place) = packed.or_else(plain).or_else(beside)?;
    let values: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (!values.is_empty()).then_some((values, place))
}

/// The modules that there are, `_` for `-`.
fn modules(machine: &Machine, release: &str) -> Vec<String> {
    let mut all = machine.names("sys/module");
    for list in ["modules.dep", "modules.builtin"] {
        let text = machine.text(&format!("lib/modules/{release}/{list}")).unwrap_or_default();
        let file =
            |line: &str| Some(line.split(':').next()?.rsplit('/').next()?.split(".ko").next()?.to_owned());
        all.extend(text.lines().filter_map(file));
    }
    all.iter_mut().for_each(|name| *name = name.replace('-', "_"));
    all
}

impl Trace {
    fn is_seen(&self, machine: &Machine, modules: &[String]) -> bool {
        match self {
            Self::Module(name) => modules.contains(&name.replace('-', "_")),
            Self::File(path) => machine.has(path),
            Self::Protocol(name) => machine
                .text("proc/net/protocols")
                .is_some_and(|text| text.lines().any(|line| line.split_whitespace().next() == Some(*name))),
        }
    }
}
