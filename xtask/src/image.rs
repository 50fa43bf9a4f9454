//! The bare-metal image: built, run in QEMU, and judged from the other ends of its wires.
//!
//! Each port's wire ends in a socket of ours, one frame a datagram, so that every reply is seen and compared.

use crate::run::{self, Console};
use crate::{Error, Result, While, metadata, qemu, sysroot};
use clap::Args;
use core::time::Duration;
use std::fmt::Display;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

const TARGET: &str = "x86_64-unknown-none";
/// QEMU's exit status is what the image writes to isa-debug-exit, doubled, plus one.
const DONE: i32 = 33;
const NO_DEVICE: i32 = 3;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
const PINGS: u16 = 1000;
const FRAMES: u16 = 500;
const PEER: [u8; 6] = [0x52, 0x54, 0, 0, 1, 0];

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Builds the image and prints its path; runs nothing
    #[arg(long)]
    build: bool,
}

/// Builds the image and, unless told not to, runs it with polling, with MSI-X and without a device.
pub(crate) fn run(console: &mut Console, options: &Options) -> Result<()> {
    let image = build(console)?;
    let size = std::fs::metadata(&image).during(|| format!("looking at {}", image.display()))?.len();
    println!("{}: {:.1} KiB", image.display(), size as f64 / 1024.0);
    if options.build {
        return Ok(());
    }
    let qemu = qemu::ready(false)?;
    for (title, line) in [("polling", "polling"), ("MSI-X", "interrupts")] {
        let started = Instant::now();
        let report = ports(console, &qemu, &image, title, line)?;
        console.clear();
        println!("{title}: {report}, {:.1} s", started.elapsed().as_secs_f64());
    }
    let machine = Machine::start(&qemu, &image, "", 0)?;
    machine.line("no igb on this machine's PCI bus")?;
    machine.end(NO_DEVICE)?;
    println!("without a device: said so, exit status {NO_DEVICE}");
    Ok(())
}

/// The same, as a step of the tests.
pub(crate) fn step(console: &mut Console) -> Result<()> {
    run(console, &Options { build: false })
}

fn build(console: &mut Console) -> Result<PathBuf> {
    let mut cargo = run::cargo();
    cargo.args([
        "build",
        "--package",
        "igb-bare",
        "--bin",
        "igb-image",
        "--profile",
        "image",
        "--target",
        TARGET,
    ]);
    sysroot::equip(console, TARGET, &mut cargo)?;
    // A folder of its own: a wait for another build's lock would count as time of the image.
    let target = metadata::root().join("target/image");
    run::quiet(console, "building the image", cargo.env("CARGO_TARGET_DIR", &target))?;
    Ok(target.join(TARGET).join("image/igb-image"))
}

/// Two ports: ping both, forward both ways, take the link away and give it back, ping again.
fn ports(console: &mut Console, qemu: &Path, image: &Path, title: &str, line: &str) -> Result<String> {
    let mut machine = Machine::start(qemu, image, line, 2)?;
    let mut random = Random(0x1234_5678);
    for number in 0..2 {
        let words = machine.line(&format!("{number}    "))?;
        let kind = words.split_whitespace().nth(4).unwrap_or_default();
        if kind != title {
            return Err(failed(format!("port {number} runs with {kind:?} instead of {title}: {words}")));
        }
    }
    for number in 0..2 {
        machine.line(&format!("port {number} link: 1000"))?;
    }
    for (number, wire) in machine.wires.iter().enumerate() {
        let number = number as u8;
        let address = wire.arp(number)?;
        for sequence in 0..PINGS {
            console.now(&format!("{title}: port {number}, ping {sequence}"));
            wire.ping(number, address, sequence, 14 + 20 + 8 + random.below(1473))?;
        }
    }
    machine.command("f", "forwarding")?;
    let mut bytes = 0;
    for (from, to) in [(0, 1), (1, 0)] {
        console.now(&format!("{title}: forwarding from port {from} to port {to}"));
        bytes += forward(&machine.wires[from], &machine.wires[to], &mut random)?;
    }
    machine.command("a", "answering")?;
    console.now(&format!("{title}: link flap"));
    machine.monitor("set_link n0 off")?;
    machine.line("port 0 link: down")?;
    machine.monitor("set_link n0 on")?;
    machine.line("port 0 link: 1000")?;
    let address = machine.wires[0].arp(0)?;
    for sequence in 0..10 {
        machine.wires[0].ping(0, address, sequence, 98)?;
    }
    machine.command("q", "port function")?;
    for number in 0..2 {
        let row = machine.line(&format!("{number}    "))?;
        if !row.ends_with(" 0") {
            return Err(failed(format!("port {number} missed frames: {row}")));
        }
    }
    let halts = machine.line("halts: ")?;
    let woken: u32 = halts.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or_default();
    // A message for each frame that came while the processor slept; the clock alone would do as well, but slowly.
    if (woken >= u32::from(PINGS)) != (title == "MSI-X") {
        return Err(failed(format!("{halts}, with {title}")));
    }
    machine.end(DONE)?;
    Ok(format!(
        "{} pings answered, {} frames of {bytes} bytes forwarded, link flap, {woken} interrupts",
        2 * PINGS + 10,
        2 * FRAMES
    ))
}

/// Sends frames into one port and compares what leaves the other one.
fn forward(from: &Wire, to: &Wire, random: &mut Random) -> Result<usize> {
    let mut bytes = 0;
    for first in (0..FRAMES).step_by(8) {
        let batch: Vec<Vec<u8>> = (first..(first + 8).min(FRAMES)).map(|_| random.frame()).collect();
        for frame in &batch {
            from.send(frame)?;
        }
        for (number, frame) in batch.iter().enumerate() {
            let got = to.receive()?;
            if got != *frame {
                let number = usize::from(first) + number;
                return Err(failed(format!(
                    "frame {number} came out changed:\nin  {frame:02x?}\nout {got:02x?}"
                )));
            }
            bytes += frame.len();
        }
    }
    Ok(bytes)
}

/// A machine with the image in it.
struct Machine {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    folder: PathBuf,
    wires: Vec<Wire>,
}

impl Machine {
    fn start(qemu: &Path, image: &Path, line: &str, ports: u8) -> Result<Self> {
        // Paths of sockets are short: 107 bytes.
        let folder = std::env::temp_dir().join(format!("igb-image-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).during(|| format!("making {}", folder.display()))?;
        let mut command = Command::new(qemu);
        command.args(["-accel", "tcg", "-machine", "q35", "-cpu", "max", "-m", "64", "-nodefaults"]);
        command.args(["-display", "none", "-no-reboot", "-serial", "stdio"]);
        command
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-append", line, "-kernel"])
            .arg(image);
        command.arg("-monitor").arg(format!("unix:{}/monitor,server=on,wait=off", folder.display()));
        command.args(["-device", "pcie-root-port,id=bridge,addr=1"]);
        let mut wires = Vec::new();
        for number in 0..ports {
            let (ours, theirs) = (folder.join(format!("peer{number}")), folder.join(format!("port{number}")));
            let socket = UnixDatagram::bind(&ours).during(|| format!("making {}", ours.display()))?;
            socket
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| socket.set_write_timeout(Some(PATIENCE)))
                .during(|| "setting a time-out".into())?;
            command.arg("-netdev").arg(format!(
                "dgram,id=n{number},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                theirs.display(),
                ours.display()
            ));
            // The first on the root bus, the second behind a bridge.
            let bus = ["pcie.0", "bridge"][usize::from(number) % 2];
            let device = format!("igb,bus={bus},netdev=n{number},mac=52:54:00:00:00:{number:02x},romfile=");
            command.args(["-device", &device]);
            wires.push(Wire { socket, theirs });
        }
        let starting = || format!("starting {}", qemu.display());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().during(starting)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("QEMU has no serial line"));
        };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(core::result::Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, input, lines, folder, wires })
    }

    /// Reads serial lines up to the one that begins with `start`.
    fn line(&self, start: &str) -> Result<String> {
        let (begun, mut seen) = (Instant::now(), String::new());
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
                Ok(line) if line.starts_with(start) => return Ok(line),
                Ok(line) => seen = seen + &line + "\n",
                Err(_) => return Err(failed(format!("the image did not say {start:?}; it said\n{seen}"))),
            }
        }
    }

    /// Sends a letter on the serial line and waits for the answer.
    fn command(&mut self, letter: &str, answer: &str) -> Result<()> {
        self.input.write_all(letter.as_bytes()).during(|| "writing to the serial line".into())?;
        self.input.flush().during(|| "writing to the serial line".into())?;
        self.line(answer).map(drop)
    }

    /// Tells QEMU's monitor one thing.
    fn monitor(&self, command: &str) -> Result<()> {
        let talking = || "talking to QEMU's monitor".to_owned();
        let mut stream = UnixStream::connect(self.folder.join("monitor")).during(talking)?;
        stream.set_read_timeout(Some(PATIENCE)).during(talking)?;
        stream.write_all(format!("{command}\n").as_bytes()).during(talking)?;
        let mut reader = BufReader::new(stream);
        let mut said = Vec::new();
        // A prompt before the command and one after it.
        for _ in 0..2 {
            reader.read_until(b')', &mut said).during(talking)?;
        }
        Ok(())
    }

    /// Waits for the end and compares the exit status.
    fn end(mut self, wanted: i32) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().during(|| "waiting for QEMU".into())? {
                return if status.code() == Some(wanted) {
                    Ok(())
                } else {
                    Err(failed(format!("QEMU ended with {status} instead of {wanted}")))
                };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(failed("QEMU did not end"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The other end of a port's wire.
struct Wire {
    socket: UnixDatagram,
    theirs: PathBuf,
}

impl Wire {
    fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket.send_to(frame, &self.theirs).during(|| "sending a frame".into()).map(drop)
    }

    fn receive(&self) -> Result<Vec<u8>> {
        let mut frame = vec![0; 4096];
        let len = match self.socket.recv(&mut frame) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(failed(format!(
                    "no frame came out of {} for {PATIENCE:?}",
                    self.theirs.display()
                )));
            }
            received => received.during(|| "waiting for a frame".into())?,
        };
        frame.truncate(len);
        Ok(frame)
    }

    /// Asks for the station address of port `number`.
    fn arp(&self, number: u8) -> Result<[u8; 6]> {
        let mut frame = ethernet([0xff; 6], 0x0806);
        frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(PEER);
        frame.extend([10, 0, number, 2, 0, 0, 0, 0, 0, 0, 10, 0, number, 1]);
        frame.resize(60, 0);
        self.send(&frame)?;
        let reply = self.receive()?;
        let expected = [&PEER[..], &[0x52, 0x54, 0, 0, 0, number, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2]].concat();
        let address = [0x52, 0x54, 0, 0, 0, number];
        let whole = [&expected[..], &address, &[10, 0, number, 1], &PEER, &[10, 0, number, 2]].concat();
        if reply.get(..42) == Some(&whole[..]) {
            Ok(address)
        } else {
            Err(failed(format!("not the answer to ARP: {reply:02x?}")))
        }
    }

    /// Sends an echo request in a frame of `len` bytes and compares the reply, byte by byte.
    fn ping(&self, number: u8, to: [u8; 6], sequence: u16, len: usize) -> Result<()> {
        let (us, them) = ([10, 0, number, 2], [10, 0, number, 1]);
        let frame = |to, from, source: [u8; 4], target: [u8; 4], kind: u8, id: [u8; 2]| {
            let mut frame = ethernet(to, 0x0800);
            frame[6..12].copy_from_slice(from);
            let total = (len - 14) as u16;
            frame.extend([0x45, 0]);
            frame.extend(total.to_be_bytes());
            frame.extend(id);
            frame.extend([0x40, 0, 64, 1, 0, 0]); // not to be fragmented, 64 hops, ICMP
            frame.extend(source);
            frame.extend(target);
            let sum = checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum);
            frame.extend([kind, 0, 0, 0, 0x12, 0x34]);
            frame.extend(sequence.to_be_bytes());
            frame.extend((0..len - 42).map(|n| (n as u16 ^ sequence) as u8));
            let sum = checksum(&frame[34..]);
            frame[36..38].copy_from_slice(&sum);
            frame
        };
        self.send(&frame(to, &PEER, us, them, 8, sequence.to_be_bytes()))?;
        let reply = self.receive()?;
        // The reply's identification is the sender's to choose.
        let id = reply.get(18..20).and_then(|id| id.try_into().ok()).unwrap_or_default();
        let expected = frame(PEER, &to, them, us, 0, id);
        let padded =
            reply.get(len..).is_some_and(|rest| reply.len() <= 60.max(len) && rest.iter().all(|b| *b == 0));
        if padded && reply.starts_with(&expected) {
            Ok(())
        } else {
            Err(failed(format!(
                "not the answer to ping {sequence}:\nexpected {expected:02x?}\ngot      {reply:02x?}"
            )))
        }
    }
}

fn ethernet(to: [u8; 6], kind: u16) -> Vec<u8> {
    [&to[..], &PEER, &kind.to_be_bytes()].concat()
}

/// The Internet's checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
}

fn failed(what: impl Display) -> Error {
    Error::Failed(format!("the image: {what}"))
}

/// Xorshift: the same numbers in every run.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
    fn below(&mut self, limit: u32) -> usize {
        (self.next() % limit) as usize
    }
    /// Any bytes, 60 to 1,514 of them; addressed to one station.
    fn frame(&mut self) -> Vec<u8> {
        let mut frame: Vec<u8> = (0..60 + self.below(1455)).map(|_| self.next() as u8).collect();
        frame[0] &= 0xfe;
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_known_header() {
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&header), [0xb8, 0x61]);
        assert_eq!(checksum(&[0xff]), [0x00, 0xff]);
    }
}
