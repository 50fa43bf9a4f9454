//! How fast this machine's time stamp counter runs.
//!
//! The emulated processor's counter is that of this machine, and the guest's kernel takes its time from it. It would
//! measure the rate as it boots, against an emulated timer; on a machine that is busy with other things such a
//! measurement is now and then wrong by a factor (seen: a guest whose clock ran six times too fast), and nothing
//! corrects it later. So the guest is told.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

/// How long one measurement takes.
const SPAN: Duration = Duration::from_millis(20);
/// How far apart two readings of the clock around one of the counter may be.
const PRECISION: Duration = Duration::from_micros(2);

/// The rate in kHz; `None` where there is no such counter, or where it does not agree with the clock.
pub(super) fn rate_khz() -> Option<u64> {
    static RATE: OnceLock<Option<u64>> = OnceLock::new();
    *RATE.get_or_init(measure)
}

fn measure() -> Option<u64> {
    // The middle one of three, if all agree within a thousandth: a counter that is not steady is of no use.
    let mut rates: Vec<u64> = (0..3).filter_map(|_| once()).collect();
    rates.sort_unstable();
    match rates[..] {
        [low, middle, high] if high - low <= middle / 1000 => Some(middle),
        _ => None,
    }
}

fn once() -> Option<u64> {
    let (start, first) = reading()?;
    std::thread::sleep(SPAN);
    let (end, last) = reading()?;
    let micros = u64::try_from(end.duration_since(start).as_micros()).ok()?;
    last.checked_sub(first)?.checked_mul(1000)?.checked_div(micros)
}

/// The counter's value at a time, of a moment in which nothing came between.
fn reading() -> Option<(Instant, u64)> {
    for _ in 0..1000 {
        let before = Instant::now();
        let count = counter()?;
        if before.elapsed() <= PRECISION {
            return Some((before, count));
        }
    }
    None
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the counter has no other way to it")]
fn counter() -> Option<u64> {
    // SAFETY: every x86-64 processor has the instruction, and Linux leaves it to programs unless they forbid it to
    // themselves; it reads a register and touches nothing.
    Some(unsafe { core::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_plausible_and_steady() {
        let Some(rate) = measure() else { return }; // a machine whose counter says nothing
        assert!((100_000..20_000_000).contains(&rate), "{rate} kHz");
    }
}
