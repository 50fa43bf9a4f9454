//! The NVM: words, EERD, EEWR and SRWR, EECD; the I211's iNVM.

use super::{Event, Port};
use crate::fault::Fault;
use crate::offsets::*;
use crate::regfile::RegFile;
use crate::spec::DeviceSpec;
use crate::violation::Violation;
use igb_regs::Chip;

const WORDS: usize = 0x400;
const START: u32 = 1;
const DONE: u32 = 2;
/// A word through EERD. Drivers poll every 5 µs, up to half a second.
const READ_TIME: u64 = 15_000;
/// The bit of SW_FW_SYNC that software sets to own the NVM (fact base 1.1).
const SYNC_NVM: u32 = 1;

/// The words of the NVM.
#[derive(Debug)]
pub(crate) struct Nvm {
    words: Vec<u16>,
}

impl Nvm {
    /// A card's usual contents, changed as `spec` wants, its checksums right or wrong as it wants.
    pub(super) fn new(spec: &DeviceSpec, index: usize) -> Self {
        let mut nvm = Self { words: vec![0xffff; WORDS] };
        if !spec.nvm {
            return nvm;
        }
        let mac = spec.mac.unwrap_or([2, 0, 0, 0, 0, (index as u8).wrapping_add(1)]);
        for (word, pair) in mac.chunks_exact(2).enumerate() {
            nvm.words[word] = u16::from_le_bytes([pair[0], pair[1]]);
        }
        let usual = [
            (0x03, 0x0000), // compatibility
            (0x04, 0x0000), // LED defaults
            (0x05, 0x3101), // image version
            (0x0a, 0x4000), // initialisation control 1, with its signature
            (0x0b, 0x0000),
            (0x0c, 0x8086),
            (0x0d, spec.device_id),
            (0x0f, 0x1000), // pause: symmetric
            (0x10, 0xffff),
            (0x24, 0x0400), // APM enable
            (0x37, 0xffff), // no alternate address
        ];
        for (word, value) in
            usual.into_iter().chain(spec.words.iter().map(|(word, value)| (*word as usize, *value)))
        {
            if let Some(place) = nvm.words.get_mut(word) {
                *place = value;
            }
        }
        nvm.fix(spec.regions());
        if !spec.checksum {
            nvm.words[0x3f] ^= 0x5a5a;
        }
        nvm
    }

    /// Makes the words of each region sum to 0xBABA (I210 6.8.9).
    pub(crate) fn fix(&mut self, regions: &[u16]) {
        for start in regions.iter().map(|region| usize::from(*region)) {
            let sum =
                self.words[start..start + 0x3f].iter().fold(0, |sum: u16, word| sum.wrapping_add(*word));
            self.words[start + 0x3f] = 0xbaba_u16.wrapping_sub(sum);
        }
    }

    pub(crate) fn word(&self, word: u16) -> u16 {
        self.words.get(usize::from(word)).copied().unwrap_or(0xffff)
    }

    pub(crate) fn set(&mut self, word: u16, value: u16) {
        if let Some(place) = self.words.get_mut(usize::from(word)) {
            *place = value;
        }
    }

    /// I211 and flashless I210: one record for each word of the address, in the iNVM's registers (fact base 1.1:
    /// record type 1 is a word; its number stands in bits 15:9, its value in the upper half).
    pub(super) fn fill_invm(&self, regs: &mut RegFile, spec: &DeviceSpec) {
        if spec.nvm && is_i21x(spec.chip) && (spec.chip == Chip::I211 || !spec.flash) {
            for word in 0..3 {
                let value = u32::from(self.word(word));
                regs.set(INVM + 4 * u32::from(word), 1 | u32::from(word) << 9 | value << 16);
            }
        }
    }
}

impl Port {
    pub(crate) fn nvm(&mut self) -> &mut Nvm {
        &mut self.nvm
    }

    /// EERD, EEWR (82575 to I354) and SRWR (I210): start bit 0, done bit 1, address from bit 2, data in the upper half.
    pub(super) fn write_nvm_command(&mut self, offset: u32, value: u32) {
        if value & START == 0 {
            self.regs.set(offset, value & !DONE);
            return;
        }
        if self.regs.has(offset, START)
            && !self.regs.has(offset, DONE)
            && !self.has_fault(Fault::NvmNeverDone)
        {
            self.violate(Violation::NvmBusy);
        }
        if !self.regs.has(SW_FW_SYNC, SYNC_NVM) {
            self.violate(Violation::NotLocked { rule: "NVM accessed without its bit in SW_FW_SYNC" });
        }
        let flashless = is_i21x(self.chip) && !self.spec.flash;
        if offset == EERD {
            self.regs.set(EERD, value & 0xffff & !DONE);
            if !flashless {
                // Without a flash nobody answers (I210 page 58).
                self.after(READ_TIME, Event::EerdDone(self.generation));
            }
            return;
        }
        if !flashless {
            self.nvm.set((value >> 2 & 0x3fff) as u16, (value >> 16) as u16);
        }
        self.regs.set(offset, value | DONE);
    }

    pub(super) fn eerd_done(&mut self, generation: u32) {
        let command = self.regs.get(EERD);
        if generation != self.generation || command & START == 0 || self.has_fault(Fault::NvmNeverDone) {
            return;
        }
        let word = if self.spec.nvm { self.nvm.word((command >> 2 & 0x3fff) as u16) } else { 0xffff };
        self.regs.set(EERD, command & 0xffff | DONE | u32::from(word) << 16);
    }

    /// EECD: the four pins, request (bit 6) answered by grant (bit 7), shadow RAM commit (bit 23) by done (bit 26).
    pub(super) fn write_eecd(&mut self, value: u32) {
        let mut kept = self.regs.get(EECD) & !0xcf | value & 0x4f | (value & 0x40) << 1;
        if is_i21x(self.chip) && value & 1 << 23 != 0 {
            kept |= 1 << 26;
        }
        self.regs.set(EECD, kept);
    }
}
