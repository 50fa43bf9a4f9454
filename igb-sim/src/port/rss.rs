//! Which queue a frame goes to: EtherType filters, then the hash and its table.

use super::Port;
use crate::fault::Fault;
use crate::offsets::*;
use crate::packet::{Headers, Network, Transport};
use igb_regs::Chip;

/// The RSS part of a write-back: type (fact base 3.1) and hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hash {
    pub(super) kind: u32,
    pub(super) value: u32,
}

/// Microsoft's Toeplitz hash of `input` under `key`.
pub(crate) fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let mut window = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    let mut hash = 0;
    for (at, byte) in input.iter().enumerate() {
        let next = key.get(at + 4).copied().unwrap_or(0);
        for bit in (0..8).rev() {
            if byte >> bit & 1 != 0 {
                hash ^= window;
            }
            window = window << 1 | u32::from(next >> bit & 1);
        }
    }
    hash
}

impl Port {
    fn key(&self) -> [u8; 40] {
        let mut key = [0; 40];
        if self.has_fault(Fault::RssKeyIgnored) {
            return key;
        }
        for (register, bytes) in key.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *bytes = self.regs.get(RSSRK + 4 * register as u32).to_le_bytes();
        }
        key
    }

    /// Hash of a frame, if MRQC wants one of its kind. MRQC bit 16 on: TCP/IPv4, IPv4, TCP/IPv6Ex, IPv6Ex, IPv6,
    /// TCP/IPv6, UDP/IPv4, UDP/IPv6, UDP/IPv6Ex. The chips take the plain header's addresses for the Ex kinds here.
    fn hash(&self, frame: &[u8], headers: &Headers) -> Hash {
        let fields = self.regs.get(MRQC) >> 16;
        let want = |bit: u32| fields >> bit & 1 != 0;
        let at = headers.network_at;
        let (addresses, candidates): (_, [(bool, u32); 2]) = match (headers.network, headers.transport) {
            (Network::V4 { .. }, Transport::Tcp) => (at + 12..at + 20, [(want(0), 1), (want(1), 2)]),
            (Network::V4 { .. }, Transport::Udp) => (at + 12..at + 20, [(want(6), 7), (want(1), 2)]),
            (Network::V4 { .. }, _) => (at + 12..at + 20, [(false, 0), (want(1), 2)]),
            (Network::V6 { extensions: false }, Transport::Tcp) => {
                (at + 8..at + 40, [(want(5), 3), (want(4), 5)])
            }
            (Network::V6 { extensions: false }, Transport::Udp) => {
                (at + 8..at + 40, [(want(7), 8), (want(4), 5)])
            }
            (Network::V6 { extensions: false }, _) => (at + 8..at + 40, [(false, 0), (want(4), 5)]),
            (Network::V6 { .. }, Transport::Tcp) => (at + 8..at + 40, [(want(2), 6), (want(3), 4)]),
            (Network::V6 { .. }, Transport::Udp) => (at + 8..at + 40, [(want(8), 9), (want(3), 4)]),
            (Network::V6 { .. }, _) => (at + 8..at + 40, [(false, 0), (want(3), 4)]),
            (Network::Other, _) => return Hash::default(),
        };
        let ports = headers.transport_at..headers.transport_at + 4;
        let [(with_ports, kind), (without, other)] = candidates;
        let mut input = frame.get(addresses).unwrap_or(&[]).to_vec();
        let kind = if with_ports {
            input.extend_from_slice(frame.get(ports).unwrap_or(&[]));
            kind
        } else if without {
            other
        } else {
            return Hash::default();
        };
        Hash { kind, value: toeplitz(&self.key(), &input) }
    }

    /// Queue, hash, and the EtherType filter that matched. MRQC 2, 5 and 6 hash (2 on all; fact base 2.3.14).
    pub(super) fn steer(&self, frame: &[u8], headers: &Headers) -> (usize, Hash, Option<u32>) {
        let filter = self.ethertype_filter(headers.ethertype);
        let mrqc = self.regs.get(MRQC);
        let default = if is_i21x(self.chip) { mrqc >> 3 & 7 } else { 0 };
        let hash = if mrqc & 7 == 2 { self.hash(frame, headers) } else { Hash::default() };
        let entry = self.regs.get(RETA + (hash.value & 0x7c)).to_le_bytes()[hash.value as usize & 3];
        let queue = match filter {
            Some((_, Some(queue))) => queue,
            _ if hash.kind == 0 => default,
            _ if self.chip == Chip::I82575 => u32::from(entry >> 6),
            _ => u32::from(entry & if self.chip == Chip::I82576 { 15 } else { 7 }),
        };
        let queue = queue ^ u32::from(hash.kind != 0 && self.has_fault(Fault::WrongRssQueue));
        // An entry beyond the chip's queues: the bits that it has.
        (queue as usize % self.rx.len(), hash, filter.map(|(index, _)| index))
    }

    /// The last matching EtherType filter decides (I210 page 454): its index, and its queue if it picks one.
    fn ethertype_filter(&self, ethertype: u16) -> Option<(u32, Option<u32>)> {
        let filters = if is_i21x(self.chip) { 4 } else { 8 };
        (0..filters).rev().find_map(|index| {
            let filter = self.regs.get(ETQF + 4 * index);
            let hit = filter & 1 << 26 != 0 && filter & 0xffff == u32::from(ethertype);
            hit.then_some((index, (filter >> 31 != 0).then_some(filter >> 16 & 7)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and vectors of Microsoft's "Verifying the RSS hash calculation".
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
        0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
        0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    #[test]
    fn microsoft_vectors() {
        // 66.9.149.187:2794 -> 161.142.100.80:1766
        let v4 = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6];
        assert_eq!(toeplitz(&KEY, &v4), 0x51cc_c178);
        assert_eq!(toeplitz(&KEY, &v4[..8]), 0x323e_8fc2);
        // 199.92.111.2:14230 -> 65.69.140.83:4739
        let v4 = [199, 92, 111, 2, 65, 69, 140, 83, 0x37, 0x96, 0x12, 0x83];
        assert_eq!(toeplitz(&KEY, &v4), 0xc626_b0ea);
        assert_eq!(toeplitz(&KEY, &v4[..8]), 0xd718_262a);
    }
}
