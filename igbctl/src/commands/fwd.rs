//! `fwd`: two devices become a wire.

use super::run::{DRAIN, NAP, Run, Sink, Source};
use crate::args::Fwd;
use crate::failure::Failure;
use crate::forward::forward;
use crate::machine::{self, Job, Opening};
use crate::nic::{BUDGET, Nic};
use crate::output::Report;
use crate::stop::Stop;
use igb::{MacAddress, Platform, Wait};
use std::time::Instant;

/// `fwd`.
pub(crate) fn fwd(options: Fwd) -> Result<Report, Failure> {
    let names = options.names();
    let opening = Opening::new(&options.rings, options.take);
    machine::run(&names.iter().collect::<Vec<_>>(), opening, FwdJob(options))
}

impl Fwd {
    fn names(&self) -> Vec<crate::device::DeviceName> {
        [&self.a, &self.b].into_iter().chain(&self.source).chain(&self.sink).cloned().collect()
    }
}

struct FwdJob(Fwd);

impl Job for FwdJob {
    fn run<P: Platform<Irq: Wait>>(self, devices: Vec<P>, stop: &Stop) -> Result<Report, Failure> {
        let options = self.0;
        let mut run = Run::new(&options.limits, stop)?;
        let mut nics = run.open(options.names(), devices, &options.rings)?;
        let (Some(a), Some(b)) = (nics.next(), nics.next()) else {
            return Err(Failure::Usage("fwd needs two devices".into()));
        };
        let source = options.source.as_ref().and_then(|_| nics.next());
        let source = source.map(|nic| Source::new(nic, &options.frames, MacAddress([0xff; 6])));
        let sink = options.sink.as_ref().and_then(|_| nics.next()).map(Sink);
        let ring = options.rings.ring * u32::from(options.rings.queues);
        let mut bench = Bridge { a, b, source, sink, one_way: options.one_way, ring };

        let result = bench.run(&mut run);
        let mut summaries = vec![bench.a.summary(), bench.b.summary()];
        summaries.extend(bench.source.iter().map(|source| source.nic.summary()));
        summaries.extend(bench.sink.iter().map(|sink| sink.0.summary()));
        let mut report = run.report(&summaries);
        let failure = report.failure.take();
        Ok(report.failing(failure.or(result.err())))
    }
}

struct Bridge<P: Platform> {
    a: Nic<P>,
    b: Nic<P>,
    source: Option<Source<P>>,
    sink: Option<Sink<P>>,
    one_way: bool,
    /// Descriptors that a device may have filled.
    ring: u32,
}

impl<P: Platform<Irq: Wait>> Bridge<P> {
    fn run(&mut self, run: &mut Run) -> Result<(), Failure> {
        let mut frames = 0;
        while let Some(batch) = run.wanted(frames, BUDGET) {
            let sent = self.source.as_mut().map_or(Ok(0), |source| source.step(u32::MAX))?;
            let moved = self.step(batch)?;
            frames += u64::from(moved);
            if sent + moved == 0 {
                self.a.sleep(NAP / 2)?;
                if !self.one_way {
                    self.b.sleep(NAP / 2)?;
                }
            }
            let helpers =
                self.source.iter().map(|source| &source.nic).chain(self.sink.iter().map(|sink| &sink.0));
            let watched: Vec<_> = [&self.a, &self.b].into_iter().chain(helpers).collect();
            run.tick(&watched, || self.b.totals())?;
        }
        self.drain(run.left(frames, self.ring))
    }

    /// Forwards what is in the rings, `left` frames at most, and waits until everything has left.
    fn drain(&mut self, mut left: u32) -> Result<(), Failure> {
        let (started, mut quiet) = (Instant::now(), 0);
        while started.elapsed() < DRAIN && quiet < 20 {
            let forwarded = if left > 0 { self.step(left.min(BUDGET))? } else { 0 };
            left = left.saturating_sub(forwarded);
            let mut pending = self.a.pending()? + self.b.pending()?;
            if let Some(source) = &mut self.source {
                pending += source.nic.pending()?;
            }
            let taken = self.sink.as_mut().map_or(Ok(false), Sink::step)?;
            let moved = forwarded > 0 || pending > 0 || taken;
            quiet = if moved { 0 } else { quiet + 1 };
            if !moved {
                std::thread::sleep(NAP);
            }
        }
        Ok(())
    }

    /// One batch each way.
    fn step(&mut self, batch: u32) -> Result<u32, Failure> {
        let mut moved = forward(&mut self.a, &mut self.b, batch)?;
        if !self.one_way {
            moved += forward(&mut self.b, &mut self.a, batch)?;
        }
        if let Some(sink) = &mut self.sink {
            sink.step()?;
        }
        Ok(moved)
    }
}
