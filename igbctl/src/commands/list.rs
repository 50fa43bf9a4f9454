//! `list`: which devices there are, and what the others want.

use crate::output::Report;
use crate::table::Table;
use igb::{Chip, Device};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Intel.
const VENDOR: &str = "0x8086";

/// `list`.
pub(crate) fn list() -> Report {
    let mut table = Table::new(["device", "chip", "state"]);
    let mut devices = Vec::new();
    let mut add = |name: String, chip: &str, available: bool, state: String| {
        devices.push(json!({ "device": name, "chip": chip, "available": available, "state": state }));
        table.row([name, chip.to_owned(), state]);
    };
    for chip in Chip::ALL {
        add(format!("sim:{chip}"), chip.name(), true, format!("simulated, {} queues", chip.rx_queues()));
    }
    match igb_qtest::find::qemu() {
        Ok(qemu) => {
            let (major, minor) = qemu.version;
            add(
                "qemu:0".into(),
                "82576",
                true,
                format!("emulated by QEMU {major}.{minor}, {}", qemu.path.display()),
            );
        }
        Err(reason) => add("qemu:0".into(), "82576", false, reason.to_string()),
    }
    for function in functions(Path::new("/sys/bus/pci/devices")) {
        let driver =
            function.driver.as_deref().map_or("no driver".into(), |driver| format!("driver {driver}"));
        let state = format!("{}, {driver}; vfio: is not built yet", function.device.name);
        add(format!("vfio:{}", function.address), function.device.chip.name(), false, state);
    }
    Report::new(table.render(0), json!({ "devices": Value::Array(devices) }))
}

/// A PCI function that the driver knows.
struct Function {
    address: String,
    device: &'static Device,
    driver: Option<String>,
}

fn functions(folder: &Path) -> Vec<Function> {
    let read = |path: &Path| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let mut found: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            if read(&path.join("vendor")) != VENDOR {
                return None;
            }
            let id = u16::from_str_radix(read(&path.join("device")).strip_prefix("0x")?, 16).ok()?;
            let device = Device::from_id(id)?;
            let driver = fs::read_link(path.join("driver")).ok();
            let driver = driver.and_then(|driver| Some(driver.file_name()?.to_string_lossy().into_owned()));
            Some(Function { address: entry.file_name().to_string_lossy().into_owned(), device, driver })
        })
        .collect();
    found.sort_by(|a, b| a.address.cmp(&b.address));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_functions_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        for (address, vendor, device) in [
            ("0000:02:00.0", "0x8086\n", "0x1533\n"),
            ("0000:01:00.0", "0x8086\n", "0x10c9\n"),
            ("0000:00:1f.2", "0x8086\n", "0x2922\n"),
            ("0000:03:00.0", "0x1af4\n", "0x1533\n"),
        ] {
            let path = folder.path().join(address);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("vendor"), vendor).unwrap();
            fs::write(path.join("device"), device).unwrap();
        }
        let found = functions(folder.path());
        let found: Vec<_> = found.iter().map(|f| (f.address.as_str(), f.device.chip)).collect();
        assert_eq!(found, [("0000:01:00.0", Chip::I82576), ("0000:02:00.0", Chip::I210)]);
        assert!(functions(Path::new("/nonexistent")).is_empty());
    }
}
