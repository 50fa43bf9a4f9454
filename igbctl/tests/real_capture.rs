//! A capture that somebody else took of a real network, through two ports: the 1.1 MB of mixed traffic that the package
//! `pcap-parser` is tested with (5,898 frames of Ethernet; a part of Wireshark's samples).

mod run;

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapBlockOwned, PcapError, PcapNGReader, traits::PcapReaderIterator};
use run::igbctl;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Cargo keeps the package's sources.
fn capture() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--quiet"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    let manifest = packages.iter().find(|package| package["name"] == "pcap-parser").expect("is a dependency");
    let manifest = Path::new(manifest["manifest_path"].as_str().expect("a path"));
    manifest.with_file_name("assets").join("wireshark_samples-test.pcapng")
}

/// The frames of a pcapng file, by a reader that is not the program's.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut reader =
        PcapNGReader::new(1 << 20, std::fs::File::open(path).expect("opens")).expect("is pcapng");
    let mut frames = Vec::new();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                if let PcapBlockOwned::NG(Block::EnhancedPacket(packet)) = block {
                    frames.push(packet.packet_data()[..packet.caplen as usize].to_vec());
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => return frames,
            Err(PcapError::Incomplete(_)) => reader.refill().expect("reads on"),
            Err(error) => panic!("{}: {error:?}", path.display()),
        }
    }
}

fn forwarded(more: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (capture(), folder.path().join("out.pcapng"));
    let (from, to) = (input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8"));
    let said = igbctl(&[&["demo", from, "--json", "--write", to], more].concat());
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{}", said.out);
    let mut sent = frames(&input);
    assert_eq!(sent.len(), 5898);
    sent.iter_mut().for_each(|frame| frame.resize(frame.len().max(60), 0));
    let came = frames(&output);
    assert!(sent == came, "{} frames went in, {} came out", sent.len(), came.len());
}

#[test]
fn on_the_simulator() {
    forwarded(&["--chip", "i210"]);
}

#[test]
fn on_qemu() {
    forwarded(&["--qemu"]);
}
