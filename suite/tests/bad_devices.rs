//! Devices that a driver refuses: each by its own error, which says what is wrong, and nothing half-configured is left.

use igb::hal::Error as Hal;
use igb::{Chip, Config, Error, Igb, MacAddress, PciConfig, Platform, Queues};
use igb_sim::{DeviceSpec, Fault, World};

/// What probing says of a device, after seeing that it was left quiet.
fn refused(spec: DeviceSpec) -> Error {
    let world = World::new();
    let device = world.attach(spec);
    let error = Igb::probe(device.platform(), Config::default()).expect_err("is refused");
    assert_eq!(device.platform().pci().read32(4) & 4, 0, "{error}: no bus mastering");
    assert_eq!(world.arena().allocated(), 0, "{error}: no memory");
    assert_eq!(world.violations(), [], "{error}");
    error
}

#[test]
fn another_device() {
    let error = refused(DeviceSpec::new(Chip::I210).device_id(0x10d3));
    assert_eq!(error, Error::Hal(Hal::UnknownDevice { id: 0x10d3 }));
    assert!(error.to_string().contains("I210"), "{error}");
}

#[test]
fn a_virtual_function() {
    for id in [0x10ca, 0x1520] {
        assert_eq!(
            refused(DeviceSpec::new(Chip::I82576).device_id(id)),
            Error::Hal(Hal::VirtualFunction { id })
        );
    }
}

#[test]
fn a_wrong_checksum_and_the_way_past_it() {
    for chip in [Chip::I82576, Chip::I350, Chip::I210] {
        let error = refused(DeviceSpec::new(chip).bad_checksum());
        assert!(matches!(error, Error::Hal(Hal::NvmChecksum { .. })), "{chip}: {error}");
        let world = World::new();
        let device = world.attach(DeviceSpec::new(chip).bad_checksum());
        let mut config = Config::default();
        config.ignore_nvm_checksum = true;
        let nic = Igb::probe(device.platform(), config).expect("goes on when told to");
        assert_eq!(nic.chip(), chip);
    }
}

#[test]
fn an_address_that_no_station_can_have() {
    for address in [[0x01, 0, 0x5e, 0, 0, 1], [0xff; 6], [0; 6]] {
        let error = refused(DeviceSpec::new(Chip::I210).mac(address));
        assert!(matches!(error, Error::Hal(Hal::BadAddress { .. })), "{error}");
        let world = World::new();
        let device = world.attach(DeviceSpec::new(Chip::I210).mac(address));
        let own = MacAddress([0x02, 0, 0, 0, 0, 9]);
        let nic =
            Igb::probe(device.platform(), Config::default().address(own)).expect("takes the user's address");
        assert_eq!(nic.address(), own);
    }
}

#[test]
fn waits_that_run_out_name_their_register() {
    for (fault, says) in [
        (Fault::ResetNeverDone, "CTRL"),
        (Fault::NvmNeverDone, "EERD"),
        (Fault::StuckEnable, "ENABLE"),
        (Fault::StuckDisable, "ENABLE"),
    ] {
        let world = World::new();
        let device = world.add(Chip::I350);
        device.inject(fault);
        let result =
            Igb::probe(device.platform(), Config::default()).and_then(|nic| nic.open(Queues::combined(1)));
        match result {
            Err(error) => assert!(error.to_string().contains(says), "{fault:?}: {error}"),
            // A queue that never stops shows when it is stopped.
            Ok((control, queues)) => {
                assert_eq!(fault, Fault::StuckDisable);
                for queue in queues {
                    let error = queue.close().expect_err("does not stop");
                    assert!(error.to_string().contains(says), "{fault:?}: {error}");
                }
                control.close();
            }
        }
        assert_eq!(world.arena().allocated(), 0, "{fault:?}: memory is given back once mastering is off");
    }
}

#[test]
fn a_device_that_goes_on_mastering_keeps_its_memory() {
    let world = World::new();
    let device = world.add(Chip::I210);
    let nic = Igb::probe(device.platform(), Config::default()).expect("probes");
    let (control, queues) = nic.open(Queues::combined(1)).expect("opens");
    device.inject(Fault::MasterCannotStop);
    control.close();
    drop((control, queues));
    assert!(world.arena().allocated() > 0, "it may still write there");
    assert_eq!(world.devices()[0].dma_faults(), 0);
}
