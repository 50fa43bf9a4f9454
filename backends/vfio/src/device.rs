//! One device of this process: [`igb::Platform`].

use crate::address::Address;
use crate::bar::Registers;
use crate::container::{Container, Memory};
use crate::error::{Error, While};
use crate::interrupt::{self, Irq, Routes};
use crate::time::{Clock, Delay};
use crate::{ioctl, sys};
use igb::{InterruptKind, PciConfig, Platform};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{pread, pwrite};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The device's file. As long as one exists, the device is ours.
#[derive(Debug)]
pub(crate) struct Handle(OwnedFd);

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How the device was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    /// The function alone, by whichever way the kernel knows (function-level reset, power states).
    Function,
    /// Its bus or slot, whose every function is ours.
    Bus,
    /// Not at all: the driver's own reset (CTRL.RST) has to do.
    None,
}

/// What the kernel wants us to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// An uncorrectable error on the bus: the device is not to be trusted any more. Close it.
    Error,
    /// Somebody wants the device: it is being unbound, or pulled. The kernel waits until it is closed.
    Release,
}

/// A device of the family in this process's hands.
///
/// Opened by [`open`](crate::open) or [`Container::open`]: reset, memory decoding on, bus mastering off. Dropping it gives
/// it back: interrupts off, mastering off, reset. What is left of it (registers, interrupts) acts like those of a device
/// that is gone.
#[derive(Debug)]
pub struct Device {
    handle: Arc<Handle>,
    container: Container,
    memory: Memory,
    address: Address,
    config: Config,
    registers: Registers,
    routes: Mutex<Routes>,
    notices: Vec<(Notice, OwnedFd)>,
    reset: Reset,
    resets_function: bool,
    opened: Instant,
}

impl Device {
    pub(crate) fn open(container: Container, address: Address, file: OwnedFd) -> Result<Self, Error> {
        // Whatever fails, the container forgets the address; the kernel resets the device as its file closes.
        let made = Self::set_up(&container, address, file);
        if made.is_err() {
            container.forget(address);
        }
        made
    }

    fn set_up(container: &Container, address: Address, file: OwnedFd) -> Result<Self, Error> {
        let handle = Arc::new(Handle(file));
        let info = ioctl::device_info(&*handle).during("asking what the device can do")?;
        let bar = ioctl::region_info(&*handle, sys::VFIO_PCI_BAR0_REGION_INDEX).during("asking for BAR 0")?;
        let len = mappable(bar.size, bar.flags).ok_or(Error::NotMappable { address, bytes: bar.size })?;
        let config = ioctl::region_info(&*handle, sys::VFIO_PCI_CONFIG_REGION_INDEX)
            .during("asking for configuration space")?;
        let config = Config { handle: handle.clone(), start: config.offset, len: config.size };
        let resets_function = info.flags & sys::VFIO_DEVICE_FLAGS_RESET != 0;
        let reset = reset(container, address, &handle, resets_function);
        // A reset may have come with decoding off; until it is on, registers fault.
        let command = config.read32(0x04);
        if command != u32::MAX {
            config.write32(0x04, command & 0xffff & !0x4 | 0x2);
        }
        let registers = Registers::map(&*handle, bar.offset, len)?;
        let notices =
            [(Notice::Error, sys::VFIO_PCI_ERR_IRQ_INDEX), (Notice::Release, sys::VFIO_PCI_REQ_IRQ_INDEX)];
        let notices = notices.into_iter().filter_map(|(notice, index)| {
            // Kernels and devices that do not have these are none the worse.
            let event = interrupt::event().ok()?;
            let has = ioctl::irq_count(&*handle, index).is_ok_and(|count| count > 0);
            (has && ioctl::set_events(&*handle, index, &[event.as_fd()]) == Ok(0)).then_some((notice, event))
        });
        Ok(Self {
            notices: notices.collect(),
            memory: container.memory(),
            container: container.clone(),
            address,
            config,
            registers,
            routes: Mutex::default(),
            reset,
            resets_function,
            opened: Instant::now(),
            handle,
        })
    }

    /// Where the device is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The container that it is in.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// How it was reset as it was opened.
    pub fn was_reset(&self) -> Reset {
        self.reset
    }

    /// Resets the device's bus or slot, where all of it is ours and nothing else there is open: for a device that nothing
    /// else brings back. Whoever drives it sets it up anew. `false` if it may not be.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn reset_bus(&self) -> Result<bool, Error> {
        self.container.hot_reset(self.address, self.handle.as_fd())
    }

    /// What the kernel wants us to know, each told once.
    pub fn notice(&self) -> Option<Notice> {
        self.notices.iter().find(|(_, event)| interrupt::take(event)).map(|(notice, _)| *notice)
    }

    /// For a poll loop: readable when there is a [`notice`](Self::notice).
    pub fn notice_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.notices.iter().map(|(_, event)| event.as_fd())
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length of a BAR that can be mapped: whole pages, to read and to write. One without an address, or smaller than a
/// page and beside others, VFIO does not let us map.
fn mappable(size: u64, flags: u32) -> Option<u32> {
    let wanted =
        sys::VFIO_REGION_INFO_FLAG_READ | sys::VFIO_REGION_INFO_FLAG_WRITE | sys::VFIO_REGION_INFO_FLAG_MMAP;
    let whole = size > 0 && size.is_multiple_of(rustix::param::page_size() as u64);
    u32::try_from(size).ok().filter(|_| whole && flags & wanted == wanted)
}

/// Resets the device in the gentlest way that there is.
fn reset(container: &Container, address: Address, handle: &Handle, function: bool) -> Reset {
    if function && ioctl::reset(handle).is_ok() {
        return Reset::Function;
    }
    match container.hot_reset(address, handle.as_fd()) {
        Ok(true) => Reset::Bus,
        _ => Reset::None,
    }
}

impl Platform for Device {
    type Bus = Registers;
    type Dma = Memory;
    type Irq = Irq;
    type Delay = Delay;
    type Clock = Clock;
    type Pci = Config;

    fn bus(&self) -> Registers {
        self.registers.clone()
    }

    fn bar_len(&self) -> u64 {
        self.registers.len().into()
    }

    fn dma(&self) -> &Memory {
        &self.memory
    }

    fn pci(&self) -> &Config {
        &self.config
    }

    fn delay(&self) -> Delay {
        Delay
    }

    fn clock(&self) -> Clock {
        Clock(self.opened)
    }

    fn enable_interrupts(&self, kind: InterruptKind, vectors: u16) -> Option<u16> {
        self.routes().set(&self.handle, kind, vectors)
    }

    fn disable_interrupts(&self) {
        self.routes().clear(&self.handle);
    }

    fn take_irq(&self, vector: u16) -> Option<Irq> {
        self.routes().take(vector)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.disable_interrupts();
        self.stop_mastering();
        // Nobody reaches the device by what is left of it; and a mapping would keep its file open.
        self.registers.revoke();
        reset(&self.container, self.address, &self.handle, self.resets_function);
        self.container.forget(self.address);
    }
}

/// Configuration space, through VFIO: the kernel keeps what a user must not change, and does a function-level reset that is
/// written here as it would its own, with base addresses and COMMAND restored.
#[derive(Debug)]
pub struct Config {
    handle: Arc<Handle>,
    start: u64,
    len: u64,
}

impl Config {
    fn at(&self, offset: u16) -> Option<u64> {
        let offset = u64::from(offset);
        (offset.is_multiple_of(4) && offset + 4 <= self.len).then(|| self.start.checked_add(offset)).flatten()
    }
}

impl PciConfig for Config {
    fn read32(&self, offset: u16) -> u32 {
        let mut word = [0xff; 4];
        match self.at(offset).map(|at| pread(&*self.handle, &mut word, at)) {
            Some(Ok(4)) => u32::from_le_bytes(word),
            _ => u32::MAX,
        }
    }

    fn write32(&self, offset: u16, value: u32) {
        if let Some(at) = self.at(offset) {
            // What cannot be written is read back by whoever depends on it.
            let _ = pwrite(&*self.handle, &value.to_le_bytes(), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_mapped_whole_or_not_at_all() {
        let (all, page) = (0b111, rustix::param::page_size() as u64);
        assert_eq!(mappable(128 << 10, all), Some(128 << 10));
        for (size, flags) in
            [(0, all), (page / 2, all), (page + 1, all), (1 << 33, all), (page, 0b011), (page, 0b101)]
        {
            assert_eq!(mappable(size, flags), None, "{size:#x} {flags:#b}");
        }
    }
}
