//! One handle type for every register. Which verbs it has is decided by marker traits on the register's tag; the
//! bounds stand on the methods, so that a wrong verb is a compile error in our own words.

use crate::Bus;
use core::fmt;
use core::marker::PhantomData;
use tock_registers::fields::{Field, FieldValue};
use tock_registers::{LocalRegisterCopy, RegisterLongName};

/// A typed copy of a register's value: fields are picked from it without a further access.
///
/// It has the methods of tock-registers' `LocalRegisterCopy`; printed with `{:?}` it shows the value and the fields
/// that are not 0. It does not know its chip: where chips have different fields in the same bits, all their names
/// stand there.
///
/// ```
/// use igb_regs::{CTRL, DTXCTL, Snapshot, STATUS};
///
/// let status = Snapshot::<STATUS>::new(0x3);
/// assert!(status.is_set(STATUS::LU));
/// assert_eq!(format!("{status:?}"), "STATUS {value: 0x00000003, FD: 1, LU: 1}");
/// assert_eq!(format!("{:?}", Snapshot::<CTRL>::new(0)), "CTRL {value: 0x00000000}");
/// assert_eq!(
///     format!("{:?}", Snapshot::<DTXCTL>::new(0x4)),
///     "DTXCTL {value: 0x00000004, IEEE8023LL|ENABLE_SPOOF_QUEUE: 1}"
/// );
/// ```
pub struct Snapshot<R: Register>(LocalRegisterCopy<u32, R>);

impl<R: Register> Snapshot<R> {
    /// A value that was read earlier, or elsewhere.
    #[inline]
    pub const fn new(value: u32) -> Self {
        Self(LocalRegisterCopy::new(value))
    }
}

impl<R: Register> core::ops::Deref for Snapshot<R> {
    type Target = LocalRegisterCopy<u32, R>;
    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<R: Register + Copy> Clone for Snapshot<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R: Register + Copy> Copy for Snapshot<R> {}

impl<R: Register> fmt::Debug for Snapshot<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The names of all fields that have the same bits.
        struct Names(&'static [(&'static str, u8, u8)], (u8, u8));
        impl fmt::Debug for Names {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let same = self.0.iter().filter(|(_, low, width)| (*low, *width) == self.1);
                same.enumerate()
                    .try_for_each(|(n, (name, ..))| write!(f, "{}{name}", if n == 0 { "" } else { "|" }))
            }
        }
        let value = self.0.get();
        write!(f, "{} ", R::NAME)?;
        let mut map = f.debug_map();
        map.entry(&format_args!("value"), &format_args!("{value:#010x}"));
        let mut last = None;
        for (_, low, width) in R::FIELDS {
            let bits = value >> low & (u32::MAX >> (32 - u32::from(*width)));
            // Fields stand in order of their bits, so equal ones are neighbours.
            if bits != 0 && last != Some((*low, *width)) {
                map.entry(&Names(R::FIELDS, (*low, *width)), &bits);
            }
            last = Some((*low, *width));
        }
        map.finish()
    }
}

/// The tag type of one register, made by the generator.
pub trait Register: RegisterLongName + 'static {
    /// The datasheet's name.
    const NAME: &'static str;
    /// Its fields: name, lowest bit, number of bits. Fields of different chips may share bits.
    const FIELDS: &'static [(&'static str, u8, u8)] = &[];
    /// Bits that [`Reg::modify`] writes as 0 whatever was read, because writing the 1 that was read would act:
    /// write-1-to-clear, write-1-to-set, self-clearing and trigger fields of a register that also has plain ones.
    const QUIET: u32 = 0;
    /// Bits that clear when 1 is written to them.
    const W1C: u32 = 0;
}

/// Reading has no side effect.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read without changing the device",
    label = "no harmless read",
    note = "a register that clears on read has `read_clear()`, one that sets on read `read_set()`, a write-only one neither"
)]
pub trait Read: Register {}
/// The whole register may be written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written as a whole",
    label = "not writable like this",
    note = "a write-1-to-clear register has `clear(bits)`, a write-1-to-set register `set_bits(bits)`, a read-only one neither"
)]
pub trait Write: Register {}
/// Reading, changing some fields and writing back is right.
#[diagnostic::on_unimplemented(
    message = "read-modify-write of `{Self}` would clear, set or trigger what happens to read as 1",
    label = "no read-modify-write",
    note = "a write-1-to-clear register has `clear(bits)`, a write-1-to-set register `set_bits(bits)`"
)]
pub trait Modify: Read + Write {}
/// Reading clears it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not clear on read",
    note = "a plain register has `get()`"
)]
pub trait ReadClear: Register {}
/// Reading sets bits in it (a hardware lock).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not set on read",
    note = "a plain register has `get()`"
)]
pub trait ReadSet: Register {}
/// Writing 1 clears a bit, writing 0 leaves it.
#[diagnostic::on_unimplemented(message = "`{Self}` has no write-1-to-clear bits")]
pub trait WriteClear: Register {}
/// Writing 1 sets a bit, writing 0 leaves it.
#[diagnostic::on_unimplemented(message = "`{Self}` has no write-1-to-set bits")]
pub trait WriteSet: Register {}

/// One register of one device: a bus and an offset.
///
/// `B` is a value. `Regs` hands out `Reg<&B, R>` for a short use; [`detach`](Reg::detach) makes an owned one, which
/// is what a queue keeps as its doorbell. A handle is as large as its bus value and the offset, and every verb is
/// one access or, for [`modify`](Reg::modify), two.
pub struct Reg<B, R> {
    bus: B,
    offset: u32,
    tag: PhantomData<fn() -> R>,
}

impl<B: Bus, R: Register> Reg<B, R> {
    /// The register `R` at `offset`. The generated [`Regs`](crate::Regs) calls this with the right one.
    #[inline]
    pub const fn at(bus: B, offset: u32) -> Self {
        Self { bus, offset, tag: PhantomData }
    }

    /// Where it is, in bytes from the start of BAR 0.
    #[inline]
    pub const fn offset(&self) -> u32 {
        self.offset
    }

    /// Its value.
    #[inline]
    pub fn get(&self) -> u32
    where
        R: Read,
    {
        self.bus.read32(self.offset)
    }

    /// Its value, typed: several fields of one read.
    #[inline]
    pub fn snapshot(&self) -> Snapshot<R>
    where
        R: Read,
    {
        Snapshot::new(self.get())
    }

    /// One field, shifted down.
    #[inline]
    pub fn read(&self, field: Field<u32, R>) -> u32
    where
        R: Read,
    {
        field.read(self.get())
    }

    /// Whether any bit of a field is set.
    #[inline]
    pub fn is_set(&self, field: Field<u32, R>) -> bool
    where
        R: Read,
    {
        field.is_set(self.get())
    }

    /// Writes all 32 bits.
    #[inline]
    pub fn set(&self, value: u32)
    where
        R: Write,
    {
        self.bus.write32(self.offset, value);
    }

    /// Writes these fields, and 0 to all others.
    #[inline]
    pub fn write(&self, fields: FieldValue<u32, R>)
    where
        R: Write,
    {
        self.set(fields.value);
    }

    /// Reads, changes these fields, writes back; bits that would act on a written 1 get 0 unless named.
    #[inline]
    pub fn modify(&self, fields: FieldValue<u32, R>)
    where
        R: Modify,
    {
        self.set(fields.modify(self.get() & !R::QUIET));
    }

    /// Reads and thereby clears it.
    #[inline]
    pub fn read_clear(&self) -> Snapshot<R>
    where
        R: ReadClear,
    {
        Snapshot::new(self.bus.read32(self.offset))
    }

    /// Reads and thereby takes it: a lock bit that was 0 in the answer is now ours.
    #[inline]
    pub fn read_set(&self) -> Snapshot<R>
    where
        R: ReadSet,
    {
        Snapshot::new(self.bus.read32(self.offset))
    }

    /// Clears the bits that are 1 in `bits` and touches no other.
    #[inline]
    pub fn clear(&self, bits: FieldValue<u32, R>)
    where
        R: WriteClear,
    {
        self.bus.write32(self.offset, bits.value);
    }

    /// Clears the bits that are 1 in `bits`, given as a number (a mask of vectors, say).
    #[inline]
    pub fn clear_bits(&self, bits: u32)
    where
        R: WriteClear,
    {
        self.bus.write32(self.offset, bits);
    }

    /// Sets the bits that are 1 in `bits` and touches no other.
    #[inline]
    pub fn set_bits(&self, bits: u32)
    where
        R: WriteSet,
    {
        self.bus.write32(self.offset, bits);
    }
}

impl<B: Bus + Clone, R: Register> Reg<&B, R> {
    /// The same register with a bus value of its own.
    #[inline]
    pub fn detach(&self) -> Reg<B, R> {
        Reg::at(self.bus.clone(), self.offset)
    }
}

impl<B: Clone, R> Clone for Reg<B, R> {
    fn clone(&self) -> Self {
        Self { bus: self.bus.clone(), offset: self.offset, tag: PhantomData }
    }
}

impl<B, R: Register> fmt::Debug for Reg<B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:#07x}", R::NAME, self.offset)
    }
}
