//! Register sequences, to be read beside the datasheet: every access of probe, open, reset and close in order, decoded.
//!
//! They show what the driver does. That it is right is shown by the same sequences working on the simulator and, for the
//! 82576, on QEMU.

use igb::{Chip, Config, Igb, Platform, Queues};
use igb_regs::Recorder;
use igb_suite::beds::{Cables, Ports, Simulated};
use igb_suite::wrap::with_bus;
use std::time::Duration;

fn sequences(chip: Chip) -> String {
    let bed = Simulated::new(chip, Cables::Joined);
    // The far end brings the link up.
    let (far, far_queues) = Igb::probe(bed.platform(1), Config::default())
        .and_then(|nic| nic.open(Queues::combined(1)))
        .unwrap_or_else(|error| panic!("far end: {error}"));
    let (platform, recorder) = with_bus(bed.platform(0), Recorder::new);
    let mut text = String::new();
    let mut part = |name: &str| {
        text += &format!("# {name}\n{}\n", folded(&recorder.text(chip)));
    };
    let nic = Igb::probe(platform, Config::default()).unwrap_or_else(|error| panic!("probe: {error}"));
    part("probe");
    let (control, queues) = nic.open(Queues::combined(2)).unwrap_or_else(|error| panic!("open: {error}"));
    part("open, two queues");
    control.wait_link(Duration::from_secs(10)).unwrap_or_else(|error| panic!("link: {error}"));
    let _ = recorder.take();
    control.watchdog().unwrap_or_else(|error| panic!("watchdog: {error}"));
    part("watchdog, link up");
    drop(queues);
    control.reset().unwrap_or_else(|error| panic!("reset: {error}"));
    part("reset, no queue living");
    control.close();
    part("close");
    assert!(control.platform().pci_is_quiet());
    far.close();
    drop(far_queues);
    text
}

/// The NVM is read word by word: a run of that is one line.
fn folded(text: &str) -> String {
    let mut out = String::new();
    let mut run = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        run += usize::from(line.starts_with("W EERD"));
        if !line.get(2..).is_some_and(|rest| rest.starts_with("EERD")) {
            out += line;
            out.push('\n');
        } else if !lines.peek().is_some_and(|next| next[2..].starts_with("EERD")) {
            out += &format!("  EERD           {run} words read\n");
            run = 0;
        }
    }
    out
}

trait Quiet {
    fn pci_is_quiet(&self) -> bool;
}

impl<P: Platform> Quiet for P {
    /// Bus mastering is off.
    fn pci_is_quiet(&self) -> bool {
        use igb::PciConfig;
        self.pci().read32(4) & 4 == 0
    }
}

#[test]
fn i82576() {
    insta::assert_snapshot!(sequences(Chip::I82576));
}

#[test]
fn i350() {
    insta::assert_snapshot!(sequences(Chip::I350));
}

#[test]
fn i210() {
    insta::assert_snapshot!(sequences(Chip::I210));
}
