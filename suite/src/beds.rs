//! The devices that the suite runs on.

use crate::wrap::{Wrapped, with_dma};
use core::time::Duration;
use igb::{
    Chip, Config, Controller, Error, Exclusive, Igb, Local, Memory, Platform, Pool, Queue, Queues, Wait,
};
use igb_qtest::{Connect, Machine, Timing};
use igb_ring::NonCoherent;
use igb_sim::{Device, DeviceSpec, Sim, Time, WireEnd, World};
use std::sync::Mutex;

/// Two ports of one machine.
pub trait Ports: Sync {
    /// What drives a port.
    type Platform: Platform<Irq: Wait>;

    /// What the driver is told, where a behaviour has no wish of its own.
    fn config(&self) -> Config {
        Config::default()
    }

    /// The port's platform, fresh: nobody else may hold one.
    fn platform(&self, port: usize) -> Self::Platform;
    /// Lets a little time pass.
    fn tick(&self);
    /// Bytes of DMA memory that are allocated: 0 when everything was freed.
    fn allocated(&self) -> usize;
    /// What the device or its IOMMU objected to. Empty in all normal work.
    fn objections(&self) -> Vec<String>;
}

/// Two ports of a machine that the test has in its hands, cables and all.
pub trait Bed: Ports {
    /// Where a port's buffers come from.
    type Memory: Memory<Buf: Exclusive>;

    /// Opens a device that was probed, with memory of this bed's kind.
    fn open(&self, nic: Igb<Self::Platform>, queues: Queues) -> Result<Opened<Self>, Error>;
    /// The chip of both ports.
    fn chip(&self) -> Chip;
    /// Puts a frame on the cable of a port whose cable ends in the test's hands. `false` if it could not be.
    fn send(&self, port: usize, frame: &[u8]) -> bool;
    /// Takes the next frame that a port sent, waiting a little.
    fn receive(&self, port: usize) -> Option<Vec<u8>>;
    /// Pulls or puts back the cable of a port.
    fn set_cable(&self, port: usize, plugged: bool);
    /// Takes the device of a port away by surprise.
    fn remove(&self, port: usize);
    /// Brings it back, powered up anew.
    fn insert(&self, port: usize);
}

/// An open device of a bed.
pub type Opened<B> =
    (Controller<<B as Ports>::Platform>, Vec<Queue<<B as Ports>::Platform, <B as Bed>::Memory>>);

/// How the cables run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cables {
    /// Each port's cable ends in the test's hands.
    Held,
    /// The two ports are joined.
    Joined,
}

/// Two simulated controllers.
#[derive(Debug)]
pub struct Simulated {
    world: World,
    devices: Vec<Device>,
    ends: Vec<Mutex<WireEnd>>,
    wire: Option<igb_sim::Wire>,
}

impl Simulated {
    /// Two controllers of one chip, in virtual time.
    pub fn new(chip: Chip, cables: Cables) -> Self {
        Self::with(chip, cables, Time::Virtual)
    }

    /// Two controllers of one chip, in real time: for tests with threads.
    pub fn real_time(chip: Chip, cables: Cables) -> Self {
        Self::with(chip, cables, Time::Real)
    }

    fn with(chip: Chip, cables: Cables, time: Time) -> Self {
        let world = World::builder().time(time).build();
        let devices: Vec<_> = (0..2).map(|_| world.attach(DeviceSpec::new(chip))).collect();
        let (mut ends, mut wire) = (Vec::new(), None);
        match cables {
            Cables::Held => ends = devices.iter().map(|device| Mutex::new(world.hold(device))).collect(),
            Cables::Joined => wire = Some(world.wire(&devices[0], &devices[1])),
        }
        Self { world, devices, ends, wire }
    }

    /// The machine.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A device.
    pub fn device(&self, port: usize) -> &Device {
        &self.devices[port]
    }
}

impl Ports for Simulated {
    type Platform = Sim;
    fn platform(&self, port: usize) -> Sim {
        self.devices[port].platform()
    }
    fn tick(&self) {
        self.world.advance(Duration::from_micros(100));
    }
    fn allocated(&self) -> usize {
        self.world.arena().allocated()
    }
    fn objections(&self) -> Vec<String> {
        let mut all: Vec<_> = self
            .world
            .violations()
            .into_iter()
            .map(|(device, violation)| format!("{device}: {violation}"))
            .collect();
        for device in &self.devices {
            if device.dma_faults() > 0 {
                all.push(format!("{}: {} DMA faults", device.index(), device.dma_faults()));
            }
        }
        all
    }
}

impl Bed for Simulated {
    type Memory = Local;
    fn open(&self, nic: Igb<Sim>, queues: Queues) -> Result<Opened<Self>, Error> {
        nic.open(queues)
    }
    fn chip(&self) -> Chip {
        self.devices[0].chip()
    }
    fn send(&self, port: usize, frame: &[u8]) -> bool {
        self.ends[port].lock().expect("no test panics with the end in its hands").send(frame)
    }
    fn receive(&self, port: usize) -> Option<Vec<u8>> {
        self.ends[port].lock().expect("no test panics with the end in its hands").recv()
    }
    fn set_cable(&self, port: usize, plugged: bool) {
        match (&self.wire, plugged) {
            (Some(wire), true) => wire.join(),
            (Some(wire), false) => wire.cut(),
            (None, _) => self.ends[port].lock().expect("as above").set_link(plugged),
        }
    }
    fn remove(&self, port: usize) {
        self.devices[port].remove();
    }
    fn insert(&self, port: usize) {
        self.devices[port].insert();
    }
}

/// Two simulated controllers in a machine whose memory is not coherent: each side sees what was synchronised for it, and
/// nothing else.
#[derive(Debug)]
pub struct Incoherent {
    simulated: Simulated,
    dma: NonCoherent,
}

impl Incoherent {
    /// The same two controllers, with that memory.
    pub fn new(simulated: Simulated) -> Self {
        let dma = NonCoherent::new(simulated.world.arena().clone());
        Self { simulated, dma }
    }
}

impl Ports for Incoherent {
    type Platform = Wrapped<Sim, igb_sim::SimBus, NonCoherent>;
    fn platform(&self, port: usize) -> Self::Platform {
        with_dma(self.simulated.platform(port), self.dma.clone())
    }
    fn tick(&self) {
        self.simulated.tick();
    }
    fn allocated(&self) -> usize {
        self.simulated.allocated()
    }
    fn objections(&self) -> Vec<String> {
        self.simulated.objections()
    }
}

impl Bed for Incoherent {
    type Memory = Local<false>;
    fn open(&self, nic: Igb<Self::Platform>, queues: Queues) -> Result<Opened<Self>, Error> {
        // A count that the chip does not have is told before memory is taken.
        let count = nic.chunks(queues).clamp(1, 1 << 14);
        let pool = Pool::<false>::non_coherent(&self.dma, count, nic.chunk_size())?;
        nic.open_with(queues, |_| pool.local())
    }
    fn chip(&self) -> Chip {
        self.simulated.chip()
    }
    fn send(&self, port: usize, frame: &[u8]) -> bool {
        self.simulated.send(port, frame)
    }
    fn receive(&self, port: usize) -> Option<Vec<u8>> {
        self.simulated.receive(port)
    }
    fn set_cable(&self, port: usize, plugged: bool) {
        self.simulated.set_cable(port, plugged);
    }
    fn remove(&self, port: usize) {
        self.simulated.remove(port);
    }
    fn insert(&self, port: usize) {
        self.simulated.insert(port);
    }
}

/// QEMU's 82576, twice, driven without a guest.
#[derive(Debug)]
pub struct Qemu {
    machine: Machine,
    wires: Vec<Mutex<igb_qtest::Wire>>,
    iommu: bool,
}

impl Qemu {
    /// Two ports. With `iommu`, the machine's IOMMU is programmed to let the device reach what is allocated, and no
    /// more.
    ///
    /// # Panics
    /// If QEMU is not there; the message says how to get it.
    pub fn new(cables: Cables, timing: Timing, iommu: bool) -> Self {
        let builder = Machine::builder().timing(timing);
        let builder = match cables {
            Cables::Held => builder.port(Connect::Wire).port(Connect::Wire),
            Cables::Joined => builder.pair(),
        };
        let builder = if iommu { builder.iommu() } else { builder };
        let machine = builder.start().unwrap_or_else(|error| panic!("{error}"));
        let wires = (0..2).filter_map(|port| machine.take_wire(port)).map(Mutex::new).collect();
        Self { machine, wires, iommu }
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
}

impl Ports for Qemu {
    type Platform = igb_qtest::Port;
    fn platform(&self, port: usize) -> igb_qtest::Port {
        self.machine.port(port).unwrap_or_else(|error| panic!("port {port}: {error}"))
    }
    fn tick(&self) {
        std::thread::sleep(Duration::from_micros(200));
    }
    fn allocated(&self) -> usize {
        self.machine.memory().allocated()
    }
    fn objections(&self) -> Vec<String> {
        if !self.iommu {
            return Vec::new();
        }
        match self.machine.dma_faults() {
            Ok(faults) => faults.first.iter().map(|fault| format!("IOMMU fault: {fault:?}")).collect(),
            Err(error) => vec![error.to_string()],
        }
    }
}

impl Bed for Qemu {
    type Memory = Local;
    fn open(&self, nic: Igb<igb_qtest::Port>, queues: Queues) -> Result<Opened<Self>, Error> {
        nic.open(queues)
    }
    fn chip(&self) -> Chip {
        Chip::I82576
    }
    fn send(&self, port: usize, frame: &[u8]) -> bool {
        self.wires[port].lock().expect("no test panics with the wire in its hands").send(frame)
    }
    fn receive(&self, port: usize) -> Option<Vec<u8>> {
        self.wires[port]
            .lock()
            .expect("no test panics with the wire in its hands")
            .recv(Duration::from_millis(20))
    }
    fn set_cable(&self, port: usize, plugged: bool) {
        self.machine.set_link(port, plugged).unwrap_or_else(|error| panic!("cable of port {port}: {error}"));
    }
    fn remove(&self, port: usize) {
        self.machine.power_off(port).unwrap_or_else(|error| panic!("power of port {port}: {error}"));
    }
    fn insert(&self, port: usize) {
        self.machine.power_on(port).unwrap_or_else(|error| panic!("power of port {port}: {error}"));
    }
}
