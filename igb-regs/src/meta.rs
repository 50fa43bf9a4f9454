//! What the generator knows of every register, as tables: for decoders, dumps, reference pages and simulators.
//!
//! The types are always here; the tables themselves (`REGISTERS`) need the feature `meta`.

use crate::Chip;

/// How a field or a register answers reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Read only; a write does nothing.
    ReadOnly,
    /// Write only; what a read gives means nothing.
    WriteOnly,
    /// Reads give what was written.
    ReadWrite,
    /// A read clears it.
    ReadClear,
    /// Writing 1 clears it.
    WriteOneClear,
    /// A read clears it, and so does writing 1.
    ReadClearWriteOneClear,
    /// Writing 1 sets it; writing 0 leaves it.
    WriteOneSet,
    /// A read sets it: a lock.
    ReadSet,
    /// Writing 1 starts something; the hardware clears it when done.
    SelfClearing,
    /// Writing starts something; it reads as it likes.
    Trigger,
}

impl Access {
    /// Whether a read changes nothing.
    pub const fn is_read_safe(self) -> bool {
        !matches!(self, Self::WriteOnly | Self::ReadClear | Self::ReadClearWriteOneClear | Self::ReadSet)
    }

    /// The specs' word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "ro",
            Self::WriteOnly => "wo",
            Self::ReadWrite => "rw",
            Self::ReadClear => "rc",
            Self::WriteOneClear => "w1c",
            Self::ReadClearWriteOneClear => "rc_w1c",
            Self::WriteOneSet => "w1s",
            Self::ReadSet => "rs",
            Self::SelfClearing => "sc",
            Self::Trigger => "trigger",
        }
    }
}

/// A chip that a table can be asked about: [`Chip`], or [`vf::Chip`](crate::vf::Chip) for the tables of virtual
/// functions.
pub trait Member: Copy {
    /// Its place in the description.
    fn position(self) -> u16;
}

impl Member for Chip {
    fn position(self) -> u16 {
        self as u16
    }
}

impl Member for crate::vf::Chip {
    fn position(self) -> u16 {
        self as u16
    }
}

/// A set of chips, of the description that its table was made from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChipSet(pub u16);

impl ChipSet {
    /// Whether `chip` is in the set.
    pub fn contains(self, chip: impl Member) -> bool {
        self.0 & 1 << chip.position() != 0
    }

    /// The chips in the set, oldest first.
    pub fn iter(self) -> impl Iterator<Item = Chip> {
        Chip::ALL.iter().copied().filter(move |chip| self.contains(*chip))
    }
}

impl core::fmt::Debug for ChipSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A run of equally spaced elements of a register array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Index of its first element.
    pub first: u16,
    /// Number of elements.
    pub count: u16,
    /// Byte offset of its first element.
    pub offset: u32,
    /// Bytes from one element to the next.
    pub stride: u32,
}

impl Piece {
    /// The index of the element at `offset`, if this piece has one there.
    pub const fn index_of(&self, offset: u32) -> Option<u16> {
        if offset < self.offset {
            return None;
        }
        let distance = offset - self.offset;
        if self.stride == 0 {
            return if distance == 0 { Some(self.first) } else { None };
        }
        let index = distance / self.stride;
        if distance.is_multiple_of(self.stride) && index < self.count as u32 {
            Some(self.first + index as u16)
        } else {
            None
        }
    }
}

/// Where a register sits on some chips, and what it holds there after a reset.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The chips that this place is true of.
    pub chips: ChipSet,
    /// Its elements; one piece of one element for a single register.
    pub pieces: &'static [Piece],
    /// Other offsets at which the same register answers.
    pub aliases: &'static [Piece],
    /// The value after a device reset, where a source gives one.
    pub reset: Option<u32>,
    /// Its access kind here, where that is not the register's: `ReadOnly` where other chips let one write.
    pub access: Option<Access>,
}

impl Place {
    /// Number of elements.
    pub fn count(&self) -> u16 {
        self.pieces.iter().map(|piece| piece.first + piece.count).max().unwrap_or(0)
    }

    /// The index of the element at `offset`, by its own pieces and by its aliases.
    pub fn index_of(&self, offset: u32) -> Option<u16> {
        self.pieces.iter().chain(self.aliases).find_map(|piece| piece.index_of(offset))
    }

    /// The offset of element `index`.
    pub fn offset_of(&self, index: u16) -> Option<u32> {
        let piece = self.pieces.iter().find(|p| (p.first..p.first + p.count).contains(&index))?;
        Some(piece.offset + u32::from(index - piece.first) * piece.stride)
    }
}

/// One register, or one array of them.
#[derive(Debug)]
pub struct RegisterInfo {
    /// The datasheet's name.
    pub name: &'static str,
    /// What it is, in a sentence or two.
    pub doc: &'static str,
    /// Functional group: the spec file it stands in.
    pub group: &'static str,
    /// Where the facts come from.
    pub source: &'static str,
    /// Its access kind as a whole.
    pub access: Access,
    /// Whether it is an array (even of one element).
    pub is_array: bool,
    /// Its places, each for some chips; no chip stands in two.
    pub places: &'static [Place],
    /// Its fields, lowest bit first. Fields of different chips may overlap.
    pub fields: &'static [FieldInfo],
}

impl RegisterInfo {
    /// Where it is on `chip`, if it is there.
    pub fn place(&self, chip: impl Member) -> Option<&'static Place> {
        self.places.iter().find(|place| place.chips.contains(chip))
    }

    /// Its fields on `chip`.
    pub fn fields<C: Member>(&self, chip: C) -> impl Iterator<Item = &'static FieldInfo> + Clone + use<C> {
        self.fields.iter().filter(move |field| field.chips.contains(chip))
    }

    /// Its access kind on `chip`.
    pub fn access(&self, chip: impl Member) -> Access {
        self.place(chip).and_then(|place| place.access).unwrap_or(self.access)
    }

    /// Whether reading it on `chip` changes nothing, judged by every field.
    pub fn is_read_safe(&self, chip: impl Member) -> bool {
        self.access.is_read_safe() && self.fields(chip).all(|field| field.access.is_read_safe())
    }

    /// The bits of `access` kind `kind` on `chip`: by its fields, and by the register's kind where no field is named.
    pub fn mask(&self, chip: impl Member, kind: Access) -> u32 {
        if let Some(access) = self.place(chip).and_then(|place| place.access) {
            return if access == kind { u32::MAX } else { 0 };
        }
        let named = self.fields(chip).fold(0, |mask, field| mask | field.mask());
        let of_fields =
            self.fields(chip).filter(|field| field.access == kind).fold(0, |mask, field| mask | field.mask());
        if self.access == kind && named == 0 { u32::MAX } else { of_fields }
    }
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// The datasheet's name.
    pub name: &'static str,
    /// Lowest bit.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
    /// Its access kind.
    pub access: Access,
    /// The chips that have it.
    pub chips: ChipSet,
    /// What it is.
    pub doc: &'static str,
    /// Where its facts come from, where that is not the register's source.
    pub source: Option<&'static str>,
    /// Names of its values.
    pub values: &'static [(&'static str, u32)],
}

impl FieldInfo {
    /// Its bits in place.
    pub const fn mask(&self) -> u32 {
        (u32::MAX >> (32 - self.width as u32)) << self.shift
    }

    /// Its value in `word`, shifted down.
    pub const fn read(&self, word: u32) -> u32 {
        (word & self.mask()) >> self.shift
    }
}

/// One word that is a value rather than a place: a PHY register, a word of the NVM, a quadword of a descriptor, a
/// message, a field of the PCI configuration space.
#[derive(Debug)]
pub struct WordInfo {
    /// The name of its Rust type, where one is generated.
    pub name: &'static str,
    /// The datasheet's name.
    pub datasheet: Option<&'static str>,
    /// What it is a word of: `phy`, `descriptors`, `nvm`, `mailbox`, `pci`, `tables`.
    pub folder: &'static str,
    /// The spec file it stands in.
    pub group: &'static str,
    /// 8, 16, 32 or 64.
    pub bits: u8,
    /// MMD device address, of a clause 45 register.
    pub device: Option<u8>,
    /// Page, where addresses have pages.
    pub page: Option<u16>,
    /// Its address, where it has one.
    pub address: Option<u16>,
    /// Value after a reset, where a source gives one.
    pub reset: Option<u64>,
    /// What it is.
    pub doc: &'static str,
    /// Where the facts come from.
    pub source: &'static str,
    /// Its access kind.
    pub access: Access,
    /// The chips that have it.
    pub chips: ChipSet,
    /// Its fields, lowest bit first; they do not overlap.
    pub fields: &'static [WordFieldInfo],
}

/// One field of a word.
#[derive(Debug, Clone, Copy)]
pub struct WordFieldInfo {
    /// Its name.
    pub name: &'static str,
    /// Lowest bit.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
    /// Its access kind.
    pub access: Access,
    /// The chips that have it.
    pub chips: ChipSet,
    /// What it is.
    pub doc: &'static str,
    /// Names of its values.
    pub values: &'static [(&'static str, u64)],
}

impl WordFieldInfo {
    /// Its bits in place.
    pub const fn mask(&self) -> u64 {
        (u64::MAX >> (64 - self.width as u32)) << self.shift
    }

    /// Its value in `word`, shifted down.
    pub const fn read(&self, word: u64) -> u64 {
        (word & self.mask()) >> self.shift
    }
}

#[cfg(feature = "meta")]
pub use crate::generated::meta::{REGISTERS, WORDS};

/// The registers that a virtual function shows its driver. Their chips are [`vf::Chip`](crate::vf::Chip)'s.
#[cfg(feature = "meta")]
pub use crate::vf::meta::REGISTERS as VF_REGISTERS;

/// The register that a virtual function of `chip` has at `offset`, with its index in an array.
#[cfg(feature = "meta")]
pub fn vf_lookup(chip: crate::vf::Chip, offset: u32) -> Option<(&'static RegisterInfo, u16)> {
    VF_REGISTERS.iter().find_map(|register| Some((register, register.place(chip)?.index_of(offset)?)))
}

/// The word of that name, ours or the datasheet's, of any folder. Where several have the datasheet's name, the first.
#[cfg(feature = "meta")]
pub fn word_by_name(name: &str) -> Option<&'static WordInfo> {
    let ours = WORDS.iter().find(|word| word.name.eq_ignore_ascii_case(name));
    ours.or_else(|| {
        WORDS.iter().find(|word| word.datasheet.is_some_and(|theirs| theirs.eq_ignore_ascii_case(name)))
    })
}

/// The register that `chip` has at `offset`, with its index in an array.
#[cfg(feature = "meta")]
pub fn lookup(chip: Chip, offset: u32) -> Option<(&'static RegisterInfo, u16)> {
    REGISTERS.iter().find_map(|register| Some((register, register.place(chip)?.index_of(offset)?)))
}

/// The register of that name.
#[cfg(feature = "meta")]
pub fn by_name(name: &str) -> Option<&'static RegisterInfo> {
    REGISTERS.iter().find(|register| register.name.eq_ignore_ascii_case(name))
}
