//! The I350 has no credit-based shaper: with the chip known, its registers do not compile.

use igb_regs::Bus;
use igb_regs::chip::i350::Regs;

struct Nothing;

impl Bus for Nothing {
    fn read32(&self, _: u32) -> u32 {
        0
    }
    fn write32(&self, _: u32, _: u32) {}
}

fn main() {
    let regs = Regs::new(Nothing);
    regs.txswc().get();
    regs.tqavctrl().set(0);
}
