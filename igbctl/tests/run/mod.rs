//! Runs the program and hands back what it said.

use std::path::Path;
use std::process::{Command, Stdio};

/// What it said and how it ended.
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: Option<i32>,
}

/// The program, without what the tester's environment says of QEMU.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_igbctl"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn igbctl(arguments: &[&str]) -> Said {
    finish(&mut command(arguments))
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Said {
    let output = command.output().expect("the program starts");
    Said {
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
        status: output.status.code(),
    }
}

/// A pcap file of Ethernet frames, each with its length on the wire.
#[allow(dead_code, reason = "not every test has files")]
pub(crate) fn pcap(path: &Path, frames: &[(Vec<u8>, u32)]) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (seconds, (frame, wire)) in (1u32..).zip(frames) {
        for word in [seconds, 0, frame.len() as u32, *wire] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    std::fs::write(path, file).expect("a temporary file");
}
