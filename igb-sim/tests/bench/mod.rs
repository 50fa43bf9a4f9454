//! A driver of a few lines, by register pokes: enough to put a device's rings to work.
#![allow(dead_code, reason = "each test takes what it needs")]

use core::time::Duration;
use igb_regs::Chip;
use igb_ring::{Arena, Dma};
use igb_sim::{Device, World};

pub(crate) const CTRL: u32 = 0x0000;
pub(crate) const STATUS: u32 = 0x0008;
pub(crate) const RCTL: u32 = 0x0100;
pub(crate) const TCTL: u32 = 0x0400;
pub(crate) const ENABLE: u32 = 1 << 25;
pub(crate) const SRRCTL_ONE_BUFFER: u32 = 1 << 25;

/// Registers of receive queue `queue`; the older range, which every chip has for queues 0..4.
pub(crate) fn rx(queue: u32) -> u32 {
    if queue < 4 { 0x2800 + 0x100 * queue } else { 0xc000 + 0x40 * queue }
}

pub(crate) fn tx(queue: u32) -> u32 {
    if queue < 4 { 0x3800 + 0x100 * queue } else { 0xe000 + 0x40 * queue }
}

/// Mastering on, SLU, receiver and transmitter on; the queues are the caller's.
pub(crate) fn start(device: &Device) {
    device.config_write(0x04, 0x6);
    device.write(CTRL, device.read(CTRL) | 1 << 6);
    device.write(TCTL, 1 << 1 | 1 << 3);
    device.write(RCTL, 1 << 1 | 1 << 15 | 1 << 26); // EN, BAM, SECRC
    device.write(0x5008, 1 << 16);
}

pub(crate) fn wait_link(device: &Device) {
    assert!(device.wait_link(Duration::from_secs(10)), "no link");
}

/// A ring and its buffers.
pub(crate) struct Ring {
    pub(crate) arena: Arena,
    pub(crate) base: u64,
    pub(crate) len: u32,
    pub(crate) buffers: u64,
    pub(crate) buffer_size: u64,
    pub(crate) at: u32,
    pub(crate) next: u32,
}

impl Ring {
    fn new(world: &World, at: u32, len: u32, buffer_size: u64) -> Self {
        let arena = world.arena().clone();
        let base = arena.alloc(len as usize * 16, 128).expect("memory").iova;
        let buffers = arena.alloc(len as usize * buffer_size as usize, 4096).expect("memory").iova;
        Self { arena, base, len, buffers, buffer_size, at, next: 0 }
    }

    fn program(&self, device: &Device) {
        device.write(self.at, self.base as u32);
        device.write(self.at + 4, (self.base >> 32) as u32);
        device.write(self.at + 8, self.len * 16);
        device.write(self.at + 0x10, 0);
        device.write(self.at + 0x18, 0);
    }

    fn enable(&self, device: &Device) {
        device.write(self.at + 0x28, ENABLE | 8 << 8 | 8);
        let on =
            device.world().run_until(Duration::from_millis(10), || device.read(self.at + 0x28) & ENABLE != 0);
        assert!(on, "ENABLE");
    }

    pub(crate) fn buffer(&self, index: u32) -> u64 {
        self.buffers + u64::from(index) * self.buffer_size
    }

    /// A receive queue with all but one descriptor posted.
    pub(crate) fn receive(world: &World, device: &Device, queue: u32, len: u32, srrctl: u32) -> Self {
        let size = u64::from(srrctl & 0x7f).max(2) * 1024;
        let ring = Self::new(world, rx(queue), len, size);
        for index in 0..len {
            ring.post(index);
        }
        ring.program(device);
        device.write(ring.at + 0xc, srrctl);
        ring.enable(device);
        device.write(ring.at + 0x18, len - 1);
        ring
    }

    pub(crate) fn post(&self, index: u32) {
        let place = self.base + u64::from(index) * 16;
        assert!(self.arena.write64(place, self.buffer(index)) && self.arena.write64(place + 8, 0));
    }

    pub(crate) fn transmit(world: &World, device: &Device, queue: u32, len: u32) -> Self {
        let ring = Self::new(world, tx(queue), len, 16384);
        ring.program(device);
        ring.enable(device);
        ring
    }

    pub(crate) fn words(&self, index: u32) -> [u64; 2] {
        let place = self.base + u64::from(index) * 16;
        [self.arena.read64(place).unwrap(), self.arena.read64(place + 8).unwrap()]
    }

    /// The descriptor `index` as the device wrote it back: `(dw0, dw1, dw2, length, tag)`.
    pub(crate) fn written(&self, index: u32) -> (u32, u32, u32, usize, u16) {
        let [low, high] = self.words(index);
        (low as u32, (low >> 32) as u32, high as u32, (high >> 32) as usize & 0xffff, (high >> 48) as u16)
    }

    /// Next received frame of one buffer, if there is one; the descriptor is posted again, the tail not moved.
    pub(crate) fn take(&mut self) -> Option<(Vec<u8>, u32)> {
        let (_, _, status, len, _) = self.written(self.next);
        if status & 1 == 0 {
            return None;
        }
        let mut bytes = vec![0; len];
        assert!(self.arena.read(self.buffer(self.next), &mut bytes));
        self.post(self.next);
        self.next = (self.next + 1) % self.len;
        Some((bytes, status))
    }

    pub(crate) fn put(&mut self, low: u64, high: u64) {
        let place = self.base + u64::from(self.next) * 16;
        assert!(self.arena.write64(place, low) && self.arena.write64(place + 8, high));
        self.next = (self.next + 1) % self.len;
    }

    /// One frame in one data descriptor with RS; `popts` and `command` on top of EOP, IFCS, RS, DEXT, DTYP 3.
    pub(crate) fn queue(&mut self, frame: &[u8], command: u32, popts: u32, payload: usize) {
        let buffer = self.buffer(self.next);
        assert!(self.arena.write(buffer, frame));
        let dw2 = 0x2b30_0000 | command | frame.len() as u32;
        let dw3 = popts << 8 | (payload as u32) << 14;
        self.put(buffer, u64::from(dw2) | u64::from(dw3) << 32);
    }

    pub(crate) fn context(&mut self, dw0: u32, dw2: u32, dw3: u32) {
        self.put(dw0.into(), u64::from(dw2 | 0x2020_0000) | u64::from(dw3) << 32);
    }

    pub(crate) fn bell(&self, device: &Device) {
        device.write(self.at + 0x18, self.next);
    }

    /// Sends a frame without offloads.
    pub(crate) fn send(&mut self, device: &Device, frame: &[u8]) {
        self.queue(frame, 0, 0, frame.len());
        self.bell(device);
    }
}

/// A frame to `to` of `len` bytes, its contents its number.
pub(crate) fn frame(to: [u8; 6], number: u32, len: usize) -> Vec<u8> {
    let mut bytes = to.to_vec();
    bytes.extend_from_slice(&[2, 0, 0, 0, 0, 0x99, 0x88, 0xb5]);
    bytes.extend(number.to_be_bytes().into_iter().cycle().take(len - 14));
    bytes
}

/// Chips of which the tests of paths take one each.
pub(crate) const CHIPS: [Chip; 7] =
    [Chip::I82575, Chip::I82576, Chip::I82580, Chip::I350, Chip::I354, Chip::I210, Chip::I211];
