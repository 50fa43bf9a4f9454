//! Cables: what joins two ports, or a port and the test's hands; negotiation, damage, listening.

use crate::port::{Frame, Link, PhyAbilities};
use crate::world::World;
use std::collections::VecDeque;
use std::time::Duration;

/// What becomes of a frame on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives.
    #[default]
    Pass,
    /// It is lost.
    Drop,
    /// It arrives with a wrong FCS.
    BadCrc,
}

/// What a partner in the test's hands offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// 1000BASE-T, full duplex.
    pub gigabit: bool,
    /// 100BASE-TX, full duplex.
    pub fast: bool,
    /// 10BASE-T, full duplex.
    pub slow: bool,
    /// Symmetric PAUSE.
    pub pause: bool,
    /// Asymmetric PAUSE.
    pub asymmetric: bool,
    /// It does not negotiate: the fastest of the above, full duplex, without a word.
    pub silent: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self { gigabit: true, fast: true, slow: true, pause: true, asymmetric: false, silent: false }
    }
}

impl Abilities {
    fn words(self) -> PhyAbilities {
        let base = 1
            | u16::from(self.slow) << 6
            | u16::from(self.fast) << 8
            | u16::from(self.pause) << 10
            | u16::from(self.asymmetric) << 11;
        let speed_mbps = [(self.gigabit, 1000), (self.fast, 100), (self.slow, 10)];
        let fastest = speed_mbps.into_iter().find_map(|(has, speed)| has.then_some(speed));
        let forced = fastest.filter(|_| self.silent).map(|speed_mbps| Link { speed_mbps, full_duplex: true });
        PhyAbilities { base, gigabit: u16::from(self.gigabit) << 9, forced }
    }
}

/// The best mode that both ends can do. A silent end is heard at its speed only, half duplex, unless the other is
/// forced to the same.
fn resolve(ours: PhyAbilities, theirs: PhyAbilities) -> [Option<Link>; 2] {
    let half = |link: Link| Some(Link { full_duplex: false, ..link });
    match (ours.forced, theirs.forced) {
        (Some(ours), Some(theirs)) if ours.speed_mbps == theirs.speed_mbps => [Some(ours), Some(theirs)],
        (Some(_), Some(_)) => [None, None],
        // Parallel detection knows 10 and 100 only.
        (Some(forced), None) if forced.speed_mbps < 1000 => [Some(forced), half(forced)],
        (None, Some(forced)) if forced.speed_mbps < 1000 => [half(forced), Some(forced)],
        (Some(_), None) | (None, Some(_)) => [None, None],
        (None, None) => {
            let gigabit = ours.gigabit & theirs.gigabit;
            let base = ours.base & theirs.base;
            let modes = [
                (gigabit & 1 << 9, 1000, true),
                (gigabit & 1 << 8, 1000, false),
                (base & 1 << 8, 100, true),
                (base & 1 << 7, 100, false),
                (base & 1 << 6, 10, true),
                (base & 1 << 5, 10, false),
            ];
            let best = modes.into_iter().find(|(bit, ..)| *bit != 0);
            [best.map(|(_, speed_mbps, full_duplex)| Link { speed_mbps, full_duplex }); 2]
        }
    }
}

/// Who holds one end.
#[derive(Debug)]
pub(crate) enum End {
    Port(usize),
    Hand { received: VecDeque<Vec<u8>>, abilities: Abilities, on: bool },
}

type Impairment = Box<dyn FnMut(u64, &[u8]) -> Delivery + Send>;

/// One frame that a tap heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// When.
    pub time: Duration,
    /// The end that sent it: 0 the first named when the cable was made, 1 the other.
    pub end: usize,
    /// The frame, without FCS.
    pub frame: Vec<u8>,
}

pub(crate) struct Cable {
    pub(crate) ends: [End; 2],
    pub(crate) cut: bool,
    /// Number of the negotiation attempt; an older one's end is ignored.
    pub(crate) attempt: u64,
    pub(crate) up: bool,
    impairment: Option<Impairment>,
    seen: u64,
    taps: Vec<Vec<Tapped>>,
    /// Pulled out and replaced by another.
    pub(crate) gone: bool,
}

impl Cable {
    pub(crate) fn new(ends: [End; 2]) -> Self {
        let (impairment, taps) = (None, Vec::new());
        Self { ends, cut: false, attempt: 0, up: false, impairment, seen: 0, taps, gone: false }
    }

    /// Which end a port holds.
    pub(crate) fn end_of(&self, port: usize) -> Option<usize> {
        self.ends.iter().position(|end| matches!(end, End::Port(index) if *index == port))
    }

    /// The links of both ends, given what each offers.
    pub(crate) fn negotiate(offers: [Option<PhyAbilities>; 2]) -> [Option<Link>; 2] {
        match offers {
            [Some(ours), Some(theirs)] => resolve(ours, theirs),
            _ => [None, None],
        }
    }

    /// What a hand offers.
    pub(crate) fn hand(&self, end: usize) -> Option<PhyAbilities> {
        match &self.ends[end] {
            End::Hand { abilities, on: true, .. } => Some(abilities.words()),
            _ => None,
        }
    }

    /// A frame enters at `end`; what comes out on the other side, if anything.
    pub(crate) fn carry(&mut self, end: usize, mut frame: Frame, now: u64) -> Option<Frame> {
        if !self.up {
            return None;
        }
        for tap in &mut self.taps {
            tap.push(Tapped { time: Duration::from_nanos(now), end, frame: frame.bytes.clone() });
        }
        self.seen += 1;
        let verdict = self.impairment.as_mut().map(|verdict| verdict(self.seen - 1, &frame.bytes));
        match verdict.unwrap_or_default() {
            Delivery::Pass => {}
            Delivery::Drop => return None,
            Delivery::BadCrc => frame.good = false,
        }
        Some(frame)
    }
}

/// A cable between two devices. Dropping the value leaves the cable in place.
#[derive(Debug, Clone)]
pub struct Wire {
    pub(crate) world: World,
    pub(crate) cable: usize,
}

impl Wire {
    /// Cuts it: the link goes down at both ends.
    pub fn cut(&self) {
        self.world.with_cable(self.cable, |cable| cable.cut = true);
    }

    /// Joins it again: both ends negotiate.
    pub fn join(&self) {
        self.world.with_cable(self.cable, |cable| cable.cut = false);
    }

    /// Whether it is cut.
    pub fn is_cut(&self) -> bool {
        self.world.look_at_cable(self.cable, |cable| cable.cut)
    }

    /// Whether both ends have a link over it.
    pub fn up(&self) -> bool {
        self.world.look_at_cable(self.cable, |cable| cable.up)
    }

    /// Decides the fate of each frame from now on. The closure must not use the world.
    pub fn impair(&self, verdict: impl FnMut(u64, &[u8]) -> Delivery + Send + 'static) {
        self.world.look_at_cable(self.cable, |cable| {
            cable.impairment = Some(Box::new(verdict));
            cable.seen = 0;
        });
    }

    /// Listens from now on, both ways.
    pub fn tap(&self) -> Tap {
        let number = self.world.look_at_cable(self.cable, |cable| {
            cable.taps.push(Vec::new());
            cable.taps.len() - 1
        });
        Tap { wire: self.clone(), number }
    }
}

/// Hears what a cable carries.
#[derive(Debug)]
pub struct Tap {
    wire: Wire,
    number: usize,
}

impl Tap {
    /// What it heard since the last call.
    pub fn take(&self) -> Vec<Tapped> {
        self.wire.world.look_at_cable(self.wire.cable, |cable| core::mem::take(&mut cable.taps[self.number]))
    }
}

/// The end of a cable that the test holds. It behaves as a good partner does.
#[derive(Debug, Clone)]
pub struct WireEnd {
    pub(crate) wire: Wire,
}

impl WireEnd {
    /// The end that is ours; the device has the other.
    const OURS: usize = 1;

    fn hand<T>(
        &self,
        use_it: impl FnOnce(&mut VecDeque<Vec<u8>>, &mut Abilities, &mut bool) -> T,
    ) -> Option<T> {
        self.wire.world.look_at_cable(self.wire.cable, |cable| match &mut cable.ends[Self::OURS] {
            End::Hand { received, abilities, on } => Some(use_it(received, abilities, on)),
            End::Port(_) => None,
        })
    }

    /// Sends a frame, padded to 60 bytes as every controller does. False when there is no link.
    pub fn send(&self, frame: &[u8]) -> bool {
        let mut bytes = frame.to_vec();
        if bytes.len() < 60 {
            bytes.resize(60, 0);
        }
        self.send_raw(&bytes, true)
    }

    /// Sends exactly these bytes, with a good FCS or a bad one.
    pub fn send_raw(&self, frame: &[u8], good_crc: bool) -> bool {
        let frame = Frame { bytes: frame.to_vec(), good: good_crc };
        self.wire.world.inject(self.wire.cable, Self::OURS, frame)
    }

    /// The oldest frame that came in and was not taken.
    pub fn recv(&self) -> Option<Vec<u8>> {
        self.hand(|received, _, _| received.pop_front()).flatten()
    }

    /// All of them.
    pub fn recv_all(&self) -> Vec<Vec<u8>> {
        self.hand(|received, _, _| received.drain(..).collect()).unwrap_or_default()
    }

    /// The next frame, waiting for it.
    pub fn recv_timeout(&self, limit: Duration) -> Option<Vec<u8>> {
        let mut frame = None;
        self.wire.world.run_until(limit, || {
            frame = self.recv();
            frame.is_some()
        });
        frame
    }

    /// Switches the partner on and off.
    pub fn set_link(&self, on: bool) {
        self.hand(|_, _, switch| *switch = on);
        self.wire.world.with_cable(self.wire.cable, |_| {});
    }

    /// Changes what the partner offers; both ends negotiate anew.
    pub fn advertise(&self, abilities: Abilities) {
        self.hand(|_, offered, _| *offered = abilities);
        self.wire.world.with_cable(self.wire.cable, |_| {});
    }

    /// Cuts the cable.
    pub fn cut(&self) {
        self.wire.cut();
    }

    /// Joins it again.
    pub fn join(&self) {
        self.wire.join();
    }

    /// Whether there is a link.
    pub fn up(&self) -> bool {
        self.wire.up()
    }

    /// The cable itself, to tap or to damage.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }
}
