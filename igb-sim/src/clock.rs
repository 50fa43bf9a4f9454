//! Time: a counter that only the simulation moves, or the machine's own; and what falls due.

use crate::port::Event;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// How time passes in a world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Time {
    /// It stands still but for delays, register reads, clock reads and waiting: runs repeat exactly, and long waits
    /// cost nothing.
    #[default]
    Virtual,
    /// The machine's monotonic clock, for tests with threads of their own pace.
    Real,
}

/// What a register read costs in virtual time: a PCIe round trip.
pub(crate) const READ_COST: u64 = 500;
/// What looking at the clock costs in virtual time, so that a loop until a deadline ends.
pub(crate) const LOOK_COST: u64 = 100;

/// Whom a timer concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A device.
    Port(usize, Event),
    /// A cable's negotiation, with the number of the attempt.
    Cable(usize, u64),
}

/// Nanoseconds since the world was made, and the timers.
#[derive(Debug)]
pub(crate) struct Timeline {
    time: Time,
    begun: Instant,
    now: u64,
    timers: BinaryHeap<Reverse<(u64, u64, Due)>>,
    made: u64,
    /// A timer was set that falls due before all others: who sleeps until the next one has to look again.
    pub(crate) sooner: bool,
}

impl Timeline {
    pub(crate) fn new(time: Time) -> Self {
        Self { time, begun: Instant::now(), now: 0, timers: BinaryHeap::new(), made: 0, sooner: false }
    }

    pub(crate) fn time(&self) -> Time {
        self.time
    }

    /// Now, in nanoseconds.
    pub(crate) fn now(&mut self) -> u64 {
        if self.time == Time::Real {
            self.now = nanos(self.begun.elapsed());
        }
        self.now
    }

    /// Lets virtual time pass; real time passes by itself.
    pub(crate) fn pass(&mut self, nanos: u64) {
        if self.time == Time::Virtual {
            self.now = self.now.saturating_add(nanos);
        }
    }

    /// Sets virtual time forward to `at`.
    pub(crate) fn jump(&mut self, at: u64) {
        if self.time == Time::Virtual {
            self.now = self.now.max(at);
        }
    }

    pub(crate) fn schedule(&mut self, at: u64, due: Due) {
        self.sooner |= self.next().is_none_or(|next| at < next);
        self.made += 1; // timers of one moment fire in the order of their making
        self.timers.push(Reverse((at, self.made, due)));
    }

    /// When the next timer falls due.
    pub(crate) fn next(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next timer that is due at `until`, with its moment.
    pub(crate) fn take_due(&mut self, until: u64) -> Option<(u64, Due)> {
        if self.next()? > until {
            return None;
        }
        self.timers.pop().map(|Reverse((at, _, due))| (at, due))
    }
}

/// A duration in whole nanoseconds, as many as fit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
