//! What the transmitter does to a frame on its way: checksums, segmentation, tag, padding. No registers here.

use crate::packet::{crc32c, fold, sum};

/// A context descriptor, taken apart (fact base 3.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) mac_len: usize,
    pub(super) ip_len: usize,
    pub(super) vlan: u16,
    pub(super) v4: bool,
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
            v4: words[2] & 1 << 10 != 0,
            l4: words[2] >> 11 & 3,
            l4_len: (words[3] >> 8 & 0xff) as usize,
            mss: (words[3] >> 16) as usize,
        }
    }

    fn l4_at(&self) -> usize {
        self.mac_len + self.ip_len
    }

    /// Length of all headers of a segmented frame.
    pub(super) fn header_len(&self) -> usize {
        self.l4_at() + self.l4_len
    }

    /// The rule that this context breaks for a frame that starts with `head`, if any.
    pub(super) fn broken_rule(&self, head: &[u8], wishes: Wishes) -> Option<&'static str> {
        if wishes.segment {
            let most = if self.l4 == 0 { self.l4_len != 8 } else { self.l4_len < 12 };
            if most {
                return Some("context: L4LEN does not fit its protocol");
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
        }
        if !(wishes.ip_sum || wishes.transport_sum || wishes.segment) {
            return None;
        }
        if !(14..=127).contains(&self.mac_len) {
            return Some("context: MACLEN outside 14..=127");
        }
        if self.ip_len < 20 {
            return Some("context: IPLEN below 20");
        }
        // The device believes the context; a context that lies about the frame ruins it.
        let version = if self.v4 { 4 } else { 6 };
        let ip = head.get(self.mac_len)?;
        if ip >> 4 != version {
            return Some("context: TUCMD.IPV4 or MACLEN contradicts the frame");
        }
        if self.v4 && usize::from(ip & 15) * 4 != self.ip_len {
            return Some("context: IPLEN contradicts the IPv4 header");
        }
        if wishes.ip_sum && !self.v4 {
            return Some("IXSM for IPv6");
        }
        if wishes.segment
            && self.l4 == 1
            && head.get(self.l4_at() + 12).map(|byte| usize::from(byte >> 4) * 4) != Some(self.l4_len)
        {
            return Some("context: L4LEN contradicts the TCP header");
        }
        None
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
