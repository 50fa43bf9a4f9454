//! Ports without a copper PHY inside: SerDes, backplane, and the SGMII side of an external PHY.

use crate::{Error, FlowControl, Link, Mac};
use embedded_hal::delay::DelayNs;
use igb_phy::{Duplex, Pause, PauseAbility, Speed};
use igb_regs::{Bus, CTRL, CTRL_EXT, Chip, Media, PCS_ANADV, PCS_CFG0, PCS_LCTL, PCS_LPAB, PCS_LSTAT};

/// NVM word 3, bit 14, on 82575 and 82576: the port does not negotiate.
const COMPATIBILITY: u16 = 0x03;
const NO_AUTONEG: u16 = 0x4000;

impl<B: Bus> Mac<B> {
    /// Sets up the PCS: the steps of the drivers' `setup_serdes_link`.
    pub(crate) fn setup_pcs(
        &self,
        media: Media,
        flow: FlowControl,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error> {
        let regs = self.regs();
        let (Some(lctl), Some(anadv), Some(cfg)) = (regs.pcs_lctl(), regs.pcs_anadv(), regs.pcs_cfg0())
        else {
            return Err(Error::UnsupportedMedia { media, why: "the chip has no PCS" });
        };
        let sgmii = media == Media::Sgmii;
        // Power: the PCS, and the module's laser.
        cfg.modify(PCS_CFG0::PCS_EN.val(1));
        regs.ctrl_ext().modify(CTRL_EXT::SDP3_DATA.val(0));
        self.flush();
        delay.delay_ms(1);
        // A loopback of the 82575 outlives a reset.
        if let Some(sctl) = regs.sctl() {
            sctl.set(0x400);
        }
        let early = self.chip() < Chip::I82580;
        let autoneg = match media {
            Media::Sgmii => true,
            Media::Backplane => false,
            _ if early && self.nvm().is_present() => self.nvm().read(COMPATIBILITY, delay)? & NO_AUTONEG == 0,
            _ => true,
        };
        let mut ctrl = CTRL::SLU.val(1);
        if early {
            ctrl += CTRL::SDP0_DATA.val(1) + CTRL::SDP1_DATA.val(1);
        }
        let mut control = PCS_LCTL::AN_ENABLE.val(0)
            + PCS_LCTL::FLV.val(0)
            + PCS_LCTL::FSD.val(0)
            + PCS_LCTL::FORCE_LINK.val(0);
        if sgmii {
            control += PCS_LCTL::AN_TIMEOUT.val(0);
        } else {
            ctrl += CTRL::SPEED_1000 + CTRL::FRCSPD.val(1) + CTRL::FD.val(1) + CTRL::FRCDPX.val(1);
            control += PCS_LCTL::FSV_1000 + PCS_LCTL::FDV.val(1);
        }
        regs.ctrl().modify(ctrl);
        if autoneg {
            control +=
                PCS_LCTL::AN_ENABLE.val(1) + PCS_LCTL::AN_RESTART.val(1) + PCS_LCTL::FORCE_FCTRL.val(0);
            let offer = PauseAbility::offer(flow.into());
            anadv.modify(
                PCS_ANADV::PAUSE.val(offer.symmetric.into())
                    + PCS_ANADV::ASM_DIR.val(offer.asymmetric.into()),
            );
        } else {
            control += PCS_LCTL::FSD.val(1) + PCS_LCTL::FORCE_FCTRL.val(1);
        }
        lctl.modify(control);
        if !autoneg {
            self.apply_flow(flow);
        }
        self.check()
    }

    /// The link of a port without a PHY.
    pub(crate) fn pcs_link(&self, wish: FlowControl) -> Result<Link, Error> {
        let regs = self.regs();
        let (Some(lstat), Some(lctl), Some(anadv), Some(lpab)) =
            (regs.pcs_lstat(), regs.pcs_lctl(), regs.pcs_anadv(), regs.pcs_lpab())
        else {
            return Err(Error::UnsupportedMedia { media: self.media(), why: "the chip has no PCS" });
        };
        let status = lstat.snapshot();
        self.check()?;
        if !(status.is_set(PCS_LSTAT::LINK_OK) && status.is_set(PCS_LSTAT::SYNC_OK)) {
            return Ok(Link::DOWN);
        }
        let speed = match status.read(PCS_LSTAT::SPEED) {
            0 => Speed::M10,
            1 => Speed::M100,
            _ => Speed::M1000,
        };
        let duplex = if status.is_set(PCS_LSTAT::FD) { Duplex::Full } else { Duplex::Half };
        let flow = if duplex == Duplex::Half {
            FlowControl::None
        } else if lctl.is_set(PCS_LCTL::AN_ENABLE) {
            if !status.is_set(PCS_LSTAT::AN_COMPLETE) {
                FlowControl::None
            } else {
                let (ours, theirs) = (anadv.snapshot(), lpab.snapshot());
                let ours = PauseAbility {
                    symmetric: ours.is_set(PCS_ANADV::PAUSE),
                    asymmetric: ours.is_set(PCS_ANADV::ASM_DIR),
                };
                let theirs = PauseAbility {
                    symmetric: theirs.is_set(PCS_LPAB::PAUSE),
                    asymmetric: theirs.is_set(PCS_LPAB::ASM_DIR),
                };
                FlowControl::from(Pause::resolve(ours, theirs) & wish.into())
            }
        } else {
            wish
        };
        self.apply_flow(flow);
        Ok(Link { up: true, speed, duplex, flow })
    }
}
