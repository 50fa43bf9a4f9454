//! Frames: real DMA in both directions, by hub and by wire, below and above 4 GiB.

mod nic;

use igb::Platform;
use igb_qtest::{Connect, Machine, Timing};
use igb_ring::Dma;
use nic::{LIMIT, Nic, RING, frame, until};

fn pair(machine: &Machine) -> [Nic; 2] {
    let nics = [0, 1].map(|index| Nic::start(machine.port(index).unwrap()));
    for nic in &nics {
        nic.link_up();
    }
    nics
}

fn exchange([a, b]: &mut [Nic; 2]) {
    for (round, len) in (60..=1514).step_by(97).enumerate() {
        let out = frame(len, round as u32);
        a.send(&out);
        assert_eq!(b.receive(), out, "{len} bytes there");
        b.send(&out);
        assert_eq!(a.receive(), out, "{len} bytes back");
    }
}

#[test]
fn a_hub_joins_two_ports() {
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    exchange(&mut pair(&machine));
}

#[test]
fn the_link_comes_in_real_time_too() {
    let machine = Machine::builder().pair().start().unwrap();
    exchange(&mut pair(&machine));
}

#[test]
fn memory_above_four_gigabytes_is_reached() {
    let machine = Machine::builder().pair().high_memory().timing(Timing::Warp).start().unwrap();
    let mut nics = pair(&machine);
    assert!(nics[0].tx_buffer(0) >= 4 << 30);
    exchange(&mut nics);
}

#[test]
fn three_hubs_stay_apart() {
    let machine = Machine::builder().pair().pair().pair().timing(Timing::Warp).start().unwrap();
    let mut nics: Vec<Nic> = (0..6).map(|index| Nic::start(machine.port(index).unwrap())).collect();
    for nic in &nics {
        nic.link_up();
    }
    for from in 0..6 {
        let out = frame(100, from as u32);
        nics[from].send(&out);
        assert_eq!(nics[from ^ 1].receive(), out);
        for (other, nic) in nics.iter_mut().enumerate() {
            assert!(nic.poll().is_none(), "port {other} heard port {from}");
        }
    }
}

#[test]
fn a_wire_ends_in_this_process() {
    let machine = Machine::builder().port(Connect::Wire).timing(Timing::Warp).start().unwrap();
    let wire = machine.take_wire(0).unwrap();
    assert!(machine.take_wire(0).is_none(), "once");
    let mut nic = Nic::start(machine.port(0).unwrap());
    nic.link_up();
    for seed in 0..2 * RING {
        let out = frame(64 + seed as usize, seed);
        nic.send(&out);
        assert_eq!(wire.recv(LIMIT).unwrap(), out);
        assert!(wire.send(&out));
        assert_eq!(nic.receive(), out);
    }
    assert!(wire.send(&frame(20, 1)));
    assert_eq!(nic.receive().len(), 60, "QEMU pads what is too short");
    assert_eq!(wire.recv(core::time::Duration::ZERO), None);
}

#[test]
fn a_full_ring_holds_frames_back_and_loses_none() {
    let machine = Machine::builder().port(Connect::Wire).timing(Timing::Warp).start().unwrap();
    let wire = machine.take_wire(0).unwrap();
    let mut nic = Nic::start(machine.port(0).unwrap());
    nic.link_up();
    for seed in 0..3 * RING {
        assert!(wire.send(&frame(64, seed)));
    }
    for seed in 0..3 * RING {
        assert_eq!(nic.receive(), frame(64, seed), "frame {seed}");
    }
}

#[test]
fn a_device_that_may_not_master_the_bus_moves_nothing() {
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let [mut a, mut b] = pair(&machine);
    assert!(a.port.stop_mastering());
    a.send_from(a.tx_buffer(0), 64);
    assert_ne!(igb_regs::Bus::read32(&a.bus, nic::STATUS), u32::MAX); // the doorbell has been answered
    assert!(!a.sent(0));
    assert!(b.poll().is_none());
}

#[test]
fn memory_is_shared_by_the_ports_of_one_machine_only() {
    let one = Machine::builder().pair().start().unwrap();
    let other = Machine::builder().pair().start().unwrap();
    let ports = [one.port(0).unwrap(), one.port(1).unwrap(), other.port(0).unwrap()];
    let [a, b, c] = ports.each_ref().map(|port| port.dma().domain());
    assert_eq!(a, b);
    assert_ne!(a, c);
}

#[test]
fn buffers_survive_the_machine() {
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let [mut a, mut b] = pair(&machine);
    a.send(&frame(200, 9));
    machine.kill();
    drop(machine);
    assert_eq!(b.receive(), frame(200, 9), "what arrived before is still there");
    until("the bus", || igb_regs::Bus::read32(&b.bus, nic::STATUS) == u32::MAX);
}
