//! Frames from rings onto the wire: descriptors, offloads judged by `etherparse`, status, counters.

mod bench;

use bench::{CHIPS, Ring, SRRCTL_ONE_BUFFER, frame, start, tx, wait_link};
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use igb_regs::Chip;
use igb_sim::{Device, Violation, WireEnd, World};

const TSE: u32 = 1 << 31;
const VLE: u32 = 1 << 30;
const IXSM: u32 = 1;
const TXSM: u32 = 2;

fn bench(chip: Chip) -> (World, Device, WireEnd) {
    let world = World::new();
    let device = world.add(chip);
    let end = world.hold(&device);
    start(&device);
    wait_link(&device);
    (world, device, end)
}

fn tcp4(payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(
        1000,
        80,
        0x1234_5678,
        5000,
    );
    let mut bytes = Vec::new();
    let body: Vec<u8> = (0..payload).map(|byte| byte as u8).collect();
    builder.psh().fin().ack(99).write(&mut bytes, &body).expect("packet");
    bytes
}

fn udp6(payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6([1; 16], [2; 16], 64).udp(1000, 2000);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &vec![0x5a; payload]).expect("packet");
    bytes
}

fn fold(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn words(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))).sum()
}

/// The pseudo-header's sum where the checksum goes, as drivers leave it; `len` 0 for segmentation.
fn seed(bytes: &mut [u8], addresses: core::ops::Range<usize>, protocol: u32, len: usize, at: usize) {
    let sum = fold(words(&bytes[addresses]) + protocol + len as u32);
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// What an independent parser says of a frame's checksums.
fn check(bytes: &[u8]) {
    let packet = SlicedPacket::from_ethernet(bytes).expect("parses");
    match (packet.net.expect("network"), packet.transport.expect("transport")) {
        (NetSlice::Ipv4(ip), transport) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            match transport {
                TransportSlice::Tcp(tcp) => {
                    let sum = tcp.to_header().calc_checksum_ipv4(&header, tcp.payload()).expect("length");
                    assert_eq!(tcp.checksum(), sum);
                }
                TransportSlice::Udp(udp) => {
                    let sum = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).expect("length");
                    assert_eq!(udp.checksum(), sum);
                }
                _ => panic!("transport"),
            }
        }
        (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) => {
            let header = ip.header().to_header();
            assert_eq!(
                udp.checksum(),
                udp.to_header().calc_checksum_ipv6(&header, udp.payload()).expect("length")
            );
        }
        _ => panic!("layers"),
    }
}

#[test]
fn every_length_leaves_every_chip() {
    for chip in CHIPS {
        let (world, device, end) = bench(chip);
        let mut ring = Ring::transmit(&world, &device, 0, 64);
        for len in 17..=1514 {
            let sent = frame([2; 6], len as u32, len);
            ring.send(&device, &sent);
            assert_eq!(ring.words((ring.next + 63) % 64)[1], 1 << 32, "DD, nothing else");
            let mut expected = sent;
            expected.resize(expected.len().max(60), 0);
            assert_eq!(end.recv(), Some(expected), "{chip} {len}");
        }
        assert_eq!(device.read(0x4080), 1498, "GPTC");
        assert_eq!(device.read(tx(0) + 0x10), 1498 % 64, "TDH");
        assert_eq!(device.violations(), []);
    }
}

#[test]
fn a_frame_in_three_descriptors() {
    let (world, device, end) = bench(Chip::I350);
    let mut ring = Ring::transmit(&world, &device, 0, 64);
    let sent = frame([2; 6], 5, 300);
    assert!(ring.arena.write(ring.buffer(0), &sent));
    let total = u64::from(300_u32 << 14) << 32;
    let (at, command) = (ring.buffer(0), 0x2230_0000_u64); // DEXT, DTYP 3, IFCS
    ring.put(at, command | 14 | total);
    ring.put(at + 14, command | 100 | total);
    ring.put(at + 114, command | 0x0900_0000 | 186 | total);
    ring.bell(&device);
    assert_eq!(end.recv(), Some(sent));
    assert_eq!([0, 1, 2].map(|index| ring.words(index)[1] >> 32 & 1), [0, 0, 1]);
    assert_eq!(device.violations(), []);
}

#[test]
fn checksums_are_inserted() {
    let (world, device, end) = bench(Chip::I210);
    let mut ring = Ring::transmit(&world, &device, 0, 64);
    for payload in [0, 1, 2, 99, 1000] {
        let mut bytes = tcp4(payload);
        bytes[24..26].fill(0);
        seed(&mut bytes, 26..34, 6, 20 + payload, 50);
        ring.context(14 << 9 | 20, 1 << 10 | 1 << 11, 0);
        ring.queue(&bytes, 0, IXSM | TXSM, bytes.len());
        let mut six = udp6(payload);
        seed(&mut six, 22..54, 17, 8 + payload, 60);
        ring.context(14 << 9 | 40, 0, 0);
        ring.queue(&six, 0, TXSM, six.len());
        ring.bell(&device);
        let got = end.recv_all();
        assert_eq!(got.len(), 2);
        got.iter().for_each(|bytes| check(bytes));
        assert_eq!(got[0][..bytes.len()], tcp4(payload), "as etherparse writes it");
    }
    assert_eq!(device.violations(), []);
}

#[test]
fn tcp_is_segmented() {
    for chip in CHIPS {
        let (world, device, end) = bench(chip);
        let mut ring = Ring::transmit(&world, &device, 0, 64);
        let (payload, mss) = (10_001, 1460);
        let mut bytes = tcp4(payload);
        bytes[16..18].fill(0);
        bytes[24..26].fill(0);
        seed(&mut bytes, 26..34, 6, 0, 50);
        ring.context(14 << 9 | 20, 1 << 10 | 1 << 11, mss << 16 | 20 << 8);
        ring.queue(&bytes, TSE, IXSM | TXSM, payload);
        ring.bell(&device);
        let got = end.recv_all();
        assert_eq!(got.len(), 7);
        let mut whole = Vec::new();
        for (number, segment) in got.iter().enumerate() {
            check(segment);
            let packet = SlicedPacket::from_ethernet(segment).expect("parses");
            let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("tcp") };
            assert_eq!(tcp.sequence_number(), 0x1234_5678 + number as u32 * mss);
            assert_eq!((tcp.fin(), tcp.psh(), tcp.ack()), (number == 6, number == 6, true));
            let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("ip") };
            assert_eq!(ip.header().identification(), number as u16);
            whole.extend_from_slice(tcp.payload());
        }
        assert_eq!(whole, (0..payload).map(|byte| byte as u8).collect::<Vec<_>>());
        assert_eq!((device.read(0x40f8), device.read(0x4080)), (1, 7), "TSCTC, GPTC");
        assert_eq!(device.violations(), [], "{chip}");
    }
}

#[test]
fn udp_is_segmented() {
    let (world, device, end) = bench(Chip::I350);
    let mut ring = Ring::transmit(&world, &device, 0, 64);
    let mut bytes = udp6(3000);
    seed(&mut bytes, 22..54, 17, 0, 60);
    ring.context(14 << 9 | 40, 0, 1200 << 16 | 8 << 8);
    ring.queue(&bytes, TSE, TXSM, 3000);
    ring.bell(&device);
    let got = end.recv_all();
    assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [1262, 1262, 662]);
    got.iter().for_each(|bytes| check(bytes));
    assert_eq!(device.violations(), []);
}

#[test]
fn tags_are_inserted() {
    let (world, device, end) = bench(Chip::I82576);
    device.write(0x0000, device.read(0x0000) | 1 << 30); // VME
    let mut ring = Ring::transmit(&world, &device, 0, 64);
    let sent = frame([2; 6], 5, 60);
    ring.context(0x602a << 16 | 14 << 9, 0, 0);
    ring.queue(&sent, VLE, 0, 60);
    ring.bell(&device);
    let got = end.recv().expect("frame");
    assert_eq!(got[12..16], [0x81, 0x00, 0x60, 0x2a]);
    assert_eq!((&got[..12], &got[16..]), (&sent[..12], &sent[12..]));
}

#[test]
fn head_write_back() {
    let (world, device, _end) = bench(Chip::I210);
    let mut ring = Ring::transmit(&world, &device, 0, 64);
    let place = ring.buffer(63);
    device.write(tx(0) + 0x3c, (place >> 32) as u32);
    device.write(tx(0) + 0x38, place as u32 | 1);
    for number in 0..5 {
        ring.send(&device, &frame([2; 6], number, 60));
    }
    assert_eq!(ring.arena.read64(place).map(|head| head as u32), Some(5));
    assert_eq!(ring.words(0)[1] >> 32 & 1, 0, "no DD then");
}

#[test]
fn without_a_link_the_ring_stands_still() {
    let (world, device, end) = bench(Chip::I350);
    let mut ring = Ring::transmit(&world, &device, 0, 64);
    end.cut();
    ring.send(&device, &frame([2; 6], 1, 60));
    assert_eq!((device.read(tx(0) + 0x10), ring.words(0)[1] >> 32 & 1), (0, 0));
    end.join();
    wait_link(&device);
    assert_eq!(end.recv(), Some(frame([2; 6], 1, 60)));
}

#[test]
fn what_the_driver_does_wrong_is_named() {
    let (world, device, end) = bench(Chip::I210);
    let mut ring = Ring::transmit(&world, &device, 0, 64);
    let rule = |device: &Device| match &device.take_violations()[..] {
        [Violation::Descriptor { rule, .. }] => *rule,
        other => panic!("{other:?}"),
    };
    let sent = frame([2; 6], 1, 60);
    ring.queue(&sent, 0, 0, 59);
    ring.bell(&device);
    assert!(rule(&device).starts_with("PAYLEN"));
    ring.queue(&sent, 0, TXSM, 60);
    ring.bell(&device);
    assert_eq!(rule(&device), "offload without a context");
    ring.context(14 << 9 | 24, 1 << 10, 0);
    ring.queue(&tcp4(10), 0, TXSM, 64);
    ring.bell(&device);
    assert_eq!(rule(&device), "context: IPLEN contradicts the IPv4 header");
    ring.queue(&sent[..10], 0, 0, 10);
    ring.bell(&device);
    assert_eq!(rule(&device), "frame shorter than 17 bytes");
    device.write(tx(0) + 0x18, 64);
    assert!(matches!(device.take_violations()[..], [Violation::TailRange { tail: 64, len: 64, .. }]));
    let dma = end.recv_all().len();
    ring.put(0x1000, 0x2b30_0000 | 60 | u64::from(60_u32 << 14) << 32);
    ring.bell(&device);
    assert!(matches!(
        device.take_violations()[..],
        [Violation::DmaFault { iova: 0x1000, len: 60, write: false }]
    ));
    assert_eq!((device.dma_faults(), dma), (1, 2));
}

#[test]
fn the_loop_brings_frames_back() {
    for chip in CHIPS {
        let world = World::new();
        let device = world.add(chip);
        start(&device);
        device.write(0x0100, device.read(0x0100) | 1 << 6); // RCTL.LBM: MAC
        let mut receiver = Ring::receive(&world, &device, 0, 64, SRRCTL_ONE_BUFFER | 2);
        let mut sender = Ring::transmit(&world, &device, 0, 64);
        let sent = frame(device.mac(), 1, 100);
        sender.send(&device, &sent);
        assert_eq!(receiver.take().map(|(bytes, _)| bytes), Some(sent));
    }
}

/// Name, frame as a driver leaves it for the device, its context, and what the data descriptor asks for: DCMD, POPTS.
type Offloaded = (&'static str, Vec<u8>, [u32; 4], u32, u32);

fn offloaded() -> Vec<Offloaded> {
    let payload = 4000;
    let (v4, tcp) = (1 << 10, 1 << 11);
    let mut list = Vec::new();
    for (segment, mss) in [(0, 0), (TSE, 1200)] {
        let on = |len: u32| if mss == 0 { 0 } else { mss << 16 | len << 8 };
        let mut bytes = tcp4(if mss == 0 { 900 } else { payload });
        let len = if mss == 0 { 20 + 900 } else { 0 };
        bytes[24..26].fill(0);
        seed(&mut bytes, 26..34, 6, len, 50);
        list.push(("TCP/IPv4", bytes, [14 << 9 | 20, 0, v4 | tcp, on(20)], segment, IXSM | TXSM));
        let mut bytes = udp6(if mss == 0 { 900 } else { payload });
        let len = if mss == 0 { 8 + 900 } else { 0 };
        seed(&mut bytes, 22..54, 17, len, 60);
        list.push(("UDP/IPv6", bytes, [14 << 9 | 40, 0, 0, on(8)], segment, TXSM));
    }
    list
}

/// What one context gives: the frames, and whether the simulator objects.
fn try_context(
    bench: &(World, Device, WireEnd),
    ring: &mut Ring,
    frame: &[u8],
    context: [u32; 4],
    (command, popts): (u32, u32),
) -> (Vec<Vec<u8>>, Vec<Violation>) {
    let (_, device, end) = bench;
    let [dw0, dw1, dw2, dw3] = context.map(u64::from);
    ring.put(dw0 | dw1 << 32, (dw2 ^ 0x2020_0000) | dw3 << 32);
    let headers = if command & TSE == 0 {
        0
    } else if popts & IXSM != 0 {
        54
    } else {
        62
    };
    ring.queue(frame, command, popts, frame.len() - headers);
    ring.bell(device);
    (end.recv_all(), device.take_violations())
}

/// Every bit of a context that a frame depends on is judged: turned over, it is a violation, or other frames.
#[test]
fn no_bit_of_a_context_goes_unnoticed() {
    for chip in [Chip::I82576, Chip::I350, Chip::I210] {
        for (name, frame, context, command, popts) in offloaded() {
            let fresh = || {
                let bench = bench(chip);
                let ring = Ring::transmit(&bench.0, &bench.1, 0, 64);
                (bench, ring)
            };
            let (bench, mut ring) = fresh();
            let (good, broken) = try_context(&bench, &mut ring, &frame, context, (command, popts));
            assert_eq!(broken, [], "{chip} {name}");
            good.iter().for_each(|frame| check(frame));
            for bit in 0..128 {
                let (word, mask) = (bit / 32, 1_u32 << (bit % 32));
                let tag = word == 0 && bit >= 16;
                let launch = word == 1 && chip == Chip::I210 && bit % 32 < 25;
                // Without TSE a true L4LEN is as good as none: 8, for UDP.
                let true_len = command & TSE == 0 && popts == TXSM && (word, mask) == (3, 8 << 8);
                if tag || launch || true_len {
                    continue;
                }
                let mut context = context;
                context[word] ^= mask;
                // A context in another slot leaves slot 0 as it was: only a device that has none notices.
                let (got, broken) = if word == 3 && (4..7).contains(&(bit % 32)) {
                    let (bench, mut ring) = fresh();
                    try_context(&bench, &mut ring, &frame, context, (command, popts))
                } else {
                    try_context(&bench, &mut ring, &frame, context, (command, popts))
                };
                assert!(
                    got != good || !broken.is_empty(),
                    "{chip} {name} {command:#x} dword {word} {mask:#x}"
                );
                // Only MSS may pass as another wish; everything else contradicts the frame.
                let mss = word == 3 && bit % 32 >= 16 && command & TSE != 0;
                assert!(mss || !broken.is_empty(), "{chip} {name} {command:#x} dword {word} {mask:#x}");
            }
        }
    }
}

#[test]
fn a_wrong_seed_is_noticed() {
    for (name, mut frame, context, command, popts) in offloaded() {
        let bench = bench(Chip::I350);
        let mut ring = Ring::transmit(&bench.0, &bench.1, 0, 64);
        let at = if popts & IXSM != 0 { 50 } else { 60 };
        frame[at + 1] ^= 1;
        let (_, broken) = try_context(&bench, &mut ring, &frame, context, (command, popts));
        assert!(!broken.is_empty(), "{name}");
    }
}

#[test]
fn the_longest_frame_in_many_descriptors() {
    for chip in CHIPS {
        let (world, device, end) = bench(chip);
        let mut ring = Ring::transmit(&world, &device, 0, 64);
        let sent = frame([2; 6], 5, 9728 - 4);
        let total = u64::from((sent.len() as u32) << 14) << 32;
        let (at, command) = (ring.buffer(0), 0x2230_0000_u64);
        assert!(ring.arena.write(at, &sent));
        let piece = 301;
        let pieces: Vec<_> = sent.chunks(piece).map(|part| part.len() as u64).collect();
        for (number, len) in pieces.iter().enumerate() {
            let last = if number + 1 == pieces.len() { 0x0900_0000 } else { 0 };
            ring.put(at + (number * piece) as u64, command | last | len | total);
        }
        ring.bell(&device);
        assert_eq!(end.recv(), Some(sent), "{chip}");
        assert_eq!(device.violations(), []);
        // One byte more is no frame.
        ring.send(&device, &frame([2; 6], 5, 9728 - 3));
        assert_eq!((end.recv(), device.violations().len()), (None, 1));
    }
}
