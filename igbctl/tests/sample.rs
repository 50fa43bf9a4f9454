//! The sample capture is what this file makes. `IGBCTL_WRITE_SAMPLE=1 cargo test -p igbctl --test sample` renews it.

use etherparse::{EtherType, IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, PacketBuilder};
use igbctl::capture::{SAMPLE, Writer, parse};
use std::collections::BTreeSet;

const A: [u8; 6] = [0x02, 0x1b, 0x21, 0x00, 0x00, 0x0a];
const B: [u8; 6] = [0x02, 0x1b, 0x21, 0x00, 0x00, 0x0b];
const START: u64 = 1_700_000_000_000_000_000;

/// Bytes that look like something and repeat on every machine.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.to_le_bytes()[3]
        };
        (0..len).map(|_| next()).collect()
    }
}

fn arp(sender: [u8; 6], target: [u8; 6], request: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(if request { [0xff; 6] } else { target });
    frame.extend(sender);
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, if request { 1 } else { 2 }]);
    frame.extend(sender);
    frame.extend([192, 0, 2, sender[5]]);
    frame.extend(if request { [0; 6] } else { target });
    frame.extend([192, 0, 2, target[5]]);
    frame
}

fn written(builder: etherparse::PacketBuilderStep<etherparse::UdpHeader>, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

fn frames() -> Vec<Vec<u8>> {
    let mut noise = Noise(0x1bad_5eed_0dd5_ba11);
    let mut frames = vec![arp(A, B, true), arp(B, A, false)];
    let (v4a, v4b) = ([192, 0, 2, 10], [192, 0, 2, 11]);
    let v6 = |last: u8| [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];

    // ping, both ways, growing
    for (sequence, len) in [(1u16, 56usize), (2, 56), (3, 1000), (4, 1472)] {
        let payload = noise.bytes(len);
        for reply in [false, true] {
            let (from, to, source, target) = if reply { (B, A, v4b, v4a) } else { (A, B, v4a, v4b) };
            let builder = PacketBuilder::ethernet2(from, to).ipv4(source, target, 64);
            let mut frame = Vec::new();
            if reply {
                builder.icmpv4_echo_reply(77, sequence).write(&mut frame, &payload).unwrap();
            } else {
                builder.icmpv4_echo_request(77, sequence).write(&mut frame, &payload).unwrap();
            }
            frames.push(frame);
        }
    }

    // name look-ups: many small UDP flows
    for flow in 0..24u16 {
        let query = noise.bytes(24 + usize::from(flow % 5) * 7);
        let answer = noise.bytes(60 + usize::from(flow) * 9);
        frames.push(written(
            PacketBuilder::ethernet2(A, B).ipv4(v4a, [198, 51, 100, 53], 64).udp(40_000 + flow * 17, 53),
            &query,
        ));
        frames.push(written(
            PacketBuilder::ethernet2(B, A).ipv4([198, 51, 100, 53], v4a, 57).udp(53, 40_000 + flow * 17),
            &answer,
        ));
    }

    // TCP: handshake, data of every kind of size, end; over IPv4 and IPv6
    for (flow, size) in [(0u16, 1460usize), (1, 536), (2, 1), (3, 1200)] {
        let port = 50_000 + flow;
        let mut sequence = 1000 * u32::from(flow + 1);
        let mut push = |sequence: u32, syn: bool, fin: bool, payload: &[u8]| {
            let mut frame = Vec::new();
            let ethernet = PacketBuilder::ethernet2(A, B);
            let mut tcp = if flow % 2 == 0 {
                ethernet.ipv4(v4a, [203, 0, 113, 80], 64).tcp(port, 443, sequence, 64_240)
            } else {
                ethernet.ipv6(v6(0x0a), v6(0x80), 64).tcp(port, 443, sequence, 64_240)
            };
            if syn {
                tcp = tcp.syn();
            } else {
                tcp = tcp.ack(1).psh();
            }
            if fin {
                tcp = tcp.fin();
            }
            tcp.write(&mut frame, payload).unwrap();
            frames.push(frame);
        };
        push(sequence, true, false, &[]);
        for _ in 0..8 {
            let size = if flow % 2 == 1 { size.min(1440) } else { size };
            push(sequence + 1, false, false, &noise.bytes(size));
            sequence += size as u32;
        }
        push(sequence + 1, false, true, &[]);
    }

    // VLANs, one and two tags
    for vlan in [1u16, 100, 4094] {
        let vlan = vlan.try_into().unwrap();
        for len in [18, 300, 1472] {
            let payload = noise.bytes(len);
            frames.push(written(
                PacketBuilder::ethernet2(A, B).single_vlan(vlan).ipv4(v4a, v4b, 64).udp(4789, 4789),
                &payload,
            ));
        }
        let inner = 7u16.try_into().unwrap();
        let payload = noise.bytes(200);
        frames.push(written(
            PacketBuilder::ethernet2(A, B).double_vlan(vlan, inner).ipv6(v6(1), v6(2), 64).udp(5353, 5353),
            &payload,
        ));
    }

    // IPv6: neighbours, multicast, all lengths of a media stream
    for kind in [135u8, 136] {
        let mut frame = Vec::new();
        let payload = [&v6(0x0b)[..], &[1, 1], &A].concat();
        PacketBuilder::ethernet2(A, [0x33, 0x33, 0xff, 0, 0, 0x0b])
            .ipv6(v6(0x0a), [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x0b], 255)
            .icmpv6_raw(kind, 0, [0; 4])
            .write(&mut frame, &payload)
            .unwrap();
        frames.push(frame);
    }
    for len in (0..1452).step_by(43) {
        let payload = noise.bytes(len);
        frames.push(written(
            PacketBuilder::ethernet2(B, [0x33, 0x33, 0, 0, 0, 0xfb])
                .ipv6(v6(0x0b), [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb], 255)
                .udp(5004 + (len % 7) as u16, 5004),
            &payload,
        ));
    }

    // fragments of both, and a protocol that nobody looks into
    let mut fragment = Ipv4Header::new(800, 64, IpNumber::UDP, v4a, v4b).unwrap();
    fragment.dont_fragment = false;
    for (offset, more) in [(0u16, true), (100, false)] {
        fragment.more_fragments = more;
        fragment.fragment_offset = IpFragOffset::try_new(offset).unwrap();
        fragment.header_checksum = fragment.calc_header_checksum();
        let mut frame = [&B[..], &A, &EtherType::IPV4.0.to_be_bytes(), &fragment.to_bytes()].concat();
        frame.extend(noise.bytes(800));
        frames.push(frame);
        let six = Ipv6FragmentHeader::new(IpNumber::UDP, IpFragOffset::try_new(offset).unwrap(), more, 4711);
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(808u16.to_be_bytes());
        header.extend([44, 64]);
        header.extend(v6(1));
        header.extend(v6(2));
        let mut frame = [&B[..], &A, &EtherType::IPV6.0.to_be_bytes(), &header, &six.to_bytes()].concat();
        frame.extend(noise.bytes(800));
        frames.push(frame);
    }
    frames.push([&B[..], &A, &[0x88, 0xb5], &noise.bytes(90)].concat());

    // 802.3 with a length instead of a type: spanning tree
    let bridge = [&[0x80, 0][..], &A].concat();
    let timers = [0x80, 1, 0, 0, 20, 0, 2, 0, 15, 0];
    let bpdu = [&[0x42, 0x42, 0x03, 0, 0, 0, 0, 0][..], &bridge, &[0; 4], &bridge, &timers].concat();
    frames.push([&[0x01, 0x80, 0xc2, 0, 0, 0][..], &A, &[0, 38], &bpdu].concat());
    frames
}

#[test]
fn the_sample_is_what_is_made_here() {
    let mut file = Writer::new(Vec::new(), "sample").unwrap();
    for (number, frame) in frames().iter().enumerate() {
        file.frame(START + number as u64 * 12_345_678, frame).unwrap();
    }
    let made = file.finish().unwrap();
    if std::env::var_os("IGBCTL_WRITE_SAMPLE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/sample/mixed.pcapng"), &made).unwrap();
        return;
    }
    assert!(made == SAMPLE, "run IGBCTL_WRITE_SAMPLE=1 cargo test -p igbctl --test sample");
}

#[test]
fn the_sample_is_mixed() {
    let records = parse(SAMPLE).unwrap();
    assert!(records.len() >= 150, "{}", records.len());
    assert!(records.iter().all(|record| record.bytes.len() == record.wire_len as usize));
    assert!(records.windows(2).all(|pair| pair[0].nanos < pair[1].nanos));
    let lengths: BTreeSet<_> = records.iter().map(|record| record.bytes.len()).collect();
    assert!(
        lengths.len() > 60 && lengths.contains(&42) && lengths.contains(&1514) && lengths.contains(&1518),
        "{lengths:?}"
    );
    let types: BTreeSet<_> = records.iter().map(|r| u16::from_be_bytes([r.bytes[12], r.bytes[13]])).collect();
    for wanted in [0x0800, 0x0806, 0x8100, 0x88a8, 0x86dd, 38] {
        assert!(types.contains(&wanted), "{wanted:#x} of {types:x?}");
    }
    assert!(SAMPLE.len() < 160 << 10, "{} bytes travel with the program", SAMPLE.len());
}
