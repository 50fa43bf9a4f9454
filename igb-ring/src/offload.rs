//! What the device is asked to do to a frame that it sends, as the words of a context and a data descriptor.

use crate::descriptors::{TxContext, TxData, TxHeaders};

/// Longest frame that the device sends, its CRC not counted (hardware limit 9,728 bytes).
pub(crate) const FRAME_MAX: u16 = 9724;
/// Shortest frame that the device takes; it pads to 60 by itself where TCTL.PSP is set.
pub(crate) const FRAME_MIN: u16 = 17;
/// Longest data of one descriptor as drivers of this family use it.
const SEGMENT_MAX: u16 = 32 * 1024;

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
    /// Inserts this tag (priority, drop-eligible bit, VLAN) behind the two addresses.
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

    /// The data descriptor's upper word for a frame of `len` bytes in one piece.
    ///
    /// `None` if the device cannot send that: shorter than 17 bytes, longer than 9,724 (with segmentation: 32 KiB), or
    /// shorter than its headers.
    pub fn data(&self, len: u16, index: u8) -> Option<TxData> {
        let max = if self.mss == 0 { FRAME_MAX } else { SEGMENT_MAX };
        if !(FRAME_MIN..=max).contains(&len) || index > 7 {
            return None;
        }
        let headers = u16::from(self.mac_len) + self.ip_len + u16::from(self.l4_len);
        let payload = if self.mss == 0 { len } else { len.checked_sub(headers).filter(|&n| n != 0)? };
        let segments = self.mss != 0;
        let word = PLAIN
            .with_dtalen(len)
            .with_tstamp(self.timestamp)
            .with_vle(self.vlan.is_some())
            .with_tse(segments)
            .with_idx(if self.needs_context() { index } else { 0 })
            .with_ixsm(self.ip_checksum || segments && self.ip == Some(Ip::V4))
            .with_txsm(self.l4.is_some())
            .with_paylen(u32::from(payload));
        Some(word)
    }
}

/// A data descriptor's command for a whole frame: what every frame asks for.
pub(crate) const PLAIN: TxData =
    TxData::new().with_dtyp(TxData::DTYP_DATA).with_eop(true).with_ifcs(true).with_dext(true);
