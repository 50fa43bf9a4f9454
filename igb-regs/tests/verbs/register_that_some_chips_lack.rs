//! The I210 alone has TQAVCTRL: without a look at the chip there is no handle.

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
    regs.tqavctrl().set(0);
}
