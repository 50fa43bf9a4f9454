//! Speed, duplex, pause and role: offered, negotiated, forced, and what came out.

use crate::words::{
    Advertisement, BasicControl, BasicStatus, Expansion, GigabitControl, GigabitStatus, MarvellStatus,
    PartnerAbility,
};
use crate::{Error, Family, Mdio, Pause, PauseAbility, Phy};
use core::fmt;
use embedded_hal::delay::DelayNs;
use num_enum::{IntoPrimitive, TryFromPrimitive};

/// A speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoPrimitive, TryFromPrimitive)]
#[repr(u16)]
pub enum Speed {
    /// 10 Mb/s.
    M10 = 10,
    /// 100 Mb/s.
    M100 = 100,
    /// 1000 Mb/s.
    M1000 = 1000,
}

impl Speed {
    /// In Mb/s.
    pub const fn mbps(self) -> u32 {
        self as u32
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Mb/s", self.mbps())
    }
}

/// One direction at a time, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Duplex {
    /// One direction at a time, with collisions.
    Half,
    /// Both directions at once.
    Full,
}

impl fmt::Display for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Half => "half",
            Self::Full => "full",
        })
    }
}

/// Who gives the clock on 1000BASE-T.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MasterSlave {
    /// Negotiated.
    #[default]
    Auto,
    /// Insist on giving it.
    Master,
    /// Insist on taking it.
    Slave,
}

/// What to offer the partner.
///
/// 1000BASE-T half duplex is never offered: the MACs do not do it.
///
/// ```
/// use igb_phy::{Advertise, Pause, Speed};
/// let offer = Advertise::ALL.up_to(Speed::M100).with_pause(Pause::FULL);
/// assert!(offer.full_100 && !offer.full_1000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Advertise {
    /// 10BASE-T half duplex.
    pub half_10: bool,
    /// 10BASE-T full duplex.
    pub full_10: bool,
    /// 100BASE-TX half duplex.
    pub half_100: bool,
    /// 100BASE-TX full duplex.
    pub full_100: bool,
    /// 1000BASE-T full duplex.
    pub full_1000: bool,
    /// What to offer about pause frames.
    pub pause: PauseAbility,
    /// Who gives the clock at 1000 Mb/s.
    pub master_slave: MasterSlave,
}

impl Advertise {
    /// Every speed (what drivers call 0x2F), no pause.
    pub const ALL: Self = Self {
        half_10: true,
        full_10: true,
        half_100: true,
        full_100: true,
        full_1000: true,
        pause: PauseAbility::NONE,
        master_slave: MasterSlave::Auto,
    };

    /// One speed and duplex alone. 1000 Mb/s is full duplex whatever is asked for.
    pub const fn only(speed: Speed, duplex: Duplex) -> Self {
        let none = Self {
            half_10: false,
            full_10: false,
            half_100: false,
            full_100: false,
            full_1000: false,
            ..Self::ALL
        };
        match (speed, duplex) {
            (Speed::M10, Duplex::Half) => Self { half_10: true, ..none },
            (Speed::M10, Duplex::Full) => Self { full_10: true, ..none },
            (Speed::M100, Duplex::Half) => Self { half_100: true, ..none },
            (Speed::M100, Duplex::Full) => Self { full_100: true, ..none },
            (Speed::M1000, _) => Self { full_1000: true, ..none },
        }
    }

    /// The same without what is faster than `speed`.
    pub const fn up_to(self, speed: Speed) -> Self {
        let hundred = speed as u16 >= Speed::M100 as u16;
        Self {
            half_100: self.half_100 && hundred,
            full_100: self.full_100 && hundred,
            full_1000: self.full_1000 && speed as u16 >= Speed::M1000 as u16,
            ..self
        }
    }

    /// The same with the offer that lets `wanted` come out.
    pub const fn with_pause(self, wanted: Pause) -> Self {
        Self { pause: PauseAbility::offer(wanted), ..self }
    }

    /// Whether no speed is offered.
    pub const fn is_empty(self) -> bool {
        !(self.half_10 || self.full_10 || self.half_100 || self.full_100 || self.full_1000)
    }
}

/// What the status register says, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The link is up.
    pub up: bool,
    /// The link was lost since the status was last read. It may be up again.
    pub was_lost: bool,
    /// Autonegotiation is done.
    pub autoneg_complete: bool,
    /// The partner signals a fault.
    pub remote_fault: bool,
}

/// What came out of autonegotiation, or was forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// Speed.
    pub speed: Speed,
    /// Duplex.
    pub duplex: Duplex,
    /// What may be done about pause frames. Nothing at half duplex and where nothing was negotiated.
    pub pause: Pause,
    /// Whether we give the clock; only at 1000 Mb/s.
    pub master: Option<bool>,
    /// Whether the partner negotiated; one that did not runs at half duplex, or at what somebody told it.
    pub partner_negotiates: bool,
}

impl<M: Mdio> Phy<M> {
    /// Writes the offer and starts autonegotiation. Does not wait: see [`wait_autoneg`](Self::wait_autoneg).
    ///
    /// # Errors
    ///
    /// [`Error::NothingAdvertised`], [`Error::Gone`], [`Error::Mdio`].
    pub fn start_autoneg(&mut self, offer: &Advertise) -> Result<(), Error<M::Error>> {
        if offer.is_empty() {
            return Err(Error::NothingAdvertised);
        }
        let control = self.control()?;
        self.modify(|page: Advertisement| {
            page.with_selector(Advertisement::SELECTOR_IEEE_802_3)
                .with_half_10(offer.half_10)
                .with_full_10(offer.full_10)
                .with_half_100(offer.half_100)
                .with_full_100(offer.full_100)
                .with_t4(false)
                .with_pause(offer.pause.symmetric)
                .with_asymmetric_pause(offer.pause.asymmetric)
        })?;
        self.modify(|gigabit: GigabitControl| {
            gigabit
                .with_half_1000(false)
                .with_full_1000(offer.full_1000)
                .with_manual_master_slave(offer.master_slave != MasterSlave::Auto)
                .with_master(offer.master_slave == MasterSlave::Master)
        })?;
        self.write(
            control
                .with_autoneg(true)
                .with_restart_autoneg(true)
                .with_power_down(false)
                .with_isolate(false)
                .with_loopback(false)
                .with_reset(false),
        )
    }

    /// Waits until autonegotiation is done, looking every 10 ms. Drivers allow it 4.5 s.
    ///
    /// # Errors
    ///
    /// [`Error::AutonegTimeout`], [`Error::Gone`], [`Error::Mdio`].
    pub fn wait_autoneg(&mut self, limit_ms: u32, delay: &mut impl DelayNs) -> Result<(), Error<M::Error>> {
        let status = self.wait_status(limit_ms, delay, |status| status.autoneg_complete())?;
        status.map_err(|status| Error::AutonegTimeout { limit_ms, status: status.into() })
    }

    /// Waits until the link is up, looking every 10 ms.
    ///
    /// # Errors
    ///
    /// [`Error::LinkTimeout`], [`Error::Gone`], [`Error::Mdio`].
    pub fn wait_link(&mut self, limit_ms: u32, delay: &mut impl DelayNs) -> Result<(), Error<M::Error>> {
        let status = self.wait_status(limit_ms, delay, |status| status.link())?;
        status.map_err(|status| Error::LinkTimeout { limit_ms, status: status.into() })
    }

    /// The link, now. Reads the status twice: its link bit keeps a loss until it is read.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Mdio`].
    pub fn link(&mut self) -> Result<Link, Error<M::Error>> {
        let latched = self.status()?;
        let now = self.status()?;
        Ok(Link {
            up: now.link(),
            was_lost: !latched.link(),
            autoneg_complete: now.autoneg_complete(),
            remote_fault: latched.remote_fault() || now.remote_fault(),
        })
    }

    /// Speed, duplex, pause and role, where they are known.
    ///
    /// Marvell PHYs tell speed and duplex themselves, which is right also after a downshift. Of the others both ends'
    /// pages are resolved by the priority of IEEE 802.3 annex 28B.3. Without autonegotiation it is what was forced.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Mdio`].
    pub fn resolved(&mut self) -> Result<Option<Resolved>, Error<M::Error>> {
        let control = self.control()?;
        if !control.autoneg() {
            let speed = match (control.speed_1000(), control.speed_100()) {
                (false, false) => Speed::M10,
                (false, true) => Speed::M100,
                (true, false) => Speed::M1000,
                (true, true) => return Ok(None),
            };
            let duplex = if control.full_duplex() { Duplex::Full } else { Duplex::Half };
            return Ok(Some(Resolved {
                speed,
                duplex,
                pause: Pause::NONE,
                master: None,
                partner_negotiates: false,
            }));
        }
        if !self.status()?.autoneg_complete() {
            return Ok(None);
        }
        let ours = self.read::<Advertisement>()?;
        let theirs = self.read::<PartnerAbility>()?;
        let our_gigabit = self.read::<GigabitControl>()?;
        let their_gigabit = self.read::<GigabitStatus>()?;
        let partner_negotiates = self.read::<Expansion>()?.partner_autoneg_able();
        let common = if our_gigabit.full_1000() && their_gigabit.partner_full_1000() {
            Some((Speed::M1000, Duplex::Full))
        } else if our_gigabit.half_1000() && their_gigabit.partner_half_1000() {
            Some((Speed::M1000, Duplex::Half))
        } else if ours.full_100() && theirs.full_100() {
            Some((Speed::M100, Duplex::Full))
        } else if ours.half_100() && theirs.half_100() {
            Some((Speed::M100, Duplex::Half))
        } else if ours.full_10() && theirs.full_10() {
            Some((Speed::M10, Duplex::Full))
        } else if ours.half_10() && theirs.half_10() {
            Some((Speed::M10, Duplex::Half))
        } else {
            None
        };
        let own = match self.family() {
            Family::Marvell | Family::Marvell2 => marvell(self.read()?),
            Family::Igp | Family::I82580 | Family::Generic => None,
        };
        let Some((speed, duplex)) = own.or(common) else { return Ok(None) };
        let pause = match duplex {
            Duplex::Half => Pause::NONE,
            Duplex::Full => Pause::resolve(
                PauseAbility { symmetric: ours.pause(), asymmetric: ours.asymmetric_pause() },
                PauseAbility { symmetric: theirs.pause(), asymmetric: theirs.asymmetric_pause() },
            ),
        };
        let master = (speed == Speed::M1000).then(|| their_gigabit.master());
        Ok(Some(Resolved { speed, duplex, pause, master, partner_negotiates }))
    }

    /// Whether the partner's 1000BASE-T receiver has locked. Until it has, what we send is lost.
    ///
    /// # Errors
    ///
    /// [`Error::Mdio`].
    pub fn remote_receiver_ok(&mut self) -> Result<bool, Error<M::Error>> {
        Ok(self.read::<GigabitStatus>()?.remote_receiver_ok())
    }

    /// Turns autonegotiation off and forces a speed below 1000 Mb/s.
    ///
    /// The crossover cannot be found out while nothing is negotiated, so it is set to MDI. On a Marvell PHY this takes
    /// effect by a reset, which this does. The MAC must be told the same speed and duplex.
    ///
    /// # Errors
    ///
    /// [`Error::CannotForce`] for 1000 Mb/s; else as [`reset`](Self::reset).
    pub fn force(
        &mut self,
        speed: Speed,
        duplex: Duplex,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<M::Error>> {
        if speed == Speed::M1000 {
            return Err(Error::CannotForce { speed, duplex });
        }
        self.set_mdix(crate::Mdix::Mdi)?;
        let control = self
            .control()?
            .with_autoneg(false)
            .with_restart_autoneg(false)
            .with_speed_1000(false)
            .with_speed_100(speed == Speed::M100)
            .with_full_duplex(duplex == Duplex::Full)
            .with_loopback(false)
            .with_power_down(false);
        self.write(control)?;
        match self.family() {
            Family::Marvell | Family::Marvell2 => self.reset(delay),
            Family::Igp | Family::I82580 | Family::Generic => Ok(()),
        }
    }

    /// Loops what is sent back inside the PHY, at 1000 Mb/s full duplex. [`start_autoneg`](Self::start_autoneg) ends it.
    ///
    /// # Errors
    ///
    /// As [`reset`](Self::reset).
    pub fn loopback(&mut self, delay: &mut impl DelayNs) -> Result<(), Error<M::Error>> {
        let gigabit = BasicControl::new().with_speed_1000(true).with_full_duplex(true);
        if matches!(self.family(), Family::Marvell | Family::Marvell2) {
            // The new speed takes effect by a reset, and the reset would clear the loopback.
            self.write(gigabit)?;
            self.reset(delay)?;
        }
        self.write(gigabit.with_loopback(true))
    }

    fn wait_status(
        &mut self,
        limit_ms: u32,
        delay: &mut impl DelayNs,
        done: impl Fn(BasicStatus) -> bool,
    ) -> Result<Result<(), BasicStatus>, Error<M::Error>> {
        const STEP_MS: u32 = 10;
        // Throw the latched bits away.
        self.status()?;
        let mut waited = 0;
        loop {
            let status = self.status()?;
            if done(status) {
                return Ok(Ok(()));
            }
            if waited >= limit_ms {
                return Ok(Err(status));
            }
            delay.delay_ms(STEP_MS.min(limit_ms - waited));
            waited += STEP_MS.min(limit_ms - waited);
        }
    }
}

fn marvell(status: MarvellStatus) -> Option<(Speed, Duplex)> {
    if !status.resolved() {
        return None;
    }
    let speed = match status.speed() {
        MarvellStatus::SPEED_M10 => Speed::M10,
        MarvellStatus::SPEED_M100 => Speed::M100,
        MarvellStatus::SPEED_M1000 => Speed::M1000,
        _ => return None,
    };
    Some((speed, if status.full_duplex() { Duplex::Full } else { Duplex::Half }))
}
