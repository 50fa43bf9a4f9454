//! The whole driver on a device that answers every read as it likes, writes into the rings, and leaves the bus in the
//! end: probing, opening, traffic, watchdog, reset and closing end, and give back all memory that the device cannot
//! reach any more.
//!
//! Where the input lets it, the device answers so that the driver gets on: or else no input would get past the waits.

#![no_main]

use core::time::Duration;
use igb::{Action, Clock, Config, Igb, InterruptKind, MacAddress, PciConfig, Platform, Queues};
use igb_regs::Bus;
use igb_ring::{Arena, Chunk, Exclusive, Memory, Pool};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of BAR 0 that are kept.
const BAR: usize = 0x2_0000;
const RDBAL0: u32 = 0xc000;
const TDBAL0: u32 = 0xe000;

thread_local! {
    /// One for all runs: fresh pages would cost more than the run.
    static MEMORY: Arena = Arena::anonymous(1 << 19, 1 << 20).expect("memory");
}

#[derive(Clone)]
struct Device(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    dma: Arena,
}

struct State {
    input: Vec<u8>,
    at: usize,
    /// Reads that are left until the device leaves the bus: some waits are long, and to wait them out is no news.
    left: u32,
    /// Reads that are answered honestly before the input is asked again.
    honest: u32,
    words: Vec<u32>,
    command: u32,
    chip: u8,
    id: u16,
    now: Duration,
}

impl State {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.input.get(self.at).copied();
        self.at += 1;
        byte
    }

    /// What the device answers; all ones once the input has ended.
    fn answer(&mut self, stored: u32) -> u32 {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return u32::MAX;
        }
        if self.honest > 0 {
            self.honest -= 1;
            return stored;
        }
        let Some(command) = self.byte() else { return u32::MAX };
        match command & 7 {
            0..=2 => {
                self.honest = u32::from(command >> 3) * u32::from(command >> 3);
                stored
            }
            3 => stored | 1 << (command >> 3),
            4 => stored & !(1 << (command >> 3)),
            5 => 1 << (command >> 3),
            6 => u32::from_le_bytes(core::array::from_fn(|_| self.byte().unwrap_or(0xff))),
            _ => u32::from(command >> 3),
        }
    }
}

impl Device {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device writes where its rings are.
    fn scribble(&self, base: u32) {
        let mut state = self.state();
        let Some(command) = state.byte() else { return };
        let place =
            u64::from(state.words[base as usize / 4]) | u64::from(state.words[base as usize / 4 + 1]) << 32;
        for _ in 0..command % 8 {
            let (Some(at), Some(low), Some(high)) = (state.byte(), state.byte(), state.byte()) else {
                return;
            };
            self.0.dma.write64(place + u64::from(at) * 8, u64::from(low) | u64::from(high) << 32);
        }
    }
}

/// What a register holds after it was written, if the device is as it should be: what clears or sets itself.
fn settle(offset: u32, value: u32, chip: u8) -> u32 {
    match offset {
        0x0 => value & !(1 << 26), // CTRL.RST
        0x14 => value | 1 << 1,    // EERD.DONE
        0x20 => mdic(value, chip), // MDIC.READY and data
        0x5b50 => value & !1,      // SWSM.SMBI
        0xc8 | 0x1500 => 0,        // ICR
        _ => value,
    }
}

/// The PHY's answers to a read: its identification, autonegotiation complete at 1,000 Mb/s.
fn mdic(value: u32, chip: u8) -> u32 {
    let id: u32 = match chip {
        0 | 1 => 0x02a8_0391,
        2 => 0x0154_03a0,
        3 => 0x0154_03b0,
        4 => 0x0141_0ea0,
        _ => 0x0141_0c00,
    };
    let data = match value >> 16 & 0x1f {
        1 => 0x796d,
        2 => id >> 16,
        3 => id & 0xffff,
        5 => 0x45e1,
        10 => 0x3800,
        17 => 0xac00,
        _ => 0x0140,
    };
    1 << 28 | value & 0x0fff_0000 | data
}

impl Bus for Device {
    fn read32(&self, offset: u32) -> u32 {
        let mut state = self.state();
        let stored = state.words.get(offset as usize / 4).copied().unwrap_or(0);
        state.answer(stored)
    }
    fn write32(&self, offset: u32, value: u32) {
        let mut state = self.state();
        let chip = state.chip;
        if let Some(word) = state.words.get_mut(offset as usize / 4) {
            *word = settle(offset, value, chip);
        }
        drop(state);
        match offset {
            0xc018 => self.scribble(RDBAL0),
            0xe018 => self.scribble(TDBAL0),
            _ => {}
        }
    }
}

impl PciConfig for Device {
    fn read32(&self, offset: u16) -> u32 {
        let mut state = self.state();
        match offset {
            0 => u32::from(state.id) << 16 | 0x8086,
            4 => state.command,
            _ => state.answer(0),
        }
    }
    fn write32(&self, offset: u16, value: u32) {
        if offset == 4 {
            self.state().command = value & 0x7;
        }
    }
}

impl embedded_hal::delay::DelayNs for Device {
    fn delay_ns(&mut self, ns: u32) {
        self.state().now += Duration::from_nanos(ns.into());
    }
}

impl Clock for Device {
    fn now(&self) -> Duration {
        self.state().now
    }
}

impl Platform for Device {
    type Bus = Self;
    type Dma = Arena;
    type Irq = ();
    type Delay = Self;
    type Clock = Self;
    type Pci = Self;

    fn bus(&self) -> Self {
        self.clone()
    }
    fn bar_len(&self) -> u64 {
        BAR as u64
    }
    fn dma(&self) -> &Arena {
        &self.0.dma
    }
    fn pci(&self) -> &Self {
        self
    }
    fn delay(&self) -> Self {
        self.clone()
    }
    fn clock(&self) -> Self {
        self.clone()
    }
    fn enable_interrupts(&self, _: InterruptKind, vectors: u16) -> Option<u16> {
        Some(vectors)
    }
    fn disable_interrupts(&self) {}
    fn take_irq(&self, _: u16) -> Option<()> {
        Some(())
    }
}

fn drive(device: &Device) -> Result<(), igb::Error> {
    // One thread holds all, so a reset that waits for the queues waits in vain.
    let mut config =
        Config::default().address(MacAddress([2, 0, 0, 0, 0, 1])).reset_patience(Duration::from_micros(100));
    config.ignore_nvm_checksum = true;
    let nic = Igb::probe(device.clone(), config)?;
    let pool = Pool::new(device.dma(), 160, nic.chunk_size()).expect("room for it");
    let (control, mut queues) = nic.open_with(Queues::combined(1).rings(64, 64), |_| pool.local())?;
    let Some(queue) = queues.first_mut() else { return Ok(()) };
    let mut kept = Vec::new();
    for turn in 0.. {
        // The program's own steps come from the input too.
        let Some(step) = device.state().byte() else { break };
        match step % 8 {
            0..=2 => {
                queue.poll(64, |frame, meta| {
                    assert!(frame.bytes().len() <= usize::from(u16::MAX));
                    let _ = (meta.rss_hash(), meta.ip_checksum(), meta.vlan());
                    match frame.bytes().len() % 4 {
                        0 => Action::Recycle(frame),
                        1 => Action::Transmit(frame),
                        2 => {
                            kept.push(frame);
                            Action::Kept
                        }
                        _ => Action::Recycle(frame),
                    }
                })?;
            }
            3 => {
                queue.send_batch(u32::from(step >> 3), |memory| {
                    let mut frame = memory.take()?;
                    frame.resize(60).then_some(frame)
                })?;
            }
            4 => {
                control.watchdog()?;
            }
            5 => {
                control.statistics()?;
                control.on_interrupt()?;
            }
            6 if turn % 4 == 0 => {
                let _ = control.reset();
            }
            _ => kept.drain(..).for_each(|frame| queue.rx.memory().give(frame)),
        }
    }
    Ok(())
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // One device of each chip.
    const IDS: [u16; 7] = [0x10a7, 0x10c9, 0x150e, 0x1521, 0x1f41, 0x1533, 0x1539];
    let Some((chip, input)) = input.split_first() else { return };
    let chip = *chip % IDS.len() as u8;
    let mut words = vec![0; BAR / 4];
    words[0x10 / 4] = 1 << 9 | 1 << 8; // EECD: read, present
    words[0x8 / 4] = 0x83; // STATUS: full duplex, link up, 1,000 Mb/s
    words[0x1010 / 4] = 0xf << 18; // EEMNGCTL, where it is and where it was: configured
    words[0x12030 / 4] = 0xf << 18;
    let state = State {
        input: input.to_vec(),
        at: 0,
        left: 2000,
        honest: 0,
        words,
        command: 0,
        chip,
        id: IDS[usize::from(chip)],
        now: Duration::ZERO,
    };
    let dma = MEMORY.with(Arena::clone);
    let device = Device(Arc::new(Inner { state: Mutex::new(state), dma }));
    let _ = drive(&device);
    // The bus mastering of this device can always be taken away, so nothing stays in quarantine.
    assert_eq!(device.dma().allocated(), 0);
});
