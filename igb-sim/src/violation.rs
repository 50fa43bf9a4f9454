//! What a driver did that the datasheet forbids. The device goes on as real ones do; the test sees the list.

use core::fmt;

/// One thing that a driver should not have done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The ring's base is not a multiple of 128 bytes.
    RingBase {
        /// The register, with its index.
        register: String,
        /// What was written.
        value: u32,
    },
    /// The ring's length is 0, not a multiple of 128 bytes, or above 0x80000.
    RingLength {
        /// The register, with its index.
        register: String,
        /// What was written, or stood there when the queue was enabled.
        value: u32,
    },
    /// Base, length or head was written while the queue was enabled.
    RingBusy {
        /// The register, with its index.
        register: String,
    },
    /// The tail points outside the ring.
    TailRange {
        /// The register, with its index.
        register: String,
        /// What was written.
        tail: u32,
        /// Descriptors in the ring.
        len: u32,
    },
    /// The tail was moved before `ENABLE` read 1.
    TailBeforeEnable {
        /// The register, with its index.
        register: String,
    },
    /// The queue was enabled with a tail other than 0.
    EnabledWithTail {
        /// The register, with its index.
        register: String,
        /// The tail.
        tail: u32,
    },
    /// A descriptor breaks a rule; the text says which.
    Descriptor {
        /// `RX` or `TX`.
        ring: &'static str,
        /// Queue.
        queue: usize,
        /// Index of the descriptor.
        index: u32,
        /// The rule.
        rule: &'static str,
    },
    /// DMA outside the memory that the device was given.
    DmaFault {
        /// Address.
        iova: u64,
        /// Bytes.
        len: usize,
        /// Whether the device wanted to write.
        write: bool,
    },
    /// IVAR was written while MSI-X was on and `GPIE.Multiple_MSIX` off: the write is lost.
    IvarBeforeGpie {
        /// The register, with its index.
        register: String,
    },
    /// A vector that the device does not have, or that nobody routed.
    NoSuchVector {
        /// The vector.
        vector: u32,
    },
    /// MDIC was written before the last access was ready.
    MdicBusy,
    /// The PHY was addressed within 300 µs of its reset (I210 page 90).
    MdicAfterReset,
    /// A lock was not held: the text says which, for what.
    NotLocked {
        /// The rule.
        rule: &'static str,
    },
    /// EERD or EEWR was written before the last access was done.
    NvmBusy,
    /// The whole device or the receiver was started while the device may not master the bus.
    NotMastering,
    /// A platform was given back while the device could still write memory.
    LeftRunning,
    /// An access at an offset that is not a multiple of 4.
    Unaligned {
        /// The offset.
        offset: u32,
    },
    /// An access beyond the BAR.
    OutsideBar {
        /// The offset.
        offset: u32,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RingBase { register, value } => {
                write!(f, "{register}={value:#010x} is not 128-byte aligned")
            }
            Self::RingLength { register, value } => {
                write!(f, "{register}={value:#010x} is not a length (128 bytes to 0x80000, by 128)")
            }
            Self::RingBusy { register } => write!(f, "{register} written while its queue is enabled"),
            Self::TailRange { register, tail, len } => write!(f, "{register}={tail} in a ring of {len}"),
            Self::TailBeforeEnable { register } => {
                write!(f, "{register} moved before the queue's ENABLE read 1")
            }
            Self::EnabledWithTail { register, tail } => write!(f, "queue enabled with {register}={tail}"),
            Self::Descriptor { ring, queue, index, rule } => {
                write!(f, "{ring} queue {queue} descriptor {index}: {rule}")
            }
            Self::DmaFault { iova, len, write } => {
                let verb = if *write { "write" } else { "read" };
                write!(f, "DMA {verb} of {len} bytes at {iova:#x}, which is not mapped")
            }
            Self::IvarBeforeGpie { register } => write!(f, "{register} written before GPIE.Multiple_MSIX"),
            Self::NoSuchVector { vector } => write!(f, "interrupt vector {vector} leads nowhere"),
            Self::MdicBusy => f.write_str("MDIC written while an access is under way"),
            Self::MdicAfterReset => f.write_str("MDIC used within 300 us of a PHY reset"),
            Self::NotLocked { rule } => f.write_str(rule),
            Self::NvmBusy => f.write_str("EERD or EEWR written while an access is under way"),
            Self::NotMastering => f.write_str("queue enabled while bus mastering is off"),
            Self::LeftRunning => f.write_str("platform given back with queues enabled and bus mastering on"),
            Self::Unaligned { offset } => write!(f, "access at {offset:#x}, which is not a multiple of 4"),
            Self::OutsideBar { offset } => write!(f, "access at {offset:#x}, beyond the BAR"),
        }
    }
}
