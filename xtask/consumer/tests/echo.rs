//! The driver of this package on a device that is played by hand.

use consumer::{BASE, Nic, Slice, Window};
use igb_regs::{Chip, Regs};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

const MEMORY: usize = 1 << 20;

#[repr(align(4096))]
struct Aligned([AtomicU64; MEMORY / 8]);

static REGISTERS: [AtomicU32; 0x8000] = [const { AtomicU32::new(0) }; 0x8000];
static WORDS: Aligned = Aligned([const { AtomicU64::new(0) }; MEMORY / 8]);
static USED: AtomicUsize = AtomicUsize::new(0);

fn word(address: u64) -> &'static AtomicU64 {
    &WORDS.0[(address - BASE) as usize / 8]
}

#[test]
fn frames_come_back() {
    let window = Window(&REGISTERS);
    let mut nic = Nic::open(window, &Slice::new(&WORDS.0, &USED), 0x1533_8086).expect("opens");
    let regs = Regs::new(window, Chip::I210);
    let (rx, tx) = (regs.rx_queue(0), regs.tx_queue(0));
    assert_eq!(rx.rdt().get(), 63);
    let ring = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    let (rx_ring, tx_ring) =
        (ring(rx.rdbal().get(), rx.rdbah().get()), ring(tx.tdbal().get(), tx.tdbah().get()));

    // Three frames, then three descriptors with DD and EOP.
    for i in 0..3 {
        let at = rx_ring + 16 * i;
        word(word(at).load(SeqCst)).store(0x1111 * (i + 1), SeqCst);
        word(at + 8).store(60 << 32 | 3, SeqCst);
    }
    assert_eq!(nic.echo(), 3);
    assert_eq!(tx.tdt().get(), 3);
    for i in 0..3 {
        let at = tx_ring + 16 * i;
        assert_eq!(word(word(at).load(SeqCst)).load(SeqCst), 0x1111 * (i + 1), "the same bytes, not copied");
        assert_eq!(word(at + 8).load(SeqCst) >> 46, 60, "PAYLEN");
    }
    assert_eq!(nic.echo(), 0);
    nic.close().expect("closes");
}
