//! `rxdrop`, `stats` and `dump`: one loop that receives, and three things to do with it.

use super::run::{NAP, Run, Source, named};
use crate::args::{Dump, Receive, Stats};
use crate::capture::Writer;
use crate::failure::Failure;
use crate::machine::{self, Job, Opening};
use crate::nic::{BUDGET, Nic};
use crate::output::Report;
use crate::stop::Stop;
use crate::table::{Table, count};
use igb::{MacAddress, Platform, Wait};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What happens to what is received.
enum Purpose {
    Drop,
    Count { all: bool },
    Write(PathBuf),
}

/// `rxdrop`.
pub(crate) fn rxdrop(options: Receive) -> Result<Report, Failure> {
    receive(options, Purpose::Drop)
}

/// `stats`. One second, if nothing else is said.
pub(crate) fn stats(mut options: Stats) -> Result<Report, Failure> {
    let limits = &mut options.receive.limits;
    if limits.count.is_none() && limits.seconds.is_none() {
        limits.seconds = Some(1.0);
    }
    receive(options.receive, Purpose::Count { all: options.all })
}

/// `dump`.
pub(crate) fn dump(options: Dump, json: bool) -> Result<Report, Failure> {
    if json && is_standard_output(&options.write) {
        return Err(Failure::Usage(
            "the capture and --json cannot both go to standard output: name a file".into(),
        ));
    }
    receive(options.receive, Purpose::Write(options.write))
}

fn receive(options: Receive, purpose: Purpose) -> Result<Report, Failure> {
    let names: Vec<_> = named(&[&options.device], &[&options.source]).into_iter().cloned().collect();
    let opening = Opening::new(&options.rings, options.take);
    machine::run(&names.iter().collect::<Vec<_>>(), opening, ReceiveJob { options, purpose })
}

struct ReceiveJob {
    options: Receive,
    purpose: Purpose,
}

impl Job for ReceiveJob {
    fn run<P: Platform<Irq: Wait>>(self, devices: Vec<P>, stop: &Stop) -> Result<Report, Failure> {
        let Self { options, purpose } = self;
        let mut file = match &purpose {
            Purpose::Write(path) => Some(CaptureFile::create(path, &options.device.to_string())?),
            _ => None,
        };
        let mut run = Run::new(&options.limits, stop)?;
        let names = named(&[&options.device], &[&options.source]);
        let mut nics = run.open(names, devices, &options.rings)?;
        let Some(mut nic) = nics.next() else { return Err(Failure::Usage("no device".into())) };
        let mut source =
            nics.next().map(|source| Source::new(source, &options.frames, MacAddress([0xff; 6])));

        let mut frames = 0;
        let result = loop {
            let Some(budget) = run.wanted(frames, BUDGET) else { break Ok(()) };
            let turn = turn(&mut nic, source.as_mut(), budget, file.as_mut());
            frames += match turn {
                Ok(moved) => u64::from(moved),
                Err(failure) => break Err(failure),
            };
            let watched: Vec<_> =
                core::iter::once(&nic).chain(source.as_ref().map(|source| &source.nic)).collect();
            if let Err(failure) = run.tick(&watched, || nic.totals()) {
                break Err(failure);
            }
        };
        // What the device has delivered by then is counted, and written, too.
        let mut left = run.left(frames, options.rings.ring * u32::from(options.rings.queues));
        let result = result.and_then(|()| {
            while left > 0 {
                match turn(&mut nic, None, BUDGET.min(left), file.as_mut())? {
                    0 => break,
                    moved => left = left.saturating_sub(moved),
                }
            }
            Ok(())
        });
        // A device that failed still has a table.
        let mut summaries = vec![nic.summary()];
        summaries.extend(source.iter().map(|source| source.nic.summary()));
        let mut report = run.report(&summaries);
        let mut result = result;
        if let Some(file) = file {
            report.json["file"] = file.path.display().to_string().into();
            report.json["written"] = file.writer.frames().into();
            result = result.and(file.finish());
        }
        if let Purpose::Count { all } = purpose {
            report.text = hardware(
                &summaries.iter().map(|nic| (nic.name.as_str(), nic.hardware)).collect::<Vec<_>>(),
                all,
            );
        } else if matches!(&purpose, Purpose::Write(path) if is_standard_output(path)) {
            report.text.clear(); // the file is there
        }
        let failure = report.failure.take();
        // What Ctrl-C did to a device's helper process is Ctrl-C's doing.
        Ok(report.failing(failure.or(result.err())))
    }
}

fn turn<P: Platform<Irq: Wait>>(
    nic: &mut Nic<P>,
    source: Option<&mut Source<P>>,
    budget: u32,
    mut file: Option<&mut CaptureFile>,
) -> Result<u32, Failure> {
    let sent = source.map_or(Ok(0), |source| source.step(u32::MAX))?;
    let mut written = Ok(());
    let moved = nic.receive(budget, |_, bytes, _| {
        if let Some(file) = &mut file
            && written.is_ok()
        {
            written = file.frame(bytes);
        }
    })?;
    written?;
    if moved == 0 && sent == 0 {
        if let Some(file) = file {
            file.flush()?;
        }
        nic.sleep(NAP)?;
    }
    Ok(moved)
}

/// All counters of the hardware, those that are not zero.
fn hardware(nics: &[(&str, Option<igb::Statistics>)], all: bool) -> String {
    let mut table = Table::new(core::iter::once("counter").chain(nics.iter().map(|nic| nic.0)));
    let columns: Vec<Vec<(&str, u64)>> = nics
        .iter()
        .map(|nic| nic.1.map(|statistics| statistics.iter().collect()).unwrap_or_default())
        .collect();
    for (at, (name, _)) in columns.first().into_iter().flatten().enumerate() {
        let values: Vec<_> =
            columns.iter().map(|column| column.get(at).map_or(0, |counter| counter.1)).collect();
        if all || values.iter().any(|value| *value > 0) {
            table.row(core::iter::once((*name).to_owned()).chain(values.into_iter().map(count)));
        }
    }
    if table.is_empty() { "  every counter is zero\n".into() } else { table.render(2) }
}

fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A capture file on its way.
struct CaptureFile {
    path: PathBuf,
    writer: Writer<Box<dyn Write>>,
}

impl CaptureFile {
    fn create(path: &Path, interface: &str) -> Result<Self, Failure> {
        let fail = |error| Failure::file(path, error);
        let out: Box<dyn Write> = if is_standard_output(path) {
            Box::new(std::io::stdout().lock())
        } else {
            Box::new(File::create(path).map_err(fail)?)
        };
        let out: Box<dyn Write> = Box::new(BufWriter::with_capacity(256 << 10, out));
        Ok(Self { path: path.into(), writer: Writer::new(out, interface).map_err(fail)? })
    }

    /// Written with the time at which the driver saw it.
    fn frame(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(0);
        self.writer.frame(nanos, bytes).map_err(|error| Failure::file(&self.path, error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(|error| Failure::file(&self.path, error))
    }

    fn finish(self) -> Result<(), Failure> {
        let Self { path, writer } = self;
        writer.finish().map(drop).map_err(|error| Failure::file(&path, error))
    }
}
