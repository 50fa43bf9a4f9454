//! What is particular to a family: pages, setup, cable length, EEE.

mod script;
use igb_phy::words::{IgpAgcB, MarvellDiagnosticsControl};
use igb_phy::{CableLength, Eee, Error, Mdix, Phy, Setup};
use script::{IDS, Script, Time};

fn phy(id: u32) -> Phy<Script> {
    let mut phy = Phy::identify(Script::new(id)).expect("known");
    phy.mdio().log.clear();
    phy
}

fn log(phy: Phy<Script>) -> Vec<String> {
    phy.into_mdio().log
}

#[test]
fn igp_selects_page_and_register_together() {
    let mut phy = phy(0x02A8_0391);
    phy.mdio().words.insert((0x95, 17), 0x1400);
    assert_eq!(phy.read::<IgpAgcB>().expect("works").gain(), 10);
    // 0x12B1 is what the drivers write to reach channel B.
    assert_eq!(log(phy), ["write 0.31 0x12b1", "read 149.17 0x1400", "write 0.31 0x0011"]);
}

#[test]
fn marvell_goes_back_to_the_first_page_also_after_a_failure() {
    let mut phy = phy(0x0141_0C01);
    phy.mdio().refuse = Some(21);
    assert!(matches!(phy.read::<MarvellDiagnosticsControl>(), Err(Error::Mdio(_))));
    assert_eq!(phy.into_mdio().page, 0);
}

#[test]
fn pages_are_refused_where_there_are_none() {
    let mut phy = phy(0x0154_03B1);
    assert!(matches!(phy.read::<MarvellDiagnosticsControl>(), Err(Error::Unsupported { .. })));
}

#[test]
fn setup_of_the_igp() {
    let mut phy = phy(0x02A8_0391);
    phy.mdio().set(25, 0x0007).set(18, 0x2000).set(16, 0x0120);
    phy.configure(&Setup::default(), &mut Time::default()).expect("works");
    let script = phy.into_mdio();
    assert_eq!((script.get(25), script.get(18), script.get(16)), (0x0005, 0x1000, 0x01A0));
}

#[test]
fn setup_of_the_82580() {
    let mut phy = phy(0x0154_03A1);
    phy.mdio().set(18, 0x0200);
    phy.configure(&Setup::default(), &mut Time::default()).expect("works");
    let script = phy.into_mdio();
    assert_eq!((script.get(22), script.get(18)), (0x8C00, 0x0400));
}

#[test]
fn setup_of_the_first_marvell_generation() {
    let mut phy = phy(0x0141_0CC2);
    phy.configure(&Setup { mdix: Mdix::MdiX, ..Setup::default() }, &mut Time::default()).expect("works");
    let script = phy.into_mdio();
    assert_eq!((script.get(16), script.get(20)), (0x0820, 0x0170));
    assert!(script.log.contains(&"write 0.0 0x9140".into()), "reset");
}

#[test]
fn setup_of_the_second_marvell_generation() {
    for (id, resets) in [(0x0141_0C01, 1), (0x0141_0EA1, 2)] {
        let mut phy = phy(id);
        phy.configure(&Setup::default(), &mut Time::default()).expect("works");
        let script = phy.into_mdio();
        assert_eq!(script.get(16), 0x5860, "six tries, downshift on, crossover found out");
        assert_eq!(script.log.iter().filter(|line| *line == "write 0.0 0x9140").count(), resets);
    }
}

#[test]
fn cable_length_where_a_source_says_how() {
    let mut i210 = phy(0x0141_0C01);
    for (register, centimetres) in [(16, 1_250), (17, 1_300), (18, 1_199), (19, 1_250)] {
        i210.mdio().words.insert((7, register), centimetres);
    }
    assert_eq!(i210.cable_length(), Ok(CableLength { min_m: 11, max_m: Some(13) }));
    i210.mdio().words.insert((7, 21), 0x0400);
    assert_eq!(i210.cable_length(), Ok(CableLength { min_m: 1_199, max_m: Some(1_300) }));

    let mut i350 = phy(0x0154_03B1);
    i350.mdio().set(31, 42 << 2);
    assert_eq!(i350.cable_length(), Ok(CableLength { min_m: 42, max_m: Some(42) }));
    i350.mdio().set(31, 0x03FC);
    assert!(matches!(i350.cable_length(), Err(Error::Unsupported { .. })), "not known yet");

    let mut m88 = phy(0x0141_0CC2);
    m88.mdio().set(17, 2 << 7);
    assert_eq!(m88.cable_length(), Ok(CableLength { min_m: 80, max_m: Some(110) }));
    assert!(phy(0x0362_5D12).cable_length().is_err());
}

#[test]
fn eee_goes_through_clause_45() {
    let mut i210 = phy(0x0141_0C01);
    i210.advertise_eee(Eee::ALL).expect("works");
    assert_eq!(i210.advertised_eee(), Ok(Eee::ALL));
    assert_eq!(i210.mdio().mmd[&(7, 60)], 0x0006);
    i210.mdio().mmd.insert((7, 61), 0x0002);
    assert_eq!(i210.partner_eee(), Ok(Eee { t_100: true, t_1000: false }));
    i210.mdio().mmd.insert((3, 1), 0x0400);
    assert_eq!(i210.idled(), Ok((false, true)));

    let mut i350 = phy(0x0154_03B1);
    i350.mdio().set(17, 0x0004);
    assert_eq!(i350.partner_eee(), Ok(Eee { t_100: false, t_1000: true }));
    assert_eq!(log(i350), ["write 0.16 0x040f", "read 0.17 0x0004"]);

    let mut igp = phy(0x02A8_0391);
    assert!(matches!(igp.advertise_eee(Eee::ALL), Err(Error::Unsupported { .. })));
    assert!(log(igp).is_empty());
}

#[test]
fn loopback_at_gigabit() {
    for id in IDS {
        let mut phy = phy(id);
        phy.loopback(&mut Time::default()).expect("works");
        assert_eq!(phy.into_mdio().get(0), 0x4140);
    }
}

#[test]
fn power() {
    let mut phy = phy(0x02A8_0391);
    phy.power_down().expect("works");
    assert_eq!(phy.mdio().get(0), 0x1940);
    phy.power_up().expect("works");
    assert_eq!(phy.into_mdio().get(0), 0x1140);
}
