//! `info`: what a device says of itself.

use super::run::seconds;
use crate::args::Info;
use crate::failure::Failure;
use crate::machine::{self, Job, Opening};
use crate::nic::{Probed, wait_links};
use crate::output::Report;
use crate::rates::Rates;
use crate::stop::Stop;
use crate::table::Table;
use igb::{InterruptKind, PciConfig, Platform, Wait};
use serde_json::json;
use std::time::Duration;

/// `info`.
pub(crate) fn info(options: Info) -> Result<Report, Failure> {
    let wait = seconds(options.wait)?;
    machine::run(
        &[&options.device],
        Opening::small(options.take),
        InfoJob { name: options.device.to_string(), wait },
    )
}

struct InfoJob {
    name: String,
    wait: Duration,
}

impl Job for InfoJob {
    fn run<P: Platform<Irq: Wait>>(self, devices: Vec<P>, stop: &Stop) -> Result<Report, Failure> {
        let Self { name, wait } = self;
        let Some(platform) = devices.into_iter().next() else {
            return Err(Failure::Usage("no device".into()));
        };
        let revision = platform.pci().read32(0x08) & 0xff;
        let probed = Probed::new(&*name, platform)?;
        let (device, chip) = (probed.igb.device(), probed.igb.chip());
        let (address, firmware, phy) = (probed.igb.address(), probed.igb.firmware(), probed.igb.phy());
        let mut nic = probed.open(1, 64)?;
        wait_links(&mut [&mut nic], stop, Some(wait), &mut Rates::new())?;
        let link = nic.control.link().map_err(|error| nic.fail(error))?;
        let interrupts = nic.control.interrupt_kind().map_or("none", InterruptKind::as_str);

        let mut table = Table::new(["device".to_owned(), name.clone()]);
        let mut row = |title: &str, value: String| table.row([title.to_owned(), value]);
        row("chip", chip.to_string());
        row("name", device.name.to_owned());
        row("PCI ID", format!("8086:{:04x} revision {revision:02x}", device.id));
        row("medium", format!("{:?}", device.media).to_lowercase());
        row("address", address.to_string());
        row("firmware", firmware.to_string());
        row("PHY", phy.to_string());
        row("link", link.to_string());
        row("queues", format!("{} receive, {} transmit", chip.rx_queues(), chip.tx_queues()));
        row("address filters", chip.rar_entries().to_string());
        row(
            "interrupts",
            format!("{interrupts}, {} of {} vectors", nic.control.vectors(), chip.msix_vectors()),
        );
        let json = json!({
            "device": name,
            "chip": chip.name(),
            "name": device.name,
            "pci": { "vendor": 0x8086, "device": device.id, "revision": revision },
            "medium": format!("{:?}", device.media).to_lowercase(),
            "address": address.to_string(),
            "firmware": firmware.to_string(),
            "phy": phy.to_string(),
            "link": { "up": link.up, "text": link.to_string() },
            "rx_queues": chip.rx_queues(),
            "tx_queues": chip.tx_queues(),
            "address_filters": chip.rar_entries(),
            "interrupt_kind": interrupts,
            "msix_vectors": chip.msix_vectors(),
        });
        Ok(Report::new(table.render(0), json).failing(stop.failure()))
    }
}
