//! Which frames of a capture can be sent, and how many cannot.

use crate::capture::Record;

/// Shortest frame without FCS; shorter ones are padded, as every sender does.
pub(super) const SHORTEST: usize = 60;
/// Payload of a frame at most.
const MTU: usize = 1500;

/// What goes in, and what cannot.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) frames: Vec<Vec<u8>>,
    /// Time of the first frame.
    pub(super) start: u64,
    pub(super) padded: u64,
    pub(super) oversize: u64,
    pub(super) cut: u64,
    pub(super) runt: u64,
}

impl Plan {
    /// Sorts the frames of a capture.
    pub(super) fn new(records: &[Record]) -> Self {
        let mut plan = Self { start: records.first().map_or(0, |record| record.nanos), ..Self::default() };
        for record in records {
            if record.bytes.len() < record.wire_len as usize {
                plan.cut += 1;
            } else if record.bytes.len() < 14 {
                plan.runt += 1;
            } else if record.bytes.len() > longest(&record.bytes) {
                plan.oversize += 1;
            } else {
                let mut frame = record.bytes.clone();
                if frame.len() < SHORTEST {
                    plan.padded += 1;
                    frame.resize(SHORTEST, 0);
                }
                plan.frames.push(frame);
            }
        }
        plan
    }

    /// How many cannot be sent.
    pub(super) fn refused(&self) -> u64 {
        self.oversize + self.cut + self.runt
    }

    /// Why, in words.
    pub(super) fn refusals(&self) -> String {
        format!(
            "{} above the MTU of {MTU}, {} cut by the capture, {} without a header",
            self.oversize, self.cut, self.runt
        )
    }
}

/// The longest frame with this beginning: a VLAN tag does not count into the MTU, as IEEE 802.3 3.2.7 has it.
fn longest(frame: &[u8]) -> usize {
    let tagged = matches!(frame.get(12..14), Some([0x81, 0x00] | [0x88, 0xa8]));
    14 + MTU + if tagged { 4 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(len: usize, wire_len: u32) -> Record {
        Record { nanos: 5, bytes: vec![9; len], wire_len }
    }

    #[test]
    fn what_cannot_be_sent_is_counted() {
        let mut tagged = record(1518, 1518);
        tagged.bytes[12..14].copy_from_slice(&[0x81, 0x00]);
        let mut too_long = record(1519, 1519);
        too_long.bytes[12..14].copy_from_slice(&[0x81, 0x00]);
        let plan = Plan::new(&[
            record(14, 14),
            record(60, 60),
            record(1514, 1514),
            tagged,
            record(13, 13),
            record(1515, 1515),
            too_long,
            record(96, 1514),
        ]);
        assert_eq!(plan.frames.iter().map(Vec::len).collect::<Vec<_>>(), [60, 60, 1514, 1518]);
        assert_eq!((plan.padded, plan.runt, plan.oversize, plan.cut, plan.start), (1, 1, 2, 1, 5));
        assert_eq!(plan.frames[0][14..], [0; 46]);
    }
}
