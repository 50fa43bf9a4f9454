//! Queues as registers: where the ring is, how it is fetched, on and off.

use crate::mac::Wait;
use crate::{Error, Mac};
use embedded_hal::delay::DelayNs;
use igb_regs::{Bus, Chip, DVMOLR, RCTL, RDT, RXDCTL, Reg, SRRCTL, TCTL, TDT, TXDCTL};

/// How long a queue may take to be on or off.
const SWITCH_US: u32 = 10_000;

/// Where the descriptors of a ring are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingAt {
    /// Address as the device sees it; a multiple of 128.
    pub base: u64,
    /// Length in bytes; a multiple of 128, up to 524288.
    pub bytes: u32,
}

impl RingAt {
    const fn checked(self) -> Result<Self, Error> {
        let Self { base, bytes } = self;
        if base.is_multiple_of(128) && bytes.is_multiple_of(128) && bytes > 0 && bytes <= 0x8_0000 {
            Ok(self)
        } else {
            Err(Error::Ring { base, bytes })
        }
    }

    const fn halves(self) -> (u32, u32) {
        (self.base as u32, (self.base >> 32) as u32)
    }
}

/// How a receive queue works. Thresholds are in descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RxQueueConfig {
    /// What the device may write into a buffer: whole KB, 1024 to 64512.
    pub buffer_bytes: u16,
    /// Frames are dropped and counted when the queue has no descriptor; else they wait in the packet buffer, where
    /// they stall the other queues.
    pub drop_when_empty: bool,
    /// Descriptors are fetched when fewer than this are left in the chip.
    pub prefetch: u8,
    /// And at least this many are in the ring.
    pub host: u8,
    /// This many are written back at once.
    pub write_back: u8,
}

impl Default for RxQueueConfig {
    /// Each descriptor is written back as soon as it is done, which every chip does right.
    fn default() -> Self {
        Self { buffer_bytes: 2048, drop_when_empty: false, prefetch: 8, host: 8, write_back: 1 }
    }
}

impl RxQueueConfig {
    /// The thresholds that drivers give this chip. An 82576 with MSI-X loses events unless each descriptor is written
    /// back at once.
    pub fn for_chip(chip: Chip) -> Self {
        let prefetch = if chip == Chip::I354 { 12 } else { 8 };
        Self { prefetch, write_back: if chip == Chip::I82576 { 1 } else { 4 }, ..Self::default() }
    }
}

/// How a transmit queue works. Thresholds are in descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxQueueConfig {
    /// Descriptors are fetched when fewer than this are left in the chip.
    pub prefetch: u8,
    /// And at least this many are in the ring.
    pub host: u8,
    /// This many are written back at once.
    pub write_back: u8,
}

impl Default for TxQueueConfig {
    /// Each descriptor is written back as soon as it is done, which every chip does right.
    fn default() -> Self {
        Self { prefetch: 8, host: 1, write_back: 1 }
    }
}

impl TxQueueConfig {
    /// The thresholds that drivers give this chip.
    pub fn for_chip(chip: Chip) -> Self {
        let prefetch = if chip == Chip::I354 { 20 } else { 8 };
        Self { prefetch, host: 1, write_back: if chip == Chip::I82576 { 1 } else { 16 } }
    }
}

impl<B: Bus> Mac<B> {
    /// Starts receive queue `q` on an empty ring: head and tail are 0. The caller fills the ring and then rings the
    /// tail; a write to the tail of a queue that is off starts nothing.
    ///
    /// Datasheet I210 4.5.9: disable, base and length, head and tail, SRRCTL and what else is the queue's, enable, wait
    /// for ENABLE.
    ///
    /// # Errors
    ///
    /// [`Error::QueueIndex`], [`Error::Ring`], [`Error::BufferSize`], [`Error::Timeout`], [`Error::DeviceGone`].
    pub fn start_rx_queue(
        &self,
        q: usize,
        ring: RingAt,
        config: &RxQueueConfig,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error> {
        let ring = ring.checked()?;
        let kb = config.buffer_bytes / 1024;
        if !config.buffer_bytes.is_multiple_of(1024) || kb == 0 {
            return Err(Error::BufferSize { bytes: config.buffer_bytes });
        }
        self.stop_rx_queue(q, delay)?;
        let regs = self.regs();
        let (low, high) = ring.halves();
        regs.rdbal(q).set(low);
        regs.rdbah(q).set(high);
        regs.rdlen(q).set(ring.bytes);
        regs.rdh(q).set(0);
        regs.rdt(q).set(0);
        regs.srrctl(q).write(
            SRRCTL::BSIZEPACKET.val(kb.into())
                + SRRCTL::DESCTYPE_ADVANCED
                + SRRCTL::DROP_EN.val(config.drop_when_empty.into()),
        );
        // From I350 on the FCS is taken out per queue, along with RCTL.SECRC (DPDK igb_rxtx.c).
        if let Some(dvmolr) = regs.dvmolr(q) {
            dvmolr.modify(DVMOLR::STRCRC.val(1));
        }
        regs.rxdctl(q).write(
            RXDCTL::PTHRESH.val(config.prefetch.into())
                + RXDCTL::HTHRESH.val(config.host.into())
                + RXDCTL::WTHRESH.val(config.write_back.into())
                + RXDCTL::ENABLE.val(1),
        );
        let wait = switch("RXDCTL", q, "ENABLE did not set");
        let rxdctl = regs.rxdctl(q);
        self.poll(&wait, delay, || rxdctl.get(), |value| RXDCTL::ENABLE.is_set(value)).map(drop)
    }

    /// Stops receive queue `q` and waits until it is off: afterwards it writes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::QueueIndex`], [`Error::Timeout`], [`Error::DeviceGone`].
    pub fn stop_rx_queue(&self, q: usize, delay: &mut impl DelayNs) -> Result<(), Error> {
        let has = self.chip().rx_queues();
        let Some(rxdctl) = self.regs().try_rxdctl(q) else { return Err(Error::QueueIndex { queue: q, has }) };
        rxdctl.modify(RXDCTL::ENABLE.val(0));
        let wait = switch("RXDCTL", q, "ENABLE did not clear");
        self.poll(&wait, delay, || rxdctl.get(), |value| !RXDCTL::ENABLE.is_set(value)).map(drop)
    }

    /// Starts transmit queue `q` on an empty ring: head and tail are 0.
    ///
    /// Datasheet I210 4.5.10.
    ///
    /// # Errors
    ///
    /// [`Error::QueueIndex`], [`Error::Ring`], [`Error::Timeout`], [`Error::DeviceGone`].
    pub fn start_tx_queue(
        &self,
        q: usize,
        ring: RingAt,
        config: &TxQueueConfig,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error> {
        let ring = ring.checked()?;
        self.stop_tx_queue(q, delay)?;
        let regs = self.regs();
        let (low, high) = ring.halves();
        regs.tdbal(q).set(low);
        regs.tdbah(q).set(high);
        regs.tdlen(q).set(ring.bytes);
        regs.tdh(q).set(0);
        regs.tdt(q).set(0);
        regs.txdctl(q).write(
            TXDCTL::PTHRESH.val(config.prefetch.into())
                + TXDCTL::HTHRESH.val(config.host.into())
                + TXDCTL::WTHRESH.val(config.write_back.into())
                + TXDCTL::ENABLE.val(1),
        );
        let wait = switch("TXDCTL", q, "ENABLE did not set");
        let txdctl = regs.txdctl(q);
        self.poll(&wait, delay, || txdctl.get(), |value| TXDCTL::ENABLE.is_set(value)).map(drop)
    }

    /// Stops transmit queue `q` and waits until it is off: afterwards it reads and writes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::QueueIndex`], [`Error::Timeout`], [`Error::DeviceGone`].
    pub fn stop_tx_queue(&self, q: usize, delay: &mut impl DelayNs) -> Result<(), Error> {
        let has = self.chip().tx_queues();
        let Some(txdctl) = self.regs().try_txdctl(q) else { return Err(Error::QueueIndex { queue: q, has }) };
        txdctl.modify(TXDCTL::ENABLE.val(0));
        let wait = switch("TXDCTL", q, "ENABLE did not clear");
        self.poll(&wait, delay, || txdctl.get(), |value| !TXDCTL::ENABLE.is_set(value)).map(drop)
    }

    /// Turns the receive unit on.
    pub fn enable_receive(&self) {
        self.regs().rctl().modify(RCTL::RXEN.val(1));
    }

    /// Turns the receive unit off. Frames that wait in the packet buffer stay there.
    pub fn disable_receive(&self) {
        self.regs().rctl().modify(RCTL::RXEN.val(0));
        self.flush();
    }

    /// Turns the transmit unit on.
    pub fn enable_transmit(&self) {
        self.regs().tctl().modify(TCTL::EN.val(1));
    }

    /// Turns the transmit unit off after the frame that it sends.
    pub fn disable_transmit(&self) {
        self.regs().tctl().modify(TCTL::EN.val(0));
        self.flush();
    }

    /// The doorbell of receive queue `q`, with a bus of its own.
    ///
    /// # Panics
    ///
    /// If the chip has no such queue.
    pub fn rx_tail(&self, q: usize) -> Reg<B, RDT>
    where
        B: Clone,
    {
        self.regs().rdt(q).detach()
    }

    /// The doorbell of transmit queue `q`, with a bus of its own.
    ///
    /// # Panics
    ///
    /// If the chip has no such queue.
    pub fn tx_tail(&self, q: usize) -> Reg<B, TDT>
    where
        B: Clone,
    {
        self.regs().tdt(q).detach()
    }
}

fn switch(register: &'static str, queue: usize, what: &'static str) -> Wait {
    let index = u16::try_from(queue).unwrap_or(u16::MAX);
    Wait { register, index, what, step_us: 20, limit_us: SWITCH_US }
}
