//! Rules that need the whole description: names that meet in one place of the generated Rust, offsets that two
//! registers share, clusters.

use super::Loader;
use crate::diagnostic::Diagnostic;
use crate::model::{ChipSet, Field, Origin, Register, Spec};
use std::collections::{BTreeMap, BTreeSet};

/// Types that the generated code has already.
const TYPES: [&str; 22] = [
    "B",
    "Bus",
    "Chip",
    "Device",
    "Field",
    "FieldValue",
    "Media",
    "Modify",
    "None",
    "Option",
    "Read",
    "ReadClear",
    "ReadSet",
    "Reg",
    "Register",
    "RegisterLongName",
    "Regs",
    "Some",
    "UnknownChip",
    "Write",
    "WriteClear",
    "WriteSet",
];
/// Methods that `Regs` has already.
const METHODS: [&str; 5] = ["new", "bus", "chip", "clone", "fmt"];

/// Names of one room, each with where it comes from.
#[derive(Default)]
struct Room<'a>(BTreeMap<String, Option<&'a Origin>>);

impl<'a> Room<'a> {
    fn with(taken: &[&str]) -> Self {
        Self(taken.iter().map(|name| ((*name).to_owned(), None)).collect())
    }

    /// Takes a name; says who has it already.
    fn take(&mut self, name: String, origin: &'a Origin) -> Result<(), String> {
        match self.0.insert(name, Some(origin)) {
            None => Ok(()),
            Some(None) => Err("the generated code has one already".to_owned()),
            Some(Some(other)) => {
                Err(format!("the first is at {}:{}:{}", other.file.display(), other.line, other.column))
            }
        }
    }
}

impl Loader<'_> {
    fn taken(&mut self, origin: &Origin, message: String, hint: String) {
        self.say(Diagnostic::from_origin(origin, message).hint(hint));
    }

    pub(super) fn check_names(&mut self, spec: &Spec) {
        let mut files = Room::default();
        for group in &spec.groups {
            if let Err(hint) = files.take(group.name.clone(), &group.origin) {
                self.taken(&group.origin, format!("group `{}` is there twice", group.name), hint);
            }
        }
        let mut types = Room::with(&TYPES);
        let mut methods = Room::with(&METHODS);
        for (_, register) in spec.registers() {
            if let Err(hint) = types.take(register.name.clone(), &register.origin) {
                self.taken(&register.origin, format!("register `{}` is there twice", register.name), hint);
                continue;
            }
            let method = register.name.to_lowercase();
            let more = [format!("try_{method}"), format!("{method}_at")].into_iter();
            let more = more.filter(|_| register.is_array);
            if matches!(method.as_str(), "self" | "super" | "crate") {
                let message = format!("register `{}`: `{method}` cannot be a method", register.name);
                self.taken(&register.origin, message, "Rust keeps the word for itself".to_owned());
            }
            for method in more.chain([method]) {
                if let Err(hint) = methods.take(method.clone(), &register.origin) {
                    let message =
                        format!("register `{}`: there is a method `{method}` already", register.name);
                    self.taken(&register.origin, message, hint);
                }
            }
            self.check_constants(&register.name, &register.origin, &register.fields, &["OFFSET"], &[]);
        }
        for cluster in spec.groups.iter().flat_map(|group| &group.clusters) {
            if let Err(hint) = types.take(cluster.name.clone(), &cluster.origin) {
                self.taken(&cluster.origin, format!("cluster `{}`: the name is taken", cluster.name), hint);
            }
            if let Err(hint) = methods.take(cluster.method.clone(), &cluster.origin) {
                let message =
                    format!("cluster `{}`: there is a method `{}` already", cluster.name, cluster.method);
                self.taken(&cluster.origin, message, hint);
            }
        }
        for groups in spec.words.values() {
            let (mut words, mut files) = (Room::default(), Room::default());
            for group in groups {
                if let Err(hint) = files.take(group.name.clone(), &group.origin) {
                    self.taken(&group.origin, format!("group `{}` is there twice", group.name), hint);
                }
                for word in &group.words {
                    if let Err(hint) = words.take(word.name.clone(), &word.origin) {
                        self.taken(&word.origin, format!("word `{}` is there twice", word.name), hint);
                    }
                    let taken = ["ADDRESS", "PAGE", "DEVICE", "RESET"];
                    self.check_constants(&word.name, &word.origin, &word.fields, &taken, &["BITS", "OFFSET"]);
                }
            }
        }
    }

    /// Fields and values become constants of one type. `taken` are constants that the type has, `suffixes` ones that
    /// it has for every field.
    fn check_constants(
        &mut self,
        owner: &str,
        origin: &Origin,
        fields: &[Field],
        taken: &[&str],
        suffixes: &[&str],
    ) {
        let mut constants = Room::with(taken);
        let mut seen = BTreeSet::new();
        for field in fields.iter().filter(|field| seen.insert(&field.name)) {
            let upper = field.name.to_uppercase();
            let own = suffixes.iter().map(|suffix| format!("{upper}_{suffix}"));
            let values = field.values.iter().map(|(value, _)| format!("{upper}_{value}"));
            // A word's fields are methods, not constants.
            let field = suffixes.is_empty().then(|| upper.clone());
            for constant in own.chain(field).chain(values) {
                if constants.take(constant.clone(), origin).is_err() {
                    let message = format!("`{owner}` gets two constants `{constant}`");
                    let hint = "a value is called FIELD_VALUE: give one of the two another name";
                    self.taken(origin, message, hint.to_owned());
                }
            }
        }
    }

    /// No chip has two registers at one offset.
    pub(super) fn check_places(&mut self, spec: &Spec) {
        let mut shared: BTreeMap<(&str, &str), (&Register, u32, ChipSet)> = BTreeMap::new();
        for chip in 0..spec.chips.len() {
            let mut taken: BTreeMap<u32, &str> = BTreeMap::new();
            for (_, register) in spec.registers() {
                let Some(place) = register.places.iter().find(|place| place.chips.contains(chip)) else {
                    continue;
                };
                let pieces = place.pieces.iter().chain(&place.aliases);
                // What has no stride or ends outside has been told of.
                let window = u64::from(self.window);
                let inside =
                    pieces.filter(|piece| piece.end() <= window && (piece.count == 1 || piece.stride != 0));
                for (_, offset) in inside.flat_map(|piece| piece.offsets()) {
                    if let Some(other) = taken.insert(offset, &register.name) {
                        let entry = shared.entry((other, &register.name)).or_insert((
                            register,
                            offset,
                            ChipSet::default(),
                        ));
                        entry.2 = entry.2.or(ChipSet(1 << chip));
                    }
                }
            }
        }
        for ((other, name), (register, offset, chips)) in shared {
            let on = self.names(chips);
            let (message, hint) = if other == name {
                (
                    format!("`{name}` has two elements at {offset:#07x} on {on}"),
                    "see its stride, pieces and aliases",
                )
            } else {
                (
                    format!("`{name}` is at {offset:#07x} on {on}, where `{other}` is"),
                    "say with `chips:` who has which",
                )
            };
            self.say(Diagnostic::from_origin(&register.origin, message).hint(hint));
        }
    }

    pub(super) fn check_clusters(&mut self, spec: &Spec) {
        for cluster in spec.groups.iter().flat_map(|group| &group.clusters) {
            for (index, member) in cluster.members.iter().enumerate() {
                let found =
                    spec.registers().map(|(_, register)| register).find(|register| &register.name == member);
                let (message, hint) = match found {
                    None => (format!("there is no register `{member}`"), "members are names of registers"),
                    Some(register) if !register.is_array => (
                        format!("`{member}` is no array"),
                        "every member is an array over the cluster's count",
                    ),
                    Some(_) if cluster.members[..index].contains(member) => {
                        (format!("`{member}` is there twice"), "name each member once")
                    }
                    Some(register) => {
                        let fewer = fewer(spec, register, &cluster.count);
                        if fewer.is_empty() {
                            continue;
                        }
                        let names = self.names(fewer);
                        (
                            format!("`{member}` has fewer elements than `{}` on {names}", cluster.count),
                            "give both one count",
                        )
                    }
                };
                let message = format!("cluster `{}`: {message}", cluster.name);
                self.say(Diagnostic::from_origin(&cluster.origin, message).hint(hint));
            }
        }
    }
}

/// The chips on which an array is there, but not as often as `count` says.
fn fewer(spec: &Spec, register: &Register, count: &str) -> ChipSet {
    let needed = |chip: usize| spec.chips[chip].numbers.get(count).copied().unwrap_or(0);
    let short = register.places.iter().flat_map(|place| {
        let elements: u32 = place.pieces.iter().map(|piece| u32::from(piece.count)).sum();
        place.chips.iter().filter(move |chip| elements < needed(*chip)).collect::<Vec<_>>()
    });
    short.fold(ChipSet::default(), |set, chip| set.or(ChipSet(1 << chip)))
}
