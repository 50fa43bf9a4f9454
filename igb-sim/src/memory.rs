//! Memory as the device sees it.

use igb_ring::Arena;

/// What a device can reach by DMA. [`Arena`] for drivers in this process; an emulator gives its guest's memory.
///
/// Each call checks its range: false, or nothing done, when a byte lies outside. The simulator counts that as an IOMMU
/// fault.
pub trait DeviceMemory: Send + Sync {
    /// Reads bytes at `iova`.
    fn read(&self, iova: u64, out: &mut [u8]) -> bool;
    /// Writes bytes at `iova`.
    fn write(&self, iova: u64, bytes: &[u8]) -> bool;
    /// Writes one little-endian quadword, whole, after everything written before.
    fn write64(&self, iova: u64, value: u64) -> bool;
    /// Reads one little-endian quadword, whole.
    fn read64(&self, iova: u64) -> Option<u64>;
}

impl DeviceMemory for Arena {
    fn read(&self, iova: u64, out: &mut [u8]) -> bool {
        Self::read(self, iova, out)
    }
    fn write(&self, iova: u64, bytes: &[u8]) -> bool {
        Self::write(self, iova, bytes)
    }
    fn write64(&self, iova: u64, value: u64) -> bool {
        Self::write64(self, iova, value)
    }
    fn read64(&self, iova: u64) -> Option<u64> {
        Self::read64(self, iova)
    }
}
