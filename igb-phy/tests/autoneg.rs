//! What is offered, what comes out, and that no wait is for ever.

mod script;
use igb_phy::{Advertise, Duplex, Error, MasterSlave, Pause, PauseAbility, Phy, Setup, Speed};
use script::{IDS, Script, Time};

fn phy(id: u32) -> Phy<Script> {
    Phy::identify(Script::new(id)).expect("known")
}

#[test]
fn the_offer_is_written_and_autonegotiation_restarted() {
    for id in IDS {
        let mut phy = phy(id);
        let offer = Advertise { master_slave: MasterSlave::Slave, ..Advertise::ALL.with_pause(Pause::FULL) };
        phy.mdio().set(0, 0x4800);
        phy.start_autoneg(&offer).expect("works");
        let script = phy.into_mdio();
        assert_eq!(script.get(4), 0x0DE1, "all four, both pause bits, selector 1");
        assert_eq!(script.get(9), 0x1200, "gigabit full duplex, slave by hand, no half duplex");
        assert_eq!(
            script.log.last().map(String::as_str),
            Some("write 0.0 0x1200"),
            "loopback and power down off"
        );
    }
}

#[test]
fn an_empty_offer_is_refused() {
    let offer = Advertise::only(Speed::M1000, Duplex::Full).up_to(Speed::M100);
    assert!(offer.is_empty());
    let mut phy = phy(IDS[0]);
    assert_eq!(phy.start_autoneg(&offer), Err(Error::NothingAdvertised));
    assert!(phy.into_mdio().log.iter().all(|line| line.starts_with("read")));
}

#[test]
fn highest_common_ability_wins() {
    // Partner's page, partner's gigabit status, and what comes out, with everything offered.
    let cases = [
        (0x01E1, 0x0800, Speed::M1000, Duplex::Full),
        (0x01E1, 0x0400, Speed::M100, Duplex::Full),
        (0x00E1, 0, Speed::M100, Duplex::Half),
        (0x0061, 0, Speed::M10, Duplex::Full),
        (0x0021, 0, Speed::M10, Duplex::Half),
    ];
    for (page, gigabit, speed, duplex) in cases {
        let mut phy = phy(0x02A8_0391);
        phy.start_autoneg(&Advertise::ALL).expect("works");
        phy.mdio().set(5, page).set(10, gigabit);
        let resolved = phy.resolved().expect("works").expect("known");
        assert_eq!((resolved.speed, resolved.duplex), (speed, duplex));
    }
    let mut phy = phy(0x02A8_0391);
    phy.start_autoneg(&Advertise::only(Speed::M1000, Duplex::Full)).expect("works");
    phy.mdio().set(5, 0x01E1).set(10, 0);
    assert_eq!(phy.resolved(), Ok(None), "nothing in common");
}

#[test]
fn a_marvell_phy_knows_better_after_a_downshift() {
    let mut phy = phy(0x0141_0C01);
    phy.mdio().set(17, 0x6C20); // 100 Mb/s full duplex, resolved, link, downshifted
    let resolved = phy.resolved().expect("works").expect("known");
    assert_eq!((resolved.speed, resolved.duplex, resolved.master), (Speed::M100, Duplex::Full, None));
    assert_eq!(phy.diagnostics().expect("works").downshifted, Some(true));
    phy.mdio().set(17, 0xEC00); // speed 3 is none
    assert_eq!(phy.resolved().expect("works").expect("known").speed, Speed::M1000, "falls back to the pages");
}

#[test]
fn pause_is_resolved_at_full_duplex_only() {
    let mut phy = phy(0x02A8_0391);
    phy.start_autoneg(&Advertise::ALL.with_pause(Pause::FULL)).expect("works");
    phy.mdio().set(5, 0x49E1); // partner sends only
    assert_eq!(phy.resolved().expect("works").expect("known").pause, Pause { rx: true, tx: false });
    phy.mdio().set(5, 0x4CA1).set(10, 0);
    let half = phy.resolved().expect("works").expect("known");
    assert_eq!((half.duplex, half.pause), (Duplex::Half, Pause::NONE));
}

#[test]
fn the_wish_to_receive_alone_is_kept_by_masking() {
    let wish = Pause { rx: true, tx: false };
    let both = PauseAbility { symmetric: true, asymmetric: true };
    assert_eq!(PauseAbility::offer(wish), both);
    assert_eq!(Pause::resolve(both, both) & wish, wish);
}

#[test]
fn link_is_read_twice() {
    let mut phy = phy(0x02A8_0391);
    phy.mdio().negotiates_after = 1;
    let link = phy.link().expect("works");
    assert!(link.up && link.was_lost && link.autoneg_complete);
    let link = phy.link().expect("works");
    assert!(link.up && !link.was_lost);
}

#[test]
fn waits_end() {
    for id in IDS {
        let mut time = Time::default();
        let mut phy = phy(id);
        phy.mdio().negotiates_after = usize::MAX;
        let error = phy.wait_autoneg(4_500, &mut time).unwrap_err();
        assert_eq!(error, Error::AutonegTimeout { limit_ms: 4_500, status: 0x7949 });
        assert_eq!(time.ms(), 4_500);
        assert_eq!(phy.wait_link(15, &mut time), Err(Error::LinkTimeout { limit_ms: 15, status: 0x7949 }));
        assert_eq!(time.ms(), 4_515);
        assert_eq!(phy.wait_link(0, &mut time), Err(Error::LinkTimeout { limit_ms: 0, status: 0x7949 }));

        phy.mdio().stuck_reset = true;
        let error = phy.reset(&mut time).unwrap_err();
        assert_eq!(error, Error::ResetTimeout { limit_ms: 500, control: 0x9140 });
        assert_eq!(error.to_string(), "PCTRL.RESET did not clear within 500 ms (PCTRL=0x9140)");
        assert_eq!(time.ms(), 5_015);
    }
}

#[test]
fn a_wait_ends_early() {
    let mut time = Time::default();
    let mut phy = phy(0x02A8_0391);
    phy.mdio().negotiates_after = 10;
    assert_eq!(phy.wait_autoneg(4_500, &mut time), Ok(()));
    assert_eq!(time.ms(), 90);
}

#[test]
fn speed_is_forced_below_gigabit_only() {
    for id in IDS {
        let mut time = Time::default();
        let mut phy = phy(id);
        assert!(matches!(phy.force(Speed::M1000, Duplex::Full, &mut time), Err(Error::CannotForce { .. })));
        phy.force(Speed::M100, Duplex::Full, &mut time).expect("works");
        assert_eq!(phy.mdio().get(0), 0x2100);
        let forced = phy.resolved().expect("works").expect("known");
        assert_eq!(
            (forced.speed, forced.duplex, forced.partner_negotiates),
            (Speed::M100, Duplex::Full, false)
        );
        phy.force(Speed::M10, Duplex::Half, &mut time).expect("works");
        assert_eq!(phy.mdio().get(0), 0);
    }
}

#[test]
fn a_phy_that_goes_away_is_noticed_at_every_step() {
    for id in IDS {
        for after in 0..60 {
            let mut time = Time::default();
            let mut phy = phy(id);
            phy.mdio().gone_after = Some(after + 2);
            let result = phy
                .configure(&Setup::default(), &mut time)
                .and_then(|()| phy.start_autoneg(&Advertise::ALL))
                .and_then(|()| phy.wait_autoneg(100, &mut time))
                .and_then(|()| phy.link())
                .and_then(|_| phy.resolved());
            assert!(time.ms() <= 2_200, "{id:#x} {after}: {} ms", time.ms());
            if let Err(error) = result {
                assert!(matches!(error, Error::Gone { .. }), "{id:#x} {after}: {error}");
            }
        }
    }
}
