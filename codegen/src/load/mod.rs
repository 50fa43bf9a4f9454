//! From files to a checked [`Spec`]: reading, chips and sources here; registers, words and the rules that need the
//! whole description below.

mod fields;
mod registers;
mod texts;
mod whole;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{ChipSet, Origin, Spec, Words};
use crate::raw::{self, ChipList, Count};
use serde::de::DeserializeOwned;
use serde_saphyr::{Location, Spanned};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use texts::{Folder, Texts};

/// Larger files are not descriptions.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads and checks the description in `dir`. Everything that is wrong is said at once.
pub fn load(dir: &Path) -> Result<Spec, Diagnostics> {
    load_from(&Folder(dir), dir)
}

/// Checks a description that is in memory: its files by their names within the description's folder, as
/// `registers/port.yaml`.
pub fn load_texts(texts: &BTreeMap<String, Vec<u8>>) -> Result<Spec, Diagnostics> {
    load_from(texts, Path::new(""))
}

fn load_from(texts: &dyn Texts, dir: &Path) -> Result<Spec, Diagnostics> {
    let mut loader = Loader {
        texts,
        dir: dir.to_owned(),
        wrong: Vec::new(),
        said: HashSet::new(),
        sources: BTreeMap::new(),
        chips: Vec::new(),
        numbers: BTreeMap::new(),
        groups: BTreeMap::new(),
        window: 0,
    };
    let spec = loader.spec();
    match spec {
        Some(spec) if loader.wrong.is_empty() => Ok(spec),
        _ => Err(Diagnostics(loader.wrong)),
    }
}

struct Loader<'a> {
    texts: &'a dyn Texts,
    dir: PathBuf,
    wrong: Vec<Diagnostic>,
    said: HashSet<Diagnostic>,
    sources: BTreeMap<String, raw::Source>,
    chips: Vec<raw::Chip>,
    numbers: BTreeMap<String, String>,
    groups: BTreeMap<String, ChipSet>,
    window: u32,
}

impl Loader<'_> {
    fn spec(&mut self) -> Option<Spec> {
        let sources: raw::SourcesFile = self.read("sources.yaml")?;
        self.sources = sources.sources;
        let chips: raw::ChipsFile = self.read("chips.yaml")?;
        self.chips(chips)?;
        let mut groups = Vec::new();
        for name in self.texts.below("registers") {
            if let Some(file) = self.read::<raw::RegistersFile>(&name) {
                groups.push(self.group(&self.dir.join(&name), file));
            }
        }
        let words = self.folders();
        let spec = Spec {
            sources: std::mem::take(&mut self.sources),
            chips: self.chips.clone(),
            numbers: std::mem::take(&mut self.numbers),
            groups,
            words,
            window: self.window,
        };
        self.check_names(&spec);
        self.check_places(&spec);
        self.check_clusters(&spec);
        Some(spec)
    }

    /// Notes what is wrong; the same is noted once.
    fn say(&mut self, diagnostic: Diagnostic) {
        if self.said.insert(diagnostic.clone()) {
            self.wrong.push(diagnostic);
        }
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let path = self.dir.join(name);
        let size = self.texts.size(name);
        if size > MAX_FILE_BYTES {
            let message = format!("{size} bytes, and a description file has at most {MAX_FILE_BYTES}");
            self.say(Diagnostic::file(&path, message).hint("give each functional group its own file"));
            return None;
        }
        let text = match self.texts.read(name) {
            Ok(text) => text,
            Err(error) => {
                let hint =
                    "a description is a folder with sources.yaml, chips.yaml and registers/*.yaml, in UTF-8";
                self.say(Diagnostic::file(&path, format!("cannot be read: {error}")).hint(hint));
                return None;
            }
        };
        match serde_saphyr::from_str(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.say(Diagnostic::of_yaml(&path, &error));
                None
            }
        }
    }

    /// The folders of words: all beside `registers` but those that are descriptions of their own.
    fn folders(&mut self) -> BTreeMap<String, Vec<Words>> {
        let mut words = BTreeMap::new();
        for folder in self.texts.folders() {
            let names = self.texts.below(&folder);
            if folder == "registers" || names.is_empty() || names.contains(&format!("{folder}/chips.yaml")) {
                continue;
            }
            if !is_lower(&folder) {
                let message = format!("`{folder}` is no name of a folder of words");
                self.say(Diagnostic::file(&self.dir.join(&folder), message).hint(LOWER));
                continue;
            }
            let read = self.all_words(&names);
            words.insert(folder, read);
        }
        words
    }

    fn chips(&mut self, file: raw::ChipsFile) -> Option<()> {
        let path = self.dir.join("chips.yaml");
        if file.chips.is_empty() || file.chips.len() > 16 {
            self.say(
                Diagnostic::file(&path, format!("{} chips", file.chips.len())).hint("there are 1 to 16"),
            );
            return None;
        }
        self.window = file.window.unwrap_or(0x2_0000);
        let (mut names, mut idents, mut ids) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut unexplained = BTreeSet::new();
        for chip in file.chips {
            let at = chip.referenced;
            let chip = chip.value;
            if chip.name.trim().is_empty()
                || chip.name.starts_with('!')
                || chip.name.eq_ignore_ascii_case("all")
            {
                self.say(
                    Diagnostic::at(&path, at, format!("`{}` is no chip name", chip.name))
                        .hint("as people write it; not `all`, and no `!` in front"),
                );
            }
            if !names.insert(chip.name.to_lowercase()) {
                self.say(
                    Diagnostic::at(&path, at, format!("chip `{}` is there twice", chip.name))
                        .hint("in upper or lower case, a name is one chip"),
                );
            }
            if !is_camel(&chip.ident) || matches!(chip.ident.as_str(), "Crate" | "Super") {
                let message = format!("chip `{}`: `{}` is no name of a Rust variant", chip.name, chip.ident);
                self.say(Diagnostic::at(&path, at, message).hint(CAMEL));
            } else if !idents.insert(chip.ident.to_lowercase()) {
                let message = format!("chip `{}`: another chip has the ident `{}`", chip.name, chip.ident);
                self.say(Diagnostic::at(&path, at, message).hint("an ident is one chip's"));
            }
            self.source(&path, at, &chip.source);
            for key in file.numbers.keys().filter(|key| !chip.numbers.contains_key(*key)) {
                let message = format!("chip `{}` has no number `{key}`", chip.name);
                self.say(Diagnostic::at(&path, at, message).hint("every chip says every number; 0 is one"));
            }
            for key in chip.numbers.keys().filter(|key| !file.numbers.contains_key(*key)) {
                if !unexplained.insert(key.clone()) {
                    continue;
                }
                let hint = "say what it means under `numbers:` at the end of the file";
                self.say(
                    Diagnostic::at(&path, at, format!("number `{key}` is explained nowhere")).hint(hint),
                );
            }
            for device in &chip.devices {
                if !ids.insert(device.id) {
                    let message = format!("chip `{}`: device {:#06x} is there twice", chip.name, device.id);
                    self.say(Diagnostic::at(&path, at, message).hint("an ID is one chip's"));
                }
                if !is_word(&device.media) {
                    let message = format!("chip `{}`: `{}` is no medium", chip.name, device.media);
                    self.say(Diagnostic::at(&path, at, message).hint(LOWER));
                }
                if let Some(source) = &device.source {
                    self.source(&path, at, source);
                }
            }
            self.chips.push(chip);
        }
        for key in file.numbers.keys().filter(|key| !is_lower(key) || key.as_str() == "name") {
            self.say(Diagnostic::file(&path, format!("`{key}` is no name of a number")).hint(LOWER));
        }
        self.numbers = file.numbers;
        for (name, list) in file.groups {
            let at = list.referenced;
            if name == "all" || name.starts_with('!') || names.contains(&name.to_lowercase()) {
                self.say(
                    Diagnostic::at(
                        &path,
                        at,
                        format!("`{name}` is a chip, or a word of this format; no group"),
                    )
                    .hint("give the group another name"),
                );
            }
            let set = self.chip_set(&path, Some(&list), self.all());
            self.groups.insert(name.to_lowercase(), set);
        }
        Some(())
    }

    fn all(&self) -> ChipSet {
        ChipSet(u16::MAX >> (16 - self.chips.len()))
    }

    /// Names of a set's chips.
    fn names(&self, set: ChipSet) -> String {
        let names: Vec<_> =
            set.iter().filter_map(|chip| self.chips.get(chip)).map(|chip| chip.name.as_str()).collect();
        names.join(", ")
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
                        let groups: Vec<_> = self.groups.keys().map(String::as_str).collect();
                        let hint = format!(
                            "chips are {}; groups are all {}",
                            self.names(self.all()),
                            groups.join(" ")
                        );
                        let message = format!("`{word}` is no chip and no group");
                        self.say(Diagnostic::at(path, at, message).hint(hint.trim()));
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
                self.say(
                    Diagnostic::at(path, at, format!("source `{id}` is not in sources.yaml")).hint(hint),
                );
            }
        }
        text.to_owned()
    }

    fn needed_source(
        &mut self,
        path: &Path,
        at: Location,
        what: &str,
        source: Option<&Spanned<String>>,
    ) -> String {
        match source {
            Some(source) => self.source(path, source.referenced, &source.value),
            None => {
                let hint = "add `source:` with an id of sources.yaml and the section";
                self.say(Diagnostic::at(path, at, format!("{what} has no source")).hint(hint));
                String::new()
            }
        }
    }

    /// The number of elements on one chip; none where the chip's number is 0.
    fn count(&mut self, path: &Path, at: Location, count: &Count, chip: usize) -> Option<u16> {
        match count {
            Count::Number(0) => {
                let message = "an array of no elements";
                self.say(
                    Diagnostic::at(path, at, message).hint("leave chips that have none out of `chips:`"),
                );
                None
            }
            Count::Number(count) => Some(*count),
            Count::Key(key) => match self.chips[chip].numbers.get(key).copied() {
                Some(0) => None,
                Some(count) => u16::try_from(count).ok().or_else(|| {
                    let message = format!(
                        "`{key}` is {count} on {}; an array has at most 65535",
                        self.chips[chip].name
                    );
                    self.say(
                        Diagnostic::at(path, at, message)
                            .hint("describe a table as memory, not as registers"),
                    );
                    None
                }),
                None => {
                    self.unknown_number(path, at, key);
                    None
                }
            },
        }
    }

    fn unknown_number(&mut self, path: &Path, at: Location, key: &str) {
        if self.numbers.contains_key(key) {
            return; // That chip's entry lacks it, which is said there.
        }
        let known: Vec<_> = self.numbers.keys().map(String::as_str).collect();
        let hint = format!("chips.yaml has {}", known.join(", "));
        self.say(Diagnostic::at(path, at, format!("`{key}` is none of the chips' numbers")).hint(hint));
    }
}

fn origin(path: &Path, at: Location) -> Origin {
    Origin { file: path.to_owned(), line: at.line(), column: at.column() }
}

const HAS: &str = "`chips:` of the register says who has it";
const UPPER: &str = "upper-case letters, digits and _, starting with a letter";
const LOWER: &str = "lower-case letters, digits and _, starting with a letter";
const CAMEL: &str = "letters and digits, starting with an upper-case letter";

fn is_upper(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// A name that Rust takes for a method, if need be with `r#`.
fn is_lower(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !matches!(name, "self" | "super" | "crate")
}

fn is_camel(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && name != "Self"
}

/// What a variant's name can be made of.
fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
        && name != "self"
}
