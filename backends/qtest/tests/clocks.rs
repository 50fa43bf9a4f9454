//! The machine's two times.

mod nic;

use embedded_hal::delay::DelayNs;
use igb::{Clock, Platform};
use igb_qtest::{Machine, Registers, Timing};
use igb_regs::Bus;
use nic::{Nic, SYSTIMH, SYSTIML, TIMINCA, until};
use std::time::Instant;

fn device_time(bus: &Registers) -> u64 {
    let low = bus.read32(SYSTIML); // latches the other half
    u64::from(bus.read32(SYSTIMH)) << 32 | u64::from(low)
}

#[test]
fn the_devices_clock_runs_in_real_time() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    let bus = port.bus();
    bus.write32(TIMINCA, 1 << 24 | 16 << 19);
    let (before, started) = (device_time(&bus), Instant::now());
    port.delay().delay_ms(20);
    let after = device_time(&bus);
    let real = started.elapsed().as_nanos() as u64;
    let device = (after - before) >> 19; // the unit is 2^-19 ns
    assert!((20_000_000..=real + 20_000_000).contains(&device), "{device} ns by the device, {real} ns by us");
}

#[test]
fn under_the_warp_clock_a_link_costs_no_time() {
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let nic = Nic::start(machine.port(0).unwrap());
    let clock = nic.port.clock();
    let (before, started) = (clock.now(), Instant::now());
    nic.port.delay().delay_ms(600_000);
    assert!(clock.now() - before >= core::time::Duration::from_secs(600), "the driver's time passed");
    assert!(started.elapsed().as_secs() < 60, "ours did not");
    nic.link_up();
}

#[test]
fn in_real_time_a_link_takes_half_a_second() {
    let machine = Machine::builder().pair().start().unwrap();
    let started = Instant::now();
    let nic = Nic::start(machine.port(0).unwrap());
    until("the link", || nic.bus.read32(nic::STATUS) & nic::LINK_UP != 0);
    assert!(started.elapsed().as_millis() >= 400);
}
