//! Buses around a bus: one that keeps the sequence, one that tells of every access, one that breaks.

use crate::{Bus, Fault};
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whether it was a write.
    pub write: bool,
    /// Byte offset.
    pub offset: u32,
    /// What was read or written.
    pub value: u32,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded values are whole after every statement: a panic elsewhere does not spoil them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps every access in order.
///
/// ```
/// # #[cfg(feature = "meta")] {
/// use igb_regs::{Bus, CTRL, Chip, Recorder, Regs};
///
/// struct Zeros;
/// impl Bus for Zeros {
///     fn read32(&self, _: u32) -> u32 {
///         0
///     }
///     fn write32(&self, _: u32, _: u32) {}
/// }
///
/// let recorder = Recorder::new(Zeros);
/// let regs = Regs::new(&recorder, Chip::I210);
/// regs.ctrl().modify(CTRL::SLU.val(1));
/// for slot in 0..128 {
///     regs.mta(slot).set(0);
/// }
/// assert_eq!(
///     recorder.text(Chip::I210),
///     "R CTRL           00000000\n\
///      W CTRL           00000040  SLU\n\
///      W MTA[0..=127]   00000000\n"
/// );
/// # }
/// ```
#[derive(Debug)]
pub struct Recorder<B> {
    bus: B,
    accesses: Mutex<Vec<Access>>,
}

impl<B> Recorder<B> {
    /// A recorder around `bus`.
    pub const fn new(bus: B) -> Self {
        Self { bus, accesses: Mutex::new(Vec::new()) }
    }

    /// The bus within.
    pub const fn inner(&self) -> &B {
        &self.bus
    }

    /// What was recorded so far, and starts afresh.
    pub fn take(&self) -> Vec<Access> {
        core::mem::take(&mut *locked(&self.accesses))
    }

    /// What was recorded so far as text, by register and field names, and starts afresh.
    #[cfg(feature = "meta")]
    pub fn text(&self, chip: crate::Chip) -> alloc::string::String {
        crate::transcript::text(chip, &self.take())
    }
}

impl<B: Bus> Bus for Recorder<B> {
    fn read32(&self, offset: u32) -> u32 {
        let value = self.bus.read32(offset);
        locked(&self.accesses).push(Access { write: false, offset, value });
        value
    }
    fn write32(&self, offset: u32, value: u32) {
        locked(&self.accesses).push(Access { write: true, offset, value });
        self.bus.write32(offset, value);
    }
    fn fault(&self) -> Option<Fault> {
        self.bus.fault()
    }
}

/// Tells a function of every access, after a read and before a write.
#[derive(Debug)]
pub struct Tracer<B, F> {
    bus: B,
    tell: F,
}

impl<B, F: Fn(Access)> Tracer<B, F> {
    /// A tracer around `bus`.
    pub const fn new(bus: B, tell: F) -> Self {
        Self { bus, tell }
    }
}

impl<B: Bus, F: Fn(Access)> Bus for Tracer<B, F> {
    fn read32(&self, offset: u32) -> u32 {
        let value = self.bus.read32(offset);
        (self.tell)(Access { write: false, offset, value });
        value
    }
    fn write32(&self, offset: u32, value: u32) {
        (self.tell)(Access { write: true, offset, value });
        self.bus.write32(offset, value);
    }
    fn fault(&self) -> Option<Fault> {
        self.bus.fault()
    }
}

/// One way in which a [`Faulty`] bus breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The device leaves: from access number `access` (the first is 0) on, reads give all ones and writes are lost.
    Gone {
        /// Number of accesses that still work.
        access: u64,
    },
    /// These bits of one register always read like this.
    Stuck {
        /// The register.
        offset: u32,
        /// Its stuck bits.
        mask: u32,
        /// What they read as.
        value: u32,
    },
    /// These bits of one register read as they last did for some reads after every write to it.
    Delayed {
        /// The register.
        offset: u32,
        /// Its slow bits.
        mask: u32,
        /// Reads after a write that still give the old bits.
        reads: u32,
    },
}

/// A bus that breaks by rules.
///
/// ```
/// use igb_regs::{Bus, Fault, Faulty, Rule};
///
/// struct Zeros;
/// impl Bus for Zeros {
///     fn read32(&self, _: u32) -> u32 {
///         0
///     }
///     fn write32(&self, _: u32, _: u32) {}
/// }
///
/// let bus = Faulty::new(Zeros, [Rule::Gone { access: 2 }]);
/// assert_eq!([bus.read32(8), bus.read32(8), bus.read32(8)], [0, 0, u32::MAX]);
/// assert_eq!(bus.fault(), Some(Fault::Gone));
/// ```
#[derive(Debug)]
pub struct Faulty<B> {
    bus: B,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    accesses: u64,
    gone: bool,
    rules: Vec<Applied>,
}

#[derive(Debug)]
struct Applied {
    rule: Rule,
    shown: u32,
    left: u32,
}

impl<B> Faulty<B> {
    /// A bus that breaks by `rules`, all at once.
    pub fn new(bus: B, rules: impl IntoIterator<Item = Rule>) -> Self {
        let rules = rules.into_iter().map(|rule| Applied { rule, shown: 0, left: 0 }).collect();
        Self { bus, state: Mutex::new(State { accesses: 0, gone: false, rules }) }
    }

    /// Adds a rule. [`Rule::Gone`] counts from the first access of all.
    pub fn add(&self, rule: Rule) {
        locked(&self.state).rules.push(Applied { rule, shown: 0, left: 0 });
    }

    /// Number of accesses so far: what a sweep over [`Rule::Gone`] counts to.
    pub fn accesses(&self) -> u64 {
        locked(&self.state).accesses
    }
}

impl State {
    /// Counts an access, and says whether the device still answers it.
    fn alive(&mut self) -> bool {
        let number = self.accesses;
        self.accesses += 1;
        self.gone |=
            self.rules.iter().any(|one| matches!(one.rule, Rule::Gone { access } if number >= access));
        !self.gone
    }
}

impl<B: Bus> Bus for Faulty<B> {
    fn read32(&self, offset: u32) -> u32 {
        let mut state = locked(&self.state);
        if !state.alive() {
            return u32::MAX;
        }
        let mut value = self.bus.read32(offset);
        for one in &mut state.rules {
            match one.rule {
                Rule::Stuck { offset: at, mask, value: bits } if at == offset => {
                    value = value & !mask | bits & mask;
                }
                Rule::Delayed { offset: at, mask, .. } if at == offset => {
                    if one.left > 0 {
                        one.left -= 1;
                        value = value & !mask | one.shown & mask;
                    }
                    one.shown = value;
                }
                _ => {}
            }
        }
        value
    }

    fn write32(&self, offset: u32, value: u32) {
        let mut state = locked(&self.state);
        if !state.alive() {
            return;
        }
        for one in &mut state.rules {
            if let Rule::Delayed { offset: at, reads, .. } = one.rule
                && at == offset
            {
                one.left = reads;
            }
        }
        self.bus.write32(offset, value);
    }

    fn fault(&self) -> Option<Fault> {
        if locked(&self.state).gone { Some(Fault::Gone) } else { self.bus.fault() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    struct One(Cell<u32>);
    impl Bus for One {
        fn read32(&self, _: u32) -> u32 {
            self.0.get()
        }
        fn write32(&self, _: u32, value: u32) {
            self.0.set(value);
        }
    }

    #[test]
    fn stuck_bits_stay() {
        let bus = Faulty::new(One(Cell::new(0)), [Rule::Stuck { offset: 0, mask: 0xf0, value: 0x50 }]);
        bus.write32(0, 0xff);
        assert_eq!((bus.read32(0), bus.read32(4)), (0x5f, 0xff));
    }

    #[test]
    fn delayed_bits_come_late_after_each_write() {
        let bus = Faulty::new(One(Cell::new(0)), [Rule::Delayed { offset: 0, mask: 1, reads: 2 }]);
        bus.write32(0, 3);
        assert_eq!([bus.read32(0), bus.read32(0), bus.read32(0)], [2, 2, 3]);
        bus.write32(0, 0);
        assert_eq!([bus.read32(0), bus.read32(0), bus.read32(0)], [1, 1, 0]);
    }

    #[test]
    fn a_device_that_left_stays_away_and_takes_no_write() {
        let bus = Faulty::new(One(Cell::new(7)), [Rule::Gone { access: 1 }]);
        assert_eq!((bus.read32(0), bus.fault()), (7, None));
        bus.write32(0, 1);
        assert_eq!((bus.read32(0), bus.fault(), bus.bus.0.get()), (u32::MAX, Some(Fault::Gone), 7));
        assert_eq!(bus.accesses(), 3);
    }

    #[test]
    fn tracer_tells_before_writing() {
        let seen = Cell::new(None);
        let bus = Tracer::new(One(Cell::new(5)), |access| seen.set(Some(access)));
        bus.write32(8, 6);
        assert_eq!(seen.get(), Some(Access { write: true, offset: 8, value: 6 }));
        assert_eq!((bus.read32(4), seen.get()), (6, Some(Access { write: false, offset: 4, value: 6 })));
    }
}
