//! The same commands on QEMU's emulated 82576. Without QEMU these tests fail and say how to get it.

mod run;

use igbctl::capture::{SAMPLE, parse};
use run::igbctl;
use serde_json::Value;

fn answer(arguments: &[&str]) -> Value {
    let said = igbctl(arguments);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{arguments:?}: {}", said.out);
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let report = answer(&["demo", "--qemu", "--json", "--write", out.to_str().unwrap()]);
    assert_eq!((&report["ran_on"], &report["comparison"]["identical"]), (&"qemu".into(), &true.into()));
    assert!(report["devices"][0]["running"]["interrupts"].as_u64() > Some(0));
    let frames = parse(&std::fs::read(&out).unwrap()).unwrap();
    for (out, sent) in frames.iter().zip(parse(SAMPLE).unwrap()) {
        let mut sent = sent.bytes;
        sent.resize(sent.len().max(60), 0);
        assert_eq!(out.bytes, sent);
    }
}

#[test]
fn the_demo_on_four_queues() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let out = out.to_str().unwrap();
    let report = answer(&["demo", "--qemu", "--json", "--queues", "4", "--repeat", "5", "--write", out]);
    assert_eq!(report["comparison"]["identical"], true);
    let queues = report["devices"][0]["queues"].as_array().unwrap();
    assert!(queues.iter().filter(|queue| queue["rx_frames"].as_u64() > Some(0)).count() > 1, "{queues:?}");
}

#[test]
fn info_and_registers() {
    let report = answer(&["info", "qemu:", "--json"]);
    assert_eq!((&report["chip"], &report["link"]["up"]), (&"82576".into(), &true.into()));
    let report = answer(&["regs", "qemu:1", "STATUS", "--json"]);
    assert_eq!(report["registers"][0]["name"], "STATUS");
}

#[test]
fn forwarding_between_four_ports() {
    let report = answer(&[
        "fwd",
        "qemu:1",
        "qemu:2",
        "--source",
        "qemu:0",
        "--sink",
        "qemu:3",
        "--count",
        "200",
        "--one-way",
        "--json",
    ]);
    assert_eq!(report["devices"][1]["totals"]["tx_frames"], 200);
    assert_eq!(report["devices"][3]["totals"]["rx_frames"], 200);
}
