//! The description as it is written: what serde reads, with the place of everything that can be wrong.

use schemars::JsonSchema;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;

/// `sources.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourcesFile {
    /// By id.
    pub sources: BTreeMap<String, Source>,
}

/// What a source id stands for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Title, with its revision.
    pub title: String,
    /// datasheet, manual, driver, emulator, standard or measured.
    pub kind: SourceKind,
}

/// What kind of evidence a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SourceKind {
    /// The maker's description of the chip.
    Datasheet,
    /// The maker's manual for programmers.
    Manual,
    /// A published standard.
    Standard,
    /// A public driver.
    Driver,
    /// An emulated device.
    Emulator,
    /// Seen by running something.
    Measured,
}

/// `chips.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChipsFile {
    /// All chips, oldest first.
    #[schemars(with = "Vec<Chip>")]
    pub chips: Vec<Spanned<Chip>>,
    /// What each key of the chips' `numbers` means.
    pub numbers: BTreeMap<String, String>,
    /// Short names of sets of chips.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ChipList>")]
    pub groups: BTreeMap<String, Spanned<ChipList>>,
    /// Bytes of the register window; 128 KiB if left out.
    #[serde(default)]
    pub window: Option<u32>,
}

/// One chip.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chip {
    /// As people write it.
    pub name: String,
    /// As Rust writes it.
    pub ident: String,
    /// What sets it apart.
    pub doc: String,
    /// Where that is said.
    pub source: String,
    /// Its numbers, by the keys that the file explains.
    pub numbers: BTreeMap<String, u32>,
    /// Its functions on the PCI bus.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// One PCI function kind.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// PCI device ID.
    pub id: u16,
    /// As lists of PCI IDs call it.
    pub name: String,
    /// What it is connected by, one lower-case word.
    pub media: String,
    /// Whether it is a virtual function.
    #[serde(default)]
    pub virtual_function: bool,
    /// Where it stands, if not where the chip does.
    #[serde(default)]
    pub source: Option<String>,
}

/// `registers/*.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistersFile {
    /// One word.
    #[schemars(with = "String")]
    pub group: Spanned<String>,
    /// What the group is about.
    pub doc: String,
    /// The registers.
    #[schemars(with = "Vec<Register>")]
    pub registers: Vec<Spanned<Register>>,
    /// Sets of arrays that belong to one queue or vector.
    #[serde(default)]
    #[schemars(with = "Vec<Cluster>")]
    pub clusters: Vec<Spanned<Cluster>>,
}

/// One register or array of registers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The datasheet's name, upper case.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// Where its facts come from.
    #[schemars(with = "Option<String>")]
    pub source: Option<Spanned<String>>,
    /// Its access kind, and its fields' unless they say otherwise.
    #[serde(default)]
    pub access: Access,
    /// The chips that have it.
    #[serde(default)]
    #[schemars(with = "Option<ChipList>")]
    pub chips: Option<Spanned<ChipList>>,
    /// Byte offset in the register window.
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    pub offset: Option<Spanned<u32>>,
    /// Bytes between elements.
    #[serde(default)]
    pub stride: Option<u32>,
    /// Number of elements.
    #[serde(default)]
    #[schemars(with = "Option<Count>")]
    pub count: Option<Spanned<Count>>,
    /// Runs of elements, where they do not lie in one row.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Piece>>")]
    pub pieces: Option<Vec<Spanned<Piece>>>,
    /// Other places at which it answers.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Piece>>")]
    pub aliases: Option<Vec<Spanned<Piece>>>,
    /// Value after a device reset.
    #[serde(default)]
    pub reset: Option<u32>,
    /// What differs on some chips.
    #[serde(default)]
    #[schemars(with = "Vec<Override>")]
    pub overrides: Vec<Spanned<Override>>,
    /// Its fields.
    #[serde(default)]
    #[schemars(with = "Vec<Field>")]
    pub fields: Vec<Spanned<Field>>,
}

/// A run of elements.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Index of the first.
    #[serde(default)]
    pub first: u16,
    /// How many; 1 if left out.
    #[serde(default)]
    pub count: Option<Count>,
    /// Offset of the first.
    pub offset: u32,
    /// Bytes between them.
    #[serde(default)]
    pub stride: u32,
    /// The chips for which it stands; all that have the register if left out.
    #[serde(default)]
    pub chips: Option<ChipList>,
}

/// What differs on some chips.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Which.
    #[schemars(with = "ChipList")]
    pub chips: Spanned<ChipList>,
    /// Instead of the register's.
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    pub offset: Option<Spanned<u32>>,
    /// Instead of the register's.
    #[serde(default)]
    pub stride: Option<u32>,
    /// Instead of the register's.
    #[serde(default)]
    #[schemars(with = "Option<Count>")]
    pub count: Option<Spanned<Count>>,
    /// Instead of the register's.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Piece>>")]
    pub pieces: Option<Vec<Spanned<Piece>>>,
    /// Instead of the register's.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Piece>>")]
    pub aliases: Option<Vec<Spanned<Piece>>>,
    /// Instead of the register's.
    #[serde(default)]
    pub reset: Option<u32>,
    /// `ro` where the others have `rw`.
    #[serde(default)]
    pub access: Option<Access>,
    /// Where this is said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub source: Option<Spanned<String>>,
}

/// One field.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The datasheet's name.
    pub name: String,
    /// `7`, or `"15:8"`.
    pub bits: Bits,
    /// What it is.
    pub doc: String,
    /// Its access kind; the register's if left out.
    #[serde(default)]
    pub access: Option<Access>,
    /// The chips that have it; all that have the register if left out.
    #[serde(default)]
    #[schemars(with = "Option<ChipList>")]
    pub chips: Option<Spanned<ChipList>>,
    /// Where its facts come from, if not where the register's do.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub source: Option<Spanned<String>>,
    /// Names of its values.
    #[serde(default)]
    pub values: BTreeMap<String, u64>,
}

/// The registers of one queue.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Name of the Rust type.
    pub name: String,
    /// Name of the method of `Regs`.
    pub method: String,
    /// How many there are.
    pub count: String,
    /// What it is.
    pub doc: String,
    /// Names of arrays.
    pub members: Vec<String>,
}

/// The files of a folder of words.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WordsFile {
    /// One word.
    #[schemars(with = "String")]
    pub group: Spanned<String>,
    /// What the group is about.
    pub doc: String,
    /// Bits of an address: 8 if left out, or 16. An MMD device's addresses always have 16.
    #[serde(default)]
    pub address_bits: Option<u8>,
    /// The words.
    #[schemars(with = "Vec<Word>")]
    pub words: Vec<Spanned<Word>>,
}

/// One word: a value, not a place.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// Name of the Rust type.
    pub name: String,
    /// The datasheet's name.
    #[serde(default)]
    pub datasheet: Option<String>,
    /// 8, 16, 32 or 64.
    pub bits: u8,
    /// Its address, where it has one: of a register, a word, a byte.
    #[serde(default)]
    pub address: Option<u16>,
    /// Page, where addresses have pages.
    #[serde(default)]
    pub page: Option<u16>,
    /// MMD device address, where it is a clause 45 register.
    #[serde(default)]
    pub device: Option<u8>,
    /// What it is.
    pub doc: String,
    /// Where its facts come from.
    #[schemars(with = "Option<String>")]
    pub source: Option<Spanned<String>>,
    /// Its access kind.
    #[serde(default)]
    pub access: Access,
    /// The chips that have it.
    #[serde(default)]
    #[schemars(with = "Option<ChipList>")]
    pub chips: Option<Spanned<ChipList>>,
    /// Value after a reset.
    #[serde(default)]
    pub reset: Option<u64>,
    /// Its fields.
    #[serde(default)]
    #[schemars(with = "Vec<Field>")]
    pub fields: Vec<Spanned<Field>>,
}

/// Access kinds, as the format page explains them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are the format's, explained on its page")]
pub enum Access {
    Ro,
    Wo,
    #[default]
    Rw,
    Rc,
    W1c,
    RcW1c,
    W1s,
    Rs,
    Sc,
    Trigger,
}

/// Names of chips and groups, `all`, and `!name` to take out again.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum ChipList {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl ChipList {
    /// The words, in order.
    pub fn words(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Many(words) => words,
        }
    }
}

impl<'de> Deserialize<'de> for ChipList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = ChipList;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a chip or group, or a list of them")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<ChipList, E> {
                Ok(ChipList::One(word.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, word: u64) -> Result<ChipList, E> {
                Ok(ChipList::One(word.to_string()))
            }
            fn visit_i64<E: de::Error>(self, word: i64) -> Result<ChipList, E> {
                Ok(ChipList::One(word.to_string()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ChipList, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element::<Self1>()? {
                    words.push(word.0);
                }
                Ok(ChipList::Many(words))
            }
        }
        /// A name, written with or without quotes (`82576` is a number to YAML).
        struct Self1(String);
        impl<'de> Deserialize<'de> for Self1 {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                ChipList::deserialize(deserializer).and_then(|list| match list {
                    ChipList::One(word) => Ok(Self(word)),
                    ChipList::Many(_) => Err(de::Error::custom("a list within a list of chips")),
                })
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// A number of elements, or the key of a chip's number.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Count {
    /// The same on every chip.
    Number(u16),
    /// By chip.
    Key(String),
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of elements or a key of the chips' numbers")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Count, E> {
                u16::try_from(count).map(Count::Number).map_err(|_| E::custom("more than 65535 elements"))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Count, E> {
                u16::try_from(count).map(Count::Number).map_err(|_| E::custom("a count is from 1 to 65535"))
            }
            fn visit_str<E: de::Error>(self, key: &str) -> Result<Count, E> {
                Ok(Count::Key(key.to_owned()))
            }
        }
        deserializer.deserialize_any(Word)
    }
}

/// Lowest and highest bit of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    /// Lowest.
    pub low: u8,
    /// Highest.
    pub high: u8,
}

impl JsonSchema for Bits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bits".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A bit number, or \"high:low\".",
            "oneOf": [{ "type": "integer", "minimum": 0, "maximum": 63 }, { "type": "string", "pattern": "^[0-9]+(:[0-9]+)?$" }]
        })
    }
}

impl<'de> Deserialize<'de> for Bits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Bits;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a bit number or \"high:low\"")
            }
            fn visit_u64<E: de::Error>(self, bit: u64) -> Result<Bits, E> {
                match u8::try_from(bit) {
                    Ok(bit) if bit < 64 => Ok(Bits { low: bit, high: bit }),
                    _ => Err(E::custom("a bit number is at most 63")),
                }
            }
            fn visit_i64<E: de::Error>(self, bit: i64) -> Result<Bits, E> {
                u64::try_from(bit)
                    .map_err(|_| E::custom("a bit number is not negative"))
                    .and_then(|bit| self.visit_u64(bit))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bits, E> {
                let (high, low) = text.split_once(':').unwrap_or((text, text));
                match (high.trim().parse::<u8>(), low.trim().parse::<u8>()) {
                    (Ok(high), Ok(low)) if low <= high && high < 64 => Ok(Bits { low, high }),
                    _ => Err(E::custom(format!("`{text}` is not a range of bits; write \"high:low\""))),
                }
            }
        }
        deserializer.deserialize_any(Word)
    }
}
