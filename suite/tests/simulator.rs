//! The suite on simulated chips.

use igb::Chip;
use igb_suite::beds::Cables::{Held, Joined};
use igb_suite::{Incoherent, Simulated, cases};

const HELD_BACK: u32 = 80;
const VECTORS: u16 = 2;

/// One module of tests for each chip.
macro_rules! on {
    ($($module:ident: $chip:expr, $queues:expr;)*) => {$(
        mod $module {
            use super::*;

            const QUEUES: &[u16] = &$queues;

            fn held() -> Simulated {
                Simulated::new($chip, Held)
            }
            fn real_time() -> Simulated {
                Simulated::real_time($chip, Held)
            }
            fn waiting() -> Simulated {
                held()
            }

            igb_suite::every_bed!();

            #[test]
            fn link_follows_the_cable() {
                cases::link_follows_the_cable(&Simulated::new($chip, Joined));
            }
            #[test]
            fn gone_at_every_access() {
                cases::gone_at_every_access(&held(), 1);
            }
            #[test]
            fn full_buffer_misses() {
                cases::full_buffer_misses(&held());
            }
            #[test]
            fn full_queue_drops() {
                cases::full_queue_drops(&held());
            }
            #[test]
            fn all_ones_in_health() {
                cases::all_ones_in_health(&held());
            }
        }
    )*};
}

on! {
    i82576: Chip::I82576, [1, 2, 8, 16];
    i350: Chip::I350, [1, 2, 8];
    i210: Chip::I210, [1, 2, 4];
    i82575: Chip::I82575, [1, 2, 4];
    i82580: Chip::I82580, [1, 2, 8];
    i354: Chip::I354, [1, 2, 8];
    i211: Chip::I211, [1, 2];
}

/// The same in a machine whose memory is not coherent. Left out: the two cases that put a bus of their own between, which
/// have nothing to do with memory, and those of the packet buffer.
macro_rules! incoherent {
    ($($module:ident: $chip:expr;)*) => {$(
        mod $module {
            use super::*;

            const QUEUES: &[u16] = &[4];

            fn held() -> Incoherent {
                Incoherent::new(Simulated::new($chip, Held))
            }
            fn real_time() -> Incoherent {
                Incoherent::new(Simulated::real_time($chip, Held))
            }
            fn waiting() -> Incoherent {
                held()
            }

            igb_suite::every_bed!();
        }
    )*};
}

incoherent! {
    i82576_incoherent: Chip::I82576;
    i210_incoherent: Chip::I210;
}
