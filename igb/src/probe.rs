//! From a platform to a device that is known, reset and ready to be opened.

use crate::config::{Config, Queues};
use crate::shared::{Shared, mode};
use crate::{Controller, Error, InterruptKind, PciConfig, Platform, Queue, pci};
use alloc::sync::Arc;
use alloc::vec::Vec;
use igb_hal::{Firmware, Mac, MacAddress, PhyInfo, Routing};
use igb_regs::{Chip, Device};
use igb_ring::{HEADROOM, Local, Memory, Pool};

/// A device that was identified and reset, and moves no frames yet.
///
/// See the crate's page for how it goes on.
pub struct Igb<P: Platform> {
    platform: P,
    mac: Mac<P::Bus>,
    config: Config,
    address: MacAddress,
    firmware: Firmware,
    phy: PhyInfo,
}

impl<P: Platform> core::fmt::Debug for Igb<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Igb")
            .field("chip", &self.chip())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl<P: Platform> Igb<P> {
    /// Identifies the function, resets it, reads its NVM and finds its PHY.
    ///
    /// # Errors
    /// What the identification finds: not one of these chips, a virtual function, too small a BAR; what the NVM holds:
    /// a wrong checksum (unless the configuration says to go on), an address that is multicast or zero; waits that ran
    /// out, each with its register; [`Error::DeviceGone`]. The device is then left reset and quiet.
    pub fn probe(platform: P, config: Config) -> Result<Self, Error> {
        let identity = platform.pci().read32(0x00);
        let device = igb_hal::identify(identity, platform.bar_len())?;
        pci::decode_memory(platform.pci());
        let mac = Mac::new(platform.bus(), device);
        mac.check()?;
        let mut delay = platform.delay();
        mac.recover_locks(&mut delay)?;
        mac.reset(&mut delay)?;
        let nvm = mac.nvm();
        if nvm.is_present()
            && let Err(error) = nvm.verify(&mut delay)
            && !config.ignore_nvm_checksum
        {
            return Err(error.into());
        }
        let address = match config.address {
            Some(address) => address,
            None => mac.read_address(&mut delay)?,
        };
        let firmware = mac.firmware(&mut delay)?;
        let phy = mac.open_phy(&mut delay)?;
        Ok(Self { platform, mac, config, address, firmware, phy })
    }

    /// The chip.
    pub fn chip(&self) -> Chip {
        self.mac.chip()
    }

    /// What the PCI device ID says.
    pub fn device(&self) -> &'static Device {
        self.mac.device()
    }

    /// The station address: the NVM's, or the configuration's.
    pub fn address(&self) -> MacAddress {
        self.address
    }

    /// What the NVM says of its versions.
    pub fn firmware(&self) -> Firmware {
        self.firmware
    }

    /// What was found at the end of MDIO.
    pub fn phy(&self) -> PhyInfo {
        self.phy
    }

    /// The platform.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// The MAC, for what a program does before it opens the device: dump registers, read the NVM.
    pub fn mac(&self) -> &Mac<P::Bus> {
        &self.mac
    }

    /// Opens the device with buffers of a pool of its own, large enough for rings, caches and 64 frames more a queue.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    #[allow(clippy::type_complexity, reason = "a controller and its queues")]
    pub fn open(self, queues: Queues) -> Result<(Controller<P>, Vec<Queue<P, Local>>), Error> {
        self.check_count(queues)?;
        let pool = Pool::new(self.platform.dma(), self.chunks(queues), self.chunk_size())?;
        self.open_with(queues, |_| pool.local())
    }

    /// How many chunks a pool needs for these queues alone.
    pub fn chunks(&self, queues: Queues) -> u32 {
        u32::from(queues.count).saturating_mul(queues.rx.saturating_add(queues.tx).saturating_add(192))
    }

    /// How large a pool's chunks are to be for this configuration's frames, headroom included.
    pub fn chunk_size(&self) -> u32 {
        if self.config.chains {
            return 2048 + u32::from(HEADROOM);
        }
        let kib = (u32::from(self.config.max_frame) + STAMP).div_ceil(1024).max(2);
        kib * 1024 + u32::from(HEADROOM)
    }

    /// Opens the device: rings up, interrupts routed, link starting. `memory` is asked once for each queue.
    ///
    /// # Errors
    /// [`Error::QueueCount`], [`Error::BufferTooSmall`], what the rings say of their lengths,
    /// [`Error::NoInterrupts`], waits that ran out. Nothing half-open is left: the device is reset and quiet again.
    #[allow(clippy::type_complexity, reason = "a controller and its queues")]
    pub fn open_with<M: Memory>(
        self,
        queues: Queues,
        mut memory: impl FnMut(u16) -> M,
    ) -> Result<(Controller<P>, Vec<Queue<P, M>>), Error> {
        self.check_count(queues)?;
        let (kind, vectors) = self.interrupts(queues.count)?;
        let routing = Routing::new(mode(kind, vectors), queues.count);
        let Self { platform, mac, config, address, .. } = self;
        let (max_frame, chains) = (config.max_frame, config.chains);
        let shared = Arc::new(Shared::new(platform, mac, config, address, routing, kind, queues));
        shared.bring_up(&mut shared.control())?;
        let mut opened = Vec::with_capacity(queues.count.into());
        for index in 0..queues.count {
            let memory = memory(index);
            let buffer = memory.buffer_size();
            if !chains && u32::from(buffer) < u32::from(max_frame) + STAMP {
                return Err(Error::BufferTooSmall { buffer, frame: max_frame });
            }
            opened.push(Queue::new(&shared, index, memory)?);
        }
        Ok((Controller::new(shared), opened))
    }

    fn check_count(&self, queues: Queues) -> Result<(), Error> {
        let (asked, chip) = (queues.count, self.chip());
        let has = chip.rx_queues().min(chip.tx_queues()) as u16;
        if asked == 0 || asked > has {
            Err(Error::QueueCount { asked, has, chip: chip.name() })
        } else {
            Ok(())
        }
    }

    /// Tries the kinds in order. MSI-X gets a vector for each queue and one for the rest, as far as the chip, its
    /// table and the host go.
    fn interrupts(&self, queues: u16) -> Result<(Option<InterruptKind>, u16), Error> {
        for kind in self.config.interrupts {
            let wanted = match kind {
                InterruptKind::MsiX => {
                    let table = pci::msix_table_len(self.platform.pci()).unwrap_or(0);
                    (queues + 1).min(table).min(self.chip().msix_vectors() as u16)
                }
                InterruptKind::Msi | InterruptKind::Intx => 1,
            };
            if wanted == 0 {
                continue;
            }
            if let Some(got) = self.platform.enable_interrupts(*kind, wanted).filter(|got| *got > 0) {
                return Ok((Some(*kind), got.min(wanted)));
            }
        }
        if self.config.interrupts.is_empty() { Ok((None, 1)) } else { Err(Error::NoInterrupts) }
    }
}

/// Bytes that a timestamp in front of a frame takes (I210 datasheet 7.1.6; 82580 likewise): room is kept for it.
const STAMP: u32 = 16;

/// Whether the driver would take a function whose first configuration dword is this: device and vendor ID.
pub fn supports(vendor_device: u32) -> bool {
    igb_hal::identify(vendor_device, u64::MAX).is_ok()
}
