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
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Vectors of each peer, at most; the 82576 has 10 in QEMU. Each is a descriptor on both sides.
pub(crate) const VECTORS: u16 = 16;
/// Where the device's registers are put, and the doorbell among them.
pub(crate) const BASE: u32 = 0xf800_0000;
const DOORBELL: u32 = BASE + 0xc;

/// The eventfds, and what keeps QEMU's device content.
#[derive(Debug)]
pub(crate) struct Doorbell {
    /// By peer, by vector.
    events: Vec<Vec<OwnedFd>>,
    server: UnixStream,
    shared: OwnedFd,
    own: OwnedFd,
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
    /// Eventfds for `ports` ports, and the socket that the device is to read them from.
    pub(crate) fn new(ports: usize) -> Result<(Self, UnixStream), Error> {
        let (server, client) = UnixStream::pair().during("making the doorbell's socket")?;
        server.set_write_timeout(Some(crate::protocol::PATIENCE)).during("making the doorbell's socket")?;
        let shared =
            memfd_create("igb-doorbell", MemfdFlags::CLOEXEC).during("making the doorbell's memory")?;
        ftruncate(&shared, 4096).during("sizing the doorbell's memory")?;
        let vectors = |count: usize| (0..count).map(|_| event()).collect::<Result<Vec<_>, _>>();
        let mut events = vec![vectors(ports)?];
        for _ in 0..ports {
            events.push(vectors(VECTORS.into())?);
        }
        Ok((Self { events, server, shared, own: event()? }, client))
    }

    /// Tells the device all of it. It listens while QEMU starts, and a socket holds only part: call this meanwhile.
    pub(crate) fn serve(&self) -> Result<(), Error> {
        let own = self.events.len() as i64;
        self.tell(0, None)?; // the protocol's version
        self.tell(own, None)?; // the number of the device itself
        self.tell(-1, Some(&self.shared))?;
        for (peer, vectors) in self.events.iter().enumerate() {
            for event in vectors {
                self.tell(peer as i64, Some(event))?;
            }
        }
        self.tell(own, Some(&self.own)) // the device is complete once it knows one of its own
    }

    fn tell(&self, word: i64, fd: Option<&OwnedFd>) -> Result<(), Error> {
        let bytes = word.to_le_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds;
        if let Some(fd) = fd {
            fds = [fd.as_fd()];
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        let sent = sendmsg(&self.server, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL);
        sent.during("telling the doorbell its events").map(drop)
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
