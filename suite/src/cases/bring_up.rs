//! From nothing to an open device, and back.

use super::{close, open};
use crate::Bed;
use crate::drive::PATIENCE;
use crate::wrap::with_bus;
use igb::{Config, Error, Igb, Queues};
use igb_regs::{Faulty, Rule};

/// Opens and closes three times over: facts are the same, and no DMA memory stays.
pub fn opens_and_closes<B: Bed>(bed: &B) {
    let before = bed.allocated();
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let nic =
            Igb::probe(bed.platform(0), Config::default()).unwrap_or_else(|error| panic!("probe: {error}"));
        assert_eq!(nic.chip(), bed.chip());
        assert!(nic.address().is_valid_unicast(), "{}", nic.address());
        addresses.push(nic.address());
        drop(nic);
        let opened = open(bed, 0, Queues::combined(1));
        let link = opened.0.link().unwrap_or_else(|error| panic!("link: {error}"));
        assert_eq!((link.speed.mbps(), link.duplex), (1000, igb::Duplex::Full));
        close(bed, opened);
        assert_eq!(bed.allocated(), before, "memory is given back");
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 1);
}

/// Requests that cannot be met are refused by name, and leave the device usable.
pub fn bad_requests<B: Bed>(bed: &B) {
    let before = bed.allocated();
    let has = bed.chip().rx_queues() as u16;
    for count in [0, has + 1, u16::MAX] {
        let nic =
            Igb::probe(bed.platform(0), Config::default()).unwrap_or_else(|error| panic!("probe: {error}"));
        match bed.open(nic, Queues::combined(count)) {
            Err(Error::QueueCount { asked, has: said, .. }) => assert_eq!((asked, said), (count, has)),
            other => panic!("{count} queues: {other:?}"),
        }
    }
    for ring in [0, 8, 63, 65, 100, 4097, 8192, u32::MAX] {
        let nic =
            Igb::probe(bed.platform(0), Config::default()).unwrap_or_else(|error| panic!("probe: {error}"));
        match bed.open(nic, Queues::combined(1).rings(ring, 64)) {
            Err(Error::Ring(_)) => {}
            other => panic!("a ring of {ring}: {other:?}"),
        }
    }
    assert_eq!(bed.allocated(), before, "nothing half-made is left");
    let opened = open(bed, 0, Queues::combined(1));
    close(bed, opened);
}

/// Pulling the cable takes the link down, plugging it in brings it up again; both are noticed by the watchdog.
pub fn link_follows_the_cable<B: Bed>(bed: &B) {
    let opened = open(bed, 0, Queues::combined(1));
    let control = &opened.0;
    control.watchdog().unwrap_or_else(|error| panic!("watchdog: {error}"));
    for up in [false, true, false, true] {
        bed.set_cable(0, up);
        let seen = (0..PATIENCE).find_map(|_| {
            bed.tick();
            let health = control.watchdog().unwrap_or_else(|error| panic!("watchdog: {error}"));
            health.link.filter(|link| link.up == up)
        });
        assert!(seen.is_some(), "cable plugged: {up}, link: {:?}", control.link());
    }
    close(bed, opened);
}

/// The device leaves at the n-th access, for every n of probe, open and close: the error is `DeviceGone` or there is
/// none, and every byte of memory comes back.
pub fn gone_at_every_access<B: Bed>(bed: &B, step: u64) {
    let before = bed.allocated();
    let run = |rules: Vec<Rule>| {
        let (platform, bus) = with_bus(bed.platform(0), |bus| Faulty::new(bus, rules));
        let result = Igb::probe(platform, Config::default())
            .and_then(|nic| nic.open(Queues::combined(2)))
            .map(|opened| {
                let health = opened.0.watchdog();
                opened.0.close();
                health
            });
        (result, bus.accesses())
    };
    let (result, total) = run(Vec::new());
    assert!(matches!(result, Ok(Ok(_))), "{result:?}");
    assert!(total > 100, "{total} accesses");
    let mut n = 0;
    while n < total {
        let (result, _) = run(vec![Rule::Gone { access: n }]);
        match result {
            Err(Error::DeviceGone) | Ok(Err(Error::DeviceGone)) | Ok(Ok(_)) => {}
            other => panic!("gone at access {n} of {total}: {other:?}"),
        }
        assert_eq!(bed.allocated(), before, "gone at access {n} of {total}: memory");
        n += step;
    }
}
