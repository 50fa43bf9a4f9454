//! Energy efficient Ethernet: what is offered, and what the partner offers.
//!
//! This is the PHY's half. On I350, I210 and I211 the MAC offers by IPCNFG and idles by EEER; on I354 the PHY beside
//! it is told here.

use crate::words::{
    EeeAdvertisement, EeePartner, I82580EmiAddress, I82580EmiData, MarvellEeeControl, PcsStatus,
};
use crate::{Error, Family, Mdio, Model, Phy};

/// Speeds at which a link may idle at low power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Eee {
    /// 100BASE-TX.
    pub t_100: bool,
    /// 1000BASE-T.
    pub t_1000: bool,
}

impl Eee {
    /// At none.
    pub const NONE: Self = Self { t_100: false, t_1000: false };
    /// At both.
    pub const ALL: Self = Self { t_100: true, t_1000: true };
}

impl<M: Mdio> Phy<M> {
    /// Offers energy efficient Ethernet through clause 45 register 7.60. Autonegotiation must be restarted after it.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on 82575, 82576 and 82580 and on the PHYs that no source describes; [`Error::Mdio`].
    pub fn advertise_eee(&mut self, eee: Eee) -> Result<(), Error<M::Error>> {
        self.needs_eee()?;
        if matches!(self.model(), Model::M88E1512 | Model::M88E1543) && eee != Eee::NONE {
            // As the drivers do before they offer it on I354; they never clear the bit.
            self.modify(|control: MarvellEeeControl| control.with_master(true))?;
        }
        let now = self.read_mmd::<EeeAdvertisement>()?;
        self.write_mmd(now.with_t_100(eee.t_100).with_t_1000(eee.t_1000))
    }

    /// What is offered.
    ///
    /// # Errors
    ///
    /// As [`advertise_eee`](Self::advertise_eee).
    pub fn advertised_eee(&mut self) -> Result<Eee, Error<M::Error>> {
        self.needs_eee()?;
        let word = self.read_mmd::<EeeAdvertisement>()?;
        Ok(Eee { t_100: word.t_100(), t_1000: word.t_1000() })
    }

    /// What the partner offers: clause 45 register 7.61, which the I350 keeps at an address of its own.
    ///
    /// # Errors
    ///
    /// As [`advertise_eee`](Self::advertise_eee).
    pub fn partner_eee(&mut self) -> Result<Eee, Error<M::Error>> {
        self.needs_eee()?;
        let word = if self.family() == Family::I82580 {
            self.write(I82580EmiAddress::new().with_address(I82580EmiAddress::ADDRESS_PARTNER_EEE))?;
            EeePartner::from(self.read::<I82580EmiData>()?.data())
        } else {
            self.read_mmd::<EeePartner>()?
        };
        Ok(Eee { t_100: word.t_100(), t_1000: word.t_1000() })
    }

    /// Whether we and the partner idled at low power since this was last asked.
    ///
    /// # Errors
    ///
    /// As [`advertise_eee`](Self::advertise_eee).
    pub fn idled(&mut self) -> Result<(bool, bool), Error<M::Error>> {
        self.needs_eee()?;
        let status = self.read_mmd::<PcsStatus>()?;
        Ok((status.tx_low_power_idle(), status.rx_low_power_idle()))
    }

    fn needs_eee(&self) -> Result<(), Error<M::Error>> {
        match self.model() {
            Model::I350 | Model::I210 | Model::M88E1512 | Model::M88E1543 => Ok(()),
            _ => Err(self.unsupported("energy efficient Ethernet")),
        }
    }
}
