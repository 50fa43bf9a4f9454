//! `list`: which devices there are, and what the others want.

use crate::output::Report;
use crate::table::Table;
use igb::Chip;
use serde_json::{Value, json};

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
    // A machine without sysfs has no functions to show.
    for function in igb_vfio::list().unwrap_or_default() {
        let driver = function.driver.as_ref().map_or("no driver".into(), |driver| format!("driver {driver}"));
        let ready = function.driver.as_ref().is_some_and(|driver| driver.to_string() == "vfio-pci");
        let group = function.group.map_or("no IOMMU group".into(), |group| format!("IOMMU group {group}"));
        let state = format!("{}, {driver}, {group}", function.device.name);
        add(format!("vfio:{}", function.address), function.device.chip.name(), ready, state);
    }
    Report::new(table.render(0), json!({ "devices": Value::Array(devices) }))
}
