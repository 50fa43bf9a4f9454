//! A machine whose memory is not coherent: the device sees what was synchronised and nothing else.

use igb::{Action, Chip, Config, Exclusive, Igb, Memory, Pool, Queues};
use igb_ring::NonCoherent;
use igb_suite::beds::{Bed, Cables, Incoherent, Ports, Simulated};
use igb_suite::frames;
use std::time::Duration;

#[test]
fn frames_pass_through_memory_that_is_not_coherent() {
    for chip in [Chip::I82576, Chip::I350, Chip::I210] {
        let bed = Incoherent::new(Simulated::new(chip, Cables::Held));
        let nic =
            Igb::probe(bed.platform(0), Config::default()).unwrap_or_else(|error| panic!("probe: {error}"));
        let (control, mut queues) =
            bed.open(nic, Queues::combined(1)).unwrap_or_else(|error| panic!("open: {error}"));
        control.wait_link(Duration::from_secs(10)).unwrap_or_else(|error| panic!("link: {error}"));
        let own = control.address().0;
        let queue = &mut queues[0];
        let mut lengths = frames::lengths();
        for number in 0..2000 {
            let sent = frames::numbered(own, number, lengths.next().unwrap_or(60));
            assert!(bed.send(0, &sent));
            let mut seen = 0;
            for _ in 0..1000 {
                // Comes in, is changed by the CPU, goes out: both directions of synchronisation.
                seen += queue
                    .poll(64, |mut frame, _| {
                        assert_eq!(frame.bytes(), sent, "{chip}, frame {number}");
                        frame.bytes_mut()[0] ^= 0xff;
                        Action::Transmit(frame)
                    })
                    .unwrap_or_else(|error| panic!("poll: {error}"));
                if seen > 0 {
                    break;
                }
                bed.tick();
            }
            let mut back = None;
            for _ in 0..1000 {
                back = bed.receive(0);
                if back.is_some() {
                    break;
                }
                bed.tick();
            }
            let mut want = sent.clone();
            want[0] ^= 0xff;
            assert_eq!(back, Some(want), "{chip}, frame {number}");
        }
        control.close();
        drop((control, queues));
        assert_eq!(bed.objections(), Vec::<String>::new());
    }
}

#[test]
fn a_pool_that_assumes_coherence_is_refused() {
    let bed = Simulated::new(Chip::I210, Cables::Held);
    let dma = NonCoherent::new(bed.world().arena().clone());
    assert!(Pool::new(&dma, 64, 2304).map(|pool| pool.local().take()).is_err());
}
