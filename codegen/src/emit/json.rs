//! The description as JSON, every default filled in: for other languages and for reports.

use crate::model::{Field, Piece, Register, Spec, Word};
use serde_json::{Value, json};

/// Version of the layout; it rises when a key changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// The whole description.
pub fn spec(spec: &Spec) -> Value {
    json!({
        "version": VERSION,
        "sources": spec.sources.iter().map(|(id, source)| {
            (id.clone(), json!({ "title": source.title, "kind": source.kind }))
        }).collect::<serde_json::Map<_, _>>(),
        "chips": spec.chips.iter().map(|chip| json!({
            "name": chip.name,
            "doc": chip.doc,
            "source": chip.source,
            "numbers": chip.numbers,
            "devices": chip.devices.iter().map(|device| json!({
                "id": device.id, "name": device.name, "media": device.media, "virtual_function": device.virtual_function,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "registers": spec.registers().map(|(group, one)| register(spec, &group.name, one)).collect::<Vec<_>>(),
        "phy": words(spec, &spec.phy),
        "descriptors": words(spec, &spec.descriptors),
    })
}

fn register(spec: &Spec, group: &str, register: &Register) -> Value {
    json!({
        "name": register.name,
        "group": group,
        "doc": register.doc.trim(),
        "source": register.source,
        "access": register.access,
        "chips": spec.names(register.chips),
        "array": register.is_array,
        "places": register.places.iter().map(|place| json!({
            "chips": spec.names(place.chips),
            "pieces": place.pieces.iter().map(piece).collect::<Vec<_>>(),
            "aliases": place.aliases.iter().map(piece).collect::<Vec<_>>(),
            "reset": place.reset,
            "access": place.access,
        })).collect::<Vec<_>>(),
        "fields": register.fields.iter().map(|one| field(spec, one, &register.source)).collect::<Vec<_>>(),
    })
}

fn piece(piece: &Piece) -> Value {
    json!({ "first": piece.first, "count": piece.count, "offset": piece.offset, "stride": piece.stride })
}

fn field(spec: &Spec, field: &Field, source: &str) -> Value {
    json!({
        "name": field.name,
        "low": field.low,
        "high": field.high,
        "access": field.access,
        "chips": spec.names(field.chips),
        "doc": field.doc.trim(),
        "source": field.source.as_deref().unwrap_or(source),
        "values": field.values.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>(),
    })
}

fn words(spec: &Spec, groups: &[crate::model::Words]) -> Vec<Value> {
    groups.iter().flat_map(|group| group.words.iter().map(|one| word(spec, &group.name, one))).collect()
}

fn word(spec: &Spec, group: &str, word: &Word) -> Value {
    json!({
        "name": word.name,
        "group": group,
        "datasheet": word.datasheet,
        "bits": word.bits,
        "device": word.device,
        "page": word.page,
        "address": word.address,
        "doc": word.doc.trim(),
        "source": word.source,
        "access": word.access,
        "chips": spec.names(word.chips),
        "reset": word.reset,
        "fields": word.fields.iter().map(|one| field(spec, one, &word.source)).collect::<Vec<_>>(),
    })
}
