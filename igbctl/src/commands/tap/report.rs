//! What is told of interfaces and devices in the end.

use super::lane::Counts;
use super::port::Wanted;
use crate::failure::Failure;
use crate::nic::{self, Summary};
use crate::output::Report;
use crate::table::{Table, count};
use serde_json::{Value, json};

/// What a port did.
pub(super) struct Served {
    pub(super) summary: Summary,
    pub(super) interface: String,
    pub(super) wanted: Wanted,
    pub(super) openings: u32,
    pub(super) counts: Vec<Counts>,
    pub(super) failure: Option<Failure>,
}

/// A line of the table: its title, and the counter that it shows.
type Row = (&'static str, fn(&Counts) -> u64);

/// The table of devices, that of interfaces, and both for programs.
pub(super) fn report(served: &[Served], seconds: f64) -> Report {
    let summaries: Vec<_> = served.iter().map(|served| served.summary.clone()).collect();
    let mut text = nic::table(&summaries);
    let mut table =
        Table::new(core::iter::once(String::new()).chain(served.iter().map(|s| s.interface.clone())));
    let rows: [Row; 11] = [
        ("frames to the host", |c| c.moved.rx_frames),
        ("dropped: the host had no room", |c| c.host_full),
        ("dropped: the interface was down", |c| c.host_down),
        ("dropped: refused by the host", |c| c.host_refused),
        ("checksums found right by the NIC", |c| c.checked_by_nic),
        ("frames from the host", |c| c.moved.tx_frames),
        ("dropped: longer than the MTU", |c| c.too_long),
        ("dropped: malformed", |c| c.malformed),
        ("checksums made by the NIC", |c| c.summed_by_nic),
        ("checksums made here", |c| c.summed_here),
        ("waits for the NIC", |c| c.held_back),
    ];
    for (title, of) in rows {
        let cells = served.iter().map(|served| count(served.counts.iter().map(of).sum()));
        table.row(core::iter::once(title.to_owned()).chain(cells));
    }
    text.push('\n');
    text.push_str(&table.render(2));
    let devices: Vec<Value> = served
        .iter()
        .map(|served| {
            let sum = |of: fn(&Counts) -> u64| served.counts.iter().map(of).sum::<u64>();
            let mut device = served.summary.to_json();
            device["interface"] = json!({
                "name": served.interface,
                "mtu": served.wanted.mtu,
                "address": served.wanted.address.to_string(),
                "queues": served.counts.len(),
                "openings": served.openings,
                "host_full": sum(|c| c.host_full),
                "host_down": sum(|c| c.host_down),
                "host_refused": sum(|c| c.host_refused),
                "too_long": sum(|c| c.too_long),
                "malformed": sum(|c| c.malformed),
                "summed_by_nic": sum(|c| c.summed_by_nic),
                "summed_here": sum(|c| c.summed_here),
                "checked_by_nic": sum(|c| c.checked_by_nic),
                "held_back": sum(|c| c.held_back),
            });
            device
        })
        .collect();
    Report::new(text, json!({ "seconds": seconds, "devices": devices }))
}
