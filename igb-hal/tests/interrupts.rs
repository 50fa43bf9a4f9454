//! Which cause raises which vector.

mod device;
use device::*;
use igb_hal::{Chip, Mode, Routing};

const EICS: u32 = 0x1520;
const EIMS: u32 = 0x1524;
const EIMC: u32 = 0x1528;
const EIAC: u32 = 0x152C;
const EIAM: u32 = 0x1530;
const ICS: u32 = 0xC8;
const IMS: u32 = 0xD0;
const IAM: u32 = 0xE0;

#[test]
fn gpie_comes_before_ivar() {
    let fake = Fake::new(Chip::I82576);
    mac(&fake).route(Mode::MsiX { vectors: 10 }, 4);
    let log = fake.log.borrow();
    let first = |offset| log.iter().position(|(at, _)| *at == offset).expect("written");
    assert!(first(GPIE) < first(IVAR));
    assert_eq!(fake.get(GPIE), 0xC000_0011);
}

#[test]
fn table_of_the_82576() {
    let fake = Fake::new(Chip::I82576);
    let routing = mac(&fake).route(Mode::MsiX { vectors: 10 }, 9);
    assert_eq!(routing.vectors(), 10);
    assert_eq!(fake.get(IVAR), 0x8888_8080, "queues 0 and 8: receive, transmit, receive, transmit");
    assert_eq!(fake.get(IVAR + 4 * 7), 0x0000_8787);
    assert_eq!(fake.get(IVAR_MISC), 0x8900);
    assert_eq!((fake.get(EIAC), fake.get(EIAM)), (0x3FF, 0x3FF));
}

#[test]
fn table_from_the_82580_on() {
    for chip in [Chip::I82580, Chip::I350, Chip::I354, Chip::I210] {
        let fake = Fake::new(chip);
        let routing = mac(&fake).route(Mode::MsiX { vectors: 5 }, 4);
        assert_eq!((fake.get(IVAR), fake.get(IVAR + 4)), (0x8181_8080, 0x8383_8282), "{chip}");
        assert_eq!((fake.get(IVAR_MISC), routing.vector_other()), (0x8400, 4), "{chip}");
    }
}

#[test]
fn masks_of_the_82575() {
    let fake = Fake::new(Chip::I82575);
    let mac = mac(&fake);
    let routing = mac.route(Mode::MsiX { vectors: 10 }, 2);
    assert_eq!((fake.get(MSIXBM), fake.get(MSIXBM + 4), fake.get(MSIXBM + 8)), (0x101, 0x202, 1 << 31));
    assert_eq!(fake.get(MSIXBM + 12), 0);
    assert_eq!(fake.get(CTRL_EXT), 1 << 31 | 1 << 24 | 1);
    assert_eq!(fake.get(EIAC), 0x8000_0303);
    mac.enable_vector(&routing, 1);
    assert_eq!(fake.written(EIMS), [0x202]);
    mac.raise_vector(&routing, 2);
    assert_eq!(fake.written(ICS), [4], "the other causes cannot be raised by EICS");
    mac.set_interval(&routing, 0, 100);
    assert_eq!(fake.get(EITR), 400 << 16 | 400);
}

#[test]
fn queues_share_when_vectors_are_few() {
    let cases = [
        (1, [0, 0, 0, 0], 0),
        (2, [0, 0, 0, 0], 1),
        (3, [0, 1, 0, 1], 2),
        (5, [0, 1, 2, 3], 4),
        (10, [0, 1, 2, 3], 4),
    ];
    for (vectors, queues, other) in cases {
        let routing = Routing::new(Mode::MsiX { vectors }, 4);
        assert_eq!([0, 1, 2, 3].map(|q| routing.vector_of_queue(q)), queues, "{vectors}");
        assert_eq!(routing.vector_other(), other, "{vectors}");
        assert_eq!(Routing::new(Mode::MsiX { vectors: routing.vectors() }, 4), routing);
    }
    assert_eq!(Routing::new(Mode::MsiX { vectors: 0 }, 4).vectors(), 1);
    assert_eq!(Routing::new(Mode::Single, 4).vectors(), 1);
}

#[test]
fn no_more_vectors_than_the_chip_has() {
    let fake = Fake::new(Chip::I210);
    assert_eq!(mac(&fake).route(Mode::MsiX { vectors: 64 }, 4).vectors(), 5);
    let fake = Fake::new(Chip::I82576);
    let routing = mac(&fake).route(Mode::MsiX { vectors: 64 }, 16);
    assert_eq!((routing.vectors(), routing.vector_of_queue(15)), (10, 6));
}

#[test]
fn verbs_of_a_vector() {
    let fake = Fake::new(Chip::I350);
    let mac = mac(&fake);
    let routing = mac.route(Mode::MsiX { vectors: 10 }, 8);
    fake.log.borrow_mut().clear();
    mac.enable_vector(&routing, 3);
    mac.disable_vector(&routing, 3);
    mac.raise_vector(&routing, 8);
    mac.set_interval(&routing, 8, 100);
    mac.set_interval(&routing, 0, u16::MAX);
    mac.set_interval(&routing, 9, 1);
    mac.enable_other(&routing);
    let expected = [
        (EIMS, 8),
        (EIMC, 8),
        (EICS, 1 << 8),
        (EITR + 32, 1 << 31 | 400),
        (EITR, 1 << 31 | 0x7FFC),
        (IMS, 1 << 30 | 1 << 28 | 4),
        (EIMS, 1 << 8),
    ];
    assert_eq!(*fake.log.borrow(), expected);
}

#[test]
fn one_message_for_all() {
    for chip in Chip::ALL.iter().copied() {
        let fake = Fake::new(chip);
        let mac = mac(&fake);
        let routing = mac.route(Mode::Single, 2);
        assert_ne!(fake.get(IAM), 0, "{chip}: a read of ICR masks");
        assert_eq!((fake.get(EIAC), fake.get(EIAM)), (0, 0), "{chip}");
        mac.enable_vector(&routing, 0);
        assert_eq!(fake.written(IMS), [fake.get(IAM)], "{chip}");
        mac.raise_vector(&routing, 0);
        assert_eq!(fake.written(ICS), [0x10], "{chip}");
        fake.set(ICR, 0x84);
        let causes = mac.take_causes(&routing);
        assert!(causes.link_changed && causes.queues == 1 && !causes.gone, "{chip}: {causes:?}");
        assert_eq!(mac.take_causes(&routing), Default::default(), "{chip}: reading clears");
    }
}

#[test]
fn causes_of_a_device_that_left() {
    let fake = Fake::new(Chip::I82576);
    let mac = mac(&fake);
    let routing = mac.route(Mode::MsiX { vectors: 2 }, 1);
    fake.gone_at.set(Some(0));
    assert!(mac.take_causes(&routing).gone);
}

#[test]
fn masking_leaves_nothing_behind() {
    let fake = Fake::new(Chip::I82575);
    fake.set(ICR, 4);
    mac(&fake).mask_interrupts();
    assert_eq!((fake.written(EIMC), fake.written(0xD8)), (vec![0xC000_0F0F], vec![u32::MAX]));
    assert_eq!(fake.get(ICR), 0);
    let fake = Fake::new(Chip::I82576);
    mac(&fake).mask_interrupts();
    assert_eq!(fake.written(EIMC), [0xC1FF_FFFF]);
}
