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
    /// Statistics do not clear when they are read.
    CountersStay,
    /// A received frame's length counts the FCS although `RCTL.SECRC` takes it out.
    LengthWithCrc,
    /// Messages do not clear what EIAC selects.
    EiacIgnored,
    /// Messages do not mask what EIAM selects.
    EiamIgnored,
    /// RSS takes the queue beside the one that RETA names.
    WrongRssQueue,
    /// RSS hashes without its key.
    RssKeyIgnored,
    /// `CTRL.RST` clears itself and resets nothing.
    ResetKeepsRegisters,
    /// A link that comes or goes is no cause.
    NoLinkInterrupt,
    /// IVAR's receive and transmit bytes are swapped.
    IvarSwapped,
    /// Segments of TCP all carry the first one's sequence number.
    TsoSequenceStands,
    /// Inserted transport checksums are off by one.
    WrongChecksum,
    /// No received frame ends: EOP is never set.
    NoEndOfPacket,
    /// A VLAN tag that is taken out is lost.
    VlanTagLost,
    /// The hash table of multicast addresses lets nothing in.
    MulticastDeaf,
    /// Good transport checksums are reported as wrong.
    ChecksumSlander,
    /// A bit of FCTTV cannot be set.
    StuckBit,
}

impl Fault {
    /// The name of each, for command lines and control: the variant's, with hyphens. `ReadFailsAfter` has none.
    pub const NAMED: [(&'static str, Self); 32] = [
        ("stuck-enable", Self::StuckEnable),
        ("stuck-disable", Self::StuckDisable),
        ("dead-phy", Self::DeadPhy),
        ("mdic-never-ready", Self::MdicNeverReady),
        ("nvm-never-done", Self::NvmNeverDone),
        ("auto-read-never-done", Self::AutoReadNeverDone),
        ("cfg-never-done", Self::CfgNeverDone),
        ("reset-never-done", Self::ResetNeverDone),
        ("master-stuck", Self::MasterStuck),
        ("master-cannot-stop", Self::MasterCannotStop),
        ("semaphore-held", Self::SemaphoreHeld),
        ("firmware-holds-sync", Self::FirmwareHoldsSync),
        ("frozen-dma", Self::FrozenDma),
        ("lost-interrupts", Self::LostInterrupts),
        ("interrupt-storm", Self::InterruptStorm),
        ("link-never-up", Self::LinkNeverUp),
        ("counters-stay", Self::CountersStay),
        ("length-with-crc", Self::LengthWithCrc),
        ("eiac-ignored", Self::EiacIgnored),
        ("eiam-ignored", Self::EiamIgnored),
        ("wrong-rss-queue", Self::WrongRssQueue),
        ("rss-key-ignored", Self::RssKeyIgnored),
        ("reset-keeps-registers", Self::ResetKeepsRegisters),
        ("no-link-interrupt", Self::NoLinkInterrupt),
        ("ivar-swapped", Self::IvarSwapped),
        ("tso-sequence-stands", Self::TsoSequenceStands),
        ("wrong-checksum", Self::WrongChecksum),
        ("no-end-of-packet", Self::NoEndOfPacket),
        ("vlan-tag-lost", Self::VlanTagLost),
        ("multicast-deaf", Self::MulticastDeaf),
        ("checksum-slander", Self::ChecksumSlander),
        ("stuck-bit", Self::StuckBit),
    ];

    /// The fault of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(own, _)| *own == name).map(|(_, fault)| *fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_variants() {
        for (name, fault) in Fault::NAMED {
            let mut spelt = String::new();
            for letter in format!("{fault:?}").chars() {
                if letter.is_uppercase() && !spelt.is_empty() {
                    spelt.push('-');
                }
                spelt.push(letter.to_ascii_lowercase());
            }
            assert_eq!((name, Fault::by_name(name)), (spelt.as_str(), Some(fault)));
        }
    }
}
