//! Registers: BAR 0, mapped.

use crate::error::Error;
use crate::sigbus::{Slot, Window};
use core::ptr::NonNull;
use igb_regs::{Bus, Fault};
use rustix::fd::AsFd;
use std::sync::Arc;

/// The registers of a device. A clone is the same window.
///
/// Each access is one instruction, so that a hypervisor that traps it can decode it. On x86-64 the order that
/// [`Bus`] asks for is the processor's own: stores are seen in order, and an uncached load ends before later loads begin.
/// AArch64 gets barriers. This crate does not compile for other processors, whose order it does not know.
///
/// When memory decoding is off or the device was pulled, reads give all ones and [`fault`](Bus::fault) says
/// [`Fault::Gone`], from then on and for good: a device that comes back is opened anew. The same after the
/// [`Device`](crate::Device) was dropped.
#[derive(Debug, Clone)]
pub struct Registers {
    /// Inside `window`, of `len` bytes.
    base: NonNull<u32>,
    len: u32,
    slot: &'static Slot,
    window: Arc<Window>,
}
// SAFETY: the address of a mapping that `window` keeps; registers are reached by single `mov`s, which threads may issue at
// the same time: what that means to the device is its driver's to know.
unsafe impl Send for Registers {}
// SAFETY: as above.
unsafe impl Sync for Registers {}

impl Registers {
    /// Maps `len` bytes of a device's file.
    pub(crate) fn map(fd: impl AsFd, offset: u64, len: u32) -> Result<Self, Error> {
        let window = Window::map(fd, offset, len as usize)?;
        Ok(Self {
            base: window.base(),
            len: window.len() as u32,
            slot: window.slot(),
            window: Arc::new(window),
        })
    }

    /// Size of BAR 0.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// From now on every clone finds the device gone.
    pub(crate) fn revoke(&self) {
        self.window.revoke();
    }

    #[inline]
    fn at(&self, offset: u32) -> Option<NonNull<u32>> {
        (offset < self.len && offset.is_multiple_of(4)).then(|| {
            // SAFETY: a whole word inside the window: its length is a multiple of the page size.
            unsafe { self.base.byte_add(offset as usize) }
        })
    }
}

impl Bus for Registers {
    #[inline]
    fn read32(&self, offset: u32) -> u32 {
        let Some(at) = self.at(offset) else { return u32::MAX };
        // SAFETY: inside the window, which is mapped as long as `self` is; a fault is handled there.
        let value = unsafe { load(at) };
        // After the load: if it was of the memory that replaced the device, the mark is seen.
        if self.slot.is_gone() { u32::MAX } else { value }
    }

    #[inline]
    fn write32(&self, offset: u32, value: u32) {
        if let Some(at) = self.at(offset) {
            // SAFETY: as for the load.
            unsafe { store(at, value) }
        }
    }

    fn fault(&self) -> Option<Fault> {
        self.slot.is_gone().then_some(Fault::Gone)
    }
}

/// # Safety
/// `at` is mapped, and a fault on it is handled.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn load(at: NonNull<u32>) -> u32 {
    let value: u32;
    // SAFETY: by contract. Not `nomem`: the compiler moves no access to memory across it.
    unsafe {
        core::arch::asm!("mov {0:e}, dword ptr [{1}]", out(reg) value, in(reg) at.as_ptr(), options(nostack, preserves_flags));
    }
    value
}

/// # Safety
/// As for [`load`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn store(at: NonNull<u32>, value: u32) {
    // SAFETY: as in `load`.
    unsafe {
        core::arch::asm!("mov dword ptr [{0}], {1:e}", in(reg) at.as_ptr(), in(reg) value, options(nostack, preserves_flags));
    }
}

/// # Safety
/// `at` is mapped, and a fault on it is handled.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn load(at: NonNull<u32>) -> u32 {
    let value: u32;
    // SAFETY: by contract. The barrier orders the load before later loads, of devices' memory too.
    unsafe {
        core::arch::asm!("ldr {0:w}, [{1}]", "dmb oshld", out(reg) value, in(reg) at.as_ptr(), options(nostack, preserves_flags));
    }
    u32::from_le(value)
}

/// # Safety
/// As for [`load`].
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn store(at: NonNull<u32>, value: u32) {
    // SAFETY: as in `load`. The barrier orders earlier stores before this one, as devices see them.
    unsafe {
        core::arch::asm!("dmb oshst", "str {1:w}, [{0}]", in(reg) at.as_ptr(), in(reg) value.to_le(), options(nostack, preserves_flags));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("igb-vfio does not know how this processor orders memory and registers");

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> std::fs::File {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn words_by_offset_and_all_ones_outside() {
        let mut bytes = vec![0; 8192];
        bytes[8..12].copy_from_slice(&[1, 2, 3, 0x80]);
        let file = file(&bytes);
        let bus = Registers::map(&file, 0, 8192).unwrap();
        assert_eq!(bus.read32(8), 0x8003_0201);
        bus.write32(8188, 0xdead_beef);
        assert_eq!(bus.clone().read32(8188), 0xdead_beef);
        for outside in [8192, 8190, 1, u32::MAX, u32::MAX - 3] {
            bus.write32(outside, 0);
            assert_eq!(bus.read32(outside), u32::MAX);
        }
        assert_eq!(bus.fault(), None);
    }

    #[test]
    fn a_fault_is_all_ones_and_the_process_lives() {
        let (lost, kept) = (file(&[1; 16384]), file(&[2; 4096]));
        let (bus, other) =
            (Registers::map(&lost, 0, 16384).unwrap(), Registers::map(&kept, 0, 4096).unwrap());
        assert_eq!(bus.read32(0), 0x0101_0101);
        lost.set_len(0).unwrap(); // from now on the mapping faults with SIGBUS, as a BAR does
        assert_eq!(bus.read32(4096), u32::MAX);
        assert_eq!((bus.fault(), other.fault()), (Some(Fault::Gone), None));
        bus.write32(0, 5);
        assert_eq!(bus.read32(0), u32::MAX, "what is written goes nowhere");
        lost.set_len(16384).unwrap();
        assert_eq!(bus.read32(0), u32::MAX, "gone is for good");
        assert_eq!(other.read32(0), 0x0202_0202);
        drop(bus);
        let again = Registers::map(&lost, 0, 16384).unwrap();
        assert_eq!((again.read32(0), again.fault()), (0, None));
    }

    #[test]
    fn a_write_may_be_what_faults() {
        let lost = file(&[1; 4096]);
        let bus = Registers::map(&lost, 0, 4096).unwrap();
        lost.set_len(0).unwrap();
        bus.write32(0, 5);
        assert_eq!((bus.fault(), bus.read32(0)), (Some(Fault::Gone), u32::MAX));
    }

    #[test]
    fn many_threads_fault_at_once_and_none_reads_anything_else() {
        for _ in 0..50 {
            let lost = file(&[1; 65536]);
            let bus = Registers::map(&lost, 0, 65536).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..4u32 {
                    let bus = bus.clone();
                    scope.spawn(move || {
                        for n in 0..2000 {
                            let value = bus.read32((n * 4 + thread * 16384) % 65536);
                            assert!(value == 0x0101_0101 || value == u32::MAX, "{value:#x}");
                        }
                    });
                }
                lost.set_len(0).unwrap();
            });
            assert_eq!(bus.read32(0), u32::MAX);
        }
    }

    #[test]
    fn revoked_is_gone() {
        let kept = file(&[1; 4096]);
        let bus = Registers::map(&kept, 0, 4096).unwrap();
        bus.revoke();
        assert_eq!((bus.read32(0), bus.fault()), (u32::MAX, Some(Fault::Gone)));
        bus.write32(0, 7);
    }
}
