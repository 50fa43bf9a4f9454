//! The I211 has two queues: a third one, by a number that is known, does not compile.

use igb_regs::Bus;
use igb_regs::chip::i211::Regs;

struct Nothing;

impl Bus for Nothing {
    fn read32(&self, _: u32) -> u32 {
        0
    }
    fn write32(&self, _: u32, _: u32) {}
}

fn main() {
    let regs = Regs::new(Nothing);
    regs.rdt_at::<1>().set(0);
    regs.rdt_at::<2>().set(0);
}
