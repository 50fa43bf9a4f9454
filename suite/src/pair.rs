//! Behaviours of two ports whose cable joins them: what can be shown where nobody holds the far end, as over VFIO.
//!
//! The cases run on the simulator and on QEMU's device too (`tests/pair.rs`), so that a failure in the guest is the
//! platform's and not the case's.

use crate::drive::{BATCH, Flows, PATIENCE, collect, each_vector_wakes_its_own, send_all};
use crate::{Ports, frames};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use igb::{
    Action, Config, Controller, Error, Exclusive, Igb, InterruptKind, Local, Memory, PciConfig, Platform,
    Queue, Queues,
};

/// An open port.
struct Open<P: Platform> {
    control: Controller<P>,
    queues: Vec<Queue<P, Local>>,
}

fn open<P: Ports>(pair: &P, port: usize, queues: Queues, config: Config) -> Open<P::Platform> {
    let nic = Igb::probe(pair.platform(port), config).unwrap_or_else(|error| panic!("probe {port}: {error}"));
    let (control, queues) = nic.open(queues).unwrap_or_else(|error| panic!("open {port}: {error}"));
    Open { control, queues }
}

/// Both ports, with their link up.
fn both<P: Ports>(pair: &P, a: Queues, b: Queues, config: &Config) -> (Open<P::Platform>, Open<P::Platform>) {
    let ports = (open(pair, 0, a, config.clone()), open(pair, 1, b, config.clone()));
    for control in [&ports.0.control, &ports.1.control] {
        let link = control.wait_link(Duration::from_secs(20)).unwrap_or_else(|error| panic!("link: {error}"));
        assert_eq!((link.speed.mbps(), link.duplex), (1000, igb::Duplex::Full));
    }
    ports
}

fn close<P: Ports>(pair: &P, ports: (Open<P::Platform>, Open<P::Platform>)) {
    ports.0.control.close();
    ports.1.control.close();
    drop(ports);
    assert_eq!(pair.allocated(), 0, "memory is given back");
    assert_eq!(pair.objections(), Vec::<String>::new());
}

impl<P: Platform> Open<P> {
    fn address(&self) -> [u8; 6] {
        self.control.address().0
    }

    fn send(&mut self, pair: &impl Ports, frames: &[Vec<u8>]) {
        send_all(pair, &mut self.queues[0], frames);
    }

    fn collect(&mut self, pair: &impl Ports, want: usize) -> Vec<Vec<u8>> {
        collect(pair, &mut self.queues, want)
    }
}

/// Both ports open and close three times over, with the same addresses each time, and no memory stays.
pub fn opens_and_closes<P: Ports>(pair: &P) {
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let ports = both(pair, Queues::combined(1), Queues::combined(1), &pair.config());
        addresses.push((ports.0.address(), ports.1.address()));
        close(pair, ports);
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 1);
    assert_ne!(addresses[0].0, addresses[0].1);
}

/// `count` frames of every length from 60 to 1514 each way, each byte as it was, and counted by both chips.
pub fn every_length_both_ways<P: Ports>(pair: &P, count: usize) {
    let (mut a, mut b) = both(pair, Queues::combined(1), Queues::combined(1), &pair.config());
    let counts = |open: &Open<P::Platform>| open.control.statistics().expect("counts");
    let before = (counts(&a), counts(&b));
    for (from, to) in [(0, 1), (1, 0)] {
        let [sender, receiver] = if from < to { [&mut a, &mut b] } else { [&mut b, &mut a] };
        let mut lengths = frames::lengths();
        for first in (0..count).step_by(BATCH) {
            let numbers = first..(first + BATCH).min(count);
            let sent: Vec<_> = numbers
                .map(|n| frames::numbered(receiver.address(), n as u32, lengths.next().unwrap_or(60)))
                .collect();
            sender.send(pair, &sent);
            let seen = receiver.collect(pair, sent.len());
            assert_eq!(seen.len(), sent.len(), "frames {first} and after");
            for (sent, seen) in sent.iter().zip(&seen) {
                assert_eq!(sent, seen, "frame {:?} of {} bytes", frames::number(sent), sent.len());
            }
        }
    }
    let after = (counts(&a), counts(&b));
    let count = count as u64;
    for (after, before) in [(after.0, before.0), (after.1, before.1)] {
        assert_eq!((after.tx_frames - before.tx_frames, after.rx_frames - before.rx_frames), (count, count));
    }
    assert_eq!(after.0.tx_bytes - before.0.tx_bytes, after.1.rx_bytes - before.1.rx_bytes);
    close(pair, (a, b));
}

/// Rings of `len` descriptors go round three times, at both ends, without losing or swapping a frame.
pub fn ring_wraps<P: Ports>(pair: &P, len: u32) {
    let queues = Queues::combined(1).rings(len, len);
    let (mut a, mut b) = both(pair, queues, queues, &pair.config());
    let (to, back) = (b.address(), a.address());
    let total = len * 3 + 7;
    for first in (0..total).step_by(32) {
        let numbers = first..(first + 32).min(total);
        let sent: Vec<_> = numbers.clone().map(|n| frames::numbered(to, n, 64)).collect();
        a.send(pair, &sent);
        let mut echoed = first;
        for _ in 0..PATIENCE {
            let polled = b.queues[0].poll(64, |mut frame, _| {
                assert_eq!(frames::number(frame.bytes()), Some(echoed));
                echoed += 1;
                frame.bytes_mut()[..6].copy_from_slice(&back);
                Action::Transmit(frame)
            });
            polled.unwrap_or_else(|error| panic!("poll: {error}"));
            if echoed == numbers.end {
                break;
            }
            pair.tick();
        }
        let seen: Vec<_> =
            a.collect(pair, numbers.len()).iter().filter_map(|frame| frames::number(frame)).collect();
        assert_eq!(seen, numbers.collect::<Vec<_>>());
    }
    close(pair, (a, b));
}

/// Frames that B received are sent by A, from B's buffers as they are, and so come back to B: `rounds` times.
pub fn forwards_without_copy<P: Ports>(pair: &P, rounds: u64) {
    let (mut a, mut b) = both(pair, Queues::combined(1), Queues::combined(1), &pair.config());
    let to = b.address();
    let sent: Vec<_> = (0..32).map(|n| frames::numbered(to, n, 60 + n as usize * 40)).collect();
    a.send(pair, &sent);
    let (from, through) = (&mut b.queues[0], &mut a.queues[0]);
    let (mut moved, mut idle) = (0u64, 0);
    while moved < rounds * 32 && idle < PATIENCE {
        let mut ports = [&mut through.tx];
        let polled = from.poll_to(64, &mut ports, |frame, _| {
            let number = frames::number(frame.bytes()).unwrap_or(u32::MAX) as usize;
            assert_eq!(Some(frame.bytes()), sent.get(number).map(Vec::as_slice), "after {moved} moves");
            Action::Redirect(0, frame)
        });
        let polled = polled.unwrap_or_else(|error| panic!("poll: {error}"));
        through.clean().unwrap_or_else(|error| panic!("clean: {error}"));
        moved += u64::from(polled);
        if polled == 0 {
            idle += 1;
            pair.tick();
        } else {
            idle = 0;
        }
    }
    assert!(moved >= rounds * 32, "{moved} moves");
    assert_eq!((from.stats().lost, through.stats().lost), (0, 0));
    close(pair, (a, b));
}

/// 256 flows over `queues` queues: each flow on one queue with one hash, in order, and every queue has some.
pub fn spreads_flows<P: Ports>(pair: &P, queues: u16) {
    let (mut a, mut b) = both(pair, Queues::combined(1), Queues::combined(queues), &pair.config());
    let to = b.address();
    let mut flows = Flows::new(queues);
    for round in 0..4u8 {
        for first in (0..256u16).step_by(32) {
            let sent: Vec<_> =
                (first..first + 32).map(|flow| frames::flow(to, 1000 + flow, &[round])).collect();
            a.send(pair, &sent);
            flows.receive(pair, &mut b.queues, 32);
        }
    }
    flows.assert_spread(256);
    close(pair, (a, b));
}

/// Every vector of `queues` queues and the one for the rest, raised by software, wakes its own waiter and no other.
pub fn every_vector<P: Ports>(pair: &P, queues: u16) {
    let config = pair.config().interrupts(&[InterruptKind::MsiX]);
    let (a, b) = both(pair, Queues::combined(1), Queues::combined(queues), &config);
    // One a queue and one for the rest; queues beyond the device's vectors share them.
    let vectors = b.control.vectors();
    assert!(
        vectors == queues + 1 || (vectors > 8 && vectors <= queues),
        "{vectors} vectors of {queues} queues"
    );
    each_vector_wakes_its_own(&b.control, &b.queues, Duration::from_millis(50));
    close(pair, (a, b));
}

/// A sleeper wakes when a frame comes, long before its limit: `rounds` times by this kind of interrupt.
pub fn wakes_on_frames<P: Ports>(pair: &P, kind: &'static [InterruptKind], rounds: u32) {
    let config = pair.config().interrupts(kind);
    let (mut a, mut b) = both(pair, Queues::combined(1), Queues::combined(1), &config);
    assert_eq!(b.control.interrupt_kind(), kind.first().copied());
    let to = b.address();
    let queue = &mut b.queues[0];
    let mut irq = queue.take_irq().expect("the first to take it");
    let clock = b.control.platform().clock();
    for round in 0..rounds {
        // Asleep first: the sender is another thread, which waits until we are about to be.
        let ready = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ready.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                a.send(pair, &[frames::numbered(to, round, 100)]);
            });
            let (mut seen, mut turns) = (0, 0);
            let limit = Duration::from_secs(5);
            let started = igb::Clock::now(&clock);
            while seen == 0 && turns < 50 {
                ready.store(true, Ordering::Release);
                let polled = queue.poll_or_wait(&mut irq, limit, 64, |frame, _| {
                    assert_eq!(frames::number(frame.bytes()), Some(round));
                    Action::Recycle(frame)
                });
                seen += polled.unwrap_or_else(|error| panic!("poll: {error}"));
                turns += 1;
            }
            let took = igb::Clock::now(&clock).saturating_sub(started);
            assert_eq!(seen, 1, "round {round}");
            assert!(took < limit, "round {round}: the limit woke us, no interrupt, after {took:?}");
        });
    }
    drop(irq);
    close(pair, (a, b));
}

/// Both ports are reset in turn while frames run from A to B; after each, frames come again, whole.
pub fn resets_under_traffic<P: Ports>(pair: &P, rounds: u32) {
    let (a, b) = both(pair, Queues::combined(1), Queues::combined(1), &pair.config());
    let to = b.address();
    let (stop, received) = (AtomicBool::new(false), AtomicU64::new(0));
    let (controls, mut sender, mut receiver) = ([a.control, b.control], a.queues, b.queues);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (queue, mut number) = (&mut sender[0], 0u32);
            while !stop.load(Ordering::Relaxed) {
                let sent = queue.send_batch(16, |memory| {
                    let mut buffer = memory.take()?;
                    number = number.wrapping_add(1);
                    buffer.set(&frames::numbered(to, number, 60 + number as usize % 1455)).then_some(buffer)
                });
                sent.unwrap_or_else(|error| panic!("send: {error}"));
                // A reset waits for the receiving part of this queue too.
                let polled = queue.poll(64, |frame, _| Action::Recycle(frame));
                polled.unwrap_or_else(|error| panic!("poll: {error}"));
                std::thread::yield_now();
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let polled = receiver[0].poll(64, |frame, _| {
                    let number = frames::number(frame.bytes()).unwrap_or(0);
                    assert_eq!(frame.bytes(), frames::numbered(to, number, 60 + number as usize % 1455));
                    received.fetch_add(1, Ordering::Relaxed);
                    Action::Recycle(frame)
                });
                polled.unwrap_or_else(|error| panic!("poll: {error}"));
                std::thread::yield_now();
            }
        });
        let work = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..rounds {
                for control in &controls {
                    control.reset().unwrap_or_else(|error| panic!("reset {round}: {error}"));
                    for control in &controls {
                        let link = control.wait_link(Duration::from_secs(20));
                        link.unwrap_or_else(|error| panic!("link after reset {round}: {error}"));
                    }
                    let before = received.load(Ordering::Relaxed);
                    let again = (0..PATIENCE).any(|_| {
                        pair.tick();
                        std::thread::yield_now();
                        received.load(Ordering::Relaxed) > before
                    });
                    assert!(again, "no frame after reset {round}");
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = work {
            std::panic::resume_unwind(panic);
        }
    });
    let [one, two] = controls;
    close(pair, (Open { control: one, queues: sender }, Open { control: two, queues: receiver }));
}

/// B is closed and its memory given back while A goes on sending to it: B reaches no memory any more.
pub fn quiet_after_close<P: Ports>(pair: &P) {
    for polite in [true, false] {
        let (mut a, b) = both(pair, Queues::combined(1), Queues::combined(1), &pair.config());
        let to = b.address();
        let burst: Vec<_> = (0..64).map(|n| frames::numbered(to, n, 1000)).collect();
        a.send(pair, &burst);
        if polite {
            b.control.close();
        }
        drop(b);
        a.send(pair, &burst);
        for _ in 0..20 {
            pair.tick();
        }
        a.control.close();
        drop(a);
        assert_eq!(pair.allocated(), 0, "memory is given back");
        assert_eq!(pair.objections(), Vec::<String>::new());
    }
}

/// Memory decoding is switched off under traffic: a named error everywhere, nothing dies, and a new start works at once.
pub fn decoding_off<P: Ports>(pair: &P) {
    for _ in 0..2 {
        let (mut a, mut b) = both(pair, Queues::combined(1), Queues::combined(1), &pair.config());
        let to = b.address();
        a.send(pair, &(0..32).map(|n| frames::numbered(to, n, 200)).collect::<Vec<_>>());
        let pci = b.control.platform().pci();
        pci.write32(0x04, pci.read32(0x04) & 0xffff & !0x2);
        assert_eq!(b.control.watchdog().err(), Some(Error::DeviceGone));
        assert_eq!(b.control.statistics().err(), Some(Error::DeviceGone));
        assert_eq!(b.control.reset().err(), Some(Error::DeviceGone));
        let polled = b.queues[0].poll(64, |frame, _| Action::Recycle(frame));
        assert_eq!(polled.err(), Some(Error::DeviceGone));
        close(pair, (a, b));
    }
    opens_and_closes(pair);
}
