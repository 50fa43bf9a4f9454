//! The hash and the queue that a frame gets, by Microsoft's verification vectors, through registers and descriptors.

mod bench;

use bench::{Ring, SRRCTL_ONE_BUFFER, start, wait_link};
use etherparse::PacketBuilder;
use igb_regs::Chip;
use igb_sim::World;
use std::net::Ipv6Addr;

/// The key of "Verifying the RSS hash calculation".
const KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
    0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
    0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/// Source, destination, hash over addresses, hash with ports.
type Vector = (&'static str, u16, &'static str, u16, u32, u32);

const V4: [Vector; 5] = [
    ("66.9.149.187", 2794, "161.142.100.80", 1766, 0x323e_8fc2, 0x51cc_c178),
    ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xd718_262a, 0xc626_b0ea),
    ("24.19.198.95", 12898, "12.22.207.184", 38024, 0xd2d0_a5de, 0x5c2b_394a),
    ("38.27.205.30", 48228, "209.142.163.6", 2217, 0x8298_9176, 0xafc7_327f),
    ("153.39.163.191", 44251, "202.188.127.2", 1303, 0x5d18_09c5, 0x10e8_28a2),
];
const V6: [Vector; 3] = [
    ("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2cc1_8cd5, 0x4020_7d3d),
    ("3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0f0c_461c, 0xdde5_1bbf),
    (
        "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
        44251,
        "fe80::200:f8ff:fe21:67cf",
        38024,
        0x4b61_e985,
        0x02d1_feef,
    ),
];

fn packet(vector: &Vector, tcp: bool) -> Vec<u8> {
    let (from, from_port, to, to_port, ..) = *vector;
    let builder = PacketBuilder::ethernet2([2; 6], [0xff; 6]);
    let builder = match (from.parse::<std::net::Ipv4Addr>(), to.parse::<std::net::Ipv4Addr>()) {
        (Ok(from), Ok(to)) => builder.ipv4(from.octets(), to.octets(), 64),
        _ => {
            let octets = |text: &str| text.parse::<Ipv6Addr>().expect("address").octets();
            builder.ipv6(octets(from), octets(to), 64)
        }
    };
    let mut bytes = Vec::new();
    if tcp {
        builder.tcp(from_port, to_port, 1, 1).write(&mut bytes, &[0; 30]).expect("packet");
    } else {
        builder.udp(from_port, to_port).write(&mut bytes, &[0; 30]).expect("packet");
    }
    bytes
}

#[test]
fn vectors_come_out_on_every_chip() {
    for chip in bench::CHIPS {
        let world = World::new();
        let device = world.add(chip);
        let end = world.hold(&device);
        start(&device);
        wait_link(&device);
        let queues = chip.rx_queues() as u32;
        let mut rings: Vec<_> = (0..queues)
            .map(|queue| Ring::receive(&world, &device, queue, 64, SRRCTL_ONE_BUFFER | 2))
            .collect();
        for (register, bytes) in (0..).zip(KEY.as_chunks::<4>().0) {
            device.write(0x5c80 + 4 * register, u32::from_le_bytes(*bytes));
        }
        for register in 0..32_u32 {
            let entry =
                |index: u32| ((register * 4 + index) % queues) << if chip == Chip::I82575 { 6 } else { 0 };
            device.write(
                0x5c00 + 4 * register,
                u32::from_le_bytes([0, 1, 2, 3].map(|index| entry(index) as u8)),
            );
        }
        device.write(0x5000, 1 << 13 | 1 << 9 | 1 << 8); // RXCSUM: PCSD, TUOFLD, IPOFLD
        device.write(0x5818, 2 | 0b11_0011 << 16); // MRQC: RSS; TCP/IPv4, IPv4, IPv6, TCP/IPv6
        let mut judge = |vector: &Vector, tcp: bool, kind: u32, hash: u32| {
            end.send(&packet(vector, tcp));
            let queue = hash % 128 % queues;
            let ring = &mut rings[queue as usize];
            let (info, written, status, ..) = ring.written(ring.next);
            assert_eq!((written, info & 15), (hash, kind), "{chip} {vector:?}");
            assert_eq!(status & 0x6000_0021, 0x21, "{chip}: done, L4 good");
            assert_eq!(info >> 4 & 0x37, if kind <= 2 { 1 } else { 4 } | if tcp { 0x10 } else { 0x20 });
            assert!(ring.take().is_some());
        };
        for vector in &V4 {
            judge(vector, true, 1, vector.5);
            judge(vector, false, 2, vector.4);
        }
        for vector in &V6 {
            judge(vector, true, 3, vector.5);
            judge(vector, false, 5, vector.4);
        }
        device.write(0x5818, 2 | 1 << 22); // UDP/IPv4 alone
        let udp = Vector::clone(&V4[0]);
        end.send(&packet(&udp, false));
        let hits = rings.iter().filter(|ring| ring.written(ring.next).0 & 15 == 7).count();
        assert_eq!(hits, 1, "{chip}: type 7, with ports");
        assert_eq!(device.violations(), []);
    }
}

#[test]
fn an_ethertype_filter_goes_first() {
    let world = World::new();
    let device = world.add(Chip::I350);
    let end = world.hold(&device);
    start(&device);
    wait_link(&device);
    let rings: Vec<_> =
        (0..4).map(|queue| Ring::receive(&world, &device, queue, 64, SRRCTL_ONE_BUFFER | 2)).collect();
    device.write(0x5cb0 + 8, 1 << 31 | 1 << 26 | 3 << 16 | 0x88b5); // ETQF[2]
    end.send(&bench::frame([0xff; 6], 1, 60));
    let (info, _, status, ..) = rings[3].written(0);
    assert_eq!((status & 3, info >> 15 & 1, info >> 4 & 7), (3, 1, 2));
}

#[test]
fn checksums_are_judged() {
    let world = World::new();
    let device = world.add(Chip::I210);
    let end = world.hold(&device);
    start(&device);
    wait_link(&device);
    let ring = Ring::receive(&world, &device, 0, 64, SRRCTL_ONE_BUFFER | 2);
    device.write(0x5000, 1 << 9 | 1 << 8);
    let good = packet(&V4[0], true);
    let mut bad_ip = good.clone();
    bad_ip[24] ^= 1;
    let mut bad_tcp = good.clone();
    bad_tcp[60] ^= 1;
    let mut no_udp = packet(&V4[0], false);
    no_udp[40..42].fill(0);
    let six = packet(&V6[0], false);
    let mut bad_six = six.clone();
    bad_six[70] ^= 1;
    let sent = [good, bad_ip, bad_tcp, no_udp, six, bad_six, bench::frame([0xff; 6], 1, 60)];
    // IPCS 6, L4I 5, UDPCS 4, L4E 29, IPE 30.
    let (ip, l4, udp, l4_bad, ip_bad) = (1 << 6, 1 << 5, 1 << 4, 1 << 29, 1 << 30);
    let expected = [ip | l4, ip | l4 | ip_bad, ip | l4 | l4_bad, ip, l4 | udp, l4 | udp | l4_bad, 0];
    for (index, (bytes, bits)) in (0..).zip(sent.iter().zip(expected)) {
        end.send(bytes);
        assert_eq!(ring.written(index).2, bits | 3, "frame {index}");
    }
}
