//! What the transmitter does to a frame on its way: checksums, segmentation, tag, padding. No registers here.

use crate::offsets::is_i21x;
use crate::packet::{crc32c, fold, sum};
use igb_regs::Chip;

/// A context descriptor, taken apart (fact base 3.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) mac_len: usize,
    pub(super) ip_len: usize,
    pub(super) vlan: u16,
    pub(super) v4: bool,
    snap: bool,
    /// 0 UDP, 1 TCP, 2 SCTP.
    pub(super) l4: u32,
    pub(super) l4_len: usize,
    pub(super) mss: usize,
}

impl Context {
    pub(super) fn new(words: [u32; 4]) -> Self {
        Self {
            ip_len: (words[0] & 0x1ff) as usize,
            mac_len: (words[0] >> 9 & 0x7f) as usize,
            vlan: (words[0] >> 16) as u16,
            snap: words[2] & 1 << 9 != 0,
            v4: words[2] & 1 << 10 != 0,
            l4: words[2] >> 11 & 3,
            l4_len: (words[3] >> 8 & 0xff) as usize,
            mss: (words[3] >> 16) as usize,
        }
    }

    /// The rule that the descriptor breaks whatever frame follows. MKRLOC and MKRREQ are of markers that no chip here
    /// inserts; the launch time has 25 bits and is the I210's (fact base 3.4; i210 7.2.2.2).
    pub(super) fn broken_form(words: [u32; 4], chip: Chip) -> Option<&'static str> {
        let launch = if is_i21x(chip) { 0x01ff_ffff } else { 0 };
        if words[1] & !launch != 0 {
            return Some("context: launch time or sequence seed set where there is none");
        }
        if words[2] & 0x1ff != 0 {
            return Some("context: MKRLOC set");
        }
        if words[2] & 0xdf0f_e000 != 0 || words[3] & 0x8f != 0 {
            return Some("context: reserved bits set");
        }
        None
    }

    fn l4_at(&self) -> usize {
        self.mac_len + self.ip_len
    }

    /// Length of all headers of a segmented frame.
    pub(super) fn header_len(&self) -> usize {
        self.l4_at() + self.l4_len
    }

    /// The rule that this context breaks for `frame`, if any. The device believes the context, so one that lies about
    /// the frame ruins it: each field is held against the frame's own headers.
    pub(super) fn broken_rule(&self, frame: &[u8], wishes: Wishes, chip: Chip) -> Option<&'static str> {
        let sums = wishes.ip_sum || wishes.transport_sum;
        if wishes.segment
            && let Some(rule) = self.broken_segmentation(wishes, chip)
        {
            return Some(rule);
        }
        if !(sums || wishes.segment) {
            // Only the tag counts; a MACLEN that stands there is true.
            let (at, _) = layer_two(frame);
            return (![0, at].contains(&self.mac_len)).then_some("context: MACLEN contradicts the frame");
        }
        let (at, ethertype) = layer_two(frame);
        if self.snap {
            return Some("context: TUCMD.SNAP, and the frame has no SNAP header");
        }
        if !(14..=127).contains(&self.mac_len) {
            return Some("context: MACLEN outside 14..=127");
        }
        let Some((protocol, ip_len, fragment)) = layer_three(frame, at, ethertype) else {
            return Some("checksum or segmentation of a frame that is not IP");
        };
        if self.mac_len != at {
            return Some("context: MACLEN contradicts the frame");
        }
        // For a transport checksum alone it does not matter, and Linux leaves it out.
        let v4 = ethertype == 0x0800;
        if self.v4 && !v4 || !self.v4 && v4 && (wishes.ip_sum || wishes.segment) {
            return Some("context: TUCMD.IPV4 contradicts the frame");
        }
        if self.ip_len != ip_len {
            return Some(if v4 {
                "context: IPLEN contradicts the IPv4 header"
            } else {
                "context: IPLEN contradicts the IPv6 headers"
            });
        }
        if wishes.ip_sum && !v4 {
            return Some("IXSM for IPv6");
        }
        if wishes.transport_sum {
            self.broken_transport(frame, wishes, chip, protocol, fragment)
        } else if self.mss != 0 {
            Some("context: MSS for a frame that is not segmented")
        } else {
            None
        }
    }

    /// What must hold of the context alone when it is to segment.
    fn broken_segmentation(&self, wishes: Wishes, chip: Chip) -> Option<&'static str> {
        let fits = match self.l4 {
            0 => self.l4_len == 8,
            _ => self.l4_len >= 12,
        };
        if !fits {
            return Some("context: L4LEN does not fit its protocol");
        }
        if self.l4 > 1 {
            return Some("context: TUCMD.L4T that cannot be segmented");
        }
        if self.l4 == 0 && chip == Chip::I82575 {
            return Some("82575 does not segment UDP");
        }
        if !(1..=9216).contains(&self.mss) {
            return Some("context: MSS outside 1..=9216");
        }
        if self.header_len() > 512 {
            return Some("context: headers above 512 bytes");
        }
        if !wishes.transport_sum {
            return Some("TSE without TXSM");
        }
        (self.v4 && !wishes.ip_sum).then_some("TSE for IPv4 without IXSM")
    }

    /// L4T, L4LEN and MSS against the transport header, and what the driver left in its checksum field.
    fn broken_transport(
        &self,
        frame: &[u8],
        wishes: Wishes,
        chip: Chip,
        protocol: u8,
        fragment: bool,
    ) -> Option<&'static str> {
        let expected = match protocol {
            17 => 0,
            6 => 1,
            132 => 2,
            _ => return Some("TXSM for a protocol that is not UDP, TCP or SCTP"),
        };
        if fragment {
            return Some("TXSM for a fragment");
        }
        if self.l4 != expected {
            return Some("context: TUCMD.L4T contradicts the frame");
        }
        if expected == 2 && chip == Chip::I82575 {
            return Some("82575 does not know SCTP");
        }
        let l4 = self.l4_at();
        let (least, len) = match expected {
            0 => (8, Some(8)),
            1 => (20, frame.get(l4 + 12).map(|byte| usize::from(byte >> 4) * 4)),
            _ => (12, Some(12)),
        };
        if len.is_none_or(|len| len < least || l4 + len > frame.len()) {
            return Some("TXSM for a frame whose transport header is cut short");
        }
        if wishes.segment {
            if len != Some(self.l4_len) {
                return Some("context: L4LEN contradicts the transport header");
            }
        } else if self.mss != 0 {
            return Some("context: MSS for a frame that is not segmented");
        } else if self.l4_len != 0 && self.l4_len != least && len != Some(self.l4_len) {
            // Ignored then, so 0 is right too, and the shortest header, which DPDK writes.
            return Some("context: L4LEN contradicts the transport header");
        }
        (expected != 2 && !self.seeded(frame, wishes, protocol))
            .then_some("the checksum field does not hold the pseudo-header's sum")
    }

    /// Whether the checksum field holds the sum of the pseudo-header: with the length, or without it when the device
    /// cuts the frame (82575 5.8.7). With extension headers the last destination may stand elsewhere; not judged.
    fn seeded(&self, frame: &[u8], wishes: Wishes, protocol: u8) -> bool {
        let v4 = frame.get(self.mac_len).is_some_and(|first| first >> 4 == 4);
        let addresses = match (v4, self.ip_len) {
            (true, _) => self.mac_len + 12..self.mac_len + 20,
            (false, 40) => self.mac_len + 8..self.mac_len + 40,
            _ => return true,
        };
        let l4 = self.l4_at();
        let at = l4 + if protocol == 6 { 16 } else { 6 };
        let (Some(addresses), Some(field)) = (frame.get(addresses), frame.get(at..at + 2)) else {
            return false;
        };
        // By the IP header's own length: padding may follow.
        let total = if v4 { self.mac_len + 2 } else { self.mac_len + 4 };
        let total =
            frame.get(total..total + 2).map_or(0, |two| usize::from(u16::from_be_bytes([two[0], two[1]])));
        let before = if v4 { self.ip_len } else { 0 };
        let len = if wishes.segment { 0 } else { total.saturating_sub(before) as u64 };
        let expected = fold(sum(addresses) + u64::from(protocol) + len);
        let field = u16::from_be_bytes([field[0], field[1]]);
        // Zero has two forms.
        field == expected || [field, expected].iter().all(|word| [0, 0xffff].contains(word))
    }
}

/// Where the network header starts behind any tags, and its EtherType.
fn layer_two(frame: &[u8]) -> (usize, u16) {
    let mut at = 12;
    let read = |at: usize| frame.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    while matches!(read(at), 0x8100 | 0x88a8 | 0x9100) && at < 12 + 4 * 4 {
        at += 4;
    }
    (at + 2, read(at))
}

/// Transport protocol, length of the network headers, and whether it is a fragment. The length fields are not
/// believed: drivers clear them before segmentation.
fn layer_three(frame: &[u8], at: usize, ethertype: u16) -> Option<(u8, usize, bool)> {
    let ip = frame.get(at..)?;
    match (ethertype, ip.first()? >> 4) {
        (0x0800, 4) if ip.len() >= 20 && ip[0] & 15 >= 5 => {
            let fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff != 0;
            Some((ip[9], usize::from(ip[0] & 15) * 4, fragment))
        }
        (0x86dd, 6) if ip.len() >= 40 => {
            let (mut next, mut len, mut fragment) = (ip[6], 40, false);
            while matches!(next, 0 | 43 | 44 | 60) {
                let header = ip.get(len..len + 2)?;
                fragment |= next == 44;
                len += if next == 44 { 8 } else { 8 + usize::from(header[1]) * 8 };
                next = header[0];
            }
            Some((next, len, fragment))
        }
        _ => None,
    }
}

/// What the data descriptor asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// POPTS.IXSM.
    pub(super) ip_sum: bool,
    /// POPTS.TXSM.
    pub(super) transport_sum: bool,
    /// DCMD.VLE, with its EtherType.
    pub(super) tag: Option<u16>,
    /// DCMD.TSE.
    pub(super) segment: bool,
    /// TCTL.PSP.
    pub(super) pad: bool,
}

/// Frames for the wire.
pub(super) fn apply(frame: Vec<u8>, context: &Context, wishes: Wishes) -> Vec<Vec<u8>> {
    let frames = if wishes.segment && context.mss > 0 && frame.len() > context.header_len() {
        segments(&frame, context)
    } else {
        vec![frame]
    };
    frames.into_iter().map(|frame| finish(frame, context, wishes)).collect()
}

/// Cuts a frame into pieces of MSS, each with headers of its own (82575 5.8.7).
fn segments(frame: &[u8], context: &Context) -> Vec<Vec<u8>> {
    let (head, body) = frame.split_at(context.header_len());
    let (ip, l4) = (context.mac_len, context.l4_at());
    let count = body.len().div_ceil(context.mss);
    let mut out = Vec::with_capacity(count);
    for (number, part) in body.chunks(context.mss).enumerate() {
        let mut segment = [head, part].concat();
        let l4_bytes = context.l4_len + part.len();
        if context.v4 {
            put16(&mut segment, ip + 2, |_| (context.ip_len + l4_bytes) as u16);
            put16(&mut segment, ip + 4, |id| id.wrapping_add(number as u16));
        } else {
            put16(&mut segment, ip + 4, |_| (context.ip_len.saturating_sub(40) + l4_bytes) as u16);
        }
        // The driver's pseudo-header sum leaves the length out; it differs between segments.
        let sum_at = l4 + if context.l4 == 1 { 16 } else { 6 };
        put16(&mut segment, sum_at, |partial| fold(u64::from(partial) + l4_bytes as u64));
        if context.l4 == 1 {
            let offset = (number * context.mss) as u32;
            if let Some(Ok(place)) = segment.get_mut(l4 + 4..l4 + 8).map(<&mut [u8; 4]>::try_from) {
                *place = u32::from_be_bytes(*place).wrapping_add(offset).to_be_bytes();
            }
            if number + 1 < count
                && let Some(flags) = segment.get_mut(l4 + 13)
            {
                *flags &= !0x09; // FIN and PSH belong to the last
            }
        } else {
            put16(&mut segment, l4 + 4, |_| l4_bytes as u16);
        }
        out.push(segment);
    }
    out
}

fn put16(bytes: &mut [u8], at: usize, value: impl FnOnce(u16) -> u16) {
    if let Some(Ok(place)) = bytes.get_mut(at..at + 2).map(<&mut [u8; 2]>::try_from) {
        *place = value(u16::from_be_bytes(*place)).to_be_bytes();
    }
}

fn finish(mut frame: Vec<u8>, context: &Context, wishes: Wishes) -> Vec<u8> {
    let (ip, l4) = (context.mac_len, context.l4_at());
    if wishes.ip_sum && frame.len() >= l4 && context.ip_len >= 12 {
        put16(&mut frame, ip + 10, |_| 0);
        let value = !fold(sum(&frame[ip..l4]));
        put16(&mut frame, ip + 10, |_| value);
    }
    if wishes.transport_sum && frame.len() > l4 {
        match context.l4 {
            2 if frame.len() >= l4 + 12 => {
                frame[l4 + 8..l4 + 12].fill(0);
                let value = crc32c(&frame[l4..]).to_le_bytes();
                frame[l4 + 8..l4 + 12].copy_from_slice(&value);
            }
            kind @ (0 | 1) => {
                // The field holds the pseudo-header's sum, so summing over it includes that.
                let value = !fold(sum(&frame[l4..]));
                let value = if kind == 0 && value == 0 { 0xffff } else { value };
                put16(&mut frame, l4 + if kind == 1 { 16 } else { 6 }, |_| value);
            }
            _ => {}
        }
    }
    if let Some(vet) = wishes.tag
        && frame.len() >= 12
    {
        let [a, b] = vet.to_be_bytes();
        let [c, d] = context.vlan.to_be_bytes();
        frame.splice(12..12, [a, b, c, d]);
    }
    if wishes.pad && frame.len() < 60 {
        frame.resize(60, 0);
    }
    frame
}
