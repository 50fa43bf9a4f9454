//! The window in configuration space by which a guest makes its own device ill.

use igb_sim::{Device, Fault};

/// Where it begins.
pub(crate) const BASE: u64 = 0xf00;
const NAME: usize = 0x40;
const COMMAND: u64 = BASE + 0x40;
const STATUS: u64 = BASE + 0x44;
const VIOLATIONS: u64 = BASE + 0x48;
const DMA_FAULTS: u64 = BASE + 0x4c;

/// The window's state: the name, and how the last command went.
#[derive(Debug)]
pub(crate) struct Laboratory {
    name: [u8; NAME],
    status: u8,
}

impl Default for Laboratory {
    fn default() -> Self {
        Self { name: [0; NAME], status: 0 }
    }
}

impl Laboratory {
    /// One byte.
    pub(crate) fn read(&self, device: &Device, offset: u64) -> u8 {
        let byte = |value: u64, base: u64| value.to_le_bytes()[(offset - base) as usize & 3];
        match offset {
            BASE..COMMAND => self.name[(offset - BASE) as usize],
            STATUS => self.status,
            VIOLATIONS..DMA_FAULTS => byte(device.violations().len() as u64, VIOLATIONS),
            DMA_FAULTS..0xf50 => byte(device.dma_faults().min(u32::MAX.into()), DMA_FAULTS),
            _ => 0,
        }
    }

    pub(crate) fn write(&mut self, device: &Device, offset: u64, value: u8) {
        match (offset, value) {
            (BASE..COMMAND, _) => self.name[(offset - BASE) as usize] = value,
            (COMMAND, 1) => {
                let name: Vec<u8> = self.name.iter().copied().take_while(|byte| *byte != 0).collect();
                let fault = core::str::from_utf8(&name).ok().and_then(Fault::by_name);
                self.status = u8::from(fault.is_none());
                if let Some(fault) = fault {
                    device.inject(fault);
                }
            }
            (COMMAND, 2) => {
                device.heal_all();
                // Locks that an ill device left held outlast a reset: off and on again.
                device.remove();
                device.insert();
                self.status = 0;
            }
            _ => {}
        }
    }
}
