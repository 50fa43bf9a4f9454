//! Interrupt messages that become eventfds.
//!
//! The machine has an `ivshmem-doorbell` device, and we are the server that it talks to: a write to its doorbell register
//! makes QEMU signal one of our eventfds. A device's MSI-X message is such a write when its table entry says so. No
//! vCPU, no interrupt controller, no thread of ours takes part.
//!
//! A message's data names a peer (upper half) and a vector (lower half). Peer 0 is for MSI, whose data has 16 bits
//! only: its vectors are the ports. Peers from 1 on are the ports, for MSI-X.

use crate::error::{Error, While};
use core::mem::MaybeUninit;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Vectors of each peer. The 82576 has 10 in QEMU and 25 in its datasheet.
pub(crate) const VECTORS: u16 = 32;
/// Where the device's registers are put, and the doorbell among them.
pub(crate) const BASE: u32 = 0xf800_0000;
const DOORBELL: u32 = BASE + 0xc;

/// The eventfds, and what keeps QEMU's device content.
#[derive(Debug)]
pub(crate) struct Doorbell {
    /// By peer, by vector.
    events: Vec<Vec<OwnedFd>>,
    _server: UnixStream,
    _shared: OwnedFd,
}

/// Where a message goes and what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    pub(crate) address: u32,
    pub(crate) data: u32,
}

pub(crate) fn event() -> Result<OwnedFd, Error> {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).during("making an event")
}

impl Doorbell {
    /// Eventfds for `ports` ports, and the socket that the device reads them from. Everything is in the socket when
    /// this returns: QEMU reads it while it starts.
    pub(crate) fn new(ports: usize) -> Result<(Self, UnixStream), Error> {
        let (server, client) = UnixStream::pair().during("making the doorbell's socket")?;
        let shared =
            memfd_create("igb-doorbell", MemfdFlags::CLOEXEC).during("making the doorbell's memory")?;
        ftruncate(&shared, 4096).during("sizing the doorbell's memory")?;
        let own = ports as i64 + 1;
        tell(&server, 0, None)?; // the protocol's version
        tell(&server, own, None)?; // the number of the device itself
        tell(&server, -1, Some(shared.as_fd()))?;
        let mut events = Vec::new();
        for peer in 0..=ports {
            let mut vectors = Vec::new();
            for _ in 0..VECTORS {
                let event = event()?;
                tell(&server, peer as i64, Some(event.as_fd()))?;
                vectors.push(event);
            }
            events.push(vectors);
        }
        let last = event()?;
        tell(&server, own, Some(last.as_fd()))?; // the device is complete once it knows one of its own
        Ok((Self { events, _server: server, _shared: shared }, client))
    }

    /// The message for MSI-X vector `vector` of `port`.
    pub(crate) fn msix(port: usize, vector: u16) -> Message {
        Message { address: DOORBELL, data: (port as u32 + 1) << 16 | u32::from(vector) }
    }

    /// The message for MSI of `port`.
    pub(crate) fn msi(port: usize) -> Message {
        Message { address: DOORBELL, data: port as u32 }
    }

    /// The eventfd of an MSI-X vector.
    pub(crate) fn msix_event(&self, port: usize, vector: u16) -> Option<&OwnedFd> {
        self.events.get(port + 1)?.get(usize::from(vector))
    }

    /// The eventfd of a port's MSI.
    pub(crate) fn msi_event(&self, port: usize) -> Option<&OwnedFd> {
        self.events.first()?.get(port)
    }
}

fn tell(server: &UnixStream, word: i64, fd: Option<BorrowedFd<'_>>) -> Result<(), Error> {
    let bytes = word.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds;
    if let Some(fd) = fd {
        fds = [fd];
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    let sent = sendmsg(server, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL);
    sent.during("telling the doorbell its events").map(drop)
}
