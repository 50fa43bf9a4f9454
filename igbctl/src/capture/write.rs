//! Writing pcapng: one section, one interface, time in nanoseconds. Everything little-endian.
//!
//! A block is its type, its length, its body padded to four bytes, and its length again (draft-ietf-opsawg-pcapng,
//! sections 3.1, 4.1 to 4.3).

use std::io::{self, Write};

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1A2B_3C4D;
const ETHERNET: u16 = 1;
/// Section length that says "not known".
const UNKNOWN: u64 = u64::MAX;

/// Options of the blocks that are written.
const END: u16 = 0;
const APPLICATION: u16 = 4;
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;
/// Powers of ten in a second: nanoseconds.
const NANOSECONDS: u8 = 9;

/// A pcapng file that is being written.
///
/// ```
/// use igbctl::capture::{Writer, parse};
///
/// let mut file = Writer::new(Vec::new(), "sim:i210/0")?;
/// file.frame(1_700_000_000_123_456_789, &[0xff; 60])?;
/// let records = parse(&file.finish()?).expect("what was written can be read");
/// assert_eq!(records[0].nanos, 1_700_000_000_123_456_789);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    block: Vec<u8>,
    frames: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a file whose frames come from `interface`.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(out: W, interface: &str) -> io::Result<Self> {
        let mut writer = Self { out, block: Vec::new(), frames: 0 };
        writer.block(SECTION_HEADER, |body| {
            put(body, &BYTE_ORDER.to_le_bytes());
            put(body, &1u16.to_le_bytes());
            put(body, &0u16.to_le_bytes());
            put(body, &UNKNOWN.to_le_bytes());
            option(body, APPLICATION, concat!("igbctl ", env!("CARGO_PKG_VERSION")).as_bytes());
            option(body, END, &[]);
        })?;
        writer.block(INTERFACE, |body| {
            put(body, &ETHERNET.to_le_bytes());
            put(body, &0u16.to_le_bytes());
            put(body, &0u32.to_le_bytes()); // nothing is cut
            option(body, NAME, interface.as_bytes());
            option(body, RESOLUTION, &[NANOSECONDS]);
            option(body, END, &[]);
        })?;
        Ok(writer)
    }

    /// Writes a frame, whole, with its time in nanoseconds since 1970.
    ///
    /// # Errors
    /// What the output says.
    pub fn frame(&mut self, nanos: u64, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.block(ENHANCED_PACKET, |body| {
            put(body, &0u32.to_le_bytes());
            put(body, &((nanos >> 32) as u32).to_le_bytes());
            put(body, &(nanos as u32).to_le_bytes());
            put(body, &length.to_le_bytes());
            put(body, &length.to_le_bytes());
            put(body, bytes);
        })?;
        self.frames += 1;
        Ok(())
    }

    /// Frames that were written.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Makes what was written visible to who reads along.
    ///
    /// # Errors
    /// What the output says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn block(&mut self, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.block.clear();
        put(&mut self.block, &kind.to_le_bytes());
        put(&mut self.block, &[0; 4]);
        fill(&mut self.block);
        pad(&mut self.block);
        let length = u32::try_from(self.block.len() + 4).map_err(io::Error::other)?.to_le_bytes();
        if let Some(field) = self.block.get_mut(4..8) {
            field.copy_from_slice(&length);
        }
        put(&mut self.block, &length);
        self.out.write_all(&self.block)
    }
}

fn put(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(bytes);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    put(body, &code.to_le_bytes());
    put(body, &(value.len() as u16).to_le_bytes());
    put(body, value);
    pad(body);
}
