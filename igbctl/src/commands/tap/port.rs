//! A device and its interface: the NIC is opened for what the interface is, its lanes get their threads, and this thread looks
//! after carrier, filters and health until something has to be opened anew.

use super::Shown;
use super::lane::{Counts, End, Lane};
use super::report::Served;
use super::worker::{Flag, Worker};
use crate::args::{FRAMING, MOST_MTU, Tap};
use crate::failure::Failure;
use crate::nic::{Nic, Probed};
use crate::stop::Stop;
use crate::wake::Wake;
use igb::{Config, MacAddress, Platform, Wait};
use igb_tap::{Interface, State};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often devices are looked at without a reason.
const LOOK: Duration = Duration::from_secs(1);
/// How often they are where nothing tells of an interrupt.
const BLIND_LOOK: Duration = Duration::from_millis(20);

/// What the NIC is opened for: what cannot be changed while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) mtu: u32,
    pub(super) address: MacAddress,
}

impl Wanted {
    fn of(state: &State) -> Self {
        Self { mtu: state.mtu.min(MOST_MTU), address: MacAddress(state.address) }
    }

    fn max_frame(self) -> u16 {
        u16::try_from(self.mtu + FRAMING).unwrap_or(u16::MAX)
    }

    fn config(self) -> Config {
        Config::default().max_frame(self.max_frame()).address(self.address)
    }
}

/// A device and its interface.
pub(super) struct Port<P: Platform> {
    device: String,
    platform: Arc<P>,
    interface: Interface,
    pub(super) ends: Vec<End>,
    wanted: Wanted,
    queues: u16,
    ring: u32,
    /// How often the NIC was opened.
    openings: u32,
    /// Once is enough to say that an interface cannot be followed.
    lost_sight: bool,
    /// The MTU that was too large, and said to be; 0 for none.
    too_large: u32,
}

/// Why an opening of the NIC ended.
enum Ended {
    Stopped,
    Changed(Wanted),
}

impl<P: Platform<Irq: Wake>> Port<P> {
    /// Looks whether the device is one, then makes the interface.
    pub(super) fn open(
        device: String,
        name: igb_tap::Name,
        platform: P,
        options: &Tap,
    ) -> Result<Self, Failure> {
        let platform = Arc::new(platform);
        let address = Probed::with(&*device, platform.clone(), Config::default())?.igb.address();
        let mut wanted = igb_tap::Options::new(name);
        wanted.queues = options.rings.queues;
        wanted.offload = !options.no_offload;
        wanted.persist = options.persist;
        let (mut interface, queues) = igb_tap::open(&wanted)?;
        if !interface.was_there() {
            interface.set_address(address.0)?;
        }
        if let Some(mtu) = options.mtu {
            interface.set_mtu(mtu)?;
        }
        if options.up {
            interface.set_up(true)?;
        }
        let wanted = Wanted::of(&interface.state()?);
        let end = |tap| End {
            tap,
            counts: Counts::default(),
            live: Arc::default(),
            offload: !options.no_offload,
            max_frame: wanted.max_frame(),
            readable: true,
        };
        Ok(Self {
            device,
            platform,
            interface,
            ends: queues.into_iter().map(end).collect(),
            wanted,
            queues: options.rings.queues,
            ring: options.rings.ring,
            openings: 0,
            lost_sight: false,
            too_large: 0,
        })
    }

    /// Serves the interface until `stop` or `end`. What failed on the way comes with what was done until then.
    pub(super) fn serve(mut self, stop: &Stop, end: &Flag, shown: &Shown<'_>) -> Result<Served, Failure> {
        let mut before = None;
        loop {
            let mut nic = match self.open_nic() {
                Ok(nic) => nic,
                // An MTU for which there is no memory, say: back to what went well.
                Err(failure) => match before.take() {
                    Some(good) => {
                        shown.remark(&format!(
                            "{}: {failure}: back to the MTU and address before",
                            self.interface.name()
                        ));
                        self.restore(good)?;
                        continue;
                    }
                    None => return Err(failure),
                },
            };
            if self.openings == 0
                && let Some(shortage) = nic.shortage()
            {
                shown.remark(&shortage);
            }
            self.openings += 1;
            shown.remark(&format!(
                "{} is {}, address {}, MTU {}, queues: {}",
                self.interface.name(),
                self.device,
                self.wanted.address,
                self.wanted.mtu,
                self.queues
            ));
            let ended = self.session(&mut nic, stop, end, shown);
            let failure = match ended {
                Ok(Ended::Changed(wanted)) => {
                    before = Some(core::mem::replace(&mut self.wanted, wanted));
                    self.interface.set_carrier(false)?;
                    continue;
                }
                Ok(Ended::Stopped) => None,
                Err(failure) => Some(failure),
            };
            return Ok(Served {
                summary: nic.summary(),
                interface: self.interface.name().to_string(),
                wanted: self.wanted,
                openings: self.openings,
                counts: self.ends.iter().map(|end| end.counts).collect(),
                failure,
            });
        }
    }

    fn open_nic(&mut self) -> Result<Nic<P>, Failure> {
        let probed = Probed::with(&*self.device, self.platform.clone(), self.wanted.config())?;
        let mut nic = probed.start(self.queues, self.ring)?;
        nic.begin();
        Ok(nic)
    }

    /// Tells the interface what the NIC can do after all.
    fn restore(&mut self, good: Wanted) -> Result<(), Failure> {
        self.wanted = good;
        self.interface.set_mtu(good.mtu)?;
        Ok(self.interface.set_address(good.address.0)?)
    }

    /// One opening of the NIC: the lanes move frames in their threads, this one looks after the rest.
    fn session(
        &mut self,
        nic: &mut Nic<P>,
        stop: &Stop,
        end: &Flag,
        shown: &Shown<'_>,
    ) -> Result<Ended, Failure> {
        let flag = || Flag::new().map_err(|error| Failure::system("eventfd", error));
        let (halt, link) = (flag()?, flag()?);
        let workers = self.workers(nic);
        let control = nic.control.clone();
        let (ended, lanes) = std::thread::scope(|scope| {
            let threads: Vec<_> = workers
                .into_iter()
                .map(|worker| {
                    let (control, halt, link) = (&control, &halt, &link);
                    scope.spawn(move || worker.run(control, halt, link))
                })
                .collect();
            let ended = self.look_after(nic, [&halt, end, &link], stop, shown);
            halt.set();
            let mut lanes = Vec::new();
            let mut failure = None;
            for thread in threads {
                let (back, result) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                lanes.extend(back);
                failure = failure.or(result.err());
            }
            // What a lane ran into is the cause, what was seen from here the effect.
            (failure.map_or(ended, Err), lanes)
        });
        let mut lanes = lanes;
        lanes.sort_by_key(|lane| lane.queue.index());
        nic.moved = lanes.iter().map(|lane| lane.end.counts.moved).collect();
        for Lane { queue, end } in lanes {
            nic.queues.push(queue);
            self.ends.push(end);
        }
        ended
    }

    /// Deals queues and vectors out: a thread for each vector.
    fn workers(&mut self, nic: &mut Nic<P>) -> Vec<Worker<P>> {
        let (queues, vectors) = nic.take();
        // With one vector for everything, whoever sleeps on it reads the causes.
        let shared = nic.control.vectors() < 2;
        let max_frame = self.wanted.max_frame();
        let mut workers: Vec<(u16, Worker<P>)> = Vec::new();
        let mut vectors: Vec<_> = vectors.into_iter().map(|(queue, irq)| (queue, Some(irq))).collect();
        for (queue, mut end) in queues.into_iter().zip(self.ends.drain(..)) {
            let vector = queue.vector();
            end.max_frame = max_frame;
            end.readable = true;
            let irq =
                vectors.iter_mut().find(|(first, _)| *first == queue.index()).and_then(|(_, irq)| irq.take());
            let lane = Lane { queue, end };
            match workers.iter_mut().find(|(other, _)| *other == vector) {
                Some((_, worker)) => worker.lanes.push(lane),
                None => workers
                    .push((vector, Worker { device: self.device.clone(), lanes: vec![lane], irq, shared })),
            }
        }
        workers.into_iter().map(|(_, worker)| worker).collect()
    }

    /// Carrier, filters, health; until it is over or the NIC has to be opened anew.
    fn look_after(
        &mut self,
        nic: &Nic<P>,
        [halt, end, link]: [&Flag; 3],
        stop: &Stop,
        shown: &Shown<'_>,
    ) -> Result<Ended, Failure> {
        let control = &nic.control;
        let fail = |error| nic.fail(error);
        // The host does not tell which groups it listens to.
        control.set_all_multicast(true).map_err(fail)?;
        let mut irq = control.take_irq();
        let blind = irq.as_ref().is_some_and(|irq| irq.file().is_none());
        let pause = if blind { BLIND_LOOK } else { LOOK };
        let pause = Timespec::try_from(pause).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let (mut carrier, mut promiscuous, mut looked) = (false, false, Instant::now());
        let mut fresh = true;
        loop {
            if (core::mem::take(&mut fresh) | self.interface.changed())
                && let Some(wanted) = self.follow(nic, &mut promiscuous, shown)?
            {
                return Ok(Ended::Changed(wanted));
            }
            let now = control.link().map_err(fail)?;
            if now.up != carrier {
                carrier = now.up;
                self.interface.set_carrier(carrier)?;
                shown.remark(&format!("{}: link {now}", self.interface.name()));
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                fresh = true;
                let health = control.watchdog().map_err(fail)?;
                if let Some(queue) = health.hung {
                    shown.remark(&format!(
                        "{}: queue {queue} does not send: the device is reset",
                        self.device
                    ));
                    control.reset().map_err(fail)?;
                }
                shown.tick();
            }
            control.arm();
            if let Some(irq) = &mut irq {
                irq.prepare();
            }
            self.sleep(&[halt.as_fd(), end.as_fd(), link.as_fd()], irq.as_ref(), stop, &pause)?;
            if let Some(irq) = &mut irq
                && irq.wait(Duration::ZERO)
            {
                control.on_interrupt().map_err(fail)?;
            }
            link.take();
            if stop.is_set() || halt.is_set() || end.is_set() {
                return Ok(Ended::Stopped);
            }
        }
    }

    fn sleep<I: Wake>(
        &self,
        flags: &[rustix::fd::BorrowedFd<'_>],
        irq: Option<&I>,
        stop: &Stop,
        limit: &Timespec,
    ) -> Result<(), Failure> {
        let files = flags.iter().copied().chain([self.interface.as_fd()]);
        let files = files.chain(stop.file()).chain(irq.and_then(Wake::file));
        let mut files: Vec<_> = files.map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN)).collect();
        match poll(&mut files, Some(limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(Failure::system("poll", errno.into())),
        }
    }

    /// Follows the interface: filters at once; what the NIC has to be opened anew for is handed back.
    fn follow(
        &mut self,
        nic: &Nic<P>,
        promiscuous: &mut bool,
        shown: &Shown<'_>,
    ) -> Result<Option<Wanted>, Failure> {
        let state = match self.interface.state() {
            Ok(state) => state,
            // It is somewhere; its frames go on.
            Err(error @ igb_tap::Error::Elsewhere { .. }) => {
                if !core::mem::replace(&mut self.lost_sight, true) {
                    shown.remark(&error.to_string());
                }
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if state.promiscuous != *promiscuous {
            *promiscuous = state.promiscuous;
            nic.control.set_promiscuous(*promiscuous).map_err(|error| nic.fail(error))?;
        }
        let too_large = if state.mtu > MOST_MTU { state.mtu } else { 0 };
        if core::mem::replace(&mut self.too_large, too_large) != too_large && too_large != 0 {
            shown.remark(&format!(
                "{}: {} takes an MTU of {MOST_MTU} at most, not {too_large}",
                self.interface.name(),
                self.device
            ));
            match self.interface.set_mtu(MOST_MTU) {
                // Then longer frames are dropped, and counted.
                Ok(()) | Err(igb_tap::Error::NotPermitted(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let wanted = Wanted::of(&state);
        Ok((wanted != self.wanted).then_some(wanted))
    }
}
