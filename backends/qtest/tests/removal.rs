//! A device that leaves: pulled, unplugged, hidden. And one that comes back.

mod nic;

use core::time::Duration;
use igb::{InterruptKind, PciConfig, Platform, Wait};
use igb_qtest::{Error, Machine, Timing};
use igb_regs::{Bus, Fault};
use nic::{Nic, STATUS, frame};

#[test]
fn a_slot_without_power_reads_all_ones() {
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let nics = [0, 1].map(|index| Nic::start(machine.port(index).unwrap()));
    let mut irqs = nics[0].msix();
    for nic in &nics {
        nic.link_up();
    }
    while irqs[2].wait(Duration::ZERO) {}
    let [a, b] = nics;
    machine.power_off(0).unwrap();
    assert_eq!(a.bus.read32(STATUS), u32::MAX);
    assert_eq!(a.bus.fault(), Some(Fault::Gone));
    assert_eq!(a.port.pci().read32(0), u32::MAX);
    assert!(a.port.stop_mastering());
    assert_eq!(a.port.enable_interrupts(InterruptKind::MsiX, 3), None);
    assert!(!irqs[0].wait(Duration::from_millis(1)));
    assert_eq!(machine.port(0).unwrap_err(), Error::NoDevice(0));
    assert_ne!(b.bus.read32(STATUS), u32::MAX, "the other port stays");

    machine.power_on(0).unwrap();
    assert_eq!(a.bus.read32(STATUS), u32::MAX, "who had it has lost it");
    let mut nics = [Nic::start(machine.port(0).unwrap()), b];
    nics[0].link_up();
    let [a, b] = &mut nics;
    a.send(&frame(300, 1));
    assert_eq!(b.receive(), frame(300, 1), "the device that came back works");
}

#[test]
fn an_unplugged_device_does_not_come_back() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    machine.unplug(0).unwrap();
    assert_eq!(port.bus().read32(STATUS), u32::MAX);
    assert_eq!(port.bus().fault(), Some(Fault::Gone));
    drop(port);
    machine.power_on(0).unwrap();
    assert_eq!(machine.port(0).unwrap_err(), Error::NoDevice(0));
    assert!(matches!(machine.unplug(0), Err(Error::Refused(_))));
    assert_ne!(machine.port(1).unwrap().bus().read32(STATUS), u32::MAX);
}

#[test]
fn a_shut_window_hides_registers_and_nothing_else() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    let bus = port.bus();
    machine.set_window(0, false).unwrap();
    assert_eq!(bus.read32(STATUS), u32::MAX);
    assert_eq!(bus.fault(), Some(Fault::Gone));
    assert_eq!(port.pci().read32(0), 0x10c9_8086);
    machine.set_window(0, true).unwrap();
    assert_ne!(bus.read32(STATUS), u32::MAX);
    assert_eq!(bus.fault(), None);
}

#[test]
fn nobody_sees_zeros_while_the_device_is_pulled_under_him() {
    let machine = Machine::builder().pair().start().unwrap();
    for _ in 0..3 {
        let port = machine.port(0).unwrap();
        let bus = port.bus();
        let reader = std::thread::spawn(move || {
            loop {
                match bus.read32(STATUS) {
                    0 => return false,
                    u32::MAX => return true,
                    _ => {}
                }
            }
        });
        machine.power_off(0).unwrap();
        assert!(reader.join().unwrap(), "all ones, never zero");
        machine.power_on(0).unwrap();
    }
}
