//! The locks that drivers and firmware share: SWSM guards SW_FW_SYNC, SW_FW_SYNC the resources.

use crate::mac::Wait;
use crate::{Error, Mac};
use embedded_hal::delay::DelayNs;
use igb_regs::{Bus, SW_FW_SYNC, SWSM};

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// The NVM.
    Eeprom,
    /// This port's PHY.
    Phy,
}

impl Lock {
    const fn name(self) -> &'static str {
        match self {
            Self::Eeprom => "EEPROM",
            Self::Phy => "PHY",
        }
    }
}

impl<B: Bus> Mac<B> {
    /// Frees the software's locks that a driver left behind when it died, so that its end does not keep the next one
    /// from working. Once, before the first [`reset`](Self::reset), while nobody else drives this function.
    ///
    /// - SWSM, when it is not free within 100 ms: nobody living holds it that long.
    /// - This port's PHY, at once: no other driver takes it.
    /// - The NVM, when it was held for a second: the other ports' drivers take it too, though never that long.
    ///
    /// What the firmware holds stays held; who needs that will say so. The steps of DPDK's `igb_reset_swfw_lock`, which
    /// waits a second for the PHY as well.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceGone`].
    pub fn recover_locks(&self, delay: &mut impl DelayNs) -> Result<(), Error> {
        self.check()?;
        let (phy, eeprom) = (self.bit(Lock::Phy), self.bit(Lock::Eeprom));
        let mut left = phy;
        let held = Wait {
            register: "SW_FW_SYNC",
            index: u16::MAX,
            what: "SW_EEP did not clear",
            step_us: 5_000,
            limit_us: 1_000_000,
        };
        let sync = || self.regs().sw_fw_sync().get();
        match self.poll(&held, delay, sync, |value| value & eeprom == 0) {
            Ok(_) => {}
            Err(Error::Timeout { .. }) => left |= eeprom,
            Err(error) => return Err(error),
        }
        match self.take_semaphore(Lock::Phy, delay) {
            Ok(()) => {
                let now = sync();
                if now & left != 0 {
                    self.check()?;
                    self.regs().sw_fw_sync().set(now & !left);
                }
                self.give_semaphore();
            }
            Err(Error::Semaphore { .. }) => {}
            Err(error) => return Err(error),
        }
        self.check()
    }

    /// Runs `f` while the lock is ours. The drivers try as often: 200 times 5 ms apart.
    pub(crate) fn locked<T, D: DelayNs>(
        &self,
        lock: Lock,
        delay: &mut D,
        f: impl FnOnce(&mut D) -> Result<T, Error>,
    ) -> Result<T, Error> {
        const TRIES: u32 = 200;
        let ours = self.bit(lock);
        let theirs = ours << 16; // the firmware's half
        let mut held = 0;
        for _ in 0..TRIES {
            self.take_semaphore(lock, delay)?;
            let sync = self.regs().sw_fw_sync().get();
            if sync & (ours | theirs) == 0 {
                self.regs().sw_fw_sync().set(sync | ours);
                self.give_semaphore();
                let result = f(delay);
                let given = self.unlock(ours, lock, delay);
                return result.and_then(|value| given.map(|()| value));
            }
            self.give_semaphore();
            if sync == u32::MAX {
                self.check()?;
            }
            held = sync;
            delay.delay_ms(5);
        }
        Err(Error::Semaphore { lock: lock.name(), swsm: 0, sync: held })
    }

    fn unlock(&self, ours: u32, lock: Lock, delay: &mut impl DelayNs) -> Result<(), Error> {
        self.take_semaphore(lock, delay)?;
        let sync = self.regs().sw_fw_sync();
        sync.set(sync.get() & !ours);
        self.give_semaphore();
        Ok(())
    }

    /// SMBI keeps other drivers out, SWESMBI then the firmware.
    ///
    /// A driver that died holding SMBI leaves it set, so it is freed once after the wait, as Intel's drivers do: nobody
    /// living holds it so long.
    fn take_semaphore(&self, lock: Lock, delay: &mut impl DelayNs) -> Result<(), Error> {
        let wait = Wait {
            register: "SWSM",
            index: u16::MAX,
            what: "SMBI did not clear",
            step_us: 50,
            limit_us: 100_000,
        };
        // The read that finds it 0 has taken it.
        let taken = |value: u32| !SWSM::SMBI.is_set(value);
        let read = || self.regs().swsm().read_set().get();
        if self.poll(&wait, delay, read, taken).is_err() {
            self.check()?;
            self.give_semaphore();
            let again = Wait { limit_us: 1_000, ..wait };
            self.poll(&again, delay, read, taken).map_err(|error| self.held(lock, error))?;
        }
        let ours = |value: u32| SWSM::SWESMBI.is_set(value);
        let ask = || {
            let value = self.regs().swsm().read_set().get();
            self.regs().swsm().set(value | SWSM::SWESMBI.val(1).value);
            self.regs().swsm().read_set().get()
        };
        self.poll(&wait, delay, ask, ours).map(drop).map_err(|error| {
            self.give_semaphore();
            self.held(lock, error)
        })
    }

    fn give_semaphore(&self) {
        let value = self.regs().swsm().read_set().get();
        self.regs().swsm().set(value & !(SWSM::SMBI.val(1) + SWSM::SWESMBI.val(1)).value);
    }

    /// What the wait ended with, told of the lock. SWSM is not read again: that would take it.
    fn held(&self, lock: Lock, error: Error) -> Error {
        match error {
            Error::Timeout { value: swsm, .. } => {
                Error::Semaphore { lock: lock.name(), swsm, sync: self.regs().sw_fw_sync().get() }
            }
            other => other,
        }
    }

    fn bit(&self, lock: Lock) -> u32 {
        match (lock, self.function()) {
            (Lock::Eeprom, _) => SW_FW_SYNC::SW_EEP.val(1).value,
            (Lock::Phy, 0) => SW_FW_SYNC::SW_PHY0.val(1).value,
            (Lock::Phy, 1) => SW_FW_SYNC::SW_PHY1.val(1).value,
            (Lock::Phy, 2) => SW_FW_SYNC::SW_PHY2.val(1).value,
            (Lock::Phy, _) => SW_FW_SYNC::SW_PHY3.val(1).value,
        }
    }
}
