//! What a machine needs to drive its devices, looked at point by point. Each point that is not right has a command that
//! mends it.
//!
//! Nothing is changed, with one exception: a function that vfio-pci has and nobody uses is opened, hence reset, because
//! that is how to see its NVM. It all works for an ordinary user and without any device.

mod function;
mod kernel;
mod machine;
#[cfg(test)]
pub(crate) mod tree;

use crate::failure::{Failure, Fitness};
use crate::nic::Probed;
use crate::output::Report;
use igb_vfio::{Address, Host};
use rustix::fs::{Access, access};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// How a point stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing, and nothing wrong.
    Note,
    /// It works, but not well, or not all of it.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) about: &'static str,
    pub(crate) status: Status,
    pub(crate) said: String,
    /// The command that mends it.
    pub(crate) mend: Option<String>,
}

impl Check {
    fn ok(about: &'static str, said: impl Into<String>) -> Self {
        Self { about, status: Status::Ok, said: said.into(), mend: None }
    }

    fn note(about: &'static str, said: impl Into<String>) -> Self {
        Self { status: Status::Note, ..Self::ok(about, said) }
    }

    fn warn(about: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { about, status: Status::Warn, said: said.into(), mend: Some(mend.into()) }
    }

    fn fail(about: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { about, status: Status::Fail, said: said.into(), mend: Some(mend.into()) }
    }

    /// With something to do about it, although nothing is wrong.
    fn with(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }
}

/// What opening a device showed.
pub(crate) enum Opened {
    /// It works: what is to be said of it, and its interrupts if there are too few.
    Well { said: String, shortage: Option<String> },
    /// VFIO did not hand it out.
    Refused(igb_vfio::Error),
    /// The driver did not take it.
    Broken(igb::Error),
}

/// A machine, and the ways to look at it that are not files.
pub(crate) struct Machine {
    pub(crate) host: Host,
    /// Whether this user may read and write a file.
    pub(crate) access: fn(&Path) -> bool,
    /// Opens a device and closes it again.
    pub(crate) open: fn(Address) -> Opened,
}

impl Machine {
    /// The one that this runs on.
    pub(crate) fn here() -> Self {
        Self {
            host: Host::new(),
            access: |path| access(path, Access::READ_OK | Access::WRITE_OK).is_ok(),
            open,
        }
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.host.root().join(path)).ok().map(|text| text.trim().to_owned())
    }

    fn has(&self, path: &str) -> bool {
        self.host.root().join(path).exists()
    }

    /// What is in a folder, in order.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.host.root().join(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// Whether the kernel's command line has a word.
    fn booted_with(&self, word: &str) -> bool {
        self.text("proc/cmdline").is_some_and(|line| line.split_whitespace().any(|one| one == word))
    }
}

fn open(address: Address) -> Opened {
    let device = match igb_vfio::Container::new().and_then(|container| container.open_at(address)) {
        Ok(device) => device,
        Err(error) => return Opened::Refused(error),
    };
    let container = device.container().clone();
    let opened = Probed::new(address.to_string(), device).and_then(|probed| {
        let nvm = if probed.igb.mac().nvm().is_present() { "checksum right" } else { "none (flashless)" };
        let said = format!("{nvm}; {} {}, PHY {}", probed.igb.chip(), probed.igb.address(), probed.igb.phy());
        Ok((said, probed.open(1, 64)?.shortage()))
    });
    match opened {
        Ok((said, shortage)) => Opened::Well { said, shortage },
        Err(Failure::Driver { error: igb::Error::Ring(error), .. }) => match container.refusal() {
            Some(why) => Opened::Refused(why),
            None => Opened::Broken(error.into()),
        },
        Err(Failure::Driver { error, .. }) => Opened::Broken(error),
        Err(_) => Opened::Broken(igb::Error::DeviceGone),
    }
}

/// All points, of the machine and then of each function.
#[derive(Debug)]
pub(crate) struct Findings {
    scopes: Vec<(String, Vec<Check>)>,
}

/// Looks. With an address, that function is to be ready; without one, functions in other hands are well where they are.
pub(crate) fn examine(machine: &Machine, address: Option<Address>) -> Findings {
    let mut scopes = vec![("machine".to_owned(), machine::checks(machine))];
    match address {
        Some(address) => scopes.push((address.to_string(), function::checks(machine, address, true))),
        None => {
            let functions = machine.host.list().unwrap_or_default();
            if functions.is_empty() {
                let none = Check::warn(
                    "devices",
                    "no PCI function of the family; simulated ones work: igbctl rxdrop sim:/1 --source sim:/0",
                    "lspci -d 8086: -nn",
                );
                scopes.push(("functions".into(), vec![none]));
            }
            for function in functions {
                let title = format!("{} ({})", function.address, function.device.name);
                scopes.push((title, function::checks(machine, function.address, false)));
            }
        }
    }
    Findings { scopes }
}

impl Findings {
    fn all(&self) -> impl Iterator<Item = &Check> {
        self.scopes.iter().flat_map(|(_, checks)| checks)
    }

    fn count(&self, status: Status) -> usize {
        self.all().filter(|check| check.status == status).count()
    }

    /// The worst.
    fn status(&self) -> Status {
        self.all().map(|check| check.status).max().unwrap_or(Status::Ok)
    }

    /// In both forms, with the exit status that says how it stands.
    pub(crate) fn report(&self) -> Report {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (failed, warned) = (self.count(Status::Fail), self.count(Status::Warn));
        let failure = match self.status() {
            Status::Fail => Some(Fitness::Failed),
            Status::Warn => Some(Fitness::Warned),
            Status::Ok | Status::Note => None,
        };
        let verdict = format!("{failed} failure{}, {warned} warning{}", plural(failed), plural(warned));
        Report::new(self.render(), self.to_json())
            .failing(failure.map(|fitness| Failure::Unfit(verdict, fitness)))
    }

    fn render(&self) -> String {
        let mut text = String::new();
        let width = self.all().map(|check| check.about.len()).max().unwrap_or(0);
        for (scope, checks) in &self.scopes {
            let _ = writeln!(text, "{scope}");
            for Check { about, status, said, mend } in checks {
                let word = if *status == Status::Fail { "FAIL" } else { status.as_str() };
                let _ = writeln!(text, "  {word:4}  {about:width$}  {said}");
                if let Some(mend) = mend {
                    let _ = writeln!(text, "  {:4}  {:width$}  -> {mend}", "", "");
                }
            }
        }
        text
    }

    fn to_json(&self) -> Value {
        let check = |scope: &str, check: &Check| {
            json!({
                "scope": scope.split(' ').next(),
                "check": check.about,
                "status": check.status.as_str(),
                "said": check.said,
                "mend": check.mend,
            })
        };
        let checks: Vec<_> = self
            .scopes
            .iter()
            .flat_map(|(scope, checks)| checks.iter().map(move |one| check(scope, one)))
            .collect();
        json!({ "status": self.status().as_str(), "checks": checks })
    }
}

#[cfg(test)]
mod tests {
    use super::tree::{NIC, PEER, Tree, address};
    use super::*;

    fn look(machine: &Machine, at: Option<&str>) -> (String, u8) {
        let findings = examine(machine, at.map(address));
        for check in findings.all().filter(|check| check.status >= Status::Warn) {
            assert!(check.mend.as_ref().is_some_and(|mend| !mend.is_empty()), "no command mends {check:?}");
        }
        let report = findings.report();
        assert_eq!(report.json["checks"].as_array().unwrap().len(), findings.all().count());
        (report.text, report.failure.map_or(0, |failure| failure.status()))
    }

    /// A function bound and alone, on a machine that lacks nothing.
    #[test]
    fn a_machine_that_is_ready() {
        let tree = Tree::ready();
        tree.function(NIC, 0x10c9, Some(4), Some("vfio-pci")).file("dev/vfio/4", "");
        tree.file("run/igb-vfio/0000:01:00.0", "igb\n").pcie(NIC, ("2.5", 4), ("2.5", 4));
        tree.function(PEER, 0x10c9, Some(5), Some("igb")).interface(PEER, "eth0").pcie(
            PEER,
            ("2.5", 4),
            ("2.5", 4),
        );
        let (text, status) = look(&tree.machine(), Some(NIC));
        insta::assert_snapshot!("doctor_ready", text);
        assert_eq!(status, 0);
        let (text, status) = look(&tree.machine(), None);
        insta::assert_snapshot!("doctor_ready_all", text);
        assert_eq!(status, 0);
        insta::assert_json_snapshot!(
            "doctor_ready_json",
            examine(&tree.machine(), Some(address(NIC))).report().json
        );
    }

    /// An ordinary user in a container: no /proc/cmdline, no sysfs to speak of.
    #[test]
    fn a_machine_that_shows_nothing() {
        let tree = Tree::new();
        let (text, status) = look(&tree.machine(), None);
        insta::assert_snapshot!("doctor_bare", text);
        assert_eq!(status, 4);
        let nowhere = Machine { host: Host::at("/nonexistent"), ..tree.machine() };
        assert_eq!(look(&nowhere, Some(NIC)).1, 4);
    }

    #[test]
    fn an_iommu_that_is_switched_off() {
        for (vendor, table, cmdline) in [
            ("GenuineIntel", Some("DMAR"), "quiet"),
            ("GenuineIntel", None, "quiet"),
            ("GenuineIntel", Some("DMAR"), "intel_iommu=off"),
            ("AuthenticAMD", Some("IVRS"), "amd_iommu=off"),
            ("AuthenticAMD", None, "quiet"),
            ("AuthenticAMD", Some("DMAR"), "quiet"), // a virtual machine
        ] {
            let tree = Tree::ready();
            tree.without_iommu().file("proc/cpuinfo", &format!("vendor_id\t: {vendor}\n"));
            tree.file("proc/cmdline", cmdline).function(NIC, 0x10c9, None, Some("igb"));
            if let Some(table) = table {
                tree.file(&format!("sys/firmware/acpi/tables/{table}"), "");
            }
            let (text, status) = look(&tree.machine(), Some(NIC));
            let name =
                format!("doctor_iommu_{vendor}_{}_{}", table.unwrap_or("none"), cmdline.replace('=', "_"));
            let wanted = |line: &&str| line.contains("IOMMU") || line.contains("->") || line.contains("FAIL");
            insta::assert_snapshot!(name, text.lines().filter(wanted).collect::<Vec<_>>().join("\n"));
            assert_eq!(status, 4);
        }
    }

    #[test]
    fn what_can_be_wrong_is_said_with_what_mends_it() {
        type Plant = fn(&Tree) -> Machine;
        let cases: [(&str, Plant); 11] = [
            ("module", |tree| tree.remove("sys/bus/pci/drivers/vfio-pci").machine()),
            ("type1", |tree| tree.remove("sys/module/vfio_iommu_type1").machine()),
            ("node", |tree| Machine { access: |path| !path.ends_with("dev/vfio/4"), ..tree.machine() }),
            ("container", |tree| Machine {
                access: |path| !path.ends_with("dev/vfio/vfio"),
                ..tree.machine()
            }),
            ("memlock", |tree| tree.ordinary_user(65536).machine()),
            ("memlock_low", |tree| tree.ordinary_user(8 << 20).machine()),
            ("intremap", |tree| tree.file("proc/cmdline", "quiet intremap=off").machine()),
            ("group", |tree| tree.function(PEER, 0x10c9, Some(4), Some("igb")).machine()),
            ("link", |tree| tree.pcie(NIC, ("2.5", 1), ("5.0", 4)).machine()),
            ("bar", |tree| {
                tree.file(&format!("sys/bus/pci/devices/{NIC}/resource"), "0x0 0x0 0x0\n").machine()
            }),
            ("held", |tree| tree.holder(77, "testpmd", 4).machine()),
        ];
        let plain = {
            let tree = Tree::ready();
            tree.function(NIC, 0x10c9, Some(4), Some("vfio-pci")).file("dev/vfio/4", "");
            look(&tree.machine(), Some(NIC)).0
        };
        let mut all = String::new();
        for (name, plant) in cases {
            let tree = Tree::ready();
            tree.function(NIC, 0x10c9, Some(4), Some("vfio-pci")).file("dev/vfio/4", "");
            let (text, status) = look(&plant(&tree), Some(NIC));
            assert_ne!(status, 0, "{name}: {text}");
            // What is not as on a machine that lacks nothing.
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let known: Vec<_> = plain.lines().map(words).collect();
            let new: Vec<_> = text.lines().map(words).filter(|line| !known.contains(line)).collect();
            let _ = writeln!(all, "{name}: status {status}\n{}", new.join("\n"));
        }
        insta::assert_snapshot!("doctor_faults", all);
    }

    #[test]
    fn what_opening_shows() {
        type Open = fn(Address) -> Opened;
        let cases: [(&str, Open); 5] = [
            ("memlock", |_| Opened::Refused(igb_vfio::Error::Memlock { need: 4 << 20, limit: 65536 })),
            ("bar", |address| Opened::Refused(igb_vfio::Error::NotMappable { address, bytes: 0 })),
            ("hole", |_| Opened::Refused(igb_vfio::Error::NoIova(4 << 20))),
            ("nvm", |_| {
                Opened::Broken(igb::Error::Hal(igb::hal::Error::NvmChecksum { first: 0, sum: 0x1234 }))
            }),
            ("vectors", |_| Opened::Well {
                said: "checksum right".into(),
                shortage: Some("1 interrupt vector".into()),
            }),
        ];
        let tree = Tree::ready();
        tree.function(NIC, 0x10c9, Some(4), Some("vfio-pci")).file("dev/vfio/4", "");
        let mut all = String::new();
        for (name, open) in cases {
            let (text, status) = look(&Machine { open, ..tree.machine() }, Some(NIC));
            assert_ne!(status, 0, "{name}");
            let lines: Vec<_> = text.lines().skip_while(|line| !line.contains("  NVM")).collect();
            let _ = writeln!(all, "{name}: status {status}\n{}", lines.join("\n"));
        }
        insta::assert_snapshot!("doctor_opened", all);
    }

    #[test]
    fn functions_that_are_not_ready() {
        let tree = Tree::ready();
        assert!(look(&tree.machine(), Some(NIC)).0.contains("there is no PCI function 0000:01:00.0"));
        tree.function(NIC, 0x10c9, Some(4), Some("igb")).interface(NIC, "eth0").default_route("eth0");
        tree.function(PEER, 0x15bc, Some(5), Some("e1000e"));
        let (mine, status) = look(&tree.machine(), Some(NIC));
        assert_eq!(status, 4);
        let (other, status) = look(&tree.machine(), Some(PEER));
        assert_eq!(status, 4);
        let tail = |text: &str| {
            text.lines().skip_while(|line| line.starts_with(['m', ' '])).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!("doctor_not_ready", format!("{}\n{}", tail(&mine), tail(&other)));
    }

    #[test]
    fn options_by_file_and_by_trace() {
        let all = "CONFIG_IGB=m\nCONFIG_BPF=y\nCONFIG_BPF_SYSCALL=y\n# CONFIG_XDP_SOCKETS is not set\nCONFIG_BPF_JIT=y\n\
                   CONFIG_PTP_1588_CLOCK=y\n# CONFIG_VFIO is not set\nCONFIG_TUN=m\n";
        let tree = Tree::ready();
        tree.file("boot/config-6.12.9-amd64", all);
        let by_file = look(&tree.machine(), None).0;
        let tree = Tree::ready();
        tree.gzip("proc/config.gz", all);
        let by_gzip = look(&tree.machine(), None).0;
        let line = |text: &str| {
            let lines = text.lines().skip_while(|line| !line.contains("kernel options"));
            lines.take_while(|line| !line.contains("  IOMMU")).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!("doctor_options", format!("{}\n{}", line(&by_file), line(&by_gzip)));
        // Nonsense is no configuration, and no reason to stop.
        let tree = Tree::ready();
        tree.file("proc/config.gz", "garbage").file("boot/config-6.12.9-amd64", "\u{0}\u{0}=\n\n=y\nCONFIG_");
        look(&tree.machine(), None);
    }
}
