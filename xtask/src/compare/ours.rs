//! What a name of another description means in ours, and whether both say the same.
//!
//! A target is written as people would write it:
//!
//! ```text
//! RXDCTL               where the register is; of an array the first element, or each one by its index
//! IVAR[0]              where one element is
//! FHFT[n*64]           where every 64th element is: what they count are rows of 64
//! RCTL.RXEN            the bits of a field; several with `+`; the n-th bit of one with `FIELD[n]`
//! shift VLVF.POOLSEL   its lowest bit
//! CTRL.SPEED=1000      a value of a field where the field is; `bare` in front: by itself
//! phy MarvellStatus    a PHY register's address; `.field` and `=VALUE` as above
//! low TxData.dtyp      the same of descriptors: bits 31:0 or (`high`) 63:32 of the quadword
//! low shift TxData.idx         the lowest bit there; `low bare TxData.dtyp=DATA` a value by itself
//! number i350 rar_entries      one of a chip's numbers
//! device i350                  a PCI device ID of the chip
//! reset RXPBS                  a reset value
//! ```
//!
//! A chip's name and a colon in front (`i210: EECD.FLUPD`) limit the comparison to that chip.

use super::cpp::{Define, Names};
use igb_codegen::model::{ChipSet, Field, Register, Spec, Word};

/// What both sides say, where that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) theirs: String,
    pub(super) ours: String,
}

/// Why a target is none: it names what is not described.
pub(super) type Wrong = String;

fn differ(theirs: u32, ours: Option<u64>, whose: &str) -> Option<Difference> {
    if ours == Some(theirs.into()) {
        return None;
    }
    let ours = ours.map_or("nothing".to_owned(), |value| format!("{value:#x}"));
    Some(Difference { theirs: format!("{theirs:#x}"), ours: format!("{ours}{whose}") })
}

/// Compares `define` with what `target` is here.
pub(super) fn compare(
    spec: &Spec,
    names: &Names,
    define: &Define,
    target: &str,
) -> Result<Option<Difference>, Wrong> {
    let (chips, target) = match target.split_once(": ") {
        Some((chip, target)) => (ChipSet(1 << chip_number(spec, chip)?), target),
        None => (spec.all_chips(), target),
    };
    if let Some((kind, rest)) = target.split_once(' ') {
        let value = names.value(define, &[])?;
        return match kind {
            "shift" => {
                let (_, fields) = register_fields(spec, rest)?;
                Ok(differ(value, fields.first().map(|field| u64::from(field.low)), ""))
            }
            "bare" => Ok(differ(value, Some(register_value(spec, rest)?.1), "")),
            "phy" => word(spec.words("phy"), rest, value, 0),
            "low" => word(spec.words("descriptors"), rest, value, 0),
            "high" => word(spec.words("descriptors"), rest, value, 32),
            "number" => {
                let (chip, key) = rest.split_once(' ').ok_or("a number is of a chip and a key")?;
                let chip = &spec.chips[chip_number(spec, chip)?];
                let number = chip.numbers.get(key).ok_or_else(|| format!("chips have no number {key}"))?;
                Ok(differ(value, Some((*number).into()), ""))
            }
            "device" => {
                let chip = &spec.chips[chip_number(spec, rest)?];
                let found = chip.devices.iter().any(|device| u32::from(device.id) == value);
                Ok((!found).then(|| Difference {
                    theirs: format!("{value:#x}"),
                    ours: format!("no such device of the {rest}"),
                }))
            }
            "reset" => {
                let register = register(spec, rest)?;
                let resets: Vec<u32> = places(register, chips).filter_map(|place| place.reset).collect();
                match resets.as_slice() {
                    [] => Err(format!("{rest} has no reset value")),
                    [first, ..] if resets.contains(&value) || *first == value => Ok(None),
                    [first, ..] => Ok(differ(value, Some((*first).into()), "")),
                }
            }
            _ => Err(format!("`{kind}` is no kind of target")),
        };
    }
    if target.contains('=') {
        let value = names.value(define, &[])?;
        let (field, bare) = register_value(spec, target)?;
        return Ok(differ(value, Some(bare << field.low), ""));
    }
    if target.contains('.') {
        let value = names.value(define, &[])?;
        let (_, fields) = register_fields(spec, target)?;
        let mask = fields.iter().fold(0, |mask, field| mask | field.mask());
        return Ok(differ(value, Some(mask), ""));
    }
    offsets(spec, names, define, target, chips)
}

fn offsets(
    spec: &Spec,
    names: &Names,
    define: &Define,
    target: &str,
    chips: ChipSet,
) -> Result<Option<Difference>, Wrong> {
    let (name, index) =
        target.strip_suffix(']').and_then(|rest| rest.split_once('[')).unwrap_or((target, "n*1"));
    let parse = |number: &str| number.parse::<u16>().map_err(|_| format!("`[{index}]` is no index"));
    let (element, row) = match index.strip_prefix("n*") {
        Some(row) => (None, parse(row)?.max(1)),
        None => (Some(parse(index)?), 1),
    };
    let register = register(spec, name)?;
    if places(register, chips).next().is_none() {
        return Err(format!("{name} is on none of these chips"));
    }
    for place in places(register, chips) {
        let here = |index: u16, value: u32| {
            let at = |piece: &&igb_codegen::model::Piece| {
                piece.offsets().any(|(i, offset)| i == index && offset == value)
            };
            place.pieces.iter().chain(&place.aliases).any(|piece| at(&piece))
        };
        let last = place.pieces.iter().map(|piece| piece.first + piece.count).max().unwrap_or(0);
        let indices = match element {
            Some(element) => element..element + 1,
            None if define.parameters.is_some() => 0..last,
            None => 0..1,
        };
        for index in indices.step_by(row.into()) {
            let arguments = [i64::from(index / row)];
            let arguments =
                if define.parameters.is_some() && element.is_none() { &arguments[..] } else { &[] };
            let value = names.value(define, arguments)?;
            if !here(index, value) {
                let ours = place.pieces.iter().flat_map(|piece| piece.offsets()).find(|(i, _)| *i == index);
                let whose = format!(" on {}", spec.names(place.chips.and(chips)).join(" "));
                let mut found = differ(value, ours.map(|(_, offset)| offset.into()), &whose);
                if register.is_array
                    && let Some(found) = &mut found
                {
                    found.theirs.push_str(&format!(" for [{index}]"));
                }
                return Ok(found);
            }
        }
    }
    Ok(None)
}

fn places(register: &Register, chips: ChipSet) -> impl Iterator<Item = &igb_codegen::model::Place> {
    register.places.iter().filter(move |place| !place.chips.and(chips).is_empty())
}

fn chip_number(spec: &Spec, name: &str) -> Result<usize, Wrong> {
    spec.chips.iter().position(|chip| chip.name == name).ok_or_else(|| format!("no chip is called {name}"))
}

fn register<'a>(spec: &'a Spec, name: &str) -> Result<&'a Register, Wrong> {
    let found = spec.registers().find(|(_, register)| register.name == name);
    found.map(|(_, register)| register).ok_or_else(|| format!("no register is called {name}"))
}

/// `REGISTER.FIELD`, `REGISTER.FIELD+FIELD`, `REGISTER.FIELD[2]`.
fn register_fields(spec: &Spec, text: &str) -> Result<(String, Vec<Field>), Wrong> {
    let (name, list) = text.split_once('.').ok_or_else(|| format!("`{text}` names no field"))?;
    let register = register(spec, name)?;
    let one = |wanted: &str| {
        let (wanted, bit) = match wanted.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
            Some((wanted, bit)) => (wanted, Some(bit.parse::<u8>().map_err(|_| format!("[{bit}]"))?)),
            None => (wanted, None),
        };
        let field = register.fields.iter().find(|field| field.name == wanted);
        let mut field = field.ok_or_else(|| format!("{name} has no field {wanted}"))?.clone();
        if let Some(bit) = bit {
            if bit >= field.width() {
                return Err(format!("{name}.{wanted} has {} bits", field.width()));
            }
            (field.low, field.high) = (field.low + bit, field.low + bit);
        }
        Ok(field)
    };
    Ok((name.to_owned(), list.split('+').map(one).collect::<Result<_, Wrong>>()?))
}

/// `REGISTER.FIELD=VALUE`: the field, and the value by itself.
fn register_value(spec: &Spec, text: &str) -> Result<(Field, u64), Wrong> {
    let (field, value) = text.split_once('=').ok_or_else(|| format!("`{text}` names no value"))?;
    let (_, fields) = register_fields(spec, field)?;
    let field = fields.into_iter().next().ok_or_else(|| format!("`{field}` names no field"))?;
    let bare = value_of(&field, value)?;
    Ok((field, bare))
}

fn value_of(field: &Field, value: &str) -> Result<u64, Wrong> {
    let found = field.values.iter().find(|(name, _)| name == value).map(|(_, value)| *value);
    // A number may stand for itself where it needs no name.
    found
        .or_else(|| value.strip_prefix('#')?.parse().ok())
        .ok_or_else(|| format!("{} has no value {value}", field.name))
}

/// Compares with a part of a word whose bit `base` is their bit 0.
fn word(
    groups: &[igb_codegen::model::Words],
    text: &str,
    theirs: u32,
    base: u8,
) -> Result<Option<Difference>, Wrong> {
    let (kind, text) = text.split_once(' ').unwrap_or(("", text));
    let (name, rest) = text.split_once('.').unwrap_or((text, ""));
    let word = groups.iter().flat_map(|group| &group.words).find(|word| word.name == name);
    let word: &Word = word.ok_or_else(|| format!("no word is called {name}"))?;
    if rest.is_empty() {
        return Ok(differ(theirs, word.address.map(u64::from), ""));
    }
    let (list, value) = rest.split_once('=').map_or((rest, None), |(list, value)| (list, Some(value)));
    let mut bits = None;
    for wanted in list.split('+') {
        let field = word.fields.iter().find(|field| field.name == wanted);
        let field = field.ok_or_else(|| format!("{name} has no field {wanted}"))?;
        let Some(low) = field.low.checked_sub(base).filter(|low| low + field.width() <= 32) else {
            return Err(format!("{name}.{wanted} is not in these 32 bits"));
        };
        let mask = field.mask() >> field.low;
        *bits.get_or_insert(0) |= match (kind, value) {
            ("", Some(value)) => value_of(field, value)? << low,
            ("", None) => mask << low,
            ("bare", Some(value)) => value_of(field, value)?,
            ("shift", None) => low.into(),
            _ => return Err(format!("`{kind} {rest}` says nothing")),
        };
    }
    Ok(differ(theirs, bits, ""))
}

/// The target that a name has by rule, if what it names is there: `E1000_CTRL_EXT_RO_DIS` is `CTRL_EXT.RO_DIS`.
pub(super) fn by_rule(spec: &Spec, define: &Define) -> Option<String> {
    let name = define.name.strip_prefix("E1000_")?;
    if let Some(rest) = name.strip_prefix("DEV_ID_") {
        let rest = rest.to_ascii_lowercase().replace("dh89xxcc", "82580");
        return spec
            .chips
            .iter()
            .find(|chip| rest.starts_with(&chip.name))
            .map(|chip| format!("device {}", chip.name));
    }
    let known = |name: &str| spec.registers().any(|(_, register)| register.name == name);
    for plain in [name, name.strip_suffix("_REG").unwrap_or(name)] {
        if known(plain) {
            return Some(plain.to_owned());
        }
    }
    if let Some(plain) = name.strip_prefix("I210_").filter(|plain| known(plain)) {
        return Some(format!("i210: {plain}"));
    }
    if define.parameters.is_some() {
        return None;
    }
    // The longest register name that the name begins with.
    let registers = spec.registers().map(|(_, register)| register);
    let register = registers
        .filter(|register| name.strip_prefix(&register.name).is_some_and(|rest| rest.starts_with('_')))
        .max_by_key(|register| register.name.len())?;
    let rest = &name[register.name.len() + 1..];
    let shift = rest.strip_suffix("_SHIFT").or_else(|| rest.strip_suffix("_OFFSET"));
    let plain = shift.or_else(|| rest.strip_suffix("_MASK")).unwrap_or(rest);
    let field = |wanted: &str| register.fields.iter().find(|field| field.name == wanted);
    if field(plain).is_some() {
        let kind = if shift.is_some() { "shift " } else { "" };
        return Some(format!("{kind}{}.{plain}", register.name));
    }
    let split = rest.match_indices('_').map(|(at, _)| (&rest[..at], &rest[at + 1..]));
    let mut values = split.filter(|(name, value)| {
        field(name).is_some_and(|field| field.values.iter().any(|(known, _)| known == value))
    });
    values.next().map(|(field, value)| format!("{}.{field}={value}", register.name))
}

/// What of ours has the value of a name that nothing of ours is called: to be looked at by whoever adds it to the map.
pub(super) fn candidates(spec: &Spec, names: &Names, define: &Define) -> Vec<String> {
    let mut found = Vec::new();
    let arguments: &[i64] = if define.parameters.is_some() { &[0] } else { &[] };
    let Ok(value) = names.value(define, arguments) else { return found };
    let name = define.name.strip_prefix("E1000_").unwrap_or(&define.name);
    for (_, register) in spec.registers() {
        let at = register.places.iter().flat_map(|place| &place.pieces).any(|piece| piece.offset == value);
        if at && value > 0x1C {
            found.push(register.name.clone());
        }
        if !name.strip_prefix(&register.name).is_some_and(|rest| rest.starts_with('_')) {
            continue;
        }
        for field in &register.fields {
            if field.mask() == u64::from(value) {
                found.push(format!("{}.{}", register.name, field.name));
            }
            if name.ends_with("SHIFT") && u32::from(field.low) == value {
                found.push(format!("shift {}.{}", register.name, field.name));
            }
            for (known, number) in &field.values {
                if number << field.low == u64::from(value) && field.width() > 1 {
                    found.push(format!("{}.{}={known}", register.name, field.name));
                }
            }
        }
    }
    found
}
