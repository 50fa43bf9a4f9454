//! A device that answers anything at all: no panic, and an end.

use core::cell::Cell;
use embedded_hal::delay::DelayNs;
use igb_hal::{
    Device, LinkConfig, Mac, MacAddress, MacConfig, Mode, RingAt, RssConfig, RxQueueConfig, Statistics,
    TxQueueConfig,
};
use igb_regs::Bus;
use proptest::prelude::*;

struct Noise(Cell<u64>, bool);

impl Bus for Noise {
    fn read32(&self, _: u32) -> u32 {
        let next =
            self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.set(next);
        let value = (next >> 32) as u32;
        // Now and then all ones or nothing, which mean something.
        match value >> 29 {
            0 if self.1 => u32::MAX,
            1 => 0,
            _ => value,
        }
    }
    fn write32(&self, _: u32, _: u32) {}
}

struct Time(u64);

impl DelayNs for Time {
    fn delay_ns(&mut self, ns: u32) {
        self.0 += u64::from(ns);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn noise(seed: u64, ones: bool, device in prop::sample::select(Device::ALL)) {
        let (mac, mut time) = (Mac::new(Noise(Cell::new(seed), ones), Box::leak(Box::new(device)) as &_), Time(0));
        let _ = mac.reset(&mut time);
        let _ = mac.nvm().verify(&mut time);
        let _ = mac.nvm().read(0xFFFF, &mut time);
        let _ = mac.read_address(&mut time);
        let _ = mac.firmware(&mut time);
        let _ = mac.init(&MacConfig::new(MacAddress([2, 0, 0, 0, 0, 1])), &mut time);
        let _ = mac.open_phy(&mut time);
        let _ = mac.setup_link(&LinkConfig::default(), &mut time);
        let _ = mac.link(&mut time);
        mac.set_rss(&RssConfig::spread(16));
        mac.set_vlan(7, true);
        let ring = RingAt { base: 0, bytes: 1024 };
        let _ = mac.start_rx_queue(0, ring, &RxQueueConfig::default(), &mut time);
        let _ = mac.start_tx_queue(0, ring, &TxQueueConfig::default(), &mut time);
        let routing = mac.route(Mode::MsiX { vectors: 10 }, 4);
        let _ = mac.take_causes(&routing);
        mac.update_statistics(&mut Statistics::default());
        let _ = mac.shutdown(&mut time);
        prop_assert!(time.0 < 60_000_000_000, "{} ms", time.0 / 1_000_000);
    }
}
