//! What the device says about a received frame, read from the write-back only where somebody asks.

use crate::descriptors::{RxInfo, RxInfoI210, RxStatus};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A received frame's write-back. It points at the descriptor, so that what nobody asks for costs nothing.
#[derive(Clone, Copy)]
pub struct RxMeta<'a> {
    info: &'a AtomicU64,
    status: RxStatus,
}

/// What the device found out about a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// It did not look.
    Unknown,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
}

/// Which header fields an RSS hash covers.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RssType {
    /// There is no hash.
    None,
    /// Addresses and ports of IPv4 and TCP.
    Ipv4Tcp,
    /// Addresses of IPv4.
    Ipv4,
    /// Addresses and ports of IPv6 and TCP.
    Ipv6Tcp,
    /// Addresses of IPv6, with the extension headers' addresses.
    Ipv6Ex,
    /// Addresses of IPv6.
    Ipv6,
    /// Addresses and ports of IPv6 and TCP, with the extension headers' addresses.
    Ipv6ExTcp,
    /// Addresses and ports of IPv4 and UDP.
    Ipv4Udp,
    /// Addresses and ports of IPv6 and UDP.
    Ipv6Udp,
    /// Addresses and ports of IPv6 and UDP, with the extension headers' addresses.
    Ipv6ExUdp,
    /// A value that no datasheet names.
    Unknown(u8),
}

impl From<u8> for RssType {
    fn from(value: u8) -> Self {
        match value {
            RxInfo::RSS_TYPE_NONE => Self::None,
            RxInfo::RSS_TYPE_IPV4_TCP => Self::Ipv4Tcp,
            RxInfo::RSS_TYPE_IPV4 => Self::Ipv4,
            RxInfo::RSS_TYPE_IPV6_TCP => Self::Ipv6Tcp,
            RxInfo::RSS_TYPE_IPV6_EX => Self::Ipv6Ex,
            RxInfo::RSS_TYPE_IPV6 => Self::Ipv6,
            RxInfo::RSS_TYPE_IPV6_EX_TCP => Self::Ipv6ExTcp,
            RxInfo::RSS_TYPE_IPV4_UDP => Self::Ipv4Udp,
            RxInfo::RSS_TYPE_IPV6_UDP => Self::Ipv6Udp,
            RxInfo::RSS_TYPE_IPV6_EX_UDP => Self::Ipv6ExUdp,
            other => Self::Unknown(other),
        }
    }
}

/// Which headers the device recognized, or which EtherType filter matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketType(RxInfo);

impl PacketType {
    /// The EtherType filter that matched. The other answers are then all false. For I210 and I211 see
    /// [`ethertype_filter_i210`](Self::ethertype_filter_i210).
    pub fn ethertype_filter(self) -> Option<u8> {
        self.0.etqf().then_some((self.0.into_bits() >> 4 & 7) as u8)
    }
    /// The same on I210 and I211, which keep the index elsewhere. They also set the flag for a packet without network
    /// layer, so the answer means something only where filters are set.
    pub fn ethertype_filter_i210(self) -> Option<u8> {
        let info = RxInfoI210::from_bits(self.0.into_bits());
        info.etqf().then_some(info.etqf_index())
    }
    /// IPv4, with or without options.
    pub fn is_ipv4(self) -> bool {
        !self.0.etqf() && (self.0.ipv4() || self.0.ipv4_options())
    }
    /// IPv6, with or without extensions.
    pub fn is_ipv6(self) -> bool {
        !self.0.etqf() && (self.0.ipv6() || self.0.ipv6_extensions())
    }
    /// TCP.
    pub fn is_tcp(self) -> bool {
        !self.0.etqf() && self.0.tcp()
    }
    /// UDP.
    pub fn is_udp(self) -> bool {
        !self.0.etqf() && self.0.udp()
    }
    /// SCTP (82576 and later).
    pub fn is_sctp(self) -> bool {
        !self.0.etqf() && self.0.sctp()
    }
}

impl<'a> RxMeta<'a> {
    #[inline]
    pub(crate) fn new(info: &'a AtomicU64, status: u64) -> Self {
        Self { info, status: RxStatus::from_bits(status) }
    }

    /// The lower quadword.
    #[inline]
    pub fn info(self) -> RxInfo {
        RxInfo::from_bits(u64::from_le(self.info.load(Relaxed)))
    }

    /// The upper quadword.
    #[inline]
    pub fn status(self) -> RxStatus {
        self.status
    }

    /// Bytes in the buffer, a time stamp in front included.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // never
    pub fn len(self) -> u16 {
        self.status.length()
    }

    /// The RSS hash. Means something when [`rss_type`](Self::rss_type) is not `None`, and RXCSUM.PCSD is 1.
    #[inline]
    pub fn rss_hash(self) -> u32 {
        self.info().rss_hash()
    }

    /// What the hash covers.
    #[inline]
    pub fn rss_type(self) -> RssType {
        self.info().rss_type().into()
    }

    /// Which headers were recognized.
    #[inline]
    pub fn packet_type(self) -> PacketType {
        PacketType(self.info())
    }

    /// The VLAN tag, with priority and drop-eligible bit, of a tagged frame. Whether it was also taken out of the
    /// frame is CTRL.VME's or DVMOLR's matter.
    #[inline]
    pub fn vlan(self) -> Option<u16> {
        self.status.vp().then(|| self.status.vlan())
    }

    /// The same on I350 and I354, where frames from another function of the port carry it in big endian.
    #[inline]
    pub fn vlan_from_loopback(self) -> Option<u16> {
        self.vlan().map(|tag| if self.is_loopback() { tag.swap_bytes() } else { tag })
    }

    /// The frame came from another function of the same port.
    #[inline]
    pub fn is_loopback(self) -> bool {
        self.status.lb()
    }

    /// IPv4 header checksum.
    #[inline]
    pub fn ip_checksum(self) -> Checksum {
        match self.status {
            s if s.ixsm() || !s.ipcs() => Checksum::Unknown,
            s if s.ipe() => Checksum::Bad,
            _ => Checksum::Good,
        }
    }

    /// TCP, UDP or SCTP checksum. An SCTP frame of 60 bytes is `Unknown` rather than `Bad`: all chips give a false
    /// error for it.
    #[inline]
    pub fn l4_checksum(self) -> Checksum {
        match self.status {
            s if s.ixsm() || !(s.l4cs() || s.udpcs()) => Checksum::Unknown,
            s if s.l4e() && s.length() == 60 && self.packet_type().is_sctp() => Checksum::Unknown,
            s if s.l4e() => Checksum::Bad,
            _ => Checksum::Good,
        }
    }

    /// The first 16 bytes of the buffer are a time stamp, not frame (82580 and later, where SRRCTL.TIMESTAMP is set).
    #[inline]
    pub fn has_timestamp(self) -> bool {
        self.status.tsip()
    }

    /// The time stamp registers hold this frame's stamp, and are locked until it is read.
    #[inline]
    pub fn timestamp_latched(self) -> bool {
        self.status.ts()
    }
}

impl core::fmt::Debug for RxMeta<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RxMeta").field("info", &self.info()).field("status", &self.status).finish()
    }
}
