//! How long QEMU lives: as long as anything of its machine does, and never longer than we do.

mod nic;

use igb::Platform;
use igb_qtest::{Machine, Timing};
use igb_regs::Bus;
use nic::{STATUS, until};
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn runs(process: u32) -> bool {
    PathBuf::from(format!("/proc/{process}/stat")).exists()
}

#[test]
fn qemu_ends_with_the_last_handle() {
    let machine = Machine::builder().pair().start().unwrap();
    let process = machine.process_id();
    let port = machine.port(0).unwrap();
    let bus = port.bus();
    drop(machine);
    assert_ne!(bus.read32(STATUS), u32::MAX, "the port keeps it");
    drop(port);
    assert!(runs(process), "so does a bus");
    drop(bus);
    assert!(!runs(process));
}

#[test]
fn a_machine_outlives_the_thread_that_made_it() {
    let make = || Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let machine = std::thread::spawn(make).join().unwrap();
    let port = machine.port(0).unwrap();
    for _ in 0..100 {
        assert_ne!(port.bus().read32(STATUS), u32::MAX);
    }
}

/// Not a test of its own: what [`qemu_does_not_outlive_us`] runs in a process that dies.
#[test]
fn victim() {
    if std::env::var_os("IGB_QTEST_VICTIM").is_some() {
        let machine = Machine::builder().pair().start().unwrap();
        eprintln!("qemu is {}", machine.process_id());
        std::process::exit(9); // the destructor does not run
    }
}

#[test]
fn qemu_does_not_outlive_us() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--nocapture"])
        .env("IGB_QTEST_VICTIM", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success(), "it was to die");
    let said = String::from_utf8_lossy(&output.stderr);
    let number = said.split("qemu is ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let process: u32 = number.expect(&said).parse().unwrap();
    until("the end of QEMU", || !runs(process));
}
