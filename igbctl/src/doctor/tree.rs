//! Machines in a folder, for tests: files where the kernel would show them.

use super::{Machine, Opened};
use igb_vfio::{Address, Host};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

/// Two functions that tests have.
pub(crate) const NIC: &str = "0000:01:00.0";
pub(crate) const PEER: &str = "0000:02:00.0";

pub(crate) struct Tree {
    folder: tempfile::TempDir,
    host: Host,
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

impl Tree {
    /// A machine that shows next to nothing.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::at(folder.path());
        let tree = Self { folder, host };
        for made in
            ["sys/bus/pci/devices", "sys/bus/pci/drivers", "sys/kernel/iommu_groups", "dev/vfio", "run"]
        {
            fs::create_dir_all(tree.folder.path().join(made)).unwrap();
        }
        tree
    }

    /// One that lacks nothing, seen by root.
    pub(crate) fn ready() -> Self {
        let tree = Self::new();
        tree.file("proc/sys/kernel/osrelease", "6.12.9-amd64\n")
            .file("proc/cmdline", "quiet intel_iommu=on\n");
        tree.file("proc/cpuinfo", "vendor_id\t: GenuineIntel\n").file("sys/class/iommu/dmar0/address", "");
        tree.file("sys/kernel/iommu_groups/0/type", "DMA\n").file("sys/bus/pci/drivers/vfio-pci/bind", "");
        for module in ["igb", "vfio", "vfio_pci", "vfio_iommu_type1", "tun"] {
            tree.file(&format!("sys/module/{module}/refcnt"), "0\n");
        }
        tree.file("lib/modules/6.12.9-amd64/modules.dep", "kernel/net/sched/act_bpf.ko.xz:\n");
        tree.file("proc/sys/kernel/unprivileged_bpf_disabled", "2\n")
            .file("proc/sys/net/core/bpf_jit_enable", "1\n");
        tree.file("proc/net/protocols", "protocol  size\nXDP       960\n")
            .file("sys/class/ptp/ptp0/clock_name", "");
        tree.file("dev/vfio/vfio", "").file("dev/net/tun", "");
        tree.file("proc/self/status", "Name:\tigbctl\nCapEff:\t000001ffffffffff\n");
        let pages = "sys/kernel/mm/hugepages/hugepages-2048kB";
        tree.file(&format!("{pages}/nr_hugepages"), "64\n").file(&format!("{pages}/free_hugepages"), "64\n");
        tree
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// As root sees it; a device that opens well.
    pub(crate) fn machine(&self) -> Machine {
        Machine {
            host: self.host.clone(),
            access: |_| true,
            open: |_| Opened::Well { said: "checksum right; 82576 52:54:00:00:00:01".into(), shortage: None },
        }
    }

    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn gzip(&self, path: &str, text: &str) -> &Self {
        let file = fs::File::create(self.folder.path().join(path)).unwrap();
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap();
        self
    }

    pub(crate) fn remove(&self, path: &str) -> &Self {
        let path = self.folder.path().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        self
    }

    pub(crate) fn without_iommu(&self) -> &Self {
        self.remove("sys/kernel/iommu_groups/0").remove("sys/class/iommu/dmar0")
    }

    /// A function behind a root port of its own.
    pub(crate) fn function(&self, at: &str, id: u16, group: Option<u32>, driver: Option<&str>) -> &Self {
        let port = format!("sys/devices/pci0000:00/0000:00:{}.0", &at[5..7]);
        let folder = format!("{port}/{at}");
        self.file(&format!("{folder}/vendor"), "0x8086\n")
            .file(&format!("{folder}/device"), &format!("{id:#06x}\n"));
        self.file(
            &format!("{folder}/resource"),
            "0x00000000fe800000 0x00000000fe81ffff 0x0000000000040200\n",
        );
        self.file(&format!("{folder}/numa_node"), "-1\n");
        let folder = self.folder.path().join(folder);
        symlink(&folder, self.folder.path().join("sys/bus/pci/devices").join(at)).unwrap();
        if let Some(group) = group {
            let devices = self.folder.path().join(format!("sys/kernel/iommu_groups/{group}/devices"));
            fs::create_dir_all(&devices).unwrap();
            symlink(&folder, devices.join(at)).unwrap();
            symlink(devices.parent().unwrap(), folder.join("iommu_group")).unwrap();
        }
        if let Some(driver) = driver {
            self.file(&format!("sys/bus/pci/drivers/{driver}/bind"), "");
            symlink(self.folder.path().join("sys/bus/pci/drivers").join(driver), folder.join("driver"))
                .unwrap();
        }
        self
    }

    pub(crate) fn interface(&self, at: &str, name: &str) -> &Self {
        self.file(&format!("sys/bus/pci/devices/{at}/net/{name}/address"), "52:54:00:00:00:01\n")
    }

    pub(crate) fn carrier(&self, at: &str, name: &str, mbps: u32) -> &Self {
        let folder = format!("sys/bus/pci/devices/{at}/net/{name}");
        self.file(&format!("{folder}/carrier"), "1\n").file(&format!("{folder}/speed"), &format!("{mbps}\n"))
    }

    pub(crate) fn default_route(&self, name: &str) -> &Self {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        self.file(
            "proc/net/route",
            &format!("{head}{name}\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"),
        )
    }

    /// The slot gives (GT/s, lanes); the device can do the second.
    pub(crate) fn pcie(&self, at: &str, now: (&str, u32), most: (&str, u32)) -> &Self {
        let folder = format!("sys/bus/pci/devices/{at}");
        for (which, (speed, lanes)) in [("current", now), ("max", most)] {
            self.file(&format!("{folder}/{which}_link_speed"), &format!("{speed} GT/s PCIe\n"));
            self.file(&format!("{folder}/{which}_link_width"), &format!("{lanes}\n"));
        }
        self
    }

    /// Not root, with this limit of locked memory.
    pub(crate) fn ordinary_user(&self, limit: u64) -> &Self {
        self.file("proc/self/status", "CapEff:\t0000000000000000\n").file(
            "proc/self/limits",
            &format!("Limit                     Soft Limit           Hard Limit           Units\nMax locked memory         {limit}                65536                bytes\n"),
        )
    }

    /// A process that has a group open.
    pub(crate) fn holder(&self, pid: u32, name: &str, group: u32) -> &Self {
        self.file(&format!("proc/{pid}/comm"), &format!("{name}\n")).file(&format!("proc/{pid}/fd/0"), "");
        symlink(format!("/dev/vfio/{group}"), self.folder.path().join(format!("proc/{pid}/fd/3"))).unwrap();
        self
    }
}
