//! From files to a checked [`Spec`]: reading, then the rules of the format page.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{ChipSet, Cluster, Field, Group, Piece, Place, Register, Spec, Word, Words};
use crate::raw::{self, Access, ChipList, Count};
use serde::de::DeserializeOwned;
use serde_saphyr::{Location, Spanned};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Larger files are not descriptions.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The register window: BAR 0 of every chip is at least this large.
const WINDOW_BYTES: u32 = 0x2_0000;

/// Reads and checks the description in `dir`. Everything that is wrong is said at once.
pub fn load(dir: &Path) -> Result<Spec, Diagnostics> {
    let mut loader = Loader { dir: dir.to_owned(), ..Loader::default() };
    let spec = loader.spec();
    match spec {
        Some(spec) if loader.wrong.is_empty() => Ok(spec),
        _ => Err(Diagnostics(loader.wrong)),
    }
}

#[derive(Default)]
struct Loader {
    dir: PathBuf,
    wrong: Vec<Diagnostic>,
    sources: BTreeMap<String, raw::Source>,
    chips: Vec<raw::Chip>,
    numbers: BTreeMap<String, String>,
    groups: BTreeMap<String, ChipSet>,
}

impl Loader {
    fn spec(&mut self) -> Option<Spec> {
        let sources: raw::SourcesFile = self.read(&self.dir.join("sources.yaml"))?;
        self.sources = sources.sources;
        let chips: raw::ChipsFile = self.read(&self.dir.join("chips.yaml"))?;
        self.chips(chips)?;
        let mut groups = Vec::new();
        for path in self.files("registers") {
            if let Some(file) = self.read::<raw::RegistersFile>(&path) {
                groups.push(self.group(&path, file));
            }
        }
        let phy = self.all_words("phy");
        let descriptors = self.all_words("descriptors");
        let spec = Spec {
            sources: std::mem::take(&mut self.sources),
            chips: self.chips.clone(),
            numbers: std::mem::take(&mut self.numbers),
            groups,
            phy,
            descriptors,
        };
        self.check_names(&spec);
        self.check_places(&spec);
        self.check_clusters(&spec);
        Some(spec)
    }

    fn say(&mut self, diagnostic: Diagnostic) {
        self.wrong.push(diagnostic);
    }

    fn read<T: DeserializeOwned>(&mut self, path: &Path) -> Option<T> {
        let size = fs::metadata(path).map(|data| data.len());
        let text = match size {
            Err(error) => Err(error.to_string()),
            Ok(size) if size > MAX_FILE_BYTES => Err(format!("{size} bytes; a description file has at most {MAX_FILE_BYTES}")),
            Ok(_) => fs::read_to_string(path).map_err(|error| error.to_string()),
        };
        match text {
            Err(error) => self.say(Diagnostic::file(path, format!("cannot be read: {error}"))),
            Ok(text) => match serde_saphyr::from_str(&text) {
                Ok(value) => return Some(value),
                Err(error) => {
                    let message = error.without_snippet().to_string();
                    let first = message.lines().next().unwrap_or("not understood").to_owned();
                    let place = error.location();
                    self.say(match place {
                        Some(location) => Diagnostic::at(path, location, first),
                        None => Diagnostic::file(path, first),
                    });
                }
            },
        }
        None
    }

    fn files(&mut self, below: &str) -> Vec<PathBuf> {
        let dir = self.dir.join(below);
        let Ok(entries) = fs::read_dir(&dir) else { return Vec::new() };
        let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        files.sort();
        files
    }

    fn chips(&mut self, file: raw::ChipsFile) -> Option<()> {
        let path = self.dir.join("chips.yaml");
        if file.chips.is_empty() || file.chips.len() > 16 {
            self.say(Diagnostic::file(&path, format!("{} chips; there are 1 to 16", file.chips.len())));
            return None;
        }
        let mut seen = BTreeSet::new();
        for chip in file.chips {
            let at = chip.referenced;
            let chip = chip.value;
            if !seen.insert(chip.name.to_lowercase()) {
                self.say(Diagnostic::at(&path, at, format!("chip `{}` is there twice", chip.name)));
            }
            self.source(&path, at, &chip.source);
            for key in file.numbers.keys().filter(|key| !chip.numbers.contains_key(*key)) {
                self.say(Diagnostic::at(&path, at, format!("chip `{}` has no number `{key}`", chip.name)));
            }
            for key in chip.numbers.keys().filter(|key| !file.numbers.contains_key(*key)) {
                let hint = "say what it means under `numbers:` at the end of the file";
                self.say(Diagnostic::at(&path, at, format!("number `{key}` is explained nowhere")).hint(hint));
            }
            self.chips.push(chip);
        }
        self.numbers = file.numbers;
        for (name, list) in file.groups {
            let set = self.chip_set(&path, Some(&list), self.all());
            self.groups.insert(name.to_lowercase(), set);
        }
        Some(())
    }

    fn all(&self) -> ChipSet {
        ChipSet(u16::MAX >> (16 - self.chips.len()))
    }

    fn chip_set(&mut self, path: &Path, list: Option<&Spanned<ChipList>>, default: ChipSet) -> ChipSet {
        let Some(list) = list else { return default };
        self.words(path, list.referenced, &list.value)
    }

    fn words(&mut self, path: &Path, at: Location, list: &ChipList) -> ChipSet {
        let mut set = ChipSet::default();
        for word in list.words() {
            let (out, name) = match word.strip_prefix('!') {
                Some(name) => (true, name.to_lowercase()),
                None => (false, word.to_lowercase()),
            };
            let chip = self.chips.iter().position(|chip| chip.name.to_lowercase() == name);
            let named = match chip {
                Some(chip) => ChipSet(1 << chip),
                None if name == "all" => self.all(),
                None => match self.groups.get(&name) {
                    Some(group) => *group,
                    None => {
                        let names: Vec<_> = self.chips.iter().map(|chip| chip.name.as_str()).collect();
                        let groups: Vec<_> = self.groups.keys().map(String::as_str).collect();
                        let hint = format!("chips are {}; groups are all {}", names.join(", "), groups.join(" "));
                        self.say(Diagnostic::at(path, at, format!("`{word}` is no chip and no group")).hint(hint));
                        continue;
                    }
                },
            };
            set = if out { set.without(named) } else { set.or(named) };
        }
        set
    }

    /// Checks a source reference and hands it on.
    fn source(&mut self, path: &Path, at: Location, text: &str) -> String {
        for entry in text.split(';') {
            let id = entry.split_whitespace().next().unwrap_or("");
            if !self.sources.contains_key(id) {
                let known: Vec<_> = self.sources.keys().map(String::as_str).collect();
                let hint = format!("sources.yaml knows {}", known.join(", "));
                self.say(Diagnostic::at(path, at, format!("source `{id}` is not in sources.yaml")).hint(hint));
            }
        }
        text.to_owned()
    }

    fn needed_source(&mut self, path: &Path, at: Location, what: &str, source: Option<&Spanned<String>>) -> String {
        match source {
            Some(source) => self.source(path, source.referenced, &source.value),
            None => {
                let hint = "add `source:` with an id of sources.yaml and the section";
                self.say(Diagnostic::at(path, at, format!("{what} has no source")).hint(hint));
                String::new()
            }
        }
    }

    fn group(&mut self, path: &Path, file: raw::RegistersFile) -> Group {
        let registers = file.registers.into_iter().map(|register| self.register(path, register)).collect();
        let clusters = file
            .clusters
            .into_iter()
            .map(|cluster| {
                let raw::Cluster { name, method, count, doc, members } = cluster.value;
                if !self.numbers.contains_key(&count) {
                    let message = format!("`{count}` is none of the chips' numbers");
                    self.say(Diagnostic::at(path, cluster.referenced, message));
                }
                Cluster { name, method, count, doc, members }
            })
            .collect();
        Group { name: file.group, doc: file.doc, registers, clusters }
    }

    fn register(&mut self, path: &Path, register: Spanned<raw::Register>) -> Register {
        let at = register.referenced;
        let mut raw = register.value;
        if !is_upper(&raw.name) {
            let hint = "registers have the datasheet's name in upper case: letters, digits and _";
            self.say(Diagnostic::at(path, at, format!("`{}` is no register name", raw.name)).hint(hint));
        }
        let what = format!("register `{}`", raw.name);
        let source = self.needed_source(path, at, &what, raw.source.as_ref());
        let chips = self.chip_set(path, raw.chips.as_ref(), self.all());
        let fields = std::mem::take(&mut raw.fields);
        let fields = self.fields(path, &raw.name, fields, raw.access, chips, 32);
        let (is_array, places) = self.places(path, at, &raw, chips);
        let register = Register { name: raw.name, doc: raw.doc, source, access: raw.access, chips, is_array, places, fields };
        self.check_quiet(path, at, &register);
        register
    }

    /// A bit that acts on a written 1 on one chip and holds data on another cannot have one `modify`.
    fn check_quiet(&mut self, path: &Path, at: Location, register: &Register) {
        const ACTS: [Access; 4] = [Access::W1c, Access::RcW1c, Access::W1s, Access::Trigger];
        if register.access != Access::Rw {
            return;
        }
        let both = register.mask(&ACTS) & register.mask(&[Access::Rw]);
        if both != 0 {
            let message = format!("bits {both:#x} of `{}` are data on one chip and act on another", register.name);
            self.say(Diagnostic::at(path, at, message).hint("describe them as two registers, each with its chips"));
        }
    }

    fn places(&mut self, path: &Path, at: Location, raw: &raw::Register, chips: ChipSet) -> (bool, Vec<Place>) {
        let mut overridden = ChipSet::default();
        let mut overrides = Vec::new();
        for one in &raw.overrides {
            let named = self.chip_set(path, Some(&one.value.chips), ChipSet::default());
            let set = named.and(chips);
            if set != named {
                let message = format!("override of `{}` for chips that do not have it", raw.name);
                self.say(Diagnostic::at(path, one.referenced, message));
            }
            if !overridden.and(set).is_empty() {
                let message = format!("`{}` is overridden twice for one chip", raw.name);
                self.say(Diagnostic::at(path, one.referenced, message));
            }
            if let Some(source) = &one.value.source {
                self.source(path, source.referenced, &source.value);
            }
            overridden = overridden.or(set);
            overrides.push((set, &one.value));
        }
        let is_array = raw.count.is_some() || overrides.iter().any(|(_, one)| one.count.is_some());
        let mut places: Vec<Place> = Vec::new();
        for chip in chips.iter() {
            let over = overrides.iter().find(|(set, _)| set.contains(chip)).map(|(_, one)| *one);
            let pick = |mine: Option<u32>, other: Option<u32>| mine.or(other);
            let offset = over.and_then(|o| o.offset.as_ref()).or(raw.offset.as_ref());
            let stride = pick(over.and_then(|o| o.stride), raw.stride);
            let count = over.and_then(|o| o.count.as_ref()).or(raw.count.as_ref());
            let moved = over.is_some_and(|o| o.offset.is_some());
            let pieces = over.and_then(|o| o.pieces.as_ref()).or(if moved { None } else { raw.pieces.as_ref() });
            let aliases = over.and_then(|o| o.aliases.as_ref()).or(if moved { None } else { raw.aliases.as_ref() });
            let total = match count {
                None => 1,
                Some(count) => self.count(path, count.referenced, &count.value, chip),
            };
            let pieces = match (pieces, offset) {
                (Some(pieces), _) => self.pieces(path, pieces, chip, Some(total)),
                (None, Some(offset)) => {
                    vec![Piece { first: 0, count: total, offset: offset.value, stride: stride.unwrap_or(0) }]
                }
                (None, None) => {
                    let message = format!("`{}` has neither `offset` nor `pieces` on {}", raw.name, self.chips[chip].name);
                    self.say(Diagnostic::at(path, at, message));
                    continue;
                }
            };
            if total > 1 && pieces.iter().any(|piece| piece.count > 1 && piece.stride == 0) {
                self.say(Diagnostic::at(path, at, format!("array `{}` has no `stride`", raw.name)));
            }
            let covered: u32 = pieces.iter().map(|piece| u32::from(piece.count)).sum();
            if covered < u32::from(total) {
                let chip = &self.chips[chip].name;
                let message = format!("`{}` has {total} elements on {chip}, and its pieces only {covered}", raw.name);
                self.say(Diagnostic::at(path, at, message));
            }
            let aliases = aliases.map(|aliases| self.pieces(path, aliases, chip, Some(total))).unwrap_or_default();
            for piece in pieces.iter().chain(&aliases) {
                let end = u64::from(piece.offset) + u64::from(piece.stride) * u64::from(piece.count.saturating_sub(1)) + 4;
                if !piece.offset.is_multiple_of(4) || !piece.stride.is_multiple_of(4) {
                    let message = format!("`{}` at {:#x} is not aligned to 4 bytes", raw.name, piece.offset);
                    self.say(Diagnostic::at(path, at, message));
                } else if end > u64::from(WINDOW_BYTES) {
                    let message = format!("`{}` ends at {end:#x}, beyond the window of {WINDOW_BYTES:#x} bytes", raw.name);
                    self.say(Diagnostic::at(path, at, message));
                }
            }
            let reset = over.and_then(|o| o.reset).or(raw.reset);
            let place = Place { chips: ChipSet(1 << chip), pieces, aliases, reset };
            match places.iter_mut().find(|p| (&p.pieces, &p.aliases, p.reset) == (&place.pieces, &place.aliases, place.reset)) {
                Some(same) => same.chips = same.chips.or(place.chips),
                None => places.push(place),
            }
        }
        places.dedup();
        self.wrong.dedup();
        (is_array, places)
    }

    fn count(&mut self, path: &Path, at: Location, count: &Count, chip: usize) -> u16 {
        match count {
            Count::Number(0) => {
                self.say(Diagnostic::at(path, at, "an array of no elements"));
                1
            }
            Count::Number(count) => *count,
            Count::Key(key) => match self.chips[chip].numbers.get(key) {
                Some(count) => u16::try_from(*count).unwrap_or(u16::MAX),
                None => {
                    let known: Vec<_> = self.numbers.keys().map(String::as_str).collect();
                    let hint = format!("chips.yaml has {}", known.join(", "));
                    self.say(Diagnostic::at(path, at, format!("`{key}` is none of the chips' numbers")).hint(hint));
                    1
                }
            },
        }
    }

    /// The pieces that stand for `chip`, cut at `total` elements.
    fn pieces(&mut self, path: &Path, raw: &[Spanned<raw::Piece>], chip: usize, total: Option<u16>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for piece in raw {
            let at = piece.referenced;
            let piece = &piece.value;
            if let Some(list) = &piece.chips
                && !self.words(path, at, list).contains(chip)
            {
                continue;
            }
            let count = piece.count.as_ref().map_or(1, |count| self.count(path, at, count, chip));
            let left = total.map_or(count, |total| total.saturating_sub(piece.first));
            if left > 0 {
                let count = count.min(left);
                pieces.push(Piece { first: piece.first, count, offset: piece.offset, stride: piece.stride });
            }
        }
        pieces
    }

    fn fields(
        &mut self,
        path: &Path,
        owner: &str,
        raw: Vec<Spanned<raw::Field>>,
        access: Access,
        chips: ChipSet,
        bits: u8,
    ) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        for field in raw {
            let at = field.referenced;
            let raw = field.value;
            let named = self.chip_set(path, raw.chips.as_ref(), chips);
            if named.and(chips) != named {
                let message = format!("field `{}` is on chips that have no `{owner}`", raw.name);
                self.say(Diagnostic::at(path, at, message));
            }
            if !raw.name.starts_with(|c: char| c.is_ascii_alphabetic()) || !raw.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let hint = "letters, digits and _, starting with a letter";
                self.say(Diagnostic::at(path, at, format!("`{}` is no field name", raw.name)).hint(hint));
            }
            if raw.bits.high >= bits {
                let message = format!("bit {} of `{owner}.{}`: there are {bits}", raw.bits.high, raw.name);
                self.say(Diagnostic::at(path, at, message));
                continue;
            }
            let source = raw.source.as_ref().map(|source| self.source(path, source.referenced, &source.value));
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
                    self.say(Diagnostic::at(path, at, message));
                }
            }
            for other in &fields {
                if other.name == field.name {
                    let hint = "where chips differ, give each its own name (`SIZE_82576`)";
                    self.say(Diagnostic::at(path, at, format!("`{owner}.{}` is there twice", field.name)).hint(hint));
                } else if other.mask() & field.mask() != 0 && !other.chips.and(field.chips).is_empty() {
                    let message = format!("`{owner}.{}` overlaps `{}`", field.name, other.name);
                    self.say(Diagnostic::at(path, at, message).hint("fields may overlap only on different chips"));
                }
            }
            fields.push(field);
        }
        fields.sort_by_key(|field| (field.low, field.high));
        fields
    }

    fn all_words(&mut self, below: &str) -> Vec<Words> {
        let mut all = Vec::new();
        for path in self.files(below) {
            if let Some(file) = self.read::<raw::WordsFile>(&path) {
                let words = file.words.into_iter().map(|word| self.word(&path, word)).collect();
                all.push(Words { name: file.group, doc: file.doc, words });
            }
        }
        all
    }

    fn word(&mut self, path: &Path, word: Spanned<raw::Word>) -> Word {
        let at = word.referenced;
        let raw = word.value;
        if ![8, 16, 32, 64].contains(&raw.bits) {
            self.say(Diagnostic::at(path, at, format!("`{}` has {} bits; words have 8, 16, 32 or 64", raw.name, raw.bits)));
        }
        let source = self.needed_source(path, at, &format!("word `{}`", raw.name), raw.source.as_ref());
        let chips = self.chip_set(path, raw.chips.as_ref(), self.all());
        let fields = self.fields(path, &raw.name, raw.fields, raw.access, chips, raw.bits.min(64));
        for pair in fields.windows(2) {
            if pair[0].high >= pair[1].low {
                let message = format!("`{}.{}` overlaps `{}`", raw.name, pair[1].name, pair[0].name);
                self.say(Diagnostic::at(path, at, message).hint("a word is one Rust type: describe views as two words"));
            }
        }
        let raw::Word { name, datasheet, bits, address, page, device, doc, access, reset, .. } = raw;
        Word { name, datasheet, bits, address, page, device, doc, source, access, chips, reset, fields }
    }

    fn check_names(&mut self, spec: &Spec) {
        let mut seen = BTreeMap::new();
        for (group, register) in spec.registers() {
            if let Some(other) = seen.insert(register.name.clone(), group.name.clone()) {
                let message = format!("register `{}` is in group `{other}` and in `{}`", register.name, group.name);
                self.say(Diagnostic::file(&self.dir.join("registers"), message));
            }
        }
        for words in [&spec.phy, &spec.descriptors] {
            let mut seen = BTreeSet::new();
            for word in words.iter().flat_map(|words| &words.words) {
                if !seen.insert(&word.name) {
                    self.say(Diagnostic::file(&self.dir, format!("word `{}` is there twice", word.name)));
                }
            }
        }
    }

    /// No chip has two registers at one offset.
    fn check_places(&mut self, spec: &Spec) {
        for (index, chip) in spec.chips.iter().enumerate() {
            let mut taken: BTreeMap<u32, &str> = BTreeMap::new();
            for (_, register) in spec.registers() {
                let Some(place) = register.places.iter().find(|place| place.chips.contains(index)) else { continue };
                for (_, offset) in place.pieces.iter().chain(&place.aliases).flat_map(|piece| piece.offsets()) {
                    match taken.insert(offset, &register.name) {
                        Some(other) => {
                            let message =
                                format!("{}: `{other}` and `{}` are both at {offset:#07x}", chip.name, register.name);
                            let diagnostic = Diagnostic::file(&self.dir.join("registers"), message);
                            self.say(diagnostic.hint("say with `chips:` who has which"));
                            break;
                        }
                        None => continue,
                    }
                }
            }
        }
    }

    fn check_clusters(&mut self, spec: &Spec) {
        for group in &spec.groups {
            for cluster in &group.clusters {
                for member in &cluster.members {
                    let register = spec.registers().map(|(_, register)| register).find(|r| &r.name == member);
                    if !register.is_some_and(|register| register.is_array) {
                        let message = format!("cluster `{}`: `{member}` is no array", cluster.name);
                        self.say(Diagnostic::file(&self.dir.join("registers"), message));
                    }
                }
            }
        }
    }
}

fn is_upper(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
