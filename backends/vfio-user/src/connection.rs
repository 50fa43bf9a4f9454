//! One client on one socket: its messages, one by one, each answered before the next is read.

use crate::interrupt::{self, INDEXES, INTX, Interrupts};
use crate::memory::{self, Memory};
use crate::message::{HEADER, Header, MOST, MOST_DATA, Payload};
use crate::region::{self, REGIONS, Regions};
use crate::server::{Stop, Summary};
use core::mem::MaybeUninit;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Descriptors that one message brings; said in the answer to VERSION. The kernel drops what is more.
const MOST_FDS: usize = 16;
const READABLE_WRITABLE: u32 = 3;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client closed it, or the system did.
    Closed,
    /// The stream cannot be followed.
    Lost,
    /// This side was told to stop.
    Stopped,
}

/// What a connection works on.
pub(crate) struct Port {
    pub(crate) regions: Regions,
    pub(crate) memory: Memory,
    pub(crate) interrupts: Interrupts,
    pub(crate) summary: Summary,
}

impl Port {
    /// Serves one client until it leaves. Afterwards the device is reset and reaches nothing.
    pub(crate) fn serve(&mut self, stream: &UnixStream, stop: &Stop) -> End {
        self.summary.clients += 1;
        let mut agreed = false;
        let end = loop {
            if let Err(end) = self.message(stream, stop, &mut agreed) {
                break end;
            }
        };
        self.memory.clear();
        self.interrupts.clear();
        self.regions.device.function_reset();
        end
    }

    /// One message and its answer.
    fn message(&mut self, stream: &UnixStream, stop: &Stop, agreed: &mut bool) -> Result<(), End> {
        let (mut head, mut fds) = ([0; HEADER], Vec::new());
        fill(stream, stop, &mut head, &mut fds)?;
        let header = Header::parse(head);
        if !(HEADER..=MOST).contains(&header.size) {
            return Err(End::Lost);
        }
        let mut payload = vec![0; header.size - HEADER];
        fill(stream, stop, &mut payload, &mut fds)?;
        self.summary.messages += 1;
        if !header.is_command() {
            self.summary.refused += 1;
            return Ok(()); // an answer, and nothing was asked
        }
        let result = if *agreed == (header.command == 1) {
            Err(Errno::INVAL) // VERSION comes first, and once
        } else {
            self.command(header.command, Payload(&payload), fds)
        };
        *agreed |= header.command == 1 && result.is_ok();
        self.summary.refused += u64::from(result.is_err());
        if header.is_posted() {
            return Ok(());
        }
        let answer = header.reply(result.as_deref().map_err(|errno| *errno));
        empty(stream, stop, &answer)
    }

    fn command(
        &mut self,
        command: u16,
        mut payload: Payload<'_>,
        fds: Vec<OwnedFd>,
    ) -> Result<Vec<u8>, Errno> {
        match command {
            1 => version(&mut payload),
            2 => self.dma_map(&mut payload, &fds),
            3 => self.dma_unmap(&mut payload),
            // Resettable, PCI.
            4 => Ok(words(&[16, 3, REGIONS, INDEXES])),
            5 => region_info(&mut payload),
            6 => {
                let (_, flags, index) = (payload.u32()?, payload.u32()?, payload.u32()?);
                Ok(words(&[16, flags, index, 0])) // no region has descriptors of its own
            }
            7 => {
                let (_, _, index) = (payload.u32()?, payload.u32()?, payload.u32()?);
                if index >= INDEXES {
                    return Err(Errno::INVAL);
                }
                let (flags, count) = self.interrupts.info(index);
                Ok(words(&[16, flags, index, count]))
            }
            8 => self.set_irqs(&mut payload, fds),
            9 => {
                let (offset, region, count) = (payload.u64()?, payload.u32()?, payload.u32()?);
                if count as usize > MOST_DATA {
                    return Err(Errno::INVAL);
                }
                let data = self.regions.read(region, offset, count as usize)?;
                Ok([&offset.to_le_bytes()[..], &words(&[region, count]), &data].concat())
            }
            10 => {
                let (offset, region, count) = (payload.u64()?, payload.u32()?, payload.u32()?);
                self.regions.write(region, offset, payload.take(count as usize)?)?;
                Ok([&offset.to_le_bytes()[..], &words(&[region, count])].concat())
            }
            13 => {
                self.regions.device.function_reset();
                Ok(Vec::new())
            }
            _ => Err(Errno::NOSYS),
        }
    }

    fn dma_map(&self, payload: &mut Payload<'_>, fds: &[OwnedFd]) -> Result<Vec<u8>, Errno> {
        let (_, flags) = (payload.u32()?, payload.u32()?);
        let (offset, iova, len) = (payload.u64()?, payload.u64()?, payload.u64()?);
        if flags & !READABLE_WRITABLE != 0 || fds.len() > 1 {
            return Err(Errno::INVAL);
        }
        let (readable, writable) = (flags & 1 != 0, flags & 2 != 0);
        self.memory.map(memory::Request { iova, len, offset, readable, writable }, fds.first())?;
        Ok(Vec::new())
    }

    fn dma_unmap(&self, payload: &mut Payload<'_>) -> Result<Vec<u8>, Errno> {
        let (argsz, flags, iova, len) = (payload.u32()?, payload.u32()?, payload.u64()?, payload.u64()?);
        match flags {
            0 => self.memory.unmap(iova, len)?,
            2 if iova == 0 && len == 0 => self.memory.clear(), // everything
            _ => return Err(Errno::INVAL),                     // dirty pages are not tracked
        }
        Ok([&words(&[argsz, flags])[..], &iova.to_le_bytes(), &len.to_le_bytes()].concat())
    }

    fn set_irqs(&self, payload: &mut Payload<'_>, fds: Vec<OwnedFd>) -> Result<Vec<u8>, Errno> {
        let (_, flags, index) = (payload.u32()?, payload.u32()?, payload.u32()?);
        let (start, count) = (payload.u32()?, payload.u32()?);
        let request = interrupt::Request { flags, index, start, count };
        // A line that stays asserted speaks again when it is unmasked.
        if self.interrupts.set(request, payload.0, fds)? && index == INTX && self.regions.device.line() {
            self.interrupts.raise(0);
        }
        Ok(Vec::new())
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn version(payload: &mut Payload<'_>) -> Result<Vec<u8>, Errno> {
    let (major, _minor) = (payload.u16()?, payload.u16()?);
    if major != 0 {
        return Err(Errno::NOTSUP);
    }
    // What the client can do does not matter here: this side sends nothing but answers.
    let capabilities =
        format!("{{\"capabilities\":{{\"max_msg_fds\":{MOST_FDS},\"max_data_xfer_size\":{MOST_DATA}}}}}\0");
    Ok([&[0; 4], capabilities.as_bytes()].concat())
}

fn region_info(payload: &mut Payload<'_>) -> Result<Vec<u8>, Errno> {
    let (_, _, index) = (payload.u32()?, payload.u32()?, payload.u32()?);
    if index >= REGIONS {
        return Err(Errno::INVAL);
    }
    let size = region::size(index);
    let flags = if size > 0 { READABLE_WRITABLE } else { 0 };
    Ok([&words(&[32, flags, index, 0])[..], &size.to_le_bytes(), &[0; 8]].concat())
}

/// Waits until the stream is ready for `wanted`.
fn ready(stream: &UnixStream, stop: &Stop, wanted: PollFlags) -> Result<(), End> {
    let mut fds = [
        PollFd::from_borrowed_fd(stream.as_fd(), wanted),
        PollFd::from_borrowed_fd(stop.fd(), PollFlags::IN),
    ];
    match poll(&mut fds, None) {
        _ if stop.is_set() => Err(End::Stopped),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(_) => Err(End::Closed),
    }
}

/// Reads until the buffer is full. Descriptors that come along are kept up to the most that a message may bring.
fn fill(stream: &UnixStream, stop: &Stop, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> Result<(), End> {
    let mut done = 0;
    while done < buffer.len() {
        if stop.is_set() {
            return Err(End::Stopped);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let slices = &mut [IoSliceMut::new(&mut buffer[done..])];
        let got = recvmsg(stream, slices, &mut control, RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                fds.extend(more);
                fds.truncate(MOST_FDS);
            }
        }
        match got.map(|got| got.bytes) {
            Ok(0) => return Err(End::Closed),
            Ok(count) => done += count,
            Err(Errno::AGAIN | Errno::INTR) => ready(stream, stop, PollFlags::IN)?,
            Err(_) => return Err(End::Closed),
        }
    }
    Ok(())
}

/// Writes all of it, waiting for a client that does not read.
fn empty(stream: &UnixStream, stop: &Stop, mut bytes: &[u8]) -> Result<(), End> {
    while !bytes.is_empty() {
        match send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::AGAIN | Errno::INTR) => ready(stream, stop, PollFlags::OUT)?,
            Err(_) => return Err(End::Closed),
        }
    }
    Ok(())
}
