//! What the device is asked to do to a frame that it sends, as the words of a context and a data descriptor.

use crate::descriptors::{TxContext, TxData, TxHeaders};

/// Longest frame that the device sends, its CRC not counted (hardware limit 9,728 bytes).
pub(crate) const FRAME_MAX: u16 = 9724;
/// Shortest frame that the device takes; it pads to 60 by itself where TCTL.PSP is set.
pub(crate) const FRAME_MIN: u16 = 17;
/// Longest data of one descriptor as drivers of this family use it.
pub(crate) const PIECE_MAX: u32 = 32 * 1024;
/// Longest frame that is handed over for segmentation: an IP packet's 64 KiB behind the longest MAC header.
const SEGMENTED_MAX: u32 = 0xffff + 127;

/// Version of the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ip {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Transport whose checksum is inserted. The frame's field holds the pseudo header's sum (for SCTP: zero).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum L4 {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// SCTP: the CRC (82576 and later).
    Sctp,
}

/// When to send (I210, in its launch-time mode): 25 bits, units of 32 ns, within the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Launch(pub u32);

/// What the device does to a frame before it sends it. The default asks for nothing.
///
/// ```
/// use igb_ring::{Ip, L4, TxOffload};
/// let checksums = TxOffload { ip: Some(Ip::V4), ip_len: 20, ip_checksum: true, l4: Some(L4::Tcp), ..Default::default() };
/// let tagged = TxOffload { vlan: Some(42), ..Default::default() };
/// let segments = TxOffload { l4_len: 20, mss: 1460, ..checksums };
/// # let _ = (tagged, segments);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TxOffload {
    /// Inserts this tag (priority, drop-eligible bit, VLAN) behind the two addresses. The device does so only while it
    /// also takes tags out of received frames (CTRL.VME).
    pub vlan: Option<u16>,
    /// Bytes before the IP header, up to 127; 14 without tags in the frame.
    pub mac_len: u8,
    /// The IP header's version. `None` for anything else.
    pub ip: Option<Ip>,
    /// Bytes of the IP header with options or extensions, up to 511.
    pub ip_len: u16,
    /// Inserts the IPv4 header checksum.
    pub ip_checksum: bool,
    /// Inserts this transport's checksum.
    pub l4: Option<L4>,
    /// Bytes of the transport header; needed for segmentation.
    pub l4_len: u8,
    /// Segmentation: bytes of each segment behind the headers. 0 for none. TCP, and UDP from 82576 on.
    pub mss: u16,
    /// Takes the time of sending into the time stamp registers (82576 and later).
    pub timestamp: bool,
    /// When to send.
    pub launch: Option<Launch>,
    /// The frame has its FCS already: the device adds none, and can neither pad nor change it.
    pub no_fcs: bool,
}

impl Default for TxOffload {
    fn default() -> Self {
        Self {
            vlan: None,
            mac_len: 14,
            ip: None,
            ip_len: 0,
            ip_checksum: false,
            l4: None,
            l4_len: 0,
            mss: 0,
            timestamp: false,
            launch: None,
            no_fcs: false,
        }
    }
}

impl TxOffload {
    /// Whether it needs a context descriptor before the data.
    #[inline]
    pub fn needs_context(&self) -> bool {
        self.vlan.is_some() || self.ip_checksum || self.l4.is_some() || self.mss != 0 || self.launch.is_some()
    }

    /// The context descriptor's two words, for context `index`.
    ///
    /// `None` if a header does not fit its field, or a checksum or segmentation is asked for headers that are not there.
    #[inline]
    pub fn context(&self, index: u8) -> Option<(TxHeaders, TxContext)> {
        let launch = self.launch.map_or(0, |launch| launch.0);
        let transport = self.l4.is_some() || self.mss != 0;
        let known = self.ip.is_some() && self.ip_len != 0;
        let segments = self.mss == 0 || self.l4_len != 0 && matches!(self.l4, Some(L4::Tcp | L4::Udp));
        if index > 7 || self.mac_len > 127 || self.ip_len > 511 || launch >= 1 << 25 || !segments {
            return None;
        }
        if transport && !known || self.ip_checksum && (self.ip != Some(Ip::V4) || self.ip_len == 0) {
            return None;
        }
        let headers = TxHeaders::new()
            .with_iplen(self.ip_len)
            .with_maclen(self.mac_len)
            .with_vlan(self.vlan.unwrap_or(0))
            .with_launch_time(launch);
        let l4t = match self.l4 {
            Some(L4::Tcp) => TxContext::L4T_TCP,
            Some(L4::Sctp) => TxContext::L4T_SCTP,
            Some(L4::Udp) | None => TxContext::L4T_UDP,
        };
        let context = TxContext::new()
            .with_ipv4(self.ip == Some(Ip::V4))
            .with_l4t(l4t)
            .with_dtyp(TxContext::DTYP_CONTEXT)
            .with_dext(true)
            .with_idx(index)
            .with_l4len(self.l4_len)
            .with_mss(self.mss);
        Some((headers, context))
    }

    /// The first data descriptor's upper word for a frame of `len` bytes, but for what is the piece's: DTALEN and EOP.
    ///
    /// `None` if the device cannot send that: shorter than 17 bytes, longer than 9,724 (with segmentation: than an IP
    /// packet of 64 KiB), or shorter than its headers.
    #[inline]
    pub fn data(&self, len: u32, index: u8) -> Option<TxData> {
        // The device pads and changes only what it seals itself.
        if self.no_fcs && (self.needs_context() || len < 60) {
            return None;
        }
        let max = if self.mss == 0 { u32::from(FRAME_MAX) } else { SEGMENTED_MAX };
        if !(u32::from(FRAME_MIN)..=max).contains(&len) || index > 7 {
            return None;
        }
        let headers = u32::from(self.mac_len) + u32::from(self.ip_len) + u32::from(self.l4_len);
        let payload = if self.mss == 0 { len } else { len.checked_sub(headers).filter(|&n| n != 0)? };
        let segments = self.mss != 0;
        let word = PLAIN
            .with_eop(false)
            .with_ifcs(!self.no_fcs)
            .with_tstamp(self.timestamp)
            .with_vle(self.vlan.is_some())
            .with_tse(segments)
            .with_idx(if self.needs_context() { index } else { 0 })
            .with_ixsm(self.ip_checksum || segments && self.ip == Some(Ip::V4))
            .with_txsm(self.l4.is_some())
            .with_paylen(payload);
        Some(word)
    }
}

/// What one transmit queue can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxAbilities {
    /// The first context of the device that is this queue's.
    pub first_context: u8,
    /// How many are, 1 or 2.
    pub contexts: u8,
    /// SCTP checksums, and segmentation of UDP: all but the 82575.
    pub sctp_and_udp_segments: bool,
}

impl Default for TxAbilities {
    /// Of all chips but the 82575.
    fn default() -> Self {
        Self { first_context: 0, contexts: 2, sctp_and_udp_segments: true }
    }
}

impl TxAbilities {
    /// Of the 82575, where two queues share the contexts and each uses the one of its own number.
    pub const fn of_82575(queue: u16) -> Self {
        Self { first_context: (queue & 7) as u8, contexts: 1, sctp_and_udp_segments: false }
    }
}

/// How a frame is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The context descriptor that goes before it.
    pub(crate) context: Option<[u64; 2]>,
    /// See [`TxOffload::data`].
    pub(crate) data: u64,
    place: usize,
}

/// The contexts that the device has of this queue: one that it has already is not written again.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    abilities: TxAbilities,
    known: [Option<[u64; 2]>; 2],
    oldest: usize,
}

impl Contexts {
    pub(crate) fn new(abilities: TxAbilities) -> Self {
        let contexts = abilities.contexts.clamp(1, 2);
        Self { abilities: TxAbilities { contexts, ..abilities }, ..Self::default() }
    }

    /// How a frame of `len` bytes goes. `None` if it cannot.
    #[inline]
    pub(crate) fn plan(&self, offload: &TxOffload, len: u32) -> Option<Plan> {
        let TxAbilities { first_context, contexts, sctp_and_udp_segments } = self.abilities;
        let beyond = offload.l4 == Some(L4::Sctp) || offload.l4 == Some(L4::Udp) && offload.mss != 0;
        if beyond && !sctp_and_udp_segments {
            return None;
        }
        if !offload.needs_context() {
            return Some(Plan { context: None, data: offload.data(len, 0)?.into_bits(), place: 0 });
        }
        // Kept and compared without their number.
        let (headers, context) = offload.context(0)?;
        let words = [headers.into_bits(), context.into_bits()];
        let has = self.known.iter().take(contexts.into()).position(|known| *known == Some(words));
        let place = has.unwrap_or(self.oldest);
        let number = first_context + place as u8;
        let numbered = [words[0], context.with_idx(number).into_bits()];
        let data = offload.data(len, number)?.into_bits();
        Some(Plan { context: has.is_none().then_some(numbered), data, place })
    }

    /// The plan's context was written.
    #[inline]
    pub(crate) fn remember(&mut self, plan: &Plan) {
        let Some([headers, context]) = plan.context else { return };
        let words = [headers, TxContext::from_bits(context).with_idx(0).into_bits()];
        // A time to send is one frame's.
        let lasts = TxHeaders::from_bits(words[0]).launch_time() == 0;
        self.known[plan.place] = lasts.then_some(words);
        self.oldest = (plan.place + 1) % usize::from(self.abilities.contexts.max(1));
    }

    /// The device lost them, or never got them.
    pub(crate) fn forget(&mut self) {
        (self.known, self.oldest) = ([None; 2], 0);
    }
}

/// What a frame's later descriptors say as its first does: what it is, and what is done to all of it.
pub(crate) const REST: u64 =
    TxData::new().with_dtyp(0xf).with_ifcs(true).with_dext(true).with_vle(true).with_tse(true).into_bits();

/// A data descriptor's command for a whole frame: what every frame asks for.
pub(crate) const PLAIN: TxData =
    TxData::new().with_dtyp(TxData::DTYP_DATA).with_eop(true).with_ifcs(true).with_dext(true);
