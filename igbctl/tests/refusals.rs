//! Each thing that can be wrong from outside has a message and an exit status of its own.

mod run;

use igbctl::capture::SAMPLE;
use run::{command, finish, igbctl, pcap};

#[test]
fn names_that_mean_nothing() {
    for (arguments, words) in [
        (&["info", "eth0"][..], "a device is sim:[CHIP][/PORT], qemu:[PORT] or vfio:ADDRESS"),
        (
            &["info", "sim:i225"],
            "there is no chip called \"i225\": there are 82575, 82576, 82580, i350, i354, i210, i211",
        ),
        (&["info", "sim:/99"], "\"99\" is no port: ports are 0 to 15"),
        (&["info", "vfio:01:00.0"], "\"01:00.0\" is no PCI address like 0000:01:00.0"),
        (&["fwd", "sim:", "qemu:1"], "sim:/0 and qemu:0 are not on one machine"),
        (&["fwd", "sim:", "sim:i210/0"], "are one port"),
        (&["regs", "sim:", "NOSUCH"], "no register and no group is called \"NOSUCH\""),
        (&["regs"], "regs needs a device, as `igbctl regs sim:i210`, or --chip or --diff"),
        (&["regs", "--chip", "i210", "NOSUCH"], "no register and no group is called \"NOSUCH\""),
        (&["regs", "--diff", "sim:"], "2 values required"),
        (&["decode", "--chip", "i211", "RDT[2]"], "the i211 has no RDT[2]"),
        (&["decode", "STATUS", "0xg"], "no number of up to 64 bits"),
        (&["decode", "STATUS", "0x100000000"], "a register has 32 bits"),
        (&["decode", "MarvellStatus", "0x10000"], "MarvellStatus has 16 bits"),
        (&["decode", "NOSUCH"], "no register and no word is called \"NOSUCH\""),
        (&["decode", "0x1fffc"], "no chip has a register at 0x1fffc"),
        (
            &["decode", "--vf", "--chip", "i210", "CTRL"],
            "the chips with virtual functions are 82576 and i350",
        ),
        (&["decode", "--vf", "EEER"], "a virtual function has no EEER"),
        (&["rxdrop", "sim:", "--seconds", "-1"], "unexpected argument"),
        (&["rxdrop", "sim:", "--seconds", "nan"], "NaN is no number of seconds"),
        (&["txgen", "sim:", "--to", "nobody"], "no address like"),
        (&["txgen", "sim:", "--size", "59"], "59 is not in 60..=1514"),
        (&["demo", "--qemu", "--chip", "i210"], "cannot be used with"),
        (
            &["tap", "sim:", "--name", "sixteen-bytes-xx"],
            "has at most 15 bytes, and this has 16: choose a shorter one",
        ),
        (&["tap", "sim:", "--name", "a/b"], "'/' may not stand in an interface's name"),
        (&["tap", "sim:", "--persist"], "needs a name of its own: --persist --name igb0"),
        (&["tap", "sim:", "--mtu", "9703"], "9703 is not in 68..=9702"),
        (&["tap", "sim:", "sim:/1", "--name", "a"], "give --name once for each device"),
        (&[], "Usage"),
    ] {
        let said = igbctl(arguments);
        let words = words.replace("qemu:0 are", "qemu:1 are");
        assert!(said.err.contains(&words), "{arguments:?}: {}", said.err);
        assert_eq!(said.status, Some(2), "{arguments:?}");
        assert_eq!(said.out, "", "{arguments:?}");
    }
}

/// What is found out before anything is asked of the kernel that takes a right.
#[test]
fn an_interface_that_cannot_be_made() {
    let said = igbctl(&["tap", "sim:", "--name", "lo", "--json"]);
    assert!(
        said.err.contains("the name lo is taken by an interface that is no TAP: ip link show lo"),
        "{}",
        said.err
    );
    assert_eq!(said.status, Some(1));
    let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(answer["error"]["kind"], "failed");
}

#[test]
fn one_standard_output_is_not_for_two() {
    let said = igbctl(&["dump", "sim:", "-w", "-", "--json"]);
    assert_eq!(said.status, Some(2));
    let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(answer["error"]["kind"], "usage");
}

#[test]
fn what_the_driver_refuses() {
    for (arguments, words) in [
        (&["demo", "--chip", "i211", "--queues", "3"][..], "3 queues asked for; the i211 has 1 to 2"),
        (&["demo", "--ring", "100"], "NIC A: "),
    ] {
        let said = igbctl(arguments);
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
        assert_eq!(said.status, Some(1), "{arguments:?}");
    }
}

#[test]
fn no_such_function() {
    let said = igbctl(&["info", "vfio:ffff:ff:1f.7", "--json"]);
    assert_eq!(said.status, Some(4), "{}{}", said.out, said.err);
    let answer: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(answer["error"]["kind"], "missing", "{}", said.out);
}

#[test]
fn functions_that_cannot_be_bound() {
    for arguments in [
        &["bind", "ffff:ff:1f.7"][..],
        &["unbind", "vfio:ffff:ff:1f.7"],
        &["rxdrop", "--bind", "vfio:ffff:ff:1f.7"],
    ] {
        let said = igbctl(arguments);
        assert!(said.err.contains("there is no PCI function ffff:ff:1f.7"), "{arguments:?}: {}", said.err);
        assert_eq!((said.status, said.out.as_str()), (Some(4), ""), "{arguments:?}");
    }
    let said = igbctl(&["bind", "eth0"]);
    assert!(said.err.contains("one looks like 0000:01:00.0"), "{}", said.err);
    assert_eq!(said.status, Some(2));
}

/// Whatever the machine is, and whoever asks.
#[test]
fn the_doctor_has_a_remedy_for_each_complaint() {
    let said = igbctl(&["doctor", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let checks = answer["checks"].as_array().expect("a list");
    for about in ["kernel options", "IOMMU", "VFIO modules", "locked memory", "huge pages", "/dev/net/tun"] {
        assert!(checks.iter().any(|check| check["check"] == about), "{about}: {answer}");
    }
    for check in checks.iter().filter(|check| check["status"] == "warn" || check["status"] == "fail") {
        assert!(check["mend"].as_str().is_some_and(|mend| !mend.is_empty()), "{check}");
    }
    let status = match answer["status"].as_str() {
        Some("ok" | "note") => 0,
        Some("warn") => 6,
        Some("fail") => 4,
        other => panic!("{other:?}"),
    };
    assert_eq!(said.status, Some(status), "{}", said.err);
    let one = igbctl(&["doctor", "ffff:ff:1f.7"]);
    assert!(one.out.contains("there is no PCI function ffff:ff:1f.7"), "{}", one.out);
    assert_eq!(one.status, Some(4));
}

#[test]
fn no_qemu() {
    for arguments in [&["info", "qemu:"][..], &["demo", "--qemu"]] {
        let said = finish(command(arguments).env("IGB_QEMU", "/nonexistent"));
        assert!(said.err.contains("run `cargo xtask qemu`"), "{}", said.err);
        assert_eq!((said.status, said.out.as_str()), (Some(4), ""));
    }
    let said = finish(command(&["list", "--json"]).env("IGB_QEMU", "/nonexistent"));
    let list: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let qemu =
        list["devices"].as_array().unwrap().iter().find(|device| device["device"] == "qemu:0").unwrap();
    assert_eq!((said.status, &qemu["available"]), (Some(0), &false.into()));
}

#[test]
fn capture_files_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad");
    let run = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        igbctl(&["demo", file.to_str().unwrap()])
    };
    let mut raw = SAMPLE.to_vec();
    let interface = u32::from_le_bytes([SAMPLE[4], SAMPLE[5], SAMPLE[6], SAMPLE[7]]) as usize;
    raw[interface + 8] = 101;
    for (content, words) in [
        (&SAMPLE[..SAMPLE.len() - 1], "the file ends within the block at offset"),
        (&SAMPLE[..20], "the file ends within the section header at offset 0"),
        (&raw, "is of link type 101, not of Ethernet (1)"),
        (b"not a capture", "this is neither a pcap nor a pcapng file: it begins with 0x20746f6e"),
        (b"", "this is no capture file: it has 0 bytes"),
    ] {
        let said = run(content);
        assert!(said.err.contains(words), "{words}: {}", said.err);
        assert!(said.err.contains(file.to_str().unwrap()), "{}", said.err);
        assert_eq!((said.status, said.out.as_str()), (Some(5), ""), "{words}");
    }
    let said = igbctl(&["demo", "/nonexistent.pcapng"]);
    assert!(said.err.starts_with("igbctl: /nonexistent.pcapng: "), "{}", said.err);
    assert_eq!(said.status, Some(1));
}

#[test]
fn a_capture_without_a_frame_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jumbo.pcap");
    pcap(&file, &[(vec![1; 4000], 4000), (vec![1; 100], 1500), (vec![1; 10], 10)]);
    let said = igbctl(&["demo", file.to_str().unwrap()]);
    assert_eq!(said.status, Some(1));
    assert!(
        said.err.contains(
            "no frame in it can be sent (1 above the MTU of 1500, 1 cut by the capture, 1 without a header)"
        ),
        "{}",
        said.err
    );
}
