//! What was merged is cut back into the frames that came in, byte for byte and in the order of each flow. The frames
//! are built, and the merged packets read, by a library that is not ours.

use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, SlicedPacket, VlanId,
};
use igb_gro::{Checked, Fill, Gro, Packet, Split};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One flow's next segment.
#[derive(Debug, Clone)]
struct Step {
    flow: u8,
    kind: Kind,
    bytes: u16,
    flush: bool,
    checked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Data,
    Push,
    Fin,
    Ack,
    Syn,
    Urgent,
    Gap,
    Repeat,
    OtherWindow,
    OtherClass,
    Broken,
    Arp,
    Options,
}

#[derive(Default, Clone)]
struct State {
    sequence: u32,
    id: u16,
}

fn flow_of(step: &Step) -> u8 {
    step.flow % 6
}

/// Flows: 0 TCP/IPv4, 1 TCP/IPv4 with one identification, 2 TCP/IPv6, 3 TCP/IPv4 in a VLAN with timestamps, 4 UDP/IPv4,
/// 5 UDP/IPv6.
fn build(step: &Step, state: &mut State) -> Vec<u8> {
    let flow = flow_of(step);
    let mut out = Vec::new();
    if step.kind == Kind::Arp {
        out.extend_from_slice(&[0xff; 6]);
        out.extend_from_slice(&[2, 0, 0, 0, 0, flow]);
        out.extend_from_slice(&[8, 6]);
        out.resize(60, step.bytes as u8);
        return out;
    }
    let size = if matches!(step.kind, Kind::Ack | Kind::Syn) { 0 } else { usize::from(step.bytes) };
    let payload: Vec<u8> = (0..size).map(|n| (n as u8) ^ flow ^ (state.sequence as u8)).collect();
    let v6 = matches!(flow, 2 | 5);
    let number = if flow >= 4 { IpNumber::UDP } else { IpNumber::TCP };
    let class = if step.kind == Kind::OtherClass { 3 } else { 0 };
    let ip = if v6 {
        let (mut source, mut destination) = ([0x20; 16], [0x30; 16]);
        (source[15], destination[15]) = (flow, flow);
        IpHeaders::Ipv6(
            Ipv6Header {
                traffic_class: class << 2,
                flow_label: Ipv6FlowLabel::try_new(flow.into()).unwrap(),
                payload_length: 0,
                next_header: number,
                hop_limit: 60,
                source,
                destination,
            },
            Default::default(),
        )
    } else {
        let mut ip = Ipv4Header::new(0, 64, number, [192, 0, 2, flow], [198, 51, 100, flow]).unwrap();
        ip.dscp = class.try_into().unwrap();
        ip.identification = if flow == 1 { 0 } else { state.id };
        ip.dont_fragment = flow != 4;
        if step.kind == Kind::Options {
            ip.options = [1, 1, 1, 0].into();
        }
        IpHeaders::Ipv4(ip, Default::default())
    };
    state.id = state.id.wrapping_add(1);
    let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let packet = if flow == 3 { link.single_vlan(VlanId::try_new(7).unwrap()).ip(ip) } else { link.ip(ip) };
    if flow >= 4 {
        packet.udp(1000 + u16::from(flow), 53).write(&mut out, &payload).unwrap();
    } else {
        match step.kind {
            Kind::Gap => state.sequence = state.sequence.wrapping_add(1),
            Kind::Repeat => state.sequence = state.sequence.wrapping_sub(u32::from(step.bytes)),
            _ => {}
        }
        let window = if step.kind == Kind::OtherWindow { 100 } else { 512 };
        let mut tcp = packet.tcp(1000 + u16::from(flow), 80, state.sequence, window).ack(77);
        tcp = match step.kind {
            Kind::Push => tcp.psh(),
            Kind::Fin => tcp.fin(),
            Kind::Syn => tcp.syn(),
            Kind::Urgent => tcp.urg(3),
            _ => tcp,
        };
        if flow == 3 {
            let stamp = etherparse::TcpOptionElement::Timestamp(1, 2);
            tcp = tcp
                .options(&[etherparse::TcpOptionElement::Noop, etherparse::TcpOptionElement::Noop, stamp])
                .unwrap();
        }
        tcp.write(&mut out, &payload).unwrap();
        state.sequence = state.sequence.wrapping_add(payload.len() as u32);
    }
    if step.kind == Kind::Broken {
        *out.last_mut().unwrap() ^= 1;
    }
    if out.len() < 60 {
        out.resize(60, 0);
    }
    out
}

/// The frames that a packet stands for, cut by what its header says.
fn cut(packet: &Packet<'_, Vec<u8>, 46>) -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = packet.parts().flatten().copied().collect();
    let Some(segments) = packet.segments() else { return vec![bytes] };
    let header = igb_gro::VnetHeader::from_bytes(&packet.header().to_bytes()).unwrap();
    let work = header.work(&bytes).unwrap();
    // The header cannot say that identifications stay the same; all else it says.
    let said = work.segments.unwrap();
    assert_eq!((said.kind, said.size), (segments.kind, segments.size));
    let mut split = Split::new(&bytes, segments, work.checksum.unwrap(), Fill::Whole).unwrap();
    assert_eq!(split.left(), packet.frames());
    let mut frames = Vec::new();
    let mut buffer = vec![0; split.longest()];
    while let Some(len) = split.next_into(&mut buffer) {
        let mut frame = buffer[..len.unwrap()].to_vec();
        if frame.len() < 60 {
            frame.resize(60, 0);
        }
        frames.push(frame);
    }
    // The large packet itself is one that others can read.
    let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
    assert!(sliced.transport.is_some());
    frames
}

/// Everything but padding and the address of its flow.
fn key(frame: &[u8]) -> Vec<u8> {
    let at = if frame[12..14] == [0x81, 0] { 18 } else { 14 };
    match frame[at] >> 4 {
        4 => [&frame[at + 9..at + 10], &frame[at + 12..at + 20]].concat(),
        6 => [&frame[at + 6..at + 7], &frame[at + 8..at + 40]].concat(),
        _ => frame[..14].to_vec(),
    }
}

fn by_flow(frames: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut flows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for frame in frames {
        flows.entry(key(frame)).or_default().push(frame.clone());
    }
    flows
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        20 => Just(Kind::Data), 2 => Just(Kind::Push), 1 => Just(Kind::Fin), 1 => Just(Kind::Ack), 1 => Just(Kind::Syn),
        1 => Just(Kind::Urgent), 1 => Just(Kind::Gap), 1 => Just(Kind::Repeat), 1 => Just(Kind::OtherWindow),
        1 => Just(Kind::OtherClass), 1 => Just(Kind::Broken), 1 => Just(Kind::Arp), 1 => Just(Kind::Options),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![6 => Just(1000_u16), 1 => 1..1400_u16, 1 => Just(1_u16)];
    let one = (0..6_u8, kinds(), bytes, proptest::bool::weighted(0.05), any::<bool>())
        .prop_map(|(flow, kind, bytes, flush, checked)| Step { flow, kind, bytes, flush, checked });
    prop::collection::vec(one, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_comes_back_in_the_order_of_its_flow(steps in steps(), first in any::<u32>(), id in any::<u16>()) {
        let mut states = vec![State { sequence: first, id }; 6];
        let mut gro: Gro<Vec<u8>, 3> = Gro::new().with_udp();
        let (mut sent, mut back) = (Vec::new(), Vec::new());
        for step in &steps {
            let frame = build(step, &mut states[usize::from(flow_of(step))]);
            sent.push(frame.clone());
            // A device does not call a broken checksum right.
            let by_device = step.checked && step.kind != Kind::Broken;
            let checked = if by_device { Checked::ByDevice } else { Checked::Not };
            gro.push(frame, checked, |packet| back.extend(cut(&packet)));
            if step.flush {
                gro.flush(|packet| back.extend(cut(&packet)));
            }
        }
        gro.flush(|packet| back.extend(cut(&packet)));
        prop_assert_eq!(by_flow(&sent), by_flow(&back));
        let stats = gro.stats();
        prop_assert_eq!(stats.frames, sent.len() as u64);
        prop_assert_eq!(stats.packets + stats.merged - stats.large, stats.frames);
    }

    #[test]
    fn nothing_that_a_stranger_writes_breaks_it(
        header in prop::array::uniform10(any::<u8>()),
        mut frame in prop::collection::vec(any::<u8>(), 0..300),
        shape in 0..4_u8,
        at in any::<prop::sample::Index>(),
    ) {
        // Mostly right headers, or else nothing gets past the first look.
        if shape > 0 && frame.len() >= 60 {
            frame[12..15].copy_from_slice(if shape == 1 { &[8, 0, 0x45] } else { &[0x86, 0xdd, 0x60] });
            (frame[20], frame[23], frame[54 - 40 + 6]) = (0x40, 6, 6);
        }
        let mut header = header;
        if at.index(4) > 0 {
            header = [1, [1, 4, 5][at.index(3)], 54, 0, header[4], 0, if shape == 1 { 34 } else { 54 }, 0, 16, 0];
        }
        let header = igb_gro::VnetHeader::from_bytes(&header).unwrap();
        if let Ok(work) = header.work(&frame)
            && let Some(place) = work.checksum {
                place.finish(&mut frame.clone()).unwrap();
                if let Some(segments) = work.segments {
                    let mut buffer = vec![0; frame.len()];
                    let mut split = Split::new(&frame, segments, place, Fill::Seed).unwrap();
                    let mut left = split.left();
                    prop_assert!(split.clone().next_into(&mut []).unwrap().is_err());
                    while let Some(len) = split.next_into(&mut buffer) {
                        prop_assert!(len.unwrap() <= split.longest());
                        left -= 1;
                        prop_assert_eq!(split.left(), left);
                    }
                }
            }
        let mut gro: Gro<Vec<u8>> = Gro::new().with_udp();
        let mut count = 0;
        gro.push(frame.clone(), Checked::ByDevice, |packet| count += packet.frames());
        gro.push(frame, Checked::Not, |packet| count += packet.frames());
        gro.flush(|packet| count += packet.frames());
        prop_assert_eq!(count, 2);
    }
}

/// A run of equal segments becomes one packet, up to 64 KiB.
#[test]
fn runs_are_merged() {
    for flow in 0..6 {
        let mut state = State { sequence: u32::MAX - 3000, id: u16::MAX - 1 };
        let mut gro: Gro<Vec<u8>> = Gro::new().with_udp();
        let mut sizes = Vec::new();
        for _ in 0..50 {
            let step = Step { flow, kind: Kind::Data, bytes: 1440, flush: false, checked: true };
            gro.push(build(&step, &mut state), Checked::ByDevice, |packet| sizes.push(packet.frames()));
        }
        gro.flush(|packet| sizes.push(packet.frames()));
        assert_eq!(
            sizes,
            [45, 5],
            "flow {flow}: 45 segments of 1,440 bytes and their headers are under 64 KiB, 46 not"
        );
    }
}

/// The frames that a packet was made of come back to whoever owns their memory.
#[test]
fn frames_come_home() {
    let mut state = State::default();
    let mut gro: Gro<Vec<u8>> = Gro::new();
    let mut home = Vec::new();
    let mut sent = Vec::new();
    for n in 0..5 {
        let kind = if n == 4 { Kind::Push } else { Kind::Data };
        let frame = build(&Step { flow: 0, kind, bytes: 100, flush: false, checked: true }, &mut state);
        sent.push(frame.as_ptr());
        gro.push(frame, Checked::ByDevice, |mut packet| packet.drain(|frame| home.push(frame.as_ptr())));
    }
    assert_eq!(home, sent);
}

/// Seeds that a device completes are right: finishing them in software gives the whole checksum.
#[test]
fn a_seed_finishes_to_the_whole() {
    let mut state = State { sequence: 9, id: 4 };
    let mut gro: Gro<Vec<u8>> = Gro::new().with_udp();
    for flow in 0..6 {
        for _ in 0..4 {
            let step = Step { flow, kind: Kind::Data, bytes: 701, flush: false, checked: true };
            gro.push(build(&step, &mut state), Checked::ByDevice, |_| panic!("too early"));
        }
    }
    let mut packets = 0;
    gro.flush(|packet| {
        packets += 1;
        let bytes: Vec<u8> = packet.parts().flatten().copied().collect();
        let work = packet.header().work(&bytes).unwrap();
        let (segments, place) = (packet.segments().unwrap(), work.checksum.unwrap());
        let mut whole = Split::new(&bytes, segments, place, Fill::Whole).unwrap();
        let mut seeds = Split::new(&bytes, segments, place, Fill::Seed).unwrap();
        let (mut one, mut other) = ([0; 2000], [0; 2000]);
        while let Some(len) = whole.next_into(&mut one) {
            let len = len.unwrap();
            assert_eq!(seeds.next_into(&mut other), Some(Ok(len)));
            assert_ne!(one[..len], other[..len]);
            place.finish(&mut other[..len]).unwrap();
            assert_eq!(one[..len], other[..len]);
        }
        assert_eq!(seeds.next_into(&mut other), None);
    });
    assert_eq!(packets, 6);
}

/// What cutting would give back, and is left alone nevertheless: a receiver acts on each of these segments by itself.
#[test]
fn some_segments_stay_alone() {
    const DONT_FRAGMENT: usize = 14 + 6;
    const IDENTIFICATION: usize = 14 + 4;
    const FLAGS: usize = 34 + 13;
    let frames = |change: fn(&mut [u8])| {
        let mut state = State { sequence: 1, id: 1 };
        let mut gro: Gro<Vec<u8>> = Gro::new();
        let mut packets = 0;
        for _ in 0..2 {
            let step = Step { flow: 0, kind: Kind::Data, bytes: 1000, flush: false, checked: true };
            let mut frame = build(&step, &mut state);
            change(&mut frame);
            gro.push(frame, Checked::ByDevice, |_| packets += 1);
        }
        gro.flush(|_| packets += 1);
        packets
    };
    assert_eq!(frames(|_| ()), 1);
    for flag in [0x02, 0x04, 0x20, 0x80] {
        let packets = match flag {
            0x02 => frames(|frame| frame[FLAGS] |= 0x02),
            0x04 => frames(|frame| frame[FLAGS] |= 0x04),
            0x20 => frames(|frame| frame[FLAGS] |= 0x20),
            _ => frames(|frame| frame[FLAGS] |= 0x80),
        };
        assert_eq!(packets, 2, "flag {flag:#04x}");
    }
    assert_eq!(frames(|frame| frame[FLAGS] &= !0x10), 2, "no acknowledgement");
    assert_eq!(frames(|frame| frame[IDENTIFICATION + 1] = 9), 1, "one identification, never fragmented");
    let fragmentable = |frame: &mut [u8]| {
        frame[IDENTIFICATION + 1] = 9;
        frame[DONT_FRAGMENT] = 0;
    };
    assert_eq!(frames(fragmentable), 2, "one identification for two packets that may be fragmented");
}
