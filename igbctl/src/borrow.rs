//! Functions that a command takes from their drivers for as long as it runs.
//!
//! They go back however the command ends: by itself, by an error, by Ctrl-C or SIGTERM, by a panic. After SIGKILL, and after
//! a second Ctrl-C, `igbctl unbind` does it: who had them stands in `/run/igb-vfio`.

use crate::failure::Failure;
use crate::mend::{check_family, check_groups};
use crate::output::Report;
use igb_vfio::{Address, Change, Error, Host};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// What was taken.
#[derive(Debug)]
pub(crate) struct Borrowed {
    host: Host,
    taken: Vec<Address>,
}

impl Borrowed {
    /// Gives these functions to vfio-pci. All or none: what one refuses, the others get back.
    pub(crate) fn take(host: Host, addresses: &[Address]) -> Result<Self, Failure> {
        for address in addresses {
            host.check_bind(*address, false)?;
        }
        check_family(&host, addresses)?;
        check_groups(&host, addresses)?;
        let mut borrowed = Self { host, taken: Vec::new() };
        for address in addresses {
            let Change { from, to } = borrowed.host.bind(*address, false)?;
            if from != to {
                borrowed.taken.push(*address);
            }
        }
        Ok(borrowed)
    }

    /// Gives them back, and says so in what the command reports.
    pub(crate) fn after(mut self, result: Result<Report, Failure>) -> Result<Report, Failure> {
        let (mut text, mut list, mut failed) = (String::new(), Vec::new(), None);
        for (address, back) in self.give_back() {
            match back {
                Ok(Change { to, .. }) => {
                    let driver = to.map(|driver| driver.to_string());
                    let _ =
                        writeln!(text, "{address}: {} has it again", driver.as_deref().unwrap_or("nobody"));
                    list.push(json!({ "address": address.to_string(), "driver": driver }));
                }
                Err(error) => {
                    let _ = writeln!(text, "{address}: not given back; try igbctl unbind {address}");
                    failed.get_or_insert(error);
                }
            }
        }
        match result {
            Ok(mut report) => {
                report.text.push_str(&text);
                if let Value::Object(map) = &mut report.json {
                    map.insert("given_back".into(), list.into());
                }
                report.failure = report.failure.or(failed.map(Failure::from));
                Ok(report)
            }
            Err(failure) => {
                let _ = text.lines().try_for_each(|line| writeln!(std::io::stderr(), "igbctl: {line}"));
                Err(failure)
            }
        }
    }

    fn give_back(&mut self) -> Vec<(Address, Result<Change, Error>)> {
        let taken = core::mem::take(&mut self.taken);
        taken.into_iter().rev().map(|address| (address, self.unbind(address))).collect()
    }

    /// What a thread of ours still holds, a reset for instance, it lets go of in a moment.
    fn unbind(&self, address: Address) -> Result<Change, Error> {
        for _ in 0..40 {
            match self.host.unbind(address) {
                Err(Error::Busy { holder: Some(holder), .. }) if holder.pid == std::process::id() => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => return other,
            }
        }
        self.host.unbind(address)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        for (address, back) in self.give_back() {
            if let Err(error) = back {
                let _ = writeln!(std::io::stderr(), "igbctl: {address}: not given back: {error}");
            }
        }
    }
}
