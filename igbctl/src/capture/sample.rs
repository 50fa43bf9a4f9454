//! The capture that travels with the program, for a demo without a file.

/// A pcapng file of mixed protocols and sizes: ARP, ICMP, UDP, TCP, VLAN, QinQ, IPv6, fragments, spanning tree. Made by
/// `tests/sample.rs`, which also tells when it and this differ.
pub const SAMPLE: &[u8] = include_bytes!("../../sample/mixed.pcapng");
