//! The register file: one word for each register, answering reads and writes by the access kinds of the specs.
//!
//! This part knows no behaviour. What a write starts stands in `port`; what a plain read or write does to the bits
//! stands here, taken from the generated tables, so a fact corrected in the specs corrects the simulator.

use crate::offsets::{self, BAR_LEN, STATISTICS, STATISTICS_END};
use igb_regs::Chip;
use igb_regs::meta::{Access, REGISTERS, RegisterInfo};
use std::sync::OnceLock;

/// Bits of one register by what they do.
#[derive(Debug, Clone, Copy, Default)]
struct Kinds {
    plain: u32,
    write_only: u32,
    read_clear: u32,
    write_one_clear: u32,
    write_one_set: u32,
    read_set: u32,
    reset: u32,
}

impl Kinds {
    fn add(&mut self, bits: u32, access: Access) {
        let Self { plain, write_only, read_clear, write_one_clear, write_one_set, read_set, .. } = self;
        for mask in [plain, write_only, read_clear, write_one_clear, write_one_set, read_set] {
            *mask &= !bits;
        }
        match access {
            Access::ReadWrite | Access::Trigger => self.plain |= bits,
            Access::WriteOnly => self.write_only |= bits,
            Access::ReadClear => self.read_clear |= bits,
            Access::WriteOneClear => self.write_one_clear |= bits,
            Access::ReadClearWriteOneClear => {
                self.read_clear |= bits;
                self.write_one_clear |= bits;
            }
            Access::WriteOneSet => self.write_one_set |= bits,
            Access::ReadSet => self.read_set |= bits,
            // Self-clearing bits act and are gone; read-only ones do not listen.
            _ => {}
        }
    }
}

/// What one chip has where.
#[derive(Debug)]
struct Layout {
    /// Word number to index into `kinds`; 0 is "nobody described it": plain storage.
    map: Vec<u16>,
    kinds: Vec<Kinds>,
    registers: Vec<Option<(&'static RegisterInfo, u16)>>,
}

impl Layout {
    fn of(chip: Chip) -> &'static Self {
        static LAYOUTS: [OnceLock<Layout>; 16] = [const { OnceLock::new() }; 16];
        LAYOUTS[chip as usize].get_or_init(|| Self::new(chip))
    }

    fn new(chip: Chip) -> Self {
        let mut layout = Self {
            map: vec![0; BAR_LEN as usize / 4],
            kinds: vec![Kinds { plain: u32::MAX, ..Kinds::default() }],
            registers: vec![None],
        };
        for register in REGISTERS {
            let Some(place) = register.place(chip) else { continue };
            let mut kinds = Kinds { reset: place.reset.unwrap_or(0), ..Kinds::default() };
            kinds.add(u32::MAX, register.access(chip));
            if place.access.is_none() {
                register.fields(chip).for_each(|field| kinds.add(field.mask(), field.access));
            }
            for index in 0..place.count() {
                let Some(offset) = place.offset_of(index).and_then(|offset| offsets::canonical(chip, offset))
                else {
                    continue;
                };
                let Some(slot) = layout.map.get_mut(offset as usize / 4) else { continue };
                *slot = layout.kinds.len() as u16;
                layout.kinds.push(kinds);
                layout.registers.push(Some((register, index)));
            }
        }
        layout
    }
}

/// The words of one device.
#[derive(Debug)]
pub(crate) struct RegFile {
    chip: Chip,
    layout: &'static Layout,
    words: Vec<u32>,
}

impl RegFile {
    /// Every register at its reset value.
    pub(crate) fn new(chip: Chip) -> Self {
        let mut file = Self { chip, layout: Layout::of(chip), words: vec![0; BAR_LEN as usize / 4] };
        file.reset();
        file
    }

    /// Every register to the value that the specs give for after a reset; 0 where they give none.
    pub(crate) fn reset(&mut self) {
        for (word, slot) in self.words.iter_mut().zip(&self.layout.map) {
            *word = self.layout.kinds[usize::from(*slot)].reset;
        }
    }

    /// The stored word, without any side effect. `offset` is canonical and inside the BAR.
    pub(crate) fn get(&self, offset: u32) -> u32 {
        self.words.get(offset as usize / 4).copied().unwrap_or(u32::MAX)
    }

    /// Stores a word, whatever its access kind: the hardware's own hand.
    pub(crate) fn set(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.words.get_mut(offset as usize / 4) {
            *word = value;
        }
    }

    /// Sets and clears bits with the hardware's own hand.
    pub(crate) fn change(&mut self, offset: u32, set: u32, clear: u32) {
        let value = self.get(offset) & !clear | set;
        self.set(offset, value);
    }

    /// Whether all of `bits` are set.
    pub(crate) fn has(&self, offset: u32, bits: u32) -> bool {
        self.get(offset) & bits == bits
    }

    fn kinds(&self, offset: u32) -> Kinds {
        let slot = self.layout.map.get(offset as usize / 4).copied().unwrap_or(0);
        let mut kinds = self.layout.kinds[usize::from(slot)];
        if slot == 0 && (STATISTICS..STATISTICS_END).contains(&offset) {
            kinds.add(u32::MAX, Access::ReadClear); // the counters all do (fact base 2.3.11)
        }
        kinds
    }

    /// A read over the bus, by access kinds alone.
    pub(crate) fn read(&mut self, offset: u32) -> u32 {
        let kinds = self.kinds(offset);
        let value = self.get(offset);
        self.set(offset, value & !kinds.read_clear | kinds.read_set);
        value & !kinds.write_only
    }

    /// A write over the bus, by access kinds alone.
    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        let kinds = self.kinds(offset);
        let stored = kinds.plain | kinds.read_set;
        let word = self.get(offset) & !(value & kinds.write_one_clear) | value & kinds.write_one_set;
        self.set(offset, word & !stored | value & stored);
    }

    /// The described register at a raw offset.
    pub(crate) fn describe(&self, offset: u32) -> Option<(&'static RegisterInfo, u16)> {
        let offset = offsets::canonical(self.chip, offset)?;
        self.layout.registers[usize::from(*self.layout.map.get(offset as usize / 4)?)]
    }

    /// The register's name with its index, or its offset.
    pub(crate) fn name(&self, offset: u32) -> String {
        match self.describe(offset) {
            Some((register, index)) if register.is_array => format!("{}[{index}]", register.name),
            Some((register, _)) => register.name.to_owned(),
            None => format!("{offset:#07x}"),
        }
    }
}
