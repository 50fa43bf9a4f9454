//! One case, ready to be counted: devices, queues, and the hands that play the device between two windows.

use crate::window::{self, Q, Wires};
use crate::{Device, MemoryOnly, Words};
use igb::regs::{Chip, Regs};
use igb::ring::Arena;
use igb::{Config, Controller, Error, Igb, MacAddress, Pool, Queues};
use std::sync::Arc;

/// Descriptors of each ring.
const RING: u32 = 256;
/// Bytes of a received frame, without FCS: the shortest.
pub const FRAME: usize = 60;
/// Frames that go through before counting: every ring has been round, caches are as full as they stay.
pub const WARM_UP: u32 = 4 * RING;
/// Sizes of batches in the table.
pub const BATCHES: [u32; 4] = [1, 8, 32, 64];

const DD: u64 = 1;
const EOP: u64 = 2;
/// Transmit descriptor: report status; done.
const TX_RS: u64 = 1 << 27;
const TX_DD: u64 = 1 << 32;

/// What is done with frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// [`window::rx_drop`]
    RxDrop,
    /// [`window::rx_ethertype`]
    RxEtherType,
    /// [`window::tx`]
    Tx,
    /// [`window::tx_again`]
    TxAgain,
    /// [`window::tx_known_context`]
    TxKnownContext,
    /// [`window::tx_new_context`]
    TxNewContext,
    /// [`window::echo`]
    Echo,
    /// [`window::forward`]
    Forward,
    /// [`window::forward_through_pool`]
    ForwardThroughPool,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RxDrop,
        Self::RxEtherType,
        Self::TxAgain,
        Self::Tx,
        Self::TxKnownContext,
        Self::TxNewContext,
        Self::Echo,
        Self::Forward,
        Self::ForwardThroughPool,
    ];

    /// Nothing is received.
    pub const fn sends_only(self) -> bool {
        matches!(self, Self::Tx | Self::TxAgain | Self::TxKnownContext | Self::TxNewContext)
    }

    /// Its name in programs' output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RxDrop => "rx_drop",
            Self::RxEtherType => "rx_ethertype",
            Self::Tx => "tx",
            Self::TxAgain => "tx_again",
            Self::TxKnownContext => "tx_known_context",
            Self::TxNewContext => "tx_new_context",
            Self::Echo => "echo",
            Self::Forward => "forward",
            Self::ForwardThroughPool => "forward_through_pool",
        }
    }
}

/// Two devices in one domain, and a case that is run on them.
#[derive(Debug)]
pub struct Rig<B: Wires = Words> {
    case: Case,
    batch: u32,
    one: Port<B>,
    other: Port<B>,
}

impl Rig {
    /// A rig whose driver reaches the words themselves, warmed up.
    ///
    /// # Errors
    /// What opening says.
    pub fn plain(case: Case, batch: u32) -> Result<Self, Error> {
        Self::new(case, batch, |words| words)
    }
}

impl<B: Wires> Rig<B> {
    /// A rig whose driver reaches the words through `bus`, warmed up. `batch` is at most 64.
    ///
    /// # Errors
    /// What opening says.
    pub fn new(case: Case, batch: u32, bus: impl Fn(Words) -> B) -> Result<Self, Error> {
        let memory = Arena::anonymous(16 << 20, 0x1_0000_0000)?;
        let pool = Pool::new(&memory, 2048, 2304)?;
        let one = Port::open(MemoryOnly::new(&memory, &bus), &pool)?;
        let other = Port::open(MemoryOnly::new(&memory, &bus), &pool)?;
        let mut rig = Self { case, batch, one, other };
        if case == Case::TxAgain {
            window::tx(&mut rig.one.queue, batch); // the frames
        }
        for _ in 0..WARM_UP / batch {
            rig.prepare();
            rig.run();
        }
        Ok(rig)
    }

    /// Frames a window.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// What the devices do before a window: report what was sent, and receive a batch.
    pub fn prepare(&mut self) {
        self.one.report_sent();
        self.other.report_sent();
        if !self.case.sends_only() {
            self.one.receive(self.batch);
        }
    }

    /// The window. Gives the number of frames, which is the batch.
    pub fn run(&mut self) -> u32 {
        let (one, other) = (&mut self.one.queue, &mut self.other.queue);
        match self.case {
            Case::RxDrop => window::rx_drop(one),
            Case::RxEtherType => window::rx_ethertype(one),
            Case::Tx => window::tx(one, self.batch),
            Case::TxAgain => window::tx_again(one),
            Case::TxKnownContext => window::tx_known_context(one, self.batch),
            Case::TxNewContext => window::tx_new_context(one, self.batch),
            Case::Echo => window::echo(one),
            Case::Forward => window::forward(one, other),
            Case::ForwardThroughPool => window::forward_through_pool(one, other),
        }
    }

    /// `frames` in batches, each prepared and run. Not inlined: callgrind forgets what it counted before.
    ///
    /// # Panics
    /// If a window moves another number of frames than there are.
    #[inline(never)]
    pub fn rounds(&mut self, frames: u32) {
        for _ in 0..frames / self.batch {
            self.prepare();
            assert_eq!(self.run(), self.batch, "{} moves the batch", self.case.name());
        }
    }

    /// What the queues counted: frames that were bad or lost, of which there are none.
    pub fn troubles(&self) -> u64 {
        [&self.one, &self.other].iter().map(|port| port.queue.stats()).map(|s| s.lost + s.rx.bad()).sum()
    }
}

/// One device with one queue pair.
#[derive(Debug)]
struct Port<B: Wires> {
    queue: Q<B>,
    _controller: Controller<MemoryOnly<B>>,
    device: Arc<Device>,
    memory: Arena,
    received: u32,
    sent: u32,
}

impl<B: Wires> Port<B> {
    fn open(platform: MemoryOnly<B>, pool: &Pool) -> Result<Self, Error> {
        let device = platform.device().clone();
        let config = Config::default().address(MacAddress([2, 0, 0, 0, 0, 1])).interrupts(&[]);
        let igb = Igb::probe(platform, config)?;
        let (controller, mut queues) =
            igb.open_with(Queues::combined(1).rings(RING, RING), |_| pool.local())?;
        let memory = igb::Platform::dma(controller.platform()).clone();
        let queue = queues.pop().ok_or(Error::Closed)?;
        Ok(Self { queue, _controller: controller, device, memory, received: 0, sent: 0 })
    }

    /// Writes frames into posted buffers, and their descriptors back.
    fn receive(&mut self, count: u32) {
        let regs = Regs::new(self.device.words(), Chip::I82576);
        let base = u64::from(regs.rdbah(0).get()) << 32 | u64::from(regs.rdbal(0).get());
        for _ in 0..count {
            assert_ne!(self.received, regs.rdt(0).get(), "the driver posted enough");
            let at = base + u64::from(self.received) * 16;
            let buffer = self.memory.read64(at).unwrap_or_default();
            assert!(self.memory.write(buffer, &frame()), "descriptors point into memory");
            self.memory.write64(at + 8, (FRAME as u64) << 32 | EOP | DD);
            self.received = (self.received + 1) % RING;
        }
    }

    /// Reports all that the driver has handed over.
    fn report_sent(&mut self) {
        let regs = Regs::new(self.device.words(), Chip::I82576);
        let base = u64::from(regs.tdbah(0).get()) << 32 | u64::from(regs.tdbal(0).get());
        while self.sent != regs.tdt(0).get() {
            let at = base + u64::from(self.sent) * 16 + 8;
            let word = self.memory.read64(at).unwrap_or_default();
            if word & TX_RS != 0 {
                self.memory.write64(at, word | TX_DD);
            }
            self.sent = (self.sent + 1) % RING;
        }
    }
}

/// To somebody, from somebody, IPv4.
fn frame() -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00]);
    frame
}
