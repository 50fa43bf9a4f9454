//! Time: the machine's and the driver's.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use embedded_hal::delay::DelayNs;
use std::sync::Arc;
use std::time::Instant;

/// Which time the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Timing {
    /// Real time. Autonegotiation takes half a second; timestamps and throttling move as on hardware.
    #[default]
    Real,
    /// The machine's clock jumps to its next timer whenever there is nothing to do: a link is up at the next look, an
    /// interrupt throttle ends at once. Between timers it stands still, so timestamps do not move. A driver's delays are
    /// cut short to match, and its clock counts them in full.
    Warp,
}

/// The longest real sleep that a delay makes under the warp clock: enough for QEMU to get to its timers.
const WARP_SLEEP: Duration = Duration::from_millis(1);
/// Below this a sleep costs more than it lasts.
const SPIN: Duration = Duration::from_micros(30);

#[derive(Debug)]
struct Shared {
    started: Instant,
    timing: Timing,
    skipped: AtomicU64,
}

/// Time since the machine started, plus what delays skipped under the warp clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Shared>);

impl Clock {
    pub(crate) fn new(timing: Timing) -> Self {
        Self(Arc::new(Shared { started: Instant::now(), timing, skipped: AtomicU64::new(0) }))
    }
}

impl igb::Clock for Clock {
    fn now(&self) -> Duration {
        self.0.started.elapsed() + Duration::from_nanos(self.0.skipped.load(Ordering::Relaxed))
    }
}

/// A delay by the same time.
#[derive(Debug, Clone)]
pub struct Delay(pub(crate) Clock);

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        self.wait(Duration::from_nanos(ns.into()));
    }
    fn delay_us(&mut self, us: u32) {
        self.wait(Duration::from_micros(us.into()));
    }
    fn delay_ms(&mut self, ms: u32) {
        self.wait(Duration::from_millis(ms.into()));
    }
}

impl Delay {
    fn wait(&self, time: Duration) {
        let shared = &self.0.0;
        let real = if shared.timing == Timing::Warp { time.min(WARP_SLEEP) } else { time };
        if real < SPIN {
            let started = Instant::now();
            while started.elapsed() < real {
                core::hint::spin_loop();
            }
        } else {
            std::thread::sleep(real);
        }
        let skipped = u64::try_from((time - real).as_nanos()).unwrap_or(u64::MAX);
        shared.skipped.fetch_add(skipped, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use igb::Clock as _;

    #[test]
    fn the_warp_clock_counts_delays_in_full() {
        let clock = Clock::new(Timing::Warp);
        let before = clock.now();
        let real = Instant::now();
        Delay(clock.clone()).delay_ms(3_600_000);
        assert!(clock.now() - before >= Duration::from_secs(3600));
        assert!(real.elapsed() < Duration::from_secs(600));
    }

    #[test]
    fn real_time_is_real() {
        let clock = Clock::new(Timing::Real);
        let (before, real) = (clock.now(), Instant::now());
        Delay(clock.clone()).delay_us(500);
        assert!(real.elapsed() >= Duration::from_micros(500));
        assert!(clock.now() - before >= Duration::from_micros(500));
    }
}
