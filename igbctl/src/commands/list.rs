//! `list`: which devices there are, and what the others want.

use crate::output::Report;
use crate::table::Table;
use igb::Chip;
use igb_vfio::{Address, Function, Host, Name};
use serde_json::{Value, json};

/// `list`.
pub(crate) fn list(host: &Host) -> Report {
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
    let (functions, mut list) = functions(host);
    devices.append(&mut list);
    Report::new(format!("{}\n{functions}", table.render(0)), json!({ "devices": Value::Array(devices) }))
}

/// The machine's own functions, in both forms.
fn functions(host: &Host) -> (String, Vec<Value>) {
    let functions = match host.list() {
        Ok(functions) => functions,
        Err(error) => return (format!("no PCI functions: {error}\n"), Vec::new()),
    };
    if functions.is_empty() {
        return ("no PCI function of the family on this machine\n".into(), Vec::new());
    }
    let mut table = Table::new([
        "function",
        "name",
        "driver",
        "IOMMU group",
        "shared with",
        "NUMA node",
        "interface",
        "link",
    ]);
    let mut list = Vec::new();
    for function in &functions {
        table.row(row(function));
        list.push(entry(host, function));
    }
    (table.render(0), list)
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

fn row(function: &Function) -> [String; 8] {
    let others: Vec<_> = function
        .shared_with
        .iter()
        .map(|(address, driver)| {
            format!("{address} ({})", driver.map_or("no driver".into(), |name| name.to_string()))
        })
        .collect();
    [
        format!("vfio:{}", function.address),
        function.device.name.to_owned(),
        or_dash(function.driver),
        or_dash(function.group),
        if others.is_empty() { "-".into() } else { others.join(", ") },
        or_dash(function.numa_node),
        or_dash(function.interface),
        or_dash(function.link),
    ]
}

fn entry(host: &Host, function: &Function) -> Value {
    let text = |name: &Option<Name>| name.map(|name| name.to_string());
    let shared = |(address, driver): &(Address, Option<Name>)| json!({ "address": address.to_string(), "driver": text(driver) });
    json!({
        "device": format!("vfio:{}", function.address),
        "chip": function.device.chip.name(),
        // What `check` says is what opening it would say, permission aside.
        "available": host.check(function.address).is_ok(),
        "state": host.check(function.address).err().map_or("ready".into(), |error| crate::mend::told(&error, host)),
        "name": function.device.name,
        "driver": text(&function.driver),
        "previous_driver": text(&host.previous_driver(function.address)),
        "iommu_group": function.group,
        "shared_with": function.shared_with.iter().map(shared).collect::<Vec<_>>(),
        "numa_node": function.numa_node,
        "interface": text(&function.interface),
        "link": function.link.map(|link| json!({ "up": link.up, "mbps": link.mbps })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tree::{NIC, PEER, Tree};

    #[test]
    fn every_function_with_its_driver_group_node_and_link() {
        let tree = Tree::ready();
        tree.function(NIC, 0x10c9, Some(4), Some("igb")).interface(NIC, "eth0").carrier(NIC, "eth0", 1000);
        tree.function(PEER, 0x1533, Some(5), Some("vfio-pci")).file("run/igb-vfio/0000:02:00.0", "igb\n");
        tree.function("0000:03:00.0", 0x1521, Some(6), None).function(
            "0000:03:00.1",
            0x1521,
            Some(6),
            Some("igb"),
        );
        tree.file("sys/bus/pci/devices/0000:03:00.0/numa_node", "1\n");
        let (text, json) = functions(tree.host());
        insta::assert_snapshot!("list_functions", text);
        insta::assert_json_snapshot!("list_functions_json", json);
    }

    #[test]
    fn a_machine_without_any() {
        insta::assert_snapshot!(functions(Tree::ready().host()).0, @"no PCI function of the family on this machine");
        let bare = Host::at("/nonexistent");
        insta::assert_snapshot!(functions(&bare).0, @"no PCI functions: listing /sys/bus/pci/devices (is sysfs mounted?): No such file or directory (os error 2)");
    }
}
