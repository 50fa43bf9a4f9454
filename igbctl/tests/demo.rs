//! The demo: what goes in comes out, and what it says of that is so.

mod run;

use igbctl::capture::{SAMPLE, parse};
use run::{igbctl, pcap};
use serde_json::Value;

/// A demo's answer, and the frames in the file that it wrote.
fn demo(arguments: &[&str]) -> (Value, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let mut all = vec!["demo", "--json", "--write", out.to_str().unwrap()];
    all.extend(arguments);
    let said = igbctl(&all);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{}", said.out);
    let frames = parse(&std::fs::read(&out).unwrap()).unwrap();
    assert!(frames.windows(2).all(|pair| pair[0].nanos <= pair[1].nanos));
    (serde_json::from_str(&said.out).unwrap(), frames.into_iter().map(|record| record.bytes).collect())
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

#[test]
fn the_sample_comes_out_as_it_went_in() {
    let (_, out) = demo(&[]);
    let sample: Vec<_> = parse(SAMPLE).unwrap().into_iter().map(|record| padded(record.bytes)).collect();
    assert_eq!(out, sample);
}

#[test]
fn every_chip_carries_it_on_as_many_queues_as_it_has() {
    for (chip, queues) in
        [("82575", 4), ("82576", 16), ("82580", 8), ("i350", 8), ("i354", 8), ("i210", 4), ("i211", 2)]
    {
        let (report, mut out) = demo(&["--chip", chip, "--queues", &queues.to_string()]);
        let mut sample: Vec<_> =
            parse(SAMPLE).unwrap().into_iter().map(|record| padded(record.bytes)).collect();
        out.sort();
        sample.sort();
        assert_eq!(out, sample, "{chip}");
        assert_eq!(report["comparison"]["identical"], true);
        let used = report["devices"][0]["queues"].as_array().unwrap();
        assert_eq!(used.len(), queues);
        assert!(
            used.iter().filter(|queue| queue["rx_frames"].as_u64() > Some(0)).count() > 1,
            "{chip}: {used:?}"
        );
    }
}

#[test]
fn the_answer_has_this_shape() {
    let (mut report, _) = demo(&[]);
    report["output"]["file"] = "[file]".into();
    for device in report["devices"].as_array_mut().unwrap() {
        device["hardware"]["interrupts"] = "[interrupts]".into();
        for part in ["running", "bring_up"] {
            for (name, value) in device[part].as_object_mut().unwrap() {
                *value = format!("[{name}]").into();
            }
        }
    }
    insta::assert_json_snapshot!("demo", report);
}

#[test]
fn what_people_read() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let said = igbctl(&["demo", "--write", out.to_str().unwrap()]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    // Doorbells and register accesses are the driver's to improve.
    insta::with_settings!({ filters => vec![
        (r"wire -> \S+out\.pcapng", "wire -> [file]"),
        (r"(?m)^  (.*(doorbells|interrupts|register).*?) +[\d,]+ +[\d,]+$", "  $1 [count] [count]"),
        (r"[\d.]+ frames a doorbell", "[count] frames a doorbell"),
        (r" +NIC A +NIC B\n", "    NIC A    NIC B\n"),
    ] }, {
        insta::assert_snapshot!("demo_text", said.out);
    });
}

#[test]
fn doorbells_are_for_batches_and_no_register_is_read_for_a_frame() {
    let (report, _) = demo(&["--repeat", "20"]);
    let (a, b) = (&report["devices"][0]["running"], &report["devices"][1]["running"]);
    let frames = report["comparison"]["same"].as_u64().unwrap();
    assert_eq!(a["register_reads"], 0);
    assert_eq!(b["register_reads"], 0);
    assert!(a["rx_doorbells"].as_u64().unwrap() * 15 < frames, "{a}");
    assert!(b["tx_doorbells"].as_u64().unwrap() * 15 < frames, "{b}");
    assert!(a["interrupts"].as_u64().unwrap() > 0, "{a}");
    assert!(a["interrupts"].as_u64().unwrap() * 15 < frames, "{a}");
}

#[test]
fn short_frames_are_padded_and_long_ones_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.pcap");
    let frame = |len: usize| (vec![0xa5; len], len as u32);
    let mut tagged = frame(1518);
    tagged.0[12..14].copy_from_slice(&[0x81, 0]);
    let frames = [frame(14), frame(60), frame(1514), tagged, frame(1515), frame(9000), (vec![3; 90], 100)];
    pcap(&file, &frames);
    let (report, out) = demo(&[file.to_str().unwrap()]);
    assert_eq!(out, frames[..4].iter().map(|frame| padded(frame.0.clone())).collect::<Vec<_>>());
    assert_eq!(report["input"]["padded"], 1);
    assert_eq!(report["input"]["refused"]["above_mtu"], 2);
    assert_eq!(report["input"]["refused"]["cut"], 1);
}

#[test]
fn without_a_file_name_the_output_is_a_new_temporary_file() {
    let said = igbctl(&["demo", "--json"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let path = report["output"]["file"].as_str().unwrap();
    assert_eq!(parse(&std::fs::read(path).unwrap()).unwrap().len(), parse(SAMPLE).unwrap().len());
    std::fs::remove_file(path).unwrap();
}
