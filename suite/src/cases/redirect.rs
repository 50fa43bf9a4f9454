//! A frame's way out through a queue that somebody else owns: another thread, or several at once.

use super::open;
use crate::drive::PATIENCE;
use crate::{Bed, frames};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use igb::{Action, Outbox, Port, Queues};
use std::sync::Mutex;

const COUNT: u32 = 300;

/// What left port 1, in order.
fn left<B: Bed>(bed: &B) -> Vec<u32> {
    let mut seen = Vec::new();
    for _ in 0..PATIENCE {
        while let Some(frame) = bed.receive(1) {
            seen.extend(frames::number(&frame));
        }
        if seen.len() == COUNT as usize {
            break;
        }
        bed.tick();
    }
    seen
}

/// A ring of buffers to the thread that owns the sending queue. It sleeps on its vector, and is woken by software.
pub fn redirects_to_a_thread<B: Bed>(bed: &B) {
    let (a, mut from) = open(bed, 0, Queues::combined(1));
    let (b, mut to) = open(bed, 1, Queues::combined(1));
    let own = a.address().0;
    let (producer, mut consumer) = rtrb::RingBuffer::new(64);
    let done = AtomicBool::new(false);
    let vector = to[0].vector();
    std::thread::scope(|scope| {
        let (b, done, queue) = (&b, &done, &mut to[0]);
        scope.spawn(move || {
            let mut irq = queue.take_irq().expect("the first to take it");
            while !done.load(Ordering::Acquire) {
                let mut sent = 0;
                while let Ok(frame) = consumer.pop() {
                    sent += 1;
                    assert!(queue.tx.send(frame).is_ok(), "there is room");
                }
                queue.tx.flush();
                queue.clean().expect("cleans");
                if sent == 0 {
                    queue.arm();
                    igb::Wait::wait(&mut irq, Duration::from_millis(200));
                }
            }
        });
        // Whatever fails below, the owner of the sending queue is let go.
        let _end = OnDrop(|| {
            done.store(true, Ordering::Release);
            b.raise(vector);
        });
        let mut ports = [producer];
        let mut moved = 0;
        for n in 0..COUNT {
            assert!(bed.send(0, &frames::numbered(own, n, 120)));
            // The owner may be asleep: it is woken until there is room.
            let room = (0..PATIENCE).any(|_| {
                b.raise(vector);
                let room = ports[0].slots() > 8;
                if !room {
                    bed.tick();
                }
                room
            });
            assert!(room, "the owner of the sending queue does not wake up");
            for _ in 0..PATIENCE {
                moved +=
                    from[0].poll_to(64, &mut ports, |frame, _| Action::Redirect(0, frame)).expect("polls");
                b.raise(vector);
                if moved == n + 1 {
                    break;
                }
                bed.tick();
            }
        }
        assert_eq!((moved, from[0].stats().lost), (COUNT, 0));
        assert!(left(bed).into_iter().eq(0..COUNT));
    });
    a.close();
    b.close();
}

/// A sending queue that several share: frames gather, and its lock is taken once a poll.
pub fn redirects_to_a_shared_queue<B: Bed>(bed: &B) {
    let (a, mut from) = open(bed, 0, Queues::combined(1));
    let (b, mut to) = open(bed, 1, Queues::combined(1));
    let own = a.address().0;
    let shared = Mutex::new(to.remove(0));
    let mut locks = 0;
    let mut outbox = Outbox::<_, _, 64>::new(|frames: &mut dyn Iterator<Item = Buffer<B>>| {
        let mut queue = shared.lock().expect("nobody panics");
        queue.clean().expect("cleans");
        for frame in frames {
            assert!(queue.tx.send(frame).is_ok(), "there is room");
        }
        queue.tx.flush();
        locks += 1;
    });
    let mut moved = 0;
    for first in (0..COUNT).step_by(30) {
        (first..first + 30).for_each(|n| assert!(bed.send(0, &frames::numbered(own, n, 120))));
        for _ in 0..PATIENCE {
            let mut ports = [&mut outbox];
            moved += from[0].poll_to(64, &mut ports, |frame, _| Action::Redirect(0, frame)).expect("polls");
            if moved == first + 30 {
                break;
            }
            bed.tick();
        }
    }
    drop(outbox);
    assert_eq!((moved, from[0].stats().lost), (COUNT, 0));
    assert!(locks <= COUNT, "{locks} locks for {COUNT} frames");
    assert!(left(bed).into_iter().eq(0..COUNT));
    a.close();
    b.close();
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The buffers of a bed.
type Buffer<B> = <<B as Bed>::Memory as igb::Memory>::Buf;
