//! Registers and clusters of one file: where they are on each chip.

use super::{CAMEL, HAS, LOWER, Loader, UPPER, is_camel, is_lower, is_upper, origin};
use crate::diagnostic::Diagnostic;
use crate::model::{ChipSet, Cluster, Group, Piece, Place, Register};
use crate::raw::{self, Access};
use serde_saphyr::{Location, Spanned};
use std::path::Path;

impl Loader<'_> {
    pub(super) fn group(&mut self, path: &Path, file: raw::RegistersFile) -> Group {
        let (at, name) = (file.group.referenced, file.group.value);
        if !is_lower(&name) || matches!(name.as_str(), "chip" | "chips" | "meta" | "mod") {
            let hint = format!("{LOWER}; chip, chips, meta and mod are taken");
            self.say(Diagnostic::at(path, at, format!("`{name}` is no group name")).hint(hint));
        }
        let registers = file.registers.into_iter().map(|register| self.register(path, register)).collect();
        let clusters = file.clusters.into_iter().map(|cluster| self.cluster(path, cluster)).collect();
        Group { name, doc: file.doc, registers, clusters, origin: origin(path, at) }
    }

    fn cluster(&mut self, path: &Path, cluster: Spanned<raw::Cluster>) -> Cluster {
        let at = cluster.referenced;
        let raw::Cluster { name, method, count, doc, members } = cluster.value;
        if !is_camel(&name) {
            self.say(Diagnostic::at(path, at, format!("`{name}` is no cluster name")).hint(CAMEL));
        }
        if !is_lower(&method) {
            self.say(Diagnostic::at(path, at, format!("`{method}` is no method name")).hint(LOWER));
        }
        if !self.numbers.contains_key(&count) {
            self.unknown_number(path, at, &count);
        }
        Cluster { name, method, count, doc, members, origin: origin(path, at) }
    }

    fn register(&mut self, path: &Path, register: Spanned<raw::Register>) -> Register {
        let at = register.referenced;
        let mut raw = register.value;
        if !is_upper(&raw.name) {
            self.say(Diagnostic::at(path, at, format!("`{}` is no register name", raw.name)).hint(UPPER));
        }
        let what = format!("register `{}`", raw.name);
        let source = self.needed_source(path, at, &what, raw.source.as_ref());
        let named = self.chip_set(path, raw.chips.as_ref(), self.all());
        let (is_array, places) = self.places(path, at, &raw, named);
        let chips = places.iter().fold(ChipSet::default(), |set, place| set.or(place.chips));
        let fields = std::mem::take(&mut raw.fields);
        let mut fields = self.fields(path, &raw.name, fields, raw.access, named, 32, true);
        // A chip whose number of elements is 0 has no such array, whoever is named.
        fields.iter_mut().for_each(|field| field.chips = field.chips.and(chips));
        fields.retain(|field| !field.chips.is_empty());
        let raw::Register { name, doc, access, .. } = raw;
        let register =
            Register { name, doc, source, access, chips, is_array, places, fields, origin: origin(path, at) };
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
            let message =
                format!("bits {both:#x} of `{}` are data on one chip and act on another", register.name);
            self.say(
                Diagnostic::at(path, at, message).hint("describe them as two registers, each with its chips"),
            );
        }
    }

    fn places(
        &mut self,
        path: &Path,
        at: Location,
        raw: &raw::Register,
        chips: ChipSet,
    ) -> (bool, Vec<Place>) {
        let overrides = self.overrides(path, raw, chips);
        let is_array = raw.count.is_some() || overrides.iter().any(|(_, one)| one.count.is_some());
        let mut places: Vec<Place> = Vec::new();
        // Complaints that name chips: one for all chips that share it.
        let mut missing = ChipSet::default();
        let mut uneven: Vec<(u16, ChipSet)> = Vec::new();
        for chip in chips.iter() {
            let over = overrides.iter().find(|(set, _)| set.contains(chip)).map(|(_, one)| *one);
            let offset = over.and_then(|o| o.offset.as_ref()).or(raw.offset.as_ref());
            let stride = over.and_then(|o| o.stride).or(raw.stride);
            let count = over.and_then(|o| o.count.as_ref()).or(raw.count.as_ref());
            let moved = over.is_some_and(|o| o.offset.is_some());
            let pieces =
                over.and_then(|o| o.pieces.as_ref()).or(if moved { None } else { raw.pieces.as_ref() });
            let aliases =
                over.and_then(|o| o.aliases.as_ref()).or(if moved { None } else { raw.aliases.as_ref() });
            let total = match count {
                None => 1,
                Some(count) => match self.count(path, count.referenced, &count.value, chip) {
                    Some(total) => total,
                    None => continue,
                },
            };
            let pieces = match (pieces, offset) {
                (Some(pieces), _) => self.pieces(path, pieces, chip, total),
                (None, Some(offset)) => {
                    vec![Piece { first: 0, count: total, offset: offset.value, stride: stride.unwrap_or(0) }]
                }
                (None, None) => {
                    missing = missing.or(ChipSet(1 << chip));
                    continue;
                }
            };
            if pieces.iter().any(|piece| piece.count > 1 && piece.stride == 0) {
                let message = format!("array `{}` has no `stride`", raw.name);
                self.say(
                    Diagnostic::at(path, at, message).hint("add the bytes from one element to the next"),
                );
            }
            if !covers(&pieces, total) {
                match uneven.iter_mut().find(|(other, _)| *other == total) {
                    Some((_, set)) => *set = set.or(ChipSet(1 << chip)),
                    None => uneven.push((total, ChipSet(1 << chip))),
                }
            }
            let aliases = aliases.map(|aliases| self.pieces(path, aliases, chip, total)).unwrap_or_default();
            for piece in pieces.iter().chain(&aliases) {
                self.check_piece(path, at, &raw.name, piece);
            }
            let reset = over.and_then(|o| o.reset).or(raw.reset);
            let access = over.and_then(|o| o.access);
            let place = Place { chips: ChipSet(1 << chip), pieces, aliases, reset, access };
            match places.iter_mut().find(|other| Place { chips: place.chips, ..(*other).clone() } == place) {
                Some(same) => same.chips = same.chips.or(place.chips),
                None => places.push(place),
            }
        }
        if !missing.is_empty() {
            let message =
                format!("`{}` has neither `offset` nor `pieces` on {}", raw.name, self.names(missing));
            self.say(Diagnostic::at(path, at, message).hint("say where it is, or with `chips:` who has it"));
        }
        for (total, set) in uneven {
            let message = format!(
                "the pieces of `{}` are not its {total} elements, each once, on {}",
                raw.name,
                self.names(set)
            );
            self.say(
                Diagnostic::at(path, at, message).hint("`first` is the index of a piece's first element"),
            );
        }
        (is_array, places)
    }

    fn overrides<'a>(
        &mut self,
        path: &Path,
        raw: &'a raw::Register,
        chips: ChipSet,
    ) -> Vec<(ChipSet, &'a raw::Override)> {
        let mut overridden = ChipSet::default();
        let mut overrides = Vec::new();
        for one in &raw.overrides {
            let named = self.chip_set(path, Some(&one.value.chips), ChipSet::default());
            let set = named.and(chips);
            if set != named {
                let lacking = self.names(named.without(chips));
                let message = format!("override of `{}` for chips that have none: {lacking}", raw.name);
                self.say(Diagnostic::at(path, one.referenced, message).hint(HAS));
            }
            if !overridden.and(set).is_empty() {
                let message =
                    format!("`{}` is overridden twice for {}", raw.name, self.names(overridden.and(set)));
                self.say(
                    Diagnostic::at(path, one.referenced, message).hint("one override holds all that differs"),
                );
            }
            if let Some(source) = &one.value.source {
                self.source(path, source.referenced, &source.value);
            }
            if let Some(access) = one.value.access
                && (raw.access, access) != (Access::Rw, Access::Ro)
            {
                let message = format!("`{}` cannot have another access kind on some chips", raw.name);
                let hint =
                    "only `ro` where others have `rw`; else describe two registers, each with its chips";
                self.say(Diagnostic::at(path, one.referenced, message).hint(hint));
            }
            overridden = overridden.or(set);
            overrides.push((set, &one.value));
        }
        overrides
    }

    fn check_piece(&mut self, path: &Path, at: Location, name: &str, piece: &Piece) {
        if !piece.offset.is_multiple_of(4) || !piece.stride.is_multiple_of(4) {
            let message = format!("`{name}` at {:#x} is not aligned to 4 bytes", piece.offset);
            self.say(Diagnostic::at(path, at, message).hint("offset and stride are multiples of 4 bytes"));
        } else if piece.end() > u64::from(self.window) {
            let message =
                format!("`{name}` ends at {:#x}, beyond the window of {:#x} bytes", piece.end(), self.window);
            self.say(
                Diagnostic::at(path, at, message).hint("`window:` in chips.yaml is the size of the window"),
            );
        }
    }

    /// The pieces that stand for `chip`, cut at `total` elements.
    fn pieces(&mut self, path: &Path, raw: &[Spanned<raw::Piece>], chip: usize, total: u16) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for piece in raw {
            let at = piece.referenced;
            let piece = &piece.value;
            if let Some(list) = &piece.chips
                && !self.words(path, at, list).contains(chip)
            {
                continue;
            }
            let count = match &piece.count {
                None => 1,
                Some(count) => self.count(path, at, count, chip).unwrap_or(0),
            };
            let count = count.min(total.saturating_sub(piece.first));
            if count > 0 {
                pieces.push(Piece { first: piece.first, count, offset: piece.offset, stride: piece.stride });
            }
        }
        pieces
    }
}

/// Whether the pieces are elements 0 to `total`, each once.
fn covers(pieces: &[Piece], total: u16) -> bool {
    let mut runs: Vec<_> = pieces.iter().map(|piece| (piece.first, piece.count)).collect();
    runs.sort_unstable();
    let end = runs.iter().try_fold(0, |next, (first, count)| (*first == next).then(|| next + count));
    end == Some(total)
}
