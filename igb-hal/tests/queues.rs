//! Queues on and off, and counters.

mod device;
use device::*;
use igb_hal::{Chip, Error, RingAt, RxQueueConfig, Statistics, TxQueueConfig};

const RING: RingAt = RingAt { base: 0x12_3456_7880, bytes: 4096 };

#[test]
fn a_receive_queue_starts_in_the_datasheets_order() {
    let (fake, mut time) = (Fake::new(Chip::I210), Time::default());
    let config = RxQueueConfig { drop_when_empty: true, ..RxQueueConfig::for_chip(Chip::I210) };
    mac(&fake).start_rx_queue(1, RING, &config, &mut time).expect("starts");
    let expected = [
        (0x2928, 0),
        (0x2900, 0x3456_7880),
        (0x2904, 0x12),
        (0x2908, 4096),
        (0x2910, 0),
        (0x2918, 0),
        (0x290C, 0x8200_0002),
        (0xC078, 0x8000_0000),
        (0x2928, 0x0204_0808),
    ];
    assert_eq!(*fake.log.borrow(), expected);
}

#[test]
fn a_transmit_queue_starts_in_the_datasheets_order() {
    let (fake, mut time) = (Fake::new(Chip::I82576), Time::default());
    mac(&fake).start_tx_queue(15, RING, &TxQueueConfig::for_chip(Chip::I82576), &mut time).expect("starts");
    let expected = [
        (0xE3E8, 0),
        (0xE3C0, 0x3456_7880),
        (0xE3C4, 0x12),
        (0xE3C8, 4096),
        (0xE3D0, 0),
        (0xE3D8, 0),
        (0xE3E8, 0x0201_0108),
    ];
    assert_eq!(*fake.log.borrow(), expected);
    assert_eq!(mac(&fake).tx_tail(15).offset(), 0xE3D8);
    assert_eq!(mac(&fake).rx_tail(3).offset(), 0x2B18);
}

#[test]
fn what_the_hardware_does_not_take() {
    for chip in Chip::ALL.iter().copied() {
        let (fake, mut time) = (Fake::new(chip), Time::default());
        let mac = mac(&fake);
        let (rx, tx) = (RxQueueConfig::for_chip(chip), TxQueueConfig::for_chip(chip));
        let has = chip.rx_queues();
        assert_eq!(mac.start_rx_queue(has, RING, &rx, &mut time), Err(Error::QueueIndex { queue: has, has }));
        assert!(matches!(mac.stop_tx_queue(usize::MAX, &mut time), Err(Error::QueueIndex { .. })));
        for (base, bytes) in [(0x40, 4096), (0, 0), (0, 64), (0, 0x8_0080), (0, 4097)] {
            let ring = RingAt { base, bytes };
            assert_eq!(mac.start_rx_queue(0, ring, &rx, &mut time), Err(Error::Ring { base, bytes }));
            assert_eq!(mac.start_tx_queue(0, ring, &tx, &mut time), Err(Error::Ring { base, bytes }));
        }
        for bytes in [0, 1023, 1792, u16::MAX] {
            let config = RxQueueConfig { buffer_bytes: bytes, ..rx };
            assert_eq!(mac.start_rx_queue(0, RING, &config, &mut time), Err(Error::BufferSize { bytes }));
        }
        assert!(fake.log.borrow().is_empty(), "{chip}: nothing was written");
    }
}

#[test]
fn units() {
    let fake = Fake::new(Chip::I350);
    let mac = mac(&fake);
    mac.enable_receive();
    mac.enable_transmit();
    assert_eq!((fake.get(RCTL), fake.get(TCTL)), (2, 2));
    mac.disable_receive();
    mac.disable_transmit();
    assert_eq!((fake.get(RCTL), fake.get(TCTL)), (0, 0));
}

#[test]
fn counters_add_up() {
    let fake = Fake::new(Chip::I82576);
    let mac = mac(&fake);
    let mut counted = Statistics::default();
    for _ in 0..2 {
        fake.set(0x4074, 10);
        fake.set(0x4088, u32::MAX); // all ones in health
        fake.set(0x408C, 1);
        fake.set(0x2930, 7);
        mac.update_statistics(&mut counted);
    }
    assert_eq!((counted.rx_frames, counted.rx_bytes), (20, 2 * 0x1_FFFF_FFFF));
    assert_eq!(counted.rx_queue_dropped[1], 14);
    let named: Vec<_> = counted.iter().filter(|(_, value)| *value != 0).collect();
    assert_eq!(named, [("rx_frames", 20), ("rx_bytes", 2 * 0x1_FFFF_FFFF), ("rx_queue_1_dropped", 14)]);
}

#[test]
fn a_device_that_leaves_in_the_midst_of_it_adds_nothing() {
    for at in 0..200 {
        let fake = Fake::new(Chip::I82576);
        fake.set(0x4074, 10);
        fake.gone_at.set(Some(at));
        let mut counted = Statistics::default();
        mac(&fake).update_statistics(&mut counted);
        let whole = counted.rx_frames == 10 && counted.iter().all(|(_, value)| value < 100);
        assert!(whole || counted == Statistics::default(), "access {at}: {counted:?}");
    }
}

#[test]
fn drops_of_a_queue_on_i210_are_cleared_by_writing() {
    let fake = Fake::new(Chip::I210);
    fake.set(0x2830, 3);
    let mut counted = Statistics::default();
    mac(&fake).update_statistics(&mut counted);
    mac(&fake).update_statistics(&mut counted);
    assert_eq!(counted.rx_queue_dropped[0], 3);
}
