//! What stands before a frame of a queue with offloads: `struct virtio_net_hdr`, in the machine's byte order.

/// Bytes of it.
const SIZE: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

/// What was left undone of a frame that the host sends, or what is known of one that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The checksum is to be summed from `.0` on and to be put `.1` bytes behind that; the field holds the pseudo header's
    /// sum.
    pub checksum: Option<(u16, u16)>,
    /// Somebody looked at the checksum of the transport, and it is right.
    pub checked: bool,
    /// The kind of segmentation (`VIRTIO_NET_HDR_GSO_*`); 0 for a frame that goes as it is.
    pub segmentation: u8,
    /// Bytes of all headers, a hint.
    pub header_len: u16,
    /// Bytes of each segment.
    pub segment_len: u16,
}

impl Header {
    /// Bytes of a header.
    pub const SIZE: u16 = SIZE as u16;

    /// Reads one from the front of what a queue gave. `None` if there is less than a header.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [flags, segmentation, rest @ ..] = bytes.first_chunk::<SIZE>()?;
        let word = |at: usize| u16::from_ne_bytes([rest[at], rest[at + 1]]);
        Some(Self {
            checksum: (flags & NEEDS_CSUM != 0).then(|| (word(4), word(6))),
            checked: flags & DATA_VALID != 0,
            segmentation: *segmentation,
            header_len: word(0),
            segment_len: word(2),
        })
    }

    /// As the kernel wants it before a frame.
    #[inline]
    pub fn bytes(self) -> [u8; SIZE] {
        let (start, offset) = self.checksum.unwrap_or_default();
        let flags =
            if self.checksum.is_some() { NEEDS_CSUM } else { 0 } | if self.checked { DATA_VALID } else { 0 };
        let mut bytes = [0; SIZE];
        bytes[..2].copy_from_slice(&[flags, self.segmentation]);
        for (to, word) in
            bytes[2..].chunks_exact_mut(2).zip([self.header_len, self.segment_len, start, offset])
        {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_the_kernels() {
        let header = Header { checksum: Some((34, 16)), segment_len: 1448, ..Header::default() };
        let mut wire = vec![1, 0, 0, 0];
        for word in [1448u16, 34, 16] {
            wire.extend(word.to_ne_bytes());
        }
        assert_eq!(header.bytes().as_slice(), wire);
        assert_eq!(Header::parse(&wire), Some(header));
        assert_eq!(Header::parse(&wire[..9]), None);
        let checked = Header { checked: true, ..Header::default() };
        assert_eq!(Header::parse(&checked.bytes()), Some(checked));
        assert_eq!(checked.bytes()[0], 2);
    }
}
