//! The cases of two joined ports, tried where both ends are known: the simulator's chips and QEMU's 82576.

use igb::{Chip, InterruptKind};
use igb_qtest::Timing;
use igb_suite::beds::Cables::Joined;
use igb_suite::{Qemu, Simulated, pair};

fn simulated(each: impl Fn(&Simulated)) {
    for chip in [Chip::I210, Chip::I350, Chip::I82576] {
        each(&Simulated::new(chip, Joined));
    }
}

fn real(each: impl Fn(&Simulated)) {
    for chip in [Chip::I210, Chip::I350, Chip::I82576] {
        each(&Simulated::real_time(chip, Joined));
    }
}

fn qemu() -> Qemu {
    Qemu::new(Joined, Timing::Real, true)
}

#[test]
fn opens_and_closes() {
    simulated(pair::opens_and_closes);
    pair::opens_and_closes(&qemu());
}

#[test]
fn every_length_both_ways() {
    simulated(|bed| pair::every_length_both_ways(bed, 1500));
    pair::every_length_both_ways(&qemu(), 1500);
}

#[test]
fn rings_wrap() {
    simulated(|bed| pair::ring_wraps(bed, 64));
    pair::ring_wraps(&qemu(), 64);
}

#[test]
fn forwards_without_copy() {
    simulated(|bed| pair::forwards_without_copy(bed, 20));
    pair::forwards_without_copy(&qemu(), 20);
}

#[test]
fn spreads_flows() {
    simulated(|bed| pair::spreads_flows(bed, 4));
    pair::spreads_flows(&qemu(), 8);
}

#[test]
fn interrupts() {
    pair::every_vector(&qemu(), 4);
    for kind in [&[InterruptKind::MsiX], &[InterruptKind::Msi], &[InterruptKind::Intx]] {
        pair::wakes_on_frames(&qemu(), kind, 5);
        real(|bed| pair::wakes_on_frames(bed, kind, 5));
    }
}

#[test]
fn resets_under_traffic() {
    pair::resets_under_traffic(&qemu(), 2);
}

#[test]
fn resets_under_traffic_simulated() {
    real(|bed| pair::resets_under_traffic(bed, 2));
}

#[test]
fn quiet_after_close() {
    simulated(pair::quiet_after_close);
    pair::quiet_after_close(&qemu());
}

#[test]
fn decoding_off() {
    pair::decoding_off(&qemu());
}
