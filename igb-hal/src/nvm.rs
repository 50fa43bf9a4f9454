//! Words of the NVM: EEPROM or flash through EERD, or the one-time programmable iNVM of flash-less I210 and I211.

use crate::mac::Wait;
use crate::semaphore::Lock;
use crate::{Error, Mac};
use embedded_hal::delay::DelayNs;
use igb_regs::{Bus, Chip, EECD, EERD};

/// What the words of a region sum up to.
const SUM: u16 = 0xBABA;
/// Words of a region.
const REGION: u16 = 0x40;
/// Word 0x03, bit 15: on 82580 every port has a region with a checksum.
const COMPATIBILITY: u16 = 0x03;
const PORTS_HAVE_CHECKSUMS: u16 = 0x8000;
/// The regions of the four ports of 82580, I350 and I354.
const PORT_REGIONS: [u16; 4] = [0x000, 0x080, 0x0C0, 0x100];

/// The NVM of one device.
#[derive(Debug)]
pub struct Nvm<'a, B> {
    mac: &'a Mac<B>,
}

impl<B: Bus> Mac<B> {
    /// The NVM.
    pub const fn nvm(&self) -> Nvm<'_, B> {
        Nvm { mac: self }
    }
}

impl<B: Bus> Nvm<'_, B> {
    /// Whether there is an EEPROM, or on I210 and I211 a flash. Without a flash those two have words in their iNVM.
    pub fn is_present(&self) -> bool {
        let eecd = self.mac.regs().eecd().snapshot();
        match self.mac.chip() {
            Chip::I210 => eecd.is_set(EECD::FLASH_DETECTED),
            Chip::I211 => false,
            _ => eecd.is_set(EECD::PRES),
        }
    }

    /// How many words there are: 2 to the power of EECD.SIZE_EX plus 6, at most 32768.
    pub fn words(&self) -> u32 {
        let size = self.mac.regs().eecd().read(EECD::SIZE_EX) + 6;
        1 << size.min(15)
    }

    /// Reads one word.
    ///
    /// # Errors
    ///
    /// As [`read_into`](Self::read_into).
    pub fn read(&self, word: u16, delay: &mut impl DelayNs) -> Result<u16, Error> {
        let mut one = [0];
        self.read_into(word, &mut one, delay)?;
        Ok(one[0])
    }

    /// Reads words from `first` on.
    ///
    /// # Errors
    ///
    /// [`Error::NvmRange`], [`Error::Semaphore`], [`Error::Timeout`], [`Error::DeviceGone`].
    pub fn read_into(&self, first: u16, words: &mut [u16], delay: &mut impl DelayNs) -> Result<(), Error> {
        let Some(last) = words.len().checked_sub(1) else { return Ok(()) };
        if self.is_in_invm() {
            for (word, at) in words.iter_mut().zip(first..=u16::MAX) {
                *word = self.invm(at);
            }
            return self.mac.check();
        }
        let has = self.words();
        if u64::from(first) + last as u64 >= u64::from(has) {
            self.mac.check()?;
            return Err(Error::NvmRange {
                word: first.saturating_add(u16::try_from(last).unwrap_or(u16::MAX)),
                words: has,
            });
        }
        self.mac.locked(Lock::Eeprom, delay, |delay| {
            for (word, at) in words.iter_mut().zip(first..) {
                *word = self.eerd(at, delay)?;
            }
            Ok(())
        })
    }

    /// Checks the checksum of every region that has one. A flash-less I210 or I211 has none to check.
    ///
    /// # Errors
    ///
    /// [`Error::NvmChecksum`] names the region; [`Error::NvmAbsent`]; else as [`read_into`](Self::read_into).
    pub fn verify(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        self.mac.or_gone(self.sum_up(delay))
    }

    fn sum_up(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        if self.is_in_invm() {
            return self.mac.check();
        }
        if !self.is_present() {
            return Err(Error::NvmAbsent);
        }
        let regions = match self.mac.chip() {
            Chip::I350 | Chip::I354 => 4,
            Chip::I82580 if self.read(COMPATIBILITY, delay)? & PORTS_HAVE_CHECKSUMS != 0 => 4,
            _ => 1,
        };
        for first in PORT_REGIONS.into_iter().take(regions) {
            let mut words = [0; REGION as usize];
            self.read_into(first, &mut words, delay)?;
            let sum = words.iter().fold(0u16, |sum, word| sum.wrapping_add(*word));
            if sum != SUM {
                return Err(Error::NvmChecksum { sum, first });
            }
        }
        Ok(())
    }

    /// Whether words come from the iNVM.
    fn is_in_invm(&self) -> bool {
        matches!(self.mac.chip(), Chip::I210 | Chip::I211) && !self.is_present()
    }

    /// Half a second, as the drivers wait: a flash may be erasing a sector.
    fn eerd(&self, word: u16, delay: &mut impl DelayNs) -> Result<u16, Error> {
        let wait = Wait {
            register: "EERD",
            index: u16::MAX,
            what: "DONE did not set",
            step_us: 5,
            limit_us: 500_000,
        };
        let eerd = self.mac.regs().eerd();
        eerd.write(EERD::ADDR.val(u32::from(word)) + EERD::START.val(1));
        let value = self.mac.poll(&wait, delay, || eerd.get(), |value| EERD::DONE.is_set(value))?;
        Ok(EERD::DATA.read(value) as u16)
    }

    /// A word of the iNVM: its first record, else the default that the drivers know, else all ones.
    ///
    /// Records by their type, bits 2:0: 0 the end; 1 a word, with its address in bits 15:9 and its value in bits 31:16;
    /// 2 a CSR, one more dword; 3 a PHY register; 4 a key, eight more dwords; anything else one dword to skip. Sources:
    /// datasheet I210 3.4.2 and 3.4.4; DPDK e1000_i210.c and e1000_i210.h, also for the defaults. Words 0x0B to 0x0E
    /// stand in PCI configuration space when no record has them.
    fn invm(&self, word: u16) -> u16 {
        let mut at = 0;
        while let Some(record) = self.mac.regs().invm_data(at) {
            let record = record.get();
            at += match record & 7 {
                0 => break,
                1 if record >> 9 & 0x7F == u32::from(word) => return (record >> 16) as u16,
                2 => 2,
                4 => 9,
                _ => 1,
            };
        }
        match word {
            0x0F => 0x7243,
            0x13 => 0x00C1,
            0x1C => 0x0184,
            0x1F => 0x200C,
            _ => u16::MAX,
        }
    }
}
