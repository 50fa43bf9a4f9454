//! As much of rtnetlink as one interface needs: asking for it, setting it, hearing that it changed.
//!
//! What comes is checked like anything from outside: only the kernel is listened to, and every length against what there is.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, send, socket_with,
};

/// An interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) flags: u32,
    pub(crate) mtu: u32,
    pub(crate) address: Option<[u8; 6]>,
    pub(crate) promiscuity: u32,
    pub(crate) all_multicast: u32,
    /// `tun` for one of ours.
    pub(crate) kind: Vec<u8>,
    pub(crate) tun: Tun,
}

/// What is told of a TUN or TAP device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tun {
    pub(crate) tap: bool,
    pub(crate) several_queues: bool,
    /// Files that are attached.
    pub(crate) queues: u32,
}

/// Which interface.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    Index(u32),
    Name(&'a str),
}

const HEADER: usize = 16;
const INFO: usize = 16;

/// The kernel's counterpart of one namespace, for questions and for news.
#[derive(Debug)]
pub(crate) struct Netlink {
    questions: OwnedFd,
    news: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Netlink {
    /// In the network namespace of the calling thread.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            questions: open(0)?,
            news: open(libc::RTMGRP_LINK as u32)?,
            buffer: vec![0; 32 << 10],
            sequence: 0,
        })
    }

    /// Readable when an interface of the namespace changed.
    pub(crate) fn news(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }

    /// Takes the news. True if any is of the interface `index`, or if some were lost.
    pub(crate) fn changed(&mut self, index: u32) -> bool {
        let mut changed = false;
        // Bounded: whoever changes interfaces faster than we read is heard of again.
        for _ in 0..64 {
            match receive(&self.news, &mut self.buffer) {
                Ok(length) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    changed |= messages(bytes).any(|(kind, body)| {
                        matches!(kind, libc::RTM_NEWLINK | libc::RTM_DELLINK) && word(body, 4) == Some(index)
                    });
                }
                Err(Errno::AGAIN) => break,
                Err(_) => return true,
            }
        }
        changed
    }

    /// How the interface is. `NODEV` if there is none.
    pub(crate) fn get(&mut self, which: Which<'_>) -> Result<Link> {
        let index = match which {
            Which::Index(index) => index,
            Which::Name(_) => 0,
        };
        let mut message = self.message(libc::RTM_GETLINK, 0, index, 0, 0);
        // No statistics: they are half of the answer, and nobody reads them.
        attribute(&mut message, libc::IFLA_EXT_MASK, &8u32.to_ne_bytes());
        if let Which::Name(name) = which {
            attribute(&mut message, libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
        }
        self.ask(message, |kind, body| (kind == libc::RTM_NEWLINK).then(|| Link::parse(body)).flatten())
    }

    /// Sets flags of the interface: those of `mask` as in `flags`.
    pub(crate) fn set_flags(&mut self, index: u32, flags: u32, mask: u32) -> Result<()> {
        let message = self.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, index, flags, mask);
        self.ask(message, |_, _| None)
    }

    /// Sets an attribute of the interface.
    pub(crate) fn set(&mut self, index: u32, kind: u16, value: &[u8]) -> Result<()> {
        let mut message = self.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, index, 0, 0);
        attribute(&mut message, kind, value);
        self.ask(message, |_, _| None)
    }

    fn message(&mut self, kind: u16, flags: i32, index: u32, state: u32, mask: u32) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = vec![0; 4];
        message.extend(kind.to_ne_bytes());
        message.extend(((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend([0; 4 + 4]);
        for word in [index, state, mask] {
            message.extend(word.to_ne_bytes());
        }
        message
    }

    /// Sends a question and reads until its answer: what `answer` makes of a message, or the status that ends it.
    fn ask<T: Default>(
        &mut self,
        mut message: Vec<u8>,
        mut answer: impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> Result<T> {
        let length = message.len() as u32;
        message.splice(..4, length.to_ne_bytes());
        // An answer to an earlier question that nobody waited for.
        while receive(&self.questions, &mut self.buffer).is_ok() {}
        send(&self.questions, &message, SendFlags::empty())?;
        loop {
            // The kernel answers within the send; the wait is for a machine that does it otherwise.
            let mut files = [PollFd::new(&self.questions, PollFlags::IN)];
            if poll(&mut files, Some(&Timespec { tv_sec: 2, tv_nsec: 0 }))? == 0 {
                return Err(Errno::TIMEDOUT);
            }
            let length = receive(&self.questions, &mut self.buffer)?;
            for (kind, body) in messages(self.buffer.get(..length).unwrap_or_default()) {
                if kind == libc::NLMSG_ERROR as u16 {
                    let status = word(body, 0).unwrap_or(0) as i32;
                    return if status == 0 {
                        Ok(T::default())
                    } else {
                        Err(Errno::from_raw_os_error(-status))
                    };
                }
                if let Some(found) = answer(kind, body) {
                    return Ok(found);
                }
            }
        }
    }
}

fn open(groups: u32) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// One datagram of the kernel's; others' are passed over.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match recvfrom(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((length, _, from)) => {
                let kernel = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                if kernel.is_some_and(|from| from.pid() == 0) {
                    return Ok(length);
                }
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|half| u16::from_ne_bytes(*half))
}

/// The messages of a datagram: kind and body of each.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let length = word(bytes, 0)? as usize;
        let kind = half(bytes, 4)?;
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// The attributes of a body: kind and value of each.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let length = usize::from(half(bytes, 0)?);
        let kind = half(bytes, 2)? & libc::NLA_TYPE_MASK as u16;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend((value.len() as u16 + 4).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

// linux/if_link.h; not in the crate libc.
const IFLA_ALLMULTI: u16 = 61;
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_TUN_MULTI_QUEUE: u16 = 7;
const IFLA_TUN_NUM_QUEUES: u16 = 8;

impl Link {
    fn parse(body: &[u8]) -> Option<Self> {
        let mut link = Self { index: word(body, 4)?, flags: word(body, 8)?, ..Self::default() };
        for (kind, value) in attributes(body.get(INFO..)?) {
            match kind {
                libc::IFLA_MTU => link.mtu = word(value, 0)?,
                libc::IFLA_ADDRESS => link.address = value.try_into().ok(),
                libc::IFLA_PROMISCUITY => link.promiscuity = word(value, 0)?,
                IFLA_ALLMULTI => link.all_multicast = word(value, 0)?,
                libc::IFLA_LINKINFO => link.info(value),
                _ => {}
            }
        }
        Some(link)
    }

    fn info(&mut self, bytes: &[u8]) {
        for (kind, value) in attributes(bytes) {
            match kind {
                libc::IFLA_INFO_KIND => {
                    self.kind = value.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
                }
                libc::IFLA_INFO_DATA => {
                    for (kind, value) in attributes(value) {
                        match kind {
                            IFLA_TUN_TYPE => self.tun.tap = value.first() == Some(&(libc::IFF_TAP as u8)),
                            IFLA_TUN_MULTI_QUEUE => self.tun.several_queues = value.first() == Some(&1),
                            IFLA_TUN_NUM_QUEUES => self.tun.queues = word(value, 0).unwrap_or(0),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_there_for_everybody() {
        let mut netlink = Netlink::new().unwrap();
        let link = netlink.get(Which::Name("lo")).unwrap();
        assert_eq!(link.address, Some([0; 6]));
        assert!(link.mtu >= 1500 && link.flags & libc::IFF_LOOPBACK as u32 != 0, "{link:?}");
        assert_eq!(netlink.get(Which::Index(link.index)).unwrap(), link);
        assert_eq!(netlink.get(Which::Name("no-such-thing")), Err(Errno::NODEV));
        assert!(!netlink.changed(link.index));
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_passed_over() {
        let mut body = vec![0; INFO];
        body[4] = 7;
        attribute(&mut body, libc::IFLA_MTU, &1500u32.to_ne_bytes());
        let mut data = Vec::new();
        attribute(&mut data, IFLA_TUN_TYPE, &[2]);
        attribute(&mut data, IFLA_TUN_NUM_QUEUES, &3u32.to_ne_bytes());
        let mut info = Vec::new();
        attribute(&mut info, libc::IFLA_INFO_KIND, b"tun\0");
        attribute(&mut info, libc::IFLA_INFO_DATA, &data);
        attribute(&mut body, libc::IFLA_LINKINFO, &info);
        let whole = Link::parse(&body).unwrap();
        assert_eq!((whole.index, whole.mtu, whole.kind.as_slice()), (7, 1500, &b"tun"[..]));
        assert_eq!(whole.tun, Tun { tap: true, several_queues: false, queues: 3 });
        for end in 0..body.len() {
            for at in 0..end {
                let mut forged = body[..end].to_vec();
                for value in [0, 1, 3, 0x80, 0xff] {
                    forged[at] = value;
                    let _ = Link::parse(&forged);
                    assert!(messages(&forged).count() <= forged.len());
                    assert!(attributes(&forged).count() <= forged.len());
                }
            }
        }
    }
}
