//! The one trait that every place where a controller can live implements.

/// Why a bus answers all ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The device left the bus: pulled, powered off, or its memory window was closed.
    Gone,
    /// What carries the accesses broke: a socket, a pipe, a revoked mapping.
    Transport,
}

/// Access to the 32-bit registers of one function, by byte offset into BAR 0.
///
/// A bus never fails. When the device cannot be reached a read gives all ones, as a dead PCIe device does, a write
/// does nothing, and [`fault`](Bus::fault) keeps the cause. Some registers read all ones in health, so a driver
/// that sees them confirms with `STATUS`, which cannot.
///
/// # Contract
///
/// - `offset` is a multiple of 4. A bus may panic on any other, and answers all ones beyond its window.
/// - `write32` is ordered after every earlier store of this thread to memory that the device reads: a doorbell
///   needs no fence of the caller. `read32` is ordered before every later load of memory that the device writes.
///   On x86-64 plain volatile accesses do that; elsewhere the bus adds what its CPU needs.
/// - Writes may be posted. A read of the same device returns after all earlier writes have taken effect.
/// - Each call is exactly one access: registers that clear on read are read once.
///
/// ```
/// use core::cell::Cell;
/// use igb_regs::{Bus, Chip, Regs, STATUS};
///
/// /// Sixteen words that keep what is written.
/// struct Words([Cell<u32>; 16]);
///
/// impl Bus for Words {
///     fn read32(&self, offset: u32) -> u32 {
///         self.0.get(offset as usize / 4).map_or(u32::MAX, Cell::get)
///     }
///     fn write32(&self, offset: u32, value: u32) {
///         if let Some(word) = self.0.get(offset as usize / 4) {
///             word.set(value);
///         }
///     }
/// }
///
/// let words = Words([const { Cell::new(0) }; 16]);
/// words.write32(8, 0x0008_0003);
/// let regs = Regs::new(&words, Chip::I210);
/// assert!(regs.status().is_set(STATUS::LU));
/// ```
pub trait Bus {
    /// Reads the register at `offset`.
    fn read32(&self, offset: u32) -> u32;
    /// Writes the register at `offset`.
    fn write32(&self, offset: u32, value: u32);
    /// Why reads give all ones, where the bus knows. `None` while it works, and on a bus that cannot tell.
    fn fault(&self) -> Option<Fault> {
        None
    }
}

macro_rules! forward {
    ($($(#[$attribute:meta])* $pointer:ty),* $(,)?) => {$(
        $(#[$attribute])*
        impl<B: Bus + ?Sized> Bus for $pointer {
            #[inline]
            fn read32(&self, offset: u32) -> u32 {
                (**self).read32(offset)
            }
            #[inline]
            fn write32(&self, offset: u32, value: u32) {
                (**self).write32(offset, value);
            }
            fn fault(&self) -> Option<Fault> {
                (**self).fault()
            }
        }
    )*};
}
forward! {
    &B,
    #[cfg(feature = "alloc")] alloc::sync::Arc<B>,
    #[cfg(feature = "alloc")] alloc::rc::Rc<B>,
    #[cfg(feature = "alloc")] alloc::boxed::Box<B>,
}
