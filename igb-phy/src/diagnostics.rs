//! What the PHY sees of the cable: crossover, polarity, length, and whether the speed was lowered for its sake.

use crate::words::{
    GigabitStatus, I82580Diagnostics, I82580Status2, IgpAgcA, IgpAgcB, IgpAgcC, IgpAgcD, IgpLinkHealth,
    IgpPortStatus, MarvellCableLength0, MarvellCableLength1, MarvellCableLength2, MarvellCableLength3,
    MarvellDiagnosticsControl, MarvellDspDistance, MarvellReceiveErrors, MarvellStatus,
};
use crate::{Error, Family, Mdio, Model, Phy};

/// Between which lengths the cable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CableLength {
    /// At least so many metres.
    pub min_m: u16,
    /// At most so many metres; `None` when it is longer than can be told.
    pub max_m: Option<u16>,
}

/// What the PHY tells of the cable. What it does not tell is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Diagnostics {
    /// The pairs are crossed over.
    pub mdix: Option<bool>,
    /// The wires of a pair are swapped.
    pub polarity_reversed: Option<bool>,
    /// A lower speed was taken because gigabit did not come up.
    pub downshifted: Option<bool>,
    /// Our and the partner's 1000BASE-T receiver have locked.
    pub receivers_ok: (bool, bool),
    /// Both ends insist on the same role at 1000BASE-T.
    pub master_slave_fault: bool,
    /// Errors while idle since they were last read; stays at 255.
    pub idle_errors: u8,
    /// Frames with an error, as the PHY counts them.
    pub receive_errors: Option<u16>,
}

impl<M: Mdio> Phy<M> {
    /// What the PHY tells of the cable. Clears the count of idle errors and the role fault.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Mdio`].
    pub fn diagnostics(&mut self) -> Result<Diagnostics, Error<M::Error>> {
        self.status()?;
        let gigabit = self.read::<GigabitStatus>()?;
        let mut found = Diagnostics {
            receivers_ok: (gigabit.local_receiver_ok(), gigabit.remote_receiver_ok()),
            master_slave_fault: gigabit.master_slave_fault(),
            idle_errors: gigabit.idle_errors(),
            ..Diagnostics::default()
        };
        match self.family() {
            Family::Marvell | Family::Marvell2 => {
                let status = self.read::<MarvellStatus>()?;
                found.mdix = Some(status.mdix());
                found.polarity_reversed = Some(status.polarity_reversed());
                found.downshifted = Some(status.downshifted());
                found.receive_errors = Some(self.read::<MarvellReceiveErrors>()?.count());
            }
            Family::Igp => {
                let status = self.read::<IgpPortStatus>()?;
                found.mdix = Some(status.mdix());
                // At gigabit each pair has its own polarity, in the signal processor's pages.
                found.polarity_reversed =
                    (status.speed() != IgpPortStatus::SPEED_M1000).then(|| status.polarity_reversed());
                // As the drivers read it; the 82575's manual names bit 5 instead.
                found.downshifted = Some(self.read::<IgpLinkHealth>()?.downgraded());
            }
            Family::I82580 => {
                let status = self.read::<I82580Status2>()?;
                found.mdix = Some(status.mdix());
                found.polarity_reversed = Some(status.polarity_reversed());
            }
            Family::Generic => {}
        }
        Ok(found)
    }

    /// How long the cable is. The link must be up, at 100 Mb/s or more.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where no source says how, or while the PHY does not know; [`Error::Mdio`].
    pub fn cable_length(&mut self) -> Result<CableLength, Error<M::Error>> {
        let unknown = self.unsupported("cable length now");
        let length = match (self.family(), self.model()) {
            (_, Model::M88E1111) => marvell_steps(self.read::<MarvellStatus>()?.cable_length()),
            (_, Model::M88E1112) => marvell_steps(self.read::<MarvellDspDistance>()?.cable_length()),
            (_, Model::I210 | Model::M88E1340M | Model::M88E1512 | Model::M88E1543 | Model::I347At4) => {
                let metres = self.read::<MarvellDiagnosticsControl>()?.metres();
                let unit = if metres { 1 } else { 100 };
                let pairs = [
                    self.read::<MarvellCableLength0>()?.length() / unit,
                    self.read::<MarvellCableLength1>()?.length() / unit,
                    self.read::<MarvellCableLength2>()?.length() / unit,
                    self.read::<MarvellCableLength3>()?.length() / unit,
                ];
                let [a, b, c, d] = pairs;
                Some(CableLength { min_m: a.min(b).min(c.min(d)), max_m: Some(a.max(b).max(c.max(d))) })
            }
            (Family::Igp, _) => igp_length([
                self.read::<IgpAgcA>()?.gain(),
                self.read::<IgpAgcB>()?.gain(),
                self.read::<IgpAgcC>()?.gain(),
                self.read::<IgpAgcD>()?.gain(),
            ]),
            (Family::I82580, _) => {
                let metres = self.read::<I82580Diagnostics>()?.cable_length();
                (metres != u8::MAX).then(|| CableLength { min_m: metres.into(), max_m: Some(metres.into()) })
            }
            _ => None,
        };
        length.ok_or(unknown)
    }
}

/// The steps of the first generation: below 50 m, to 80, to 110, to 140, above.
fn marvell_steps(step: u8) -> Option<CableLength> {
    const METRES: [u16; 5] = [0, 50, 80, 110, 140];
    let min_m = *METRES.get(usize::from(step))?;
    Some(CableLength { min_m, max_m: METRES.get(usize::from(step) + 1).copied() })
}

/// The gains of the four channels looked up; the smallest and the largest do not count, 15 m either way is the error.
fn igp_length(gains: [u8; 4]) -> Option<CableLength> {
    const RANGE_M: u16 = 15;
    let mut metres = [0; 4];
    for (metres, gain) in metres.iter_mut().zip(gains) {
        // Gain 0 is no signal, and a gain beyond the table none that the PHY can have.
        *metres = u16::from(*IGP_METRES.get(usize::from(gain)).filter(|_| gain != 0)?);
    }
    metres.sort_unstable();
    let middle = (metres[1] + metres[2]) / 2;
    Some(CableLength { min_m: middle.saturating_sub(RANGE_M), max_m: Some(middle + RANGE_M) })
}

/// Length by gain: coarse in steps of 16, fine within. Source: the drivers' table for IGP02 and IGP03.
#[rustfmt::skip]
static IGP_METRES: [u8; 113] = [
    0, 0, 0, 0, 0, 0, 0, 0, 3, 5, 8, 11, 13, 16, 18, 21,
    0, 0, 0, 3, 6, 10, 13, 16, 19, 23, 26, 29, 32, 35, 38, 41,
    6, 10, 14, 18, 22, 26, 30, 33, 37, 41, 44, 48, 51, 54, 58, 61,
    21, 26, 31, 35, 40, 44, 49, 53, 57, 61, 65, 68, 72, 75, 79, 82,
    40, 45, 51, 56, 61, 66, 70, 75, 79, 83, 87, 91, 94, 98, 101, 104,
    60, 66, 72, 77, 82, 87, 92, 96, 100, 104, 108, 111, 114, 117, 119, 121,
    83, 89, 95, 100, 105, 109, 113, 116, 119, 122, 124,
    104, 109, 114, 118, 121, 124,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_first_generation() {
        assert_eq!(marvell_steps(0), Some(CableLength { min_m: 0, max_m: Some(50) }));
        assert_eq!(marvell_steps(3), Some(CableLength { min_m: 110, max_m: Some(140) }));
        assert_eq!(marvell_steps(4), Some(CableLength { min_m: 140, max_m: None }));
        assert_eq!(marvell_steps(5), None);
    }

    #[test]
    fn igp_drops_the_extremes() {
        // 3, 61, 61 and 121 m.
        assert_eq!(igp_length([8, 47, 47, 95]), Some(CableLength { min_m: 46, max_m: Some(76) }));
        assert_eq!(igp_length([0, 47, 47, 95]), None, "no signal on a channel");
        assert_eq!(igp_length([127, 47, 47, 95]), None, "beyond the table");
    }
}
