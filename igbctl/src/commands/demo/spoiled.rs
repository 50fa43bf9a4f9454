//! The demo on wires that spoil a frame: it must notice.

use super::plan::Plan;
use super::*;

/// A wire that spoils the tenth frame.
struct Spoiling<C> {
    cable: C,
    frames: u64,
    how: How,
    again: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
enum How {
    Well,
    OneBit,
    Shorter,
    Twice,
    Never,
}

impl<C: Cable> Cable for Spoiling<C> {
    fn send(&mut self, frame: &[u8]) -> bool {
        self.cable.send(frame)
    }
    fn recv(&mut self) -> Option<Vec<u8>> {
        if let Some(frame) = self.again.take() {
            return Some(frame);
        }
        let mut frame = self.cable.recv()?;
        self.frames += 1;
        if self.frames == 10 {
            match self.how {
                How::Well => {}
                How::OneBit => frame[20] ^= 4,
                How::Shorter => _ = frame.pop(),
                How::Twice => self.again = Some(frame.clone()),
                How::Never => return self.cable.recv(),
            }
        }
        Some(frame)
    }
}

struct OnSpoilingWires<'a>(DemoJob<'a>, How);

impl WiredJob for OnSpoilingWires<'_> {
    fn run<P: Platform<Irq: Wait>, C: Cable>(
        self,
        devices: [P; 2],
        cables: [C; 2],
        bench: &dyn Bench,
        stop: &Stop,
    ) -> Result<Report, Failure> {
        let spoil = |cable| Spoiling { cable, frames: 0, how: self.1, again: None };
        self.0.run(devices, cables.map(spoil), bench, stop)
    }
}

#[test]
fn a_wire_that_spoils_one_frame_fails_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let options = Demo {
        file: None,
        qemu: false,
        chip: igb::Chip::I210,
        batch: 32,
        repeat: 1,
        write: Some(folder.path().join("out.pcapng")),
        rings: crate::args::Rings { queues: 1, ring: 256 },
    };
    let records = capture::parse(SAMPLE).unwrap();
    for (how, words) in [
        (How::Well, None),
        (How::OneBit, Some("what came out is not what went in: frame 9 of ")),
        (How::Shorter, Some("what came out is not what went in: frame 9 of ")),
        (How::Twice, Some("what came out is not what went in: ")),
        (How::Never, Some("1 of 152 frames did not come out")),
    ] {
        let job = DemoJob { plan: Plan::new(&records), options: &options };
        let report = machine::run_wired_sim(options.chip, 1, 256, OnSpoilingWires(job, how)).unwrap();
        let failure = report.failure.as_ref().map(ToString::to_string);
        assert_eq!(report.json["comparison"]["identical"], words.is_none());
        match (failure, words) {
            (None, None) => {}
            (Some(failure), Some(words)) => assert!(failure.starts_with(words), "{failure}"),
            other => panic!("{other:?}"),
        }
    }
}
