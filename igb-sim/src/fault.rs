//! Ways in which a device can be ill, switched on and off by a test.

/// One illness. They add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// `RXDCTL.ENABLE` and `TXDCTL.ENABLE` never set.
    StuckEnable,
    /// They never clear.
    StuckDisable,
    /// Nobody answers on MDIO: MDIC gives its error bit.
    DeadPhy,
    /// MDIC never becomes ready.
    MdicNeverReady,
    /// `EERD.DONE` never sets.
    NvmNeverDone,
    /// `EECD.AUTO_RD` never sets after a reset.
    AutoReadNeverDone,
    /// `EEMNGCTL.CFG_DONE` never sets.
    CfgNeverDone,
    /// `CTRL.RST` stays set and nothing is reset.
    ResetNeverDone,
    /// `STATUS.GIO_MASTER_ENABLE` stays set.
    MasterStuck,
    /// The bus master bit of COMMAND cannot be cleared.
    MasterCannotStop,
    /// `SWSM.SMBI` always reads 1: somebody else has it.
    SemaphoreHeld,
    /// The firmware's bits of SW_FW_SYNC are all set, and stay so.
    FirmwareHoldsSync,
    /// The DMA engine stands still: no descriptor is read, none is written back.
    FrozenDma,
    /// Interrupt messages are lost on their way.
    LostInterrupts,
    /// Whoever waits for an interrupt is woken at once, each time.
    InterruptStorm,
    /// Negotiation never ends.
    LinkNeverUp,
    /// The device leaves the bus at the n-th register read from now (0: the next one).
    ReadFailsAfter(u64),
}
