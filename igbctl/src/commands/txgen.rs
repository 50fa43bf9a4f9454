//! `txgen`: sends generated frames.

use super::run::{NAP, Run, Sink, Source, named};
use crate::args::Txgen;
use crate::failure::Failure;
use crate::machine::{self, Job, Opening};
use crate::output::Report;
use crate::stop::Stop;
use igb::{Platform, Wait};

/// `txgen`.
pub(crate) fn txgen(options: Txgen) -> Result<Report, Failure> {
    let names: Vec<_> = named(&[&options.device], &[&options.sink]).into_iter().cloned().collect();
    let opening = Opening::new(&options.rings, options.take);
    machine::run(&names.iter().collect::<Vec<_>>(), opening, TxgenJob(options))
}

struct TxgenJob(Txgen);

impl Job for TxgenJob {
    fn run<P: Platform<Irq: Wait>>(self, devices: Vec<P>, stop: &Stop) -> Result<Report, Failure> {
        let options = self.0;
        let mut run = Run::new(&options.limits, stop)?;
        let names = named(&[&options.device], &[&options.sink]);
        let mut nics = run.open(names, devices, &options.rings)?;
        let Some(nic) = nics.next() else { return Err(Failure::Usage("no device".into())) };
        let mut source = Source::new(nic, &options.frames, options.to);
        let mut sink = nics.next().map(Sink);

        let result = send(&mut run, &mut source, &mut sink);
        let mut summaries = vec![source.nic.summary()];
        summaries.extend(sink.iter().map(|sink| sink.0.summary()));
        let mut report = run.report(&summaries);
        let failure = report.failure.take();
        Ok(report.failing(failure.or(result.err())))
    }
}

fn send<P: Platform<Irq: Wait>>(
    run: &mut Run,
    source: &mut Source<P>,
    sink: &mut Option<Sink<P>>,
) -> Result<(), Failure> {
    let mut frames = 0;
    while let Some(most) = run.wanted(frames, u32::MAX) {
        let sent = source.step(most)?;
        let taken = sink.as_mut().map_or(Ok(false), Sink::step)?;
        if sent == 0 && !taken {
            // The ring is full: the wire is the slowest.
            std::thread::sleep(NAP / 10);
        }
        frames += u64::from(sent);
        let watched: Vec<_> =
            core::iter::once(&source.nic).chain(sink.as_ref().map(|sink| &sink.0)).collect();
        run.tick(&watched, || source.nic.totals())?;
    }
    source.drain(|| sink.as_mut().map_or(Ok(false), Sink::step))
}
