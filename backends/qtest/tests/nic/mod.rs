//! Just enough of a driver to move frames: one receive and one transmit ring, polled, by bare register offsets. What
//! is tested is the place, not the driver, so this knows nothing that the real one knows.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use core::time::Duration;
use igb::{InterruptKind, Platform};
use igb_qtest::{Irq, Memory, Port, Registers};
use igb_regs::Bus;
use igb_ring::{Coherent, Region};
use std::time::Instant;

pub const CTRL: u32 = 0x0000;
pub const STATUS: u32 = 0x0008;
pub const MDIC: u32 = 0x0020;
pub const ICR: u32 = 0x00c0;
pub const ICS: u32 = 0x00c8;
pub const IMS: u32 = 0x00d0;
pub const RCTL: u32 = 0x0100;
pub const TCTL: u32 = 0x0400;
pub const GPIE: u32 = 0x1514;
pub const EICS: u32 = 0x1520;
pub const EIMS: u32 = 0x1524;
pub const EIAC: u32 = 0x152c;
pub const IVAR0: u32 = 0x1700;
pub const IVAR_MISC: u32 = 0x1740;
pub const RAL0: u32 = 0x5400;
pub const SYSTIML: u32 = 0xb600;
pub const SYSTIMH: u32 = 0xb604;
pub const TIMINCA: u32 = 0xb608;
pub const RDBAL: u32 = 0xc000;
pub const TDBAL: u32 = 0xe000;
/// From a ring's base register: high half, length, head, tail, control; SRRCTL of a receive ring.
const BAH: u32 = 0x04;
const LEN: u32 = 0x08;
const SRRCTL: u32 = 0x0c;
const HEAD: u32 = 0x10;
pub const TAIL: u32 = 0x18;
const DCTL: u32 = 0x28;

pub const LINK_UP: u32 = 1 << 1;
pub const LSC: u32 = 1 << 2;

/// Descriptors of each ring.
pub const RING: u32 = 32;
const BUFFER: u32 = 2048;
/// How long anything may take before a test gives up. Everything takes microseconds unless the box is busy.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `what` holds; the text says what did not.
pub fn until(text: &str, mut what: impl FnMut() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < LIMIT, "{text}: not within {LIMIT:?}");
        std::thread::yield_now();
    }
}

pub struct Nic {
    pub port: Port,
    pub bus: Registers,
    memory: Memory,
    rings: Region,
    buffers: Region,
    _owners: [Coherent; 2],
    next_to_use: u32,
    next_to_clean: u32,
}

impl Nic {
    /// Rings up, link on its way.
    pub fn start(port: Port) -> Self {
        assert!(port.start_mastering());
        let (bus, memory) = (port.bus(), port.dma().clone());
        let rings = Coherent::new(&memory, 2 * RING as usize * 16, 128).unwrap();
        let buffers = Coherent::new(&memory, (2 * RING * BUFFER) as usize, 4096).unwrap();
        let nic = Self {
            rings: rings.region(),
            buffers: buffers.region(),
            _owners: [rings, buffers],
            port,
            bus,
            memory,
            next_to_use: 0,
            next_to_clean: 0,
        };
        for i in 0..RING {
            nic.arm(i);
        }
        nic.ring(TDBAL, nic.rings.iova);
        nic.bus.write32(TCTL, 0x0104_00fa); // EN, PSP, CT 15, RTLC
        nic.bus.write32(RDBAL + SRRCTL, 0x0200_0002); // advanced, one buffer of 2 KiB
        nic.ring(RDBAL, nic.rings.iova + u64::from(RING) * 16);
        nic.bus.write32(RCTL, 0x0400_803a); // EN, UPE, MPE, LPE, BAM, SECRC
        nic.bus.write32(RDBAL + TAIL, RING - 1);
        nic.negotiate();
        nic
    }

    /// Set link up, and restart the PHY's negotiation: without it the device has no link for ever.
    pub fn negotiate(&self) {
        self.bus.write32(CTRL, self.bus.read32(CTRL) | 1 << 6);
        self.bus.write32(MDIC, 1 << 26 | 1 << 21 | 0x1200);
    }

    fn ring(&self, base: u32, iova: u64) {
        let bus = &self.bus;
        bus.write32(base + DCTL, 0);
        bus.write32(base, iova as u32);
        bus.write32(base + BAH, (iova >> 32) as u32);
        bus.write32(base + LEN, RING * 16);
        bus.write32(base + HEAD, 0); // both keep their values over a disable
        bus.write32(base + TAIL, 0);
        bus.write32(base + DCTL, 1 << 25);
    }

    pub fn link_up(&self) {
        until("link", || self.bus.read32(STATUS) & LINK_UP != 0);
    }

    fn tx(&self, i: u32) -> u64 {
        self.rings.iova + u64::from(i) * 16
    }

    fn rx(&self, i: u32) -> u64 {
        self.tx(RING + i)
    }

    pub fn tx_buffer(&self, i: u32) -> u64 {
        self.buffers.iova + u64::from(i * BUFFER)
    }

    pub fn rx_buffer(&self, i: u32) -> u64 {
        self.tx_buffer(RING + i)
    }

    fn put(&self, iova: u64, value: u64) {
        assert!(self.memory.write(iova, &value.to_le_bytes()));
    }

    fn get(&self, iova: u64) -> u64 {
        let mut word = [0; 8];
        assert!(self.memory.read(iova, &mut word));
        u64::from_le_bytes(word)
    }

    fn arm(&self, i: u32) {
        self.arm_at(i, self.rx_buffer(i));
    }

    pub fn arm_at(&self, i: u32, buffer: u64) {
        self.put(self.rx(i), buffer);
        self.put(self.rx(i) + 8, 0);
    }

    /// Sends one frame, and sees it done.
    pub fn send(&mut self, frame: &[u8]) {
        let i = self.next_to_use;
        assert!(self.memory.write(self.tx_buffer(i), frame));
        self.send_from(self.tx_buffer(i), frame.len());
        until("transmission", || self.sent(i));
    }

    /// Sends what lies at `iova`.
    pub fn send_from(&mut self, iova: u64, len: usize) {
        let i = self.next_to_use;
        self.put(self.tx(i), iova);
        // PAYLEN; DEXT, RS, IFCS, EOP, advanced data; DTALEN.
        self.put(self.tx(i) + 8, (len as u64) << 46 | 0x2b30_0000 | len as u64);
        self.next_to_use = (i + 1) % RING;
        self.bus.write32(TDBAL + TAIL, self.next_to_use);
    }

    pub fn sent(&self, i: u32) -> bool {
        self.get(self.tx(i) + 8) >> 32 & 1 != 0
    }

    /// The frame that is there now.
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        let i = self.next_to_clean;
        let status = self.get(self.rx(i) + 8);
        // DD, not the length: the device writes the descriptor twice.
        if status & 1 == 0 {
            return None;
        }
        let len = (status >> 32 & 0xffff) as usize;
        let mut frame = vec![0; len];
        assert!(self.memory.read(self.rx_buffer(i), &mut frame));
        self.arm(i);
        self.next_to_clean = (i + 1) % RING;
        // One behind: equal head and tail mean an empty ring.
        self.bus.write32(RDBAL + TAIL, i);
        Some(frame)
    }

    /// The next frame.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut frame = None;
        until("a frame", || {
            frame = self.poll();
            frame.is_some()
        });
        frame.unwrap()
    }

    /// Routes interrupts: receive 0 to vector 0, transmit 0 to vector 1, everything else to vector 2.
    pub fn msix(&self) -> Vec<Irq> {
        assert_eq!(self.port.enable_interrupts(InterruptKind::MsiX, 3), Some(3));
        self.bus.write32(GPIE, 0xc000_0011); // MSI-X mode, before IVAR
        self.bus.write32(IVAR0, 0x8180);
        self.bus.write32(IVAR_MISC, 0x8200);
        self.bus.write32(EIAC, 7);
        self.bus.write32(EIMS, 7);
        self.bus.write32(IMS, LSC);
        (0..3).map(|vector| self.port.take_irq(vector).unwrap()).collect()
    }
}

/// A frame whose bytes tell it from any other.
pub fn frame(len: usize, seed: u32) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|i| (seed as usize * 31 + i * 7) as u8).collect();
    frame[..14].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x88, 0xb5]);
    frame
}
