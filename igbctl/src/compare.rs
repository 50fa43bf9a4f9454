//! Whether what came out is what went in: every frame once, byte for byte, and in order where there is one queue.

use std::collections::VecDeque;

/// Frames that went in and have not come out.
#[derive(Debug, Default)]
pub struct Comparer<'a> {
    outstanding: VecDeque<(u64, &'a [u8])>,
    sent: u64,
    same: u64,
    overtaking: u64,
    wrong: u64,
    first: Option<Difference>,
}

/// A frame that came out and never went in, held against the oldest one that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The missing frame's number, from 0; `None` if none was missing.
    pub frame: Option<u64>,
    /// Its length, and the length of what came instead.
    pub lengths: (usize, usize),
    /// The first byte that differs; the shorter one's length if there is none.
    pub at: usize,
}

impl core::fmt::Display for Difference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (expected, got) = self.lengths;
        match self.frame {
            Some(frame) => write!(
                f,
                "frame {frame} of {expected} bytes came out as {got} and differs at byte {}",
                self.at
            ),
            None => write!(f, "a frame of {got} bytes came out that never went in"),
        }
    }
}

/// How the comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Frames that went in.
    pub sent: u64,
    /// Frames that came out as they went in.
    pub same: u64,
    /// Of those, the ones that overtook an older frame: other queues may do that.
    pub overtaking: u64,
    /// Frames that came out and never went in.
    pub wrong: u64,
    /// Frames that did not come out.
    pub missing: u64,
    /// The first that was wrong.
    pub first: Option<Difference>,
}

impl Verdict {
    /// Whether everything came out as it went in; in order, if `ordered`.
    pub fn is_good(&self, ordered: bool) -> bool {
        self.same == self.sent && self.wrong == 0 && self.missing == 0 && !(ordered && self.overtaking > 0)
    }
}

impl<'a> Comparer<'a> {
    /// Nothing went in yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame went in.
    pub fn sent(&mut self, frame: &'a [u8]) {
        self.outstanding.push_back((self.sent, frame));
        self.sent += 1;
    }

    /// A frame came out. `true` if it went in like that.
    pub fn received(&mut self, frame: &[u8]) -> bool {
        let Some(at) = self.outstanding.iter().position(|(_, sent)| *sent == frame) else {
            self.wrong += 1;
            let difference = self.difference(frame);
            self.first.get_or_insert(difference);
            return false;
        };
        self.outstanding.remove(at);
        self.same += 1;
        self.overtaking += u64::from(at > 0);
        true
    }

    /// Frames that are under way. Wrong ones count as having arrived.
    pub fn under_way(&self) -> usize {
        self.outstanding.len().saturating_sub(usize::try_from(self.wrong).unwrap_or(usize::MAX))
    }

    /// The end: what is outstanding now is missing.
    pub fn verdict(&self) -> Verdict {
        let Self { sent, same, overtaking, wrong, first, .. } = *self;
        Verdict { sent, same, overtaking, wrong, missing: self.outstanding.len() as u64, first }
    }

    fn difference(&self, got: &[u8]) -> Difference {
        let (number, expected) =
            self.outstanding.front().map_or((None, &[][..]), |(n, sent)| (Some(*n), sent));
        let at = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
        Difference { frame: number, lengths: (expected.len(), got.len()), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_makes_it_fail() {
        let frames = [vec![1u8; 60], vec![2; 61], vec![3; 62]];
        for broken in 0..frames.len() {
            for byte in [0, 59] {
                let mut comparer = Comparer::new();
                frames.iter().for_each(|frame| comparer.sent(frame));
                for (number, frame) in frames.iter().enumerate() {
                    let mut frame = frame.clone();
                    frame[byte] ^= u8::from(number == broken);
                    assert_eq!(comparer.received(&frame), number != broken);
                }
                let verdict = comparer.verdict();
                assert!(!verdict.is_good(false));
                assert_eq!((verdict.same, verdict.wrong, verdict.missing), (2, 1, 1));
                let first = verdict.first.unwrap();
                assert_eq!((first.frame, first.at), (Some(broken as u64), byte));
                assert_eq!(comparer.under_way(), 0);
            }
        }
    }

    #[test]
    fn lost_doubled_shortened_and_overtaking_frames() {
        let (a, b) = ([1u8; 60], [2u8; 60]);
        let run = |out: &[&[u8]]| {
            let mut comparer = Comparer::new();
            comparer.sent(&a);
            comparer.sent(&b);
            out.iter().for_each(|frame| _ = comparer.received(frame));
            comparer.verdict()
        };
        assert!(run(&[&a, &b]).is_good(true));
        assert!(run(&[&b, &a]).is_good(false), "queues may overtake each other");
        assert!(!run(&[&b, &a]).is_good(true), "one queue may not");
        assert!(!run(&[&a]).is_good(false), "lost");
        assert!(!run(&[&a, &b, &b]).is_good(false), "doubled");
        let short = run(&[&a, &b[..59]]);
        assert!(!short.is_good(false));
        assert_eq!(
            short.first.unwrap().to_string(),
            "frame 1 of 60 bytes came out as 59 and differs at byte 59"
        );
        assert_eq!(
            run(&[&a, &b, &b]).first.unwrap().to_string(),
            "a frame of 60 bytes came out that never went in"
        );
    }
}
