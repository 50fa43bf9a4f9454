//! Read-modify-write of a write-1-to-clear register would clear what it read as 1.

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
    regs.wus().modify(igb_regs::WUS::LNKC.val(1));
}
