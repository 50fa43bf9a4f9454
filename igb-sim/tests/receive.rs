//! Frames from the wire into rings: buffers, write-back, filters, counters, what happens without descriptors.

mod bench;

use bench::{CHIPS, Ring, SRRCTL_ONE_BUFFER, frame, rx, start, wait_link};
use igb_regs::Chip;
use igb_ring::Dma;
use igb_sim::{Device, WireEnd, World};

const BROADCAST: [u8; 6] = [0xff; 6];
const TWO_K: u32 = SRRCTL_ONE_BUFFER | 2;

fn bench(chip: Chip) -> (World, Device, WireEnd) {
    let world = World::new();
    let device = world.add(chip);
    let end = world.hold(&device);
    start(&device);
    wait_link(&device);
    (world, device, end)
}

#[test]
fn every_length_arrives_on_every_chip() {
    for chip in CHIPS {
        let (world, device, end) = bench(chip);
        let mut ring = Ring::receive(&world, &device, 0, 64, TWO_K);
        for len in 60..=1514 {
            let sent = frame(device.mac(), len as u32, len);
            assert!(end.send(&sent));
            let (got, status) = ring.take().unwrap_or_else(|| panic!("{chip} {len}"));
            assert_eq!(got, sent);
            assert_eq!(status & 0x83, 0x03, "DD and EOP, exact filter");
            device.write(rx(0) + 0x18, (ring.next + 63) % 64);
        }
        let octets: u64 = (60..=1514).map(|len| len + 4).sum();
        assert_eq!(device.read(0x4074), 1455, "GPRC");
        assert_eq!(u64::from(device.read(0x4088)) | u64::from(device.read(0x408c)) << 32, octets, "GORC");
        assert_eq!(device.read(0x4088), 0, "reading the high half cleared both");
        let buckets: Vec<u32> = (0..6).map(|bucket| device.read(0x405c + 4 * bucket)).collect();
        assert_eq!(buckets, [1, 63, 128, 256, 512, 495]);
        assert_eq!(device.counters().rx[0].frames, 1455);
        assert_eq!(device.violations(), []);
    }
}

#[test]
fn a_long_frame_takes_several_buffers() {
    let (world, device, end) = bench(Chip::I210);
    device.write(0x0100, device.read(0x0100) | 1 << 5); // LPE
    device.write(0x5004, 9000);
    let ring = Ring::receive(&world, &device, 0, 64, TWO_K);
    let sent = frame(device.mac(), 7, 5000);
    end.send(&sent);
    let parts: Vec<_> = (0..3).map(|index| ring.written(index)).collect();
    assert_eq!(parts.iter().map(|part| part.3).collect::<Vec<_>>(), [2048, 2048, 904]);
    assert_eq!(parts.iter().map(|part| part.2 & 3).collect::<Vec<_>>(), [1, 1, 3], "EOP on the last only");
    // Above RLPML, which counts the FCS.
    end.send(&frame(device.mac(), 8, 8997));
    assert_eq!(device.read(0x40ac), 1, "ROC");
    end.send(&frame(device.mac(), 8, 8996));
    assert_eq!(device.read(0x4074), 2);
}

#[test]
fn filters_take_what_they_should() {
    let (world, device, end) = bench(Chip::I350);
    let mut ring = Ring::receive(&world, &device, 0, 64, TWO_K);
    let mut arrives = |destination| {
        end.send(&frame(destination, 1, 100));
        ring.take().map(|(_, status)| status & 0x80 != 0) // PIF
    };
    let group = [0x01, 0, 0x5e, 0, 0, 0xfb];
    assert_eq!(arrives(BROADCAST), Some(false));
    assert_eq!(arrives([2, 9, 9, 9, 9, 9]), None);
    assert_eq!(arrives(group), None);
    // MTA: hash (a5 << 4 | a4 >> 4) & 0xfff, word hash >> 5, bit hash & 31.
    let hash = (0xfb_u32 << 4) & 0xfff;
    device.write(0x5200 + 4 * (hash >> 5), 1 << (hash & 31));
    assert_eq!(arrives(group), Some(true));
    // Entry 20 of the second address range.
    device.write(0x54e0 + 8 * 4, u32::from_le_bytes([2, 9, 9, 9]));
    device.write(0x54e0 + 8 * 4 + 4, 0x0000_0909);
    assert_eq!(arrives([2, 9, 9, 9, 9, 9]), None, "without AV");
    device.write(0x54e0 + 8 * 4 + 4, 0x8000_0909);
    assert_eq!(arrives([2, 9, 9, 9, 9, 9]), Some(false));
    device.write(0x0100, device.read(0x0100) | 1 << 3);
    assert_eq!(arrives([2, 8, 8, 8, 8, 8]), Some(true), "UPE");
    assert_eq!(device.counters().rx_filtered, 3);
    assert_eq!(device.read(0x40d0), 7, "TPR counts all");
    assert_eq!(device.read(0x4074), 4, "GPRC what was taken");
}

#[test]
fn vlan_is_filtered_and_stripped() {
    let (world, device, end) = bench(Chip::I82576);
    let ring = Ring::receive(&world, &device, 0, 64, TWO_K);
    let mut tagged = frame(device.mac(), 3, 100);
    tagged.splice(12..12, [0x81, 0x00, 0x60, 0x2a]);
    end.send(&tagged);
    assert_eq!(ring.written(0).3, 104, "neither filter nor stripping");
    device.write(0x0000, device.read(0x0000) | 1 << 30); // VME
    end.send(&tagged);
    let (_, _, status, len, tag) = ring.written(1);
    assert_eq!((status >> 3 & 1, len, tag), (1, 100, 0x602a));
    device.write(0x0100, device.read(0x0100) | 1 << 18); // VFE
    end.send(&tagged);
    assert_eq!(ring.written(2).2 & 1, 0, "VLAN 42 is not in VFTA");
    device.write(0x5600 + 4, 1 << 10); // 42 = word 1, bit 10
    end.send(&tagged);
    assert_eq!(ring.written(2).2 & 1, 1);
}

#[test]
fn bad_frames_are_counted() {
    let (world, device, end) = bench(Chip::I82580);
    let ring = Ring::receive(&world, &device, 0, 64, TWO_K);
    end.send_raw(&frame(BROADCAST, 1, 100), false);
    end.send_raw(&frame(BROADCAST, 1, 40), true);
    end.send_raw(&frame(BROADCAST, 1, 40), false);
    end.send_raw(&frame(BROADCAST, 1, 1600), true);
    end.send_raw(&frame(BROADCAST, 1, 1600), false);
    let counts = [0x4000, 0x40a4, 0x40a8, 0x40ac, 0x40b0, 0x4074].map(|offset| device.read(offset));
    assert_eq!(counts, [1, 1, 1, 1, 1, 0], "CRCERRS RUC RFC ROC RJC GPRC");
    assert_eq!(device.read(0x40d0), 5, "TPR");
    device.write(0x0100, device.read(0x0100) | 1 << 2); // SBP
    end.send_raw(&frame(BROADCAST, 1, 100), false);
    assert_eq!(ring.written(0).2 & 0x8000_0003, 0x8000_0003, "RXE");
}

#[test]
fn the_fcs_stays_without_secrc() {
    let (world, device, end) = bench(Chip::I210);
    device.write(0x0100, device.read(0x0100) & !(1 << 26));
    let mut ring = Ring::receive(&world, &device, 0, 64, TWO_K);
    end.send(&frame(device.mac(), 1, 60));
    let (got, _) = ring.take().expect("frame");
    assert_eq!(got.len(), 64);
    // The residue of Ethernet's CRC over a frame with its FCS.
    let crc = got.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0xedb8_8320 } else { 0 })
    });
    assert_eq!(crc, 0xdebb_20e3);
}

/// Without DROP_EN frames wait in the packet buffer, and what finds it full is missed; nothing is lost uncounted.
#[test]
fn without_descriptors_frames_wait_then_are_missed() {
    for chip in CHIPS {
        let (world, device, end) = bench(chip);
        let mut ring = Ring::receive(&world, &device, 0, 64, TWO_K);
        let sent: Vec<_> = (0..200).map(|number| frame(BROADCAST, number, 1000)).collect();
        for frame in &sent {
            end.send(frame);
        }
        let (waiting, bytes, capacity) = device.fifo();
        assert_eq!((bytes, waiting), (waiting * 1008, capacity / 1008), "{chip}: 1004 bytes in lines of 16");
        assert_eq!(device.read(0x40a0) as usize, 1, "RNBC: the head of the queue; the rest stand behind it");
        assert_eq!(device.read(0x4010) as usize, 200 - 63 - waiting, "MPC");
        assert_eq!(device.read(rx(0) + 0x30), 0, "RQDPC");
        let mut got = Vec::new();
        while got.len() < 63 + waiting {
            let Some((bytes, _)) = ring.take() else {
                device.write(rx(0) + 0x18, (ring.next + 63) % 64);
                continue;
            };
            got.push(bytes);
        }
        assert_eq!(got[..], sent[..got.len()], "{chip}: in order, none twice");
    }
}

#[test]
fn with_drop_en_the_queue_counts() {
    let (world, device, end) = bench(Chip::I350);
    let ring = Ring::receive(&world, &device, 0, 64, TWO_K | 1 << 31);
    for number in 0..100 {
        end.send(&frame(BROADCAST, number, 100));
    }
    assert_eq!(device.fifo().0, 0);
    assert_eq!((device.read(0x4010), device.read(0x40a0)), (0, 37), "MPC, RNBC");
    assert_eq!((device.read(rx(0) + 0x30), device.read(rx(0) + 0x30)), (37, 0), "RQDPC clears on read here");
    drop(ring);
}

#[test]
fn rqdpc_of_an_i210_wants_a_zero() {
    let (world, device, end) = bench(Chip::I210);
    let _ring = Ring::receive(&world, &device, 0, 64, TWO_K | 1 << 31);
    for number in 0..64 {
        end.send(&frame(BROADCAST, number, 100));
    }
    assert_eq!((device.read(rx(0) + 0x30), device.read(rx(0) + 0x30)), (1, 1));
    device.write(rx(0) + 0x30, 0);
    assert_eq!(device.read(rx(0) + 0x30), 0);
}

#[test]
fn pause_stops_the_partner() {
    let world = World::new();
    let (a, b) = (world.add(Chip::I210), world.add(Chip::I82576));
    world.wire(&a, &b);
    for device in [&a, &b] {
        start(device);
        device.write(0x0000, device.read(0x0000) | 3 << 27); // RFCE, TFCE
        device.write(0x0030, 0x8808); // FCT
        device.write(0x0170, 0xffff); // FCTTV
        device.write(0x2160, 0x8000_2000); // FCRTL, XONE
        device.write(0x2168, 0x4000); // FCRTH: 16 KB
    }
    wait_link(&a);
    let mut ring = Ring::receive(&world, &b, 0, 64, TWO_K);
    let mut sender = Ring::transmit(&world, &a, 0, 256);
    for number in 0..200 {
        sender.queue(&frame(BROADCAST, number, 1000), 0, 0, 1000);
    }
    sender.bell(&a);
    assert_eq!((b.read(0x4054), a.read(0x4050)), (1, 1), "XOFF sent and received");
    assert_eq!(a.read(0x0008) >> 4 & 1, 1, "STATUS.TXOFF");
    let mut got = 0;
    for _ in 0..10_000 {
        while ring.take().is_some() {
            got += 1;
            b.write(rx(0) + 0x18, (ring.next + 63) % 64);
        }
        world.advance(core::time::Duration::from_millis(1));
    }
    assert_eq!((got, b.read(0x4010)), (200, 0), "nothing missed");
}

#[test]
fn time_stamps_stand_before_the_frame() {
    let (world, device, end) = bench(Chip::I350);
    device.write(0xb620, 1 << 4 | 4 << 1); // TSYNCRXCTL: all packets
    let ring = Ring::receive(&world, &device, 0, 64, TWO_K | 1 << 30);
    end.send(&frame(BROADCAST, 1, 60));
    let (_, _, status, len, _) = ring.written(0);
    assert_eq!((status >> 15 & 1, len), (1, 76), "TSIP");
    let mut bytes = [0; 16];
    assert!(ring.arena.read(ring.buffer(0), &mut bytes));
    let stamp = u64::from_le_bytes(bytes[8..].try_into().unwrap());
    assert_eq!(bytes[..8], [0; 8]);
    assert_eq!(u128::from(stamp), world.now().as_nanos());
}

/// Puts a frame of `len` bytes through buffers as SRRCTL has them; the lengths of the parts, and the whole.
fn parts(chip: Chip, kilobytes: u32, len: usize) -> (Vec<usize>, bool) {
    let (world, device, end) = bench(chip);
    device.write(0x0100, device.read(0x0100) | 1 << 5); // LPE
    device.write(0x5004, 9728);
    let ring = Ring::receive(&world, &device, 0, 64, SRRCTL_ONE_BUFFER | kilobytes);
    let sent = frame(device.mac(), 7, len);
    assert!(end.send(&sent));
    let (mut lens, mut got) = (Vec::new(), Vec::new());
    for index in 0..ring.len {
        let (_, _, status, len, _) = ring.written(index);
        assert_eq!(status & 1, 1, "{chip} {kilobytes} KB descriptor {index}");
        let mut bytes = vec![0; len];
        assert!(ring.arena.read(ring.buffer(index), &mut bytes));
        got.extend(bytes);
        lens.push(len);
        if status & 2 != 0 {
            break;
        }
    }
    assert_eq!(device.violations(), []);
    (lens, got == sent)
}

#[test]
fn buffers_of_one_to_sixteen_kilobytes_take_the_longest_frame() {
    for chip in CHIPS {
        let sizes: &[usize] = if chip == Chip::I210 {
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
        } else {
            &[1, 2, 16]
        };
        for kilobytes in sizes {
            let longest = 9728 - 4;
            let (lens, same) = parts(chip, *kilobytes as u32, longest);
            assert!(same, "{chip} {kilobytes} KB");
            assert_eq!(lens.len(), longest.div_ceil(kilobytes * 1024));
            assert!(lens.iter().rev().skip(1).all(|len| *len == kilobytes * 1024));
        }
        assert_eq!(parts(chip, 1, 1024).0, [1024], "a full buffer is no reason for a second");
        assert_eq!(parts(chip, 1, 1025).0, [1024, 1]);
    }
}

fn tcp4(payload: usize, to: [u8; 6]) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([4; 6], to)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(1, 2, 3, 4);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &vec![0x77; payload]).expect("packet");
    bytes
}

#[test]
fn headers_are_split() {
    const TCP4: u32 = 1 << 2;
    for chip in CHIPS {
        let (world, device, end) = bench(chip);
        device.write(0x5480, TCP4);
        // 128 bytes of header buffer, 2 KB of packet buffer.
        let mut ring = Ring::receive(&world, &device, 0, 64, 1 << 25 | 2);
        let headers = world.arena().alloc(64 * 128, 128).expect("memory").iova;
        device.write(rx(0) + 0x18, 0);
        device.write(rx(0) + 0x28, 0);
        world.advance(core::time::Duration::from_millis(1));
        for index in 0..64_u64 {
            assert!(ring.arena.write64(ring.base + 16 * index + 8, headers + 128 * index));
        }
        device.write(rx(0) + 0xc, 2 << 25 | 2 << 8 | 2);
        device.write(rx(0) + 0x28, 1 << 25);
        world.advance(core::time::Duration::from_millis(1));
        device.write(rx(0) + 0x18, 63);

        let sent = tcp4(700, device.mac());
        assert!(end.send(&sent));
        let (info, _, status, len, _) = ring.written(0);
        assert_eq!((info >> 31, info >> 21 & 0x3ff, status & 3, len), (1, 54, 3, 700), "{chip}");
        let (mut front, mut back) = (vec![0; 54], vec![0; 700]);
        assert!(ring.arena.read(headers, &mut front) && ring.arena.read(ring.buffer(0), &mut back));
        assert_eq!([front, back].concat(), sent);

        // A header alone: nothing in the packet buffer.
        assert!(end.send_raw(&tcp4(6, device.mac()), true));
        let (info, _, status, len, _) = ring.written(1);
        assert_eq!((info >> 31, info >> 21 & 0x3ff, status & 3, len), (1, 54, 3, 6));

        // Not of a type that PSRTYPE names: whole.
        assert!(end.send(&frame(device.mac(), 9, 300)));
        let (info, _, status, len, _) = ring.written(2);
        assert_eq!((info >> 31, info >> 21 & 0x3ff, status & 3, len), (0, 0, 3, 300));
        assert_eq!(device.violations(), []);
        ring.next = 3;
    }
}

#[test]
fn a_header_too_long_is_not_split() {
    let (world, device, end) = bench(Chip::I350);
    device.write(0x5480, 1 << 2);
    let ring = Ring::receive(&world, &device, 0, 64, 1 << 25 | 2);
    device.write(rx(0) + 0x28, 0);
    world.advance(core::time::Duration::from_millis(1));
    for index in 0..64_u64 {
        assert!(ring.arena.write64(ring.base + 16 * index + 8, ring.buffer(63)));
    }
    device.write(rx(0) + 0xc, 2 << 25 | 1 << 8 | 2); // 64 bytes
    device.write(rx(0) + 0x28, 1 << 25);
    world.advance(core::time::Duration::from_millis(1));
    device.write(rx(0) + 0x18, 63);
    let mut sent = tcp4(100, device.mac());
    sent[46] = 15 << 4; // a TCP header of 60 bytes: 94 in all
    assert!(end.send(&sent));
    let (info, _, status, len, _) = ring.written(0);
    assert_eq!((info >> 31, info >> 21 & 0x3ff, status >> 23 & 1, len), (1, 94, 1, sent.len()), "HBO");
    // A header buffer that cannot be, and a type that is not modelled.
    for (srrctl, text) in [(2 << 25 | 2, "BSIZEHEADER"), (3 << 25 | 2, "DESCTYPE")] {
        device.write(rx(0) + 0x28, 0);
        world.advance(core::time::Duration::from_millis(1));
        device.take_violations();
        device.write(rx(0) + 0xc, srrctl);
        device.write(rx(0) + 0x28, 1 << 25);
        let broken = device.take_violations();
        assert!(broken.iter().any(|one| one.to_string().contains(text)), "{broken:?}");
    }
}
