//! The list of behaviours that every bed shows whose cables end in the test's hands.

/// Makes a test of each behaviour. Where it stands there are `held()`, a fresh bed; `real_time()`, one whose clock runs
/// by itself, for tests with threads; `waiting()`, one whose interrupts can be waited for; and what differs by bed: the
/// frames `HELD_BACK` that are offered to a full ring, the `QUEUES` that flows spread over, the queues `VECTORS` that have
/// a vector each.
#[macro_export]
macro_rules! every_bed {
    () => {
        #[test]
        fn opens_and_closes() {
            $crate::cases::opens_and_closes(&held());
        }
        #[test]
        fn bad_requests() {
            $crate::cases::bad_requests(&held());
        }
        #[test]
        fn address_filters() {
            $crate::cases::address_filters(&held());
        }
        #[test]
        fn every_length_both_ways() {
            $crate::cases::every_length_both_ways(&held(), 10_000);
        }
        #[test]
        fn small_ring_wraps() {
            $crate::cases::ring_wraps(&held(), 64);
        }
        #[test]
        fn large_ring_wraps() {
            $crate::cases::ring_wraps(&held(), 4096);
        }
        #[test]
        fn counts() {
            $crate::cases::counts(&held());
        }
        #[test]
        fn forwards_between_ports() {
            $crate::cases::forwards_between_ports(&held(), 3000);
        }
        #[test]
        fn large_frames_as_chains() {
            $crate::cases::large_frames_as_chains(&held());
        }
        #[test]
        fn gathered_frames() {
            $crate::cases::gathered_frames(&held());
        }
        #[test]
        fn segments() {
            $crate::cases::segments(&held());
        }
        #[test]
        fn redirects_to_a_thread() {
            $crate::cases::redirects_to_a_thread(&real_time());
        }
        #[test]
        fn redirects_to_a_shared_queue() {
            $crate::cases::redirects_to_a_shared_queue(&held());
        }
        #[test]
        fn full_ring_holds_back() {
            $crate::cases::full_ring_holds_back(&held(), HELD_BACK);
        }
        #[test]
        fn spreads_flows() {
            for queues in QUEUES {
                $crate::cases::spreads_flows(&held(), *queues);
            }
        }
        #[test]
        fn every_vector() {
            $crate::cases::every_vector(&real_time(), VECTORS);
        }
        /// As many queues as there are: on the 82576 more than vectors, which they then share.
        #[test]
        fn every_vector_of_all_queues() {
            let bed = real_time();
            let queues = $crate::Bed::chip(&bed).rx_queues() as u16;
            $crate::cases::every_vector(&bed, queues);
        }
        #[test]
        fn wakes_by_msix() {
            $crate::cases::wakes_on_frames(&waiting(), &[igb::InterruptKind::MsiX]);
        }
        #[test]
        fn wakes_by_msi() {
            $crate::cases::wakes_on_frames(&waiting(), &[igb::InterruptKind::Msi]);
        }
        #[test]
        fn wakes_by_the_line() {
            $crate::cases::wakes_on_frames(&waiting(), &[igb::InterruptKind::Intx]);
        }
        #[test]
        fn reset_keeps_configuration() {
            $crate::cases::reset_keeps_configuration(&real_time());
        }
        #[test]
        fn reset_under_threads() {
            $crate::cases::reset_under_threads(&real_time());
        }
        #[test]
        fn removal_under_traffic() {
            $crate::cases::removal_under_traffic(&held());
        }
    };
}
