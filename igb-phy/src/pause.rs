//! Who may pause whom: IEEE 802.3 annex 28B.

use core::fmt;
use core::ops::BitAnd;

/// What one end offers in its autonegotiation page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PauseAbility {
    /// The bit PAUSE: takes and sends pause frames.
    pub symmetric: bool,
    /// The bit ASM_DIR: also, or only, towards the partner.
    pub asymmetric: bool,
}

impl PauseAbility {
    /// No pause.
    pub const NONE: Self = Self { symmetric: false, asymmetric: false };

    /// What to offer so that `wanted` can come out.
    ///
    /// Receiving alone cannot be offered: who can receive offers both bits, and [`Pause::resolve`] with the wish
    /// decides after the fact (the drivers do the same).
    ///
    /// ```
    /// use igb_phy::{Pause, PauseAbility};
    /// let offer = PauseAbility::offer(Pause { rx: false, tx: true });
    /// assert_eq!(offer, PauseAbility { symmetric: false, asymmetric: true });
    /// ```
    pub const fn offer(wanted: Pause) -> Self {
        Self { symmetric: wanted.rx, asymmetric: wanted.rx || wanted.tx }
    }
}

/// What a MAC does about pause frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Pause {
    /// Stops sending when the partner says so.
    pub rx: bool,
    /// Tells the partner to stop when its own buffer fills.
    pub tx: bool,
}

impl Pause {
    /// Neither.
    pub const NONE: Self = Self { rx: false, tx: false };
    /// Both.
    pub const FULL: Self = Self { rx: true, tx: true };

    /// What both ends' offers come to on a full duplex link: table 28B-3.
    ///
    /// ```
    /// use igb_phy::{Pause, PauseAbility};
    /// let both = PauseAbility { symmetric: true, asymmetric: true };
    /// let send_only = PauseAbility { symmetric: false, asymmetric: true };
    /// assert_eq!(Pause::resolve(both, both), Pause::FULL);
    /// assert_eq!(Pause::resolve(both, send_only), Pause { rx: true, tx: false });
    /// ```
    pub const fn resolve(local: PauseAbility, partner: PauseAbility) -> Self {
        if local.symmetric && partner.symmetric {
            Self::FULL
        } else if !(local.asymmetric && partner.asymmetric) {
            Self::NONE
        } else {
            // Both have ASM_DIR and at most one has PAUSE: who has it listens, the other sends.
            Self { rx: local.symmetric, tx: partner.symmetric }
        }
    }
}

/// What both allow.
impl BitAnd for Pause {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self { rx: self.rx && other.rx, tx: self.tx && other.tx }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.rx, self.tx) {
            (false, false) => "none",
            (true, false) => "rx",
            (false, true) => "tx",
            (true, true) => "rx/tx",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 28B-3, row by row: local PAUSE, ASM_DIR; partner PAUSE, ASM_DIR; then transmit and receive as resolved.
    #[test]
    fn table_28b_3() {
        let no = (0, 0);
        let rows = [
            ((0, 0), (0, 0), no),
            ((0, 0), (0, 1), no),
            ((0, 0), (1, 0), no),
            ((0, 0), (1, 1), no),
            ((0, 1), (0, 0), no),
            ((0, 1), (0, 1), no),
            ((0, 1), (1, 0), no),
            ((0, 1), (1, 1), (1, 0)),
            ((1, 0), (0, 0), no),
            ((1, 0), (0, 1), no),
            ((1, 0), (1, 0), (1, 1)),
            ((1, 0), (1, 1), (1, 1)),
            ((1, 1), (0, 0), no),
            ((1, 1), (0, 1), (0, 1)),
            ((1, 1), (1, 0), (1, 1)),
            ((1, 1), (1, 1), (1, 1)),
        ];
        for (local, partner, (tx, rx)) in rows {
            let ability = |(p, a)| PauseAbility { symmetric: p == 1, asymmetric: a == 1 };
            let got = Pause::resolve(ability(local), ability(partner));
            assert_eq!(got, Pause { rx: rx == 1, tx: tx == 1 }, "{local:?} {partner:?}");
            // The partner resolves to the mirror image, or one end would wait for the other for ever.
            let mirror = Pause::resolve(ability(partner), ability(local));
            assert_eq!((mirror.rx, mirror.tx), (got.tx, got.rx));
        }
    }
}
