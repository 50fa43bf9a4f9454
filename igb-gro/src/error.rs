//! What can be wrong with a frame that somebody wants split or finished.

/// Why a frame and the work that was asked for on it do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The header is shorter than 10 bytes.
    #[error("a virtio network header of {0} bytes; it has 10")]
    ShortHeader(usize),
    /// A segmentation that this crate does not know, or one with unknown bits.
    #[error("segmentation type {0:#04x} is not known")]
    UnknownType(u8),
    /// Segments are to be made, and of no bytes.
    #[error("segments of 0 bytes")]
    SegmentSize,
    /// Segmentation needs a checksum that is still to be made, and none was asked for.
    #[error("segmentation without a checksum to make")]
    NoChecksum,
    /// The checksum's place is not inside the frame.
    #[error("a checksum from byte {start}, {offset} bytes on, in a frame of {len} bytes")]
    ChecksumPlace {
        /// Where summing starts.
        start: u16,
        /// Where the checksum stands, from there.
        offset: u16,
        /// The frame's length.
        len: usize,
    },
    /// The frame is not of the protocol that is to be segmented.
    #[error("the frame's headers are not those of its segmentation")]
    Headers,
    /// The buffer for a segment is too short.
    #[error("a segment of {needed} bytes for a buffer of {room}")]
    NoRoom {
        /// Bytes of the segment.
        needed: usize,
        /// Bytes of the buffer.
        room: usize,
    },
}
