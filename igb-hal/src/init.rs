//! What a MAC needs between its reset and its first queue.

use crate::{Error, FlowControl, Mac, MacAddress, Statistics};
use core::sync::atomic::Ordering::Relaxed;
use embedded_hal::delay::DelayNs;
use igb_regs::{Bus, CTRL_EXT, Chip, FCRTL, PCIEMISC, RCTL, RFCTL, RXCSUM, RXPBS, TCTL};

/// The longest frame in bytes without FCS: the receive unit takes 9728 with it.
pub const MAX_FRAME: u16 = 9728 - FCS;
/// The shortest limit on frames that makes sense: the shortest frame without FCS.
pub const MIN_FRAME: u16 = 60;
const FCS: u16 = 4;

/// How a MAC is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MacConfig {
    /// The station address.
    pub address: MacAddress,
    /// The longest frame, in bytes from the destination address to the last payload byte. A VLAN tag counts, the FCS
    /// does not.
    pub max_frame: u16,
    /// Which way pause frames may go: thresholds of the packet buffer follow from it.
    pub flow_control: FlowControl,
}

impl MacConfig {
    /// Frames of up to 1514 bytes and a VLAN tag, flow control both ways.
    pub const fn new(address: MacAddress) -> Self {
        Self { address, max_frame: 1518, flow_control: FlowControl::Full }
    }
}

impl<B: Bus> Mac<B> {
    /// Initialises the MAC after [`reset`](Self::reset): filters empty but for the station address and broadcast,
    /// packet buffers and pause thresholds, receive and transmit unit ready but off, one queue, statistics at 0.
    ///
    /// The order is the drivers' (`init_hw`, then the parts of `igb_up` that are no queue's).
    ///
    /// # Errors
    ///
    /// [`Error::BadAddress`], [`Error::FrameLength`], [`Error::DeviceGone`].
    pub fn init(&self, config: &MacConfig, _delay: &mut impl DelayNs) -> Result<(), Error> {
        check_frame(config.max_frame)?;
        config.address.checked()?;
        self.check()?;
        let regs = self.regs();
        regs.ctrl_ext().modify(CTRL_EXT::DRV_LOAD.val(1));
        self.clear_filters();
        self.set_address(config.address)?;
        self.set_packet_buffers();
        self.flow_wish.store(config.flow_control.bits(), Relaxed);
        regs.fct().set(0x8808);
        regs.fcah().set(0x0100);
        regs.fcal().set(0x00C2_8001);
        regs.fcttv().set(0xFFFF);
        self.set_max_frame(config.max_frame)?;
        regs.vet().set(0x8100);
        regs.wuc().set(0);
        // Transmit unit: short frames padded, 15 collisions, retransmit on late collision, the slot of half duplex.
        let tctl = regs.tctl().get() & !TCTL::EN.val(1).value;
        let set = TCTL::PSP.val(1) + TCTL::RTLC.val(1) + TCTL::CT.val(15) + TCTL::COLD.val(63);
        regs.tctl().set(set.modify(tctl));
        // Receive unit: FCS stripped, long frames as RLPML says, broadcast; buffer sizes are the queues'.
        regs.rctl().write(RCTL::SECRC.val(1) + RCTL::LPE.val(1) + RCTL::BAM.val(1));
        // IPv6 extension headers are misparsed on every chip (drivers: always off).
        regs.rfctl().modify(RFCTL::IPV6_EX_DIS.val(1));
        // The hash takes the place of the fragment checksum in the descriptor.
        let mut checksums = RXCSUM::PCSD.val(1) + RXCSUM::IPOFL.val(1) + RXCSUM::TUOFL.val(1);
        if self.chip() >= Chip::I82576 {
            checksums += RXCSUM::CRCOFL.val(1);
        }
        regs.rxcsum().modify(checksums);
        regs.mrqc().set(0);
        if self.chip() >= Chip::I210
            && let Some(pciemisc) = regs.pciemisc()
        {
            pciemisc.modify(PCIEMISC::LX_DECISION.val(1));
        }
        self.update_statistics(&mut Statistics::default());
        self.check()
    }

    /// The longest frame that is received, in bytes without FCS; longer ones are dropped and counted. Pause thresholds
    /// follow from it.
    ///
    /// # Errors
    ///
    /// [`Error::FrameLength`].
    pub fn set_max_frame(&self, bytes: u16) -> Result<(), Error> {
        check_frame(bytes)?;
        self.regs().rlpml().set(u32::from(bytes + FCS));
        if !self.regs().rctl().is_set(RCTL::LPE) {
            self.regs().rctl().modify(RCTL::LPE.val(1));
        }
        self.set_flow_thresholds(FlowControl::from_bits(self.flow_wish.load(Relaxed)));
        Ok(())
    }

    /// Where pause frames start and end: a frame of ours and the longest of the partner's must still fit (as
    /// the drivers reckon). No thresholds, no pause frames.
    pub(crate) fn set_flow_thresholds(&self, flow: FlowControl) {
        let regs = self.regs();
        let longest = regs.rlpml().get() & 0x3FFF;
        let high = (self.rx_buffer_kb() * 1024).saturating_sub(longest + 9728) & !0xF;
        if !flow.tx() || high < 32 {
            regs.fcrtl().set(0);
            regs.fcrth().set(0);
            return;
        }
        regs.fcrtl().set((high - 16) | FCRTL::XONE.val(1).value);
        regs.fcrth().set(high);
    }

    /// The packet buffer's receive part. 82580, I350 and I354 keep an index.
    fn rx_buffer_kb(&self) -> u32 {
        const BY_INDEX: [u32; 11] = [36, 72, 144, 1, 2, 4, 8, 16, 35, 70, 140];
        let Some(rxpbs) = self.regs().rxpbs() else {
            return self.regs().pba().map_or(0, |pba| pba.get() & 0xFFFF);
        };
        match self.chip() {
            Chip::I82576 => rxpbs.read(RXPBS::PBSIZE),
            Chip::I210 | Chip::I211 => rxpbs.read(RXPBS::RXPBSIZE),
            _ => BY_INDEX.get(rxpbs.read(RXPBS::INDEX) as usize).copied().unwrap_or(0),
        }
    }

    /// 82575: 34 KB for receive. I210, I211: the sizes that the drivers write (34 KB receive, 20 KB transmit). The
    /// others keep what the reset gives.
    fn set_packet_buffers(&self) {
        let regs = self.regs();
        match self.chip() {
            Chip::I82575 => {
                if let Some(pba) = regs.pba() {
                    pba.set(34);
                }
            }
            Chip::I210 | Chip::I211 => {
                if let (Some(rxpbs), Some(txpbs)) = (regs.rxpbs(), regs.txpbs()) {
                    rxpbs.set(0xA2);
                    txpbs.set(0x0400_0014);
                }
            }
            _ => {}
        }
    }
}

const fn check_frame(bytes: u16) -> Result<(), Error> {
    if bytes < MIN_FRAME || bytes > MAX_FRAME { Err(Error::FrameLength { bytes }) } else { Ok(()) }
}
