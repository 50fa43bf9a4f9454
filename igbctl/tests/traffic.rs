//! The commands that move frames, on the simulator.

mod run;

use igbctl::capture::parse;
use run::{command, igbctl};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn answer(arguments: &[&str]) -> Value {
    let said = igbctl(arguments);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{arguments:?}: {}", said.out);
    serde_json::from_str(&said.out).unwrap()
}

fn totals(report: &Value, device: usize) -> (u64, u64) {
    let totals = &report["devices"][device]["totals"];
    (totals["rx_frames"].as_u64().unwrap(), totals["tx_frames"].as_u64().unwrap())
}

#[test]
fn txgen_sends_exactly_what_it_is_told() {
    let report = answer(&[
        "txgen",
        "sim:i210/0",
        "--sink",
        "sim:/1",
        "--count",
        "1000",
        "--size",
        "1514",
        "--queues",
        "2",
        "--json",
    ]);
    assert_eq!(totals(&report, 0), (0, 1000));
    assert_eq!(totals(&report, 1), (1000, 0));
    assert_eq!(report["devices"][0]["hardware"]["tx_frames"], 1000);
    assert_eq!(report["devices"][1]["hardware"]["rx_bytes"], 1518 * 1000, "with FCS");
    for device in 0..2 {
        let queues = report["devices"][device]["queues"].as_array().unwrap();
        assert!(
            queues.iter().all(|queue| queue["rx_frames"] != queue["tx_frames"]),
            "both queues work: {queues:?}"
        );
    }
}

#[test]
fn rxdrop_ends_at_its_count() {
    let report = answer(&["rxdrop", "sim:i350/1", "--source", "sim:i350/0", "--count", "500", "--json"]);
    assert_eq!(totals(&report, 0).0, 500);
    assert_eq!(report["devices"][0]["chip"], "i350");
}

#[test]
fn fwd_moves_frames_from_wire_to_wire() {
    let report = answer(&[
        "fwd",
        "sim:82576/1",
        "sim:i210/2",
        "--source",
        "sim:82576/0",
        "--sink",
        "sim:i210/3",
        "--count",
        "640",
        "--queues",
        "4",
        "--json",
    ]);
    assert_eq!(totals(&report, 0), (640, 0));
    assert_eq!(totals(&report, 1), (0, 640));
    assert_eq!(totals(&report, 3).0, 640);
    let queues = report["devices"][0]["queues"].as_array().unwrap();
    assert!(queues.iter().all(|queue| queue["rx_frames"].as_u64() > Some(0)), "{queues:?}");
    assert!(queues.iter().all(|queue| queue["lost"] == 0));
}

#[test]
fn dump_writes_what_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.pcapng");
    let report = answer(&[
        "dump",
        "sim:/1",
        "--source",
        "sim:/0",
        "--count",
        "100",
        "--size",
        "77",
        "-w",
        file.to_str().unwrap(),
        "--json",
    ]);
    assert_eq!(report["written"], 100);
    let records = parse(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(records.len(), 100);
    for (number, record) in (0u64..).zip(&records) {
        assert_eq!((record.bytes.len(), record.wire_len), (77, 77));
        assert_eq!(record.bytes[42..50], number.to_be_bytes());
        assert!(record.nanos > 1_700_000_000_000_000_000);
    }
    let said =
        command(&["dump", "sim:/1", "--source", "sim:/0", "--count", "3", "-w", "-"]).output().unwrap();
    assert!(said.status.success());
    assert_eq!(parse(&said.stdout).unwrap().len(), 3);
}

#[test]
fn stats_are_the_hardwares() {
    let report = answer(&["stats", "sim:/1", "--source", "sim:/0", "--count", "64", "--json"]);
    assert!(report["devices"][0]["hardware"]["rx_frames"].as_u64() >= Some(64));
    let said = igbctl(&["stats", "sim:/1", "--source", "sim:/0", "--count", "64"]);
    assert!(said.out.contains("rx_broadcast") && !said.out.contains("crc_errors"), "{}", said.out);
}

#[test]
fn info_says_what_the_device_is() {
    let report = answer(&["info", "sim:i350", "--json"]);
    assert_eq!((&report["chip"], &report["rx_queues"]), (&"i350".into(), &8.into()));
    assert_eq!((&report["link"]["up"], &report["address"]), (&true.into(), &"02:00:00:00:00:01".into()));
}

#[test]
fn regs_are_read_and_decoded() {
    let report = answer(&["regs", "sim:i210", "STATUS", "receive", "--open", "--json"]);
    let registers = report["registers"].as_array().unwrap();
    assert!(registers.iter().all(|register| register["name"] == "STATUS" || register["group"] == "receive"));
    let rdlen = registers.iter().find(|register| register["name"] == "RDLEN").unwrap();
    assert_eq!((&rdlen["value"], &rdlen["index"]), (&1024.into(), &0.into()));
    let said = igbctl(&["decode", "--chip", "i210", "STATUS", "0x83"]);
    assert!(said.out.contains("0x00000083  FD LU SPEED=1000\n"), "{}", said.out);
}

/// Waits for what another process does, for ten seconds.
fn until(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_ends_in_a_table_and_130() {
    for (signal, status, words) in
        [("-INT", 130, "stopped by Ctrl-C"), ("-TERM", 143, "stopped by a signal to end")]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.pcapng");
        let mut child = command(&[
            "dump",
            "sim:/1",
            "--source",
            "sim:/0",
            "--seconds",
            "60",
            "-w",
            file.to_str().unwrap(),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        until(|| std::fs::metadata(&file).is_ok_and(|file| file.len() > 100_000));
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        until(|| child.try_wait().unwrap().is_some());
        let said = child.wait_with_output().unwrap();
        assert_eq!(said.status.code(), Some(status));
        assert!(String::from_utf8(said.stdout).unwrap().contains("frames received"));
        assert_eq!(String::from_utf8(said.stderr).unwrap(), format!("igbctl: {words}\n"));
        assert!(parse(&std::fs::read(&file).unwrap()).unwrap().len() > 1000, "the file is whole");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = command(&["regs", "sim:"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let said = child.wait_with_output().unwrap();
    assert_eq!((said.status.code(), String::from_utf8(said.stderr).unwrap().as_str()), (Some(0), ""));
}
