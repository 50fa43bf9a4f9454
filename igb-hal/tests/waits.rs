//! No wait is for ever, and what ends one says which register was waited for.

mod device;
use device::*;
use embedded_hal::delay::DelayNs;
use igb_hal::{Chip, Error, LinkConfig, MacAddress, MacConfig, RingAt, RxQueueConfig, TxQueueConfig};

const RING: RingAt = RingAt { base: 0x1_0000_0080, bytes: 4096 };

fn stuck(fault: Fault) -> (Fake, Time) {
    let fake = Fake::new(Chip::I82576);
    fake.fault.set(Some(fault));
    (fake, Time::default())
}

#[test]
fn reset() {
    let (fake, mut time) = stuck(Fault::ResetStays);
    let error = mac(&fake).reset(&mut time).unwrap_err();
    assert_eq!(error.to_string(), "CTRL.RST did not clear within 100 ms (CTRL=0x04100205)");
    assert!(time.ms() < 120);
}

#[test]
fn master_disable_fails_by_name_and_does_not_stop_a_reset() {
    let (fake, mut time) = stuck(Fault::MasterStays);
    let mac = mac(&fake);
    let error = mac.master_disable(&mut time).unwrap_err();
    assert!(error.to_string().starts_with("STATUS.GIO_MASTER_ENABLE did not clear within 80 ms"), "{error}");
    assert_eq!(time.ms(), 80);
    mac.reset(&mut time).expect("the reset ends what was waited for");
    assert_eq!(mac.shutdown(&mut time), Err(error), "who frees memory must know");
}

#[test]
fn nvm() {
    let (fake, mut time) = stuck(Fault::NvmNeverDone);
    let error = mac(&fake).nvm().read(0x10, &mut time).unwrap_err();
    assert_eq!(error.to_string(), "EERD.DONE did not set within 500 ms (EERD=0x00000041)");
    assert!(time.ms() <= 501);
    assert_eq!(fake.get(SW_FW_SYNC), 0, "the lock is given back");
}

#[test]
fn phy() {
    let (fake, mut time) = stuck(Fault::MdicNeverReady);
    let error = mac(&fake).open_phy(&mut time).unwrap_err();
    assert_eq!(
        error.to_string(),
        "PHY: the management bus failed: MDIC.READY did not set within 96 ms, register 2 (MDIC=0x08220000)"
    );
    let (fake, mut time) = stuck(Fault::MdicError);
    let error = mac(&fake).setup_link(&LinkConfig::default(), &mut time).unwrap_err();
    assert!(error.to_string().contains("MDIC.ERROR is set, register 2"), "{error}");
    assert_eq!(fake.get(SW_FW_SYNC), 0);
}

#[test]
fn locks() {
    for (fault, limit) in
        [(Fault::SmbiHeld, 110), (Fault::SwesmbiRefused, 110), (Fault::FirmwareHolds, 1_001)]
    {
        let (fake, mut time) = stuck(fault);
        let error = mac(&fake).nvm().read(0, &mut time).unwrap_err();
        assert!(matches!(error, Error::Semaphore { lock: "EEPROM", .. }), "{fault:?}: {error}");
        assert!(time.ms() <= limit, "{fault:?}: {} ms", time.ms());
        assert_eq!(fake.get(SWSM) & 2, 0, "{fault:?}: given back");
    }
}

#[test]
fn a_lock_that_a_dead_driver_left_is_freed() {
    let (fake, mut time) = (Fake::new(Chip::I210), Time::default());
    fake.set(SWSM, 1);
    assert_eq!(mac(&fake).nvm().read(5, &mut time), Ok(0x3025));
    assert!(time.ms() <= 101);
}

#[test]
fn what_a_dead_driver_held_is_freed_at_the_start() {
    let ours = [0x02, 0x04, 0x20, 0x40];
    for (port, phy) in ours.into_iter().enumerate() {
        let (fake, mut time) = (Fake::new(Chip::I350), Time::default());
        fake.set(STATUS, fake.get(STATUS) | (port as u32) << 2);
        // Every software lock, and the firmware's halves of all.
        fake.set(SW_FW_SYNC, 0x0067_0067);
        fake.set(SWSM, 3);
        mac(&fake).recover_locks(&mut time).expect("free");
        assert_eq!(fake.get(SW_FW_SYNC), 0x0067_0067 & !(phy | 1), "port {port}");
        assert_eq!(fake.get(SWSM) & 3, 0);
        assert!((1_000..1_200).contains(&time.ms()), "{} ms", time.ms());
        fake.set(SW_FW_SYNC, 0);
        assert!(mac(&fake).open_phy(&mut time).is_ok());
    }
}

#[test]
fn nothing_held_costs_no_time_and_no_write() {
    let (fake, mut time) = (Fake::new(Chip::I82576), Time::default());
    mac(&fake).recover_locks(&mut time).expect("free");
    assert_eq!(time.ms(), 0);
    assert!(fake.written(SW_FW_SYNC).is_empty());
}

#[test]
fn a_lock_of_the_nvm_that_another_port_holds_and_gives_back_is_left_alone() {
    for fault in [Fault::SmbiHeld, Fault::SwesmbiRefused] {
        let (fake, mut time) = stuck(fault);
        mac(&fake).recover_locks(&mut time).expect("who needs it says so");
        assert!(time.ms() <= 210, "{} ms", time.ms());
    }
    // Given back while it is waited for.
    let (fake, mut time) = (Fake::new(Chip::I82576), Time::default());
    fake.set(SW_FW_SYNC, 1);
    let mut other = Other { fake: &fake, left: 20, time: &mut time };
    mac(&fake).recover_locks(&mut other).expect("free");
    assert!(fake.written(SW_FW_SYNC).is_empty(), "not by us");
}

/// Another port's driver, which gives the NVM back after some waits.
struct Other<'a> {
    fake: &'a Fake,
    left: u32,
    time: &'a mut Time,
}

impl DelayNs for Other<'_> {
    fn delay_ns(&mut self, ns: u32) {
        self.time.delay_ns(ns);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.fake.set(SW_FW_SYNC, 0);
        }
    }
}

#[test]
fn queues() {
    let (fake, mut time) = stuck(Fault::EnableNeverSets);
    let error = mac(&fake).start_rx_queue(5, RING, &RxQueueConfig::default(), &mut time).unwrap_err();
    assert_eq!(error.to_string(), "RXDCTL[5].ENABLE did not set within 10 ms (RXDCTL=0x00010808)");
    let error = mac(&fake).start_tx_queue(15, RING, &TxQueueConfig::default(), &mut time).unwrap_err();
    assert_eq!(error.to_string(), "TXDCTL[15].ENABLE did not set within 10 ms (TXDCTL=0x00010108)");
    assert_eq!(time.ms(), 20);
    let (fake, mut time) = stuck(Fault::EnableNeverClears);
    for error in [mac(&fake).stop_rx_queue(0, &mut time), mac(&fake).stop_tx_queue(0, &mut time)] {
        assert!(error.unwrap_err().to_string().contains("ENABLE did not clear within 10 ms"));
    }
}

#[test]
fn all_ones_from_any_access_on() {
    let bring_up = |fake: &Fake, time: &mut Time| {
        let mac = mac(fake);
        mac.recover_locks(time)?;
        mac.reset(time)?;
        mac.nvm().verify(time)?;
        mac.read_address(time)?;
        mac.init(&MacConfig::new(MacAddress([2, 0, 0, 0, 0, 1])), time)?;
        mac.open_phy(time)?;
        mac.setup_link(&LinkConfig::default(), time)?;
        mac.start_rx_queue(0, RING, &RxQueueConfig::default(), time)?;
        mac.start_tx_queue(0, RING, &TxQueueConfig::default(), time)?;
        mac.link(time)?;
        mac.check()
    };
    for chip in [Chip::I82575, Chip::I82576, Chip::I350, Chip::I210] {
        let fake = Fake::new(chip);
        bring_up(&fake, &mut Time::default()).expect("works");
        let all = fake.accesses.get();
        for at in 0..all {
            let (fake, mut time) = (Fake::new(chip), Time::default());
            fake.gone_at.set(Some(at));
            assert_eq!(bring_up(&fake, &mut time), Err(Error::DeviceGone), "{chip}, access {at} of {all}");
            assert!(time.ms() < 1_000, "{chip}, access {at}: {} ms", time.ms());
        }
    }
}
