//! Whatever the registers hold, nothing panics, and no wait is longer than its limit.

mod script;
use igb_phy::{Advertise, Eee, Mdix, Phy, Setup};
use proptest::prelude::*;
use script::{IDS, Script, Time};

struct Noise {
    id: u32,
    state: u64,
}

impl igb_phy::Mdio for Noise {
    type Error = core::convert::Infallible;
    fn read(&mut self, register: u8) -> Result<u16, Self::Error> {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Ok(match register {
            2 => (self.id >> 16) as u16,
            3 => self.id as u16,
            _ => (self.state >> 33) as u16,
        })
    }
    fn write(&mut self, register: u8, _: u16) -> Result<(), Self::Error> {
        assert!(register < 32);
        Ok(())
    }
}

proptest! {
    #[test]
    fn noise(seed: u64, id in prop::sample::select(&IDS[..])) {
        let mut time = Time::default();
        let mut phy = Phy::identify(Noise { id, state: seed }).expect("known");
        let _ = phy.configure(&Setup::default(), &mut time);
        let _ = phy.start_autoneg(&Advertise::ALL);
        let _ = phy.wait_autoneg(1_000, &mut time);
        let _ = phy.link();
        let _ = phy.resolved();
        let _ = phy.diagnostics();
        let _ = phy.cable_length();
        let _ = phy.advertise_eee(Eee::ALL);
        let _ = phy.partner_eee();
        let _ = phy.idled();
        let _ = phy.loopback(&mut time);
        prop_assert!(time.ms() <= 3_000);
    }

    #[test]
    fn any_word_on_any_page(words in prop::collection::vec(any::<u16>(), 32), id in prop::sample::select(&IDS[..])) {
        let mut script = Script::new(id);
        for (register, word) in words.iter().enumerate().filter(|(register, _)| !(2..4).contains(register)) {
            for page in [0, 2, 5, 7, 18, 0x8D, 0x95, 0xA5, 0xC5] {
                script.words.insert((page, register as u8), *word);
            }
        }
        let mut phy = Phy::identify(script).expect("known");
        let _ = phy.diagnostics();
        let _ = phy.cable_length();
        let _ = phy.resolved();
        let _ = phy.set_mdix(Mdix::MdiX);
        prop_assert_eq!(phy.into_mdio().page, 0, "the first page is selected again");
    }
}
