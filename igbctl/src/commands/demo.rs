//! `demo`: a capture file goes in at one NIC's wire and comes out at another's, through the driver, without a copy; then
//! both are compared.

use super::run::NAP;
use crate::args::Demo;
use crate::capture::{self, Record, SAMPLE, Writer};
use crate::compare::{Comparer, Verdict};
use crate::failure::Failure;
use crate::forward::forward;
use crate::machine::{self, Bench, Cable, WiredJob};
use crate::nic::{Nic, Summary, table, wait_links};
use crate::output::Report;
use crate::rates::Rates;
use crate::stop::Stop;
use crate::table::count;
use igb::{Clock, Platform, Wait};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

/// Shortest frame without FCS; shorter ones are padded, as every sender does.
const SHORTEST: usize = 60;
/// Payload of a frame at most.
const MTU: usize = 1500;
/// Frames on their way at most: fewer than any ring has room for.
const UNDER_WAY: usize = 48;
/// How long nothing may arrive before what is outstanding is given up, by the device's clock.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a link may take, by everybody's clock.
const LINK: Duration = Duration::from_secs(20);

/// `demo`.
pub(crate) fn demo(options: Demo) -> Result<Report, Failure> {
    let records = match &options.file {
        Some(path) => capture::read_file(path)?,
        None => capture::parse(SAMPLE).map_err(|error| Failure::Capture { path: "sample".into(), error })?,
    };
    let plan = Plan::new(&records);
    if plan.frames.is_empty() {
        let file = options.file.as_ref().map_or("the sample".into(), |path| path.display().to_string());
        return Err(Failure::Found(format!("{file}: no frame in it can be sent ({})", plan.refusals())));
    }
    let (queues, ring) = (options.rings.queues, options.rings.ring);
    let job = DemoJob { plan, options: &options };
    if options.qemu {
        machine::run_wired_qemu(queues, ring, job)
    } else {
        machine::run_wired_sim(options.chip, queues, ring, job)
    }
}

/// What goes in, and what cannot.
#[derive(Debug, Default)]
struct Plan {
    frames: Vec<Vec<u8>>,
    /// Time of the first frame.
    start: u64,
    padded: u64,
    oversize: u64,
    cut: u64,
    runt: u64,
}

impl Plan {
    fn new(records: &[Record]) -> Self {
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

    fn refused(&self) -> u64 {
        self.oversize + self.cut + self.runt
    }

    fn refusals(&self) -> String {
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

struct DemoJob<'a> {
    plan: Plan,
    options: &'a Demo,
}

impl WiredJob for DemoJob<'_> {
    fn run<P: Platform<Irq: Wait>, C: Cable>(
        self,
        devices: [P; 2],
        cables: [C; 2],
        bench: &dyn Bench,
        stop: &Stop,
    ) -> Result<Report, Failure> {
        let Self { plan, options } = self;
        let mut rates = Rates::new();
        let mut out = Out::create(options.write.clone(), bench.kind())?;
        let [a, b] = devices;
        let (queues, ring) = (options.rings.queues, options.rings.ring);
        let mut a = Nic::open("NIC A", a, queues, ring)?;
        let mut b = Nic::open("NIC B", b, queues, ring)?;
        if !wait_links(&mut [&mut a, &mut b], stop, Some(LINK), &mut rates)? && !stop.is_set() {
            return Err(Failure::Found(format!("the links did not come up within {} s", LINK.as_secs())));
        }
        let [mut into, mut from] = cables;
        let mut route = Route { a: &mut a, b: &mut b, into: &mut into, from: &mut from, out: &mut out };
        let result = route.carry(&plan, options, stop, &mut rates);
        rates.clear();
        let verdict = result?;
        let summaries = [a.summary(), b.summary()];
        drop((a, b));
        let path = out.finish()?;
        let complaints = bench.complaints();
        let good = verdict.is_good(queues == 1);
        let failure = stop.failure().or_else(|| failed(&verdict, queues, &summaries, &complaints));
        let text = text(&plan, options, bench, &verdict, &summaries, &complaints, &path);
        let json = json!({
            "ran_on": bench.kind(),
            "description": bench.describe(),
            "input": {
                "file": options.file.as_ref().map(|file| file.display().to_string()),
                "frames": plan.frames.len(),
                "repeat": options.repeat,
                "padded": plan.padded,
                "refused": { "above_mtu": plan.oversize, "cut": plan.cut, "without_header": plan.runt },
            },
            "output": { "file": path.display().to_string() },
            "comparison": {
                "identical": good,
                "sent": verdict.sent,
                "same": verdict.same,
                "overtaking": verdict.overtaking,
                "wrong": verdict.wrong,
                "missing": verdict.missing,
            },
            "complaints": complaints,
            "devices": Value::Array(summaries.iter().map(Summary::to_json).collect()),
        });
        Ok(Report::new(text, json).failing(failure))
    }
}

/// The path of the frames.
struct Route<'a, P: Platform, C> {
    a: &'a mut Nic<P>,
    b: &'a mut Nic<P>,
    into: &'a mut C,
    from: &'a mut C,
    out: &'a mut Out,
}

impl<P: Platform<Irq: Wait>, C: Cable> Route<'_, P, C> {
    /// Carries every frame over, so many times.
    fn carry(
        &mut self,
        plan: &Plan,
        options: &Demo,
        stop: &Stop,
        rates: &mut Rates,
    ) -> Result<Verdict, Failure> {
        let clock = self.a.control.platform().clock();
        let started = clock.now();
        let mut comparer = Comparer::new();
        let mut waiting = (0..options.repeat).flat_map(|_| &plan.frames).peekable();
        let mut moved = started;
        while !stop.is_set() {
            let mut busy = false;
            while comparer.under_way() < UNDER_WAY
                && let Some(frame) = waiting.next_if(|frame| self.into.send(frame))
            {
                comparer.sent(frame);
                busy = true;
            }
            // NAPI: an interrupt wakes us, then we poll until nothing is left, then interrupts are unmasked again.
            self.a.sleep(NAP)?;
            loop {
                let forwarded = forward(self.a, self.b, options.batch)?;
                let mut captured = 0;
                while let Some(frame) = self.from.recv() {
                    let elapsed = clock.now().saturating_sub(started);
                    self.out.frame(plan.start.saturating_add(elapsed.as_nanos() as u64), &frame)?;
                    comparer.received(&frame);
                    captured += 1;
                }
                if forwarded + captured == 0 {
                    break;
                }
                busy = true;
            }
            rates.tick(|| self.b.totals());
            if busy {
                moved = clock.now();
                continue;
            }
            let over = waiting.peek().is_none() && comparer.under_way() == 0;
            if over && self.b.pending()? == 0 || clock.now().saturating_sub(moved) >= PATIENCE {
                break;
            }
        }
        // One more look for what came twice.
        while let Some(frame) = self.from.recv() {
            comparer.received(&frame);
        }
        let mut verdict = comparer.verdict();
        if !stop.is_set() {
            // What the wire did not take is missing too.
            let left = waiting.count() as u64;
            verdict.sent += left;
            verdict.missing += left;
        }
        Ok(verdict)
    }
}

/// What is wrong, if anything is.
fn failed(verdict: &Verdict, queues: u16, nics: &[Summary; 2], complaints: &[String]) -> Option<Failure> {
    if let Some(first) = verdict.first {
        return Some(Failure::Found(format!("what came out is not what went in: {first}")));
    }
    if verdict.missing > 0 {
        return Some(Failure::Found(format!(
            "{} of {} frames did not come out",
            verdict.missing, verdict.sent
        )));
    }
    if !verdict.is_good(queues == 1) {
        return Some(Failure::Found(format!("{} frames came out in another order", verdict.overtaking)));
    }
    let [a, b] = nics;
    let counted = a.hardware.zip(b.hardware).map(|(a, b)| (a.rx_frames, b.tx_frames));
    if counted != Some((verdict.sent, verdict.sent)) {
        let (received, sent) = counted.unwrap_or_default();
        return Some(Failure::Found(format!(
            "{} frames went through, but NIC A's hardware counted {received} received and NIC B's {sent} sent",
            verdict.sent
        )));
    }
    complaints
        .first()
        .map(|first| Failure::Found(format!("the simulator says what the driver did wrong: {first}")))
}

fn text(
    plan: &Plan,
    options: &Demo,
    bench: &dyn Bench,
    verdict: &Verdict,
    nics: &[Summary; 2],
    complaints: &[String],
    path: &std::path::Path,
) -> String {
    let mut text = String::new();
    let input = options.file.as_ref().map_or("the sample capture".into(), |file| file.display().to_string());
    let _ = writeln!(text, "This ran on {}: no hardware was touched.", bench.describe());
    let _ = writeln!(
        text,
        "{input} -> wire -> NIC A receives -> igb forwards -> NIC B sends -> wire -> {}\n",
        path.display()
    );
    let _ = write!(text, "{} frames went in", count(verdict.sent));
    if options.repeat > 1 {
        let _ = write!(text, " ({} times {})", options.repeat, plan.frames.len());
    }
    let _ = writeln!(
        text,
        ", {} of them padded to {SHORTEST} bytes.",
        count(plan.padded * u64::from(options.repeat))
    );
    if plan.refused() > 0 {
        let _ = writeln!(text, "{} were refused: {}.", count(plan.refused()), plan.refusals());
    }
    let _ = if verdict.is_good(options.rings.queues == 1) {
        let order = match verdict.overtaking {
            0 => "in order".to_owned(),
            some => format!("{} of them overtaking others in another queue", count(some)),
        };
        writeln!(text, "{} came out, byte for byte what went in, {order}.\n", count(verdict.same))
    } else {
        writeln!(
            text,
            "{} came out as they went in; {} are wrong, {} are missing, {} overtook others.\n",
            count(verdict.same),
            count(verdict.wrong),
            count(verdict.missing),
            count(verdict.overtaking)
        )
    };
    for complaint in complaints {
        let _ = writeln!(text, "the simulator objects: {complaint}");
    }
    text.push_str(&table(nics));
    if let [a, b] = nics
        && verdict.same > 0
    {
        let doorbells = (a.running.rx_doorbells + b.running.tx_doorbells) as f64;
        let reads = (a.running.reads + b.running.reads) as f64;
        let frames = verdict.same as f64;
        let _ = writeln!(
            text,
            "\n  {:.1} frames a doorbell (A's receive tail and B's transmit tail), {:.2} register reads a frame.",
            2.0 * frames / doorbells.max(1.0),
            reads / frames
        );
    }
    text
}

/// The capture at the far end of B's wire.
struct Out {
    path: PathBuf,
    writer: Writer<BufWriter<File>>,
}

impl Out {
    fn create(chosen: Option<PathBuf>, kind: &str) -> Result<Self, Failure> {
        let (path, file) = match chosen {
            Some(path) => {
                let file = File::create(&path);
                (path, file)
            }
            None => {
                // Never through a link, never over a file that somebody else put there.
                let path = std::env::temp_dir().join(format!("igbctl-demo-{}.pcapng", std::process::id()));
                let file = OpenOptions::new().write(true).create_new(true).open(&path);
                (path, file)
            }
        };
        let writer =
            file.map(BufWriter::new).and_then(|file| Writer::new(file, &format!("{kind}: wire of NIC B")));
        match writer {
            Ok(writer) => Ok(Self { path, writer }),
            Err(error) => Err(Failure::file(&path, error)),
        }
    }

    fn frame(&mut self, nanos: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.frame(nanos, bytes).map_err(|error| Failure::file(&self.path, error))
    }

    fn finish(self) -> Result<PathBuf, Failure> {
        match self.writer.finish() {
            Ok(_) => Ok(self.path),
            Err(error) => Err(Failure::file(&self.path, error)),
        }
    }
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
}
