//! Interrupts reach a waiting thread: each MSI-X vector, MSI, and the INTx line.

mod nic;

use core::time::Duration;
use igb::{InterruptKind, Platform, Wait};
use igb_qtest::{Machine, Timing};
use igb_regs::Bus;
use nic::{EICS, EIMS, GPIE, ICR, ICS, IMS, IVAR_MISC, LIMIT, LSC, Nic, STATUS, frame, until};

fn pair(machine: &Machine) -> [Nic; 2] {
    [0, 1].map(|index| Nic::start(machine.port(index).unwrap()))
}

#[test]
fn each_msix_vector_wakes_its_own_waiter() {
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let nics = pair(&machine);
    let mut irqs = nics.each_ref().map(Nic::msix);
    for nic in &nics {
        nic.link_up();
    }
    for irqs in &mut irqs {
        assert!(irqs[2].wait(LIMIT), "the link came up");
    }
    for port in 0..2 {
        for vector in 0..3 {
            nics[port].bus.write32(EIMS, 7);
            nics[port].bus.write32(EICS, 1 << vector);
            assert!(irqs[port][vector].wait(LIMIT), "port {port} vector {vector}");
            for irq in irqs.iter_mut().flatten() {
                assert!(!irq.wait(Duration::ZERO), "only that one, and once");
            }
        }
    }
}

#[test]
fn frames_wake_a_sleeping_thread_and_none_is_missed() {
    const FRAMES: u32 = 100;
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let [mut a, mut b] = pair(&machine);
    let mut irqs = b.msix();
    a.link_up();
    b.link_up();
    // One frame at a time: the receiver is asleep, or about to be, whenever one comes.
    let (taken, next) = std::sync::mpsc::channel();
    let receiver = std::thread::spawn(move || {
        for seed in 0..FRAMES {
            let got = loop {
                if let Some(got) = b.poll() {
                    break got;
                }
                assert!(irqs[0].wait(LIMIT), "frame {seed}: no interrupt");
                b.bus.write32(EIMS, 7);
            };
            assert_eq!(got, frame(64, seed));
            taken.send(seed).unwrap();
        }
    });
    for seed in 0..FRAMES {
        a.send(&frame(64, seed));
        assert_eq!(next.recv_timeout(LIMIT), Ok(seed));
    }
    receiver.join().unwrap();
}

#[test]
fn more_vectors_than_the_device_has_are_cut() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    assert_eq!(port.enable_interrupts(InterruptKind::MsiX, 0), None);
    assert_eq!(port.enable_interrupts(InterruptKind::MsiX, 64), Some(10), "QEMU's table has ten");
    assert!((0..10).all(|vector| port.take_irq(vector).is_some()));
    assert!(port.take_irq(0).is_none(), "once");
    assert!(port.take_irq(10).is_none());
    assert_eq!(port.enable_interrupts(InterruptKind::MsiX, 1), Some(1));
    assert!(port.take_irq(0).is_some(), "once each time");
    port.disable_interrupts();
    assert!(port.take_irq(0).is_none());
}

#[test]
fn msi_carries_all_causes() {
    let machine = Machine::builder().pair().start().unwrap();
    for index in 0..2 {
        let port = machine.port(index).unwrap();
        let bus = port.bus();
        assert!(port.start_mastering());
        assert_eq!(port.enable_interrupts(InterruptKind::Msi, 4), Some(1));
        let mut irq = port.take_irq(0).unwrap();
        bus.write32(IMS, LSC);
        for _ in 0..3 {
            assert!(!irq.wait(Duration::ZERO));
            bus.write32(ICS, LSC);
            assert!(irq.wait(LIMIT), "port {index}");
            assert_eq!(bus.read32(ICR) & LSC, LSC);
        }
    }
}

#[test]
fn intx_is_high_until_the_cause_is_read() {
    let machine = Machine::builder().pair().start().unwrap();
    for index in 0..2 {
        let port = machine.port(index).unwrap();
        let bus = port.bus();
        assert_eq!(port.enable_interrupts(InterruptKind::Intx, 4), Some(1));
        let mut irq = port.take_irq(0).unwrap();
        bus.write32(IMS, LSC);
        for _ in 0..3 {
            assert!(!irq.wait(Duration::ZERO));
            bus.write32(ICS, LSC);
            assert!(irq.wait(LIMIT), "port {index}");
            assert!(irq.wait(Duration::ZERO), "still high");
            assert_eq!(bus.read32(ICR) & LSC, LSC);
        }
        assert!(!irq.wait(Duration::ZERO));
    }
}

#[test]
fn intx_reaches_a_thread_that_sleeps_while_nobody_talks_to_qemu() {
    let machine = Machine::builder().pair().start().unwrap();
    let port = machine.port(0).unwrap();
    let bus = port.bus();
    assert_eq!(port.enable_interrupts(InterruptKind::Intx, 1), Some(1));
    let mut irq = port.take_irq(0).unwrap();
    bus.write32(IMS, LSC);
    // The cable falls out half a second from now at the earliest: negotiation ends with a link change, in QEMU's own time.
    let nic = Nic::start(port);
    assert!(irq.wait(LIMIT));
    assert_ne!(nic.bus.read32(ICR) & LSC, 0);
}

#[test]
fn nothing_is_delivered_after_disabling() {
    let machine = Machine::builder().pair().start().unwrap();
    for kind in [InterruptKind::MsiX, InterruptKind::Msi, InterruptKind::Intx] {
        let port = machine.port(0).unwrap();
        let bus = port.bus();
        assert!(port.start_mastering());
        assert_eq!(port.enable_interrupts(kind, 1), Some(1));
        let mut irq = port.take_irq(0).unwrap();
        if kind == InterruptKind::MsiX {
            bus.write32(GPIE, 0xc000_0011);
            bus.write32(IVAR_MISC, 0x8000);
            bus.write32(EIMS, 1);
        }
        bus.write32(IMS, LSC);
        bus.write32(ICS, LSC);
        assert!(irq.wait(LIMIT), "{kind}: it comes while it may");
        bus.read32(ICR);
        port.disable_interrupts();
        bus.write32(EIMS, 1);
        bus.write32(ICS, LSC);
        assert_ne!(bus.read32(STATUS), u32::MAX, "the device has acted");
        assert!(!irq.wait(Duration::ZERO), "{kind}");
        let mut count = [0; 8];
        assert_eq!(
            rustix::io::read(&irq, &mut count),
            Err(rustix::io::Errno::AGAIN),
            "{kind}: nor by its descriptor"
        );
    }
}

#[test]
fn a_cable_pulled_out_is_an_interrupt() {
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let nics = pair(&machine);
    let mut irqs = nics[1].msix();
    for nic in &nics {
        nic.link_up();
    }
    assert!(irqs[2].wait(LIMIT));
    for up in [false, true] {
        nics[1].bus.read32(ICR);
        nics[1].bus.write32(EIMS, 7);
        machine.set_link(1, up).unwrap();
        assert!(irqs[2].wait(LIMIT), "cable {up}");
        until("the link", || (nics[1].bus.read32(STATUS) & nic::LINK_UP != 0) == up);
        assert_ne!(nics[0].bus.read32(STATUS) & nic::LINK_UP, 0, "the other end does not notice");
    }
}
