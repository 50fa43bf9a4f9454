//! Reading a mask and writing it back is not how bits are set.

use igb_regs::{Bus, Chip, Regs};

struct Nothing;

impl Bus for Nothing {
    fn read32(&self, _: u32) -> u32 {
        0
    }
    fn write32(&self, _: u32, _: u32) {}
}

fn main() {
    let regs = Regs::new(Nothing, Chip::I210);
    regs.ims().modify(igb_regs::IMS::LSC.val(1));
}
