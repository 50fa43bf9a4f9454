//! What a PHY is told once, before any autonegotiation: crossover, polarity, downshift.

use crate::words::{
    I82580Config, I82580Control2, IgpPortConfig, IgpPortControl, IgpPowerManagement, MarvellControl,
    MarvellControl2, MarvellExtendedControl, MarvellGeneralControl, MarvellGeneralPage,
};
use crate::{Error, Family, Mdio, Model, Phy};
use embedded_hal::delay::DelayNs;

/// Which pairs transmit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mdix {
    /// Found out.
    #[default]
    Auto,
    /// Straight.
    Mdi,
    /// Crossed over.
    MdiX,
}

/// How a PHY is set up. The default is what drivers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Setup {
    /// Which pairs transmit.
    pub mdix: Mdix,
    /// Swapped wires of a pair are corrected.
    pub polarity_correction: bool,
    /// A lower speed is taken when the cable does not carry gigabit.
    pub downshift: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { mdix: Mdix::Auto, polarity_correction: true, downshift: true }
    }
}

impl<M: Mdio> Phy<M> {
    /// Sets the PHY up. Resets it where its settings take effect by a reset.
    ///
    /// Source: the copper setup functions of the drivers, one per family. A PHY of no known family is left as it is.
    ///
    /// # Errors
    ///
    /// As [`reset`](Self::reset).
    pub fn configure(&mut self, setup: &Setup, delay: &mut impl DelayNs) -> Result<(), Error<M::Error>> {
        match self.family() {
            Family::Marvell => self.configure_marvell(setup, delay),
            Family::Marvell2 => self.configure_marvell2(setup, delay),
            Family::Igp => self.configure_igp(setup),
            Family::I82580 => self.configure_82580(setup),
            Family::Generic => Ok(()),
        }
    }

    /// Sets the crossover. On a Marvell PHY it takes effect with the next [`reset`](Self::reset).
    ///
    /// # Errors
    ///
    /// [`Error::Mdio`]. A PHY of no known family is left as it is.
    pub fn set_mdix(&mut self, mdix: Mdix) -> Result<(), Error<M::Error>> {
        match self.family() {
            Family::Marvell => self.modify(|control: MarvellControl| control.with_crossover(crossover(mdix))),
            Family::Marvell2 => {
                self.modify(|control: MarvellControl2| control.with_crossover(crossover(mdix)))
            }
            Family::Igp => self.modify(|control: IgpPortControl| {
                control.with_auto_mdix(mdix == Mdix::Auto).with_force_mdix(mdix == Mdix::MdiX)
            }),
            Family::I82580 => self.modify(|control: I82580Control2| {
                control.with_auto_mdix(mdix == Mdix::Auto).with_manual_mdix(mdix == Mdix::MdiX)
            }),
            Family::Generic => Ok(()),
        }
    }

    /// Resets the signal processor of a first-generation Marvell PHY, which forced speed may need when the link does
    /// not come.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on any other PHY, [`Error::Mdio`].
    pub fn reset_dsp(&mut self) -> Result<(), Error<M::Error>> {
        if self.family() != Family::Marvell {
            return Err(self.unsupported("signal processor reset"));
        }
        self.write(MarvellGeneralPage::new().with_page(MarvellGeneralPage::PAGE_DSP))?;
        self.write(MarvellGeneralControl::new().with_value(MarvellGeneralControl::VALUE_RESET_DSP))?;
        self.write(MarvellGeneralControl::new())
    }

    /// Whether the lowest speed is negotiated first while the driver is active, to save power.
    ///
    /// On 82575 and 82576 this is the PHY's business. On the others it is the MAC's (PHPM).
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on any other PHY, [`Error::Mdio`].
    pub fn set_low_power_link(&mut self, on: bool) -> Result<(), Error<M::Error>> {
        if self.family() != Family::Igp {
            return Err(self.unsupported("low power link"));
        }
        self.modify(|power: IgpPowerManagement| power.with_d0_low_power_link(on))?;
        if on {
            // Both would fight over the speed.
            self.modify(|config: IgpPortConfig| config.with_smart_speed(false))?;
        }
        Ok(())
    }

    fn configure_marvell(&mut self, setup: &Setup, delay: &mut impl DelayNs) -> Result<(), Error<M::Error>> {
        self.modify(|control: MarvellControl| {
            control
                .with_carrier_on_transmit(true)
                .with_crossover(crossover(setup.mdix))
                .with_polarity_correction_off(!setup.polarity_correction)
        })?;
        if self.id().revision() < 4 {
            // The drivers force the clock towards the MAC to 25 MHz on revisions below 4, and one try before a downshift.
            self.modify(|control: MarvellExtendedControl| {
                control
                    .with_transmit_clock(
                        control.transmit_clock() | MarvellExtendedControl::TRANSMIT_CLOCK_MHZ_25,
                    )
                    .with_master_downshift(MarvellExtendedControl::MASTER_DOWNSHIFT_ONE)
                    .with_slave_downshift(MarvellExtendedControl::SLAVE_DOWNSHIFT_ONE)
            })?;
        }
        self.reset(delay)
    }

    fn configure_marvell2(&mut self, setup: &Setup, delay: &mut impl DelayNs) -> Result<(), Error<M::Error>> {
        let set = |control: MarvellControl2| {
            control
                .with_crossover(crossover(setup.mdix))
                .with_polarity_correction_off(!setup.polarity_correction)
                .with_downshift(false)
        };
        if self.model() == Model::M88E1543 {
            // On this one the drivers turn the downshift off and reset before they set the tries.
            self.modify(set)?;
            self.reset(delay)?;
        }
        self.modify(|control| {
            set(control)
                .with_downshift_tries(MarvellControl2::DOWNSHIFT_TRIES_SIX)
                .with_downshift(setup.downshift)
        })?;
        self.reset(delay)
    }

    fn configure_igp(&mut self, setup: &Setup) -> Result<(), Error<M::Error>> {
        self.modify(|power: IgpPowerManagement| power.with_d0_low_power_link(false))?;
        self.set_mdix(setup.mdix)?;
        self.modify(|config: IgpPortConfig| config.with_smart_speed(setup.downshift))
    }

    fn configure_82580(&mut self, setup: &Setup) -> Result<(), Error<M::Error>> {
        let downshift = if setup.downshift { I82580Config::DOWNSHIFT_ON } else { 0 };
        self.modify(|config: I82580Config| config.with_carrier_on_transmit(true).with_downshift(downshift))?;
        self.set_mdix(setup.mdix)
    }
}

const fn crossover(mdix: Mdix) -> u8 {
    match mdix {
        Mdix::Auto => MarvellControl::CROSSOVER_AUTO,
        Mdix::Mdi => MarvellControl::CROSSOVER_MDI,
        Mdix::MdiX => MarvellControl::CROSSOVER_MDIX,
    }
}
