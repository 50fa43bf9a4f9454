//! A field belongs to its register.

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
    let _ = regs.status().is_set(igb_regs::CTRL::SLU);
}
