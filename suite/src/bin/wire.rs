//! One end of a wire in the hands of Linux: frames of a capture are sent, awaited or recorded, byte for byte.
//!
//! ```text
//! wire replay INTERFACE [FILE]   sends the frames of a capture, of igbctl's own where no file is named
//! wire expect INTERFACE [FILE]   says `ready`, and ends well when each of them came, byte for byte, and no other
//! wire record INTERFACE FILE     says `ready`, and writes what comes until its input ends
//! ```
//!
//! Frames shorter than 60 bytes come padded: that is what the wire does to them.

#![allow(unsafe_code, reason = "packet sockets have no other way to them")]

use igbctl::capture::{self, Writer};
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The shortest frame, without FCS.
const SHORTEST: usize = 60;
/// Frames that are sent without a pause.
const BURST: usize = 8;
/// How long a frame may be awaited, and sending may be refused.
const PATIENCE: Duration = Duration::from_secs(30);
/// Kernel numbers that the libc crate does not have: linux/if_packet.h.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["replay", interface, file @ ..] if file.len() < 2 => replay(interface, file),
        ["expect", interface, file @ ..] if file.len() < 2 => expect(interface, file),
        ["record", interface, file] => record(interface, file),
        _ => {
            eprintln!("wire replay INTERFACE [FILE] | expect INTERFACE [FILE] | record INTERFACE FILE");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The frames of a capture, as they are on a wire.
fn frames(file: &[&str]) -> Outcome<Vec<Vec<u8>>> {
    let bytes = match file.first() {
        Some(file) => std::fs::read(file)?,
        None => capture::SAMPLE.to_vec(),
    };
    let mut frames: Vec<_> = capture::parse(&bytes)?.into_iter().map(|record| record.bytes).collect();
    for frame in &mut frames {
        frame.resize(frame.len().max(SHORTEST), 0);
    }
    if frames.is_empty() { Err("the capture is empty".into()) } else { Ok(frames) }
}

fn say(text: &str) -> io::Result<()> {
    println!("{text}");
    io::stdout().flush()
}

fn replay(interface: &str, file: &[&str]) -> Outcome {
    let socket = Socket::open(interface)?;
    let frames = frames(file)?;
    for (number, frame) in frames.iter().enumerate() {
        let started = Instant::now();
        while let Err(error) = socket.send(frame) {
            // The interface's queue is full.
            if error.raw_os_error() != Some(libc::ENOBUFS) || started.elapsed() > PATIENCE {
                return Err(format!("frame {number} of {} bytes: {error}", frame.len()).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // The wire between two emulated devices loses frames of a flood, whoever drives them.
        if number % BURST == BURST - 1 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(say(&format!("{} frames sent", frames.len()))?)
}

fn expect(interface: &str, file: &[&str]) -> Outcome {
    let socket = Socket::open(interface)?;
    let frames = frames(file)?;
    let mut left: BTreeMap<&[u8], usize> = BTreeMap::new();
    for frame in &frames {
        *left.entry(frame).or_default() += 1;
    }
    say("ready")?;
    let (mut came, mut last) = (0, Instant::now());
    while came < frames.len() {
        if let Some(frame) = socket.receive()? {
            match left.get_mut(frame.as_slice()).filter(|left| **left > 0) {
                Some(left) => *left -= 1,
                None => return Err(format!("one that was not sent, or not as often: {frame:02x?}").into()),
            }
            (came, last) = (came + 1, Instant::now());
        } else if last.elapsed() > PATIENCE {
            let lost = left.iter().find(|(_, left)| **left > 0).map_or(&[][..], |(frame, _)| frame);
            return Err(format!("{came} of {} came; not for example {lost:02x?}", frames.len()).into());
        }
    }
    let bytes: usize = frames.iter().map(Vec::len).sum();
    Ok(say(&format!("{} frames of {bytes} bytes came, each as it was", frames.len()))?)
}

fn record(interface: &str, file: &str) -> Outcome {
    static ENDED: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        ENDED.store(true, Ordering::Release);
    });
    let socket = Socket::open(interface)?;
    let mut writer = Writer::new(io::BufWriter::new(File::create(file)?), interface)?;
    let mut count = 0;
    say("ready")?;
    while !ENDED.load(Ordering::Acquire) {
        if let Some(frame) = socket.receive()? {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            writer.frame(u64::try_from(now.as_nanos())?, &frame)?;
            count += 1;
        }
    }
    writer.finish()?.flush()?;
    Ok(say(&format!("{count} frames recorded"))?)
}

/// A packet socket of one interface: whole frames, as they come and go.
struct Socket(OwnedFd);

/// Turns C's answer into ours.
fn checked(answer: isize) -> io::Result<usize> {
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}

impl Socket {
    fn open(interface: &str) -> Outcome<Self> {
        let every = (libc::ETH_P_ALL as u16).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: takes no memory.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, every.into()) };
        checked(socket as isize)?;
        // SAFETY: a descriptor that was just made, and is nobody's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(socket) });
        let name = CString::new(interface)?;
        // SAFETY: a string that ends with zero.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(format!("there is no interface {interface}").into());
        }
        // SAFETY: a structure of integers, all of which may be zero.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = every;
        address.sll_ifindex = i32::try_from(index)?;
        // SAFETY: the address and its length.
        let bound = unsafe {
            libc::bind(
                socket.0.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        checked(bound as isize)?;
        socket.option(libc::SOL_PACKET, libc::PACKET_AUXDATA, &1i32)?;
        socket.option(libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1i32)?;
        socket.option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &(32i32 << 20))?;
        let limit = libc::timeval { tv_sec: 0, tv_usec: 100_000 };
        socket.option(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &limit)?;
        Ok(socket)
    }

    fn option<T>(&self, level: i32, name: i32, value: &T) -> io::Result<()> {
        let len = size_of::<T>() as u32;
        // SAFETY: the value and its length; the kernel only reads.
        let set =
            unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, (&raw const *value).cast(), len) };
        checked(set as isize).map(drop)
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the frame and its length; the kernel only reads.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        checked(sent).map(drop)
    }

    /// The next frame, waiting a little. A VLAN tag that the kernel took off is put back.
    fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let (mut frame, mut control) = (vec![0u8; 65_536], [0u64; 16]);
        let mut piece = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
        // SAFETY: a structure of integers and addresses, all of which may be zero.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: the message names memory of ours that outlives the call, with its lengths.
        let len = match checked(unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0) }) {
            Ok(len) => len,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        frame.truncate(len);
        // SAFETY: the kernel filled the message; it ends with zero or a header within `control`.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: as just said.
        if let Some(known) = unsafe { header.as_ref() }
            && known.cmsg_level == libc::SOL_PACKET
            && known.cmsg_type == libc::PACKET_AUXDATA
        {
            // SAFETY: a header of the kernel's; what follows it lies within `control`.
            let data = unsafe { libc::CMSG_DATA(header) }.cast::<libc::tpacket_auxdata>();
            // SAFETY: a header of this kind has such a structure behind it.
            let data = unsafe { data.read_unaligned() };
            if data.tp_status & libc::TP_STATUS_VLAN_VALID != 0 && frame.len() >= 12 {
                let known = data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
                let kind: u16 = if known { data.tp_vlan_tpid } else { 0x8100 };
                let tag = [kind.to_be_bytes(), data.tp_vlan_tci.to_be_bytes()].concat();
                frame.splice(12..12, tag);
            }
        }
        Ok(Some(frame))
    }
}
