//! The same commands on QEMU's emulated 82576. Without QEMU these tests fail and say how to get it.

mod run;

use igbctl::capture::{SAMPLE, parse};
use run::igbctl;
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// Starts a dump in a process group of its own, and waits until frames arrive.
fn dumping(file: &Path) -> Child {
    let child = run::command(&[
        "dump",
        "qemu:1",
        "--source",
        "qemu:0",
        "--seconds",
        "60",
        "-w",
        file.to_str().unwrap(),
    ])
    .process_group(0)
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    until(|| std::fs::metadata(file).is_ok_and(|file| file.len() > 100_000));
    child
}

/// Waits for what another process does, for twenty seconds.
fn until(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn end(mut child: Child) -> (Option<i32>, String, String) {
    until(|| child.try_wait().unwrap().is_some());
    let said = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (said.status.code(), text(said.stdout), text(said.stderr))
}

/// One process, or with a minus a group.
fn kill(signal: &str, target: &str) {
    assert!(Command::new("kill").args([signal, "--", target]).status().unwrap().success());
}

#[test]
fn a_device_that_is_gone_ends_in_a_table_and_3() {
    let folder = tempfile::tempdir().unwrap();
    let child = dumping(&folder.path().join("out.pcapng"));
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let children =
        threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap());
    kill("-KILL", children.collect::<String>().trim());
    let (status, out, err) = end(child);
    assert_eq!(status, Some(3), "{err}");
    assert!(err.contains("the device is gone"), "{err}");
    assert!(out.contains("frames received"), "{out}");
}

/// A terminal sends Ctrl-C to QEMU too.
#[test]
fn ctrl_c_in_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let child = dumping(&folder.path().join("out.pcapng"));
    let group = format!("-{}", child.id());
    kill("-INT", &group);
    let (status, out, err) = end(child);
    assert_eq!((status, err.as_str()), (Some(130), "igbctl: stopped by Ctrl-C\n"));
    assert!(out.contains("frames received"), "{out}");
}
