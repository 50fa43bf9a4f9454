//! `demo`: a capture file goes in at one NIC's wire and comes out at another's, through the driver, without a copy; then
//! both are compared.

mod out;
mod plan;
#[cfg(test)]
mod spoiled;
mod text;

use super::run::NAP;
use crate::args::Demo;
use crate::capture::{self, SAMPLE};
use crate::compare::{Comparer, Verdict};
use crate::failure::Failure;
use crate::forward::forward;
use crate::machine::{self, Bench, Cable, WiredJob};
use crate::nic::{Nic, Summary, wait_links};
use crate::output::Report;
use crate::rates::Rates;
use crate::stop::Stop;
use igb::{Clock, Platform, Wait};
use out::Out;
use plan::Plan;
use serde_json::{Value, json};
use std::time::Duration;

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
        let text = text::text(&plan, options, bench, &verdict, &summaries, &complaints, &path);
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
