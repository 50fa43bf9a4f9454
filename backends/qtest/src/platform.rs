//! One port as the driver sees it: [`igb::Platform`].

use crate::doorbell::{self, Doorbell, Message};
use crate::error::{Cause, Error};
use crate::interrupt::{Irq, Routes, Source};
use crate::lock;
use crate::machine::Inner;
use crate::memory::Memory;
use crate::pci::{self, Bar, Bars, Function, Place};
use crate::protocol::Qtest;
use crate::time::{Clock, Delay};
use core::sync::atomic::{AtomicBool, Ordering, fence};
use igb::{InterruptKind, PciConfig, Platform};
use igb_regs::{Bus, Fault};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A port in somebody's hands. It is dead for good once the device was taken away or the platform dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) machine: Arc<Inner>,
    pub(crate) place: Place,
    bars: Bars,
    registers: Bar,
    gone: AtomicBool,
    /// COMMAND and BAR 0 make the registers answer where we look for them.
    decoding: AtomicBool,
    /// Where the PCI Express capability is; function-level reset stands in it.
    express: Option<u16>,
    routes: Mutex<Routes>,
}

impl Handle {
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(crate) fn lose(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether a register access would reach the device. Only true under the lock of the protocol.
    fn reachable(&self) -> bool {
        !self.is_gone() && self.decoding.load(Ordering::Relaxed) && !self.shut()
    }

    fn shut(&self) -> bool {
        self.machine.ports.get(self.place.index).is_none_or(|port| port.shut.load(Ordering::Relaxed))
    }

    fn function(&self) -> Function {
        self.place.function
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the waiting ends that were handed out as `generation` are still served.
    pub(crate) fn serves(&self, generation: u64) -> bool {
        !self.is_gone() && self.routes().generation == generation
    }

    /// Sees anew whether the registers answer, after something that may have changed it.
    fn look(&self, qtest: &mut Qtest) -> Result<(), Cause> {
        let command = self.function().read(qtest, pci::COMMAND)?;
        let address = self.function().read(qtest, pci::BAR0)?;
        let here = command & pci::MEMORY != 0 && u64::from(address & !0xf) == self.registers.address;
        self.decoding.store(here, Ordering::Relaxed);
        Ok(())
    }
}

/// One port of a machine.
///
/// Dropping it gives the port back: interrupts off, decoding and bus mastering off. What is left of it (buses, interrupts)
/// acts like those of a device that is gone.
#[derive(Debug)]
pub struct Port {
    handle: Arc<Handle>,
    config: Config,
}

impl Port {
    pub(crate) fn open(machine: Arc<Inner>, place: Place) -> Result<Self, Error> {
        let mut qtest = lock(&machine.qtest);
        let function = place.function;
        let (bars, express) = match reset(&mut qtest, function) {
            Ok(Some(express)) => (place.assign(&mut qtest)?, express),
            Ok(None) => return Err(Error::NoDevice(place.index)),
            Err(cause) => return Err(Error::Broken(cause)),
        };
        let registers = bars.get(0).ok_or(Error::NoDevice(place.index))?;
        function.write(&mut qtest, pci::COMMAND, pci::MEMORY).map_err(Error::Broken)?;
        drop(qtest);
        let handle = Arc::new(Handle {
            machine,
            place,
            bars,
            registers,
            gone: AtomicBool::new(false),
            decoding: AtomicBool::new(false),
            express,
            routes: Mutex::new(Routes::default()),
        });
        handle.look(&mut lock(&handle.machine.qtest)).map_err(Error::Broken)?;
        Ok(Self { config: Config(Arc::clone(&handle)), handle })
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// The index of the port in its machine.
    pub fn index(&self) -> usize {
        self.handle.place.index
    }

    /// Bus, device and function, as an IOMMU names the requester.
    pub fn requester(&self) -> u16 {
        u16::from(self.handle.function().bus) << 8 | self.handle.function().slot << 3
    }

    fn route(
        &self,
        qtest: &mut Qtest,
        kind: InterruptKind,
        vectors: u16,
    ) -> Result<Option<Vec<Source>>, Cause> {
        let function = self.handle.function();
        let index = self.index();
        match kind {
            InterruptKind::MsiX => {
                let Some(at) = function.capability(qtest, pci::MSIX)? else { return Ok(None) };
                let control = function.read(qtest, at)?;
                let table = function.read(qtest, at + 4)?;
                let Some(bar) = self.handle.bars.get(table as usize & 7) else { return Ok(None) };
                let table = bar.address + u64::from(table & !7);
                let size = (control >> 16 & 0x7ff) as u16 + 1;
                let count = vectors.min(size).min(doorbell::VECTORS);
                for vector in 0..size {
                    let entry = table + 16 * u64::from(vector);
                    let Message { address, data } = Doorbell::msix(index, vector.min(doorbell::VECTORS - 1));
                    qtest.writel(entry, address)?;
                    qtest.writel(entry + 4, 0)?;
                    qtest.writel(entry + 8, data)?;
                    qtest.writel(entry + 12, u32::from(vector >= count))?;
                }
                function.write(qtest, at, control & 0x3fff_ffff | 0x8000_0000)?;
                Ok(Some((0..count).map(Source::MsiX).collect()))
            }
            InterruptKind::Msi => {
                let Some(at) = function.capability(qtest, pci::MSI)? else { return Ok(None) };
                let control = function.read(qtest, at)?;
                let Message { address, data } = Doorbell::msi(index);
                let wide = control >> 16 & 0x80 != 0;
                function.write(qtest, at + 4, address)?;
                if wide {
                    function.write(qtest, at + 8, 0)?;
                }
                function.write(qtest, at + if wide { 12 } else { 8 }, data)?;
                // One message (bits 22:20 are 0), enabled.
                function.write(qtest, at, control & 0xff8e_ffff | 1 << 16)?;
                Ok(Some(vec![Source::Msi]))
            }
            InterruptKind::Intx => {
                qtest.watch_interrupt_lines()?;
                let command = function.read(qtest, pci::COMMAND)?;
                function.write(qtest, pci::COMMAND, command & 0xffff & !pci::INTX_DISABLE)?;
                Ok(Some(vec![Source::Line]))
            }
        }
    }

    fn unroute(&self, qtest: &mut Qtest) -> Result<(), Cause> {
        let function = self.handle.function();
        let command = function.read(qtest, pci::COMMAND)?;
        function.write(qtest, pci::COMMAND, command & 0xffff | pci::INTX_DISABLE)?;
        for (id, enable) in [(pci::MSIX, 1 << 31), (pci::MSI, 1 << 16)] {
            if let Some(at) = function.capability(qtest, id)? {
                let control = function.read(qtest, at)?;
                function.write(qtest, at, control & !enable)?;
            }
        }
        qtest.flush()
    }
}

/// Resets the function and finds its PCI Express capability. `None` if nothing is there.
fn reset(qtest: &mut Qtest, function: Function) -> Result<Option<Option<u16>>, Cause> {
    if function.read(qtest, 0)? == u32::MAX {
        return Ok(None);
    }
    let express = function.capability(qtest, pci::EXPRESS)?;
    if let Some(express) = express {
        let control = function.read(qtest, express + pci::DEVICE_CONTROL)?;
        function.write(qtest, express + pci::DEVICE_CONTROL, control & 0xffff | pci::FUNCTION_RESET)?;
    }
    Ok(Some(express))
}

impl Platform for Port {
    type Bus = Registers;
    type Dma = Memory;
    type Irq = Irq;
    type Delay = Delay;
    type Clock = Clock;
    type Pci = Config;

    fn bus(&self) -> Registers {
        Registers(Arc::clone(&self.handle))
    }

    fn bar_len(&self) -> u64 {
        self.handle.registers.len
    }

    fn dma(&self) -> &Memory {
        &self.handle.machine.memory
    }

    fn pci(&self) -> &Config {
        &self.config
    }

    fn delay(&self) -> Delay {
        Delay(self.clock())
    }

    fn clock(&self) -> Clock {
        self.handle.machine.clock.clone()
    }

    fn enable_interrupts(&self, kind: InterruptKind, vectors: u16) -> Option<u16> {
        self.disable_interrupts();
        if vectors == 0 {
            return None;
        }
        let mut qtest = lock(&self.handle.machine.qtest);
        // The table is in a BAR: without decoding, nothing would be written.
        if !self.handle.reachable() {
            return None;
        }
        let sources = self
            .route(&mut qtest, kind, vectors)
            .and_then(|sources| qtest.flush().map(|()| sources))
            .ok()??;
        drop(qtest);
        let mut routes = self.handle.routes();
        routes.waiting = sources
            .into_iter()
            .map(|source| Irq::new(Arc::clone(&self.handle), source, routes.generation))
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .map(Some)
            .collect();
        u16::try_from(routes.waiting.len()).ok()
    }

    fn disable_interrupts(&self) {
        let mut routes = self.handle.routes();
        routes.generation += 1;
        let old = core::mem::take(&mut routes.waiting);
        drop(routes);
        drop(old); // each holds this port
        let mut qtest = lock(&self.handle.machine.qtest);
        if !self.handle.is_gone() {
            // A broken machine interrupts nobody.
            let _ = self.unroute(&mut qtest);
        }
    }

    fn take_irq(&self, vector: u16) -> Option<Irq> {
        self.handle.routes().waiting.get_mut(usize::from(vector))?.take()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.disable_interrupts();
        let mut qtest = lock(&self.handle.machine.qtest);
        if !self.handle.is_gone() {
            let _ = self.handle.function().write(&mut qtest, pci::COMMAND, 0).and_then(|()| qtest.flush());
            self.handle.lose();
        }
    }
}

/// The registers of a port: each access is one command to QEMU.
///
/// Writes are posted, and a read comes after them. QEMU answers 0 where nothing is; here that is all ones, and
/// [`fault`](Bus::fault) tells [`Fault::Gone`] (removed, decoding off, window shut) from [`Fault::Transport`] (QEMU is
/// gone).
#[derive(Debug, Clone)]
pub struct Registers(Arc<Handle>);

impl Registers {
    fn address(&self, offset: u32) -> Option<u64> {
        let offset = u64::from(offset);
        (offset + 4 <= self.0.registers.len && offset.is_multiple_of(4))
            .then_some(self.0.registers.address + offset)
    }
}

impl Bus for Registers {
    fn read32(&self, offset: u32) -> u32 {
        let Some(address) = self.address(offset) else { return u32::MAX };
        let mut qtest = lock(&self.0.machine.qtest);
        if !self.0.reachable() {
            return u32::MAX;
        }
        let value = qtest.readl(address).unwrap_or(u32::MAX);
        fence(Ordering::SeqCst); // what the device wrote before it answered is seen by what we read next
        value
    }

    fn write32(&self, offset: u32, value: u32) {
        let Some(address) = self.address(offset) else { return };
        fence(Ordering::SeqCst); // what we wrote before is there when the device looks
        let mut qtest = lock(&self.0.machine.qtest);
        if self.0.reachable() {
            // What breaks is kept, and every later read tells.
            let _ = qtest.writel(address, value);
        }
    }

    fn fault(&self) -> Option<Fault> {
        let qtest = lock(&self.0.machine.qtest);
        if qtest.broken().is_some() {
            Some(Fault::Transport)
        } else if self.0.reachable() {
            None
        } else {
            Some(Fault::Gone)
        }
    }
}

/// Configuration space of a port, all 4 KiB of it.
///
/// A function-level reset written here is followed by what a host does: base addresses and memory decoding come back,
/// bus mastering does not.
#[derive(Debug, Clone)]
pub struct Config(Arc<Handle>);

impl Config {
    fn store(&self, qtest: &mut Qtest, offset: u16, value: u32) -> Result<(), Cause> {
        let handle = &*self.0;
        let function = handle.function();
        let resets = handle.express.is_some_and(|express| {
            offset == express + pci::DEVICE_CONTROL && value & pci::FUNCTION_RESET != 0
        });
        let memory = if resets { function.read(qtest, pci::COMMAND)? & pci::MEMORY } else { 0 };
        function.write(qtest, offset, value)?;
        if resets {
            handle.bars.restore(function, qtest)?;
            function.write(qtest, pci::COMMAND, memory)?;
        }
        if resets || matches!(offset, pci::COMMAND | pci::BAR0) { handle.look(qtest) } else { qtest.flush() }
    }
}

impl PciConfig for Config {
    fn read32(&self, offset: u16) -> u32 {
        if !offset.is_multiple_of(4) || offset >= 4096 {
            return u32::MAX;
        }
        let mut qtest = lock(&self.0.machine.qtest);
        if self.0.is_gone() {
            return u32::MAX;
        }
        self.0.function().read(&mut qtest, offset).unwrap_or(u32::MAX)
    }

    fn write32(&self, offset: u16, value: u32) {
        if !offset.is_multiple_of(4) || offset >= 4096 {
            return;
        }
        let mut qtest = lock(&self.0.machine.qtest);
        if !self.0.is_gone() {
            let _ = self.store(&mut qtest, offset, value);
        }
    }
}
