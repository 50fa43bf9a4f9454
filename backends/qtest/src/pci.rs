//! What firmware does: configuration space opened, buses numbered, windows and base addresses given out.
//!
//! Each port of the machine is a root port on bus 0 with one function behind it, on a bus of its own.

use crate::error::{Cause, Error};
use crate::protocol::Qtest;

/// Where configuration space appears in memory: 4 KiB a function.
const ECAM: u64 = 0xb000_0000;
/// Where the first port's window is, and how much each port has.
const WINDOWS: u64 = 0xe000_0000;
const WINDOW: u64 = 16 << 20;
/// The first root port's slot on bus 0.
const FIRST_SLOT: u16 = 2;
/// Ports that there is room for.
pub(crate) const PORTS: usize = 16;
/// The doorbell's slot on bus 0.
pub(crate) const DOORBELL_SLOT: u16 = 0x1e;

pub(crate) const COMMAND: u16 = 0x04;
pub(crate) const BAR0: u16 = 0x10;
const CAPABILITIES: u16 = 0x34;
/// Bits of COMMAND.
pub(crate) const MEMORY: u32 = 1 << 1;
pub(crate) const MASTER: u32 = 1 << 2;
pub(crate) const INTX_DISABLE: u32 = 1 << 10;
/// Capabilities.
pub(crate) const MSI: u8 = 0x05;
pub(crate) const EXPRESS: u8 = 0x10;
pub(crate) const MSIX: u8 = 0x11;
/// Registers of the PCI Express capability, and bits of them.
pub(crate) const DEVICE_CONTROL: u16 = 0x08;
pub(crate) const FUNCTION_RESET: u32 = 1 << 15;
const SLOT_CONTROL: u16 = 0x18;
const DEVICE_CONTROL_2: u16 = 0x28;
const ARI: u32 = 1 << 5;

/// Where a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) bus: u8,
    pub(crate) slot: u16,
}

impl Function {
    pub(crate) const fn on_root(slot: u16) -> Self {
        Self { bus: 0, slot }
    }

    fn address(self, offset: u16) -> u64 {
        ECAM + (u64::from(self.bus) << 20 | u64::from(self.slot) << 15 | u64::from(offset & 0xffc))
    }

    pub(crate) fn read(self, qtest: &mut Qtest, offset: u16) -> Result<u32, Cause> {
        qtest.readl(self.address(offset))
    }

    pub(crate) fn write(self, qtest: &mut Qtest, offset: u16, value: u32) -> Result<(), Cause> {
        qtest.writel(self.address(offset), value)
    }

    /// Where capability `id` begins.
    pub(crate) fn capability(self, qtest: &mut Qtest, id: u8) -> Result<Option<u16>, Cause> {
        let mut at = (self.read(qtest, CAPABILITIES)? & 0xfc) as u16;
        // The list lies in 192 bytes: a longer one is a ring.
        for _ in 0..48 {
            if at < 0x40 {
                break;
            }
            let head = self.read(qtest, at)?;
            if head as u8 == id {
                return Ok(Some(at));
            }
            at = (head >> 8 & 0xfc) as u16;
        }
        Ok(None)
    }
}

/// A port's place: its slot, its function, its window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) index: usize,
    pub(crate) bridge: Function,
    pub(crate) function: Function,
    window: u64,
}

impl Place {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            bridge: Function::on_root(FIRST_SLOT + index as u16),
            function: Function { bus: index as u8 + 1, slot: 0 },
            window: WINDOWS + index as u64 * WINDOW,
        }
    }

    /// The interrupt controller's input that INTA of the function ends at: slots take turns at four of them.
    pub(crate) fn line(self) -> u32 {
        20 + u32::from(self.bridge.slot % 4)
    }

    /// Numbers the bus behind the root port and opens its window.
    pub(crate) fn route(self, qtest: &mut Qtest) -> Result<(), Cause> {
        let bus = u32::from(self.function.bus);
        self.bridge.write(qtest, 0x18, bus << 16 | bus << 8)?;
        self.open_window(qtest)?;
        self.bridge.write(qtest, 0x24, 0x0000_fff0)?; // no prefetchable memory
        self.bridge.write(qtest, COMMAND, MEMORY | MASTER)?;
        if let Some(express) = self.bridge.capability(qtest, EXPRESS)? {
            let control = self.bridge.read(qtest, express + DEVICE_CONTROL_2)?;
            self.bridge.write(qtest, express + DEVICE_CONTROL_2, control & 0xffff | ARI)?;
        }
        qtest.flush()
    }

    pub(crate) fn open_window(self, qtest: &mut Qtest) -> Result<(), Cause> {
        let (first, last) = (self.window >> 16, (self.window + WINDOW - 1) >> 16);
        self.bridge.write(qtest, 0x20, (last as u32 & 0xfff0) << 16 | first as u32 & 0xfff0)
    }

    /// Shuts the window: a base above its limit.
    pub(crate) fn shut_window(self, qtest: &mut Qtest) -> Result<(), Cause> {
        self.bridge.write(qtest, 0x20, 0x0000_fff0)
    }

    /// Asks each base address register for its size and gives it an address in the window. I/O space stays unused.
    pub(crate) fn assign(self, qtest: &mut Qtest) -> Result<Bars, Error> {
        let mut bars = Bars::default();
        let mut next = self.window;
        let mut index = 0;
        while index < 6 {
            let (at, here) = (BAR0 + 4 * index as u16, index);
            let mut ask = |offset| -> Result<u32, Cause> {
                self.function.write(qtest, offset, u32::MAX)?;
                let answer = self.function.read(qtest, offset)?;
                self.function.write(qtest, offset, 0)?;
                Ok(answer)
            };
            let low = ask(at).map_err(Error::Broken)?;
            index += 1;
            if low == 0 || low & 1 != 0 {
                continue;
            }
            let wide = low & 6 == 4;
            let high = if wide {
                index += 1;
                ask(at + 4).map_err(Error::Broken)?
            } else {
                u32::MAX
            };
            let len = (u64::from(high) << 32 | u64::from(low & !0xf)).wrapping_neg();
            let address = next.checked_next_multiple_of(len.max(1)).unwrap_or(u64::MAX);
            let end = address.checked_add(len).filter(|end| *end <= self.window + WINDOW);
            next = end.ok_or(Error::BarTooLarge(here as u8, len))?;
            bars.0[here] = Some(Bar { address, len });
        }
        bars.restore(self.function, qtest).map_err(Error::Broken)?;
        Ok(bars)
    }

    /// Takes the slot's power (`false`), which pulls the device out, or gives it back.
    pub(crate) fn power(self, qtest: &mut Qtest, on: bool) -> Result<(), Cause> {
        // Power indicator on (bits 9:8 = 1); power controller off is bit 10.
        self.slot_control(qtest, if on { 0x100 } else { 0x500 })
    }

    /// Answers a polite request to unplug: indicator off, power off.
    pub(crate) fn release(self, qtest: &mut Qtest) -> Result<(), Cause> {
        self.slot_control(qtest, 0x700)
    }

    fn slot_control(self, qtest: &mut Qtest, bits: u32) -> Result<(), Cause> {
        let Some(express) = self.bridge.capability(qtest, EXPRESS)? else { return Err(Cause::Garbled) };
        let control = self.bridge.read(qtest, express + SLOT_CONTROL)?;
        self.bridge.write(qtest, express + SLOT_CONTROL, control & 0xf8ff | bits)?;
        qtest.flush()
    }
}

/// One base address register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    pub(crate) address: u64,
    pub(crate) len: u64,
}

/// All of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bars([Option<Bar>; 6]);

impl Bars {
    pub(crate) fn get(&self, index: usize) -> Option<Bar> {
        self.0.get(index).copied().flatten()
    }

    /// Writes the addresses, after a reset too.
    pub(crate) fn restore(&self, function: Function, qtest: &mut Qtest) -> Result<(), Cause> {
        for (index, bar) in self.0.iter().enumerate() {
            if let Some(bar) = bar {
                // The upper half of a wide register is 0, and was written so when it was asked for.
                function.write(qtest, BAR0 + 4 * index as u16, bar.address as u32)?;
            }
        }
        Ok(())
    }
}

/// Opens configuration space in memory: PCIEXBAR of the host bridge, through the old ports.
pub(crate) fn open(qtest: &mut Qtest) -> Result<(), Cause> {
    for (offset, value) in [(0x64, 0), (0x60, ECAM as u32 | 1)] {
        qtest.outl(0xcf8, 0x8000_0000 | offset)?;
        qtest.outl(0xcfc, value)?;
    }
    qtest.outl(0xcf8, 0x8000_0060)?;
    if qtest.inl(0xcfc)? == ECAM as u32 | 1 { Ok(()) } else { Err(Cause::Garbled) }
}
