//! From numbers to names: which register an offset is, and what the bits of a value say.

use crate::Chip;
use crate::meta::{FieldInfo, RegisterInfo, lookup};
use core::fmt;

/// The name of whatever a chip has at an offset.
///
/// Shows `CTRL`, `RDT[3]`, or `0x12345` where the chip has nothing that is described.
///
/// ```
/// use igb_regs::{Chip, Named};
///
/// assert_eq!(Named::new(Chip::I210, 0x0).to_string(), "CTRL");
/// assert_eq!(Named::new(Chip::I82576, 0xC118).to_string(), "RDT[4]");
/// assert_eq!(Named::new(Chip::I82576, 0x1FFFC).to_string(), "0x1fffc");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Named {
    offset: u32,
    found: Option<(&'static RegisterInfo, u16)>,
}

impl Named {
    /// What `chip` has at `offset`.
    pub fn new(chip: Chip, offset: u32) -> Self {
        Self { offset, found: lookup(chip, offset) }
    }

    /// The register and its index, if one is described.
    pub const fn register(&self) -> Option<(&'static RegisterInfo, u16)> {
        self.found
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some((register, index)) if register.is_array => write!(f, "{}[{index}]", register.name),
            Some((register, _)) => f.write_str(register.name),
            None => write!(f, "{:#07x}", self.offset),
        }
    }
}

/// A register's value in words: the fields that are not 0, in order of their bits.
///
/// A field of one bit shows its name, a wider one `NAME=value` with the value's name where it has one. Bits that no
/// field describes show as `?mask`.
///
/// ```
/// use igb_regs::{Chip, Decoded, STATUS};
///
/// assert_eq!(Decoded::new(Chip::I210, STATUS::OFFSET, 0x3).to_string(), "FD LU");
/// assert_eq!(Decoded::new(Chip::I210, STATUS::OFFSET, 0).to_string(), "");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Decoded {
    chip: Chip,
    value: u32,
    register: Option<&'static RegisterInfo>,
}

/// Fields and a value, as [`Decoded`] shows them.
struct Shown<I>(I, u32);

impl Decoded {
    /// `value`, read from or written to `offset`.
    pub fn new(chip: Chip, offset: u32, value: u32) -> Self {
        Self { chip, value, register: lookup(chip, offset).map(|(register, _)| register) }
    }

    /// The same of these fields, whatever register they are of. Bits of no field show if there is any field.
    pub fn of<'a>(fields: impl Iterator<Item = &'a FieldInfo> + Clone, value: u32) -> impl fmt::Display {
        Shown(fields, value)
    }

    /// The bits that are set and belong to no described field. All of them where the register has fields, none where
    /// it is one number.
    pub fn unknown(&self) -> u32 {
        match self.register {
            Some(register) if register.fields(self.chip).next().is_none() => 0,
            Some(register) => register.fields(self.chip).fold(self.value, |left, field| left & !field.mask()),
            None => self.value,
        }
    }
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.register.into_iter().flat_map(|register| register.fields(self.chip));
        Shown(fields, self.value).fmt(f)
    }
}

impl<'a, I: Iterator<Item = &'a FieldInfo> + Clone> fmt::Display for Shown<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut gap, mut unknown, mut any) = ("", self.1, false);
        for field in self.0.clone() {
            any = true;
            unknown &= !field.mask();
            let value = field.read(self.1);
            if value == 0 {
                continue;
            }
            write!(f, "{gap}{}", field.name)?;
            gap = " ";
            let named = field.values.iter().find(|(_, known)| *known == value);
            match (named, field.width) {
                (Some((name, _)), 2..) => write!(f, "={name}")?,
                (_, 1) => {}
                (_, 2..=16) if value < 10 => write!(f, "={value}")?,
                _ => write!(f, "={value:#x}")?,
            }
        }
        if any && unknown != 0 { write!(f, "{gap}?{unknown:#x}") } else { Ok(()) }
    }
}
