//! One port of one chip: the register dispatcher, and the state that its parts share.
//!
//! A port knows nothing of other ports, of threads and of who holds it. It takes accesses, frames and timers, and
//! leaves behind frames for the wire, timers to be set and interrupts to be delivered; `world` carries those on.

mod control;
mod filter;
mod interrupt;
mod nvm;
mod offload;
mod phy;
mod queue;
mod receive;
mod rss;
mod split;
mod statistics;
mod transmit;

pub(crate) use phy::Abilities as PhyAbilities;
pub use phy::Link;

use crate::counters::Counters;
use crate::fault::Fault;
use crate::memory::DeviceMemory;
use crate::offsets::*;
use crate::pci::Pci;
use crate::regfile::RegFile;
use crate::spec::DeviceSpec;
use crate::violation::Violation;
use igb_regs::Chip;
use std::sync::Arc;

/// A frame on a wire, without its FCS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    /// Whether the FCS that came with it fits.
    pub(crate) good: bool,
}

/// What a timer of a port means. The `u32` is the reset generation that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    QueueEnabled { rx: bool, queue: usize, generation: u32, on: bool },
    MdicReady(u32),
    EerdDone(u32),
    NvmLoaded(u32),
    ConfigDone(u32),
    Throttled { vector: usize },
    TransmitMore { queue: usize, generation: u32 },
    PauseOver,
}

/// Violations kept for one device; a driver that loops would fill memory.
const VIOLATIONS_KEPT: usize = 1000;

pub(crate) struct Port {
    pub(crate) chip: Chip,
    pub(crate) spec: DeviceSpec,
    pub(crate) index: usize,
    /// Nanoseconds, set by the world before each call.
    pub(crate) now: u64,
    pub(crate) present: bool,
    pub(crate) regs: RegFile,
    pub(crate) pci: Pci,
    pub(crate) counters: Counters,
    pub(crate) violations: Vec<Violation>,
    pub(crate) faults: Vec<Fault>,
    memory: Arc<dyn DeviceMemory>,
    /// Counts resets: timers of an earlier life are ignored.
    generation: u32,
    nvm: nvm::Nvm,
    pub(crate) phy: phy::Phy,
    pub(crate) interrupts: interrupt::Interrupts,
    rx: Vec<queue::RxQueue>,
    tx: Vec<queue::TxQueue>,
    fifo: receive::Fifo,
    contexts: transmit::Contexts,
    paused_until: u64,
    xoff_sent: bool,
    /// Transmit queues that have more to send, by bit.
    more: u32,
    /// What transmitting has cost since the last access.
    work: usize,
    /// Frames for the wire.
    pub(crate) out: Vec<Frame>,
    /// Frames for our own receiver: loopback.
    looped: Vec<Frame>,
    /// Timers to set: when, what.
    pub(crate) timers: Vec<(u64, Event)>,
    /// The PHY wants the cable looked at anew.
    pub(crate) relink: bool,
}

impl Port {
    pub(crate) fn new(spec: DeviceSpec, index: usize, memory: Arc<dyn DeviceMemory>) -> Self {
        let chip = spec.chip;
        let (rx, tx) = (chip.rx_queues(), chip.tx_queues());
        let mut port = Self {
            chip,
            index,
            now: 0,
            present: true,
            regs: RegFile::new(chip),
            pci: Pci::new(&spec),
            counters: Counters::new(rx, tx),
            violations: Vec::new(),
            faults: Vec::new(),
            memory,
            generation: 0,
            nvm: nvm::Nvm::new(&spec, index),
            phy: phy::Phy::new(&spec),
            interrupts: interrupt::Interrupts::new(spec.vectors),
            rx: (0..rx).map(|_| queue::RxQueue::default()).collect(),
            tx: (0..tx).map(|_| queue::TxQueue::default()).collect(),
            fifo: receive::Fifo::default(),
            contexts: transmit::Contexts::default(),
            paused_until: 0,
            xoff_sent: false,
            more: 0,
            work: 0,
            out: Vec::new(),
            looped: Vec::new(),
            timers: Vec::new(),
            relink: false,
            spec,
        };
        port.power_on();
        port
    }

    pub(crate) fn has_fault(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub(crate) fn violate(&mut self, violation: Violation) {
        if self.violations.len() < VIOLATIONS_KEPT {
            self.violations.push(violation);
        }
    }

    fn after(&mut self, nanos: u64, event: Event) {
        self.timers.push((self.now.saturating_add(nanos), event));
    }

    /// A read over the bus.
    pub(crate) fn read(&mut self, raw: u32) -> u32 {
        self.counters.register_reads += 1;
        self.count_down();
        if !self.reachable() || !self.check(raw) {
            return u32::MAX;
        }
        let Some(offset) = canonical(self.chip, raw) else { return 0 };
        let value = match offset {
            CTRL | STATUS | EECD | EERD | MDIC | SWSM | SW_FW_SYNC | EEMNGCTL | EEMNGCTL_I210 => {
                self.read_control(offset)
            }
            ICR | ICS | IMS | IMC | EICR | EICS | EIMS | EIMC => self.read_interrupt(offset),
            STATISTICS..STATISTICS_END => self.read_statistic(offset),
            FRTIMER => (self.now / 1000) as u32,
            PCS_LSTAT => self.regs.get(offset),
            SYSTIML => self.read_systim(),
            _ if queue::is_rx(offset) && offset & 0x3f == RQDPC => self.read_rqdpc(offset),
            _ => self.regs.read(offset),
        };
        self.settle();
        value
    }

    /// A write over the bus.
    pub(crate) fn write(&mut self, raw: u32, value: u32) {
        self.counters.register_writes += 1;
        self.work = 0;
        if !self.reachable() || !self.check(raw) {
            return;
        }
        let Some(offset) = canonical(self.chip, raw) else { return };
        match offset {
            CTRL | STATUS | EECD | EERD | SRWR | MDIC | SWSM | SW_FW_SYNC | I2CCMD => {
                self.write_control(offset, value);
            }
            SCTL if !from(self.chip, Chip::I354) => self.write_control(offset, value),
            // I2CPARAMS from the 82580 on.
            EEWR if !from(self.chip, Chip::I82580) => self.write_control(offset, value),
            ICR | ICS | IMS | IMC | EICR | EICS | EIMS | EIMC | GPIE | CTRL_EXT => {
                self.write_interrupt(offset, value);
            }
            EITR..0x1700 | IVAR..=IVAR_MISC => self.write_interrupt(offset, value),
            RCTL | TCTL => self.write_enables(offset, value),
            TSICR => self.regs.change(offset, 0, value),
            EEMNGCTL | EEMNGCTL_I210 | FRTIMER => {}
            _ if queue::is_rx(offset) => self.write_rx_queue(offset, value),
            _ if queue::is_tx(offset) => self.write_tx_queue(offset, value),
            PHPM => {
                self.regs.write(offset, value);
                self.relink = true; // GO_LINKD (bit 5) disconnects
            }
            // The I210's datasheet calls these read only; Linux's register test, which passes on the silicon, writes all
            // of their bits and reads them back.
            FCAL => self.regs.set(offset, value),
            FCAH | FCT => self.regs.set(offset, value & 0xffff),
            FCTTV if self.has_fault(Fault::StuckBit) => self.regs.write(offset, value & !8),
            _ => self.regs.write(offset, value),
        }
        self.settle();
    }

    /// A timer.
    pub(crate) fn fire(&mut self, event: Event) {
        if !self.present {
            return;
        }
        self.work = 0;
        match event {
            Event::QueueEnabled { rx, queue, generation, on } if generation == self.generation => {
                self.queue_enabled(rx, queue, on);
            }
            Event::MdicReady(generation) => self.mdic_ready(generation),
            Event::EerdDone(generation) => self.eerd_done(generation),
            Event::NvmLoaded(generation) if generation == self.generation => self.nvm_loaded(),
            Event::ConfigDone(attempt) => self.config_done(attempt),
            Event::Throttled { vector } => self.throttle_over(vector),
            Event::TransmitMore { queue, generation } if generation == self.generation => {
                self.transmit(queue);
            }
            Event::PauseOver => self.transmit_all(),
            _ => {}
        }
        self.settle();
    }

    /// After anything that may have put frames into the loop.
    fn settle(&mut self) {
        // A frame that comes back cannot send another, so this ends.
        for frame in core::mem::take(&mut self.looped) {
            self.receive(frame);
        }
    }

    /// Whether memory accesses arrive: present, decoded, in D0.
    pub(crate) fn reachable(&self) -> bool {
        self.present && self.pci.decodes_memory()
    }

    /// Whether the device may use the bus: COMMAND.BME, and not told to stop by `CTRL.GIO_MASTER_DISABLE`.
    pub(crate) fn masters(&self) -> bool {
        self.present
            && self.pci.masters()
            && !self.regs.has(CTRL, 1 << 2)
            && !self.has_fault(Fault::FrozenDma)
    }

    fn check(&mut self, offset: u32) -> bool {
        if !offset.is_multiple_of(4) {
            self.violate(Violation::Unaligned { offset });
            return false;
        }
        if offset >= BAR_LEN {
            self.violate(Violation::OutsideBar { offset });
            return false;
        }
        true
    }

    fn count_down(&mut self) {
        let mut gone = false;
        for fault in &mut self.faults {
            if let Fault::ReadFailsAfter(left) = fault {
                gone |= *left == 0;
                *left = left.saturating_sub(1);
            }
        }
        if gone {
            self.faults.retain(|fault| !matches!(fault, Fault::ReadFailsAfter(_)));
            self.remove();
        }
    }

    fn dma_read(&mut self, iova: u64, out: &mut [u8]) -> bool {
        self.counters.dma_reads += 1;
        let good = self.memory.read(iova, out);
        self.dma_done(good, iova, out.len(), false)
    }

    fn dma_write(&mut self, iova: u64, bytes: &[u8]) -> bool {
        self.counters.dma_writes += 1;
        let good = self.memory.write(iova, bytes);
        self.dma_done(good, iova, bytes.len(), true)
    }

    fn dma_write64(&mut self, iova: u64, value: u64) -> bool {
        self.counters.dma_writes += 1;
        let good = self.memory.write64(iova, value);
        self.dma_done(good, iova, 8, true)
    }

    fn dma_done(&mut self, good: bool, iova: u64, len: usize, write: bool) -> bool {
        if good {
            let bytes =
                if write { &mut self.counters.dma_write_bytes } else { &mut self.counters.dma_read_bytes };
            *bytes += len as u64;
        } else {
            self.counters.dma_faults += 1;
            self.violate(Violation::DmaFault { iova, len, write });
        }
        good
    }

    /// A fault went away: what stood still goes on.
    pub(crate) fn thaw(&mut self) {
        for queue in 0..self.rx.len() {
            self.fetch(queue);
        }
        self.drain_fifo();
        self.transmit_all();
        self.settle();
    }

    /// The time-sync counter, coarse: nanoseconds since the world was made, in the chip's format (fact base 0.2).
    fn read_systim(&mut self) -> u32 {
        let nanos = self.now;
        let (low, high) = if is_i21x(self.chip) {
            ((nanos % 1_000_000_000) as u32, (nanos / 1_000_000_000) as u32)
        } else {
            (nanos as u32, (nanos >> 32) as u32)
        };
        self.regs.set(SYSTIML, low);
        self.regs.set(SYSTIMH, high);
        low
    }
}
