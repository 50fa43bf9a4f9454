//! The description as it is meant: every default filled in, every chip set and count resolved, every rule checked.

pub use crate::raw::{Access, Source, SourceKind};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where something is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was named to the loader.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

/// A set of chips; bit n is the n-th chip of the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChipSet(pub u16);

impl ChipSet {
    /// Whether chip number `chip` is in it.
    pub fn contains(self, chip: usize) -> bool {
        self.0 & 1 << chip != 0
    }

    /// Whether none is.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Numbers of its chips.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..16).filter(move |chip| self.contains(*chip))
    }
}

/// A whole description.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What source ids stand for.
    pub sources: BTreeMap<String, Source>,
    /// The chips, in order.
    pub chips: Vec<Chip>,
    /// What the chips' numbers mean.
    pub numbers: BTreeMap<String, String>,
    /// Groups of registers, by file name.
    pub groups: Vec<Group>,
    /// Values rather than places, by the folder that describes them.
    pub words: BTreeMap<String, Vec<Words>>,
    /// Bytes of the register window.
    pub window: u32,
}

impl Spec {
    /// All registers, in order of their groups.
    pub fn registers(&self) -> impl Iterator<Item = (&Group, &Register)> {
        self.groups.iter().flat_map(|group| group.registers.iter().map(move |register| (group, register)))
    }

    /// The words of one folder; none where there is no such folder.
    pub fn words(&self, folder: &str) -> &[Words] {
        self.words.get(folder).map_or(&[], Vec::as_slice)
    }

    /// Every chip of the description.
    pub fn all_chips(&self) -> ChipSet {
        ChipSet(u16::MAX >> (16 - self.chips.len()))
    }

    /// The names of a set's chips, as people write them.
    pub fn names(&self, set: ChipSet) -> Vec<&str> {
        set.iter().filter_map(|chip| self.chips.get(chip)).map(|chip| chip.name.as_str()).collect()
    }
}

pub use crate::raw::{Chip, Device};

/// The registers of one file.
#[derive(Debug, Clone)]
pub struct Group {
    /// One word.
    pub name: String,
    /// What it is about.
    pub doc: String,
    /// The registers.
    pub registers: Vec<Register>,
    /// Sets of arrays that belong together.
    pub clusters: Vec<Cluster>,
    /// Where it is described.
    pub origin: Origin,
}

/// One register or array.
#[derive(Debug, Clone)]
pub struct Register {
    /// The datasheet's name.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// Where its facts come from.
    pub source: String,
    /// Its access kind.
    pub access: Access,
    /// The chips that have it.
    pub chips: ChipSet,
    /// Whether it is an array, even of one element.
    pub is_array: bool,
    /// Where it is, by chip; no chip stands in two.
    pub places: Vec<Place>,
    /// Its fields, lowest bit first.
    pub fields: Vec<Field>,
    /// Where it is described.
    pub origin: Origin,
}

impl Register {
    /// The bits of fields whose kind is one of `kinds`; all 32 where the register has such a kind and no fields.
    pub fn mask(&self, kinds: &[Access]) -> u32 {
        let mask = |field: &Field| field.mask() as u32;
        if self.fields.is_empty() {
            return if kinds.contains(&self.access) { u32::MAX } else { 0 };
        }
        self.fields
            .iter()
            .filter(|field| kinds.contains(&field.access))
            .fold(0, |all, field| all | mask(field))
    }
}

/// Where a register is on some chips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The chips.
    pub chips: ChipSet,
    /// Its elements.
    pub pieces: Vec<Piece>,
    /// Other offsets at which they answer.
    pub aliases: Vec<Piece>,
    /// Value after a reset.
    pub reset: Option<u32>,
    /// Access kind, if not the register's.
    pub access: Option<Access>,
}

/// A run of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Index of the first.
    pub first: u16,
    /// How many.
    pub count: u16,
    /// Offset of the first.
    pub offset: u32,
    /// Bytes between them.
    pub stride: u32,
}

impl Piece {
    /// The first byte after its last element.
    pub fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.stride) * u64::from(self.count.saturating_sub(1)) + 4
    }

    /// Offsets of all elements, with their indices. They are within 32 bits in a checked description.
    pub fn offsets(self) -> impl Iterator<Item = (u16, u32)> {
        (0..self.count)
            .map(move |i| (self.first + i, self.offset.wrapping_add(u32::from(i).wrapping_mul(self.stride))))
    }
}

/// One field.
#[derive(Debug, Clone)]
pub struct Field {
    /// The datasheet's name.
    pub name: String,
    /// Lowest bit.
    pub low: u8,
    /// Highest bit.
    pub high: u8,
    /// Its access kind.
    pub access: Access,
    /// The chips that have it.
    pub chips: ChipSet,
    /// What it is.
    pub doc: String,
    /// Where its facts come from, if not where the register's do.
    pub source: Option<String>,
    /// Names of its values, smallest first.
    pub values: Vec<(String, u64)>,
}

impl Field {
    /// Number of bits.
    pub fn width(&self) -> u8 {
        self.high - self.low + 1
    }

    /// Its bits in place.
    pub fn mask(&self) -> u64 {
        (u64::MAX >> (64 - self.width())) << self.low
    }
}

/// The arrays of one queue.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Rust type.
    pub name: String,
    /// Method of `Regs`.
    pub method: String,
    /// Key of the chips' numbers.
    pub count: String,
    /// What it is.
    pub doc: String,
    /// Names of arrays.
    pub members: Vec<String>,
    /// Where it is described.
    pub origin: Origin,
}

/// The words of one file.
#[derive(Debug, Clone)]
pub struct Words {
    /// One word.
    pub name: String,
    /// What it is about.
    pub doc: String,
    /// The words.
    pub words: Vec<Word>,
    /// Where they are described.
    pub origin: Origin,
}

/// A value, not a place.
#[derive(Debug, Clone)]
pub struct Word {
    /// Rust type.
    pub name: String,
    /// The datasheet's name.
    pub datasheet: Option<String>,
    /// 8, 16, 32 or 64.
    pub bits: u8,
    /// Its address, where it has one.
    pub address: Option<u16>,
    /// Bits of such an address: 8 or 16.
    pub address_bits: u8,
    /// Page.
    pub page: Option<u16>,
    /// MMD device address.
    pub device: Option<u8>,
    /// What it is.
    pub doc: String,
    /// Where its facts come from.
    pub source: String,
    /// Its access kind.
    pub access: Access,
    /// The chips that have it.
    pub chips: ChipSet,
    /// Value after a reset.
    pub reset: Option<u64>,
    /// Its fields, lowest bit first; they do not overlap.
    pub fields: Vec<Field>,
    /// Where it is described.
    pub origin: Origin,
}
