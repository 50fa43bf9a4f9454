//! What the host left undone of a frame, as the NIC's work; or done here, where the NIC cannot.
//!
//! The host names a place and an offset. The NIC wants to know headers, so they are looked at: only a plain IPv4 or IPv6 header
//! directly before the transport is handed to it (a tunnel's inner checksum is not).

use igb::TxOffload;
use igb::ring::{Ip, L4};

/// Bytes of two addresses and a type.
const ETHERNET: usize = 14;

/// Who sums a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Summed {
    /// The NIC, told so.
    ByNic(TxOffload),
    /// We did.
    Here,
    /// Nobody: the place is not in the frame.
    Nowhere,
}

/// Sees to the checksum that is to be summed from `start` on and put `offset` bytes behind that.
#[inline]
pub(super) fn finish(frame: &mut [u8], start: u16, offset: u16) -> Summed {
    match offload(frame, start, offset) {
        Some(offload) => Summed::ByNic(offload),
        None if sum(frame, start.into(), offset.into()) => Summed::Here,
        None => Summed::Nowhere,
    }
}

/// The NIC's orders, if it can.
fn offload(frame: &[u8], start: u16, offset: u16) -> Option<TxOffload> {
    let mut at = ETHERNET;
    let mut kind = half(frame, at - 2)?;
    while matches!(kind, 0x8100 | 0x88a8) {
        at += 4;
        kind = half(frame, at - 2)?;
    }
    let ip_len = usize::from(start).checked_sub(at)?;
    let (ip, protocol) = match kind {
        0x0800 if usize::from(frame.get(at)? & 0xf) * 4 == ip_len && ip_len >= 20 => {
            (Ip::V4, *frame.get(at + 9)?)
        }
        0x86dd if ip_len == 40 => (Ip::V6, *frame.get(at + 6)?),
        _ => return None,
    };
    let l4 = match (protocol, offset) {
        (6, 16) => L4::Tcp,
        (17, 6) => L4::Udp,
        _ => return None,
    };
    // The field itself has to be there.
    frame.get(usize::from(start) + usize::from(offset) + 1)?;
    let offload = TxOffload {
        mac_len: u8::try_from(at).ok()?,
        ip: Some(ip),
        ip_len: ip_len as u16,
        l4: Some(l4),
        ..TxOffload::default()
    };
    Some(offload)
}

/// The Internet checksum (RFC 1071) from `start` to the end, into its place. `false` if that is not in the frame.
fn sum(frame: &mut [u8], start: usize, offset: usize) -> bool {
    let Some(part) = frame.get_mut(start..) else { return false };
    if part.len() < offset + 2 {
        return false;
    }
    let (pairs, rest) = part.as_chunks::<2>();
    let mut sum: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    sum += rest.first().map_or(0, |last| u64::from(*last) << 8);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Zero says "none" in UDP, and means the same as all ones elsewhere.
    let value = match !(sum as u16) {
        0 => 0xffff,
        value => value,
    };
    if let Some(field) = part.get_mut(offset..offset + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
    true
}

fn half(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk().map(|half| u16::from_be_bytes(*half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    const A: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

    /// A frame with its right checksum, and the place of it.
    fn frames(payload: &[u8]) -> Vec<(Vec<u8>, u16, u16)> {
        let four = || PacketBuilder::ethernet2(A.0, A.1).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        let tagged = PacketBuilder::ethernet2(A.0, A.1)
            .single_vlan(etherparse::VlanId::try_new(42).unwrap())
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        let six = || PacketBuilder::ethernet2(A.0, A.1).ipv6([0xfd; 16], [0xfc; 16], 64);
        let mut made = Vec::new();
        let mut add = |builder: etherparse::PacketBuilderStep<etherparse::UdpHeader>, start| {
            let mut frame = Vec::new();
            builder.write(&mut frame, payload).unwrap();
            made.push((frame, start, 6));
        };
        add(four().udp(1, 2), 34);
        add(tagged.udp(1, 2), 38);
        add(six().udp(1, 2), 54);
        for (builder, start) in [(four().tcp(1, 2, 3, 4), 34), (six().tcp(1, 2, 3, 4), 54)] {
            let mut frame = Vec::new();
            builder.write(&mut frame, payload).unwrap();
            made.push((frame, start, 16));
        }
        made
    }

    /// As the host leaves it: the sum of the pseudo header in the field.
    fn undone(frame: &[u8], start: u16, offset: u16) -> Vec<u8> {
        let (start, field) = (usize::from(start), usize::from(start + offset));
        let mut sum: u32 = match start {
            54 => frame[22..54].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum(),
            _ => frame[start - 8..start].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum(),
        };
        sum += (frame.len() - start) as u32 + if offset == 6 { 17 } else { 6 };
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let mut frame = frame.to_vec();
        frame[field..field + 2].copy_from_slice(&(sum as u16).to_be_bytes());
        frame
    }

    #[test]
    fn the_nic_is_told_of_plain_headers() {
        for (mut frame, start, offset) in frames(b"hello") {
            let Summed::ByNic(offload) = finish(&mut frame, start, offset) else {
                panic!("{start} {offset}")
            };
            assert_eq!(u16::from(offload.mac_len) + offload.ip_len, start);
            assert_eq!(offload.l4, Some(if offset == 6 { L4::Udp } else { L4::Tcp }));
            assert!(offload.context(0).is_some() && offload.data(frame.len() as u32, 0).is_some());
        }
    }

    #[test]
    fn what_the_nic_is_not_told_is_summed_here() {
        // An inner checksum: 8 bytes of another header between IP and transport.
        let (frame, start, offset) = frames(b"").remove(0);
        let mut tunnelled = frame[..34].to_vec();
        tunnelled.extend([0; 8]);
        tunnelled.extend(&undone(&frame, start, offset)[34..]);
        assert_eq!(finish(&mut tunnelled, start + 8, offset), Summed::Here);
        assert_eq!(tunnelled[42..], frame[34..]);
    }

    proptest! {
        #[test]
        fn sums_are_what_others_sum(payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            for (frame, start, offset) in frames(&payload) {
                let mut sent = undone(&frame, start, offset);
                prop_assert!(sum(&mut sent, start.into(), offset.into()));
                prop_assert_eq!(&sent, &frame);
            }
        }

        #[test]
        fn no_place_is_out_of_the_frame(mut frame in proptest::collection::vec(any::<u8>(), 0..90), start: u16, offset: u16) {
            let length = frame.len();
            match finish(&mut frame, start, offset) {
                Summed::Nowhere => prop_assert!(usize::from(start) + usize::from(offset) + 2 > length),
                Summed::Here | Summed::ByNic(_) => {
                    prop_assert!(usize::from(start) + usize::from(offset) + 2 <= length);
                }
            }
        }
    }
}
