//! The header that Linux's TAP puts before a frame: what is still to be done to it.
//!
//! Source: Virtual I/O Device 1.3, section 5.1.6; Linux `include/uapi/linux/virtio_net.h`. The TAP's header has 10
//! bytes, little-endian once `TUNSETVNETLE` said so.

use crate::Error;
use crate::flow::{Ip, Transport, be16, network, transport_header};
use crate::sum::Sum;

/// `virtio_net_hdr`, all 10 bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VnetHeader {
    /// [`NEEDS_CHECKSUM`](Self::NEEDS_CHECKSUM), [`CHECKSUM_VALID`](Self::CHECKSUM_VALID).
    pub flags: u8,
    /// 0, or a [`SegmentationKind`] and perhaps [`ECN`](Self::ECN).
    pub gso_type: u8,
    /// Bytes of all headers. A hint: nothing here trusts it.
    pub hdr_len: u16,
    /// Payload bytes of each segment.
    pub gso_size: u16,
    /// Where the sum starts.
    pub csum_start: u16,
    /// Where it goes, from there.
    pub csum_offset: u16,
}

/// How a large frame is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, num_enum::IntoPrimitive, num_enum::TryFromPrimitive)]
#[repr(u8)]
pub enum SegmentationKind {
    /// TCP over IPv4.
    Tcp4 = 1,
    /// TCP over IPv6.
    Tcp6 = 4,
    /// UDP datagrams of equal size, the last one perhaps shorter.
    Udp = 5,
}

/// A large frame's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segmentation {
    /// What it is.
    pub kind: SegmentationKind,
    /// Payload bytes of each segment but the last. Never 0.
    pub size: u16,
    /// IPv4 segments all bear the same identification, as packets may that must not be fragmented (RFC 6864). Otherwise
    /// it counts up.
    pub same_id: bool,
}

/// A checksum that is still to be made: the place holds the sum over the pseudo-header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Where the sum starts: the transport header.
    pub start: u16,
    /// Where it goes, from there.
    pub offset: u16,
}

/// What a frame asks for, checked against the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// A checksum to make.
    pub checksum: Option<Unfinished>,
    /// Segments to cut. There is a checksum to make then, too.
    pub segments: Option<Segmentation>,
}

impl VnetHeader {
    /// Bytes of it.
    pub const LEN: usize = 10;
    /// In `flags`: the checksum is still to be made.
    pub const NEEDS_CHECKSUM: u8 = 1;
    /// In `flags`: somebody verified the checksum already.
    pub const CHECKSUM_VALID: u8 = 2;
    /// In `gso_type`: the first segment says that the congestion window was reduced.
    pub const ECN: u8 = 0x80;

    /// Reads it from the front of `bytes`, little-endian.
    ///
    /// # Errors
    /// [`Error::ShortHeader`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1] =
            *bytes.first_chunk().ok_or(Error::ShortHeader(bytes.len()))?;
        Ok(Self {
            flags,
            gso_type,
            hdr_len: u16::from_le_bytes([h0, h1]),
            gso_size: u16::from_le_bytes([g0, g1]),
            csum_start: u16::from_le_bytes([s0, s1]),
            csum_offset: u16::from_le_bytes([o0, o1]),
        })
    }

    /// Its bytes, little-endian.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [h0, h1] = self.hdr_len.to_le_bytes();
        let [g0, g1] = self.gso_size.to_le_bytes();
        let [s0, s1] = self.csum_start.to_le_bytes();
        let [o0, o1] = self.csum_offset.to_le_bytes();
        [self.flags, self.gso_type, h0, h1, g0, g1, s0, s1, o0, o1]
    }

    /// What it asks to be done to `frame`. Whoever wrote the two is not trusted: what comes back fits the frame.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::NoRoom`] and [`Error::ShortHeader`].
    pub fn work(&self, frame: &[u8]) -> Result<Work, Error> {
        let checksum = (self.flags & Self::NEEDS_CHECKSUM != 0)
            .then(|| Unfinished { start: self.csum_start, offset: self.csum_offset }.inside(frame))
            .transpose()?;
        if self.gso_type == 0 {
            return Ok(Work { checksum, segments: None });
        }
        let kind = SegmentationKind::try_from(self.gso_type & !Self::ECN)
            .map_err(|_| Error::UnknownType(self.gso_type))?;
        let place = checksum.ok_or(Error::NoChecksum)?;
        if self.gso_size == 0 {
            return Err(Error::SegmentSize);
        }
        kind.headers(frame, place)?;
        let segments = Segmentation { kind, size: self.gso_size, same_id: false };
        Ok(Work { checksum, segments: Some(segments) })
    }
}

impl Unfinished {
    fn inside(self, frame: &[u8]) -> Result<Self, Error> {
        let at = usize::from(self.start) + usize::from(self.offset);
        if usize::from(self.start) >= 14 && at + 2 <= frame.len() {
            Ok(self)
        } else {
            Err(Error::ChecksumPlace { start: self.start, offset: self.offset, len: frame.len() })
        }
    }

    /// Makes the checksum in software: for a device that was not asked to.
    ///
    /// # Errors
    /// [`Error::ChecksumPlace`].
    pub fn finish(self, frame: &mut [u8]) -> Result<(), Error> {
        let at = usize::from(self.start) + usize::from(self.offset);
        let Self { start, .. } = self.inside(frame)?;
        let sum = Sum::default().add(frame.get(usize::from(start)..).unwrap_or_default());
        crate::flow::put16(frame, at, never_zero(sum.checksum()));
        Ok(())
    }
}

/// A UDP checksum of 0 says that there is none; its other form in one's complement says the same sum. TCP takes both.
pub(crate) fn never_zero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

impl SegmentationKind {
    pub(crate) fn transport(self) -> Transport {
        match self {
            Self::Tcp4 | Self::Tcp6 => Transport::Tcp,
            Self::Udp => Transport::Udp,
        }
    }

    /// Where network header, transport header and payload of a frame to be cut start: the transport header is where
    /// the checksum starts, so that options and extension headers may stand between.
    pub(crate) fn headers(self, frame: &[u8], place: Unfinished) -> Result<(usize, Ip, usize, usize), Error> {
        let found = || {
            let (l3, ip) = network(frame)?;
            let l4 = usize::from(place.start);
            let fits = match (self, ip) {
                (Self::Tcp4 | Self::Udp, Ip::V4) => {
                    let first = *frame.get(l3)?;
                    first >> 4 == 4
                        && first & 0xf >= 5
                        && l4 == l3 + usize::from(first & 0xf) * 4
                        && frame.get(l3 + 9) == Some(&self.transport().number())
                        && be16(frame, l3 + 6)? & 0x3fff == 0
                }
                (Self::Tcp6 | Self::Udp, Ip::V6) => frame.get(l3)? >> 4 == 6 && l4 >= l3 + 40,
                _ => false,
            };
            let payload = l4 + transport_header(frame, l4, self.transport())?;
            let offset = usize::from(place.offset) == self.transport().checksum_at();
            (fits && offset).then_some((l3, ip, l4, payload))
        };
        found().ok_or(Error::Headers)
    }
}
