//! What is right compiles. With one such program the others are built, not only checked, so that constants are
//! computed.

use igb_regs::chip::i210::Regs;
use igb_regs::{Bus, CTRL, TQAVCTRL};

struct Nothing;

impl Bus for Nothing {
    fn read32(&self, _: u32) -> u32 {
        0
    }
    fn write32(&self, _: u32, _: u32) {}
}

fn main() {
    let regs = Regs::new(Nothing);
    regs.ctrl().modify(CTRL::SLU.val(1));
    regs.tqavctrl().write(TQAVCTRL::TRANSMIT_MODE_QAV);
    regs.rdt_at::<3>().set(0);
}
