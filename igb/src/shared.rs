//! What controller and queues of one device have in common, and the protocol by which a reset passes the queues.
//!
//! A reset is a phase. The controller makes it odd: "rest". Each queue reads it once per poll, sees the change, stores
//! the odd phase in its own word and leaves its ring alone. When every living queue has done so (or is gone), the
//! controller resets the device, counts a generation and makes the phase even: "run". Each queue then sees the new
//! generation and restarts its own hardware queue from its own thread. If one queue does not rest in time, the phase
//! turns even without a reset, and all run on.
//!
//! Queues hold no lock, and nothing here is written on the hot path.

use crate::config::{Config, Queues};
use crate::{Clock, Error, InterruptKind, Platform, Side};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::*};
use core::time::Duration;
use embedded_hal::delay::DelayNs;
use igb_hal::{Link, Mac, MacAddress, MacConfig, Mode, Routing, RssConfig, Statistics};
use igb_ring::Quarantine;

const RUNNING: u8 = 0;
const GONE: u8 = 1;
const CLOSED: u8 = 2;

/// Most queues of any chip, both sides: members are bits of one word.
const MEMBERS: usize = 32;

pub(crate) struct Shared<P: Platform> {
    /// Read by every poll; written at a reset. On a line of its own.
    pub(crate) phase: Phase,
    pub(crate) mac: Mac<P::Bus>,
    pub(crate) quarantine: Quarantine,
    pub(crate) routing: Routing,
    pub(crate) kind: Option<InterruptKind>,
    pub(crate) queues: Queues,
    pub(crate) interval_micros: u16,
    pub(crate) drop_when_empty: bool,
    members: AtomicU32,
    parked: [AtomicU32; MEMBERS],
    /// A link change that was read together with other causes, and that nobody has been told of.
    link_changed: AtomicBool,
    control: spin::Mutex<Control>,
    pub(crate) platform: P,
}

/// See the module's page.
#[repr(align(128))]
pub(crate) struct Phase {
    word: AtomicU32,
    generation: AtomicU32,
    state: AtomicU8,
}

/// What only control calls touch, under their lock.
pub(crate) struct Control {
    pub(crate) config: Config,
    pub(crate) address: MacAddress,
    pub(crate) statistics: Statistics,
    pub(crate) link: Option<Link>,
    pub(crate) filters: Filters,
    pub(crate) transmit_heads: [(u32, u8); 16],
}

/// Receive filters as they were asked for: a reset forgets them, the driver does not.
#[derive(Default)]
pub(crate) struct Filters {
    pub(crate) unicast: Vec<MacAddress>,
    pub(crate) multicast: Vec<MacAddress>,
    pub(crate) promiscuous: bool,
    pub(crate) all_multicast: bool,
    pub(crate) vlans: Vec<u16>,
    pub(crate) vlan_filter: bool,
    pub(crate) vlan_strip: bool,
    pub(crate) rss: Option<RssConfig>,
}

/// A queue's seat: how it follows the phases.
pub(crate) struct Member {
    bit: usize,
    /// The phase that the queue last acted on.
    pub(crate) seen: u32,
    pub(crate) generation: u32,
}

/// What a queue does about a phase that changed.
pub(crate) enum Follow {
    /// Leave the ring alone.
    Rest,
    /// Go on as before.
    Run,
    /// The device was reset: start the hardware queue anew, then call [`Member::restarted`].
    Restart,
}

impl<P: Platform> Shared<P> {
    pub(crate) fn new(
        platform: P,
        mac: Mac<P::Bus>,
        config: Config,
        address: MacAddress,
        routing: Routing,
        kind: Option<InterruptKind>,
        queues: Queues,
    ) -> Self {
        let phase =
            Phase { word: AtomicU32::new(0), generation: AtomicU32::new(0), state: AtomicU8::new(RUNNING) };
        let interval_micros = u16::try_from(config.interrupt_interval.as_micros()).unwrap_or(u16::MAX);
        let drop_when_empty = config.drop_when_empty && queues.count > 1;
        let filters = Filters {
            rss: (queues.count > 1).then(|| RssConfig::spread(queues.count)),
            ..Filters::default()
        };
        let statistics = Statistics::default();
        let control =
            Control { config, address, statistics, link: None, filters, transmit_heads: [(0, 0); 16] };
        Self {
            phase,
            mac,
            quarantine: Quarantine::new(),
            routing,
            kind,
            queues,
            interval_micros,
            drop_when_empty,
            members: AtomicU32::new(0),
            parked: [const { AtomicU32::new(0) }; MEMBERS],
            link_changed: AtomicBool::new(false),
            control: spin::Mutex::new(control),
            platform,
        }
    }

    /// Takes the control lock. Waits by the platform's delay, which sleeps where sleeping is possible; no queue and no
    /// interrupt handler takes it.
    pub(crate) fn control(&self) -> spin::MutexGuard<'_, Control> {
        let mut delay = self.platform.delay();
        loop {
            match self.control.try_lock() {
                Some(guard) => return guard,
                None => delay.delay_us(20),
            }
        }
    }

    /// The word that a poll compares with what its queue has seen.
    #[inline(always)]
    pub(crate) fn phase(&self) -> u32 {
        self.phase.word.load(Acquire)
    }

    /// A seat for one half of queue `index`.
    pub(crate) fn join(&self, index: u16, side: Side) -> Member {
        let bit = usize::from(index) % 16 + if side == Side::Tx { 16 } else { 0 };
        self.members.fetch_or(1 << bit, AcqRel);
        Member { bit, seen: self.phase(), generation: self.generation() }
    }

    /// A queue that rests stays away; so does one that left.
    pub(crate) fn leave(&self, member: &Member) {
        self.members.fetch_and(!(1 << member.bit), AcqRel);
    }

    /// How often the device was reset since it was opened.
    pub(crate) fn generation(&self) -> u32 {
        self.phase.generation.load(Acquire)
    }

    /// Neither gone nor closed, as far as is known without asking the device.
    fn running(&self) -> Result<(), Error> {
        match self.phase.state.load(Acquire) {
            GONE => Err(Error::DeviceGone),
            CLOSED => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    #[cold]
    pub(crate) fn follow(&self, member: &mut Member) -> Result<Follow, Error> {
        let phase = self.phase();
        self.running()?;
        if phase % 2 == 1 {
            if let Some(word) = self.parked.get(member.bit) {
                word.store(phase, Release);
            }
            return Ok(Follow::Rest);
        }
        if self.generation() != member.generation {
            return Ok(Follow::Restart);
        }
        member.seen = phase;
        Ok(Follow::Run)
    }

    /// The first living queue that does not rest in `phase`.
    fn restless(&self, phase: u32) -> Option<usize> {
        let members = self.members.load(Acquire);
        let rests = |bit: &usize| self.parked.get(*bit).is_some_and(|word| word.load(Acquire) == phase);
        (0..MEMBERS).filter(|bit| members & 1 << bit != 0).find(|bit| !rests(bit))
    }

    /// Asks every queue to rest and waits for it, for `patience` by the platform's clock.
    fn park(&self, phase: u32, patience: Duration) -> Result<(), Error> {
        let (clock, mut delay) = (self.platform.clock(), self.platform.delay());
        let start = clock.now();
        loop {
            let Some(bit) = self.restless(phase) else { return Ok(()) };
            self.wake_all();
            let waited = clock.now().saturating_sub(start);
            if waited >= patience {
                let side = if bit < 16 { Side::Rx } else { Side::Tx };
                let millis = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
                return Err(Error::NotParked { queue: (bit % 16) as u16, side, millis });
            }
            delay.delay_us(50);
        }
    }

    /// Raises every vector: owners that sleep wake up and poll.
    pub(crate) fn wake_all(&self) {
        for vector in 0..self.routing.vectors() {
            self.mac.raise_vector(&self.routing, vector);
        }
    }

    /// Resets the device under resting queues and configures it as it was.
    pub(crate) fn reset(&self, control: &mut Control) -> Result<(), Error> {
        let phase = self.phase.word.fetch_add(1, AcqRel).wrapping_add(1);
        let result = self.park(phase, control.config.reset_patience).and_then(|()| {
            // From here on the rings are stale, whatever happens.
            self.phase.generation.fetch_add(1, AcqRel);
            self.bring_up(control)
        });
        if result == Err(Error::DeviceGone) {
            self.gone();
        }
        self.phase.word.fetch_add(1, Release);
        self.wake_all();
        result
    }

    /// From any state to a configured device without queues: reset, MAC, filters, interrupts, link.
    pub(crate) fn bring_up(&self, control: &mut Control) -> Result<(), Error> {
        let mut delay = self.platform.delay();
        self.mac.reset(&mut delay)?;
        if !self.platform.start_mastering() {
            self.mac.check()?;
            return Err(Error::NoMastering);
        }
        self.quarantine.hold();
        let mut config = MacConfig::new(control.address);
        config.max_frame = control.config.max_frame;
        config.flow_control = control.config.link.flow_control;
        self.mac.init(&config, &mut delay)?;
        self.apply_filters(control)?;
        self.apply_interrupts();
        self.mac.enable_transmit();
        self.mac.enable_receive();
        control.link = None;
        control.transmit_heads = [(0, 0); 16];
        self.mac.setup_link(&control.config.link, &mut delay)?;
        Ok(self.mac.check()?)
    }

    fn apply_filters(&self, control: &Control) -> Result<(), Error> {
        let filters = &control.filters;
        for (slot, address) in filters.unicast.iter().enumerate() {
            self.mac.set_unicast(slot + 1, Some(*address))?;
        }
        self.mac.set_multicast(&filters.multicast);
        self.mac.set_all_multicast(filters.all_multicast);
        self.mac.set_promiscuous(filters.promiscuous);
        for vlan in &filters.vlans {
            self.mac.set_vlan(*vlan, true);
        }
        self.mac.set_vlan_filter(filters.vlan_filter);
        self.mac.set_vlan_strip(filters.vlan_strip);
        if let Some(rss) = &filters.rss {
            self.mac.set_rss(rss);
        }
        Ok(())
    }

    fn apply_interrupts(&self) {
        if self.kind.is_none() {
            return;
        }
        let routing = self.mac.route(mode(self.kind, self.routing.vectors()), self.queues.count);
        debug_assert_eq!(routing, self.routing);
        for vector in 0..routing.vectors() {
            self.mac.set_interval(&routing, vector, self.interval_micros);
        }
        self.mac.enable_other(&routing);
    }

    /// Reads the causes that are no queue's. `DeviceGone` is remembered for the queues, a link change for the
    /// controller.
    pub(crate) fn take_causes(&self) -> Result<(), Error> {
        let causes = self.mac.take_causes(&self.routing);
        if causes.gone {
            self.lost();
            return Err(Error::DeviceGone);
        }
        if causes.link_changed {
            self.link_changed.store(true, Release);
        }
        Ok(())
    }

    /// Whether the link may have changed since the last call.
    pub(crate) fn link_may_have_changed(&self) -> Result<bool, Error> {
        self.take_causes()?;
        Ok(self.link_changed.swap(false, AcqRel))
    }

    /// After a wait of queue `index`: a vector that carries other causes too has to be read before it comes again.
    pub(crate) fn acknowledge(&self, index: u16) -> Result<(), Error> {
        let alone = self.routing.vector_of_queue(index) != self.routing.vector_other();
        if self.kind.is_none() || alone { Ok(()) } else { self.take_causes() }
    }

    /// Notes that the device is gone: every queue's next poll says so.
    pub(crate) fn lost(&self) {
        self.gone();
        self.phase.word.fetch_add(2, Release);
    }

    /// A device that was closed stays closed, whether it is there or not.
    fn gone(&self) {
        let _ = self.phase.state.compare_exchange(RUNNING, GONE, AcqRel, Acquire);
    }

    /// `DeviceGone` if the device has left, and then every queue hears of it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.running()?;
        self.mac.check().map_err(|error| {
            self.lost();
            error.into()
        })
    }

    /// Quiets the device for good: interrupts off, master disable, reset, bus mastering off. Queues answer their next
    /// poll with `Closed`. Memory is freed only when the platform confirms that bus mastering is off; never fails,
    /// since a device that does not obey merely keeps its memory.
    pub(crate) fn close(&self) {
        if self.phase.state.swap(CLOSED, AcqRel) == CLOSED {
            return;
        }
        self.phase.word.fetch_add(2, AcqRel);
        let mut delay = self.platform.delay();
        // A device that does not quiet down is cut off by the next step.
        let _ = self.mac.shutdown(&mut delay);
        self.platform.disable_interrupts();
        if self.platform.stop_mastering() {
            self.quarantine.release();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase.state.load(Acquire) == CLOSED
    }
}

/// What the MAC is told of interrupts that arrive like this.
pub(crate) fn mode(kind: Option<InterruptKind>, vectors: u16) -> Mode {
    match kind {
        Some(InterruptKind::MsiX) => Mode::MsiX { vectors },
        _ => Mode::Single,
    }
}

impl Member {
    /// The hardware queue runs again, in the device's present generation.
    pub(crate) fn restarted<P: Platform>(&mut self, shared: &Shared<P>, generation: u32) {
        self.generation = generation;
        // If the phase moved on meanwhile, the next poll sees it.
        self.seen = shared.phase() & !1;
    }
}

impl<P: Platform> Drop for Shared<P> {
    /// The last of controller and queues is gone.
    fn drop(&mut self) {
        self.close();
    }
}
