//! Header split: which part of a frame goes to the header buffer (SRRCTL.DESCTYPE, BSIZEHEADER; PSRTYPE).
//!
//! With type 2 a header that fits goes to the header buffer and the rest to packet buffers; one that does not fit, or
//! none that PSRTYPE wants, leaves the frame whole in packet buffers. With type 5 the header buffer is always filled
//! first (82575 5.5, page 129; i210 7.1.4.2.2).

use super::Port;
use crate::offsets::*;
use crate::packet::{Headers, Network, Transport};

/// What becomes of a frame's front.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// Bytes that go to the header buffer.
    pub(super) front: usize,
    /// HDR_LEN: the header's length, fitting or not; what stands in the buffer when there is none.
    pub(super) len: usize,
    /// SPH: a header was found.
    pub(super) found: bool,
    /// HBO: it is longer than the buffer.
    pub(super) overflow: bool,
}

impl Split {
    /// HDR_LEN and SPH for dw0; the I210 has bits 11:10 of the length in 20:19.
    pub(super) fn info(self, chip: igb_regs::Chip) -> u32 {
        let len = self.len as u32;
        let high = if is_i21x(chip) { (len >> 10 & 3) << 19 } else { 0 };
        (len & 0x3ff) << 21 | high | u32::from(self.found) << 31
    }

    /// HBO for dw2.
    pub(super) fn status(self) -> u32 {
        u32::from(self.overflow) << 23
    }
}

/// What SRRCTL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) buffer: usize,
    always: bool,
}

impl Wish {
    /// `None` where the queue does not split.
    pub(super) fn new(srrctl: u32) -> Option<Self> {
        let always = match srrctl >> 25 & 7 {
            2 => false,
            5 => true,
            _ => return None,
        };
        Some(Self { buffer: (srrctl >> 8 & 0x3f) as usize * 64, always })
    }

    /// The rule that SRRCTL breaks: 64 to 2,048 bytes of header buffer, above 128 with a time stamp (i210 pages 265,
    /// 280); type 5 is not among the I210's (page 277); replication is not modelled.
    pub(super) fn broken_rule(srrctl: u32, chip: igb_regs::Chip) -> Option<&'static str> {
        let Some(wish) = Self::new(srrctl) else {
            return (srrctl >> 25 & 7 > 1).then_some("SRRCTL.DESCTYPE that this simulator does not have");
        };
        if !(64..=2048).contains(&wish.buffer) {
            Some("header split with SRRCTL.BSIZEHEADER outside 64..=2048 bytes")
        } else if from(chip, igb_regs::Chip::I82580) && srrctl & 1 << 30 != 0 && wish.buffer <= 128 {
            Some("header split with time stamps wants SRRCTL.BSIZEHEADER above 128 bytes")
        } else if wish.always && is_i21x(chip) {
            Some("SRRCTL.DESCTYPE 5 is not among the I210's")
        } else {
            None
        }
    }

    /// How a frame of `total` bytes is cut whose header has `header` bytes, both with the time stamp before them.
    pub(super) fn cut(self, total: usize, header: Option<usize>) -> Split {
        let front = total.min(self.buffer);
        match header {
            Some(len) if len <= self.buffer => Split { front: len, len, found: true, overflow: false },
            Some(len) => {
                Split { front: if self.always { front } else { 0 }, len, found: true, overflow: true }
            }
            None if self.always => Split { front, len: front, ..Split::default() },
            None => Split::default(),
        }
    }
}

impl Port {
    /// Length of the header of the frame's packet type, where PSRTYPE wants that type split: bit n for type n (i210
    /// 8.10.3; the numbers of the 82575's page 112 are the same). `None` also for what is not parsed.
    pub(super) fn split_header(&self, queue: usize, bytes: &[u8], headers: &Headers) -> Option<usize> {
        let at = headers.transport_at;
        let tcp = || bytes.get(at + 12).map(|byte| at + usize::from(byte >> 4) * 4);
        let (kind, len) = match (headers.network, headers.transport) {
            (Network::Other, _) => (0, Some(headers.network_at)),
            (Network::V4 { .. }, Transport::Tcp) => (2, tcp()),
            (Network::V4 { .. }, Transport::Udp) => (3, Some(at + 8)),
            (Network::V4 { .. }, _) => (1, Some(at)),
            (Network::V6 { .. }, Transport::Tcp) => (8, tcp()),
            (Network::V6 { .. }, Transport::Udp) => (9, Some(at + 8)),
            (Network::V6 { .. }, _) => (7, Some(at)),
        };
        let wanted = self.regs.get(PSRTYPE + 4 * queue as u32) >> kind & 1 != 0;
        len.filter(|len| wanted && *len <= bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_datasheet() {
        let split = Wish::new(2 << 25 | 4 << 8).expect("split");
        let always = Wish::new(5 << 25 | 4 << 8).expect("split");
        let cut = |front, len, found, overflow| Split { front, len, found, overflow };
        assert_eq!(split.cut(1000, Some(54)), cut(54, 54, true, false));
        assert_eq!(split.cut(1000, Some(300)), cut(0, 300, true, true));
        assert_eq!(split.cut(1000, None), cut(0, 0, false, false));
        assert_eq!(split.cut(54, Some(54)), cut(54, 54, true, false));
        assert_eq!(always.cut(1000, Some(54)), cut(54, 54, true, false));
        assert_eq!(always.cut(1000, Some(300)), cut(256, 300, true, true));
        assert_eq!(always.cut(1000, None), cut(256, 256, false, false));
        assert_eq!(always.cut(60, None), cut(60, 60, false, false));
        assert_eq!(Wish::new(1 << 25), None);
    }
}
