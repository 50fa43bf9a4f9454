//! Where a received frame goes, and the ports that frames leave through.

use igb_ring::{Chunk, Refused, RxChain, RxMeta};

/// What a poll callback returns. It was given the buffer itself, so that keeping, sending and recycling are moves.
#[must_use]
#[derive(Debug)]
pub enum Action<C> {
    /// Back to the ring that it came from: the cheapest way to drop a frame.
    Recycle(C),
    /// Out of the same queue.
    Transmit(C),
    /// Out of a port, by number.
    Redirect(u32, C),
    /// The callback kept the buffer; the ring takes another from its memory.
    Kept,
}

/// What becomes of a frame over several buffers. It was lent to the callback, which may have taken buffers out of it.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainAction {
    /// It was dealt with. What is left goes back to the ring.
    Done,
    /// It was not wanted: it is counted as dropped, and goes back to the ring.
    Drop,
    /// Out of the same queue, as one frame.
    Transmit,
    /// Out of a port, by number, as one frame.
    Redirect(u32),
}

/// Who takes the frames of a poll. Closures take those in one buffer, which are all where no frame is larger than a buffer;
/// a type of its own takes the others too.
pub trait Frames<C: Chunk> {
    /// A frame in one buffer.
    fn frame(&mut self, frame: C, meta: RxMeta<'_>) -> Action<C>;
    /// A frame over several, where [`Config::chains`](crate::Config::chains) allows them.
    fn chain(&mut self, chain: &mut RxChain<'_, C>, meta: RxMeta<'_>) -> ChainAction {
        let _ = (chain, meta);
        ChainAction::Drop
    }
}

/// Frames in one buffer, to a closure.
pub(crate) struct Single<F>(pub(crate) F);

impl<C: Chunk, F: FnMut(C, RxMeta<'_>) -> Action<C>> Frames<C> for Single<F> {
    #[inline]
    fn frame(&mut self, frame: C, meta: RxMeta<'_>) -> Action<C> {
        (self.0)(frame, meta)
    }
}

/// Somewhere a frame can be sent.
///
/// There are three kinds of owners: the sending part of another queue in the same thread
/// ([`TxQueue`](crate::TxQueue)), a queue of buffers to another thread ([`rtrb::Producer`]), and an [`Outbox`] for a
/// sending part that several threads share.
pub trait Port<C> {
    /// Takes the frame, or gives it back when there is no room.
    fn push(&mut self, frame: C) -> Result<(), C>;
    /// Takes a frame over several buffers, all of it or nothing. A port that only takes single buffers refuses.
    ///
    /// # Errors
    /// Why it was not taken.
    fn push_chain(&mut self, chain: &mut RxChain<'_, C>) -> Result<(), Refused>
    where
        C: Chunk,
    {
        let _ = chain;
        Err(Refused::Unsendable)
    }
    /// Makes what was pushed leave. Called once per poll.
    fn flush(&mut self);
}

/// The ports that [`Action::Redirect`] names by number. `()` has none.
pub trait Ports<C> {
    /// Sends through one port, or gives the frame back.
    fn redirect(&mut self, port: u32, frame: C) -> Result<(), C>;
    /// The same with a frame over several buffers: see [`Port::push_chain`].
    ///
    /// # Errors
    /// Why it was not taken.
    fn redirect_chain(&mut self, port: u32, chain: &mut RxChain<'_, C>) -> Result<(), Refused>
    where
        C: Chunk,
    {
        let _ = (port, chain);
        Err(Refused::Unsendable)
    }
    /// Flushes every port.
    fn flush(&mut self);
}

impl<C> Ports<C> for () {
    #[inline(always)]
    fn redirect(&mut self, _: u32, frame: C) -> Result<(), C> {
        Err(frame)
    }
    #[inline(always)]
    fn flush(&mut self) {}
}

impl<C, T: Port<C>> Ports<C> for [T] {
    #[inline]
    fn redirect(&mut self, port: u32, frame: C) -> Result<(), C> {
        match self.get_mut(port as usize) {
            Some(port) => port.push(frame),
            None => Err(frame),
        }
    }
    fn redirect_chain(&mut self, port: u32, chain: &mut RxChain<'_, C>) -> Result<(), Refused>
    where
        C: Chunk,
    {
        self.get_mut(port as usize).map_or(Err(Refused::Unsendable), |port| port.push_chain(chain))
    }
    #[inline]
    fn flush(&mut self) {
        self.iter_mut().for_each(T::flush);
    }
}

impl<C, T: Port<C>, const N: usize> Ports<C> for [T; N] {
    #[inline]
    fn redirect(&mut self, port: u32, frame: C) -> Result<(), C> {
        self.as_mut_slice().redirect(port, frame)
    }
    fn redirect_chain(&mut self, port: u32, chain: &mut RxChain<'_, C>) -> Result<(), Refused>
    where
        C: Chunk,
    {
        self.as_mut_slice().redirect_chain(port, chain)
    }
    #[inline]
    fn flush(&mut self) {
        self.iter_mut().for_each(T::flush);
    }
}

impl<C, T: Port<C> + ?Sized> Port<C> for &mut T {
    #[inline]
    fn push(&mut self, frame: C) -> Result<(), C> {
        (**self).push(frame)
    }
    fn push_chain(&mut self, chain: &mut RxChain<'_, C>) -> Result<(), Refused>
    where
        C: Chunk,
    {
        (**self).push_chain(chain)
    }
    #[inline]
    fn flush(&mut self) {
        (**self).flush();
    }
}

/// A queue that another thread owns: that thread takes the buffers out and sends them in its own loop.
impl<C> Port<C> for rtrb::Producer<C> {
    #[inline]
    fn push(&mut self, frame: C) -> Result<(), C> {
        Self::push(self, frame).map_err(|rtrb::PushError::Full(frame)| frame)
    }
    #[inline]
    fn flush(&mut self) {}
}

/// A queue that several owners share: frames gather here, and once per poll a function takes its lock and drains them.
///
/// What the function leaves is dropped, and its buffers go home.
#[derive(Debug)]
pub struct Outbox<C, F, const N: usize> {
    frames: [Option<C>; N],
    count: usize,
    drain: F,
}

impl<C, F: FnMut(&mut dyn Iterator<Item = C>), const N: usize> Outbox<C, F, N> {
    /// An outbox of `N` frames that `drain` empties.
    pub fn new(drain: F) -> Self {
        Self { frames: [const { None }; N], count: 0, drain }
    }
}

impl<C, F: FnMut(&mut dyn Iterator<Item = C>), const N: usize> Port<C> for Outbox<C, F, N> {
    #[inline]
    fn push(&mut self, frame: C) -> Result<(), C> {
        let Some(slot) = self.frames.get_mut(self.count) else { return Err(frame) };
        *slot = Some(frame);
        self.count += 1;
        Ok(())
    }
    fn flush(&mut self) {
        let Some(gathered) = self.frames.get_mut(..self.count).filter(|gathered| !gathered.is_empty()) else {
            return;
        };
        (self.drain)(&mut gathered.iter_mut().filter_map(Option::take));
        gathered.fill_with(|| None);
        self.count = 0;
    }
}
