//! Cutting: one large frame into the segments that go on the wire.

use crate::Error;
use crate::flow::{Ip, Transport, be16, be32, finish_v4, flag, put16};
use crate::sum::Sum;
use crate::virtio::{Segmentation, SegmentationKind, Unfinished, never_zero};

/// Who makes the transport checksum of each segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// The segment is complete.
    Whole,
    /// The place holds the sum over the pseudo-header, and a device makes the rest.
    Seed,
}

/// The segments of one frame.
///
/// Each is written into a buffer of the caller's: headers and its part of the payload, with lengths, identification,
/// sequence number, flags and checksums its own.
#[derive(Debug, Clone)]
pub struct Split<'a> {
    frame: &'a [u8],
    segments: Segmentation,
    place: Unfinished,
    fill: Fill,
    ip: Ip,
    l3: usize,
    l4: usize,
    payload: usize,
    /// Payload that was cut already.
    done: usize,
    count: u16,
}

impl<'a> Split<'a> {
    /// The segments of `frame`, whose transport checksum at `place` holds the sum over the pseudo-header.
    ///
    /// # Errors
    /// [`Error::Headers`] if the frame is not of that protocol, [`Error::SegmentSize`].
    pub fn new(
        frame: &'a [u8],
        segments: Segmentation,
        place: Unfinished,
        fill: Fill,
    ) -> Result<Self, Error> {
        if segments.size == 0 {
            return Err(Error::SegmentSize);
        }
        let (l3, ip, l4, payload) = segments.kind.headers(frame, place)?;
        if payload - l3 + usize::from(segments.size) > crate::IP_MAX {
            return Err(Error::SegmentSize);
        }
        if frame.len() - l4 > crate::IP_MAX {
            return Err(Error::Headers);
        }
        Ok(Self { frame, segments, place, fill, ip, l3, l4, payload, done: 0, count: 0 })
    }

    /// Bytes of the longest segment.
    pub fn longest(&self) -> usize {
        self.frame.len().min(self.payload + usize::from(self.segments.size))
    }

    /// Segments that are left.
    pub fn left(&self) -> usize {
        let rest = self.frame.len() - self.payload - self.done;
        let more = rest.div_ceil(self.segments.size.into());
        // A frame without payload is one segment, too.
        if self.count == 0 { more.max(1) } else { more }
    }

    /// Writes the next segment to the front of `buffer` and gives its length; `None` after the last.
    ///
    /// # Errors
    /// [`Error::NoRoom`]; the segment is not lost, another buffer may take it.
    pub fn next_into(&mut self, buffer: &mut [u8]) -> Option<Result<usize, Error>> {
        if self.left() == 0 {
            return None;
        }
        let headers = self.frame.get(..self.payload)?;
        let rest = self.frame.get(self.payload + self.done..)?;
        let bytes = rest.get(..rest.len().min(self.segments.size.into()))?;
        let needed = headers.len() + bytes.len();
        let room = buffer.len();
        let Some(out) = buffer.get_mut(..needed) else { return Some(Err(Error::NoRoom { needed, room })) };
        let (front, back) = out.split_at_mut(headers.len());
        front.copy_from_slice(headers);
        back.copy_from_slice(bytes);
        let last = bytes.len() == rest.len();
        self.network(out);
        self.transport(out, last);
        self.done += bytes.len();
        self.count = self.count.wrapping_add(1);
        Some(Ok(needed))
    }

    fn network(&self, out: &mut [u8]) {
        let total = out.len() - self.l3;
        match self.ip {
            Ip::V4 => {
                put16(out, self.l3 + 2, total as u16);
                let id = be16(out, self.l3 + 4).unwrap_or(0);
                let step = if self.segments.same_id { 0 } else { self.count };
                put16(out, self.l3 + 4, id.wrapping_add(step));
                finish_v4(out, self.l3, self.v4_header());
            }
            Ip::V6 => put16(out, self.l3 + 4, (total - 40) as u16),
        }
    }

    fn v4_header(&self) -> usize {
        self.frame.get(self.l3).map_or(20, |first| usize::from(first & 0xf) * 4)
    }

    fn transport(&self, out: &mut [u8], last: bool) {
        match self.segments.kind.transport() {
            Transport::Tcp => {
                let sequence = be32(out, self.l4 + 4).unwrap_or(0).wrapping_add(self.done as u32);
                if let Some(place) = out.get_mut(self.l4 + 4..).and_then(|rest| rest.first_chunk_mut()) {
                    *place = sequence.to_be_bytes();
                }
                if let Some(flags) = out.get_mut(self.l4 + 13) {
                    if !last {
                        *flags &= !(flag::FIN | flag::PSH);
                    }
                    if self.count > 0 {
                        *flags &= !flag::CWR;
                    }
                }
            }
            Transport::Udp => put16(out, self.l4 + 4, (out.len() - self.l4) as u16),
        }
        // The seed counts the whole frame's length; each segment has its own. The pseudo-header is not made anew, since
        // a routing header may have put another destination into it.
        let at = self.l4 + usize::from(self.place.offset);
        let seed = be16(out, at).unwrap_or(0);
        let whole = (self.frame.len() - self.l4) as u16;
        let sum = Sum::default().word(seed).word(!whole).word((out.len() - self.l4) as u16);
        match self.fill {
            Fill::Seed => put16(out, at, sum.fold()),
            Fill::Whole => {
                put16(out, at, 0);
                let sum = sum.add(out.get(self.l4..).unwrap_or_default());
                let checksum = sum.checksum();
                let udp = self.segments.kind == SegmentationKind::Udp;
                put16(out, at, if udp { never_zero(checksum) } else { checksum });
            }
        }
    }
}
