//! What a client reads and writes: registers in BAR 0, the place of the MSI-X table in BAR 3, configuration space.
//!
//! The table itself is QEMU's: it never asks for BAR 3, which reads zeros. Registers are words of 32 bits; of a wider or
//! an unaligned access each word is accessed once, and a narrower write does nothing.

use crate::laboratory::{self, Laboratory};
use igb_sim::Device;
use rustix::io::Errno;

/// Regions that a client may ask for: six BARs, the ROM, configuration space, VGA.
pub(crate) const REGIONS: u32 = 9;
const CONFIG: u32 = 7;
const BAR: u64 = 0x2_0000;

/// Bytes of a region.
pub(crate) fn size(region: u32) -> u64 {
    match region {
        0 => BAR,
        3 => 0x4000,
        CONFIG => 0x1000,
        _ => 0,
    }
}

/// What is accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Space {
    /// Registers.
    Bar,
    /// Configuration space.
    Config,
}

/// One access of a client, as an observer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Index of the device in its world.
    pub port: usize,
    /// What is accessed.
    pub space: Space,
    /// A write, or a read.
    pub write: bool,
    /// Byte offset.
    pub offset: u32,
    /// What was written or read: a register, or a byte of configuration space.
    pub value: u32,
}

/// The regions of one device.
pub(crate) struct Regions {
    pub(crate) device: Device,
    pub(crate) laboratory: Option<Laboratory>,
    pub(crate) observer: Option<crate::server::Observer>,
}

impl Regions {
    fn check(region: u32, offset: u64, len: usize) -> Result<(), Errno> {
        let end = offset.checked_add(len as u64).ok_or(Errno::INVAL)?;
        if end > size(region) { Err(Errno::INVAL) } else { Ok(()) }
    }

    fn observe(&self, space: Space, write: bool, offset: u32, value: u32) {
        if let Some(observer) = &self.observer {
            observer(&Access { port: self.device.index(), space, write, offset, value });
        }
    }

    pub(crate) fn read(&self, region: u32, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
        Self::check(region, offset, len)?;
        let mut bytes = Vec::with_capacity(len);
        match region {
            0 => {
                let end = offset + len as u64;
                let mut at = offset;
                while at < end {
                    let word = (at & !3) as u32;
                    let value = self.device.read(word);
                    self.observe(Space::Bar, false, word, value);
                    let behind = 4 - (u64::from(word) + 4).saturating_sub(end) as usize;
                    let inside = (at & 3) as usize..behind;
                    at = u64::from(word) + 4;
                    bytes.extend_from_slice(value.to_le_bytes().get(inside).unwrap_or(&[]));
                }
            }
            CONFIG => bytes.extend((offset..offset + len as u64).map(|at| self.config_byte(at))),
            _ => bytes.resize(len, 0),
        }
        Ok(bytes)
    }

    fn config_byte(&self, at: u64) -> u8 {
        let value = match &self.laboratory {
            Some(laboratory) if at >= laboratory::BASE => laboratory.read(&self.device, at),
            _ => self.device.config_read(at as u16 & !3).to_le_bytes()[at as usize & 3],
        };
        self.observe(Space::Config, false, at as u32, value.into());
        value
    }

    pub(crate) fn write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        Self::check(region, offset, bytes.len())?;
        match region {
            0 if offset.is_multiple_of(4) => {
                for (index, word) in bytes.as_chunks::<4>().0.iter().enumerate() {
                    let (at, value) = (offset as u32 + 4 * index as u32, u32::from_le_bytes(*word));
                    self.observe(Space::Bar, true, at, value);
                    self.device.write(at, value);
                }
            }
            CONFIG => self.write_config(offset, bytes),
            _ => {}
        }
        Ok(())
    }

    /// Word by word, the bytes that are not written as they read: a reset that a byte asks for must not come twice.
    fn write_config(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            if let (Some(laboratory), true) = (&mut self.laboratory, at >= laboratory::BASE) {
                laboratory.write(&self.device, at, rest[0]);
                (at, rest) = (at + 1, &rest[1..]);
                continue;
            }
            let (word, inside) = (at as u16 & !3, at as usize & 3);
            let take = rest.len().min(4 - inside);
            let mut value = self.device.config_read(word).to_le_bytes();
            value[inside..inside + take].copy_from_slice(&rest[..take]);
            for (index, byte) in rest[..take].iter().enumerate() {
                self.observe(Space::Config, true, at as u32 + index as u32, (*byte).into());
            }
            self.device.config_write(word, u32::from_le_bytes(value));
            (at, rest) = (at + take as u64, &rest[take..]);
        }
    }
}
