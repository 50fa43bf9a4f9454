//! What can go wrong, each a thing that the caller can act on differently.

/// Why the driver could not do what was asked.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The device left the bus: pulled, powered off, or taken away.
    #[error("the device is gone: it answers all ones")]
    DeviceGone,
    /// The controller was closed; its queues move no more frames.
    #[error("the device was closed")]
    Closed,
    /// What the MAC or the PHY said.
    #[error(transparent)]
    Hal(igb_hal::Error),
    /// What the rings or the memory said.
    #[error(transparent)]
    Ring(#[from] igb_ring::Error),
    /// More queues than this chip has, or none.
    #[error("{asked} queues asked for; the {chip} has 1 to {has}")]
    QueueCount {
        /// How many were asked for.
        asked: u16,
        /// How many there are.
        has: u16,
        /// The chip's name.
        chip: &'static str,
    },
    /// A queue's owner did not poll it while a reset waited, so the reset did not take place and the device runs on.
    #[error(
        "queue {queue} ({side}) was not polled for {millis} ms, so there was no reset: poll it, close it or drop it"
    )]
    NotParked {
        /// The queue.
        queue: u16,
        /// Which side.
        side: Side,
        /// How long the reset waited.
        millis: u32,
    },
    /// After a reset, sending begins again only with sending and finishing part in one hand.
    #[error("the device was reset: finish this queue together with its sending part")]
    RestartNeeded,
    /// Buffers are too small for the largest frame, and the configuration allows no chains.
    #[error(
        "buffers of {buffer} bytes do not hold frames of {frame}: use larger chunks, a smaller max_frame, or allow chains"
    )]
    BufferTooSmall {
        /// Bytes that the device may write into a buffer.
        buffer: u16,
        /// Bytes of the largest frame.
        frame: u16,
    },
    /// No interrupt of the kinds that the configuration allows can be had here.
    #[error(
        "this platform gives none of the interrupts that the configuration asks for; an empty list means polling"
    )]
    NoInterrupts,
    /// COMMAND does not accept bus mastering.
    #[error("the PCI function does not accept bus mastering (COMMAND bit 2)")]
    NoMastering,
    /// The link did not come up in time.
    #[error("the link did not come up within {millis} ms")]
    NoLink {
        /// How long was waited.
        millis: u32,
    },
}

/// One side of a queue pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The receiving one.
    Rx,
    /// The sending one.
    Tx,
}

impl core::fmt::Display for Side {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Rx => "receive",
            Self::Tx => "transmit",
        })
    }
}

impl From<igb_hal::Error> for Error {
    fn from(error: igb_hal::Error) -> Self {
        match error {
            igb_hal::Error::DeviceGone => Self::DeviceGone,
            other => Self::Hal(other),
        }
    }
}
