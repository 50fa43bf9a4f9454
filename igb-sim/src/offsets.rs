//! The registers that have behaviour, by byte offset: one name for each, whatever aliases a chip gives it.
//!
//! Offsets as in the driver headers (fact base, appendix A). Queue registers are named at their newer range; the
//! older one and the I210's main addresses are folded onto these by [`canonical`].

use igb_regs::Chip;

pub(crate) const CTRL: u32 = 0x0000;
pub(crate) const STATUS: u32 = 0x0008;
pub(crate) const EECD: u32 = 0x0010;
pub(crate) const EERD: u32 = 0x0014;
pub(crate) const CTRL_EXT: u32 = 0x0018;
pub(crate) const MDIC: u32 = 0x0020;
pub(crate) const SCTL: u32 = 0x0024;
pub(crate) const FCAL: u32 = 0x0028;
pub(crate) const FCAH: u32 = 0x002c;
pub(crate) const FCT: u32 = 0x0030;
pub(crate) const VET: u32 = 0x0038;
pub(crate) const ICR: u32 = 0x00c0;
pub(crate) const ICS: u32 = 0x00c8;
pub(crate) const IMS: u32 = 0x00d0;
pub(crate) const IMC: u32 = 0x00d8;
pub(crate) const IAM: u32 = 0x00e0;
pub(crate) const RCTL: u32 = 0x0100;
pub(crate) const FCTTV: u32 = 0x0170;
pub(crate) const TCTL: u32 = 0x0400;
pub(crate) const TIPG: u32 = 0x0410;
pub(crate) const MDICNFG: u32 = 0x0e04;
pub(crate) const PHPM: u32 = 0x0e14;
pub(crate) const PBA: u32 = 0x1000;
pub(crate) const EEMNGCTL: u32 = 0x1010;
pub(crate) const I2CCMD: u32 = 0x1028;
pub(crate) const EEWR: u32 = 0x102c;
pub(crate) const FRTIMER: u32 = 0x1048;
pub(crate) const GPIE: u32 = 0x1514;
pub(crate) const EICS: u32 = 0x1520;
pub(crate) const EIMS: u32 = 0x1524;
pub(crate) const EIMC: u32 = 0x1528;
pub(crate) const EIAC: u32 = 0x152c;
pub(crate) const EIAM: u32 = 0x1530;
pub(crate) const EICR: u32 = 0x1580;
pub(crate) const MSIXBM: u32 = 0x1600;
pub(crate) const EITR: u32 = 0x1680;
pub(crate) const IVAR: u32 = 0x1700;
pub(crate) const IVAR_MISC: u32 = 0x1740;
pub(crate) const FCRTL: u32 = 0x2160;
pub(crate) const FCRTH: u32 = 0x2168;
pub(crate) const RXPBS: u32 = 0x2404;
pub(crate) const QDE: u32 = 0x2408;
pub(crate) const TXPBS: u32 = 0x3404;
pub(crate) const STATISTICS: u32 = 0x4000;
pub(crate) const CRCERRS: u32 = 0x4000;
pub(crate) const MPC: u32 = 0x4010;
pub(crate) const RLEC: u32 = 0x4040;
pub(crate) const XONRXC: u32 = 0x4048;
pub(crate) const XONTXC: u32 = 0x404c;
pub(crate) const XOFFRXC: u32 = 0x4050;
pub(crate) const XOFFTXC: u32 = 0x4054;
pub(crate) const FCRUC: u32 = 0x4058;
pub(crate) const PRC64: u32 = 0x405c;
pub(crate) const GPRC: u32 = 0x4074;
pub(crate) const BPRC: u32 = 0x4078;
pub(crate) const MPRC: u32 = 0x407c;
pub(crate) const GPTC: u32 = 0x4080;
pub(crate) const GORCL: u32 = 0x4088;
pub(crate) const GOTCL: u32 = 0x4090;
pub(crate) const RNBC: u32 = 0x40a0;
pub(crate) const RUC: u32 = 0x40a4;
pub(crate) const RFC: u32 = 0x40a8;
pub(crate) const ROC: u32 = 0x40ac;
pub(crate) const RJC: u32 = 0x40b0;
pub(crate) const TORL: u32 = 0x40c0;
pub(crate) const TOTL: u32 = 0x40c8;
pub(crate) const TPR: u32 = 0x40d0;
pub(crate) const TPT: u32 = 0x40d4;
pub(crate) const PTC64: u32 = 0x40d8;
pub(crate) const MPTC: u32 = 0x40f0;
pub(crate) const BPTC: u32 = 0x40f4;
pub(crate) const TSCTC: u32 = 0x40f8;
pub(crate) const IAC: u32 = 0x4100;
pub(crate) const RPTHC: u32 = 0x4104;
pub(crate) const HGPTC: u32 = 0x4118;
pub(crate) const RXDMTC: u32 = 0x4120;
pub(crate) const HGORCL: u32 = 0x4128;
pub(crate) const HGOTCL: u32 = 0x4130;
pub(crate) const STATISTICS_END: u32 = 0x4160;
pub(crate) const PCS_LSTAT: u32 = 0x420c;
pub(crate) const RXCSUM: u32 = 0x5000;
pub(crate) const RLPML: u32 = 0x5004;
pub(crate) const MTA: u32 = 0x5200;
pub(crate) const RAL: u32 = 0x5400;
pub(crate) const RAL16: u32 = 0x54e0;
pub(crate) const PSRTYPE: u32 = 0x5480;
pub(crate) const VFTA: u32 = 0x5600;
pub(crate) const MRQC: u32 = 0x5818;
pub(crate) const VMOLR: u32 = 0x5ad0;
pub(crate) const SWSM: u32 = 0x5b50;
pub(crate) const SW_FW_SYNC: u32 = 0x5b5c;
pub(crate) const RETA: u32 = 0x5c00;
pub(crate) const RSSRK: u32 = 0x5c80;
pub(crate) const ETQF: u32 = 0x5cb0;
pub(crate) const SYSTIML: u32 = 0xb600;
pub(crate) const SYSTIMH: u32 = 0xb604;
pub(crate) const TSYNCRXCTL: u32 = 0xb620;
pub(crate) const TSAUXC: u32 = 0xb640;
pub(crate) const TSICR: u32 = 0xb66c;
/// Receive queue `n` at `+ 0x40 n`; the offsets inside follow.
pub(crate) const RX: u32 = 0xc000;
/// Transmit queue `n` at `+ 0x40 n`.
pub(crate) const TX: u32 = 0xe000;
pub(crate) const QUEUE: u32 = 0x40;
pub(crate) const BAL: u32 = 0x00;
pub(crate) const BAH: u32 = 0x04;
pub(crate) const LEN: u32 = 0x08;
pub(crate) const SRRCTL: u32 = 0x0c;
pub(crate) const HEAD: u32 = 0x10;
pub(crate) const TAIL: u32 = 0x18;
pub(crate) const DCTL: u32 = 0x28;
pub(crate) const RQDPC: u32 = 0x30;
pub(crate) const DVMOLR: u32 = 0x38;
pub(crate) const TDWBAL: u32 = 0x38;
pub(crate) const TDWBAH: u32 = 0x3c;
/// Statistics of queue `n` at `+ 0x100 n` (I210 8.19).
pub(crate) const PQGPRC: u32 = 0x1_0010;
pub(crate) const SRWR: u32 = 0x1_2018;
pub(crate) const EEMNGCTL_I210: u32 = 0x1_2030;
pub(crate) const INVM: u32 = 0x1_2120;

/// Bytes of registers in BAR 0.
pub(crate) const BAR_LEN: u32 = 0x2_0000;

/// Whether `chip` is `other` or came after it, in the order of the driver's chip list.
pub(crate) fn from(chip: Chip, other: Chip) -> bool {
    chip as u16 >= other as u16
}

/// Whether `chip` is an I210 or I211.
pub(crate) fn is_i21x(chip: Chip) -> bool {
    from(chip, Chip::I210)
}

/// Folds the second addresses of a register onto the first.
///
/// Queues 0..3 answer at 0x2800/0x3800 + 0x100 n on every chip and at 0xC000/0xE000 + 0x40 n on all but 82575; the
/// I210's interrupt and NVM registers have main addresses of their own (fact base 2.3.1; i210 8.8.9, 8.4). On 82575
/// the newer queue range does not exist: `None`.
pub(crate) fn canonical(chip: Chip, offset: u32) -> Option<u32> {
    Some(match offset {
        0x2800..=0x2bff if offset & 0xff < QUEUE => RX + ((offset - 0x2800) >> 8) * QUEUE + (offset & 0x3f),
        0x3800..=0x3bff if offset & 0xff < QUEUE => TX + ((offset - 0x3800) >> 8) * QUEUE + (offset & 0x3f),
        0xc000..=0xc3ff | 0xe000..=0xe3ff if chip == Chip::I82575 => return None,
        0x1500..=0x1510 if is_i21x(chip) && offset.is_multiple_of(4) => ICR + (offset - 0x1500) * 2,
        0x1_2010 | 0x1_2014 if is_i21x(chip) => offset & 0xff,
        _ => offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specs give these offsets the names that they have here.
    #[test]
    fn names_agree_with_the_specs() {
        let named = [
            ("CTRL", CTRL),
            ("STATUS", STATUS),
            ("EECD", EECD),
            ("EERD", EERD),
            ("CTRL_EXT", CTRL_EXT),
            ("MDIC", MDIC),
            ("ICR", ICR),
            ("ICS", ICS),
            ("IMS", IMS),
            ("IMC", IMC),
            ("IAM", IAM),
            ("RCTL", RCTL),
            ("TCTL", TCTL),
            ("EICR", EICR),
            ("EICS", EICS),
            ("EIMS", EIMS),
            ("EIMC", EIMC),
            ("EIAC", EIAC),
            ("EIAM", EIAM),
            ("EITR", EITR),
            ("MPC", MPC),
            ("RNBC", RNBC),
            ("GPRC", GPRC),
            ("GPTC", GPTC),
            ("RXCSUM", RXCSUM),
            ("RLPML", RLPML),
            ("MTA", MTA),
            ("RAL", RAL),
            ("PSRTYPE", PSRTYPE),
            ("VFTA", VFTA),
            ("MRQC", MRQC),
            ("SWSM", SWSM),
            ("SW_FW_SYNC", SW_FW_SYNC),
            ("RETA", RETA),
            ("RSSRK", RSSRK),
            ("RDBAL", RX + BAL),
            ("RDLEN", RX + LEN),
            ("SRRCTL", RX + SRRCTL),
            ("RDH", RX + HEAD),
            ("RDT", RX + TAIL),
            ("RXDCTL", RX + DCTL),
            ("RQDPC", RX + RQDPC),
            ("TDBAL", TX + BAL),
            ("TDH", TX + HEAD),
            ("TDT", TX + TAIL),
            ("TXDCTL", TX + DCTL),
        ];
        for (name, offset) in named {
            let register = igb_regs::meta::by_name(name).unwrap_or_else(|| panic!("{name} is in the specs"));
            for chip in Chip::ALL {
                let Some(place) = register.place(*chip) else { continue };
                let at = place.offset_of(0).and_then(|at| canonical(*chip, at));
                assert_eq!(at, Some(offset), "{name} on {chip}");
            }
        }
    }

    #[test]
    fn aliases_meet() {
        assert_eq!(canonical(Chip::I82576, 0x2918), Some(RX + QUEUE + TAIL));
        assert_eq!(canonical(Chip::I210, 0x1510), Some(IAM));
        assert_eq!(canonical(Chip::I210, 0x1_2014), Some(EERD));
        assert_eq!(canonical(Chip::I82575, RX), None);
    }
}
