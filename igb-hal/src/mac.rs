//! The MAC as an object, and the one way in which it waits.

use crate::Error;
use core::sync::atomic::{AtomicU8, AtomicU32};
use embedded_hal::delay::DelayNs;
use igb_regs::{Bus, Chip, Device, Regs, STATUS};

/// The MAC of one port: what it does beyond single registers.
///
/// Methods take `&self`, since registers are shared by nature; who calls from several threads brings a lock, except
/// for the interrupt verbs of single vectors, each of which is one access.
///
/// ```
/// # use core::cell::RefCell;
/// # struct Words(RefCell<[u32; 0x8000]>);
/// # impl igb_regs::Bus for Words {
/// #     fn read32(&self, offset: u32) -> u32 { self.0.borrow()[offset as usize / 4] }
/// #     fn write32(&self, offset: u32, value: u32) { self.0.borrow_mut()[offset as usize / 4] = value; }
/// # }
/// # let bus = Words(RefCell::new([0; 0x8000]));
/// use igb_hal::{Mac, identify};
///
/// let device = identify(0x1533_8086, 0x2_0000)?;
/// let mac = Mac::new(bus, device);
/// mac.check()?;
/// mac.mask_interrupts();
/// # Ok::<(), igb_hal::Error>(())
/// ```
pub struct Mac<B> {
    regs: Regs<B>,
    device: &'static Device,
    /// Identifier of the PHY once it was found, else 0.
    pub(crate) phy_id: AtomicU32,
    /// Its address on MDIO.
    pub(crate) phy_address: AtomicU8,
    /// The flow control that was asked for, as bits of `FlowControl`.
    pub(crate) flow_wish: AtomicU8,
    /// Which frames are received beyond the filters, as bits; RCTL is made from them.
    pub(crate) reception: AtomicU8,
}

/// What is waited for, and for how long.
pub(crate) struct Wait {
    pub(crate) register: &'static str,
    pub(crate) index: u16,
    pub(crate) what: &'static str,
    pub(crate) step_us: u32,
    pub(crate) limit_us: u32,
}

impl<B: Bus> Mac<B> {
    /// The MAC of `device` behind `bus`. Nothing is accessed.
    pub const fn new(bus: B, device: &'static Device) -> Self {
        Self {
            regs: Regs::new(bus, device.chip),
            device,
            phy_id: AtomicU32::new(0),
            phy_address: AtomicU8::new(0),
            flow_wish: AtomicU8::new(0),
            reception: AtomicU8::new(0),
        }
    }

    /// Its registers.
    pub const fn regs(&self) -> &Regs<B> {
        &self.regs
    }

    /// Which chip it is of.
    pub const fn chip(&self) -> Chip {
        self.device.chip
    }

    /// Which device it is of.
    pub const fn device(&self) -> &'static Device {
        self.device
    }

    /// Which port of the device this is: STATUS.LAN_ID; 0 on I210 and I211, which have one.
    pub fn function(&self) -> u8 {
        match self.chip() {
            Chip::I210 | Chip::I211 => 0,
            _ => (self.regs.status().read(STATUS::FUNC) & 3) as u8,
        }
    }

    /// Whether the device is there.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceGone`] when STATUS, which has reserved bits, reads all ones.
    pub fn check(&self) -> Result<(), Error> {
        if self.regs.status().get() == u32::MAX { Err(Error::DeviceGone) } else { Ok(()) }
    }

    /// An error that a device which left the bus caused is that it left.
    pub(crate) fn or_gone<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| self.check().err().unwrap_or(error))
    }

    /// Makes posted writes arrive: a read of the same device comes back after them.
    pub(crate) fn flush(&self) {
        let _ = self.regs.status().get();
    }

    /// Reads until `done`, at least twice `step_us` apart, at most for `limit_us`.
    pub(crate) fn poll(
        &self,
        wait: &Wait,
        delay: &mut impl DelayNs,
        read: impl Fn() -> u32,
        done: impl Fn(u32) -> bool,
    ) -> Result<u32, Error> {
        let mut waited = 0;
        loop {
            let value = read();
            if value == u32::MAX {
                self.check()?;
            }
            if done(value) {
                return Ok(value);
            }
            if waited >= wait.limit_us {
                let Wait { register, index, what, limit_us: micros, .. } = *wait;
                return Err(Error::Timeout { what, register, index, value, micros });
            }
            delay.delay_us(wait.step_us);
            waited += wait.step_us;
        }
    }
}

impl<B> core::fmt::Debug for Mac<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Mac").field("device", &self.device.name).finish_non_exhaustive()
    }
}
