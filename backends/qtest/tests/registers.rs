//! Registers and configuration space: what is read is what the device says, what is not there reads all ones.

mod nic;

use igb::{PciConfig, Platform};
use igb_qtest::{Cause, Error, Machine};
use igb_regs::{Bus, Fault};
use nic::{RAL0, STATUS, until};

#[test]
fn every_port_of_sixteen_is_an_82576_with_its_own_address() {
    let machine = (0..8).fold(Machine::builder(), |builder, _| builder.pair()).start().unwrap();
    let ports: Vec<_> = (0..machine.ports()).map(|index| machine.port(index).unwrap()).collect();
    assert_eq!(ports.len(), 16);
    for (index, port) in ports.iter().enumerate() {
        assert_eq!(port.pci().read32(0), 0x10c9_8086);
        assert_eq!(port.bar_len(), 128 << 10);
        assert_eq!(port.bus().read32(RAL0), 0x1200_5452, "52:54:00:12");
        assert_eq!(
            port.bus().read32(RAL0 + 4) & 0xffff,
            0x1034 + ((index as u32) << 8),
            "34:{:02x}",
            0x10 + index
        );
    }
}

#[test]
fn writes_are_posted_and_a_read_sees_them_all() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    let bus = port.bus();
    // More than may be outstanding, so that answers are read in between.
    for value in 0..1000 {
        bus.write32(RAL0, value);
    }
    assert_eq!(bus.read32(RAL0), 999);
}

#[test]
fn one_bus_serves_many_threads() {
    let machine = Machine::builder().pair().start().unwrap();
    let ports = [machine.port(0).unwrap(), machine.port(1).unwrap()];
    std::thread::scope(|scope| {
        for (index, port) in ports.iter().enumerate() {
            for part in 0..2_u32 {
                let bus = port.bus();
                scope.spawn(move || {
                    let register = RAL0 + 8 * (1 + part);
                    for i in 0..200 {
                        let value = i << 8 | part << 4 | index as u32;
                        bus.write32(register, value);
                        assert_eq!(bus.read32(register), value);
                    }
                });
            }
        }
    });
}

#[test]
fn offsets_outside_read_all_ones_and_harm_nothing() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    let bus = port.bus();
    for offset in [128 << 10, u32::MAX - 3, 2] {
        bus.write32(offset, 0);
        assert_eq!(bus.read32(offset), u32::MAX);
    }
    assert_eq!(port.pci().read32(4096), u32::MAX);
    assert_eq!(port.pci().read32(2), u32::MAX);
    assert_eq!(bus.fault(), None);
    assert_ne!(bus.read32(STATUS), u32::MAX);
}

#[test]
fn registers_follow_the_memory_bit_of_command() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    let bus = port.bus();
    port.pci().write32(0x04, 0);
    assert_eq!(bus.read32(STATUS), u32::MAX);
    assert_eq!(bus.fault(), Some(Fault::Gone));
    port.pci().write32(0x04, 2);
    assert_ne!(bus.read32(STATUS), u32::MAX);
    assert_eq!(bus.fault(), None);
}

#[test]
fn a_function_reset_leaves_registers_in_reach_and_the_device_quiet() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    assert!(port.start_mastering());
    port.bus().write32(nic::RCTL, 0x0400_8002);
    let pci = port.pci();
    let mut at = pci.read32(0x34) & 0xfc;
    while pci.read32(at as u16) & 0xff != 0x10 {
        at = pci.read32(at as u16) >> 8 & 0xfc;
        assert_ne!(at, 0, "no PCI Express capability");
    }
    let control = at as u16 + 8;
    pci.write32(control, pci.read32(control) & 0xffff | 1 << 15);
    assert_eq!(pci.read32(0x04) & 6, 2, "decoding, not mastering");
    assert_eq!(port.bus().read32(nic::RCTL), 0);
}

#[test]
fn mastering_can_be_stopped_and_started() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    assert_eq!(port.pci().read32(0x04) & 4, 0, "nobody asked for it yet");
    assert!(port.start_mastering());
    assert_eq!(port.pci().read32(0x04) & 6, 6);
    assert!(port.stop_mastering());
    assert_eq!(port.pci().read32(0x04) & 6, 2);
}

#[test]
fn a_port_is_somebodys_until_dropped() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    assert_eq!(machine.port(0).unwrap_err(), Error::InUse(0));
    assert_eq!(machine.port(2).unwrap_err(), Error::NoPort(2, 2));
    port.bus().write32(nic::RCTL, 0x0400_8002);
    let left = port.bus();
    drop(port);
    assert_eq!(left.read32(STATUS), u32::MAX, "what is left of a dropped platform reaches nothing");
    assert_eq!(
        machine.port(0).unwrap().bus().read32(nic::RCTL),
        0,
        "the next one finds a device fresh from reset"
    );
}

#[test]
fn a_killed_qemu_is_a_bus_that_answers_all_ones() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    let bus = port.bus();
    machine.kill();
    until("all ones", || bus.read32(STATUS) == u32::MAX);
    bus.write32(RAL0, 1);
    assert_eq!(bus.fault(), Some(Fault::Transport));
    assert_eq!(machine.broken(), Some(Cause::Ended));
    assert_eq!(port.pci().read32(0), u32::MAX);
    assert!(port.stop_mastering(), "a device that is gone obeys too");
    assert!(!port.start_mastering());
    drop(port);
    assert!(matches!(machine.port(0), Err(Error::Broken(Cause::Ended))));
}
