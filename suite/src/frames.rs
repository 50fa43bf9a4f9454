//! Frames that a test can tell apart.

/// Destination, source, EtherType.
pub const HEADER: usize = 14;

/// A frame of `len` bytes to `to`, with its number and a pattern that follows from it. The EtherType is the one for
/// experiments, so no filter or checksum unit looks inside.
pub fn numbered(to: [u8; 6], number: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![0; len.max(18)];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&[0x02, 0, 0, 0, 0xee, 0xee]);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame[14..18].copy_from_slice(&number.to_be_bytes());
    let mut state = number | 1;
    for byte in &mut frame[18..] {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    frame
}

/// The number of a frame made by [`numbered`].
pub fn number(frame: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(frame.get(14..18)?.try_into().ok()?))
}

/// A UDP datagram of one flow, which has a source address and a source port of its own: what RSS spreads.
pub fn flow(to: [u8; 6], source_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(to);
    frame.extend([0x02, 0, 0, 0, 0xee, 0xee, 0x08, 0x00]);
    let total = (20 + 8 + payload.len()) as u16;
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    ip[14..16].copy_from_slice(&source_port.to_be_bytes());
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    let sum = ip.chunks(2).fold(0u32, |sum, pair| sum + u32::from(pair[0]) * 256 + u32::from(pair[1]));
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    frame.extend(source_port.to_be_bytes());
    frame.extend([0x23, 0x28]);
    frame.extend((8 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// The source port of a frame made by [`flow`].
pub fn source_port(frame: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(34..36)?.try_into().ok()?))
}

/// Every length from 60 to 1514, in an order that mixes short and long.
pub fn lengths() -> impl Iterator<Item = usize> + Clone {
    (0..1455usize).map(|n| 60 + n * 617 % 1455).cycle()
}

#[cfg(test)]
mod tests {
    #[test]
    fn lengths_cover_every_length_once_in_a_round() {
        let mut round: Vec<_> = super::lengths().take(1455).collect();
        round.sort_unstable();
        assert!(round.iter().copied().eq(60..=1514));
    }
}
