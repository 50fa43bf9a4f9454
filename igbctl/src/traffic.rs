//! Frames out of nothing: UDP over IPv4 of one length, in as many flows as wanted.

use igb::{Buffer, Chunk, Exclusive, MacAddress};

/// Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 14 + 20 + 8;
const CHECKSUM: core::ops::Range<usize> = 24..26;
/// The lower half of the source address: what tells flows apart, for a hash over addresses too.
const FLOW: core::ops::Range<usize> = 28..30;
const NUMBER: core::ops::Range<usize> = HEADERS..HEADERS + 8;

/// Makes frame after frame. Each carries its number behind its headers.
#[derive(Debug, Clone)]
pub(crate) struct Generator {
    template: Vec<u8>,
    /// IPv4 checksum of flow 0.
    checksum: u16,
    flows: u16,
    number: u64,
}

impl Generator {
    /// Frames of `length` bytes (60 to 1514, without FCS) whose source addresses tell `flows` flows apart.
    pub(crate) fn new(from: MacAddress, to: MacAddress, length: u16, flows: u16) -> Self {
        let length = length.clamp(60, 1514);
        let mut frame = Vec::with_capacity(length.into());
        frame.extend(to.0);
        frame.extend(from.0);
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0]);
        frame.extend((length - 14).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        frame.extend([198, 18, 0, 0, 198, 19, 0, 1]); // the prefix for measurements (RFC 2544)
        let checksum = checksum(frame.get(14..34).unwrap_or(&[]));
        frame.extend([0, 9, 0, 9]); // discard
        frame.extend((length - 34).to_be_bytes());
        frame.extend([0, 0]); // no UDP checksum
        frame.resize(length.into(), 0);
        Self { template: frame, checksum, flows: flows.max(1), number: 0 }
    }

    /// Writes the next frame into `buffer`.
    pub(crate) fn fill(&mut self, buffer: &mut Buffer) -> bool {
        let flow = (self.number % u64::from(self.flows)) as u16;
        let checksum = !fold(u32::from(!self.checksum) + u32::from(flow));
        for (place, value) in [(FLOW, flow), (CHECKSUM, checksum)] {
            if let Some(field) = self.template.get_mut(place) {
                field.copy_from_slice(&value.to_be_bytes());
            }
        }
        if let Some(field) = self.template.get_mut(NUMBER) {
            field.copy_from_slice(&self.number.to_be_bytes());
        }
        buffer.rewind();
        let done = buffer.set(&self.template);
        self.number += u64::from(done);
        done
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    };
    !fold(bytes.chunks(2).map(word).sum())
}

/// A sum of 16-bit words in ones' complement.
fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use igb::Pool;
    use igb::ring::{Arena, Memory};

    #[test]
    fn frames_are_what_other_programs_call_udp() {
        let dma = Arena::anonymous(1 << 20, 0).unwrap();
        let mut local = Pool::new(&dma, 8, 2304).unwrap().local();
        for length in [60, 61, 1514] {
            let mut generator =
                Generator::new(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([0xff; 6]), length, 4);
            for number in 0..6u64 {
                let mut buffer = local.take().unwrap();
                assert!(generator.fill(&mut buffer));
                let frame = buffer.bytes().to_vec();
                local.give(buffer);
                let packet = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
                let Some(etherparse::TransportSlice::Udp(udp)) = packet.transport else { panic!("no UDP") };
                assert_eq!(udp.payload()[..8], number.to_be_bytes());
                assert_eq!(frame.len(), usize::from(length));
                let header = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0;
                assert_eq!(header.header_checksum, header.calc_header_checksum());
                assert_eq!(header.source, [198, 18, 0, (number % 4) as u8]);
            }
        }
    }
}
