//! Which PHY it is, and what is refused.

mod script;
use igb_phy::{Error, Family, Model, Phy, PhyId};
use script::{IDS, Refused, Script};

#[test]
fn every_known_phy_whatever_its_revision() {
    let models: Vec<_> =
        IDS.iter().map(|id| Phy::identify(Script::new(*id)).expect("known").model()).collect();
    assert_eq!(
        models,
        [
            Model::M88E1111,
            Model::M88E1112,
            Model::M88E1340M,
            Model::M88E1512,
            Model::M88E1543,
            Model::I347At4,
            Model::I210,
            Model::Igp03,
            Model::I82580,
            Model::I350,
            Model::Bcm54616,
        ]
    );
}

#[test]
fn the_phy_of_qemus_82576_is_an_igp() {
    let phy = Phy::identify(Script::new(0x02A8_0391)).expect("known");
    assert_eq!((phy.family(), phy.id().revision()), (Family::Igp, 1));
}

#[test]
fn nobody_there() {
    for id in [0xFFFF_FFFF, 0, 0x0141_FFFF, 0xFFFF_0391] {
        assert_eq!(Phy::identify(Script::new(id)).err(), Some(Error::NoPhy(PhyId(id))), "{id:#x}");
    }
    let mut refused = Script::new(IDS[0]);
    refused.refuse = Some(2);
    assert_eq!(Phy::identify(refused).err(), Some(Error::Mdio(Refused(2))));
}

#[test]
fn an_unknown_phy_is_named_and_can_be_taken() {
    let id = 0x001C_C912;
    assert_eq!(Phy::identify(Script::new(id)).err(), Some(Error::UnknownPhy(PhyId(id))));
    let phy = Phy::generic(Script::new(id)).expect("taken");
    assert_eq!((phy.family(), phy.model()), (Family::Generic, Model::Other(0x001C_C910)));
    assert_eq!(Error::<Refused>::UnknownPhy(PhyId(id)).to_string(), "unknown PHY 0x001cc912");
}
