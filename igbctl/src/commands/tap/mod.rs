//! `tap`: a network interface of the host whose wire is the NIC's.
//!
//! Each queue of the NIC and of the interface make a lane; the lanes of one interrupt vector have a thread (`worker`), which
//! moves frames both ways (`lane`). One thread more a device looks after the rest (`port`): the interface's carrier follows the
//! NIC's link, the NIC follows what the administrator does to the interface. Another MTU or address means that the NIC is closed
//! and opened again, as kernel drivers do it; the interface stays, without carrier meanwhile.

mod checksum;
mod lane;
mod notify;
mod port;
mod report;
mod worker;

use crate::args::Tap;
use crate::failure::Failure;
use crate::machine::{self, Job, Opening};
use crate::output::Report;
use crate::rates::{Rates, Totals};
use crate::stop::Stop;
use crate::wake::Wake;
use igb::Platform;
use lane::Live;
use port::Port;
use report::{Served, report};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use worker::Flag;

/// `tap`.
pub(crate) fn tap(options: Tap) -> Result<Report, Failure> {
    let names = interface_names(&options)?;
    let devices: Vec<_> = options.devices.clone();
    let mut opening = Opening::new(&options.rings, options.take);
    // A simulated machine gets memory for the largest frames that the interface may be set to.
    opening.ring = opening.ring.saturating_mul(4);
    machine::run(&devices.iter().collect::<Vec<_>>(), opening, TapJob { options, names })
}

/// A name for each device: one of its own, or one that the kernel makes several of.
fn interface_names(options: &Tap) -> Result<Vec<igb_tap::Name>, Failure> {
    let Tap { devices, name, persist, .. } = options;
    if *persist && name.iter().any(igb_tap::Name::is_template) {
        let text = "an interface that is to be found again needs a name of its own: --persist --name igb0";
        return Err(Failure::Usage(text.into()));
    }
    match name.as_slice() {
        names if names.len() == devices.len() => Ok(names.to_vec()),
        [one] if one.is_template() => Ok(vec![*one; devices.len()]),
        names => Err(Failure::Usage(format!(
            "{} devices want {0} names, not {}: give --name once for each device",
            devices.len(),
            names.len()
        ))),
    }
}

struct TapJob {
    options: Tap,
    names: Vec<igb_tap::Name>,
}

impl Job for TapJob {
    fn run<P: Platform<Irq: Wake>>(self, devices: Vec<P>, stop: &Stop) -> Result<Report, Failure> {
        let Self { options, names } = &self;
        let started = Instant::now();
        let end = Flag::new().map_err(|error| Failure::system("eventfd", error))?;
        let rates = Mutex::new(Rates::new());
        // All interfaces are there before anybody is told so; then each has a thread.
        let mut ports = Vec::new();
        for ((device, name), platform) in options.devices.iter().zip(names).zip(devices) {
            ports.push(Port::open(device.to_string(), *name, platform, options)?);
        }
        notify::notify("READY=1");
        let lives: Vec<_> =
            ports.iter().flat_map(|port| port.ends.iter().map(|end| end.live.clone())).collect();
        let shown = Shown { rates: &rates, lives: &lives };
        let served: Vec<Result<Served, Failure>> = std::thread::scope(|scope| {
            let (end, shown) = (&end, &shown);
            let threads: Vec<_> = ports
                .into_iter()
                .map(|port| {
                    scope.spawn(move || {
                        let served = port.serve(stop, end, shown);
                        // Whoever fails ends the others too.
                        end.set();
                        served
                    })
                })
                .collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        notify::notify("STOPPING=1");
        shown.rates().clear();
        let (mut done, mut failure) = (Vec::new(), None);
        for served in served {
            match served {
                Ok(served) => done.push(served),
                Err(first) => failure = failure.or(Some(first)),
            }
        }
        for served in &mut done {
            failure = failure.or(served.failure.take());
        }
        Ok(report(&done, started.elapsed().as_secs_f64()).failing(failure.or(stop.failure())))
    }
}

/// The line of rates, which all devices share.
struct Shown<'a> {
    rates: &'a Mutex<Rates>,
    lives: &'a [Arc<Live>],
}

impl Shown<'_> {
    fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remark(&self, text: &str) {
        self.rates().remark(text);
    }

    fn tick(&self) {
        self.rates().tick(|| {
            self.lives.iter().fold(Totals::default(), |sum, live| {
                let live = live.totals();
                Totals {
                    rx_frames: sum.rx_frames + live.rx_frames,
                    rx_bytes: sum.rx_bytes + live.rx_bytes,
                    tx_frames: sum.tx_frames + live.tx_frames,
                    tx_bytes: sum.tx_bytes + live.tx_bytes,
                }
            })
        });
    }
}
