//! `bind` and `unbind`: functions go to vfio-pci, and back to the drivers that had them.

use crate::args::{Bind, Unbind};
use crate::failure::Failure;
use crate::mend::{bind_all, check_family, check_groups};
use crate::output::Report;
use crate::table::Table;
use igb_vfio::{Address, Change, Host, Name};
use serde_json::{Value, json};
use std::fmt::Write;

/// `bind`. All of them or none: whatever can be told is told before anything changes, and what one refuses, the others get
/// back.
pub(crate) fn bind(host: &Host, options: &Bind) -> Result<Report, Failure> {
    let addresses = once(&options.addresses);
    for address in &addresses {
        host.check_bind(*address, options.force)?;
    }
    if !options.force {
        check_family(host, &addresses)?;
        check_groups(host, &addresses)?;
    }
    let mut done: Vec<(Address, Change)> = Vec::new();
    for address in &addresses {
        match host.bind(*address, options.force) {
            Ok(change) => done.push((*address, change)),
            Err(error) => {
                for (address, _) in done.iter().rev().filter(|(_, change)| change.from != change.to) {
                    // The first error is the one to tell.
                    let _ = host.unbind(*address);
                }
                return Err(error.into());
            }
        }
    }
    let mut report = report(host, &done);
    for group in done.iter().filter_map(|(address, _)| host.group(*address)) {
        if !host.in_the_way(group).is_empty() {
            let _ = writeln!(report.text, "group {group} cannot be used yet: {}", bind_all(host, group, &[]));
        }
    }
    Ok(report)
}

/// `unbind`. What one refuses does not keep the others.
pub(crate) fn unbind(host: &Host, options: &Unbind) -> Result<Report, Failure> {
    let (mut done, mut failed) = (Vec::new(), None);
    for address in once(&options.addresses) {
        match host.unbind(address) {
            Ok(change) => done.push((address, change)),
            Err(error) => _ = failed.get_or_insert(error),
        }
    }
    match failed {
        Some(error) if done.is_empty() => Err(error.into()),
        failed => Ok(report(host, &done).failing(failed.map(Failure::from))),
    }
}

fn once(addresses: &[Address]) -> Vec<Address> {
    let mut all = addresses.to_vec();
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|address| seen.insert(*address));
    all
}

fn report(host: &Host, done: &[(Address, Change)]) -> Report {
    let mut table = Table::new(["function", "had it", "has it", "IOMMU group"]);
    let name = |driver: Option<Name>| driver.map_or("nobody".into(), |driver| driver.to_string());
    let mut functions = Vec::new();
    for (address, Change { from, to }) in done {
        let group = host.group(*address);
        table.row([address.to_string(), name(*from), name(*to), group.map_or("-".into(), |g| g.to_string())]);
        functions.push(json!({
            "address": address.to_string(),
            "from": from.map(|driver| driver.to_string()),
            "to": to.map(|driver| driver.to_string()),
            "iommu_group": group,
        }));
    }
    Report::new(table.render(0), json!({ "functions": Value::Array(functions) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tree::{NIC, PEER, Tree, address};

    fn options(addresses: &[&str], force: bool) -> Bind {
        Bind { addresses: addresses.iter().map(|text| address(text)).collect(), force }
    }

    fn refusal(tree: &Tree, addresses: &[&str]) -> String {
        let error = bind(tree.host(), &options(addresses, false)).unwrap_err();
        assert_eq!(error.status(), 4);
        error.to_string()
    }

    #[test]
    fn what_is_in_the_way_is_named_with_the_command_that_takes_all_of_it() {
        let tree = Tree::ready();
        tree.function(NIC, 0x10c9, Some(4), Some("igb")).function(PEER, 0x10c9, Some(4), Some("igb"));
        insta::assert_snapshot!(refusal(&tree, &[NIC]), @"IOMMU group 4 is handed out whole or not at all, and the kernel drives 0000:02:00.0 (igb): igbctl bind 0000:01:00.0 0000:02:00.0, or move the card to another slot");
        tree.function("0000:00:1f.3", 0xa348, Some(4), Some("snd_hda_intel"));
        insta::assert_snapshot!(refusal(&tree, &[NIC, PEER]), @"IOMMU group 4 is handed out whole or not at all, and the kernel drives 0000:00:1f.3 (snd_hda_intel): igbctl bind --force 0000:00:1f.3 0000:01:00.0 0000:02:00.0, or move the card to another slot");
    }

    #[test]
    fn what_is_no_igb_is_taken_on_purpose_only() {
        let tree = Tree::ready();
        tree.function("0000:00:1f.3", 0xa348, Some(4), Some("snd_hda_intel"));
        insta::assert_snapshot!(refusal(&tree, &["0000:00:1f.3"]), @"0000:00:1f.3 (snd_hda_intel) is no igb. If it is to be taken for the sake of its IOMMU group: igbctl bind --force 0000:00:1f.3");
    }

    #[test]
    fn an_interface_in_use_says_how_and_nothing_changes() {
        let tree = Tree::ready();
        tree.function(NIC, 0x10c9, Some(4), Some("igb")).interface(NIC, "eth0").default_route("eth0");
        insta::assert_snapshot!(refusal(&tree, &[NIC]), @"eth0 (0000:01:00.0) carries the default route: to take it would cut that off. If that is meant: igbctl bind --force 0000:01:00.0");
        assert_eq!(tree.host().driver(address(NIC)).unwrap().as_str(), "igb");
        assert_eq!(tree.host().previous_driver(address(NIC)), None);
    }

    #[test]
    fn a_function_that_is_not_there_and_a_module_that_is_not_loaded() {
        let tree = Tree::new();
        assert!(refusal(&tree, &[NIC]).contains("there is no PCI function 0000:01:00.0"));
        tree.function(NIC, 0x10c9, Some(4), Some("igb"));
        assert_eq!(refusal(&tree, &[NIC]), "VFIO is not there: modprobe vfio-pci");
    }

    #[test]
    fn one_that_is_bound_already_is_reported_as_it_is() {
        let tree = Tree::ready();
        tree.function(NIC, 0x10c9, Some(4), Some("vfio-pci"));
        let report = bind(tree.host(), &options(&[NIC, NIC], false)).unwrap();
        insta::assert_snapshot!(report.text, @r"
        function      had it    has it    IOMMU group
        0000:01:00.0  vfio-pci  vfio-pci            4
        ");
        assert_eq!(report.json["functions"][0]["to"], "vfio-pci");
    }
}
