//! Fields, of registers and of words, and the words themselves.

use super::{CAMEL, HAS, LOWER, Loader, UPPER, is_camel, is_lower, is_upper, origin};
use crate::diagnostic::Diagnostic;
use crate::model::{ChipSet, Field, Word, Words};
use crate::raw::{self, Access};
use serde_saphyr::Spanned;
use std::path::Path;

/// What a word's type has of its own.
const TAKEN: [&str; 4] = ["new", "from_bits", "into_bits", "fmt"];

impl Loader<'_> {
    #[allow(clippy::too_many_arguments, reason = "one call for registers, one for words")]
    pub(super) fn fields(
        &mut self,
        path: &Path,
        owner: &str,
        raw: Vec<Spanned<raw::Field>>,
        access: Access,
        chips: ChipSet,
        bits: u8,
        upper: bool,
    ) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        for field in raw {
            let at = field.referenced;
            let raw = field.value;
            let named = self.chip_set(path, raw.chips.as_ref(), chips);
            if named.and(chips) != named {
                let lacking = self.names(named.without(chips));
                let message = format!("field `{}` is on chips that have no `{owner}`: {lacking}", raw.name);
                self.say(Diagnostic::at(path, at, message).hint(HAS));
            }
            let fine = if upper {
                is_upper(&raw.name)
            } else {
                is_lower(&raw.name) && !TAKEN.contains(&raw.name.as_str())
            };
            if !fine {
                let hint =
                    if upper { UPPER.to_owned() } else { format!("{LOWER}; not {}", TAKEN.join(", ")) };
                self.say(Diagnostic::at(path, at, format!("`{}` is no field name", raw.name)).hint(hint));
            }
            if raw.bits.high >= bits {
                let message = format!("bit {} of `{owner}.{}`: there are {bits}", raw.bits.high, raw.name);
                self.say(
                    Diagnostic::at(path, at, message)
                        .hint(format!("the highest is {}", bits.saturating_sub(1))),
                );
                continue;
            }
            let source =
                raw.source.as_ref().map(|source| self.source(path, source.referenced, &source.value));
            let mut values: Vec<_> = raw.values.into_iter().collect();
            values.sort_by_key(|(_, value)| *value);
            let field = Field {
                name: raw.name,
                low: raw.bits.low,
                high: raw.bits.high,
                access: raw.access.unwrap_or(access),
                chips: named,
                doc: raw.doc,
                source,
                values,
            };
            for (name, value) in &field.values {
                if value & !(field.mask() >> field.low) != 0 {
                    let message = format!("value `{name}` = {value} does not fit {} bits", field.width());
                    let most = field.mask() >> field.low;
                    self.say(Diagnostic::at(path, at, message).hint(format!("the largest is {most}")));
                }
                if name.is_empty()
                    || !name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
                {
                    let hint = "upper-case letters, digits and _";
                    self.say(Diagnostic::at(path, at, format!("`{name}` is no name of a value")).hint(hint));
                }
            }
            for other in &fields {
                if other.name == field.name {
                    let hint = "where chips differ, give each its own name (`SIZE_A`, `SIZE_B`)";
                    self.say(
                        Diagnostic::at(path, at, format!("`{owner}.{}` is there twice", field.name))
                            .hint(hint),
                    );
                } else if other.mask() & field.mask() != 0 && !other.chips.and(field.chips).is_empty() {
                    let message = format!("`{owner}.{}` overlaps `{}`", field.name, other.name);
                    let hint = if upper { "fields may overlap only on different chips" } else { VIEWS };
                    self.say(Diagnostic::at(path, at, message).hint(hint));
                } else if !upper && other.mask() & field.mask() != 0 {
                    let message =
                        format!("`{owner}.{}` overlaps `{}` of another chip", field.name, other.name);
                    self.say(Diagnostic::at(path, at, message).hint(VIEWS));
                }
            }
            fields.push(field);
        }
        fields.sort_by_key(|field| (field.low, field.high));
        fields
    }

    pub(super) fn all_words(&mut self, names: &[String]) -> Vec<Words> {
        let mut all = Vec::new();
        for name in names {
            let path = self.dir.join(name);
            if let Some(file) = self.read::<raw::WordsFile>(name) {
                let (at, name) = (file.group.referenced, file.group.value);
                if !is_lower(&name) || name == "mod" {
                    let message = format!("`{name}` is no group name");
                    self.say(Diagnostic::at(&path, at, message).hint(format!("{LOWER}; mod is taken")));
                }
                let wide = file.address_bits.unwrap_or(8);
                if ![8, 16].contains(&wide) {
                    let message = format!("addresses of {wide} bits");
                    self.say(Diagnostic::at(&path, at, message).hint("`address_bits:` is 8 or 16"));
                }
                let words = file.words.into_iter().map(|word| self.word(&path, wide, word)).collect();
                all.push(Words { name, doc: file.doc, words, origin: origin(&path, at) });
            }
        }
        all
    }

    fn word(&mut self, path: &Path, wide: u8, word: Spanned<raw::Word>) -> Word {
        let at = word.referenced;
        let raw = word.value;
        if !is_camel(&raw.name) {
            self.say(Diagnostic::at(path, at, format!("`{}` is no name of a word", raw.name)).hint(CAMEL));
        }
        if ![8, 16, 32, 64].contains(&raw.bits) {
            let message = format!("`{}` has {} bits", raw.name, raw.bits);
            self.say(Diagnostic::at(path, at, message).hint("words have 8, 16, 32 or 64"));
        }
        let address_bits = if raw.device.is_some() { 16 } else { wide };
        if address_bits == 8 && raw.address.is_some_and(|address| address > 255) {
            let message = format!("`{}` is at address {}", raw.name, raw.address.unwrap_or(0));
            self.say(
                Diagnostic::at(path, at, message)
                    .hint("addresses have 8 bits, unless the file says `address_bits: 16`"),
            );
        }
        let bits = raw.bits.min(64);
        if raw.reset.is_some_and(|reset| reset.checked_shr(bits.into()).unwrap_or(0) != 0) {
            let message = format!("`{}`: its reset value does not fit {bits} bits", raw.name);
            self.say(Diagnostic::at(path, at, message).hint("`bits:` is the size of the word"));
        }
        let source = self.needed_source(path, at, &format!("word `{}`", raw.name), raw.source.as_ref());
        let chips = self.chip_set(path, raw.chips.as_ref(), self.all());
        let fields = self.fields(path, &raw.name, raw.fields, raw.access, chips, bits, false);
        let raw::Word { name, datasheet, bits, address, page, device, doc, access, reset, .. } = raw;
        let origin = origin(path, at);
        Word {
            name,
            datasheet,
            bits,
            address,
            address_bits,
            page,
            device,
            doc,
            source,
            access,
            chips,
            reset,
            fields,
            origin,
        }
    }
}

const VIEWS: &str = "a word is one Rust type: describe two views as two words";
