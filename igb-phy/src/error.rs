//! What can go wrong with a PHY.

use crate::{Duplex, PhyId, Speed};

/// Why an operation on a PHY failed. `E` is the management bus's own error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The management bus failed.
    #[error("the management bus failed: {0}")]
    Mdio(E),
    /// Nobody answers at this address: the identifier reads all ones or all zeros. Is it the right address?
    #[error("no PHY answers: its identifier reads {0}")]
    NoPhy(PhyId),
    /// A PHY that this crate has no description of. [`Phy::generic`](crate::Phy::generic) drives it by clause 22 alone.
    #[error("unknown PHY {0}")]
    UnknownPhy(PhyId),
    /// The PHY answered before and reads all ones now.
    #[error("the PHY is gone: register {register} reads 0xffff")]
    Gone {
        /// The register that cannot read all ones.
        register: u8,
    },
    /// The reset bit did not clear.
    #[error("PCTRL.RESET did not clear within {limit_ms} ms (PCTRL={control:#06x})")]
    ResetTimeout {
        /// How long was waited.
        limit_ms: u32,
        /// The control register.
        control: u16,
    },
    /// Autonegotiation did not complete: no cable, no partner, or a partner that does not negotiate what we offer.
    #[error("PSTATUS.AUTONEG_COMPLETE did not set within {limit_ms} ms (PSTATUS={status:#06x})")]
    AutonegTimeout {
        /// How long was waited.
        limit_ms: u32,
        /// The status register.
        status: u16,
    },
    /// The link did not come up.
    #[error("PSTATUS.LINK did not set within {limit_ms} ms (PSTATUS={status:#06x})")]
    LinkTimeout {
        /// How long was waited.
        limit_ms: u32,
        /// The status register.
        status: u16,
    },
    /// A speed that cannot be forced: 1000BASE-T needs autonegotiation to find master and slave (IEEE 802.3 28D.5).
    #[error("{speed} {duplex} duplex cannot be forced; advertise only that instead")]
    CannotForce {
        /// The speed asked for.
        speed: Speed,
        /// The duplex asked for.
        duplex: Duplex,
    },
    /// Nothing is advertised, so nothing can be negotiated.
    #[error("no speed is advertised")]
    NothingAdvertised,
    /// This PHY has no such feature, or no source says how to reach it.
    #[error("PHY {id} has no {what}")]
    Unsupported {
        /// Which PHY.
        id: PhyId,
        /// What was asked for.
        what: &'static str,
    },
}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Mdio(error)
    }
}
