//! The suite on simulated chips.

use igb::{Chip, InterruptKind};
use igb_suite::beds::Cables::{Held, Joined};
use igb_suite::{Incoherent, Simulated, cases};

/// One module of tests for each chip.
macro_rules! on {
    ($($module:ident: $chip:expr, $queues:expr;)*) => {$(
        mod $module {
            use super::*;

            fn held() -> Simulated {
                Simulated::new($chip, Held)
            }

            #[test]
            fn opens_and_closes() {
                cases::opens_and_closes(&held());
            }
            #[test]
            fn bad_requests() {
                cases::bad_requests(&held());
            }
            #[test]
            fn link_follows_the_cable() {
                cases::link_follows_the_cable(&Simulated::new($chip, Joined));
            }
            #[test]
            fn gone_at_every_access() {
                cases::gone_at_every_access(&held(), 1);
            }
            #[test]
            fn address_filters() {
                cases::address_filters(&held());
            }
            #[test]
            fn every_length_both_ways() {
                cases::every_length_both_ways(&held(), 10_000);
            }
            #[test]
            fn small_ring_wraps() {
                cases::ring_wraps(&held(), 64);
            }
            #[test]
            fn large_ring_wraps() {
                cases::ring_wraps(&held(), 4096);
            }
            #[test]
            fn counts() {
                cases::counts(&held());
            }
            #[test]
            fn forwards_between_ports() {
                cases::forwards_between_ports(&held(), 3000);
            }
            #[test]
            fn redirects_to_a_thread() {
                cases::redirects_to_a_thread(&Simulated::real_time($chip, Held));
            }
            #[test]
            fn redirects_to_a_shared_queue() {
                cases::redirects_to_a_shared_queue(&held());
            }
            #[test]
            fn full_ring_holds_back() {
                cases::full_ring_holds_back(&held(), 80);
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
            #[test]
            fn spreads_flows() {
                for queues in $queues {
                    cases::spreads_flows(&held(), queues);
                }
            }
            #[test]
            fn every_vector() {
                cases::every_vector(&Simulated::real_time($chip, Held), 2);
            }
            /// As many queues as there are: on the 82576 more than vectors, which they then share.
            #[test]
            fn every_vector_of_all_queues() {
                cases::every_vector(&Simulated::real_time($chip, Held), $chip.rx_queues() as u16);
            }
            #[test]
            fn wakes_by_msix() {
                cases::wakes_on_frames(&held(), &[InterruptKind::MsiX]);
            }
            #[test]
            fn wakes_by_msi() {
                cases::wakes_on_frames(&held(), &[InterruptKind::Msi]);
            }
            #[test]
            fn wakes_by_the_line() {
                cases::wakes_on_frames(&held(), &[InterruptKind::Intx]);
            }
            #[test]
            fn reset_keeps_configuration() {
                cases::reset_keeps_configuration(&Simulated::real_time($chip, Held));
            }
            #[test]
            fn reset_under_threads() {
                cases::reset_under_threads(&Simulated::real_time($chip, Held));
            }
            #[test]
            fn removal_under_traffic() {
                cases::removal_under_traffic(&held());
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

            fn held() -> Incoherent {
                Incoherent::new(Simulated::new($chip, Held))
            }
            fn real_time() -> Incoherent {
                Incoherent::new(Simulated::real_time($chip, Held))
            }

            #[test]
            fn opens_and_closes() {
                cases::opens_and_closes(&held());
            }
            #[test]
            fn bad_requests() {
                cases::bad_requests(&held());
            }
            #[test]
            fn address_filters() {
                cases::address_filters(&held());
            }
            #[test]
            fn every_length_both_ways() {
                cases::every_length_both_ways(&held(), 10_000);
            }
            #[test]
            fn rings_wrap() {
                cases::ring_wraps(&held(), 64);
                cases::ring_wraps(&held(), 4096);
            }
            #[test]
            fn counts() {
                cases::counts(&held());
            }
            #[test]
            fn forwards_between_ports() {
                cases::forwards_between_ports(&held(), 3000);
            }
            #[test]
            fn full_ring_holds_back() {
                cases::full_ring_holds_back(&held(), 80);
            }
            #[test]
            fn spreads_flows() {
                cases::spreads_flows(&held(), 4);
            }
            #[test]
            fn wakes_by_msix() {
                cases::wakes_on_frames(&held(), &[InterruptKind::MsiX]);
            }
            #[test]
            fn reset_keeps_configuration() {
                cases::reset_keeps_configuration(&real_time());
            }
            #[test]
            fn reset_under_threads() {
                cases::reset_under_threads(&real_time());
            }
            #[test]
            fn removal_under_traffic() {
                cases::removal_under_traffic(&held());
            }
        }
    )*};
}

incoherent! {
    i82576_incoherent: Chip::I82576;
    i210_incoherent: Chip::I210;
}
