//! Where the headers of a frame are, as far as merging and splitting ask: Ethernet, at most two VLAN tags, IPv4 or
//! IPv6, TCP or UDP.

use crate::sum::Sum;

/// Network layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ip {
    V4,
    V6,
}

/// Transport layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// Its number in an IP header.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// Where its checksum stands in its header.
    pub(crate) fn checksum_at(self) -> usize {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }
}

/// Bits of byte 13 of a TCP header: RFC 9293, section 3.1.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const URG: u8 = 0x20;
    pub(crate) const CWR: u8 = 0x80;
}

/// Places in one frame. All of them are inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) ip: Ip,
    pub(crate) transport: Transport,
    /// The network header.
    pub(crate) l3: usize,
    /// The transport header.
    pub(crate) l4: usize,
    /// The first byte behind the headers.
    pub(crate) payload: usize,
    /// The IP packet's end; padding follows.
    pub(crate) end: usize,
}

pub(crate) fn be16(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?))
}

pub(crate) fn be32(frame: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*frame.get(at..)?.first_chunk()?))
}

/// Stores a big-endian word, if it is inside.
pub(crate) fn put16(frame: &mut [u8], at: usize, value: u16) {
    if let Some(place) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = value.to_be_bytes();
    }
}

/// Where the network header starts, and which it is.
pub(crate) fn network(frame: &[u8]) -> Option<(usize, Ip)> {
    let mut at = 12;
    for _ in 0..2 {
        match be16(frame, at)? {
            0x8100 | 0x88a8 => at += 4,
            _ => break,
        }
    }
    match be16(frame, at)? {
        0x0800 => Some((at + 2, Ip::V4)),
        0x86dd => Some((at + 2, Ip::V6)),
        _ => None,
    }
}

impl Layout {
    /// The places, if this is an unfragmented packet without IPv4 options or IPv6 extension headers.
    pub(crate) fn plain(frame: &[u8]) -> Option<Self> {
        let (l3, ip) = network(frame)?;
        let header = frame.get(l3..)?;
        let (l4, total, protocol) = match ip {
            Ip::V4 => {
                let fragment = be16(header, 6)? & 0x3fff != 0;
                if *header.first()? != 0x45 || fragment {
                    return None;
                }
                (l3 + 20, usize::from(be16(header, 2)?), *header.get(9)?)
            }
            Ip::V6 => {
                if header.first()? >> 4 != 6 {
                    return None;
                }
                (l3 + 40, usize::from(be16(header, 4)?) + 40, *header.get(6)?)
            }
        };
        let end = l3 + total;
        let transport = match protocol {
            6 => Transport::Tcp,
            17 => Transport::Udp,
            _ => return None,
        };
        let packet = frame.get(..end)?;
        let payload = l4 + transport_header(packet, l4, transport)?;
        (payload <= end).then_some(Self { ip, transport, l3, l4, payload, end })
    }

    /// The sum over the pseudo-header, with `len` bytes of transport header and payload.
    pub(crate) fn pseudo(&self, frame: &[u8], len: usize) -> Sum {
        let addresses = match self.ip {
            Ip::V4 => frame.get(self.l3 + 12..self.l3 + 20),
            Ip::V6 => frame.get(self.l3 + 8..self.l3 + 40),
        };
        Sum::default()
            .add(addresses.unwrap_or_default())
            .word(self.transport.number().into())
            .word(len as u16)
    }

    /// Whether the checksums of both layers hold, by computing them.
    pub(crate) fn verify(&self, frame: &[u8]) -> bool {
        let Some(segment) = frame.get(self.l4..self.end) else { return false };
        let network = self.ip == Ip::V6
            || frame.get(self.l3..self.l4).is_some_and(|header| Sum::default().add(header).fold() == 0xffff);
        network && self.pseudo(frame, segment.len()).add(segment).fold() == 0xffff
    }
}

/// Length of the transport header at `at`, as it says itself and as far as it is there.
pub(crate) fn transport_header(frame: &[u8], at: usize, transport: Transport) -> Option<usize> {
    let header = frame.get(at..)?;
    let len = match transport {
        Transport::Udp => 8,
        Transport::Tcp => usize::from(header.get(12)? >> 4) * 4,
    };
    let least = if transport == Transport::Tcp { 20 } else { 8 };
    (len >= least && len <= header.len()).then_some(len)
}

/// Writes the checksum of an IPv4 header of `len` bytes at `l3`.
pub(crate) fn finish_v4(frame: &mut [u8], l3: usize, len: usize) {
    put16(frame, l3 + 10, 0);
    let sum = Sum::default().add(frame.get(l3..l3 + len).unwrap_or_default()).checksum();
    put16(frame, l3 + 10, sum);
}
