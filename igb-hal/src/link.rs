//! The link: offered or forced, and what came of it.

use crate::{Error, Mac};
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use embedded_hal::delay::DelayNs;
use igb_phy::{Advertise, Duplex, Mdix, Pause, Setup, Speed};
use igb_regs::{Bus, CTRL, Chip, MANC, Media, PHPM, STATUS};

/// Which way pause frames go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FlowControl {
    /// None are sent or heard.
    None,
    /// We stop when the partner says so.
    Rx,
    /// We tell the partner to stop.
    Tx,
    /// Both.
    #[default]
    Full,
}

impl FlowControl {
    /// Whether we stop when the partner says so.
    pub const fn rx(self) -> bool {
        matches!(self, Self::Rx | Self::Full)
    }

    /// Whether we tell the partner to stop.
    pub const fn tx(self) -> bool {
        matches!(self, Self::Tx | Self::Full)
    }

    pub(crate) const fn bits(self) -> u8 {
        self.rx() as u8 | (self.tx() as u8) << 1
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Rx,
            2 => Self::Tx,
            _ => Self::Full,
        }
    }
}

impl From<FlowControl> for Pause {
    fn from(flow: FlowControl) -> Self {
        Self { rx: flow.rx(), tx: flow.tx() }
    }
}

impl From<Pause> for FlowControl {
    fn from(pause: Pause) -> Self {
        Self::from_bits(u8::from(pause.rx) | u8::from(pause.tx) << 1)
    }
}

impl fmt::Display for FlowControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Rx => "rx",
            Self::Tx => "tx",
            Self::Full => "rx tx",
        })
    }
}

/// How the link comes up. The default offers all that the port can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkConfig {
    /// Speed and duplex are negotiated, unless [`force`](Self::force) says otherwise.
    pub autoneg: bool,
    /// What is offered. Its pause bits are set from [`flow_control`](Self::flow_control).
    pub advertise: Advertise,
    /// A speed below 1000 Mb/s without autonegotiation. The partner must be told the same.
    pub force: Option<(Speed, Duplex)>,
    /// Which way pause frames may go.
    pub flow_control: FlowControl,
    /// Which pairs transmit.
    pub mdix: Mdix,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            autoneg: true,
            advertise: Advertise::ALL,
            force: None,
            flow_control: FlowControl::Full,
            mdix: Mdix::Auto,
        }
    }
}

/// The link, as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Frames can pass.
    pub up: bool,
    /// Speed; means nothing while the link is down.
    pub speed: Speed,
    /// Duplex; means nothing while the link is down.
    pub duplex: Duplex,
    /// Which way pause frames go.
    pub flow: FlowControl,
}

impl Link {
    /// A link that is down.
    pub const DOWN: Self =
        Self { up: false, speed: Speed::M10, duplex: Duplex::Half, flow: FlowControl::None };
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.up {
            return f.write_str("down");
        }
        write!(f, "{} {} duplex, flow control {}", self.speed, self.duplex, self.flow)
    }
}

impl<B: Bus> Mac<B> {
    /// Starts the link: the PHY is found (once), set up and told what to offer, the MAC follows it. Does not wait for
    /// the link; a change of it is an interrupt.
    ///
    /// Where the firmware forbids changes to the PHY (MANC.BLK_PHY_RST) only the MAC is told.
    ///
    /// # Errors
    ///
    /// [`Error::Phy`], [`Error::Semaphore`], [`Error::UnsupportedMedia`], [`Error::DeviceGone`].
    pub fn setup_link(&self, config: &LinkConfig, delay: &mut impl DelayNs) -> Result<(), Error> {
        self.check()?;
        self.or_gone(self.start_link(config, delay))
    }

    fn start_link(&self, config: &LinkConfig, delay: &mut impl DelayNs) -> Result<(), Error> {
        self.flow_wish.store(config.flow_control.bits(), Relaxed);
        self.set_flow_thresholds(config.flow_control);
        let media = self.media();
        match media {
            Media::Copper => self.setup_copper(config, delay),
            Media::Sgmii if self.has_external_mdio() => {
                self.setup_pcs(media, config.flow_control, delay)?;
                self.setup_copper(config, delay)
            }
            Media::Sgmii => Err(Error::UnsupportedMedia { media, why: "its PHY is a module's, on I2C" }),
            _ => self.setup_pcs(media, config.flow_control, delay),
        }
    }

    /// The link, now. When it is up, flow control is set in the MAC as it was negotiated.
    ///
    /// # Errors
    ///
    /// [`Error::Phy`], [`Error::Semaphore`], [`Error::DeviceGone`].
    pub fn link(&self, delay: &mut impl DelayNs) -> Result<Link, Error> {
        self.or_gone(self.read_link(delay))
    }

    fn read_link(&self, delay: &mut impl DelayNs) -> Result<Link, Error> {
        let status = self.regs().status().snapshot();
        if status.get() == u32::MAX {
            return Err(Error::DeviceGone);
        }
        let wish = FlowControl::from_bits(self.flow_wish.load(Relaxed));
        match self.media() {
            Media::Copper | Media::Sgmii => {}
            _ => return self.pcs_link(wish),
        }
        if !status.is_set(STATUS::LU) {
            return Ok(Link::DOWN);
        }
        let resolved = self.with_phy(delay, |phy, _| {
            if !phy.link()?.up {
                return Ok(None);
            }
            Ok(Some(phy.resolved()?))
        })?;
        let Some(resolved) = resolved else { return Ok(Link::DOWN) };
        // The MAC knows best: it moves the frames. Its field has a second code for 1000 Mb/s.
        let status = self.regs().status().snapshot();
        let speed = match status.read(STATUS::SPEED) {
            0 => Speed::M10,
            1 => Speed::M100,
            _ => Speed::M1000,
        };
        let duplex = if status.is_set(STATUS::FD) { Duplex::Full } else { Duplex::Half };
        let flow = match (duplex, resolved) {
            (Duplex::Half, _) | (_, None) => FlowControl::None,
            (Duplex::Full, Some(resolved)) if resolved.partner_negotiates => {
                FlowControl::from(resolved.pause & wish.into())
            }
            // Nothing was negotiated, so what was asked for is forced.
            (Duplex::Full, Some(_)) => wish,
        };
        self.apply_flow(flow);
        self.check()?;
        Ok(Link { up: true, speed, duplex, flow })
    }

    /// Flow control in the MAC: CTRL.RFCE and CTRL.TFCE.
    pub(crate) fn apply_flow(&self, flow: FlowControl) {
        let ctrl = self.regs().ctrl();
        let now = ctrl.snapshot();
        if now.is_set(CTRL::RFCE) != flow.rx() || now.is_set(CTRL::TFCE) != flow.tx() {
            ctrl.modify(CTRL::RFCE.val(flow.rx().into()) + CTRL::TFCE.val(flow.tx().into()));
        }
    }

    /// The steps of the drivers' `setup_copper_link`.
    fn setup_copper(&self, config: &LinkConfig, delay: &mut impl DelayNs) -> Result<(), Error> {
        let regs = self.regs();
        let mac = match config.force {
            None => CTRL::FRCSPD.val(0) + CTRL::FRCDPX.val(0),
            Some((speed, duplex)) => {
                let speed = match speed {
                    Speed::M10 => CTRL::SPEED_10,
                    Speed::M100 => CTRL::SPEED_100,
                    Speed::M1000 => CTRL::SPEED_1000,
                };
                speed
                    + CTRL::FD.val((duplex == Duplex::Full).into())
                    + CTRL::FRCSPD.val(1)
                    + CTRL::FRCDPX.val(1)
            }
        };
        regs.ctrl().modify(CTRL::SLU.val(1) + mac);
        if self.chip() != Chip::I354
            && let Some(phpm) = regs.phpm()
            && phpm.is_set(PHPM::GO_LINK_DISCONNECT)
        {
            // Firmware or the NVM may have left the PHY off the cable.
            phpm.modify(PHPM::GO_LINK_DISCONNECT.val(0));
        }
        if regs.manc().is_set(MANC::BLK_PHY_RST) {
            return self.check();
        }
        let offer = config.advertise.with_pause(config.flow_control.into());
        self.with_phy(delay, |phy, delay| {
            // The PHY keeps its settings over a reset of the MAC; writing them again costs little and repairs what
            // somebody else may have changed.
            phy.configure(&Setup { mdix: config.mdix, ..Setup::default() }, delay)?;
            match config.force {
                Some((speed, duplex)) => phy.force(speed, duplex, delay)?,
                None if config.autoneg => phy.start_autoneg(&offer)?,
                None => {}
            }
            Ok(())
        })?;
        self.check()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn words_for_people() {
        let link = Link { up: true, speed: Speed::M1000, duplex: Duplex::Full, flow: FlowControl::Full };
        assert_eq!(link.to_string(), "1000 Mb/s full duplex, flow control rx tx");
        assert_eq!(Link::DOWN.to_string(), "down");
        for flow in [FlowControl::None, FlowControl::Rx, FlowControl::Tx, FlowControl::Full] {
            assert_eq!(FlowControl::from(Pause::from(flow)), flow);
            assert_eq!(FlowControl::from_bits(flow.bits()), flow);
        }
    }
}
