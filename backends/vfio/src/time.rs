//! Time: the system's monotonic clock, and delays that sleep unless they are very short.

use core::time::Duration;
use embedded_hal::delay::DelayNs;
use std::time::Instant;

/// Below this a sleep costs more than it lasts.
const SPIN: Duration = Duration::from_micros(50);

/// Time since the device was opened.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub(crate) Instant);

impl igb::Clock for Clock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A delay: the thread sleeps, or spins for what is shorter than a sleep.
#[derive(Debug, Clone, Copy)]
pub struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        wait(Duration::from_nanos(ns.into()));
    }
    fn delay_us(&mut self, us: u32) {
        wait(Duration::from_micros(us.into()));
    }
    fn delay_ms(&mut self, ms: u32) {
        wait(Duration::from_millis(ms.into()));
    }
}

fn wait(time: Duration) {
    if time >= SPIN {
        return std::thread::sleep(time);
    }
    let started = Instant::now();
    while started.elapsed() < time {
        core::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use igb::Clock as _;

    #[test]
    fn delays_are_as_long_as_they_say() {
        let clock = Clock(Instant::now());
        for micros in [1, 20, 49, 51, 400] {
            let before = clock.now();
            Delay.delay_us(micros);
            assert!(clock.now() - before >= Duration::from_micros(micros.into()));
        }
    }
}
