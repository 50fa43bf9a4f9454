//! What a host does not have is done without: MSI-X, then MSI, then the line, then polling if that was asked for.

use igb::{Action, Chip, Config, Error, Igb, InterruptKind, Queues};
use igb_sim::{DeviceSpec, World};
use std::time::Duration;

fn without(kinds: &[InterruptKind]) -> (World, igb_sim::Device) {
    let world = World::new();
    let spec = kinds.iter().fold(DeviceSpec::new(Chip::I350), |spec, kind| spec.without(*kind));
    let device = world.attach(spec);
    (world, device)
}

#[test]
fn the_next_best_is_taken() {
    use InterruptKind::{Intx, Msi, MsiX};
    for (missing, taken) in [(&[][..], MsiX), (&[MsiX], Msi), (&[MsiX, Msi], Intx)] {
        let (world, device) = without(missing);
        let wire = world.hold(&device);
        let nic = Igb::probe(device.platform(), Config::default()).expect("probes");
        let (control, mut queues) = nic.open(Queues::combined(2)).expect("opens");
        assert_eq!(control.interrupt_kind(), Some(taken), "without {missing:?}");
        control.wait_link(Duration::from_secs(10)).expect("the link is up");
        // Both queues are served, whether or not they share the one interrupt.
        let mut irq = queues[0].take_irq().expect("the first to take it");
        assert!(wire.send(&[0xff; 60]));
        let mut came = 0;
        for _ in 0..10 {
            came += queues[0]
                .poll_or_wait(&mut irq, Duration::from_millis(50), 64, |frame, _| Action::Recycle(frame))
                .expect("polls");
            came += queues[1].poll(64, |frame, _| Action::Recycle(frame)).expect("polls");
        }
        assert_eq!(came, 1, "without {missing:?}");
        control.close();
    }
}

#[test]
fn none_at_all_is_an_error_unless_polling_was_asked_for() {
    use InterruptKind::{Intx, Msi, MsiX};
    let (_world, device) = without(&[MsiX, Msi, Intx]);
    let nic = Igb::probe(device.platform(), Config::default()).expect("probes");
    assert_eq!(nic.open(Queues::combined(1)).map(drop), Err(Error::NoInterrupts));
    let nic = Igb::probe(device.platform(), Config::default().interrupts(&[])).expect("probes");
    let (control, queues) = nic.open(Queues::combined(1)).expect("polls");
    assert_eq!((control.interrupt_kind(), control.vectors()), (None, 0));
    control.close();
    drop(queues);
}

#[test]
fn vectors_are_as_many_as_the_table_has() {
    let world = World::new();
    let device = world.attach(DeviceSpec::new(Chip::I82576).vectors(3));
    let nic = Igb::probe(device.platform(), Config::default()).expect("probes");
    let (control, queues) = nic.open(Queues::combined(8)).expect("opens");
    assert_eq!((control.interrupt_kind(), control.vectors()), (Some(InterruptKind::MsiX), 3));
    assert!(queues.iter().all(|queue| queue.vector() < 2), "queues share all but the last");
    control.close();
}
