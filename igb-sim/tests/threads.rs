//! Several threads on one world: two devices send to each other; and a cable that damages what it carries.

mod bench;

use bench::{Ring, SRRCTL_ONE_BUFFER, frame, rx, start, wait_link};
use core::time::Duration;
use igb_regs::Chip;
use igb_sim::{Delivery, Time, World};
use std::sync::atomic::{AtomicU32, Ordering};

/// Frames that may be on their way: fewer than the ring, so that none is missed however threads are scheduled.
const WINDOW: u32 = 200;
const FRAMES: u32 = 2000;

#[test]
fn two_devices_at_once() {
    for time in [Time::Virtual, Time::Real] {
        let world = World::builder().time(time).build();
        let devices = [world.add(Chip::I82576), world.add(Chip::I350)];
        let wire = world.wire(&devices[0], &devices[1]);
        let tap = wire.tap();
        devices.iter().for_each(start);
        devices.iter().for_each(wait_link);
        let got = [AtomicU32::new(0), AtomicU32::new(0)];
        let rings = [0, 1].map(|index| {
            let receiver = Ring::receive(&world, &devices[index], 0, 256, SRRCTL_ONE_BUFFER | 2);
            (receiver, Ring::transmit(&world, &devices[index], 0, 64))
        });
        std::thread::scope(|scope| {
            for (index, (mut receiver, mut sender)) in rings.into_iter().enumerate() {
                let (device, world, got) = (&devices[index], &world, &got);
                scope.spawn(move || {
                    let mut sent = 0;
                    for _ in 0..1_000_000 {
                        let arrived = got[1 - index].load(Ordering::Relaxed);
                        if sent < FRAMES && sent - arrived < WINDOW {
                            sender.send(device, &frame([0xff; 6], sent, 100));
                            sent += 1;
                        }
                        while receiver.take().is_some() {
                            got[index].fetch_add(1, Ordering::Relaxed);
                            device.write(rx(0) + 0x18, (receiver.next + 255) % 256);
                        }
                        if got[index].load(Ordering::Relaxed) == FRAMES && arrived == FRAMES {
                            break;
                        }
                        world.advance(Duration::from_micros(1));
                        std::thread::yield_now();
                    }
                });
            }
        });
        assert_eq!(got.map(AtomicU32::into_inner), [FRAMES; 2]);
        assert_eq!(tap.take().len(), 2 * FRAMES as usize);
        assert_eq!(world.violations(), []);
    }
}

#[test]
fn a_bad_cable() {
    let world = World::new();
    let (a, b) = (world.add(Chip::I210), world.add(Chip::I211));
    let wire = world.wire(&a, &b);
    start(&a);
    start(&b);
    wait_link(&a);
    wire.impair(|number, _| match number % 4 {
        1 => Delivery::Drop,
        2 => Delivery::BadCrc,
        _ => Delivery::Pass,
    });
    let _receiver = Ring::receive(&world, &b, 0, 64, SRRCTL_ONE_BUFFER | 2);
    let mut sender = Ring::transmit(&world, &a, 0, 64);
    for number in 0..40 {
        sender.send(&a, &frame([0xff; 6], number, 60));
    }
    assert_eq!((a.read(0x4080), b.read(0x4074), b.read(0x4000)), (40, 20, 10), "GPTC, GPRC, CRCERRS");
    assert!(b.forge(0, 3, 0, 0xffff_0000_0003) && !b.forge(0, 64, 0, 0) && !b.forge(9, 0, 0, 0));
}
