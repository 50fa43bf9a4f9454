//! From names to devices: one simulated machine, one QEMU, or one VFIO container for all devices of a command.
//!
//! A command is a [`Job`], generic over the platform, so that there is one path for whatever the devices are.

use crate::args::{Rings, Take};
use crate::borrow::Borrowed;
use crate::device::{DeviceName, Place, place};
use crate::failure::Failure;
use crate::output::Report;
use crate::stop::Stop;
use crate::wake::Wake;
use igb::{Chip, Platform, Wait};
use igb_qtest::{Connect, Machine, Timing};
use igb_sim::{Time, World};
use igb_vfio::Address;
use std::time::Duration;

/// What a command does with its devices, in the order in which they were named.
pub(crate) trait Job {
    /// Does it, until `stop` says to end.
    fn run<P: Platform<Irq: Wake>>(self, devices: Vec<P>, stop: &Stop) -> Result<Report, Failure>;
}

/// What a demo does: two devices, and the far ends of their wires.
pub(crate) trait WiredJob {
    /// Does it. `bench` says where this runs, and what it found wrong with the driver's doings.
    fn run<P: Platform<Irq: Wait>, C: Cable>(
        self,
        devices: [P; 2],
        cables: [C; 2],
        bench: &dyn Bench,
        stop: &Stop,
    ) -> Result<Report, Failure>;
}

/// The far end of a device's wire.
pub(crate) trait Cable {
    /// Puts a frame on the wire. `false` if it did not take it.
    fn send(&mut self, frame: &[u8]) -> bool;
    /// Takes a frame off the wire, if one is there.
    fn recv(&mut self) -> Option<Vec<u8>>;
}

/// Where the devices of a demo run.
pub(crate) trait Bench {
    /// In words.
    fn describe(&self) -> String;
    /// `sim` or `qemu`.
    fn kind(&self) -> &'static str;
    /// What a strict device has to say against the driver. Empty is good.
    fn complaints(&self) -> Vec<String>;
}

/// DMA memory for so many ports with so many queues: rings and buffers of the largest rings.
pub(crate) fn memory(ports: usize, queues: u16, ring: u32) -> usize {
    let per_queue = 2 * ring as usize * 16 + (2 * ring as usize + 256) * 2560;
    (ports * usize::from(queues) * per_queue + (8 << 20)).next_multiple_of(1 << 20)
}

/// How the devices of a command are opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    /// Queues of each, and descriptors of each ring: what memory is made for.
    pub(crate) queues: u16,
    pub(crate) ring: u32,
    /// Whether functions are taken from their drivers first, and given back.
    pub(crate) bind: bool,
}

impl Opening {
    /// For the queues that were asked for.
    pub(crate) fn new(rings: &Rings, take: Take) -> Self {
        Self { queues: rings.queues, ring: rings.ring, bind: take.bind }
    }

    /// With one small queue, for commands that move no frames.
    pub(crate) fn small(take: Take) -> Self {
        Self { queues: 1, ring: 64, bind: take.bind }
    }
}

/// Opens the devices and does the job on them.
pub(crate) fn run(names: &[&DeviceName], opening: Opening, job: impl Job) -> Result<Report, Failure> {
    let Opening { queues, ring, bind } = opening;
    let (place, ports) = place(names).map_err(|misfit| Failure::Usage(misfit.to_string()))?;
    let stop = Stop::listen();
    let result = match place {
        Place::Sim(chips) => {
            let world = World::builder().time(Time::Real).memory(memory(chips.len(), queues, ring)).build();
            let devices: Vec<_> = chips.into_iter().map(|chip| world.add(chip)).collect();
            for pair in devices.chunks_exact(2) {
                if let [a, b] = pair {
                    world.wire(a, b);
                }
            }
            let devices =
                ports.into_iter().filter_map(|port| devices.get(port)).map(igb_sim::Device::platform);
            job.run(devices.collect(), &stop)
        }
        Place::Qemu(count) => {
            let builder = Machine::builder().timing(Timing::Warp).memory(memory(count, queues, ring));
            let machine = (0..count)
                .fold(builder, |builder, port| builder.port(Connect::Hub(port as u32 / 2)))
                .start()?;
            let devices = ports.into_iter().map(|port| machine.port(port)).collect::<Result<Vec<_>, _>>()?;
            job.run(devices, &stop)
        }
        Place::Vfio(addresses) if bind => {
            let addresses = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?;
            let borrowed = Borrowed::take(igb_vfio::Host::new(), &addresses)?;
            let result = on_functions(&addresses, job, &stop);
            borrowed.after(result)
        }
        Place::Vfio(addresses) => {
            let addresses = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?;
            on_functions(&addresses, job, &stop)
        }
    };
    unless_stopped(result, &stop)
}

/// All in one container: a frame goes from one device to the other without a copy.
fn on_functions(addresses: &[Address], job: impl Job, stop: &Stop) -> Result<Report, Failure> {
    let container = igb_vfio::Container::new()?;
    let open = |address: &Address| container.open_at(*address);
    let devices = addresses.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let because = |failure| match (failure, container.refusal()) {
        // The driver knows that there was no memory; the container knows why.
        (Failure::Driver { error: igb::Error::Ring(igb::ring::Error::NoMemory(_)), .. }, Some(why)) => {
            why.into()
        }
        (failure, _) => failure,
    };
    let mut report = job.run(devices, stop).map_err(because)?;
    report.failure = report.failure.map(because);
    Ok(report)
}

/// What fails once somebody pressed Ctrl-C fails because of that: a helper process may have got the signal too.
fn unless_stopped(result: Result<Report, Failure>, stop: &Stop) -> Result<Report, Failure> {
    result.map_err(|failure| stop.failure().unwrap_or(failure))
}

/// Two devices whose wires end in our hands, simulated.
pub(crate) fn run_wired_sim(
    chip: Chip,
    queues: u16,
    ring: u32,
    job: impl WiredJob,
) -> Result<Report, Failure> {
    let world = World::builder().memory(memory(2, queues, ring)).build();
    let devices = [world.add(chip), world.add(chip)];
    let cables = devices.each_ref().map(|device| SimCable(world.hold(device)));
    let platforms = devices.each_ref().map(igb_sim::Device::platform);
    let stop = Stop::listen();
    unless_stopped(job.run(platforms, cables, &SimBench { world: world.clone(), chip }, &stop), &stop)
}

/// The same on QEMU.
pub(crate) fn run_wired_qemu(queues: u16, ring: u32, job: impl WiredJob) -> Result<Report, Failure> {
    let stop = Stop::listen();
    let machine = Machine::builder()
        .port(Connect::Wire)
        .port(Connect::Wire)
        .timing(Timing::Warp)
        .memory(memory(2, queues, ring))
        .start()?;
    let wire = |port| machine.take_wire(port).map(QemuCable).ok_or(igb_qtest::Error::NoDevice(port));
    let cables = [wire(0)?, wire(1)?];
    let ports = [machine.port(0)?, machine.port(1)?];
    unless_stopped(job.run(ports, cables, &QemuBench, &stop), &stop)
}

struct SimCable(igb_sim::WireEnd);

impl Cable for SimCable {
    fn send(&mut self, frame: &[u8]) -> bool {
        self.0.send(frame)
    }
    fn recv(&mut self) -> Option<Vec<u8>> {
        self.0.recv()
    }
}

struct QemuCable(igb_qtest::Wire);

impl Cable for QemuCable {
    fn send(&mut self, frame: &[u8]) -> bool {
        self.0.send(frame)
    }
    fn recv(&mut self) -> Option<Vec<u8>> {
        self.0.recv(Duration::ZERO)
    }
}

struct SimBench {
    world: World,
    chip: Chip,
}

impl Bench for SimBench {
    fn describe(&self) -> String {
        format!("two simulated {} NICs, in virtual time", self.chip)
    }
    fn kind(&self) -> &'static str {
        "sim"
    }
    fn complaints(&self) -> Vec<String> {
        let faults =
            self.world.devices().into_iter().filter(|device| device.dma_faults() > 0).map(|device| {
                format!(
                    "port {} reached {} times for memory that is not there",
                    device.index(),
                    device.dma_faults()
                )
            });
        let broken = self.world.violations().into_iter().map(|(port, what)| format!("port {port}: {what}"));
        faults.chain(broken).collect()
    }
}

struct QemuBench;

impl Bench for QemuBench {
    fn describe(&self) -> String {
        let version = igb_qtest::find::qemu().map(|qemu| format!(" {}.{}", qemu.version.0, qemu.version.1));
        format!("two emulated 82576 NICs of QEMU{}", version.unwrap_or_default())
    }
    fn kind(&self) -> &'static str {
        "qemu"
    }
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}
