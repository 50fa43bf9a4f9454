//! An open device in a command's hands: its queues, its interrupts, what they moved, and the promise that it is quiet
//! when the command is over.

use crate::failure::Failure;
use crate::meter::{Counted, Counts, Meter};
use crate::rates::{Rates, Totals};
use crate::stop::Stop;
use crate::table::{Table, count};
use embedded_hal::delay::DelayNs;
use igb::{
    Action, Config, Controller, Exclusive, Igb, InterruptKind, Link, Local, Memory, Platform, Queue,
    QueueStats, Queues, RxMeta, Statistics, Wait,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Frames that one turn takes from a queue at most.
pub(crate) const BUDGET: u32 = 64;

/// The waiting end of an interrupt vector.
pub(crate) type Vector<P> = <Meter<P> as Platform>::Irq;

/// An open device.
pub(crate) struct Nic<P: Platform> {
    pub(crate) name: String,
    pub(crate) control: Controller<Meter<P>>,
    pub(crate) queues: Vec<Queue<Meter<P>, Local>>,
    /// What each queue moved.
    pub(crate) moved: Vec<Totals>,
    irqs: Vec<Vector<P>>,
    turn: usize,
    counts: Arc<Counts>,
    bring_up: Counted,
}

/// A device that was identified and reset.
pub(crate) struct Probed<P: Platform> {
    pub(crate) name: String,
    pub(crate) igb: Igb<Meter<P>>,
    counts: Arc<Counts>,
}

impl<P: Platform<Irq: Wait>> Probed<P> {
    /// Probes the device.
    pub(crate) fn new(name: impl Into<String>, platform: P) -> Result<Self, Failure> {
        Self::with(name, Arc::new(platform), Config::default())
    }

    /// Probes the device, which may be closed and probed again.
    pub(crate) fn with(name: impl Into<String>, platform: Arc<P>, config: Config) -> Result<Self, Failure> {
        let name = name.into();
        let meter = Meter::new(platform);
        let counts = meter.counts();
        let igb = Igb::probe(meter, config).map_err(|error| Failure::driver(&name, error))?;
        Ok(Self { name, igb, counts })
    }

    /// Opens it; it takes every frame.
    pub(crate) fn open(self, queues: u16, ring: u32) -> Result<Nic<P>, Failure> {
        let nic = self.start(queues, ring)?;
        nic.control.set_promiscuous(true).map_err(|error| nic.fail(error))?;
        Ok(nic)
    }

    /// Opens it; it takes what is for it, and broadcast.
    pub(crate) fn start(self, queues: u16, ring: u32) -> Result<Nic<P>, Failure> {
        let Self { name, igb, counts } = self;
        let opened = igb.open(Queues::combined(queues).rings(ring, ring));
        let (control, queues) = opened.map_err(|error| Failure::driver(&name, error))?;
        let irqs = queues.iter().filter_map(Queue::take_irq).collect();
        let moved = vec![Totals::default(); queues.len()];
        Ok(Nic { name, control, queues, moved, irqs, turn: 0, counts, bring_up: Counted::default() })
    }
}

impl<P: Platform<Irq: Wait>> Nic<P> {
    /// Probes and opens the device; it takes every frame.
    pub(crate) fn open(
        name: impl Into<String>,
        platform: P,
        queues: u16,
        ring: u32,
    ) -> Result<Self, Failure> {
        Probed::new(name, platform)?.open(queues, ring)
    }

    /// Says what went wrong with this device.
    pub(crate) fn fail(&self, error: igb::Error) -> Failure {
        Failure::driver(&self.name, error)
    }

    /// Fewer interrupt vectors than one for each queue and one for the rest, in words.
    pub(crate) fn shortage(&self) -> Option<String> {
        let (asked, has) = (self.queues.len() + 1, usize::from(self.control.vectors()));
        let kind = self.control.interrupt_kind().filter(|_| has < asked)?;
        let advice = match kind {
            InterruptKind::MsiX => format!("--queues {} has one for each", (has - 1).max(1)),
            _ => {
                "MSI-X was not to be had; `grep -o pci=nomsi /proc/cmdline; dmesg | tail` may say why".into()
            }
        };
        let plural = if has == 1 { "" } else { "s" };
        Some(format!(
            "{}: {has} interrupt vector{plural} ({}) of {asked} asked for, so queues share: {advice}",
            self.name,
            kind.as_str()
        ))
    }

    /// What was counted until now was the bring-up; the run begins.
    pub(crate) fn begin(&mut self) {
        self.bring_up = self.counts.now();
    }

    /// The queues and the vectors, each vector with the number of the first queue that it serves, for threads of their own.
    /// The queues come back before the summary is made.
    #[allow(clippy::type_complexity, reason = "queues and vectors")]
    pub(crate) fn take(&mut self) -> (Vec<Queue<Meter<P>, Local>>, Vec<(u16, Vector<P>)>) {
        let queues = core::mem::take(&mut self.queues);
        // As they were taken: a queue got one if it was the first to ask for its vector.
        let mut seen = Vec::new();
        let firsts = queues.iter().filter(|queue| {
            let new = !seen.contains(&queue.vector());
            seen.push(queue.vector());
            new
        });
        let numbers: Vec<u16> = firsts.map(Queue::index).collect();
        (queues, numbers.into_iter().zip(self.irqs.drain(..)).collect())
    }

    /// Takes at most `budget` frames from each queue, shows each to `each` with its queue, and recycles it.
    pub(crate) fn receive(
        &mut self,
        budget: u32,
        mut each: impl FnMut(u16, &[u8], &RxMeta<'_>),
    ) -> Result<u32, Failure> {
        let mut frames = 0;
        for (queue, moved) in self.queues.iter_mut().zip(&mut self.moved) {
            let number = queue.index();
            let polled = queue.poll(budget - frames.min(budget), |frame, meta| {
                moved.rx_frames += 1;
                moved.rx_bytes += frame.bytes().len() as u64;
                each(number, frame.bytes(), &meta);
                Action::Recycle(frame)
            });
            frames += polled.map_err(|error| Failure::driver(&self.name, error))?;
            if frames >= budget {
                break;
            }
        }
        Ok(frames)
    }

    /// Sends a batch of at most `batch` frames from each queue, and at most `most` in all; `fill` makes each in its
    /// buffer.
    pub(crate) fn send(
        &mut self,
        batch: u32,
        most: u32,
        mut fill: impl FnMut(&mut igb::Buffer) -> bool,
    ) -> Result<u32, Failure> {
        let mut frames = 0;
        for (queue, moved) in self.queues.iter_mut().zip(&mut self.moved) {
            let sent = queue.send_batch(batch.min(most.saturating_sub(frames)), |memory| {
                let mut frame = memory.take()?;
                if !fill(&mut frame) {
                    memory.give(frame);
                    return None;
                }
                moved.tx_frames += 1;
                moved.tx_bytes += frame.bytes().len() as u64;
                Some(frame)
            });
            frames += sent.map_err(|error| Failure::driver(&self.name, error))?;
        }
        Ok(frames)
    }

    /// Everything that this device moved.
    pub(crate) fn totals(&self) -> Totals {
        self.moved.iter().fold(Totals::default(), |all, queue| Totals {
            rx_frames: all.rx_frames + queue.rx_frames,
            rx_bytes: all.rx_bytes + queue.rx_bytes,
            tx_frames: all.tx_frames + queue.tx_frames,
            tx_bytes: all.tx_bytes + queue.tx_bytes,
        })
    }

    /// Frames that the hardware has not sent yet.
    pub(crate) fn pending(&mut self) -> Result<u32, Failure> {
        let mut pending = 0;
        for queue in &mut self.queues {
            queue.clean().map_err(|error| Failure::driver(&self.name, error))?;
            pending += queue.finish.pending();
        }
        Ok(pending)
    }

    /// Unmasks the interrupts of drained queues and sleeps until one comes, or for `limit`.
    ///
    /// One thread serves all queues here, so it looks at every vector, then sleeps on them in turn.
    pub(crate) fn sleep(&mut self, limit: Duration) -> Result<(), Failure> {
        self.queues.iter().for_each(Queue::arm);
        let mut came = false;
        for irq in &mut self.irqs {
            came |= irq.wait(Duration::ZERO);
        }
        if !came {
            self.turn = (self.turn + 1) % self.irqs.len().max(1);
            match self.irqs.get_mut(self.turn) {
                Some(irq) => _ = irq.wait(limit),
                None => {
                    self.control
                        .platform()
                        .delay()
                        .delay_us(u32::try_from(limit.as_micros()).unwrap_or(1000));
                }
            }
        }
        // One vector for everything is a level or a flag that somebody reads.
        if matches!(self.control.interrupt_kind(), Some(InterruptKind::Msi | InterruptKind::Intx)) {
            self.control.on_interrupt().map_err(|error| self.fail(error))?;
        }
        Ok(())
    }

    /// The look of once a second: is it there, did the link change, does it send.
    pub(crate) fn watch(&self, rates: &mut Rates) -> Result<(), Failure> {
        let health = self.control.watchdog().map_err(|error| self.fail(error))?;
        if let Some(link) = health.link {
            rates.remark(&format!("{}: link {link}", self.name));
        }
        if let Some(queue) = health.hung {
            rates.remark(&format!("{}: queue {queue} does not send: the device is reset", self.name));
            // A reset waits until every queue was polled, and the queues are ours.
            let control = self.control.clone();
            std::thread::spawn(move || control.reset());
        }
        Ok(())
    }

    /// All that is worth telling in the end.
    pub(crate) fn summary(&self) -> Summary {
        let now = self.counts.now();
        Summary {
            name: self.name.clone(),
            chip: self.control.chip().name(),
            address: self.control.address().to_string(),
            link: self.control.link().ok(),
            interrupts: self.control.interrupt_kind().map_or("none", InterruptKind::as_str),
            vectors: self.control.vectors(),
            queues: self.moved.iter().copied().zip(self.queues.iter().map(Queue::stats)).collect(),
            bring_up: self.bring_up,
            running: now.since(self.bring_up),
            hardware: self.control.statistics().ok(),
        }
    }
}

/// However the command ended, the device neither moves frames nor interrupts afterwards.
impl<P: Platform> Drop for Nic<P> {
    fn drop(&mut self) {
        for queue in self.queues.drain(..) {
            // A queue that does not stop leaves its memory with the controller, which takes the bus away from it.
            let _ = queue.close();
        }
        self.control.close();
    }
}

/// Waits until every device has its link; says so on the way. `false` if `limit` or a signal came first.
pub(crate) fn wait_links<P: Platform<Irq: Wait>>(
    nics: &mut [&mut Nic<P>],
    stop: &Stop,
    limit: Option<Duration>,
    rates: &mut Rates,
) -> Result<bool, Failure> {
    let started = Instant::now();
    let mut said = false;
    loop {
        let mut waiting = None;
        for nic in nics.iter() {
            if !nic.control.link().map_err(|error| nic.fail(error))?.up {
                waiting = Some(nic);
            }
        }
        let Some(nic) = waiting else {
            nics.iter_mut().for_each(|nic| nic.begin());
            return Ok(true);
        };
        if stop.is_set() || limit.is_some_and(|limit| started.elapsed() >= limit) {
            nics.iter_mut().for_each(|nic| nic.begin());
            return Ok(false);
        }
        if !said && started.elapsed() > Duration::from_secs(2) {
            said = true;
            rates.remark(&format!("{}: no link yet", nic.name));
        }
        nic.control.platform().delay().delay_ms(2);
    }
}

/// What a device did.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) chip: &'static str,
    pub(crate) address: String,
    pub(crate) link: Option<Link>,
    pub(crate) interrupts: &'static str,
    pub(crate) vectors: u16,
    pub(crate) queues: Vec<(Totals, QueueStats)>,
    pub(crate) bring_up: Counted,
    pub(crate) running: Counted,
    pub(crate) hardware: Option<Statistics>,
}

impl Summary {
    fn sum(&self, of: impl Fn(&Totals) -> u64) -> u64 {
        self.queues.iter().map(|(moved, _)| of(moved)).sum()
    }

    /// Frames and bytes, received and sent.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            rx_frames: self.sum(|moved| moved.rx_frames),
            rx_bytes: self.sum(|moved| moved.rx_bytes),
            tx_frames: self.sum(|moved| moved.tx_frames),
            tx_bytes: self.sum(|moved| moved.tx_bytes),
        }
    }

    /// Everything, for programs.
    pub(crate) fn to_json(&self) -> Value {
        let counted = |c: &Counted| {
            json!({
                "register_reads": c.reads,
                "register_writes": c.writes,
                "rx_doorbells": c.rx_doorbells,
                "tx_doorbells": c.tx_doorbells,
                "interrupts": c.interrupts,
            })
        };
        let moved = |t: &Totals| {
            json!({
                "rx_frames": t.rx_frames,
                "rx_bytes": t.rx_bytes,
                "tx_frames": t.tx_frames,
                "tx_bytes": t.tx_bytes,
            })
        };
        let queues: Vec<_> = self
            .queues
            .iter()
            .enumerate()
            .map(|(number, (totals, stats))| {
                let mut queue = moved(totals);
                queue["queue"] = number.into();
                queue["lost"] = stats.lost.into();
                queue["bad"] = stats.rx.bad().into();
                queue
            })
            .collect();
        json!({
            "device": self.name,
            "chip": self.chip,
            "address": self.address,
            "link": self.link.map(|link| link.to_string()),
            "interrupt_kind": self.interrupts,
            "vectors": self.vectors,
            "totals": moved(&self.totals()),
            "queues": queues,
            "bring_up": counted(&self.bring_up),
            "running": counted(&self.running),
            "hardware": self.hardware.map(|hardware| {
                hardware.iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<serde_json::Map<_, Value>>()
            }),
        })
    }
}

/// Devices side by side, for people.
pub(crate) fn table(nics: &[Summary]) -> String {
    let mut table =
        Table::new(core::iter::once(String::new()).chain(nics.iter().map(|nic| nic.name.clone())));
    let mut row = |title: &str, value: &dyn Fn(&Summary) -> String| {
        table.row(core::iter::once(title.to_owned()).chain(nics.iter().map(value)));
    };
    let number = |of: fn(&Summary) -> u64| move |nic: &Summary| count(of(nic));
    row("frames received", &number(|nic| nic.totals().rx_frames));
    row("bytes received", &number(|nic| nic.totals().rx_bytes));
    row("frames sent", &number(|nic| nic.totals().tx_frames));
    row("bytes sent", &number(|nic| nic.totals().tx_bytes));
    row("receive doorbells", &number(|nic| nic.running.rx_doorbells));
    row("transmit doorbells", &number(|nic| nic.running.tx_doorbells));
    row("interrupts taken", &number(|nic| nic.running.interrupts));
    row("register reads", &number(|nic| nic.running.reads));
    row("register writes", &number(|nic| nic.running.writes));
    row("register reads of bring-up", &number(|nic| nic.bring_up.reads));
    row("register writes of bring-up", &number(|nic| nic.bring_up.writes));
    let hardware = |of: fn(&Statistics) -> u64| {
        move |nic: &Summary| nic.hardware.as_ref().map_or("-".into(), |hardware| count(of(hardware)))
    };
    row("hardware counted received", &hardware(|s| s.rx_frames));
    row("hardware counted sent", &hardware(|s| s.tx_frames));
    row("hardware missed", &hardware(|s| s.missed));
    let lost = |nic: &Summary| count(nic.queues.iter().map(|(_, stats)| stats.lost + stats.rx.bad()).sum());
    row("lost or bad", &lost);
    let mut text = table.render(2);
    if nics.iter().any(|nic| nic.queues.len() > 1) {
        let sides = nics.iter().flat_map(|nic| [format!("{} received", nic.name), "sent".to_owned()]);
        let mut queues = Table::new(core::iter::once("queue".to_owned()).chain(sides));
        for number in 0..nics.iter().map(|nic| nic.queues.len()).max().unwrap_or(0) {
            let cells = nics.iter().flat_map(|nic| match nic.queues.get(number) {
                Some((moved, _)) => [count(moved.rx_frames), count(moved.tx_frames)],
                None => ["-".to_owned(), "-".to_owned()],
            });
            queues.row(core::iter::once(number.to_string()).chain(cells));
        }
        text.push('\n');
        text.push_str(&queues.render(2));
    }
    text
}
