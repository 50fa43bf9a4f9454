//! The description as JSON, every default filled in: for other languages and for reports. The layout is these types;
//! their JSON Schema is published beside the others.

use crate::model::{self, Access, SourceKind, Spec, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the layout; it rises when a key changes its meaning or goes away.
pub const VERSION: u32 = 2;

/// The whole description.
pub fn spec(spec: &Spec) -> serde_json::Value {
    // Strings and numbers in maps with string keys are always JSON.
    serde_json::to_value(Description::new(spec)).unwrap_or_default()
}

/// A whole description.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Version of this layout; it rises when a key changes its meaning or goes away.
    pub version: u32,
    /// What the ids in `source` stand for.
    pub sources: BTreeMap<String, Source>,
    /// What the chips' numbers mean.
    pub numbers: BTreeMap<String, String>,
    /// Bytes of the register window.
    pub window: u32,
    /// The chips, oldest first.
    pub chips: Vec<Chip>,
    /// What each group of registers is about.
    pub groups: BTreeMap<String, String>,
    /// All registers, by group.
    pub registers: Vec<Register>,
    /// Values rather than places, by the folder that describes them.
    pub words: BTreeMap<String, Vec<WordInfo>>,
}

/// What a source id stands for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Title, with its revision.
    pub title: String,
    /// What kind of evidence it is.
    pub kind: SourceKind,
}

/// One chip.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chip {
    /// As people write it.
    pub name: String,
    /// What sets it apart.
    pub doc: String,
    /// Where that is said.
    pub source: String,
    /// Its numbers.
    pub numbers: BTreeMap<String, u32>,
    /// Its functions on the PCI bus.
    pub devices: Vec<Device>,
}

/// One PCI function kind.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// PCI device ID.
    pub id: u16,
    /// As lists of PCI IDs call it.
    pub name: String,
    /// What it is connected by.
    pub media: String,
    /// Whether it is a virtual function.
    pub virtual_function: bool,
}

/// One register, or one array of them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The datasheet's name.
    pub name: String,
    /// The file that it stands in.
    pub group: String,
    /// What it is.
    pub doc: String,
    /// Where its facts come from.
    pub source: String,
    /// Its access kind.
    pub access: Access,
    /// The chips that have it.
    pub chips: Vec<String>,
    /// Whether it is an array, even of one element.
    pub array: bool,
    /// Where it is; no chip stands in two.
    pub places: Vec<Place>,
    /// Its fields, lowest bit first. Fields of different chips may overlap.
    pub fields: Vec<Field>,
}

/// Where a register is on some chips.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The chips.
    pub chips: Vec<String>,
    /// Its elements.
    pub pieces: Vec<Piece>,
    /// Other offsets at which they answer.
    pub aliases: Vec<Piece>,
    /// Value after a reset, where a source gives one.
    pub reset: Option<u32>,
    /// Access kind, if not the register's.
    pub access: Option<Access>,
}

/// A run of elements.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Index of the first.
    pub first: u16,
    /// How many.
    pub count: u16,
    /// Byte offset of the first.
    pub offset: u32,
    /// Bytes between them.
    pub stride: u32,
}

/// One field.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
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
    pub chips: Vec<String>,
    /// What it is.
    pub doc: String,
    /// Where its facts come from.
    pub source: String,
    /// Names of its values.
    pub values: BTreeMap<String, u64>,
}

/// One word: a value, not a place.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WordInfo {
    /// Its name.
    pub name: String,
    /// The file that it stands in.
    pub group: String,
    /// The datasheet's name.
    pub datasheet: Option<String>,
    /// 8, 16, 32 or 64.
    pub bits: u8,
    /// MMD device address.
    pub device: Option<u8>,
    /// Page.
    pub page: Option<u16>,
    /// Its address.
    pub address: Option<u16>,
    /// What it is.
    pub doc: String,
    /// Where its facts come from.
    pub source: String,
    /// Its access kind.
    pub access: Access,
    /// The chips that have it.
    pub chips: Vec<String>,
    /// Value after a reset.
    pub reset: Option<u64>,
    /// Its fields, lowest bit first; they do not overlap.
    pub fields: Vec<Field>,
}

impl Description {
    /// What `spec` says.
    pub fn new(spec: &Spec) -> Self {
        let names = Names(spec);
        let source = |source: &model::Source| Source { title: source.title.clone(), kind: source.kind };
        let words = |groups: &Vec<model::Words>| {
            let one = |group: &model::Words| {
                group.words.iter().map(|one| names.word(&group.name, one)).collect::<Vec<_>>()
            };
            groups.iter().flat_map(one).collect()
        };
        Self {
            version: VERSION,
            sources: spec.sources.iter().map(|(id, one)| (id.clone(), source(one))).collect(),
            numbers: spec.numbers.clone(),
            window: spec.window,
            chips: spec.chips.iter().map(chip).collect(),
            groups: spec.groups.iter().map(|group| (group.name.clone(), text(&group.doc))).collect(),
            registers: spec.registers().map(|(group, one)| names.register(&group.name, one)).collect(),
            words: spec.words.iter().map(|(folder, groups)| (folder.clone(), words(groups))).collect(),
        }
    }
}

/// A doc text of several lines is one.
pub(super) fn text(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn chip(chip: &model::Chip) -> Chip {
    let device = |device: &model::Device| Device {
        id: device.id,
        name: device.name.clone(),
        media: device.media.clone(),
        virtual_function: device.virtual_function,
    };
    Chip {
        name: chip.name.clone(),
        doc: text(&chip.doc),
        source: chip.source.clone(),
        numbers: chip.numbers.clone(),
        devices: chip.devices.iter().map(device).collect(),
    }
}

fn piece(piece: &model::Piece) -> Piece {
    Piece { first: piece.first, count: piece.count, offset: piece.offset, stride: piece.stride }
}

struct Names<'a>(&'a Spec);

impl Names<'_> {
    fn of(&self, set: model::ChipSet) -> Vec<String> {
        self.0.names(set).into_iter().map(str::to_owned).collect()
    }

    fn register(&self, group: &str, register: &model::Register) -> Register {
        let place = |place: &model::Place| Place {
            chips: self.of(place.chips),
            pieces: place.pieces.iter().map(piece).collect(),
            aliases: place.aliases.iter().map(piece).collect(),
            reset: place.reset,
            access: place.access,
        };
        Register {
            name: register.name.clone(),
            group: group.to_owned(),
            doc: text(&register.doc),
            source: register.source.clone(),
            access: register.access,
            chips: self.of(register.chips),
            array: register.is_array,
            places: register.places.iter().map(place).collect(),
            fields: register.fields.iter().map(|one| self.field(one, &register.source)).collect(),
        }
    }

    fn field(&self, field: &model::Field, source: &str) -> Field {
        Field {
            name: field.name.clone(),
            low: field.low,
            high: field.high,
            access: field.access,
            chips: self.of(field.chips),
            doc: text(&field.doc),
            source: field.source.as_deref().unwrap_or(source).to_owned(),
            values: field.values.iter().cloned().collect(),
        }
    }

    fn word(&self, group: &str, word: &Word) -> WordInfo {
        WordInfo {
            name: word.name.clone(),
            group: group.to_owned(),
            datasheet: word.datasheet.clone(),
            bits: word.bits,
            device: word.device,
            page: word.page,
            address: word.address,
            doc: text(&word.doc),
            source: word.source.clone(),
            access: word.access,
            chips: self.of(word.chips),
            reset: word.reset,
            fields: word.fields.iter().map(|one| self.field(one, &word.source)).collect(),
        }
    }
}
