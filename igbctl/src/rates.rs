//! A line of rates that renews itself once a second, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Frames and bytes so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) rx_frames: u64,
    pub(crate) rx_bytes: u64,
    pub(crate) tx_frames: u64,
    pub(crate) tx_bytes: u64,
}

/// The line.
#[derive(Debug)]
pub(crate) struct Rates {
    last: (Instant, Totals),
    shown: bool,
    on: bool,
}

const EVERY: Duration = Duration::from_secs(1);

impl Rates {
    /// On standard error, if that is a terminal.
    pub(crate) fn new() -> Self {
        Self { last: (Instant::now(), Totals::default()), shown: false, on: std::io::stderr().is_terminal() }
    }

    /// Shows the rates since the last time, once a second.
    pub(crate) fn tick(&mut self, totals: impl FnOnce() -> Totals) {
        if !self.on || self.last.0.elapsed() < EVERY {
            return;
        }
        let (elapsed, now) = (self.last.0.elapsed(), totals());
        let line = line(elapsed, self.last.1, now);
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        self.last = (Instant::now(), now);
        self.shown = true;
    }

    /// A remark above the line; into a pipe too.
    pub(crate) fn remark(&mut self, text: &str) {
        self.clear();
        let _ = writeln!(std::io::stderr(), "igbctl: {text}");
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if core::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(elapsed: Duration, before: Totals, now: Totals) -> String {
    let per_second =
        |now: u64, before: u64| now.saturating_sub(before) as f64 / elapsed.as_secs_f64().max(1e-9);
    let side = |name, frames: f64, bytes: f64| {
        format!("{name} {:>9} {:>10}", scaled(frames, "pps"), scaled(bytes * 8.0, "b/s"))
    };
    format!(
        "{}   {}",
        side("rx", per_second(now.rx_frames, before.rx_frames), per_second(now.rx_bytes, before.rx_bytes)),
        side("tx", per_second(now.tx_frames, before.tx_frames), per_second(now.tx_bytes, before.tx_bytes)),
    )
}

/// `1.49 Mpps`.
fn scaled(value: f64, unit: &str) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2} G{unit}", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M{unit}", v / 1e6),
        v if v >= 1e3 => format!("{:.1} k{unit}", v / 1e3),
        v => format!("{v:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second() {
        let now = Totals { rx_frames: 2_976_190, rx_bytes: 2_976_190 * 60, tx_frames: 4, tx_bytes: 240 };
        assert_eq!(
            line(Duration::from_secs(2), Totals::default(), now),
            "rx 1.49 Mpps 714.29 Mb/s   tx     2 pps    960 b/s"
        );
    }
}
