//! The command line.

use crate::device::{DeviceName, parse_chip};
use clap::{Args, Parser, Subcommand};
use igb::{Chip, MacAddress};
use igb_vfio::Address;
use std::path::PathBuf;

/// Text that both the help and the manual pages are made of.
macro_rules! devices {
    () => {
        "  sim:[CHIP][/PORT]  a simulated NIC: 82575, 82576, 82580, i350, i354, i210 or i211; without CHIP its partner's, or 82576
  qemu:[PORT]        a port of QEMU's emulated 82576; `cargo xtask qemu` fetches a QEMU
  vfio:ADDRESS       a PCI function bound to vfio-pci, as vfio:0000:01:00.0; see bind, and --bind
  Ports 0 and 1 are joined by a wire, 2 and 3 by another, and so on. A command's devices share one machine, and what
  stands at the other end of a wire moves frames only if the command names it, for instance as --source or --sink."
    };
}

/// As above.
macro_rules! exit_status {
    () => {
        "  0    all went well
  1    it ran and failed: the driver, a file, or what the command found
  2    the command line is wrong
  3    the device is gone
  4    something is missing: a QEMU, or what VFIO or TAP needs; the message says what to do
  5    a capture file cannot be used
  6    doctor: nothing is missing, but something is to be warned of
  130  stopped by Ctrl-C (143 by SIGTERM), after the device was closed, given back if --bind took it,
       and the report printed"
    };
}

/// What stands under the help: devices and exit status. The manual pages have both as sections of their own.
const AFTER: &str = concat!("Devices:\n", devices!(), "\n\nExit status:\n", exit_status!());

/// How devices are named.
pub(crate) const DEVICES: &str = devices!();
/// What the exit status means.
pub(crate) const EXIT_STATUS: &str = exit_status!();

/// Drives Intel's 1 GbE controllers from user space
#[derive(Debug, Parser)]
#[command(name = "igbctl", version, after_help = AFTER, disable_help_subcommand = true, max_term_width = 120)]
pub(crate) struct Arguments {
    /// Answer with one JSON value on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the devices that there are, and what is missing for the others
    List,
    /// Gives PCI functions to vfio-pci, and remembers which drivers had them
    Bind(Bind),
    /// Gives PCI functions back to the drivers that had them
    Unbind(Unbind),
    /// Checks what this machine needs to drive its devices, and says the command that mends what is missing
    Doctor(Doctor),
    /// Says what a device is: chip, address, firmware, PHY, link
    Info(Info),
    /// Shows a device's registers, decoded; what differs between two; what is described of a chip
    Regs(Regs),
    /// Says what a register is and what a value of it means; needs no device
    Decode(Decode),
    /// Receives for a while and shows what the hardware counted
    Stats(Stats),
    /// Receives and drops
    Rxdrop(Receive),
    /// Sends generated frames
    Txgen(Txgen),
    /// Forwards between two devices, without a copy
    Fwd(Fwd),
    /// Writes what a device receives to a pcapng file
    Dump(Dump),
    /// Puts a network interface of this host (TAP) in front of a device
    Tap(Tap),
    /// Forwards a capture file through two NICs and compares; needs neither hardware nor QEMU
    Demo(Demo),
    /// Serves simulated NICs to QEMU's guests by vfio-user, until Ctrl-C
    Sim(Sim),
    /// Writes the manual pages into a folder, for packages
    #[command(hide = true)]
    Man(Man),
}

/// How a device is opened.
#[derive(Debug, Clone, Args)]
pub(crate) struct Rings {
    /// Queues of each device
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) queues: u16,
    /// Descriptors of each ring: 64 to 4096, a multiple of 8
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub(crate) ring: u32,
}

/// How a vfio: device comes to us.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Take {
    /// Give each vfio: device to vfio-pci first, and back to its driver in the end, however the command ends
    #[arg(long)]
    pub(crate) bind: bool,
}

/// When to end.
#[derive(Debug, Clone, Args)]
pub(crate) struct Limits {
    /// End after so many frames
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// End after so many seconds; otherwise Ctrl-C ends it
    #[arg(long, value_name = "S")]
    pub(crate) seconds: Option<f64>,
}

/// What generated frames look like.
#[derive(Debug, Clone, Args)]
pub(crate) struct Frames {
    /// Bytes of a generated frame, without FCS
    #[arg(long, value_name = "BYTES", default_value_t = 60, value_parser = clap::value_parser!(u16).range(60..=1514))]
    pub(crate) size: u16,
    /// Flows among the generated frames
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=60000))]
    pub(crate) flows: u16,
    /// Frames a doorbell
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) batch: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Bind {
    /// The functions, as 0000:01:00.0
    #[arg(required = true, value_name = "ADDRESS", value_parser = parse_function)]
    pub(crate) addresses: Vec<Address>,
    /// Also an interface that carries the default route or has an address, a function that is no igb, and one whose
    /// IOMMU group cannot be used yet
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Unbind {
    /// The functions, as 0000:01:00.0
    #[arg(required = true, value_name = "ADDRESS", value_parser = parse_function)]
    pub(crate) addresses: Vec<Address>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// One function, as 0000:01:00.0, which is then to be ready for use; without it, the machine and all igb functions
    #[arg(value_name = "ADDRESS", value_parser = parse_function)]
    pub(crate) address: Option<Address>,
}

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The device
    pub(crate) device: DeviceName,
    #[command(flatten)]
    pub(crate) take: Take,
    /// How long to wait for the link, in seconds
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    pub(crate) wait: f64,
}

#[derive(Debug, Args)]
pub(crate) struct Regs {
    /// The device, then names of registers or groups: only these. With --chip or --diff names alone
    #[arg(value_name = "DEVICE|NAME")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) take: Take,
    /// After the driver opened the device, not as it is found
    #[arg(long)]
    pub(crate) open: bool,
    /// With a line for each field
    #[arg(long, alias = "fields")]
    pub(crate) decode: bool,
    /// What is described of a chip's registers, without a device
    #[arg(long, value_parser = parse_chip, conflicts_with_all = ["diff", "open", "decode"])]
    pub(crate) chip: Option<Chip>,
    /// Only what differs between two devices, or files that `regs --json` wrote
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "decode")]
    pub(crate) diff: Vec<String>,
    /// As a page for a browser
    #[arg(long, conflicts_with = "json")]
    pub(crate) html: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// Byte offset, or name, as 0x8, STATUS or RXDCTL[3]; or the name of a PHY register, an NVM word, a descriptor's
    /// quadword, a mailbox message, a PCI capability's field
    pub(crate) name: String,
    /// The value, as 0x83
    #[arg(value_parser = parse_wide)]
    pub(crate) value: Option<u64>,
    /// Of this chip, not of all
    #[arg(long, value_parser = parse_chip)]
    pub(crate) chip: Option<Chip>,
    /// Of the page that a virtual function shows its driver
    #[arg(long = "vf")]
    pub(crate) virtual_function: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// The device
    pub(crate) device: DeviceName,
    /// A device of the same machine that sends generated frames meanwhile
    #[arg(long, value_name = "DEVICE")]
    pub(crate) source: Option<DeviceName>,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) rings: Rings,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) frames: Frames,
}

#[derive(Debug, Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    pub(crate) receive: Receive,
    /// Counters that are zero, too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    pub(crate) receive: Receive,
    /// The file; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) write: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Txgen {
    /// The device
    pub(crate) device: DeviceName,
    /// A device of the same machine that receives and drops meanwhile
    #[arg(long, value_name = "DEVICE")]
    pub(crate) sink: Option<DeviceName>,
    /// The destination address
    #[arg(long, value_name = "ADDRESS", default_value = "ff:ff:ff:ff:ff:ff", value_parser = parse_address)]
    pub(crate) to: MacAddress,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) rings: Rings,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) frames: Frames,
}

#[derive(Debug, Args)]
pub(crate) struct Fwd {
    /// One device
    pub(crate) a: DeviceName,
    /// The other
    pub(crate) b: DeviceName,
    /// Only from A to B
    #[arg(long)]
    pub(crate) one_way: bool,
    /// A device of the same machine that sends generated frames meanwhile
    #[arg(long, value_name = "DEVICE")]
    pub(crate) source: Option<DeviceName>,
    /// A device of the same machine that receives and drops meanwhile
    #[arg(long, value_name = "DEVICE")]
    pub(crate) sink: Option<DeviceName>,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) rings: Rings,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) frames: Frames,
}

#[derive(Debug, Args)]
#[command(after_help = TAP)]
pub(crate) struct Tap {
    /// The devices; each gets an interface
    #[arg(required = true, value_name = "DEVICE")]
    pub(crate) devices: Vec<DeviceName>,
    /// The interface's name; with %d in it the kernel chooses a number. Of several devices: once for each
    #[arg(long, value_name = "NAME", default_value = "igb%d")]
    pub(crate) name: Vec<igb_tap::Name>,
    /// Sets the interface up
    #[arg(long)]
    pub(crate) up: bool,
    /// The interface's MTU; otherwise what it has
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(68..=i64::from(MOST_MTU)))]
    pub(crate) mtu: Option<u32>,
    /// Leaves the interface there when the command ends, without carrier, to be taken again by its name
    #[arg(long)]
    pub(crate) persist: bool,
    /// Leaves the checksums of sent frames to the host
    #[arg(long)]
    pub(crate) no_offload: bool,
    #[command(flatten)]
    pub(crate) rings: Rings,
    #[command(flatten)]
    pub(crate) take: Take,
}

const TAP: &str = "\
MTU, address, promiscuous mode, state and name of the interface may be changed while the command runs, and the interface may be moved
into a network namespace: the device follows. An interface that is there already, and in nobody's hands, keeps its MTU and address.
The command runs until Ctrl-C or SIGTERM; it tells systemd when it is ready (Type=notify).";

/// The largest MTU: the longest frame that the devices take, less Ethernet's header and two VLAN tags.
pub(crate) const MOST_MTU: u32 = igb::hal::MAX_FRAME as u32 - FRAMING;
/// What a frame has besides what the MTU counts.
pub(crate) const FRAMING: u32 = 14 + 2 * 4;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// A pcap or pcapng file of Ethernet frames; without it, the sample that the program carries
    pub(crate) file: Option<PathBuf>,
    /// On QEMU's emulated 82576 instead of the simulator
    #[arg(long, conflicts_with = "chip")]
    pub(crate) qemu: bool,
    /// The simulated chip
    #[arg(long, value_name = "CHIP", default_value = "82576", value_parser = parse_chip)]
    pub(crate) chip: Chip,
    /// Frames a batch
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) batch: u32,
    /// The file, so many times over
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) repeat: u32,
    /// Where the frames that came out are written; otherwise to the folder for temporary files
    #[arg(short, long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rings: Rings,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder; it is made if it is not there
    pub(crate) folder: PathBuf,
}

/// A function's address, also as the device's name that `list` shows.
fn parse_function(text: &str) -> Result<Address, String> {
    text.strip_prefix("vfio:").unwrap_or(text).parse().map_err(|error: igb_vfio::Error| error.to_string())
}

#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// A socket to make, with a NIC behind it; may be given several times: the first two share a wire, then the next two
    #[arg(long, value_name = "SOCKET", required = true)]
    pub(crate) serve: Vec<PathBuf>,
    /// The chip: one for all sockets, or one for each in their order
    #[arg(long, value_name = "CHIP", default_value = "82576", value_parser = parse_chip)]
    pub(crate) chip: Vec<Chip>,
    /// Writes every access to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Makes every NIC ill from the beginning; may be given several times
    #[arg(long, value_name = "NAME", value_parser = parse_fault)]
    pub(crate) fault: Vec<igb_sim::Fault>,
    /// Lets guests make their NICs ill, by a window in configuration space from 0xF00 on
    #[arg(long)]
    pub(crate) laboratory: bool,
}

fn parse_fault(text: &str) -> Result<igb_sim::Fault, String> {
    igb_sim::Fault::by_name(text).ok_or_else(|| {
        let names: Vec<_> = igb_sim::Fault::NAMED.iter().map(|(name, _)| *name).collect();
        format!("there is no fault called {text:?}: there are {}", names.join(", "))
    })
}

fn parse_address(text: &str) -> Result<MacAddress, String> {
    text.parse().map_err(|_| format!("{text:?} is no address like 02:00:00:00:00:01"))
}

/// A number, decimal or with 0x.
pub(crate) fn parse_number(text: &str) -> Result<u32, String> {
    let number = parse_wide(text).ok().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("{text:?} is no 32-bit number, decimal or as 0x1f"))
}

/// A number of up to 64 bits, decimal or hexadecimal.
pub(crate) fn parse_wide(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    match plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16).ok(),
        _ => plain.parse().ok(),
    }
    .ok_or_else(|| format!("{text:?} is no number of up to 64 bits, decimal or as 0x1f"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn functions_are_named_as_they_are_listed() {
        assert_eq!(parse_function("vfio:0000:01:00.0"), parse_function("01:00.0"));
        assert!(parse_function("eth0").unwrap_err().contains("0000:01:00.0"));
    }

    #[test]
    fn numbers_have_two_forms() {
        assert_eq!(parse_number("0xdead_BEEF"), Ok(0xdead_beef));
        assert_eq!(parse_number("10"), Ok(10));
        for wrong in ["", "0x", "0x1_0000_0000_0", "-1", "x"] {
            assert!(parse_number(wrong).is_err(), "{wrong:?}");
        }
    }
}
