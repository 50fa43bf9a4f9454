//! The PHY as an object: who it is, and typed access to its registers through whatever paging it has.

use crate::words::{BasicControl, BasicStatus, IgpPageSelect, MarvellPage, MmdControl, MmdData};
use crate::{Error, Family, Mdio, MmdWord, Model, PhyId, Word};
use embedded_hal::delay::DelayNs;

/// IEEE 802.3 22.2.4.1.1: a reset is done within half a second.
const RESET_LIMIT_MS: u32 = 500;
/// Some PHYs beside I354 answer wrongly to the first reads after power up.
const IDENTIFY_TRIES: u32 = 3;

/// One PHY behind its management interface.
///
/// It holds no state but what it is: every question is answered by the PHY.
#[derive(Debug)]
pub struct Phy<M> {
    mdio: M,
    id: PhyId,
    family: Family,
}

impl<M: Mdio> Phy<M> {
    /// Reads the identifier and accepts the PHYs that this crate has a description of.
    ///
    /// # Errors
    ///
    /// [`Error::NoPhy`] when nobody answers, [`Error::UnknownPhy`] for another PHY ([`generic`](Self::generic) takes
    /// it nevertheless), [`Error::Mdio`] when the bus fails.
    pub fn identify(mdio: M) -> Result<Self, Error<M::Error>> {
        let phy = Self::generic(mdio)?;
        match phy.model() {
            Model::Other(_) => Err(Error::UnknownPhy(phy.id)),
            model => Ok(Self { family: model.family(), ..phy }),
        }
    }

    /// Takes any PHY that answers, and of the PHYs that this crate does not know uses clause 22 alone.
    ///
    /// # Errors
    ///
    /// [`Error::NoPhy`] when nobody answers, [`Error::Mdio`] when the bus fails.
    pub fn generic(mut mdio: M) -> Result<Self, Error<M::Error>> {
        let mut id = PhyId(0);
        for _ in 0..IDENTIFY_TRIES {
            id = PhyId::new(mdio.read(2)?, mdio.read(3)?);
            if !id.is_nobody() && !matches!(id.model(), Model::Other(_)) {
                break;
            }
        }
        if id.is_nobody() {
            return Err(Error::NoPhy(id));
        }
        Ok(Self { mdio, id, family: id.model().family() })
    }

    /// The PHY that was identified before, over a new borrow of its bus. Nothing is read.
    pub fn resume(mdio: M, id: PhyId) -> Self {
        Self { mdio, id, family: id.model().family() }
    }

    /// Its identifier.
    pub const fn id(&self) -> PhyId {
        self.id
    }

    /// Which PHY it is.
    pub fn model(&self) -> Model {
        self.id.model()
    }

    /// How its own registers are laid out.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The bus, for what this crate does not do. Leave the page as you found it.
    pub const fn mdio(&mut self) -> &mut M {
        &mut self.mdio
    }

    /// Gives the bus back.
    pub fn into_mdio(self) -> M {
        self.mdio
    }

    /// Reads a register, selecting its page where it has one.
    ///
    /// # Errors
    ///
    /// [`Error::Mdio`] when the bus fails, [`Error::Unsupported`] when the word is on a page and this PHY has none.
    pub fn read<W: Word>(&mut self) -> Result<W, Error<M::Error>> {
        self.on_page(W::PAGE, W::REGISTER, |mdio| mdio.read(W::REGISTER)).map(W::from)
    }

    /// Writes a register, selecting its page where it has one.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn write<W: Word>(&mut self, word: W) -> Result<(), Error<M::Error>> {
        self.on_page(W::PAGE, W::REGISTER, |mdio| mdio.write(W::REGISTER, word.into()))
    }

    /// Reads, changes and writes back a register.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn modify<W: Word>(&mut self, change: impl FnOnce(W) -> W) -> Result<(), Error<M::Error>> {
        let word = self.read::<W>()?;
        self.write(change(word))
    }

    /// Reads a clause 45 register through registers 13 and 14 (IEEE 802.3 annex 22D).
    ///
    /// # Errors
    ///
    /// [`Error::Mdio`] when the bus fails. On 82575 and 82576 the PHY has no clause 45 registers.
    pub fn read_mmd<W: MmdWord>(&mut self) -> Result<W, Error<M::Error>> {
        self.select_mmd(W::DEVICE, W::REGISTER)?;
        let value = self.read::<MmdData>()?.value();
        self.write(MmdControl::new())?;
        Ok(W::from(value))
    }

    /// Writes a clause 45 register through registers 13 and 14 (IEEE 802.3 annex 22D).
    ///
    /// # Errors
    ///
    /// As [`read_mmd`](Self::read_mmd).
    pub fn write_mmd<W: MmdWord>(&mut self, word: W) -> Result<(), Error<M::Error>> {
        self.select_mmd(W::DEVICE, W::REGISTER)?;
        self.write(MmdData::new().with_value(word.into()))?;
        self.write(MmdControl::new())
    }

    /// Resets the PHY by its control register and waits until it is done, half a second at most.
    ///
    /// # Errors
    ///
    /// [`Error::ResetTimeout`], [`Error::Gone`], [`Error::Mdio`].
    pub fn reset(&mut self, delay: &mut impl DelayNs) -> Result<(), Error<M::Error>> {
        let control = self.control()?;
        self.write(control.with_reset(true))?;
        let mut last = control;
        for _ in 0..RESET_LIMIT_MS {
            delay.delay_ms(1);
            last = self.read::<BasicControl>()?;
            // A PHY in reset may leave the bus alone: all ones is not the end yet.
            if u16::from(last) != u16::MAX && !last.reset() {
                return Ok(());
            }
        }
        if u16::from(last) == u16::MAX {
            return Err(Error::Gone { register: BasicControl::ADDRESS });
        }
        Err(Error::ResetTimeout { limit_ms: RESET_LIMIT_MS, control: last.into() })
    }

    /// Takes the PHY out of power down.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Mdio`].
    pub fn power_up(&mut self) -> Result<(), Error<M::Error>> {
        let control = self.control()?;
        self.write(control.with_power_down(false))
    }

    /// Powers the PHY down: the link goes, the management interface stays.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Mdio`].
    pub fn power_down(&mut self) -> Result<(), Error<M::Error>> {
        let control = self.control()?;
        self.write(control.with_power_down(true))
    }

    /// The control register; all ones, which has reserved bits set, means gone.
    pub(crate) fn control(&mut self) -> Result<BasicControl, Error<M::Error>> {
        let control = self.read::<BasicControl>()?;
        if u16::from(control) == u16::MAX {
            return Err(Error::Gone { register: BasicControl::ADDRESS });
        }
        Ok(control)
    }

    /// The status register; all ones, which says that jabber and every speed ever made are there, means gone.
    pub(crate) fn status(&mut self) -> Result<BasicStatus, Error<M::Error>> {
        let status = self.read::<BasicStatus>()?;
        if u16::from(status) == u16::MAX {
            return Err(Error::Gone { register: BasicStatus::ADDRESS });
        }
        Ok(status)
    }

    pub(crate) const fn unsupported(&self, what: &'static str) -> Error<M::Error> {
        Error::Unsupported { id: self.id, what }
    }

    fn select_mmd(&mut self, device: u8, register: u16) -> Result<(), Error<M::Error>> {
        let control = MmdControl::new().with_device(device & 31);
        self.write(control.with_function(MmdControl::FUNCTION_ADDRESS))?;
        self.write(MmdData::new().with_value(register))?;
        self.write(control.with_function(MmdControl::FUNCTION_DATA))
    }

    /// Runs one access with the page selected, and goes back to the first page also when the access failed.
    fn on_page<T>(
        &mut self,
        page: Option<u16>,
        register: u8,
        access: impl FnOnce(&mut M) -> Result<T, M::Error>,
    ) -> Result<T, Error<M::Error>> {
        let (select, value, back) = match (self.family, page) {
            // The drivers select before each access above 15: firmware may have left another page.
            (Family::Igp, page) if register > 15 && register != IgpPageSelect::ADDRESS => {
                let select = |page| {
                    u16::from(IgpPageSelect::new().with_page(page & 0x7FF).with_register(register & 31))
                };
                (IgpPageSelect::ADDRESS, select(page.unwrap_or(0)), page.map(|_| select(0)))
            }
            (Family::Marvell2, Some(page)) => (MarvellPage::ADDRESS, page, Some(0)),
            (_, None) => return Ok(access(&mut self.mdio)?),
            (_, Some(_)) => return Err(self.unsupported("such page")),
        };
        self.mdio.write(select, value)?;
        let result = access(&mut self.mdio);
        if let Some(back) = back {
            self.mdio.write(select, back)?;
        }
        Ok(result?)
    }
}
