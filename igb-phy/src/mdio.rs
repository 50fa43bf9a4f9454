//! The way to one PHY's registers, and what a register word is.

use crate::words;

/// The management interface of one PHY.
///
/// Which PHY that is on a bus of several, and how the bits travel (MDIC and MDICNFG, I2CCMD of an SGMII module, two
/// pins), is the implementor's business. So is waiting: a call returns within a bounded time.
///
/// A PHY that does not answer leaves the bus at all ones. An implementor that can tell (MDIC has an error bit) gives
/// an error; one that cannot gives `0xFFFF`, and this crate tells by registers that cannot read so.
///
/// ```
/// use igb_phy::Mdio;
///
/// /// Thirty-two words that keep what is written.
/// struct Words([u16; 32]);
///
/// impl Mdio for Words {
///     type Error = core::convert::Infallible;
///     fn read(&mut self, register: u8) -> Result<u16, Self::Error> {
///         Ok(self.0[usize::from(register & 31)])
///     }
///     fn write(&mut self, register: u8, value: u16) -> Result<(), Self::Error> {
///         self.0[usize::from(register & 31)] = value;
///         Ok(())
///     }
/// }
/// ```
pub trait Mdio {
    /// Why an access failed.
    type Error;
    /// Reads register 0 to 31.
    fn read(&mut self, register: u8) -> Result<u16, Self::Error>;
    /// Writes register 0 to 31.
    fn write(&mut self, register: u8, value: u16) -> Result<(), Self::Error>;
}

impl<M: Mdio + ?Sized> Mdio for &mut M {
    type Error = M::Error;
    fn read(&mut self, register: u8) -> Result<u16, Self::Error> {
        (**self).read(register)
    }
    fn write(&mut self, register: u8, value: u16) -> Result<(), Self::Error> {
        (**self).write(register, value)
    }
}

/// The value of one register, with its place.
pub trait Word: Copy + From<u16> + Into<u16> {
    /// Register number, 0 to 31.
    const REGISTER: u8;
    /// The page that it is on; `None` for the page that is selected after a reset.
    const PAGE: Option<u16>;
}

/// The value of one clause 45 register, with its place.
pub trait MmdWord: Copy + From<u16> + Into<u16> {
    /// The MMD: 3 is the PCS, 7 autonegotiation.
    const DEVICE: u8;
    /// Register number within the MMD.
    const REGISTER: u16;
}

macro_rules! words {
    ($($name:ident),* $(,)?) => {$(
        impl Word for words::$name {
            const REGISTER: u8 = words::$name::ADDRESS;
            const PAGE: Option<u16> = None;
        }
    )*};
}
words! {
    BasicControl, BasicStatus, Identifier1, Identifier2, Advertisement, PartnerAbility, Expansion, NextPage,
    PartnerNextPage, GigabitControl, GigabitStatus, MmdControl, MmdData, ExtendedStatus,
    MarvellControl, MarvellControl2, MarvellStatus, MarvellExtendedControl, MarvellReceiveErrors, MarvellPage,
    MarvellGeneralPage, MarvellGeneralControl,
    IgpPortConfig, IgpPortStatus, IgpPortControl, IgpLinkHealth, IgpPowerManagement, IgpSmartSpeedTries, IgpPageSelect,
    I82580EmiAddress, I82580EmiData, I82580Control2, I82580Config, I82580Status2, I82580Diagnostics,
}

macro_rules! paged_words {
    ($($name:ident),* $(,)?) => {$(
        impl Word for words::$name {
            const REGISTER: u8 = words::$name::ADDRESS;
            const PAGE: Option<u16> = Some(words::$name::PAGE);
        }
    )*};
}
paged_words! {
    MarvellDspDistance, MarvellCableLength0, MarvellCableLength1, MarvellCableLength2, MarvellCableLength3,
    MarvellDiagnosticsControl, MarvellMacControl, MarvellEeeControl,
    IgpAgcA, IgpAgcB, IgpAgcC, IgpAgcD,
}

macro_rules! mmd_words {
    ($($name:ident),* $(,)?) => {$(
        impl MmdWord for words::$name {
            const DEVICE: u8 = words::$name::DEVICE;
            const REGISTER: u16 = words::$name::ADDRESS;
        }
    )*};
}
mmd_words! { PcsStatus, EeeAdvertisement, EeePartner }
