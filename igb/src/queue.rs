//! Queues: a receiving part, a sending part and a cleaning part, each an object with one owner and no lock; [`Queue`]
//! is all three in one hand.
//!
//! Sending and cleaning are two parts because hosts do them at the same time: Linux transmits on one CPU while another
//! takes finished frames home.

use crate::action::{Action, ChainAction, Frames, Port, Ports, Single};
use crate::shared::{Follow, Member, Shared};
use crate::{Error, Platform, Side, Wait};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use igb_hal::{RingAt, RxQueueConfig, TxQueueConfig};
use igb_regs::{Chip, RDT, Reg, TDT};
use igb_ring::{
    Chunk, Memory, Receive, Refused, RxChain, RxMeta, RxRing, RxStats, TxAbilities, TxCleaner, TxOffload,
    TxSender, tx,
};

/// The receiving part of a queue pair.
pub struct RxQueue<P: Platform, M: Memory> {
    ring: RxRing<M::Buf>,
    bell: Reg<P::Bus, RDT>,
    memory: M,
    done: u64,
    lost: u64,
    seat: Seat<P>,
}

/// The sending part of a queue pair.
pub struct TxQueue<P: Platform, C: Chunk> {
    sender: TxSender<C>,
    bell: Reg<P::Bus, TDT>,
    index: u16,
}

/// The part of a queue pair that takes finished frames home, and sees to it that sending goes on after a reset.
pub struct TxFinish<P: Platform, C: Chunk> {
    cleaner: TxCleaner<C>,
    seat: Seat<P>,
}

/// All of one queue pair: what most programs hold.
pub struct Queue<P: Platform, M: Memory> {
    /// The receiving part.
    pub rx: RxQueue<P, M>,
    /// The sending part.
    pub tx: TxQueue<P, M::Buf>,
    /// The part that takes finished frames home.
    pub finish: TxFinish<P, M::Buf>,
}

/// What a queue has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStats {
    /// Frames that were handed to the callback.
    pub received: u64,
    /// What was dropped in the receive ring.
    pub rx: RxStats,
    /// Frames that could not be sent or redirected: no room, no such port, or a buffer of a foreign domain.
    pub lost: u64,
    /// Frames that were handed to the hardware.
    pub sent: u64,
}

/// A queue's place among those that a reset waits for; it leaves when the queue is dropped.
struct Seat<P: Platform> {
    shared: Arc<Shared<P>>,
    index: u16,
    member: Member,
}

impl<P: Platform> Seat<P> {
    fn new(shared: &Arc<Shared<P>>, index: u16, side: Side) -> Self {
        Self { shared: shared.clone(), index, member: shared.join(index, side) }
    }

    #[inline(always)]
    fn moved(&self) -> bool {
        self.shared.phase() != self.member.seen
    }
}

impl<P: Platform> Drop for Seat<P> {
    fn drop(&mut self) {
        self.shared.leave(&self.member);
    }
}

impl<P: Platform, M: Memory> RxQueue<P, M> {
    fn new(shared: &Arc<Shared<P>>, index: u16, memory: M) -> Result<Self, Error> {
        let quarantine = &shared.quarantine;
        let ring = RxRing::with_quarantine(
            shared.platform.dma(),
            shared.queues.rx,
            memory.buffer_size(),
            quarantine,
        )?;
        let bell = shared.mac.rx_tail(index.into());
        let mut queue =
            Self { ring, bell, memory, done: 0, lost: 0, seat: Seat::new(shared, index, Side::Rx) };
        queue.start()?;
        Ok(queue)
    }

    /// Programs the hardware queue and posts buffers.
    fn start(&mut self) -> Result<(), Error> {
        let shared = &self.seat.shared;
        let (base, bytes) = self.ring.base();
        let mut config = RxQueueConfig::for_chip(shared.mac.chip());
        config.buffer_bytes = self.ring.buffer_size();
        config.drop_when_empty = shared.drop_when_empty;
        let ring = RingAt { base, bytes };
        shared.mac.start_rx_queue(self.seat.index.into(), ring, &config, &mut shared.platform.delay())?;
        self.refill();
        Ok(())
    }

    /// Hands at most `budget` received frames to `each` and acts on what it returns. One refill, and one doorbell for
    /// each ring that moved. Returns how many descriptors were done, broken frames included; fewer than the budget means
    /// that the ring is drained.
    ///
    /// While a reset waits or runs, nothing is received and the answer is 0.
    ///
    /// # Errors
    /// [`Error::DeviceGone`] and [`Error::Closed`], once the controller knows; what the restart after a reset says.
    #[inline]
    pub fn poll(
        &mut self,
        budget: u32,
        own: &mut impl Port<M::Buf>,
        ports: &mut (impl Ports<M::Buf> + ?Sized),
        each: impl FnMut(M::Buf, RxMeta<'_>) -> Action<M::Buf>,
    ) -> Result<u32, Error> {
        if self.seat.moved() && !self.follow()? {
            return Ok(0);
        }
        Ok(self.receive(budget, own, ports, &mut Single(each)))
    }

    /// [`poll`](Self::poll) for frames over several buffers too. Such a frame counts as one.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[inline]
    pub fn poll_frames(
        &mut self,
        budget: u32,
        own: &mut impl Port<M::Buf>,
        ports: &mut (impl Ports<M::Buf> + ?Sized),
        to: &mut impl Frames<M::Buf>,
    ) -> Result<u32, Error> {
        if self.seat.moved() && !self.follow()? {
            return Ok(0);
        }
        Ok(self.receive(budget, own, ports, to))
    }

    /// A poll, once it is known that the ring is ours.
    #[inline]
    fn receive(
        &mut self,
        budget: u32,
        own: &mut impl Port<M::Buf>,
        ports: &mut (impl Ports<M::Buf> + ?Sized),
        to: &mut impl Frames<M::Buf>,
    ) -> u32 {
        let (memory, lost) = (&mut self.memory, &mut self.lost);
        let frames =
            self.ring.poll_with(budget, &mut Turn { to, own: &mut *own, ports: &mut *ports, memory, lost });
        self.done += u64::from(frames);
        self.refill();
        own.flush();
        ports.flush();
        frames
    }

    /// Posts fresh buffers where there is room, and rings the doorbell if anything was posted.
    #[inline]
    pub fn refill(&mut self) {
        if self.ring.room() != 0 {
            self.ring.fill(|| self.memory.take());
        }
        self.ring.flush(|tail| self.bell.set(tail));
    }

    /// Where this queue's buffers come from.
    pub fn memory(&mut self) -> &mut M {
        &mut self.memory
    }

    /// The number of this queue.
    pub fn index(&self) -> u16 {
        self.seat.index
    }

    /// Frames that were handed to the callback.
    pub fn received(&self) -> u64 {
        self.done.saturating_sub(self.ring.stats().bad())
    }

    /// What was dropped in the ring.
    pub fn stats(&self) -> RxStats {
        self.ring.stats()
    }

    /// `false`: leave the ring alone.
    #[cold]
    fn follow(&mut self) -> Result<bool, Error> {
        let generation = self.seat.shared.generation();
        match self.seat.shared.follow(&mut self.seat.member)? {
            Follow::Rest => Ok(false),
            Follow::Run => Ok(true),
            Follow::Restart => {
                // The reset disabled the hardware queue; a restart that failed half-way left it enabled.
                let shared = &self.seat.shared;
                shared.mac.stop_rx_queue(self.seat.index.into(), &mut shared.platform.delay())?;
                self.ring.restart();
                self.start()?;
                self.seat.member.restarted(&self.seat.shared, generation);
                Ok(true)
            }
        }
    }

    /// Disables the hardware queue and takes every buffer home to the queue's memory.
    ///
    /// # Errors
    /// If the hardware queue does not say that it is disabled. Ring and buffers then wait in quarantine until the
    /// controller is closed.
    pub fn close(mut self) -> Result<(), Error> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), Error> {
        let shared = &self.seat.shared;
        if !shared.is_closed() {
            shared.mac.stop_rx_queue(self.seat.index.into(), &mut shared.platform.delay())?;
            self.ring.reclaim(|chunk| self.memory.give(chunk));
        }
        Ok(())
    }
}

/// One poll's frames on their way from the ring to where they go.
struct Turn<'a, T, O, P: ?Sized, M> {
    to: &'a mut T,
    own: &'a mut O,
    ports: &'a mut P,
    memory: &'a mut M,
    lost: &'a mut u64,
}

impl<M: Memory, T: Frames<M::Buf>, O: Port<M::Buf>, P: Ports<M::Buf> + ?Sized> Receive<M::Buf>
    for Turn<'_, T, O, P, M>
{
    #[inline]
    fn frame(&mut self, chunk: M::Buf, meta: RxMeta<'_>) -> Option<M::Buf> {
        let sent = match self.to.frame(chunk, meta) {
            Action::Recycle(chunk) => return Some(chunk),
            Action::Kept => return None,
            Action::Transmit(chunk) => self.own.push(chunk),
            Action::Redirect(port, chunk) => self.ports.redirect(port, chunk),
        };
        if let Err(chunk) = sent {
            refused(chunk, self.memory, self.lost);
        }
        None
    }

    fn chain(&mut self, chain: &mut RxChain<'_, M::Buf>, meta: RxMeta<'_>) -> bool {
        let sent = match self.to.chain(chain, meta) {
            ChainAction::Done => Ok(()),
            ChainAction::Drop => return false,
            ChainAction::Transmit => self.own.push_chain(chain),
            ChainAction::Redirect(port) => self.ports.redirect_chain(port, chain),
        };
        *self.lost += u64::from(sent.is_err());
        true
    }
}

/// A frame that no port took goes home. Out of line, so that the way of the others keeps its registers.
#[cold]
#[inline(never)]
fn refused<M: Memory>(chunk: M::Buf, memory: &mut M, lost: &mut u64) {
    *lost += 1;
    memory.give(chunk);
}

impl<P: Platform, C: Chunk> TxQueue<P, C> {
    /// Queues a frame. It leaves at the next [`flush`](Port::flush).
    ///
    /// # Errors
    /// The frame itself, if there is no room, if it is shorter than 17 or longer than 9,724 bytes, or if its memory is
    /// not of this device's domain.
    #[inline]
    pub fn send(&mut self, frame: C) -> Result<(), C> {
        self.sender.push(frame)
    }

    /// Queues a frame with work for the hardware: checksums, a VLAN tag, segmentation.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_with(&mut self, frame: C, offload: &TxOffload) -> Result<(), C> {
        self.sender.push_with(frame, offload)
    }

    /// Queues a frame in several buffers, in order. They are gone from `frame` afterwards, which keeps its allocation.
    ///
    /// # Errors
    /// Why not; `frame` is as it was.
    pub fn send_gather(&mut self, frame: &mut Vec<C>, offload: &TxOffload) -> Result<(), Refused> {
        self.sender.push_gather(frame, offload)
    }

    /// Queues a frame out of parts of one buffer, in order: `parts` are ranges of its data.
    ///
    /// # Errors
    /// As [`send_with`](Self::send_with).
    pub fn send_parts(
        &mut self,
        buffer: C,
        parts: &[core::ops::Range<u16>],
        offload: &TxOffload,
    ) -> Result<(), C> {
        self.sender.push_parts(buffer, parts, offload)
    }

    /// Sends a batch: at most `budget` frames of `next`, one doorbell. Returns how many.
    #[inline]
    pub fn send_batch(&mut self, budget: u32, next: impl FnMut() -> Option<C>) -> u32 {
        let count = self.sender.fill(budget, next);
        Port::flush(self);
        count
    }

    /// Descriptors that are free.
    pub fn room(&mut self) -> u32 {
        self.sender.room()
    }

    /// The number of this queue.
    pub fn index(&self) -> u16 {
        self.index
    }
}

impl<P: Platform, C: Chunk> TxFinish<P, C> {
    fn new(shared: &Arc<Shared<P>>, index: u16) -> Result<(TxQueue<P, C>, Self), Error> {
        let (mut sender, cleaner) =
            tx::ring_with_quarantine(shared.platform.dma(), shared.queues.tx, &shared.quarantine)?;
        let bell = shared.mac.tx_tail(index.into());
        if shared.mac.chip() == Chip::I82575 {
            sender.set_abilities(TxAbilities::of_82575(index));
        }
        let tx = TxQueue { sender, bell, index };
        let finish = Self { cleaner, seat: Seat::new(shared, index, Side::Tx) };
        finish.start(&tx)?;
        Ok((tx, finish))
    }

    fn start(&self, tx: &TxQueue<P, C>) -> Result<(), Error> {
        let shared = &self.seat.shared;
        let (base, bytes) = tx.sender.base();
        let ring = RingAt { base, bytes };
        let index = self.seat.index.into();
        let mut config = TxQueueConfig::for_chip(shared.mac.chip());
        // One descriptor of a batch asks for a report; a chip that gathers reports before it writes them would keep a
        // whole batch waiting.
        config.write_back = 1;
        shared.mac.start_tx_queue(index, ring, &config, &mut shared.platform.delay())?;
        Ok(())
    }

    /// Takes finished frames home, each to `give`, and after a reset lets sending begin again: frames that had not left
    /// come home too. `tx` is the sending part of the same queue. Returns how many frames finished.
    ///
    /// # Errors
    /// As [`RxQueue::poll`].
    #[inline]
    pub fn clean(&mut self, tx: &mut TxQueue<P, C>, mut give: impl FnMut(C)) -> Result<u32, Error> {
        if self.seat.moved() && !self.follow(tx, &mut give)? {
            return Ok(0);
        }
        Ok(self.cleaner.clean(give))
    }

    /// [`clean`](Self::clean) where the sending part is in other hands at this moment.
    ///
    /// # Errors
    /// [`Error::RestartNeeded`] after a reset: take the sending part and call [`clean`](Self::clean). Otherwise as
    /// [`RxQueue::poll`].
    #[inline]
    pub fn clean_alone(&mut self, give: impl FnMut(C)) -> Result<u32, Error> {
        if self.seat.moved() {
            match self.seat.shared.follow(&mut self.seat.member)? {
                Follow::Rest => return Ok(0),
                Follow::Run => {}
                Follow::Restart => return Err(Error::RestartNeeded),
            }
        }
        Ok(self.cleaner.clean(give))
    }

    /// Descriptors that the hardware has not finished.
    pub fn pending(&self) -> u32 {
        self.cleaner.pending()
    }

    /// The number of this queue.
    pub fn index(&self) -> u16 {
        self.seat.index
    }

    #[cold]
    fn follow(&mut self, tx: &mut TxQueue<P, C>, give: &mut impl FnMut(C)) -> Result<bool, Error> {
        let generation = self.seat.shared.generation();
        match self.seat.shared.follow(&mut self.seat.member)? {
            Follow::Rest => Ok(false),
            Follow::Run => Ok(true),
            Follow::Restart => {
                let shared = &self.seat.shared;
                shared.mac.stop_tx_queue(self.seat.index.into(), &mut shared.platform.delay())?;
                self.cleaner.reclaim(&mut tx.sender, give);
                self.start(tx)?;
                self.seat.member.restarted(&self.seat.shared, generation);
                Ok(true)
            }
        }
    }

    /// Disables the hardware queue and takes every frame home. Those that had not left are lost.
    ///
    /// # Errors
    /// If the hardware queue does not say that it is disabled; ring and frames then wait in quarantine.
    pub fn close(mut self, mut tx: TxQueue<P, C>, give: impl FnMut(C)) -> Result<(), Error> {
        self.stop(&mut tx, give)
    }

    fn stop(&mut self, tx: &mut TxQueue<P, C>, give: impl FnMut(C)) -> Result<(), Error> {
        let shared = &self.seat.shared;
        if !shared.is_closed() {
            shared.mac.stop_tx_queue(self.seat.index.into(), &mut shared.platform.delay())?;
            self.cleaner.reclaim(&mut tx.sender, give);
        }
        Ok(())
    }
}

/// A sending part is a port of the thread that owns it.
impl<P: Platform, C: Chunk> Port<C> for TxQueue<P, C> {
    #[inline]
    fn push(&mut self, frame: C) -> Result<(), C> {
        self.send(frame)
    }
    #[inline]
    fn push_chain(&mut self, chain: &mut RxChain<'_, C>) -> Result<(), Refused> {
        self.sender.push_chain(chain)
    }
    /// Rings the doorbell, if anything was queued. While a reset waits, what was queued stays and is lost with it.
    #[inline]
    fn flush(&mut self) {
        self.sender.flush(|tail| self.bell.set(tail));
    }
}

impl<P: Platform, M: Memory> Queue<P, M> {
    pub(crate) fn new(shared: &Arc<Shared<P>>, index: u16, memory: M) -> Result<Self, Error> {
        let (tx, finish) = TxFinish::new(shared, index)?;
        let rx = RxQueue::new(shared, index, memory)?;
        Ok(Self { rx, tx, finish })
    }

    /// The number of this queue.
    pub fn index(&self) -> u16 {
        self.rx.index()
    }

    /// Takes finished transmissions home, then hands at most `budget` received frames to `each` and acts on what it
    /// returns: one refill and at most one doorbell each way. Returns the number of frames; fewer than the budget means
    /// that the ring is drained.
    ///
    /// # Errors
    /// As [`RxQueue::poll`].
    #[inline]
    pub fn poll(
        &mut self,
        budget: u32,
        each: impl FnMut(M::Buf, RxMeta<'_>) -> Action<M::Buf>,
    ) -> Result<u32, Error> {
        self.poll_to(budget, &mut (), each)
    }

    /// [`poll`](Self::poll) with ports for [`Action::Redirect`].
    ///
    /// # Errors
    /// As [`RxQueue::poll`].
    #[inline]
    pub fn poll_to(
        &mut self,
        budget: u32,
        ports: &mut (impl Ports<M::Buf> + ?Sized),
        each: impl FnMut(M::Buf, RxMeta<'_>) -> Action<M::Buf>,
    ) -> Result<u32, Error> {
        self.poll_frames(budget, ports, &mut Single(each))
    }

    /// [`poll_to`](Self::poll_to) for frames over several buffers too, where [`Config::chains`](crate::Config::chains)
    /// allows them. Such a frame counts as one.
    ///
    /// # Errors
    /// As [`RxQueue::poll`].
    #[inline]
    pub fn poll_frames(
        &mut self,
        budget: u32,
        ports: &mut (impl Ports<M::Buf> + ?Sized),
        to: &mut impl Frames<M::Buf>,
    ) -> Result<u32, Error> {
        if self.moved() && !self.follow()? {
            return Ok(0);
        }
        let memory = &mut self.rx.memory;
        self.finish.cleaner.clean(|chunk| memory.give(chunk));
        Ok(self.rx.receive(budget, &mut self.tx, ports, to))
    }

    /// Takes finished transmissions home; what a queue that only sends calls instead of [`poll`](Self::poll).
    ///
    /// # Errors
    /// As [`RxQueue::poll`].
    #[inline]
    pub fn clean(&mut self) -> Result<u32, Error> {
        if self.moved() && !self.follow()? {
            return Ok(0);
        }
        let memory = &mut self.rx.memory;
        Ok(self.finish.cleaner.clean(|chunk| memory.give(chunk)))
    }

    /// One look at the phase for both sides.
    #[inline(always)]
    fn moved(&self) -> bool {
        let phase = self.rx.seat.shared.phase();
        phase != self.rx.seat.member.seen || phase != self.finish.seat.member.seen
    }

    /// Both sides follow, also in a queue that only sends. `false` while either rests.
    #[cold]
    fn follow(&mut self) -> Result<bool, Error> {
        let memory = &mut self.rx.memory;
        let sends = self.finish.follow(&mut self.tx, &mut |chunk| memory.give(chunk))?;
        let receives = self.rx.follow()?;
        Ok(sends && receives)
    }

    /// Sends a batch of at most `budget` frames with one doorbell, after taking finished ones home. Returns how many;
    /// none while a reset waits or runs.
    ///
    /// # Errors
    /// As [`RxQueue::poll`].
    #[inline]
    pub fn send_batch(
        &mut self,
        budget: u32,
        mut next: impl FnMut(&mut M) -> Option<M::Buf>,
    ) -> Result<u32, Error> {
        if self.moved() && !self.follow()? {
            return Ok(0);
        }
        let memory = &mut self.rx.memory;
        self.finish.cleaner.clean(|chunk| memory.give(chunk));
        Ok(self.tx.send_batch(budget, || next(memory)))
    }

    /// [`send_batch`](Self::send_batch) of frames with work for the hardware. A frame that the hardware cannot send, or whose
    /// work it cannot do, is lost and counted.
    ///
    /// # Errors
    /// As [`RxQueue::poll`].
    #[inline]
    pub fn send_batch_with(
        &mut self,
        budget: u32,
        mut next: impl FnMut(&mut M) -> Option<(M::Buf, TxOffload)>,
    ) -> Result<u32, Error> {
        if self.moved() && !self.follow()? {
            return Ok(0);
        }
        let memory = &mut self.rx.memory;
        self.finish.cleaner.clean(|chunk| memory.give(chunk));
        let mut count = 0;
        // A frame takes at most two descriptors: its context and itself.
        for _ in 0..budget.min(self.tx.sender.room() / 2) {
            let Some((frame, offload)) = next(memory) else { break };
            match self.tx.send_with(frame, &offload) {
                Ok(()) => count += 1,
                Err(frame) => {
                    self.rx.lost += 1;
                    memory.give(frame);
                }
            }
        }
        Port::flush(&mut self.tx);
        Ok(count)
    }

    /// The parts, for several owners.
    #[allow(clippy::type_complexity, reason = "three parts")]
    pub fn split(self) -> (RxQueue<P, M>, TxQueue<P, M::Buf>, TxFinish<P, M::Buf>) {
        (self.rx, self.tx, self.finish)
    }

    /// The vector that this queue raises.
    pub fn vector(&self) -> u16 {
        let seat = &self.rx.seat;
        seat.shared.routing.vector_of_queue(seat.index)
    }

    /// This queue's interrupt, for whoever takes it first: queues that share a vector share one.
    pub fn take_irq(&self) -> Option<P::Irq> {
        self.rx.seat.shared.platform.take_irq(self.vector())
    }

    /// Unmasks this queue's vector: the end of a poll that drained the ring. What came while it was masked raises it at
    /// once.
    pub fn arm(&self) {
        let shared = &self.rx.seat.shared;
        if shared.kind.is_some() {
            shared.mac.enable_vector(&shared.routing, self.vector());
        }
    }

    /// One turn of NAPI: polls; when the ring is drained, unmasks, sleeps for at most `limit` and polls again.
    ///
    /// # Errors
    /// As [`RxQueue::poll`].
    pub fn poll_or_wait(
        &mut self,
        irq: &mut P::Irq,
        limit: Duration,
        budget: u32,
        mut each: impl FnMut(M::Buf, RxMeta<'_>) -> Action<M::Buf>,
    ) -> Result<u32, Error>
    where
        P::Irq: Wait,
    {
        let frames = self.poll(budget, &mut each)?;
        if frames > 0 {
            return Ok(frames);
        }
        self.arm();
        irq.wait(limit);
        self.rx.seat.shared.acknowledge(self.index())?;
        self.poll(budget, each)
    }

    /// What this queue counted.
    pub fn stats(&self) -> QueueStats {
        QueueStats {
            received: self.rx.received(),
            rx: self.rx.stats(),
            lost: self.rx.lost,
            sent: self.tx.sender.frames(),
        }
    }

    /// Disables both hardware queues and takes every buffer home.
    ///
    /// # Errors
    /// If a hardware queue does not say that it is disabled; its ring and buffers then wait in quarantine until the
    /// controller is closed.
    pub fn close(mut self) -> Result<(), Error> {
        let Self { rx, tx, finish } = &mut self;
        let sent = finish.stop(tx, |chunk| rx.memory.give(chunk));
        rx.stop().and(sent)
    }
}

impl<P: Platform, M: Memory> core::fmt::Debug for Queue<P, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Queue")
            .field("index", &self.index())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl<P: Platform, M: Memory> core::fmt::Debug for RxQueue<P, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RxQueue")
            .field("index", &self.seat.index)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl<P: Platform, C: Chunk> core::fmt::Debug for TxQueue<P, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TxQueue")
            .field("index", &self.index)
            .field("sent", &self.sender.frames())
            .finish_non_exhaustive()
    }
}

impl<P: Platform, C: Chunk> core::fmt::Debug for TxFinish<P, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TxFinish")
            .field("index", &self.index())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
