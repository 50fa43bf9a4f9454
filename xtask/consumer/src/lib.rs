//! A driver of one receive and one send queue, made of igb-hal, igb-ring and igb-regs, with a bus and memory of its
//! own. It needs no operating system.

#![no_std]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::*};
use embedded_hal::delay::DelayNs;
use igb_hal::{Error, Mac, MacAddress, MacConfig, RingAt, RxQueueConfig, TxQueueConfig, identify};
use igb_regs::{Bus, CTRL, RDT, Reg, TDT};
use igb_ring::{Buffer, Dma, Domain, Local, Memory, Pool, Region, RxRing, TxCleaner, TxSender, tx};

/// Registers in a slice of words, as they lie in a mapped BAR.
#[derive(Debug, Clone, Copy)]
pub struct Window(pub &'static [AtomicU32]);

impl Bus for Window {
    fn read32(&self, offset: u32) -> u32 {
        self.0.get(offset as usize / 4).map_or(u32::MAX, |word| word.load(Acquire))
    }
    fn write32(&self, offset: u32, value: u32) {
        if let Some(word) = self.0.get(offset as usize / 4) {
            // Nobody is behind these words, so a reset ends at once.
            let reset = if offset == 0 { CTRL::RST.val(1).value } else { 0 };
            word.store(value & !reset, Release);
        }
    }
}

/// A slice of memory that is dealt out from front to back. The device sees its first byte at `BASE`.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    words: &'static [AtomicU64],
    used: &'static AtomicUsize,
}

/// Where the device sees the memory.
pub const BASE: u64 = 0x8000_0000;
const PAGE: usize = 4096;

impl Slice {
    /// Memory that nobody else uses, and how much of it is used: 0.
    pub const fn new(words: &'static [AtomicU64], used: &'static AtomicUsize) -> Self {
        Self { words, used }
    }
}

// SAFETY: atomics that live for ever, zeroed by `alloc`; every piece is given once. The device sees the slice at BASE.
unsafe impl Dma for Slice {
    fn domain(&self) -> Domain {
        Domain(1)
    }
    fn mask(&self) -> u64 {
        u64::from(u32::MAX)
    }
    fn alloc(&self, len: usize, align: usize) -> Option<Region> {
        let first = self.words.as_ptr().addr();
        let align = align.max(128);
        let place = |used: usize| (first + used).next_multiple_of(align) - first;
        // Both sides are aligned when the slice itself is.
        let aligned = first.is_multiple_of(PAGE) && align <= PAGE;
        let end = |used: usize| place(used).checked_add(len).filter(|end| *end <= size_of_val(self.words));
        let used = self.used.fetch_update(AcqRel, Acquire, end).ok().filter(|_| aligned)?;
        let at = place(used);
        for word in &self.words[at / 8..(at + len).div_ceil(8)] {
            word.store(0, Relaxed);
        }
        let cpu = NonNull::from(&self.words[at / 8]).cast();
        Some(Region { cpu, iova: BASE + at as u64, len })
    }
    unsafe fn free(&self, _: Region) {}
    unsafe fn map(&self, _: NonNull<u8>, _: usize) -> Option<u64> {
        None
    }
    fn unmap(&self, _: u64, _: usize) {}
}

/// Waiting, where nothing has to be waited for.
#[derive(Debug, Clone, Copy)]
pub struct AtOnce;

impl DelayNs for AtOnce {
    fn delay_ns(&mut self, _: u32) {}
}

/// The driver.
#[derive(Debug)]
pub struct Nic {
    mac: Mac<Window>,
    memory: Local,
    rx: RxRing<Buffer>,
    rdt: Reg<Window, RDT>,
    tx: TxSender<Buffer>,
    sent: TxCleaner<Buffer>,
    tdt: Reg<Window, TDT>,
}

/// What can go wrong.
#[derive(Debug)]
pub enum Wrong {
    /// The MAC.
    Mac(Error),
    /// Memory and rings.
    Ring(igb_ring::Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Mac(error)
    }
}

impl From<igb_ring::Error> for Wrong {
    fn from(error: igb_ring::Error) -> Self {
        Self::Ring(error)
    }
}

impl Nic {
    /// From a device in any state to one that moves frames.
    pub fn open(window: Window, slice: &Slice, identity: u32) -> Result<Self, Wrong> {
        let delay = &mut AtOnce;
        let mac = Mac::new(window, identify(identity, size_of_val(window.0) as u64)?);
        mac.reset(delay)?;
        mac.init(&MacConfig::new(MacAddress([2, 0, 0, 0, 0, 1])), delay)?;
        mac.enable_transmit();
        mac.enable_receive();

        let mut memory = Pool::new(slice, 128, 2304)?.local();
        let mut rx = RxRing::new(slice, 64, memory.buffer_size())?;
        let (tx, sent) = tx::ring(slice, 64)?;
        let (base, bytes) = rx.base();
        let mut config = RxQueueConfig::default();
        config.buffer_bytes = rx.buffer_size();
        mac.start_rx_queue(0, RingAt { base, bytes }, &config, delay)?;
        let (base, bytes) = tx.base();
        mac.start_tx_queue(0, RingAt { base, bytes }, &TxQueueConfig::default(), delay)?;
        let (rdt, tdt) = (mac.rx_tail(0), mac.tx_tail(0));
        rx.fill(|| memory.take());
        rx.flush(|tail| rdt.set(tail));
        Ok(Self { mac, memory, rx, rdt, tx, sent, tdt })
    }

    /// Sends back what came. Gives the number of frames.
    pub fn echo(&mut self) -> u32 {
        let Self { memory, rx, rdt, tx, sent, tdt, .. } = self;
        sent.clean(|buffer| memory.give(buffer));
        let frames = rx.poll(64, |frame, _| tx.push(frame).err());
        rx.fill(|| memory.take());
        rx.flush(|tail| rdt.set(tail));
        tx.flush(|tail| tdt.set(tail));
        frames
    }

    /// Stops the device and takes everything home.
    pub fn close(mut self) -> Result<(), Wrong> {
        self.mac.shutdown(&mut AtOnce)?;
        self.rx.reclaim(|buffer| self.memory.give(buffer));
        self.sent.reclaim(&mut self.tx, |buffer| self.memory.give(buffer));
        Ok(())
    }
}
