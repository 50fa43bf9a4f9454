//! Merging: segments of one flow, received one after the other, become one large frame.
//!
//! Only what [`Split`](crate::Split) would cut back into the same bytes is merged. So a segment joins the one before it
//! if it continues it without a gap, is not longer, and its headers differ in nothing but length, identification,
//! sequence number, checksum and, in the last one, PSH and FIN.

use crate::flow::{Ip, Layout, Transport, be16, be32, finish_v4, flag, put16};
use crate::virtio::{Segmentation, SegmentationKind, VnetHeader};
use core::array;

/// Whether somebody verified a frame's checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The device did, and found both layers right.
    ByDevice,
    /// Nobody did: they are computed before the frame is merged.
    Not,
}

/// What was merged so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Frames that came in.
    pub frames: u64,
    /// Packets that went out.
    pub packets: u64,
    /// Frames that went out as part of a larger packet.
    pub merged: u64,
    /// Packets of more than one frame.
    pub large: u64,
}

/// Merges flows: at most `FLOWS` at a time, at most `SEGMENTS` frames each.
///
/// Frames of one flow leave in the order in which they came. Nothing is copied: a merged packet is its frames, the first
/// one's headers rewritten, ready for a gathering write. Call [`flush`](Self::flush) at the end of each poll, so that
/// nothing waits for a frame that may never come.
pub struct Gro<F, const FLOWS: usize = 8, const SEGMENTS: usize = 46> {
    slots: [Slot<F, SEGMENTS>; FLOWS],
    udp: bool,
    clock: u32,
    stats: Stats,
}

struct Slot<F, const SEGMENTS: usize> {
    /// Empty: the slot is free.
    frames: heapless::Vec<F, SEGMENTS>,
    /// The payload of each frame.
    payloads: heapless::Vec<(u16, u16), SEGMENTS>,
    first: Layout,
    hash: u32,
    /// When its first frame came: the lowest is the oldest.
    since: u32,
    /// Payload bytes, all of them.
    bytes: usize,
    size: u16,
    /// Identifications stay the same or count up: known from the second frame on.
    same_id: bool,
    checked: Checked,
}

/// What comes out: one frame as it was, or several that are one packet.
pub struct Packet<'a, F, const SEGMENTS: usize> {
    slot: &'a mut Slot<F, SEGMENTS>,
}

impl<F, const FLOWS: usize, const SEGMENTS: usize> core::fmt::Debug for Gro<F, FLOWS, SEGMENTS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let held: usize = self.slots.iter().map(|slot| slot.frames.len()).sum();
        f.debug_struct("Gro").field("held", &held).field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl<F, const SEGMENTS: usize> core::fmt::Debug for Packet<'_, F, SEGMENTS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Packet").field("frames", &self.slot.frames.len()).finish_non_exhaustive()
    }
}

impl<F: AsRef<[u8]> + AsMut<[u8]>, const FLOWS: usize, const SEGMENTS: usize> Default
    for Gro<F, FLOWS, SEGMENTS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<F: AsRef<[u8]> + AsMut<[u8]>, const FLOWS: usize, const SEGMENTS: usize> Gro<F, FLOWS, SEGMENTS> {
    /// Merges TCP.
    pub fn new() -> Self {
        const { assert!(FLOWS > 0 && SEGMENTS > 1) };
        Self { slots: array::from_fn(|_| Slot::new()), udp: false, clock: 0, stats: Stats::default() }
    }

    /// Merges UDP datagrams of one flow and size too. Receivers that cannot take them large need them split again.
    pub fn with_udp(mut self) -> Self {
        self.udp = true;
        self
    }

    /// What was merged so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Takes one received frame. Packets that are complete by it, and the frame itself if it is nothing to merge, go to
    /// `out` at once.
    pub fn push(&mut self, frame: F, checked: Checked, mut out: impl FnMut(Packet<'_, F, SEGMENTS>)) {
        self.stats.frames += 1;
        let bytes = frame.as_ref();
        let Some(layout) = Layout::plain(bytes) else {
            // A fragment or a packet with options may belong to any flow here: those before it go first.
            if crate::flow::network(bytes).is_some() {
                self.flush(&mut out);
            }
            return self.alone(frame, None, checked, &mut out);
        };
        let hash = layout.hash(bytes);
        let held = self.slots.iter().position(|slot| slot.holds(&layout, hash, bytes));
        let mergeable =
            layout.mergeable(bytes, self.udp) && (checked == Checked::ByDevice || layout.verify(bytes));
        let Some(index) = held else {
            if mergeable && !layout.ends(bytes) {
                self.start(frame, layout, hash, checked, &mut out);
            } else {
                self.alone(frame, Some(layout), checked, &mut out);
            }
            return;
        };
        let Some(slot) = self.slots.get_mut(index) else { return };
        if mergeable && slot.continues(&layout, bytes) {
            let ends = layout.ends(bytes) || layout.len() < usize::from(slot.size);
            match slot.join(frame, layout) {
                Ok(full) if !full && !ends => {}
                Ok(_) => Self::emit(slot, &mut self.stats, &mut out),
                Err(frame) => {
                    Self::emit(slot, &mut self.stats, &mut out);
                    self.alone(frame, Some(layout), checked, &mut out);
                }
            }
            return;
        }
        Self::emit(slot, &mut self.stats, &mut out);
        if mergeable && !layout.ends(bytes) {
            self.start(frame, layout, hash, checked, &mut out);
        } else {
            self.alone(frame, Some(layout), checked, &mut out);
        }
    }

    /// Lets everything go that is held, the oldest flow first.
    pub fn flush(&mut self, mut out: impl FnMut(Packet<'_, F, SEGMENTS>)) {
        while let Some(slot) = Self::oldest(&mut self.slots) {
            Self::emit(slot, &mut self.stats, &mut out);
        }
    }

    fn oldest(slots: &mut [Slot<F, SEGMENTS>]) -> Option<&mut Slot<F, SEGMENTS>> {
        slots.iter_mut().filter(|slot| !slot.frames.is_empty()).min_by_key(|slot| slot.since)
    }

    /// Holds a frame that others may follow.
    fn start(
        &mut self,
        frame: F,
        layout: Layout,
        hash: u32,
        checked: Checked,
        out: &mut impl FnMut(Packet<'_, F, SEGMENTS>),
    ) {
        if self.slots.iter().all(|slot| !slot.frames.is_empty())
            && let Some(slot) = Self::oldest(&mut self.slots)
        {
            Self::emit(slot, &mut self.stats, out);
        }
        let clock = self.clock;
        self.clock = self.clock.wrapping_add(1);
        if clock == u32::MAX {
            // Ages start anew: what is held goes first.
            self.flush(&mut *out);
        }
        let free = self.slots.iter_mut().find(|slot| slot.frames.is_empty());
        if let Some(slot) = free {
            slot.set(frame, Some(layout), checked);
            (slot.hash, slot.since) = (hash, clock);
        }
    }

    /// Passes one frame on as it is.
    fn alone(
        &mut self,
        frame: F,
        layout: Option<Layout>,
        checked: Checked,
        out: &mut impl FnMut(Packet<'_, F, SEGMENTS>),
    ) {
        let mut slot = Slot::new();
        slot.set(frame, layout, checked);
        Self::emit(&mut slot, &mut self.stats, out);
    }

    fn emit(slot: &mut Slot<F, SEGMENTS>, stats: &mut Stats, out: &mut impl FnMut(Packet<'_, F, SEGMENTS>)) {
        stats.packets += 1;
        let count = slot.frames.len() as u64;
        if count > 1 {
            stats.merged += count;
            stats.large += 1;
            slot.rewrite();
        }
        out(Packet { slot });
        slot.frames.clear();
        slot.payloads.clear();
    }
}

impl<F: AsRef<[u8]> + AsMut<[u8]>, const SEGMENTS: usize> Packet<'_, F, SEGMENTS> {
    /// What a reader is told of it: segmentation and unfinished checksum of a merged packet, or that the checksum of a
    /// single frame was verified.
    pub fn header(&self) -> VnetHeader {
        let slot = &*self.slot;
        if slot.frames.len() < 2 {
            let flags = if slot.checked == Checked::ByDevice { VnetHeader::CHECKSUM_VALID } else { 0 };
            return VnetHeader { flags, ..VnetHeader::default() };
        }
        let Layout { transport, l4, payload, .. } = slot.first;
        VnetHeader {
            flags: VnetHeader::NEEDS_CHECKSUM,
            gso_type: slot.kind().into(),
            hdr_len: payload as u16,
            gso_size: slot.size,
            csum_start: l4 as u16,
            csum_offset: transport.checksum_at() as u16,
        }
    }

    /// How [`Split`](crate::Split) cuts it back into the frames that it was; `None` for a single frame.
    pub fn segments(&self) -> Option<Segmentation> {
        let slot = &*self.slot;
        (slot.frames.len() > 1).then(|| Segmentation {
            kind: slot.kind(),
            size: slot.size,
            same_id: slot.same_id,
        })
    }

    /// Frames that it is made of.
    pub fn frames(&self) -> usize {
        self.slot.frames.len()
    }

    /// Its bytes in pieces, in order: the first frame, then the payload of each other one.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let single = self.slot.frames.len() == 1;
        self.slot.frames.iter().zip(&self.slot.payloads).enumerate().map(move |(at, (frame, range))| {
            let bytes = frame.as_ref();
            let (from, to) = (usize::from(range.0), usize::from(range.1));
            match at {
                0 if single => bytes,
                0 => bytes.get(..to).unwrap_or_default(),
                _ => bytes.get(from..to).unwrap_or_default(),
            }
        })
    }

    /// Gives the frames back, in order. Those that nobody takes are dropped.
    pub fn drain(&mut self, mut give: impl FnMut(F)) {
        self.slot.payloads.clear();
        for frame in core::mem::take(&mut self.slot.frames) {
            give(frame);
        }
    }
}

impl<F, const SEGMENTS: usize> Slot<F, SEGMENTS> {
    fn new() -> Self {
        let nowhere = Layout { ip: Ip::V4, transport: Transport::Tcp, l3: 0, l4: 0, payload: 0, end: 0 };
        Self {
            frames: heapless::Vec::new(),
            payloads: heapless::Vec::new(),
            first: nowhere,
            hash: 0,
            since: 0,
            bytes: 0,
            size: 0,
            same_id: false,
            checked: Checked::Not,
        }
    }
}

impl<F: AsRef<[u8]> + AsMut<[u8]>, const SEGMENTS: usize> Slot<F, SEGMENTS> {
    /// Puts the first frame into a free slot.
    fn set(&mut self, frame: F, layout: Option<Layout>, checked: Checked) {
        let end = frame.as_ref().len();
        let first = layout.unwrap_or(Layout { payload: 0, end, ..Self::new().first });
        self.first = first;
        self.bytes = first.len();
        // Longer than 64 KiB is no Ethernet frame; it passes alone and whole.
        self.size = u16::try_from(first.len()).unwrap_or(0);
        self.same_id = false;
        self.checked = checked;
        let range = (first.payload as u16, first.end as u16);
        let _ = (self.frames.push(frame), self.payloads.push(range));
    }

    /// Whether this slot holds the flow that `frame` belongs to.
    fn holds(&self, layout: &Layout, hash: u32, frame: &[u8]) -> bool {
        let Some(first) = self.frames.first() else { return false };
        let (a, b, first) = (&self.first, layout, first.as_ref());
        self.hash == hash
            && (a.ip, a.transport, a.l3) == (b.ip, b.transport, b.l3)
            && first.get(..a.l3) == frame.get(..b.l3)
            && a.addresses(first) == b.addresses(frame)
            && first.get(a.l4..a.l4 + 4) == frame.get(b.l4..b.l4 + 4)
    }

    /// Whether `frame`, of the same flow, goes on where the slot's last one ended, with the same headers.
    fn continues(&self, layout: &Layout, frame: &[u8]) -> bool {
        let Some(first) = self.frames.first().map(AsRef::as_ref) else { return false };
        let (a, b) = (&self.first, layout);
        let same =
            |from: usize, to: usize| first.get(a.l3 + from..a.l3 + to) == frame.get(b.l3 + from..b.l3 + to);
        let fits = layout.len() <= usize::from(self.size)
            && a.end - a.l3 + self.bytes - a.len() + b.len() <= crate::IP_MAX
            && (a.payload - a.l4) == (b.payload - b.l4);
        let network = match a.ip {
            // Version and service, then flags, time to live, protocol, addresses; identification has rules of its own.
            Ip::V4 => same(0, 2) && same(6, 10) && same(12, 20) && self.identification(first, b, frame),
            // Version, class and flow label, then next header, hop limit, addresses.
            Ip::V6 => same(0, 4) && same(6, 40),
        };
        fits && network
            && match a.transport {
                Transport::Udp => true,
                Transport::Tcp => self.tcp_continues(first, layout, frame),
            }
    }

    fn identification(&self, first: &[u8], layout: &Layout, frame: &[u8]) -> bool {
        let (Some(one), Some(this)) = (be16(first, self.first.l3 + 4), be16(frame, layout.l3 + 4)) else {
            return false;
        };
        // Only a packet that must not be fragmented may bear the same one as another: RFC 6864.
        let unfragmented = be16(frame, layout.l3 + 6).is_some_and(|word| word & 0x4000 != 0);
        let counts = this == one.wrapping_add(self.frames.len() as u16);
        let same = this == one && unfragmented;
        match self.frames.len() {
            1 => counts || same,
            _ if self.same_id => same,
            _ => counts,
        }
    }

    fn tcp_continues(&self, first: &[u8], layout: &Layout, frame: &[u8]) -> bool {
        const MAY_DIFFER: u8 = flag::PSH | flag::FIN;
        let (a, b) = (self.first.l4, layout.l4);
        let same = |from: usize, to: usize| first.get(a + from..a + to) == frame.get(b + from..b + to);
        let expected = be32(first, a + 4).map(|sequence| sequence.wrapping_add(self.bytes as u32));
        let flags = |bytes: &[u8], at: usize| bytes.get(at + 13).map_or(0, |flags| flags & !MAY_DIFFER);
        expected == be32(frame, b + 4)
            && same(8, 13)
            && flags(first, a) == flags(frame, b)
            // The window, the urgent pointer, the options.
            && same(14, 16)
            && same(18, layout.payload - b)
    }

    /// Appends a frame that [`continues`](Self::continues). Says whether the slot is full now.
    fn join(&mut self, frame: F, layout: Layout) -> Result<bool, F> {
        if self.frames.len() == 1
            && self.first.ip == Ip::V4
            && let Some(first) = self.frames.first().map(AsRef::as_ref)
        {
            self.same_id = be16(first, self.first.l3 + 4) == be16(frame.as_ref(), layout.l3 + 4);
        }
        self.frames.push(frame)?;
        let _ = self.payloads.push((layout.payload as u16, layout.end as u16));
        self.bytes += layout.len();
        Ok(self.frames.is_full())
    }

    fn kind(&self) -> SegmentationKind {
        match (self.first.transport, self.first.ip) {
            (Transport::Udp, _) => SegmentationKind::Udp,
            (Transport::Tcp, Ip::V4) => SegmentationKind::Tcp4,
            (Transport::Tcp, Ip::V6) => SegmentationKind::Tcp6,
        }
    }

    /// Makes the first frame's headers those of the whole packet.
    fn rewrite(&mut self) {
        let last = self.frames.last().map_or(0, |frame| {
            // All headers of a packet have one length, so the flags of the last frame are where those of the first are.
            frame.as_ref().get(self.first.l4 + 13).copied().unwrap_or(0)
        });
        let (layout, bytes) = (self.first, self.bytes);
        let Some(first) = self.frames.first_mut().map(AsMut::as_mut) else { return };
        let segment = layout.payload - layout.l4 + bytes;
        match layout.ip {
            Ip::V4 => {
                put16(first, layout.l3 + 2, (20 + segment) as u16);
                finish_v4(first, layout.l3, 20);
            }
            Ip::V6 => put16(first, layout.l3 + 4, segment as u16),
        }
        match layout.transport {
            Transport::Udp => put16(first, layout.l4 + 4, segment as u16),
            Transport::Tcp => {
                if let Some(flags) = first.get_mut(layout.l4 + 13) {
                    *flags |= last & (flag::PSH | flag::FIN);
                }
            }
        }
        let seed = layout.pseudo(first, segment).fold();
        put16(first, layout.l4 + layout.transport.checksum_at(), seed);
    }
}

impl Layout {
    /// Bytes of payload.
    fn len(&self) -> usize {
        self.end - self.payload
    }

    fn addresses<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        match self.ip {
            Ip::V4 => frame.get(self.l3 + 12..self.l3 + 20),
            Ip::V6 => frame.get(self.l3 + 8..self.l3 + 40),
        }
    }

    /// Tells most flows apart with one comparison.
    fn hash(&self, frame: &[u8]) -> u32 {
        let address = self.addresses(frame).and_then(|bytes| bytes.last_chunk()).copied().unwrap_or_default();
        be32(frame, self.l4).unwrap_or(0) ^ u32::from_le_bytes(address)
    }

    /// Whether a frame may be part of a larger packet: it has payload, and nothing that concerns one segment alone.
    fn mergeable(&self, frame: &[u8], udp: bool) -> bool {
        if self.len() == 0 || self.end > usize::from(u16::MAX) {
            return false;
        }
        match self.transport {
            Transport::Tcp => {
                const NONE_OF: u8 = flag::SYN | flag::RST | flag::URG | flag::CWR;
                frame.get(self.l4 + 13).is_some_and(|flags| flags & flag::ACK != 0 && flags & NONE_OF == 0)
            }
            Transport::Udp => {
                let length = be16(frame, self.l4 + 4).map(usize::from);
                let sum = be16(frame, self.l4 + 6);
                udp && length == Some(self.end - self.l4) && sum != Some(0)
            }
        }
    }

    /// Whether nothing may follow it in one packet.
    fn ends(&self, frame: &[u8]) -> bool {
        self.transport == Transport::Tcp
            && frame.get(self.l4 + 13).is_some_and(|flags| flags & (flag::PSH | flag::FIN) != 0)
    }
}
