//! Capture files: what they hold, how they are read and written.

mod read;
mod sample;
mod write;

pub use read::parse;
pub(crate) use read::read_file;
pub use sample::SAMPLE;
pub use write::Writer;

/// A captured frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since 1970; 0 where the file has no time.
    pub nanos: u64,
    /// The bytes that the file holds.
    pub bytes: Vec<u8>,
    /// The frame's length on the wire: more than `bytes` if the capture cut it.
    pub wire_len: u32,
}

/// Why a capture file cannot be used. Offsets are in bytes from the file's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It begins like neither kind.
    #[error("this is neither a pcap nor a pcapng file: it begins with {0:#010x}")]
    NotACapture(u32),
    /// It has less than four bytes.
    #[error("this is no capture file: it has {0} bytes")]
    Empty(u64),
    /// It ends within something.
    #[error("the file ends within the {what} at offset {offset}: was the copy or the capture cut short?")]
    Truncated {
        /// Where the thing begins.
        offset: u64,
        /// What ends too early.
        what: &'static str,
    },
    /// Something in it cannot be.
    #[error("the {what} at offset {offset} is malformed")]
    Malformed {
        /// Where the thing begins.
        offset: u64,
        /// What is malformed.
        what: &'static str,
    },
    /// Captured from something else than Ethernet.
    #[error("the {what} at offset {offset} is of link type {link_type}, not of Ethernet (1)")]
    NotEthernet {
        /// Where that is said.
        offset: u64,
        /// Where that is said, in a word.
        what: &'static str,
        /// The link type.
        link_type: u32,
    },
    /// Too large to be held in memory.
    #[error("the file has more than {0} MiB, which is all that is read into memory")]
    TooLarge(u64),
}
