//! What a machine shows that did not end in time: its threads, its processors, its devices, its kernel's own account.
//!
//! Taken from outside, in an order that disturbs the least first. Any of it may fail, for what hangs may be the guest,
//! the emulator or the device; what failed is then part of the answer.

use super::job::Job;
use crate::{Error, Result, codegen, metadata};
use core::time::Duration;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin};

/// How long QEMU may think about one question.
const PATIENCE: Duration = Duration::from_secs(10);
/// The console's name at QEMU.
pub(super) const CONSOLE: &str = "console";
/// What the kernel is asked by its magic key: all messages on the console, what each processor does, what is blocked,
/// every task, timers.
pub(super) const KEYS: &[u8] = b"8lwtq";
/// The chip that QEMU emulates.
const CHIP: &str = "82576";
/// Registers that tell where a port stands, and how many elements of each. Those that a read clears come last.
const REGISTERS: [(&str, u16); 23] = [
    ("CTRL", 1),
    ("STATUS", 1),
    ("RCTL", 1),
    ("TCTL", 1),
    ("MRQC", 1),
    ("GPIE", 1),
    ("IMS", 1),
    ("EIMS", 1),
    ("EIAC", 1),
    ("EIAM", 1),
    ("IVAR", 8),
    ("IVAR_MISC", 1),
    ("EITR", 10),
    ("RXDCTL", 8),
    ("RDLEN", 8),
    ("RDH", 8),
    ("RDT", 8),
    ("TXDCTL", 8),
    ("TDLEN", 8),
    ("TDH", 8),
    ("TDT", 8),
    ("EICR", 1),
    ("ICR", 1),
];

/// A connection to QEMU's control socket.
struct Control {
    reader: BufReader<UnixStream>,
}

impl Control {
    fn connect(socket: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut control = Self { reader: BufReader::new(stream) };
        control.answer()?; // its greeting
        control.ask("qmp_capabilities", json!({}))?;
        Ok(control)
    }

    /// The next line that is no event.
    fn answer(&mut self) -> std::io::Result<Value> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let answer: Value = serde_json::from_str(&line)?;
            if answer.get("event").is_none() {
                return Ok(answer);
            }
        }
    }

    fn ask(&mut self, command: &str, arguments: Value) -> std::io::Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments }).to_string() + "\n";
        self.reader.get_mut().write_all(line.as_bytes())?;
        self.answer()
    }

    /// What the monitor for people answers.
    fn monitor(&mut self, line: &str) -> std::io::Result<String> {
        let answer = self.ask("human-monitor-command", json!({ "command-line": line }))?;
        Ok(answer["return"].as_str().unwrap_or_default().replace('\r', ""))
    }
}

/// Asks the emulator about itself, its processors and its devices. `child` is the emulator, `socket` its control socket.
pub(super) fn take(child: &Child, socket: &Path, job: &Job) -> String {
    let mut text = threads(child.id());
    let mut control = match Control::connect(socket) {
        Ok(control) => control,
        Err(error) => {
            let _ = writeln!(text, "QEMU does not answer: {error}");
            return text;
        }
    };
    if let Err(error) = machine(&mut control, job, &mut text) {
        let _ = writeln!(text, "QEMU stopped answering: {error}");
    }
    text
}

/// Asks the kernel by its magic key, through the console. What it says comes over the console, too.
pub(super) fn ask_kernel(input: &mut ChildStdin, socket: &Path) -> std::io::Result<()> {
    let mut control = Control::connect(socket)?;
    for key in KEYS {
        control.ask("chardev-send-break", json!({ "id": CONSOLE }))?;
        input.write_all(&[*key])?;
        input.flush()?;
        // A kernel that is alive has printed that by then; the next key is for a kernel that is not busy printing.
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// The emulator's threads: where each is, and whether it runs or waits.
fn threads(process: u32) -> String {
    let folder = format!("/proc/{process}/task");
    let look = || {
        let mut list = Vec::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            let stat = read("stat");
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let time = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
            let state = fields.first().copied().unwrap_or("?").to_owned();
            // User and system time are fields 14 and 15 of the line, of which the first two went with the name.
            list.push((entry.file_name(), read("comm"), state, time(11) + time(12), read("wchan")));
        }
        list
    };
    let before = look();
    std::thread::sleep(Duration::from_secs(1));
    let mut text =
        "threads of QEMU, with the hundredths of a second that each ran in the last one:\n".to_owned();
    for (id, name, state, time, place) in look() {
        let earlier = before.iter().find(|thread| thread.0 == id).map_or(0, |thread| thread.3);
        let (name, ran) = (name.trim(), time - earlier);
        let _ = writeln!(text, "  {name:16} {state} {ran:3} {place}");
    }
    text
}

fn machine(control: &mut Control, job: &Job, text: &mut String) -> std::io::Result<()> {
    let _ = writeln!(text, "status: {}", control.ask("query-status", json!({}))?["return"]);
    for look in 1..=2 {
        let registers = control.monitor("info registers -a")?;
        let wanted = ["CPU#", "RIP=", "RSP=", "CR0="];
        let lines = registers.lines().filter(|line| wanted.iter().any(|word| line.contains(word)));
        let lines: Vec<&str> = lines.map(str::trim).collect();
        let _ = writeln!(text, "processors, look {look}:\n  {}", lines.join("\n  "));
        std::thread::sleep(Duration::from_millis(200));
    }
    for cpu in 0..job.cpus {
        let apic = control.monitor(&format!("info lapic {cpu}"))?;
        let _ = writeln!(text, "interrupt controller {cpu}:\n{}", apic.trim_end());
    }
    let offsets = offsets().unwrap_or_default();
    for (number, base) in bases(&control.monitor("info pci")?).into_iter().enumerate() {
        let _ = writeln!(text, "port {number}, registers at {base:#x}:");
        for (name, elements) in &offsets {
            let mut values = Vec::new();
            for offset in elements {
                let said = control.monitor(&format!("xp /1wx {:#x}", base + u64::from(*offset)))?;
                values
                    .push(said.split_whitespace().nth(1).unwrap_or("?").trim_start_matches("0x").to_owned());
            }
            let _ = writeln!(text, "  {name:9} {}", values.join(" "));
        }
    }
    Ok(())
}

/// The offsets of [`REGISTERS`], as `specs/` has them.
fn offsets() -> Result<Vec<(&'static str, Vec<u32>)>> {
    let spec = codegen::load(metadata::root())?;
    let chip = spec.chips.iter().position(|chip| chip.name == CHIP);
    let chip = chip.ok_or_else(|| Error::Failed(format!("specs/ has no {CHIP}")))?;
    let find = |(name, count): (&'static str, u16)| {
        let register = spec.registers().map(|(_, register)| register).find(|register| register.name == name);
        let place =
            register.and_then(|register| register.places.iter().find(|place| place.chips.contains(chip)));
        let place = place.ok_or_else(|| Error::Failed(format!("specs/ has no {name} of the {CHIP}")))?;
        let offsets = place.pieces.iter().flat_map(|piece| piece.offsets()).map(|(_, offset)| offset);
        Ok((name, offsets.take(count.into()).collect()))
    };
    REGISTERS.into_iter().map(find).collect()
}

/// Where the registers of each igb device are, of what the monitor says of PCI; none if they are not mapped.
fn bases(pci: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut ours = false;
    for line in pci.lines() {
        if line.trim_start().starts_with("Bus ") {
            ours = false;
        } else if line.contains("PCI device 8086:10c9") {
            ours = true;
        } else if let Some(place) = line.trim().strip_prefix("BAR0: 32 bit memory at 0x").filter(|_| ours) {
            let base = place.split_whitespace().next().and_then(|base| u64::from_str_radix(base, 16).ok());
            found.extend(base.filter(|base| *base != u64::from(u32::MAX)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_where_they_are_mapped() {
        let said = "  Bus  0, device   1, function 0:\n    PCI bridge: PCI device 1b36:000c\n      BAR0: 32 bit memory at 0xfebd7000 [0xfebd7fff].\n\
                    \x20 Bus  1, device   0, function 0:\n    Ethernet controller: PCI device 8086:10c9\n      BAR0: 32 bit memory at 0xfe800000 [0xfe81ffff].\n\
                    \x20 Bus  2, device   0, function 0:\n    Ethernet controller: PCI device 8086:10c9\n      BAR0: 32 bit memory at 0xffffffff [0x0001fffe].\n";
        assert_eq!(bases(said), [0xfe80_0000]);
        assert!(bases("").is_empty());
    }

    #[test]
    fn every_register_is_described() {
        let offsets = offsets().unwrap();
        let of = |name| offsets.iter().find(|one| one.0 == name).unwrap().1.clone();
        assert_eq!(of("EIMS"), [0x1524]);
        assert_eq!(of("RDT").len(), 8);
    }
}
