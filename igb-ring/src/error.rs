//! What can be wrong when memory is laid out. Nothing on the data path fails: it counts.

/// Why a ring, a pool or an arena could not be made.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The device takes 64 to 4096 descriptors.
    #[error("a ring of {0} descriptors: the length must be from 64 to 4096")]
    RingLength(u32),
    /// The device counts ring memory in lines of 128 bytes, which are 8 descriptors.
    #[error(
        "a ring of {0} descriptors: the length must be a multiple of 8 (128-byte lines of 16-byte descriptors)"
    )]
    RingMultiple(u32),
    /// A receive buffer size that no register can say.
    #[error("receive buffers of {0} bytes: the size must be from 256 to 16384")]
    BufferSize(u16),
    /// Chunks of a pool are multiples of 256 bytes, larger than the headroom, at most 65,280; all together under 4 GiB.
    #[error(
        "a pool of {count} chunks of {size} bytes: at least one chunk, of 512 to 65280 bytes and a multiple of 256, under 4 GiB together"
    )]
    PoolGeometry {
        /// Chunks asked for.
        count: u32,
        /// Bytes of each, headroom included.
        size: u32,
    },
    /// The platform has no such piece of DMA memory left.
    #[error("no {0} bytes of contiguous DMA memory")]
    NoMemory(usize),
    /// The platform's memory wants syncs, which this kind of pool does not do; use `Pool::non_coherent`.
    #[error("DMA is not coherent here: use Pool::non_coherent")]
    NotCoherent,
    /// The platform gave memory that is misaligned, too short or beyond the device's reach.
    #[error("the platform gave DMA memory at {iova:#x} that is not what was asked for")]
    BadRegion {
        /// Where the device would see it.
        iova: u64,
    },
    /// An arena starts at a page of 4,096 bytes for CPU and device alike, and reaches no further than addresses do.
    #[error("an arena of {len} bytes at {iova:#x}: page-aligned start, at least 4096 bytes, no wrap-around")]
    ArenaPlace {
        /// Start for the device.
        iova: u64,
        /// Bytes.
        len: usize,
    },
}
