//! What a case shows that does not end: where each thread of this process waits, and where its devices stand.

use igb::Chip;
use igb_regs::{Bus, Regs};
use std::fmt::Write as _;
use std::fs;

/// Each thread of this process: its name, its state, the time that it ran (hundredths of a second), what it asked of the
/// kernel, and where in the kernel it is; as much of that as may be read.
pub fn threads() -> String {
    let mut text = String::new();
    for entry in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or("?");
        // Fields 3, 14 and 15 of the line; the first two went with the name.
        let _ = writeln!(
            text,
            "thread {} {}: {} {}+{}, syscall {}",
            entry.file_name().to_string_lossy(),
            read("comm").trim(),
            field(0),
            field(11),
            field(12),
            read("syscall").trim()
        );
        for line in read("stack").lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// The registers that tell where interrupts and the first `queues` queues stand. Reading the two causes clears them, so
/// they come last.
pub fn registers(bus: impl Bus, chip: Chip, queues: usize) -> String {
    let regs = Regs::new(bus, chip);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "CTRL {:08x} STATUS {:08x} RCTL {:08x} TCTL {:08x} GPIE {:08x} IMS {:08x} EIMS {:08x} EIAC {:08x} EIAM {:08x}",
        regs.ctrl().get(),
        regs.status().get(),
        regs.rctl().get(),
        regs.tctl().get(),
        regs.gpie().map_or(0, |gpie| gpie.get()),
        regs.ims().get(),
        regs.eims().get(),
        regs.eiac().get(),
        regs.eiam().get(),
    );
    for queue in 0..queues {
        let _ = writeln!(
            text,
            "queue {queue}: RXDCTL {:08x} RDH {} RDT {}, TXDCTL {:08x} TDH {} TDT {}",
            regs.rxdctl(queue).get(),
            regs.rdh(queue).get(),
            regs.rdt(queue).get(),
            regs.txdctl(queue).get(),
            regs.tdh(queue).get(),
            regs.tdt(queue).get(),
        );
    }
    let (eicr, icr) = (regs.eicr().read_clear(), regs.icr().read_clear());
    let _ = writeln!(text, "EICR {:08x} ICR {:08x}", eicr.get(), icr.get());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_told_by_its_name() {
        let said =
            std::thread::Builder::new().name("the-sleeper".into()).spawn(threads).unwrap().join().unwrap();
        assert!(said.contains(" the-sleeper: R "), "{said}");
    }

    #[test]
    fn registers_of_a_device_that_is_gone_can_be_told() {
        struct Gone;
        impl Bus for Gone {
            fn read32(&self, _: u32) -> u32 {
                u32::MAX
            }
            fn write32(&self, _: u32, _: u32) {}
        }
        for chip in Chip::ALL {
            assert!(registers(Gone, *chip, 2).contains("EIMS ffffffff"));
        }
    }
}
