//! A header and a large frame that another process wrote into a TAP.

#![no_main]

use igb_gro::{Fill, Split, VnetHeader};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(header) = VnetHeader::from_bytes(input) else { return };
    let frame = &input[VnetHeader::LEN..];
    let Ok(work) = header.work(frame) else { return };
    let Some(place) = work.checksum else { return };
    place.finish(&mut frame.to_vec()).expect("the place was checked");
    let Some(segments) = work.segments else { return };
    for fill in [Fill::Whole, Fill::Seed] {
        let Ok(mut split) = Split::new(frame, segments, place, fill) else { continue };
        let (mut left, mut bytes) = (split.left(), 0);
        let mut buffer = vec![0; split.longest()];
        let headers = buffer.len() - usize::from(segments.size).min(buffer.len());
        while let Some(len) = split.next_into(&mut buffer) {
            bytes += len.expect("it has the length that was asked for");
            left -= 1;
            assert_eq!(split.left(), left);
        }
        assert!(bytes >= frame.len() && headers <= frame.len());
    }
});
