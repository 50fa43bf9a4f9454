//! A thread's part: the lanes that share an interrupt vector, and sleeping on that vector and on the interface at the same time.

use super::lane::Lane;
use crate::failure::Failure;
use crate::meter::Meter;
use crate::nic::Vector;
use crate::wake::Wake;
use igb::{Controller, Platform, Queue, Wait};
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A flag that others can sleep on.
#[derive(Debug)]
pub(super) struct Flag {
    set: AtomicBool,
    file: OwnedFd,
}

impl Flag {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            set: AtomicBool::new(false),
            file: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    pub(super) fn set(&self) {
        self.set.store(true, Ordering::Release);
        // Full means that it was set before.
        let _ = write(&self.file, &1u64.to_ne_bytes());
    }

    pub(super) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Takes it down again. Whether it was set.
    pub(super) fn take(&self) -> bool {
        let _ = read(&self.file, &mut [0; 8]);
        self.set.swap(false, Ordering::AcqRel)
    }
}

impl AsFd for Flag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The lanes of one vector.
pub(super) struct Worker<P: Platform<Irq: Wake>> {
    pub(super) device: String,
    pub(super) lanes: Vec<Lane<P>>,
    pub(super) irq: Option<Vector<P>>,
    /// The vector carries other causes too, which have to be read before it comes again.
    pub(super) shared: bool,
}

impl<P: Platform<Irq: Wake>> Worker<P> {
    /// Moves frames until `halt`, or until something fails: then everybody halts. The lanes come back either way. `link` is set
    /// when a shared vector told of the link.
    pub(super) fn run(
        mut self,
        control: &Controller<Meter<P>>,
        halt: &Flag,
        link: &Flag,
    ) -> (Vec<Lane<P>>, Result<(), Failure>) {
        let result = self.work(control, halt, link);
        if result.is_ok() {
            self.lanes.iter_mut().for_each(Lane::drain);
        }
        halt.set();
        (self.lanes, result)
    }

    fn work(&mut self, control: &Controller<Meter<P>>, halt: &Flag, link: &Flag) -> Result<(), Failure> {
        let mut sleeper = Sleeper::new(self, halt).map_err(|error| Failure::system("epoll", error))?;
        while !halt.is_set() {
            let mut more = false;
            for lane in &mut self.lanes {
                more |= lane.step(&self.device)?;
            }
            if !more {
                sleeper.sleep(self)?;
                if self.shared
                    && control.on_interrupt().map_err(|error| Failure::driver(&self.device, error))?
                {
                    link.set();
                }
            }
        }
        Ok(())
    }
}

/// Where the thread sleeps. Files are registered once; a lane whose NIC has no room is left out until it has.
struct Sleeper {
    epoll: OwnedFd,
    /// By lane: whether its interface is listened to.
    watched: Vec<bool>,
    limit: Timespec,
    /// Unmasked, and has not come since: another write of the mask can be spared.
    armed: bool,
}

const HALT: u64 = u64::MAX;
const IRQ: u64 = u64::MAX - 1;

impl Sleeper {
    fn new<P: Platform<Irq: Wake>>(worker: &Worker<P>, halt: &Flag) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let add = |file: BorrowedFd<'_>, number| {
            epoll::add(&epoll, file, epoll::EventData::new_u64(number), epoll::EventFlags::IN)
        };
        add(halt.as_fd(), HALT)?;
        if let Some(file) = worker.irq.as_ref().and_then(Wake::file) {
            add(file, IRQ)?;
        }
        for (lane, number) in worker.lanes.iter().zip(0..) {
            add(lane.end.as_fd(), number)?;
        }
        let look = worker.irq.as_ref().map_or(Duration::from_millis(1), |_| look(worker.irq.as_ref()));
        let limit = Timespec::try_from(look).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
        Ok(Self { epoll, watched: vec![true; worker.lanes.len()], limit, armed: false })
    }

    /// Until the NIC or the host has something, or `halt`.
    fn sleep<P: Platform<Irq: Wake>>(&mut self, worker: &mut Worker<P>) -> Result<(), Failure> {
        let failed = |errno: Errno| Failure::system("epoll", errno.into());
        for ((lane, watched), number) in worker.lanes.iter().zip(&mut self.watched).zip(0..) {
            let wanted = !lane.end.readable;
            if *watched != wanted {
                let flags = if wanted { epoll::EventFlags::IN } else { epoll::EventFlags::empty() };
                epoll::modify(&self.epoll, lane.end.as_fd(), epoll::EventData::new_u64(number), flags)
                    .map_err(failed)?;
                *watched = wanted;
            }
        }
        if !self.armed {
            worker.lanes.iter().for_each(|lane| Queue::arm(&lane.queue));
            // A shared vector is masked by whoever reads its causes.
            self.armed = !worker.shared;
        }
        if let Some(irq) = &mut worker.irq {
            irq.prepare();
        }
        let mut events = [const { core::mem::MaybeUninit::uninit() }; 18];
        let (events, _) = match epoll::wait(&self.epoll, &mut events, Some(&self.limit)) {
            Ok(events) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(failed(errno)),
        };
        // After silence nothing is taken for granted: a reset masks.
        let mut look = events.is_empty();
        for event in events {
            let (flags, data) = (event.flags, event.data);
            match data.u64() {
                HALT => {}
                IRQ => look = true,
                number => {
                    if let Some(lane) = worker.lanes.get_mut(number as usize) {
                        lane.end.readable = true;
                        // An interface that is gone says so for ever, whether it is listened to or not: the read fails.
                        if flags.intersects(epoll::EventFlags::ERR) {
                            lane.end.tap.read(&mut [0; 1])?;
                        }
                    }
                }
            }
        }
        if let Some(irq) = &mut worker.irq
            && (look || irq.file().is_none())
        {
            irq.wait(Duration::ZERO);
            self.armed = false;
        }
        Ok(())
    }
}

fn look<I: Wake>(_: Option<&I>) -> Duration {
    I::LOOK
}
