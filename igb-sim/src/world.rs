//! The world: devices, cables, memory and time behind one lock.
//!
//! Every access takes the lock, runs what is due, does its work, and carries on what that set off: frames to the other
//! end, timers, interrupts. So accesses are atomic, and a frame has arrived when the doorbell's write returns.

use crate::cable::{Cable, End, Wire, WireEnd};
use crate::clock::{Due, LOOK_COST, READ_COST, Time, Timeline, nanos};
use crate::device::Device;
use crate::memory::DeviceMemory;
use crate::port::{Event, Frame, Port};
use crate::spec::DeviceSpec;
use crate::violation::Violation;
use igb_regs::Chip;
use igb_ring::Arena;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Timers that one call works off before it lets go; a device that makes ever more of them must not hang its caller.
const TIMERS_AT_ONCE: usize = 1_000_000;

type Callback = Box<dyn FnMut(u16) + Send>;

pub(crate) struct State {
    pub(crate) timeline: Timeline,
    pub(crate) ports: Vec<Port>,
    cables: Vec<Cable>,
    pub(crate) callbacks: Vec<Option<Callback>>,
    autoneg: u64,
}

struct Shared {
    state: Mutex<State>,
    /// Rung when an interrupt, a frame or a link arrived.
    bell: Condvar,
    arena: Arena,
}

/// A machine with devices in it. A handle: clones are the same world.
#[derive(Clone)]
pub struct World(Arc<Shared>);

impl core::fmt::Debug for World {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("World").field("devices", &self.lock().ports.len()).finish_non_exhaustive()
    }
}

/// Chooses a world's properties.
#[derive(Debug, Clone, Copy)]
pub struct WorldBuilder {
    time: Time,
    memory: usize,
    iova: u64,
    autoneg: Option<Duration>,
}

impl WorldBuilder {
    /// How time passes. Default: virtual.
    #[must_use]
    pub fn time(mut self, time: Time) -> Self {
        self.time = time;
        self
    }

    /// Bytes of DMA memory. Default 64 MiB (zeroed pages that nobody touched cost nothing).
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// The first address at which devices see it. Default 4 GiB.
    #[must_use]
    pub fn iova(mut self, iova: u64) -> Self {
        self.iova = iova;
        self
    }

    /// How long negotiation takes. Default 1.2 s of virtual or 20 ms of real time.
    #[must_use]
    pub fn autoneg(mut self, autoneg: Duration) -> Self {
        self.autoneg = Some(autoneg);
        self
    }

    /// Makes the world.
    ///
    /// # Panics
    /// When the memory cannot be had, or is not whole pages.
    pub fn build(self) -> World {
        #[expect(clippy::expect_used, reason = "a test bench without memory has nothing to say to anybody")]
        let arena = Arena::anonymous(self.memory, self.iova).expect("DMA memory for the world");
        let usual =
            if self.time == Time::Real { Duration::from_millis(20) } else { Duration::from_millis(1200) };
        let state = State {
            timeline: Timeline::new(self.time),
            ports: Vec::new(),
            cables: Vec::new(),
            callbacks: Vec::new(),
            autoneg: nanos(self.autoneg.unwrap_or(usual)),
        };
        World(Arc::new(Shared { state: Mutex::new(state), bell: Condvar::new(), arena }))
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world of virtual time.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A world of your choice.
    pub fn builder() -> WorldBuilder {
        WorldBuilder { time: Time::Virtual, memory: 64 << 20, iova: 1 << 32, autoneg: None }
    }

    /// The memory that every device of this world sees, and the `Dma` of its platforms.
    pub fn arena(&self) -> &Arena {
        &self.0.arena
    }

    /// How time passes here.
    pub fn time(&self) -> Time {
        self.lock().timeline.time()
    }

    /// Time since the world was made. Looking costs no virtual time here, other than through a platform's clock.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.lock().timeline.now())
    }

    /// Puts a healthy device into the world.
    pub fn add(&self, chip: Chip) -> Device {
        self.attach(DeviceSpec::new(chip))
    }

    /// Puts a device into the world.
    pub fn attach(&self, spec: DeviceSpec) -> Device {
        let memory: Arc<dyn DeviceMemory> = Arc::new(self.0.arena.clone());
        self.attach_with(spec, memory)
    }

    /// Puts a device into the world that sees other memory: an emulator's guest.
    pub fn attach_with(&self, spec: DeviceSpec, memory: Arc<dyn DeviceMemory>) -> Device {
        let mut state = self.lock();
        let index = state.ports.len();
        let (chip, device_id) = (spec.chip, spec.device_id);
        let mut port = Port::new(spec, index, memory);
        port.pci.enumerate();
        state.ports.push(port);
        state.callbacks.push(None);
        Device { world: self.clone(), index, chip, device_id }
    }

    /// Every device, in the order of their making.
    pub fn devices(&self) -> Vec<Device> {
        let facts: Vec<_> = self.lock().ports.iter().map(|port| (port.chip, port.spec.device_id)).collect();
        let device = |(index, (chip, device_id))| Device { world: self.clone(), index, chip, device_id };
        facts.into_iter().enumerate().map(device).collect()
    }

    /// What drivers did wrong, with the index of the device.
    pub fn violations(&self) -> Vec<(usize, Violation)> {
        let state = self.lock();
        state
            .ports
            .iter()
            .flat_map(|port| port.violations.iter().map(|broken| (port.index, broken.clone())))
            .collect()
    }

    /// Joins two devices. What was plugged in there before is pulled out.
    pub fn wire(&self, a: &Device, b: &Device) -> Wire {
        self.plug([End::Port(a.index), End::Port(b.index)])
    }

    /// Joins a device to the test's hands.
    pub fn hold(&self, device: &Device) -> WireEnd {
        let hand = End::Hand { received: VecDeque::new(), abilities: crate::Abilities::default(), on: true };
        WireEnd { wire: self.plug([End::Port(device.index), hand]) }
    }

    fn plug(&self, ends: [End; 2]) -> Wire {
        let mut state = self.lock();
        let held: Vec<usize> = ends
            .iter()
            .filter_map(|end| if let End::Port(port) = end { Some(*port) } else { None })
            .collect();
        for old in 0..state.cables.len() {
            if !state.cables[old].gone && held.iter().any(|port| state.cables[old].end_of(*port).is_some()) {
                state.relink(old);
                state.cables[old].gone = true;
            }
        }
        let cable = state.cables.len();
        state.cables.push(Cable::new(ends));
        state.relink(cable);
        self.settle(&mut state);
        Wire { world: self.clone(), cable }
    }

    /// Lets time pass, working off what falls due on the way.
    pub fn advance(&self, duration: Duration) {
        match self.time() {
            Time::Real => {
                let until = self.now() + duration;
                while self.now() < until {
                    self.wait_for_bell(until);
                }
            }
            Time::Virtual => {
                let mut state = self.lock();
                let until = state.timeline.now().saturating_add(nanos(duration));
                self.run(&mut state, until);
                state.timeline.jump(until);
            }
        }
    }

    /// Lets time pass until `done`, stepping from timer to timer (or waiting, in real time); false after `limit`.
    pub fn run_until(&self, limit: Duration, mut done: impl FnMut() -> bool) -> bool {
        let until = self.now().saturating_add(limit);
        loop {
            if done() {
                return true;
            }
            if self.now() >= until {
                return false;
            }
            self.step(until);
        }
    }

    /// To the next thing that happens, or to `until`.
    pub(crate) fn step(&self, until: Duration) {
        if self.time() == Time::Real {
            self.wait_for_bell(until);
            return;
        }
        let mut state = self.lock();
        let until = nanos(until);
        let next = state.timeline.next().map_or(until, |at| at.min(until));
        state.timeline.jump(next);
        let now = state.timeline.now();
        self.run(&mut state, now);
        drop(state);
        std::thread::yield_now(); // other threads' turn, who may be what everybody waits for
    }

    fn wait_for_bell(&self, until: Duration) {
        let mut state = self.lock();
        let now = state.timeline.now();
        let until = state.timeline.next().map_or(nanos(until), |at| at.min(nanos(until)));
        let wait = Duration::from_nanos(until.saturating_sub(now)).min(Duration::from_millis(100));
        let (mut state, _) = self.0.bell.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
        let now = state.timeline.now();
        self.run(&mut state, now);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works off what is due until `until`, at the moments at which it is due.
    fn run(&self, state: &mut State, until: u64) {
        for _ in 0..TIMERS_AT_ONCE {
            let Some((at, due)) = state.timeline.take_due(until) else { break };
            state.timeline.jump(at);
            match due {
                Due::Port(index, event) => {
                    let port = state.port(index);
                    port.fire(event);
                }
                Due::Cable(cable, attempt) => state.negotiated(cable, attempt),
            }
            self.settle(state);
        }
    }

    /// Carries on what the last access set off, and wakes whoever waits.
    fn settle(&self, state: &mut State) {
        let ring = state.carry_on();
        for index in 0..state.ports.len() {
            let fresh = core::mem::take(&mut state.ports[index].interrupts.fresh);
            if let Some(callback) = &mut state.callbacks[index] {
                fresh.iter().for_each(|vector| callback(*vector));
            }
            if !fresh.is_empty() {
                self.0.bell.notify_all();
            }
        }
        if core::mem::take(&mut state.timeline.sooner) || ring {
            self.0.bell.notify_all();
        }
    }

    /// One access of a driver or a test to one device.
    pub(crate) fn access<T>(&self, index: usize, cost: u64, work: impl FnOnce(&mut Port) -> T) -> T {
        let mut state = self.lock();
        state.timeline.pass(cost);
        let now = state.timeline.now();
        self.run(&mut state, now);
        let result = work(state.port(index));
        self.settle(&mut state);
        result
    }

    pub(crate) fn read(&self, index: usize, offset: u32) -> u32 {
        self.access(index, READ_COST, |port| port.read(offset))
    }

    pub(crate) fn look(&self) -> Duration {
        let mut state = self.lock();
        state.timeline.pass(LOOK_COST);
        let now = state.timeline.now();
        self.run(&mut state, now);
        Duration::from_nanos(now)
    }

    /// Changes a cable; both ends look at it anew.
    pub(crate) fn with_cable(&self, cable: usize, change: impl FnOnce(&mut Cable)) {
        let mut state = self.lock();
        change(&mut state.cables[cable]);
        state.relink(cable);
        self.settle(&mut state);
    }

    pub(crate) fn look_at_cable<T>(&self, cable: usize, look: impl FnOnce(&mut Cable) -> T) -> T {
        look(&mut self.lock().cables[cable])
    }

    /// A frame from the test's hands.
    pub(crate) fn inject(&self, cable: usize, end: usize, frame: Frame) -> bool {
        let mut state = self.lock();
        let now = state.timeline.now();
        self.run(&mut state, now);
        if !state.cables[cable].up {
            return false;
        }
        state.carry(cable, end, frame);
        self.settle(&mut state);
        true
    }
}

impl State {
    /// A port, told what time it is.
    pub(crate) fn port(&mut self, index: usize) -> &mut Port {
        let now = self.timeline.now();
        let port = &mut self.ports[index];
        port.now = now;
        port
    }

    fn cable_of(&self, port: usize) -> Option<(usize, usize)> {
        self.cables
            .iter()
            .enumerate()
            .rev()
            .find_map(|(number, cable)| if cable.gone { None } else { Some((number, cable.end_of(port)?)) })
    }

    /// Timers, frames and link changes that the ports left behind, until nothing is left. True if anything moved that
    /// somebody may wait for.
    fn carry_on(&mut self) -> bool {
        let mut moved = false;
        loop {
            let mut idle = true;
            for index in 0..self.ports.len() {
                for (at, event) in core::mem::take(&mut self.ports[index].timers) {
                    let event: Event = event;
                    self.timeline.schedule(at, Due::Port(index, event));
                }
                if core::mem::take(&mut self.ports[index].relink)
                    && let Some((cable, _)) = self.cable_of(index)
                {
                    self.relink(cable);
                    (idle, moved) = (false, true);
                }
                let frames = core::mem::take(&mut self.ports[index].out);
                if !frames.is_empty() {
                    (idle, moved) = (false, true);
                    if let Some((cable, end)) = self.cable_of(index) {
                        frames.into_iter().for_each(|frame| self.carry(cable, end, frame));
                    }
                }
                if self.ports[index].has_more() {
                    self.port(index).resume();
                    idle = false;
                }
            }
            if idle {
                return moved;
            }
        }
    }

    fn carry(&mut self, cable: usize, end: usize, frame: Frame) {
        let now = self.timeline.now();
        let Some(frame) = self.cables[cable].carry(end, frame, now) else { return };
        match &mut self.cables[cable].ends[1 - end] {
            End::Port(index) => {
                let index = *index;
                self.port(index).receive(frame);
            }
            End::Hand { received, .. } => received.push_back(frame.bytes),
        }
    }

    fn offers(&self, cable: usize) -> [Option<crate::port::PhyAbilities>; 2] {
        core::array::from_fn(|end| match &self.cables[cable].ends[end] {
            _ if self.cables[cable].cut || self.cables[cable].gone => None,
            End::Port(index) => self.ports[*index].abilities(),
            End::Hand { .. } => self.cables[cable].hand(end),
        })
    }

    /// Something at one end changed: the link is gone, and negotiation starts if both ends are there.
    fn relink(&mut self, cable: usize) {
        self.cables[cable].attempt += 1;
        self.cables[cable].up = false;
        let ends = [0, 1]
            .map(|end| if let End::Port(index) = self.cables[cable].ends[end] { Some(index) } else { None });
        for index in ends.into_iter().flatten() {
            self.port(index).resolve(None, None);
        }
        let stuck =
            ends.into_iter().flatten().any(|index| self.ports[index].has_fault(crate::Fault::LinkNeverUp));
        if !stuck && self.offers(cable).iter().all(Option::is_some) {
            let at = self.timeline.now().saturating_add(self.autoneg);
            self.timeline.schedule(at, Due::Cable(cable, self.cables[cable].attempt));
        }
    }

    fn negotiated(&mut self, cable: usize, attempt: u64) {
        if self.cables[cable].attempt != attempt {
            return;
        }
        let offers = self.offers(cable);
        let links = Cable::negotiate(offers);
        self.cables[cable].up = links.iter().all(Option::is_some);
        for end in 0..2 {
            if let End::Port(index) = self.cables[cable].ends[end] {
                self.port(index).resolve(links[end], offers[1 - end]);
            }
        }
    }
}
