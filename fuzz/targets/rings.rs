//! A device that writes anything into its rings at any time: nothing is lost, nothing is read outside a buffer.

#![no_main]

use igb_ring::{Arena, Chunk, Exclusive, Memory, Pool, RxRing, TxOffload, tx};

const CHUNKS: u32 = 160;
const LEN: u32 = 64;

thread_local! {
    /// One for all runs: fresh pages would cost more than the run.
    static MEMORY: Arena = Arena::anonymous(1 << 19, 1 << 20).expect("memory");
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let dma = MEMORY.with(Arena::clone);
    assert_eq!(dma.allocated(), 0, "what the last run left");
    let pool = Pool::new(&dma, CHUNKS, 1280).expect("room for it");
    let mut memory = pool.local();
    let mut rx = RxRing::new(&dma, LEN, memory.buffer_size()).expect("a good length");
    let (mut sender, mut cleaner) = tx::ring(&dma, LEN).expect("a good length");
    let (rx_base, tx_base) = (rx.base().0, sender.base().0);
    let mut kept = Vec::new();
    let mut rest = input.iter().copied();
    let mut byte = || rest.next();
    while let (Some(what), Some(with)) = (byte(), byte()) {
        let at = u64::from(with) % u64::from(2 * LEN) * 8;
        match what % 12 {
            0 => {
                rx.fill(|| memory.take());
            }
            1 => {
                rx.flush(|tail| assert!(tail < LEN));
            }
            2 => {
                // A write-back: status and length as they please.
                let word = [byte(), byte(), byte(), byte()].map(|byte| byte.unwrap_or(0));
                let [status, high, length, length_high] = word.map(u64::from);
                dma.write64(rx_base + (at | 8), length_high % 16 << 40 | length << 32 | high << 8 | status);
            }
            3 => {
                dma.write64(tx_base + (at | 8), 1 << 32);
            }
            4 => {
                // Anything anywhere in both rings.
                let word = core::array::from_fn(|_| byte().unwrap_or(0));
                let base = if what & 0x80 == 0 { rx_base } else { tx_base };
                dma.write64(base + at, u64::from_le_bytes(word));
            }
            5 | 6 => {
                let mut seen = 0;
                rx.poll(u32::from(with) % 70, |frame, _| {
                    assert!(
                        !frame.bytes().is_empty() && frame.bytes().len() <= usize::from(memory.buffer_size())
                    );
                    seen += 1;
                    match (what, seen % 3) {
                        (5, _) => Some(frame),
                        (_, 0) => {
                            kept.push(frame);
                            None
                        }
                        (_, 1) => {
                            if let Err(frame) = sender.push(frame) {
                                memory.give(frame);
                            }
                            None
                        }
                        _ => {
                            memory.give(frame);
                            None
                        }
                    }
                });
            }
            7 => {
                if let Some(mut frame) = memory.take() {
                    let _ = frame.resize(with.max(17).into());
                    let offload = TxOffload::default();
                    let sent =
                        if what & 0x80 == 0 { sender.push(frame) } else { sender.push_with(frame, &offload) };
                    if let Err(frame) = sent {
                        memory.give(frame);
                    }
                }
            }
            8 => {
                sender.flush(|tail| assert!(tail < LEN));
            }
            9 => {
                cleaner.clean(|frame| memory.give(frame));
            }
            10 => {
                kept.drain(..).for_each(|frame| memory.give(frame));
            }
            _ if with == 0 => {
                cleaner.reclaim(&mut sender, |frame| memory.give(frame));
                rx.reclaim(|frame| memory.give(frame));
            }
            _ => {}
        }
    }
    cleaner.reclaim(&mut sender, |frame| memory.give(frame));
    rx.reclaim(|frame| memory.give(frame));
    drop(kept);
    // Every chunk is home: they can all be taken at once.
    let mut all = Vec::new();
    while let Some(frame) = memory.take() {
        all.push(frame);
    }
    assert_eq!(all.len(), CHUNKS as usize);
});
