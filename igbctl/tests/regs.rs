//! Registers by name: look-ups without a device, what is described of a chip, dumps and what differs between them.

mod run;

use run::igbctl;
use std::fs;

fn said(arguments: &[&str]) -> String {
    let said = igbctl(arguments);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{arguments:?}");
    said.out
}

#[test]
fn an_offset_and_a_value_say_who_and_what() {
    insta::assert_snapshot!("decode_offset", said(&["decode", "0x00028", "0x04000000"]));
    insta::assert_snapshot!("decode_chip", said(&["decode", "0x0", "0x04000000", "--chip", "82576"]));
    insta::assert_snapshot!("decode_differs", said(&["decode", "EEMNGCTL"]));
    insta::assert_snapshot!("decode_word", said(&["decode", "MarvellStatus", "0xac08"]));
    insta::assert_snapshot!("decode_vf", said(&["decode", "--vf", "0xc40", "0x90"]));
    insta::assert_snapshot!("decode_json", said(&["decode", "STATUS", "0x83", "--chip", "i210", "--json"]));
}

#[test]
fn what_is_described_of_a_chip_needs_no_device() {
    insta::assert_snapshot!("regs_chip", said(&["regs", "--chip", "i211", "CTRL", "dca"]));
    insta::assert_snapshot!("regs_chip_html", said(&["regs", "--chip", "i211", "DCA_CTRL", "--html"]));
}

/// Two dumps of invented values, and one of another chip.
#[test]
fn two_dumps_are_compared_register_by_register() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let a = file(
        "a",
        r#"{ "chip": "82576", "registers": [
            { "name": "CTRL", "index": null, "value": 1 }, { "name": "STATUS", "index": null, "value": 3 },
            { "name": "RDT", "index": 4, "value": 5 } ] }"#,
    );
    let b = file(
        "b",
        r#"{ "chip": "i210", "registers": [
            { "name": "CTRL", "index": null, "value": 577 }, { "name": "STATUS", "index": null, "value": 3 } ] }"#,
    );
    let plain = |text: String| text.replace(&a, "A").replace(&b, "B");
    insta::assert_snapshot!("regs_diff", plain(said(&["regs", "--diff", &a, &b])));
    insta::assert_snapshot!("regs_diff_json", plain(said(&["regs", "--diff", &a, &b, "--json"])));
    insta::assert_snapshot!("regs_diff_html", plain(said(&["regs", "--diff", &a, &b, "--html"])));
    assert!(said(&["regs", "--diff", &a, &b, "STATUS"]).ends_with("0 differ, 1 are the same\n"));
    for (text, words) in [
        ("", "no JSON"),
        ("[]", "it names no chip"),
        (r#"{ "chip": "i225" }"#, "there is no chip called"),
        (r#"{ "chip": "i210" }"#, "it has no registers"),
        (r#"{ "chip": "i210", "registers": [{}] }"#, "a register has no name"),
        (r#"{ "chip": "i210", "registers": [{ "name": "NOSUCH", "value": 1 }] }"#, "no register is called"),
        (
            r#"{ "chip": "i210", "registers": [{ "name": "RDT", "index": 4, "value": 1 }] }"#,
            "the i210 has no RDT[4]",
        ),
        (r#"{ "chip": "i210", "registers": [{ "name": "RDT", "index": 65536, "value": 1 }] }"#, "no index"),
        (r#"{ "chip": "i210", "registers": [{ "name": "CTRL", "value": -1 }] }"#, "no 32-bit value"),
    ] {
        let wrong = file("wrong", text);
        let said = igbctl(&["regs", "--diff", &a, &wrong]);
        assert!(
            said.err.contains(words) && said.err.contains("igbctl regs DEVICE --json"),
            "{text}: {}",
            said.err
        );
        assert_eq!(said.status, Some(2));
    }
    assert_eq!(igbctl(&["regs", "--diff", &a, "nowhere"]).status, Some(1));
}

/// What a dump says of a simulated device, in every form; and a device does not differ from its own dump.
#[test]
fn a_dump_comes_back_as_a_file() {
    let dump = said(&["regs", "sim:i350", "receive", "--json"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump");
    fs::write(&file, dump).unwrap();
    let same = said(&["regs", "--diff", "sim:i350", file.to_str().unwrap(), "receive"]);
    assert!(same.contains("\n0 differ, "), "{same}");
    let other = said(&["regs", "--diff", "sim:i350", "sim:i210", "STATUS", "MDICNFG", "RAL", "--json"]);
    let other: serde_json::Value = serde_json::from_str(&other).unwrap();
    // The I350 has 32 receive addresses, the I210 16.
    assert_eq!(other["only_a"].as_array().unwrap().len(), 16);
    let page = said(&["regs", "sim:i350", "CTRL", "STATUS", "--html"]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.matches("<details>").count() == 2);
    let decoded = said(&["regs", "sim:i350", "STATUS", "--decode"]);
    assert!(decoded.lines().any(|line| line.contains("GIO_MASTER_ENABLE")), "{decoded}");
}
