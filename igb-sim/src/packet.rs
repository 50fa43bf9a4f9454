//! Headers of a frame as the chip's parser sees them, and the two sums of the Internet.

/// Network layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Neither version.
    Other,
    /// IPv4; whether it has options.
    V4 { options: bool },
    /// IPv6; whether it has extension headers.
    V6 { extensions: bool },
}

/// Transport layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// None, a fragment, or one that the chip does not know.
    Other,
    Tcp,
    Udp,
    Sctp,
}

/// Where the headers of a frame are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headers {
    /// EtherType behind the tags.
    pub(crate) ethertype: u16,
    /// The tag that matched `VET`, and where it starts.
    pub(crate) tag: Option<(u16, usize)>,
    /// Whether an outer tag stands before it.
    pub(crate) outer: bool,
    /// Where the network header starts.
    pub(crate) network_at: usize,
    pub(crate) network: Network,
    /// A fragment, first or later.
    pub(crate) fragment: bool,
    pub(crate) transport: Transport,
    /// Where the transport header starts.
    pub(crate) transport_at: usize,
    /// Where the IP packet ends; padding follows.
    pub(crate) end: usize,
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

impl Headers {
    /// Parses a frame. `vet` is the tag's EtherType, `outer` the outer tag's where double tags are on.
    pub(crate) fn parse(frame: &[u8], vet: u16, outer: Option<u16>) -> Self {
        let mut at = 12;
        let mut headers = Self {
            ethertype: be16(frame, at).unwrap_or(0),
            tag: None,
            outer: false,
            network_at: 14,
            network: Network::Other,
            fragment: false,
            transport: Transport::Other,
            transport_at: 14,
            end: frame.len(),
        };
        if outer.is_some() && be16(frame, at) == outer {
            headers.outer = true;
            at += 4;
        }
        if be16(frame, at) == Some(vet)
            && let Some(tag) = be16(frame, at + 2)
        {
            headers.tag = Some((tag, at));
            at += 4;
        }
        headers.ethertype = be16(frame, at).unwrap_or(0);
        headers.network_at = at + 2;
        headers.transport_at = at + 2;
        match headers.ethertype {
            0x0800 => headers.v4(frame),
            0x86dd => headers.v6(frame),
            _ => {}
        }
        headers
    }

    fn v4(&mut self, frame: &[u8]) {
        let Some(ip) = frame.get(self.network_at..) else { return };
        let (Some(&first), Some(total), Some(flags)) = (ip.first(), be16(ip, 2), be16(ip, 6)) else { return };
        let header = usize::from(first & 15) * 4;
        if first >> 4 != 4 || header < 20 || ip.len() < header || usize::from(total) < header {
            return;
        }
        self.network = Network::V4 { options: header > 20 };
        self.fragment = flags & 0x3fff != 0;
        self.transport_at = self.network_at + header;
        self.end = frame.len().min(self.network_at + usize::from(total));
        self.transport(ip.get(9).copied().unwrap_or(0), frame);
    }

    fn v6(&mut self, frame: &[u8]) {
        let Some(ip) = frame.get(self.network_at..) else { return };
        if ip.len() < 40 || ip[0] >> 4 != 6 {
            return;
        }
        let (mut next, mut at, mut extensions) = (ip[6], 40, false);
        // Hop by hop, routing, fragment, destination: at most as many as fit.
        while matches!(next, 0 | 43 | 44 | 60) {
            let (Some(&following), Some(&len)) = (ip.get(at), ip.get(at + 1)) else { break };
            extensions = true;
            if next == 44 {
                self.fragment = true;
                at += 8;
            } else {
                at += 8 + usize::from(len) * 8;
            }
            next = following;
        }
        self.network = Network::V6 { extensions };
        self.transport_at = self.network_at + at;
        self.end = frame.len().min(self.network_at + 40 + usize::from(be16(ip, 4).unwrap_or(0)));
        self.transport(next, frame);
    }

    fn transport(&mut self, protocol: u8, frame: &[u8]) {
        let (kind, least) = match protocol {
            6 => (Transport::Tcp, 20),
            17 => (Transport::Udp, 8),
            132 => (Transport::Sctp, 12),
            _ => return,
        };
        if !self.fragment && self.transport_at + least <= self.end.min(frame.len()) {
            self.transport = kind;
        }
    }

    /// The one's complement sum that TCP's or UDP's checksum must bring to 0xFFFF: pseudo-header and payload.
    pub(crate) fn transport_sum(&self, frame: &[u8]) -> u16 {
        let Some(payload) = frame.get(self.transport_at..self.end) else { return 0 };
        let (from, to, protocol) = match (self.network, self.transport) {
            (Network::V4 { .. }, transport) => (12, 20, transport),
            (_, transport) => (8, 40, transport),
        };
        let number = if protocol == Transport::Tcp { 6 } else { 17 };
        let addresses = frame.get(self.network_at + from..self.network_at + to).unwrap_or(&[]);
        fold(sum(addresses) + sum(payload) + payload.len() as u64 + number)
    }
}

/// Sum of big-endian 16-bit words, an odd byte padded with zero.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum()
}

/// One's complement fold to 16 bits.
pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn crc(bytes: &[u8], polynomial: u32) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { polynomial } else { 0 })
    })
}

/// Ethernet's frame check sequence, in the order of transmission when stored little endian.
pub(crate) fn fcs(frame: &[u8]) -> u32 {
    crc(frame, 0xedb8_8320)
}

/// SCTP's checksum (CRC-32C), little endian in the header.
pub(crate) fn crc32c(packet: &[u8]) -> u32 {
    crc(packet, 0x82f6_3b78)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values() {
        // The check values of both CRCs in every catalogue.
        assert_eq!(fcs(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // RFC 1071, section 3.
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
    }
}
