//! Frames over several buffers, both ways, and frames that the device cuts into segments.

use super::{close, open, open_as};
use crate::drive::PATIENCE;
use crate::{Bed, frames};
use igb::ring::{Ip, L4};
use igb::{
    Action, ChainAction, Config, Exclusive, Frames, Memory, Platform, Port, Queue, Queues, RxChain, RxMeta,
    TxOffload,
};

/// Longest frame here, without FCS: what an MTU of 9,000 makes.
const LONGEST: u16 = 9014;

/// Sends every frame back, however many buffers it has, and remembers it.
#[derive(Default)]
struct Echo {
    seen: Vec<Vec<u8>>,
    chains: u32,
}

impl<C: Exclusive> Frames<C> for Echo {
    fn frame(&mut self, frame: C, _: RxMeta<'_>) -> Action<C> {
        self.seen.push(frame.bytes().to_vec());
        Action::Transmit(frame)
    }
    fn chain(&mut self, chain: &mut RxChain<'_, C>, _: RxMeta<'_>) -> ChainAction {
        let mut bytes = vec![0; chain.bytes_len() as usize];
        assert_eq!(chain.copy_to(&mut bytes), bytes.len());
        self.seen.push(bytes);
        self.chains += 1;
        ChainAction::Transmit
    }
}

/// Frames of up to 9,014 bytes come in buffers of 2 KiB, whole, and leave again as they came.
pub fn large_frames_as_chains<B: Bed>(bed: &B) {
    let config = Config::default().chains(LONGEST);
    let (control, mut queues) = open_as(bed, 0, Queues::combined(1).rings(64, 64), config);
    let own = control.address().0;
    let lengths = [60, 2047, 2048, 2049, 4096, 4097, 6000, 6144, 9000, usize::from(LONGEST)];
    let mut echo = Echo::default();
    for round in 0..20 {
        for (n, len) in lengths.iter().enumerate() {
            let sent = frames::numbered(own, round * 100 + n as u32, *len);
            assert!(bed.send(0, &sent));
            for _ in 0..PATIENCE {
                queues[0].poll_frames(64, &mut (), &mut echo).unwrap_or_else(|error| panic!("poll: {error}"));
                if !echo.seen.is_empty() {
                    break;
                }
                bed.tick();
            }
            assert!(echo.seen.pop().as_ref() == Some(&sent), "a frame of {len} bytes, received");
            assert!(arrival(bed).as_ref() == Some(&sent), "a frame of {len} bytes, sent again");
        }
    }
    let stats = queues[0].stats();
    assert_eq!((stats.received, stats.sent, stats.lost, stats.rx.bad()), (200, 200, 0, 0));
    assert_eq!(echo.chains, 7 * 20);

    // A program that wants frames in one buffer only sees those, and the others are counted.
    assert!(bed.send(0, &frames::numbered(own, 1, 5000)) && bed.send(0, &frames::numbered(own, 2, 100)));
    let seen = crate::drive::collect(bed, &mut queues, 1);
    assert_eq!(seen, [frames::numbered(own, 2, 100)]);
    let stats = queues[0].stats();
    assert_eq!((stats.rx.chains, stats.rx.chained, stats.received), (1, 3, 201));
    close(bed, (control, queues));
}

/// Frames in 1 to 12 buffers, and out of parts of one buffer, leave as one frame each; all buffers come home.
pub fn gathered_frames<B: Bed>(bed: &B) {
    let (control, mut queues) = open(bed, 0, Queues::combined(1).rings(64, 64));
    let queue = &mut queues[0];
    let (mut parts, plain) = (Vec::new(), TxOffload::default());
    for n in 0..200usize {
        let whole = frames::numbered([0x02, 0, 0, 0, 0, 9], n as u32, 60 + n * 97 % 1455);
        if n % 5 == 4 {
            // Out of order in memory, in order on the cable.
            let (front, back) = whole.split_at(20);
            let buffer = buffer(queue, &[back, front].concat());
            let (end, at) = (whole.len() as u16, back.len() as u16);
            let sent = queue.tx.send_parts(buffer, &[at..end, 0..at / 2, at / 2..at], &plain);
            assert!(sent.is_ok(), "each frame left before the next");
        } else {
            let size = whole.len().div_ceil(1 + n % 12);
            for piece in whole.chunks(size) {
                parts.push(buffer(queue, piece));
            }
            queue.tx.send_gather(&mut parts, &plain).unwrap_or_else(|refused| panic!("{refused}"));
            assert!(parts.is_empty());
        }
        Port::flush(&mut queue.tx);
        assert!(arrival(bed).as_ref() == Some(&whole), "frame {n} of {} bytes", whole.len());
        settle(bed, queue);
    }
    assert_eq!(queue.stats().sent, 200);
    close(bed, (control, queues));
}

/// TCP frames of up to 32 KiB leave as segments, over IPv4 with options and over IPv6: headers, sequence numbers, lengths
/// and checksums of each are right, and together they are the payload.
pub fn segments<B: Bed>(bed: &B) {
    let (control, mut queues) = open(bed, 0, Queues::combined(1).rings(64, 64));
    let queue = &mut queues[0];
    for (n, version, options) in [(0, Ip::V4, 0), (1, Ip::V4, 4), (2, Ip::V6, 0), (3, Ip::V4, 8)] {
        for (mss, len) in [(1000u16, 1000usize), (1000, 1001), (536, 7000), (1432, 20_000), (1432, 32_000)] {
            let payload: Vec<u8> = (0..len).map(|i| (i * 7 + n + len) as u8).collect();
            let (frame, offload) = tcp(version, options, mss, &payload);
            // In one buffer the headers, in the others the rest.
            let head = frame.len() - len;
            let mut parts = vec![buffer(queue, &frame[..head])];
            for piece in payload.chunks(1500) {
                parts.push(buffer(queue, piece));
            }
            queue.tx.send_gather(&mut parts, &offload).unwrap_or_else(|refused| panic!("{refused}"));
            Port::flush(&mut queue.tx);
            let mut seen = Vec::<u8>::new();
            for n in 0..len.div_ceil(mss.into()) {
                let segment = arrival(bed).unwrap_or_else(|| panic!("segment {n} of {len} bytes"));
                let total = match version {
                    Ip::V4 => usize::from(u16::from_be_bytes([segment[16], segment[17]])),
                    Ip::V6 => usize::from(u16::from_be_bytes([segment[18], segment[19]])) + 40,
                };
                let ip = &segment[14..14 + total];
                let ip_len = usize::from(offload.ip_len);
                if version == Ip::V4 {
                    assert_eq!(sum(&ip[..ip_len], 0), 0xffff, "IPv4 checksum of segment {n}");
                }
                let addresses = if version == Ip::V4 { &ip[12..20] } else { &ip[8..40] };
                let transport = &ip[ip_len..];
                let pseudo = u32::from(sum(addresses, 6 + transport.len() as u32));
                assert_eq!(sum(transport, pseudo), 0xffff, "TCP checksum of segment {n}");
                let sequence = u32::from_be_bytes(transport[4..8].try_into().expect("four bytes"));
                assert_eq!(sequence, 1000 + seen.len() as u32, "segment {n}");
                seen.extend(&transport[usize::from(offload.l4_len)..]);
                let last = seen.len() == len;
                // QEMU's device takes them off the last segment too.
                assert!(last || transport[13] & 0x09 == 0, "FIN and PSH are the last segment's");
                assert!(seen.len() - (sequence - 1000) as usize == usize::from(mss) || last);
            }
            assert!(seen == payload, "{len} bytes by {mss}");
            settle(bed, queue);
        }
    }
    close(bed, (control, queues));
}

/// Ethernet, IP with that many bytes of options, TCP with twelve; lengths and sums as the device wants to find them.
fn tcp(version: Ip, options: usize, mss: u16, payload: &[u8]) -> (Vec<u8>, TxOffload) {
    let mut frame = vec![0x02, 0, 0, 0, 0, 9, 0x02, 0, 0, 0, 0, 8];
    let ip_len = match version {
        Ip::V4 => {
            frame.extend([0x08, 0x00, 0x45 + (options / 4) as u8, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0]);
            frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
            frame.extend(vec![1; options]); // no operation
            20 + options as u16
        }
        Ip::V6 => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 6, 64]);
            frame.extend([0xfd; 16]);
            frame.extend([0xfe; 16]);
            40
        }
    };
    let addresses = if version == Ip::V4 { &frame[26..34] } else { &frame[22..54] };
    let seed = sum(addresses, 6); // without the length: each segment has its own
    frame.extend([0x10, 0x00, 0x20, 0x00, 0, 0, 0x03, 0xe8, 0, 0, 0, 1, 8 << 4, 0x19, 0x10, 0x00]);
    frame.extend(seed.to_be_bytes());
    frame.extend([0, 0, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
    frame.extend(payload);
    let offload = TxOffload {
        ip: Some(version),
        ip_len,
        ip_checksum: version == Ip::V4,
        l4: Some(L4::Tcp),
        l4_len: 32,
        mss,
        ..TxOffload::default()
    };
    (frame, offload)
}

/// The ones' complement sum, not inverted.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum = bytes.chunks(2).map(word).fold(start, |sum, word| sum + word);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn buffer<P: Platform, M: Memory<Buf: Exclusive>>(queue: &mut Queue<P, M>, bytes: &[u8]) -> M::Buf {
    let mut buffer = queue.rx.memory().take().expect("a buffer is free");
    assert!(buffer.set(bytes));
    buffer
}

/// Until all that was sent came home.
fn settle<B: Bed, M: Memory>(bed: &B, queue: &mut Queue<B::Platform, M>) {
    for _ in 0..PATIENCE {
        queue.clean().unwrap_or_else(|error| panic!("clean: {error}"));
        if queue.finish.pending() == 0 {
            return;
        }
        bed.tick();
    }
    panic!("{} descriptors were not reported", queue.finish.pending());
}

fn arrival<B: Bed>(bed: &B) -> Option<Vec<u8>> {
    (0..PATIENCE / 20).find_map(|_| {
        let frame = bed.receive(0);
        if frame.is_none() {
            bed.tick();
        }
        frame
    })
}
