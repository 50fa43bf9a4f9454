//! A sequence of accesses as text that reads beside the datasheet: one access a line, by name, with runs made short.

use crate::wrappers::Access;
use crate::{Chip, Decoded, Named};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;

/// One line per access. Accesses of equal kind and value to elements of an array in a row become `MTA[0..=127]`; the
/// same read with the same answer again and again becomes `×n`.
pub(crate) fn text(chip: Chip, accesses: &[Access]) -> String {
    let mut text = String::new();
    let mut rest = accesses;
    while let [first, ..] = rest {
        let run = array_run(chip, rest);
        let repeats = rest.iter().take_while(|access| *access == first).count();
        let name = Named::new(chip, first.offset);
        let (name, used, times) = match (run, name.register()) {
            (2.., Some((register, index))) => {
                (format!("{}[{index}..={}]", register.name, usize::from(index) + run - 1), run, 1)
            }
            _ => (name.to_string(), repeats, repeats),
        };
        let kind = if first.write { 'W' } else { 'R' };
        let fields = Decoded::new(chip, first.offset, first.value).to_string();
        let mut line = format!("{kind} {name:<14} {:08x}", first.value);
        if !fields.is_empty() {
            line += &format!("  {fields}");
        }
        if times > 1 {
            line += &format!("  ×{times}");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
        rest = &rest[used..];
    }
    text
}

/// How many accesses at the start of `rest` do the same to elements n, n+1, n+2, … of one array.
fn array_run(chip: Chip, rest: &[Access]) -> usize {
    let element = |access: &Access| {
        let (register, index) = Named::new(chip, access.offset).register()?;
        register.is_array.then_some((register.name, index))
    };
    let Some((first, (name, start))) = rest.first().and_then(|first| Some((first, element(first)?))) else {
        return 1;
    };
    rest.iter()
        .enumerate()
        .take_while(|(n, access)| {
            (access.write, access.value) == (first.write, first.value)
                && u16::try_from(*n).is_ok_and(|n| element(access) == Some((name, start.saturating_add(n))))
        })
        .count()
}
