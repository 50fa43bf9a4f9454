//! What all commands that move frames have in common: they end by count, by time or by signal, show rates, look after
//! their devices once a second, and may have helpers at the other ends of the wires.

use crate::args::{Frames, Limits, Rings};
use crate::device::DeviceName;
use crate::failure::Failure;
use crate::nic::{BUDGET, Nic, Summary, table};
use crate::output::Report;
use crate::rates::{Rates, Totals};
use crate::stop::Stop;
use crate::traffic::Generator;
use igb::{MacAddress, Platform, Wait};
use serde_json::{Value, json};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long an idle command sleeps at most, before it looks at its signals again.
pub(crate) const NAP: Duration = Duration::from_millis(1);

/// How long frames on their way may take to arrive once the last was sent.
pub(crate) const DRAIN: Duration = Duration::from_millis(500);

/// When a command ends, and what it does once a second.
pub(crate) struct Run {
    pub(crate) stop: Stop,
    pub(crate) rates: Rates,
    started: Instant,
    limit: Option<Duration>,
    count: Option<u64>,
    looked: Instant,
}

impl Run {
    /// Listens for signals; time runs from [`open`](Self::open).
    pub(crate) fn new(limits: &Limits, stop: &Stop) -> Result<Self, Failure> {
        let limit = limits.seconds.map(seconds).transpose()?;
        let now = Instant::now();
        Ok(Self {
            stop: stop.clone(),
            rates: Rates::new(),
            started: now,
            limit,
            count: limits.count,
            looked: now,
        })
    }

    /// Opens a command's devices, waits for their links, and starts the clock.
    pub(crate) fn open<P: Platform<Irq: Wait>>(
        &mut self,
        names: impl IntoIterator<Item: Display>,
        devices: Vec<P>,
        rings: &Rings,
    ) -> Result<std::vec::IntoIter<Nic<P>>, Failure> {
        let mut nics = names
            .into_iter()
            .zip(devices)
            .map(|(name, device)| Nic::open(name.to_string(), device, rings.queues, rings.ring))
            .collect::<Result<Vec<_>, _>>()?;
        for shortage in nics.iter().filter_map(Nic::shortage) {
            self.rates.remark(&shortage);
        }
        let mut waiting: Vec<_> = nics.iter_mut().collect();
        crate::nic::wait_links(&mut waiting, &self.stop, self.limit, &mut self.rates)?;
        self.started = Instant::now();
        Ok(nics.into_iter())
    }

    /// Frames that are still wanted of a batch of `most`; `None` when the command ends.
    pub(crate) fn wanted(&self, frames: u64, most: u32) -> Option<u32> {
        let left = self.count.map_or(u64::MAX, |count| count.saturating_sub(frames));
        let over = self.stop.is_set() || self.limit.is_some_and(|limit| self.started.elapsed() >= limit);
        if over || left == 0 { None } else { Some(most.min(u32::try_from(left).unwrap_or(u32::MAX))) }
    }

    /// Frames that are still wanted once the command was told to end: what is in rings of `ring` descriptors by then, and
    /// not more than were asked for.
    pub(crate) fn left(&self, frames: u64, ring: u32) -> u32 {
        let left = self.count.map_or(u64::MAX, |count| count.saturating_sub(frames));
        ring.min(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Shows rates and looks after the devices, once a second.
    pub(crate) fn tick<P: Platform<Irq: Wait>>(
        &mut self,
        nics: &[&Nic<P>],
        totals: impl FnOnce() -> Totals,
    ) -> Result<(), Failure> {
        self.rates.tick(totals);
        if self.looked.elapsed() >= Duration::from_secs(1) {
            self.looked = Instant::now();
            for nic in nics {
                nic.watch(&mut self.rates)?;
            }
        }
        Ok(())
    }

    /// The table of all devices, how long it took, and what ended it.
    pub(crate) fn report(&mut self, nics: &[Summary]) -> Report {
        self.rates.clear();
        let elapsed = self.started.elapsed().as_secs_f64();
        let devices: Vec<_> = nics.iter().map(Summary::to_json).collect();
        Report::new(table(nics), json!({ "seconds": elapsed, "devices": Value::Array(devices) }))
            .failing(self.stop.failure())
    }
}

/// A time that was given in seconds.
pub(crate) fn seconds(value: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(value).map_err(|_| Failure::Usage(format!("{value} is no number of seconds")))
}

/// A device that sends generated frames while another is at work.
pub(crate) struct Source<P: Platform> {
    pub(crate) nic: Nic<P>,
    generator: Generator,
    batch: u32,
}

impl<P: Platform<Irq: Wait>> Source<P> {
    /// With the frames that were asked for, to `to`.
    pub(crate) fn new(nic: Nic<P>, frames: &Frames, to: MacAddress) -> Self {
        let generator = Generator::new(nic.control.address(), to, frames.size, frames.flows);
        Self { nic, generator, batch: frames.batch }
    }

    /// Sends one batch from each queue, at most `most` frames.
    pub(crate) fn step(&mut self, most: u32) -> Result<u32, Failure> {
        let generator = &mut self.generator;
        self.nic.send(self.batch, most, |buffer| generator.fill(buffer))
    }

    /// Waits until the hardware has sent everything; `meanwhile` keeps the other end going and says whether it moved.
    pub(crate) fn drain(
        &mut self,
        mut meanwhile: impl FnMut() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let (started, mut quiet) = (Instant::now(), 0);
        while started.elapsed() < DRAIN && quiet < 50 {
            let moved = meanwhile()? || self.nic.pending()? > 0;
            quiet = if moved { 0 } else { quiet + 1 };
            if !moved {
                std::thread::sleep(NAP);
            }
        }
        Ok(())
    }
}

/// A device that receives and drops while another is at work.
pub(crate) struct Sink<P: Platform>(pub(crate) Nic<P>);

impl<P: Platform<Irq: Wait>> Sink<P> {
    /// Takes what is there.
    pub(crate) fn step(&mut self) -> Result<bool, Failure> {
        Ok(self.0.receive(4 * BUDGET, |_, _, _| {})? > 0)
    }
}

/// The devices of a command: those it works on, then its helpers.
pub(crate) fn named<'a>(
    devices: &[&'a DeviceName],
    helpers: &[&'a Option<DeviceName>],
) -> Vec<&'a DeviceName> {
    devices.iter().copied().chain(helpers.iter().filter_map(|helper| helper.as_ref())).collect()
}
