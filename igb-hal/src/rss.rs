//! Receive side scaling: a hash of addresses and ports chooses the queue.

use crate::Mac;
use igb_regs::{Bus, Chip, MRQC, RXCSUM};

/// What the hash is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RssHash {
    /// Addresses of IPv4.
    pub ipv4: bool,
    /// Addresses and ports of TCP over IPv4.
    pub tcp_ipv4: bool,
    /// Addresses and ports of UDP over IPv4. Fragments go astray: only the first has ports.
    pub udp_ipv4: bool,
    /// Addresses of IPv6.
    pub ipv6: bool,
    /// Addresses and ports of TCP over IPv6, with extension headers too.
    pub tcp_ipv6: bool,
    /// Addresses and ports of UDP over IPv6, with extension headers too.
    pub udp_ipv6: bool,
}

impl Default for RssHash {
    /// IP and TCP, as drivers have it.
    fn default() -> Self {
        Self { ipv4: true, tcp_ipv4: true, udp_ipv4: false, ipv6: true, tcp_ipv6: true, udp_ipv6: false }
    }
}

/// Key, table and what is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RssConfig {
    /// The secret of the hash, in the order of Microsoft's definition.
    pub key: [u8; 40],
    /// The queue of each value of the hash's low seven bits.
    pub table: [u8; 128],
    /// What is hashed.
    pub hash: RssHash,
}

impl RssConfig {
    /// The key of Microsoft's definition of the hash, for which it gives results to check against. Anybody can find
    /// addresses that all hash to one queue, so a server on a hostile network wants a random one.
    pub const MICROSOFT_KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
        0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
        0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    /// The hash's values dealt to queues 0 to `queues` less one in turn, with Microsoft's key.
    ///
    /// ```
    /// use igb_hal::RssConfig;
    /// assert_eq!(RssConfig::spread(3).table[..5], [0, 1, 2, 0, 1]);
    /// ```
    pub fn spread(queues: u16) -> Self {
        let mut table = [0; 128];
        for (queue, entry) in (0..queues.clamp(1, 128)).cycle().zip(&mut table) {
            *entry = queue as u8;
        }
        Self { key: Self::MICROSOFT_KEY, table, hash: RssHash::default() }
    }
}

impl<B: Bus> Mac<B> {
    /// Turns receive side scaling on: key, table, then MRQC.
    ///
    /// An 82575 keeps the queue in the upper two bits of a table entry.
    pub fn set_rss(&self, config: &RssConfig) {
        let regs = self.regs();
        for (index, word) in config.key.as_chunks().0.iter().enumerate() {
            regs.rssrk(index).set(u32::from_le_bytes(*word));
        }
        let shift = if self.chip() == Chip::I82575 { 6 } else { 0 };
        for (index, entries) in config.table.as_chunks().0.iter().enumerate() {
            regs.reta(index).set(u32::from_le_bytes(entries.map(|queue| queue << shift)));
        }
        regs.rxcsum().modify(RXCSUM::PCSD.val(1));
        let RssHash { ipv4, tcp_ipv4, udp_ipv4, ipv6, tcp_ipv6, udp_ipv6 } = config.hash;
        regs.mrqc().write(
            MRQC::ENABLE_RSS
                + MRQC::IPV4.val(ipv4.into())
                + MRQC::TCP_IPV4.val(tcp_ipv4.into())
                + MRQC::UDP_IPV4.val(udp_ipv4.into())
                + MRQC::IPV6.val(ipv6.into())
                + MRQC::TCP_IPV6.val(tcp_ipv6.into())
                + MRQC::TCP_IPV6_EX.val(tcp_ipv6.into())
                + MRQC::UDP_IPV6.val(udp_ipv6.into())
                + MRQC::UDP_IPV6_EX.val(udp_ipv6.into()),
        );
    }
}
