//! The machine's IOMMU, programmed by hand: a device reaches what is mapped and nothing else, and what it reached for
//! in vain is on record.
//!
//! Layout and registers are those of Intel's "Virtualization Technology for Directed I/O" (chapters 3, 9 and 11).
//! Every port has the same tables: a port's address is a domain's address. Tables are made when first needed, and
//! live in RAM that no driver gets.

use crate::Link;
use crate::error::{Cause, Error};
use crate::memory::{PAGE, Ram};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const REGISTERS: u64 = 0xfed9_0000;
const CAP: u64 = REGISTERS + 0x08;
const ECAP: u64 = REGISTERS + 0x10;
const GCMD: u64 = REGISTERS + 0x18;
const GSTS: u64 = REGISTERS + 0x1c;
const RTADDR: u64 = REGISTERS + 0x20;
const CCMD: u64 = REGISTERS + 0x28;
const FSTS: u64 = REGISTERS + 0x34;
/// Set root table pointer; translation enable (GCMD and GSTS).
const SRTP: u32 = 1 << 30;
const TE: u32 = 1 << 31;
/// Invalidate the whole context cache (CCMD), the whole IOTLB.
const CONTEXT_GLOBAL: u64 = 1 << 63 | 1 << 61;
const IOTLB_GLOBAL: u64 = 1 << 63 | 1 << 60;
const BUSY: u64 = 1 << 63;
/// Primary fault overflow (FSTS, written 1 to clear).
const OVERFLOW: u32 = 1;
/// A recorded fault (FRCD bit 127, written 1 to clear), and its type (bit 126).
const FAULT: u64 = 1 << 63;
const IS_READ: u64 = 1 << 62;

const PRESENT: u64 = 1;
const READ_WRITE: u64 = 3;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What a device reached for without being allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaFault {
    /// The page.
    pub address: u64,
    /// Bus, device and function of who did.
    pub requester: u16,
    /// Whether it wanted to write.
    pub write: bool,
    /// The reason code: 5 is a write to a page that is not mapped, 6 a read.
    pub reason: u8,
}

/// Faults since they were last asked for. QEMU records one at a time, and repeats of a page not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DmaFaults {
    /// The first.
    pub first: Option<DmaFault>,
    /// Whether there were more than could be recorded.
    pub more: bool,
}

/// The unit.
#[derive(Debug)]
pub(crate) struct Iommu {
    link: Link,
    tables: Mutex<Tables>,
    iotlb: u64,
    record: u64,
}

#[derive(Debug)]
struct Tables {
    ram: Arc<Ram>,
    top: u64,
    levels: u32,
    next: u64,
    end: u64,
}

/// RAM that the tables for `len` bytes of memory need, for as many buses as a machine may have.
pub(crate) fn tables_len(len: u64) -> u64 {
    (64 + len / (512 * PAGE)) * PAGE
}

impl Iommu {
    /// Turns translation on with nothing mapped, for function 0 of each bus in `buses`. `place` is RAM of
    /// [`tables_len`] bytes.
    pub(crate) fn new(link: Link, ram: Arc<Ram>, place: u64, len: u64, buses: &[u8]) -> Result<Self, Error> {
        let mut qtest = crate::lock(&link);
        let capabilities = qtest.readq(CAP).map_err(Error::Broken)?;
        let extended = qtest.readq(ECAP).map_err(Error::Broken)?;
        drop(qtest);
        let levels = if capabilities >> 8 & 1 << 2 != 0 { 4 } else { 3 };
        let mut tables = Tables { ram, top: 0, levels, next: place, end: place + len };
        let full = Error::Limit("no room for the IOMMU's tables");
        let root = tables.page().ok_or(full)?;
        tables.top = tables.page().ok_or(full)?;
        for bus in buses {
            let context = tables.page().ok_or(full)?;
            tables.ram.write64(root + u64::from(*bus) * 16, context | PRESENT);
            // Address width is counted from two levels up; domain 1.
            tables.ram.write64(context + 8, u64::from(levels - 2) | 1 << 8);
            tables.ram.write64(context, tables.top | PRESENT);
        }
        let unit = Self {
            link,
            tables: Mutex::new(tables),
            iotlb: REGISTERS + (extended >> 8 & 0x3ff) * 16 + 8,
            record: REGISTERS + (capabilities >> 24 & 0x3ff) * 16,
        };
        unit.enable(root)
    }

    fn enable(self, root: u64) -> Result<Self, Error> {
        let mut qtest = crate::lock(&self.link);
        let mut go = || -> Result<bool, Cause> {
            qtest.writeq(RTADDR, root)?;
            qtest.writel(GCMD, SRTP)?;
            qtest.writeq(CCMD, CONTEXT_GLOBAL)?;
            qtest.writeq(self.iotlb, IOTLB_GLOBAL)?;
            qtest.writel(GCMD, TE)?;
            Ok(qtest.readl(GSTS)? & TE != 0)
        };
        let on = go().map_err(Error::Broken)?;
        drop(qtest);
        if on { Ok(self) } else { Err(Error::TimedOut("IOMMU translation", 0)) }
    }

    /// Shows whole pages to the devices: at `iova` and at the same distance from the machine's own address as always.
    pub(crate) fn map(&self, iova: u64, len: u64) {
        self.map_to(iova, iova - OFFSET, len);
    }

    /// Shows pages at `iova` that are at `address` for the machine. A unit that caches nothing absent needs no word of it.
    pub(crate) fn map_to(&self, iova: u64, address: u64, len: u64) {
        let mut tables = self.tables();
        for page in (0..len).step_by(PAGE as usize) {
            tables.set(iova + page, (address + page) & ADDRESS | READ_WRITE);
        }
    }

    /// Hides pages, and sees that no translation of them is left.
    pub(crate) fn unmap(&self, iova: u64, len: u64) {
        let mut tables = self.tables();
        for page in (0..len).step_by(PAGE as usize) {
            tables.set(iova + page, 0);
        }
        drop(tables);
        let mut qtest = crate::lock(&self.link);
        let mut invalidate = || -> Result<(), Cause> {
            qtest.writeq(self.iotlb, IOTLB_GLOBAL)?;
            // QEMU does it within the write; the bound is for a QEMU that will not.
            for _ in 0..1000 {
                if qtest.readq(self.iotlb)? & BUSY == 0 {
                    break;
                }
            }
            Ok(())
        };
        // A machine that is gone translates nothing.
        let _ = invalidate();
    }

    /// What was recorded since the last call.
    pub(crate) fn faults(&self) -> Result<DmaFaults, Error> {
        let mut qtest = crate::lock(&self.link);
        let mut take = || -> Result<DmaFaults, Cause> {
            let low = qtest.readq(self.record)?;
            let high = qtest.readq(self.record + 8)?;
            let more = qtest.readl(FSTS)? & OVERFLOW != 0;
            qtest.writeq(self.record + 8, FAULT)?;
            qtest.writel(FSTS, OVERFLOW)?;
            qtest.flush()?;
            let first = (high & FAULT != 0).then_some(DmaFault {
                address: low & ADDRESS,
                requester: high as u16,
                write: high & IS_READ == 0,
                reason: (high >> 32) as u8,
            });
            Ok(DmaFaults { first, more })
        };
        take().map_err(Error::Broken)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is added to the machine's own address of memory to make the device's: nothing works by accident.
pub(crate) const OFFSET: u64 = 0x7_0000_0000;

impl Tables {
    fn page(&mut self) -> Option<u64> {
        let page = self.next;
        self.next += PAGE;
        (self.next <= self.end).then_some(page)
    }

    fn set(&mut self, iova: u64, entry: u64) {
        let mut table = self.top;
        for level in (1..self.levels).rev() {
            let at = table + (iova >> (12 + 9 * level) & 0x1ff) * 8;
            let mut next = self.ram.read64(at);
            if next & PRESENT == 0 {
                if entry == 0 {
                    return;
                }
                let Some(page) = self.page() else { return };
                next = page | READ_WRITE;
                self.ram.write64(at, next);
            }
            table = next & ADDRESS;
        }
        self.ram.write64(table + (iova >> 12 & 0x1ff) * 8, entry);
    }
}
