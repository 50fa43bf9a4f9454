//! Reading pcap and pcapng, with `pcap-parser` for the blocks and an offset for every complaint.
//!
//! The whole file is in memory, so that a block is what its length says and nothing is read twice.

use super::{Error, Record};
use crate::failure::Failure;
use pcap_parser::nom::{Err as Nom, IResult};
use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le, parse_sectionheaderblock};
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{
    LegacyPcapBlock, PcapError, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
    parse_pcap_header,
};
use std::io::Read;
use std::path::Path;

/// The most that is read into memory.
const MOST: u64 = 1 << 30;

/// pcapng's first block type, the same from both ends.
const SECTION: u32 = 0x0A0D_0D0A;

/// Ethernet, in both formats.
const ETHERNET: i32 = 1;

/// Reads a file's frames.
pub(crate) fn read_file(path: &Path) -> Result<Vec<Record>, Failure> {
    let file = std::fs::File::open(path).map_err(|error| Failure::file(path, error))?;
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| Failure::file(path, error))?;
    if bytes.len() as u64 > MOST {
        return Err(Failure::Capture { path: path.into(), error: Error::TooLarge(MOST >> 20) });
    }
    parse(&bytes).map_err(|error| Failure::Capture { path: path.into(), error })
}

/// The frames of a capture file's content.
///
/// # Errors
/// [`Error`]: what is wrong with it, and where.
///
/// ```
/// let records = igbctl::capture::parse(igbctl::capture::SAMPLE)?;
/// assert!(records.len() > 100);
/// # Ok::<(), igbctl::capture::Error>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    let Some(magic) = bytes.first_chunk().map(|magic| u32::from_le_bytes(*magic)) else {
        return Err(Error::Empty(bytes.len() as u64));
    };
    if magic == SECTION { sections(bytes) } else { legacy(bytes, magic) }
}

/// A part of the file: what is left, and where that begins.
struct Cursor<'a> {
    file: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn offset(&self) -> u64 {
        (self.file.len() - self.rest.len()) as u64
    }

    fn take<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&'a [u8]) -> IResult<&'a [u8], T, PcapError<&'a [u8]>>,
    ) -> Result<T, Error> {
        let offset = self.offset();
        match parse(self.rest) {
            // A parser that takes nothing would be asked for ever.
            Ok((rest, _)) if rest.len() >= self.rest.len() => Err(Error::Malformed { offset, what }),
            Ok((rest, value)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(Nom::Incomplete(_)) => Err(Error::Truncated { offset, what }),
            Err(Nom::Error(_) | Nom::Failure(_)) => Err(Error::Malformed { offset, what }),
        }
    }
}

fn legacy(bytes: &[u8], magic: u32) -> Result<Vec<Record>, Error> {
    if !matches!(magic, 0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34 | 0xd4c3_b2a1 | 0x4d3c_b2a1) {
        return Err(Error::NotACapture(magic));
    }
    let mut cursor = Cursor { file: bytes, rest: bytes };
    let header = cursor.take("header", parse_pcap_header)?;
    // The upper bits say whether frames end with an FCS; no tool sets them for Ethernet without.
    if header.network.0 != ETHERNET {
        return Err(Error::NotEthernet { offset: 0, what: "header", link_type: header.network.0 as u32 });
    }
    let nanos_per_unit = if header.is_nanosecond_precision() || magic == 0x4d3c_b2a1 { 1 } else { 1000 };
    let mut records = Vec::new();
    while !cursor.rest.is_empty() {
        let frame: LegacyPcapBlock<'_> = cursor.take("frame", |rest| match magic {
            0xd4c3_b2a1 | 0x4d3c_b2a1 => parse_pcap_frame_be(rest),
            0xa1b2_cd34 => parse_pcap_frame_modified(rest),
            _ => parse_pcap_frame(rest),
        })?;
        let nanos = u64::from(frame.ts_sec) * 1_000_000_000 + u64::from(frame.ts_usec) * nanos_per_unit;
        records.push(Record { nanos, bytes: frame.data.to_vec(), wire_len: frame.origlen });
    }
    Ok(records)
}

/// What a section says of one of its interfaces.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link_type: i32,
    resolution: u8,
    offset_seconds: i64,
    snap_len: u32,
}

fn sections(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    let mut cursor = Cursor { file: bytes, rest: bytes };
    let mut records = Vec::new();
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut big_endian = false;
    while !cursor.rest.is_empty() {
        let offset = cursor.offset();
        if cursor.rest.starts_with(&SECTION.to_le_bytes()) {
            let section = cursor.take("section header", parse_sectionheaderblock)?;
            big_endian = section.big_endian();
            interfaces.clear();
            continue;
        }
        // The parser takes 12 from the length of a block without looking.
        if let Some(word) = cursor.rest.get(4..).and_then(|rest| rest.first_chunk()) {
            let length = if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
            if length < 12 {
                return Err(Error::Malformed { offset, what: "block" });
            }
        }
        let block = cursor
            .take("block", |rest| if big_endian { parse_block_be(rest) } else { parse_block_le(rest) })?;
        let (number, nanos, bytes, wire_len): (_, Option<u64>, _, _) = match &block {
            Block::InterfaceDescription(block) => {
                interfaces.push(Interface {
                    link_type: block.linktype.0,
                    resolution: block.if_tsresol,
                    // The parser reads the option as little-endian whatever the section is.
                    offset_seconds: if big_endian {
                        block.if_tsoffset.swap_bytes()
                    } else {
                        block.if_tsoffset
                    },
                    snap_len: block.snaplen,
                });
                continue;
            }
            Block::EnhancedPacket(block) => {
                let stamp = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
                (block.if_id, Some(stamp), block.packet_data(), block.origlen)
            }
            Block::SimplePacket(block) => (0, None, block.packet_data(), block.origlen),
            _ => continue,
        };
        let what = "frame";
        let Some(interface) = interfaces.get(number as usize) else {
            return Err(Error::Malformed { offset, what });
        };
        if interface.link_type != ETHERNET {
            return Err(Error::NotEthernet { offset, what, link_type: interface.link_type as u32 });
        }
        // A simple packet does not say where its padding begins if the interface cut it.
        let cut = match (&block, interface.snap_len) {
            (Block::SimplePacket(_), 1..) => bytes.len().min(interface.snap_len as usize),
            _ => bytes.len(),
        };
        let Some(bytes) = bytes.get(..cut) else { return Err(Error::Malformed { offset, what }) };
        let nanos = nanos.map_or(0, |stamp| nanoseconds(stamp, interface));
        records.push(Record { nanos, bytes: bytes.to_vec(), wire_len });
    }
    Ok(records)
}

/// A time stamp in an interface's units (pcapng, option if_tsresol: a power of ten, or of two if bit 7 is set).
fn nanoseconds(stamp: u64, interface: &Interface) -> u64 {
    let exponent = u32::from(interface.resolution & 0x7f);
    let per_second = if interface.resolution & 0x80 == 0 {
        10u128.checked_pow(exponent)
    } else {
        1u128.checked_shl(exponent)
    };
    let Some(per_second) = per_second.filter(|units| *units > 0) else { return 0 };
    let nanos = u128::from(stamp) * 1_000_000_000 / per_second;
    let shifted =
        i128::try_from(nanos).unwrap_or(i128::MAX) + i128::from(interface.offset_seconds) * 1_000_000_000;
    u64::try_from(shifted).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(resolution: u8, offset_seconds: i64) -> Interface {
        Interface { link_type: 1, resolution, offset_seconds, snap_len: 0 }
    }

    #[test]
    fn time_stamps_of_every_resolution() {
        assert_eq!(nanoseconds(5, &interface(6, 0)), 5_000);
        assert_eq!(nanoseconds(5, &interface(9, 0)), 5);
        assert_eq!(nanoseconds(5, &interface(9, 2)), 2_000_000_005);
        assert_eq!(nanoseconds(3, &interface(0x81, 0)), 1_500_000_000);
        assert_eq!(nanoseconds(5, &interface(9, -1)), 0, "before 1970");
        assert_eq!(nanoseconds(u64::MAX, &interface(0, i64::MAX)), 0, "beyond what nanoseconds reach");
        assert_eq!(nanoseconds(1, &interface(0x7f, 0)), 0, "no such unit");
        assert_eq!(nanoseconds(1, &interface(0xff, 0)), 0);
    }

    #[test]
    fn microseconds_of_the_older_format() {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1, 7, 9, 3, 1500] {
            file.extend(word.to_le_bytes());
        }
        file.extend([1, 2, 3]);
        let records = parse(&file).unwrap();
        assert_eq!(records, [Record { nanos: 7_000_009_000, bytes: vec![1, 2, 3], wire_len: 1500 }]);
        file.pop();
        assert_eq!(parse(&file), Err(Error::Truncated { offset: 24, what: "frame" }));
    }
}
