//! Frames of the network, merged and cut back: none may be lost, whatever they say.

#![no_main]

use igb_gro::{Checked, Fill, Gro, Packet, Split};

fn cut(packet: &Packet<'_, Vec<u8>, 46>) -> usize {
    let bytes: Vec<u8> = packet.parts().flatten().copied().collect();
    let (Some(segments), Some(place)) = (
        packet.segments(),
        packet.header().work(&bytes).expect("a merged packet is one that can be cut").checksum,
    ) else {
        assert_eq!(packet.frames(), 1);
        return 1;
    };
    let mut split = Split::new(&bytes, segments, place, Fill::Whole).expect("as above");
    let mut buffer = vec![0; split.longest()];
    let mut count = 0;
    while let Some(len) = split.next_into(&mut buffer) {
        assert!(len.expect("it has the length that was asked for") <= buffer.len());
        count += 1;
    }
    assert_eq!(count, packet.frames());
    count
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut gro: Gro<Vec<u8>, 2> = Gro::new().with_udp();
    let (mut sent, mut back) = (0, 0);
    let mut rest = input;
    // One byte of command, one of length, then the frame.
    while let Some(([command, len], tail)) = rest.split_first_chunk() {
        let (frame, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let checked = if command & 1 == 0 { Checked::ByDevice } else { Checked::Not };
        // Several in a row, since two equal ones are never two segments of one flow: the sequence goes on.
        let mut frame = frame.to_vec();
        for _ in 0..=command >> 1 & 3 {
            gro.push(frame.clone(), checked, |packet| back += cut(&packet));
            sent += 1;
            let at = if frame.get(12) == Some(&0x86) { 54 } else { 34 };
            let payload = frame.len().saturating_sub(at + 20) as u32;
            if let Some(word) = frame.get_mut(at + 4..).and_then(|rest| rest.first_chunk_mut::<4>()) {
                *word = u32::from_be_bytes(*word).wrapping_add(payload).to_be_bytes();
            }
            if let Some(id) = frame.get_mut(18..).and_then(|rest| rest.first_chunk_mut::<2>()) {
                *id = u16::from_be_bytes(*id).wrapping_add(u16::from(command & 8 != 0)).to_be_bytes();
            }
        }
        if command & 0x80 != 0 {
            gro.flush(|packet| back += cut(&packet));
        }
    }
    gro.flush(|packet| back += cut(&packet));
    assert_eq!(sent, back);
});
