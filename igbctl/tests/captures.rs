//! Capture files: what we write, others read; what others write, we read; and nothing makes the reader panic.

use igbctl::capture::{Error, Record, SAMPLE, Writer, parse};
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, PcapNGReader};
use proptest::prelude::*;

/// The frames as `pcap-parser`'s own reader of streams sees them.
fn foreign(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut reader = PcapNGReader::new(1 << 20, file).unwrap();
    let mut frames = Vec::new();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                match block {
                    PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
                        assert_eq!((block.linktype.0, block.ts_resolution()), (1, Some(1_000_000_000)));
                        assert_eq!(block.if_name().unwrap().unwrap(), "sim:/0");
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
                        let (seconds, nanos) = block.decode_ts(0, 1_000_000_000);
                        let nanos = u64::from(seconds) * 1_000_000_000 + u64::from(nanos);
                        assert_eq!(block.orig_len() as usize, block.packet_data().len());
                        frames.push((nanos, block.packet_data().to_vec()));
                    }
                    _ => {}
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => return frames,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_by_us_and_by_others(
        frames in prop::collection::vec((0u64..4_000_000_000_000_000_000, prop::collection::vec(any::<u8>(), 0..1600)), 0..20),
    ) {
        let mut file = Writer::new(Vec::new(), "sim:/0").unwrap();
        for (nanos, bytes) in &frames {
            file.frame(*nanos, bytes).unwrap();
        }
        prop_assert_eq!(file.frames(), frames.len() as u64);
        let file = file.finish().unwrap();
        prop_assert_eq!(&foreign(&file), &frames);
        let records: Vec<_> = frames
            .into_iter()
            .map(|(nanos, bytes)| Record { nanos, wire_len: bytes.len() as u32, bytes })
            .collect();
        prop_assert_eq!(parse(&file), Ok(records));
    }

    #[test]
    fn any_end_is_noticed_or_is_between_two_frames(cut in 0..SAMPLE.len()) {
        let whole = parse(SAMPLE).unwrap();
        match parse(&SAMPLE[..cut]) {
            Ok(records) => prop_assert_eq!(&records[..], &whole[..records.len()]),
            Err(Error::Truncated { offset, .. }) => prop_assert!(offset <= cut as u64),
            Err(Error::Empty(len)) => prop_assert!(len < 4),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}

/// The beginnings of the files that the reader knows.
fn beginning() -> impl Strategy<Value = Vec<u8>> {
    let pcap = |magic: u32| {
        let words: Vec<u32> = vec![magic, 0x0004_0002, 0, 0, 65_535, 1];
        words.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>()
    };
    prop_oneof![
        Just(Vec::new()),
        Just(pcap(0xa1b2_c3d4)),
        Just(pcap(0xa1b2_3c4d)),
        Just(pcap(0xa1b2_cd34)),
        Just(vec![0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1]),
        Just(SAMPLE[..96].to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(mut file in beginning(), rest in prop::collection::vec(any::<u8>(), 0..200)) {
        file.extend(rest);
        let _ = parse(&file);
    }

    #[test]
    fn a_file_with_wrong_bytes_never_panics(
        changes in prop::collection::vec((0usize..1200, any::<u8>()), 1..6),
    ) {
        let mut file = SAMPLE[..1200].to_vec();
        for (at, byte) in changes {
            file[at] = byte;
        }
        let _ = parse(&file);
    }
}

#[test]
fn big_endian_sections_and_simple_packets() {
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = (body.len() as u32 + 12).to_be_bytes();
        [&kind.to_be_bytes()[..], &length, &body, &length].concat()
    };
    let mut file =
        block(0x0A0D_0D0A, &[0x1A, 0x2B, 0x3C, 0x4D, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    // Ethernet, cut to 16 bytes, milliseconds, ten seconds later
    let interface =
        [0, 1, 0, 0, 0, 0, 0, 16, 0, 9, 0, 1, 3, 0, 0, 0, 0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0];
    file.extend(block(1, &interface));
    file.extend(block(3, &[&[0, 0, 0, 20][..], &[7; 16]].concat()));
    file.extend(block(
        6,
        &[&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 3][..], &[1, 2, 3]].concat(),
    ));
    let records = parse(&file).unwrap();
    assert_eq!(records[0], Record { nanos: 0, bytes: vec![7; 16], wire_len: 20 });
    assert_eq!(records[1], Record { nanos: 10_005_000_000, bytes: vec![1, 2, 3], wire_len: 3 });
}

#[test]
fn a_frame_of_an_interface_that_is_not_there() {
    let mut file = Writer::new(Vec::new(), "sim:/0").unwrap();
    file.frame(1, &[0; 60]).unwrap();
    let mut file = file.finish().unwrap();
    let at = file.len() - (60 + 32);
    file[at + 8] = 1;
    assert_eq!(parse(&file), Err(Error::Malformed { offset: at as u64, what: "frame" }));
}
