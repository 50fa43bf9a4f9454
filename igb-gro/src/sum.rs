//! The Internet's checksum: RFC 1071.

/// A one's complement sum that is not folded yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds bytes as big-endian words; an odd last byte is the high half of one.
    pub(crate) fn add(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.0 += u64::from(u32::from_be_bytes(*word));
        }
        let mut last = [0; 4];
        for (place, byte) in last.iter_mut().zip(rest) {
            *place = *byte;
        }
        self.0 += u64::from(u32::from_be_bytes(last));
        self
    }

    /// Adds one word.
    pub(crate) fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word))
    }

    /// The folded sum, not complemented: what a device is given as a seed.
    pub(crate) fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// The checksum that goes into a header.
    pub(crate) fn checksum(self) -> u16 {
        !self.fold()
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().add(&bytes).fold(), 0xddf2);
        assert_eq!(Sum::default().add(&bytes).checksum(), !0xddf2);
    }

    #[test]
    fn an_odd_byte_is_a_high_half() {
        for len in 0..9_u8 {
            let bytes: std::vec::Vec<u8> = (1..=len).collect();
            let mut even = bytes.clone();
            if even.len() % 2 == 1 {
                even.push(0);
            }
            let words =
                even.chunks(2).fold(0_u32, |sum, pair| sum + u32::from(pair[0]) * 256 + u32::from(pair[1]));
            assert_eq!(u32::from(Sum::default().add(&bytes).fold()), words);
        }
    }
}
