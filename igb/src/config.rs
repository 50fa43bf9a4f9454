//! What a device is told when it is opened, and keeps through every reset.

use crate::InterruptKind;
use core::time::Duration;
use igb_hal::{FlowControl, LinkConfig, MacAddress};

/// How a device is run. [`Config::default`] suits most.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The station address; the NVM's if `None`.
    pub address: Option<MacAddress>,
    /// Go on where the NVM's checksum is wrong. Its address is checked either way.
    pub ignore_nvm_checksum: bool,
    /// The largest frame in bytes, from the destination address to the last payload byte, without FCS. A VLAN tag
    /// counts.
    pub max_frame: u16,
    /// Frames may be larger than a buffer, up to `max_frame`. They come as chains of buffers to
    /// [`Queue::poll_frames`](crate::Queue::poll_frames); [`Queue::poll`](crate::Queue::poll) drops and counts them.
    pub chains: bool,
    /// How the link comes up.
    pub link: LinkConfig,
    /// Interrupts to try, in this order. None: every queue is polled.
    pub interrupts: &'static [InterruptKind],
    /// Shortest time between two interrupts of one vector.
    pub interrupt_interval: Duration,
    /// Frames are dropped when a queue has no descriptor, rather than held back in the packet buffer, where they
    /// would stall the other queues.
    pub drop_when_empty: bool,
    /// How long a reset waits for the queues to notice.
    pub reset_patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: None,
            ignore_nvm_checksum: false,
            max_frame: 1518,
            chains: false,
            link: LinkConfig::default(),
            interrupts: &[InterruptKind::MsiX, InterruptKind::Msi, InterruptKind::Intx],
            interrupt_interval: Duration::from_micros(50),
            drop_when_empty: true,
            reset_patience: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// Another station address.
    #[must_use]
    pub fn address(mut self, address: MacAddress) -> Self {
        self.address = Some(address);
        self
    }

    /// Another largest frame, in bytes without FCS.
    #[must_use]
    pub fn max_frame(mut self, bytes: u16) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Frames of up to `max_frame` bytes in buffers of any size: see [`chains`](Self::chains).
    #[must_use]
    pub fn chains(mut self, max_frame: u16) -> Self {
        (self.chains, self.max_frame) = (true, max_frame);
        self
    }

    /// Other interrupts, in the order in which they are tried; an empty list means polling.
    #[must_use]
    pub fn interrupts(mut self, kinds: &'static [InterruptKind]) -> Self {
        self.interrupts = kinds;
        self
    }

    /// Another time that a reset waits for the queues.
    #[must_use]
    pub fn reset_patience(mut self, patience: Duration) -> Self {
        self.reset_patience = patience;
        self
    }

    /// Other flow control.
    #[must_use]
    pub fn flow_control(mut self, flow_control: FlowControl) -> Self {
        self.link.flow_control = flow_control;
        self
    }
}

/// How many queues, and how long their rings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    pub(crate) count: u16,
    pub(crate) rx: u32,
    pub(crate) tx: u32,
}

impl Queues {
    /// `count` queues that receive and send, with rings of 256 descriptors each way.
    pub const fn combined(count: u16) -> Self {
        Self { count, rx: 256, tx: 256 }
    }

    /// Other ring lengths, in descriptors: see [`igb_ring::RxRing::new`] for what the hardware takes.
    #[must_use]
    pub const fn rings(self, rx: u32, tx: u32) -> Self {
        Self { rx, tx, ..self }
    }
}
