//! What every behaviour does with an open port: sending, receiving, raising vectors. Bounded by the bed's own ticks.

use crate::{Ports, frames};
use core::time::Duration;
use igb::{Action, Controller, Exclusive, Memory, Platform, Queue, Wait};
use std::collections::BTreeMap;

/// Most ticks that anything may take before a test fails.
pub(crate) const PATIENCE: u32 = 20_000;

/// Frames that are under way at once: fewer than the smallest ring has descriptors.
pub(crate) const BATCH: usize = 48;

/// Sends frames from one queue by batches, as room comes.
pub(crate) fn send_all<P: Platform, M: Memory<Buf: Exclusive>>(
    ports: &impl Ports,
    queue: &mut Queue<P, M>,
    frames: &[Vec<u8>],
) {
    let mut next = frames.iter().peekable();
    for _ in 0..PATIENCE {
        let sent = queue
            .send_batch(32, |memory| {
                next.peek()?;
                let mut buffer = memory.take()?;
                let frame = next.next()?;
                assert!(buffer.set(frame), "a frame of {} bytes fits a buffer", frame.len());
                Some(buffer)
            })
            .unwrap_or_else(|error| panic!("send: {error}"));
        if next.peek().is_none() {
            return;
        }
        if sent == 0 {
            ports.tick();
        }
    }
    panic!("{} frames were not sent", next.count());
}

/// Polls every queue until `want` frames came or patience ends; gives what came.
pub(crate) fn collect<P: Platform, M: Memory<Buf: Exclusive>>(
    ports: &impl Ports,
    queues: &mut [Queue<P, M>],
    want: usize,
) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    for _ in 0..PATIENCE {
        for queue in &mut *queues {
            queue
                .poll(64, |frame, _| {
                    seen.push(frame.bytes().to_vec());
                    Action::Recycle(frame)
                })
                .unwrap_or_else(|error| panic!("poll: {error}"));
        }
        if seen.len() >= want {
            break;
        }
        ports.tick();
    }
    seen
}

/// Every vector, raised by software, wakes its own waiter and no other; each waiter is there once. `limit` is how long
/// each is listened to.
pub(crate) fn each_vector_wakes_its_own<P: Platform<Irq: Wait>, M: Memory<Buf: Exclusive>>(
    control: &Controller<P>,
    queues: &[Queue<P, M>],
    limit: Duration,
) {
    let vectors = control.vectors();
    let mut irqs: Vec<_> =
        (0..vectors).map(|vector| control.take_vector(vector).expect("each is there once")).collect();
    assert!(control.take_vector(0).is_none(), "and only once");
    for raised in 0..vectors {
        // Armed, and nothing left of what came before: the link coming up, a message held back by its interval.
        let settled = (0..20).any(|_| {
            control.on_interrupt().expect("the device is there");
            queues.iter().for_each(Queue::arm);
            control.arm();
            !irqs.iter_mut().fold(false, |woken, irq| woken | irq.wait(Duration::from_millis(5)))
        });
        assert!(settled, "vectors go on firing");
        control.raise(raised);
        let woken = irqs.iter_mut().map(|irq| irq.wait(limit));
        let woken: Vec<_> = woken.enumerate().filter(|(_, woken)| *woken).map(|(vector, _)| vector).collect();
        assert_eq!(woken, [usize::from(raised)]);
    }
}

/// Where flows made by [`frames::flow`] go: each on one queue, with one hash, its datagrams numbered in order.
pub(crate) struct Flows {
    homes: BTreeMap<u16, (u16, u32, u8)>,
    per_queue: Vec<u32>,
}

impl Flows {
    pub(crate) fn new(queues: u16) -> Self {
        Self { homes: BTreeMap::new(), per_queue: vec![0; queues.into()] }
    }

    /// Receives `want` datagrams.
    pub(crate) fn receive<P: Platform, M: Memory<Buf: Exclusive>>(
        &mut self,
        ports: &impl Ports,
        queues: &mut [Queue<P, M>],
        want: u32,
    ) {
        let mut seen = 0;
        for _ in 0..PATIENCE {
            for queue in &mut *queues {
                let index = queue.index();
                seen += queue
                    .poll(64, |frame, meta| {
                        let flow = frames::source_port(frame.bytes()).unwrap_or(0);
                        let home = self.homes.entry(flow).or_insert((index, meta.rss_hash(), 0));
                        assert_eq!(*home, (index, meta.rss_hash(), frame.bytes()[42]), "flow {flow}");
                        home.2 += 1;
                        self.per_queue[usize::from(index)] += 1;
                        Action::Recycle(frame)
                    })
                    .unwrap_or_else(|error| panic!("poll: {error}"));
            }
            if seen == want {
                break;
            }
            ports.tick();
        }
        assert_eq!(seen, want, "datagrams that came");
    }

    /// There were `flows` flows, and every queue had some.
    pub(crate) fn assert_spread(&self, flows: usize) {
        assert_eq!(self.homes.len(), flows);
        assert!(self.per_queue.iter().all(|count| *count > 0), "{:?}", self.per_queue);
    }
}
