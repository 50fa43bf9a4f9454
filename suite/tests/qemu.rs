//! The suite on QEMU's 82576, which nobody here wrote. Without QEMU these tests fail and say how to get it.

use igb::InterruptKind;
use igb_qtest::Timing;
use igb_suite::beds::Cables::{Held, Joined};
use igb_suite::{Qemu, cases};

/// The list is run twice: as it is, and behind a programmed IOMMU, where the device reaches what the driver allocated and
/// nothing else, also after close.
macro_rules! suite {
    ($($module:ident: $iommu:expr;)*) => {$(
    mod $module {
        use super::*;

        const IOMMU: bool = $iommu;

        fn held() -> Qemu {
            Qemu::new(Held, Timing::Warp, IOMMU)
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
            cases::link_follows_the_cable(&Qemu::new(Joined, Timing::Real, IOMMU));
        }

        /// Every access of bring-up is tried on the simulator; here one in 37, which shares no factor with the loops' lengths.
        #[test]
        fn gone_at_some_accesses() {
            cases::gone_at_every_access(&held(), 37);
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
            cases::redirects_to_a_thread(&Qemu::new(Held, Timing::Real, IOMMU));
        }

        #[test]
        fn redirects_to_a_shared_queue() {
            cases::redirects_to_a_shared_queue(&held());
        }

        #[test]
        fn full_ring_holds_back() {
            cases::full_ring_holds_back(&held(), 1000);
        }

        #[test]
        fn all_ones_in_health() {
            cases::all_ones_in_health(&held());
        }

        /// QEMU is killed while frames are on their way: a named error everywhere, in bounded time, and no hang.
        #[test]
        fn killed_under_traffic() {
            use igb::{Action, Config, Error, Igb, Queues};
            use igb_suite::Bed;
            let bed = held();
            let nic = Igb::probe(bed.platform(0), Config::default()).expect("probes");
            let (control, mut queues) = nic.open(Queues::combined(2)).expect("opens");
            control.wait_link(std::time::Duration::from_secs(10)).expect("the link is up");
            let own = control.address().0;
            for n in 0..200 {
                bed.send(0, &igb_suite::frames::numbered(own, n, 300));
                if n == 100 {
                    bed.machine().kill();
                }
                for queue in &mut queues {
                    let polled = queue.poll(16, |frame, _| Action::Transmit(frame));
                    assert!(matches!(polled, Ok(_) | Err(Error::DeviceGone)), "{polled:?}");
                }
            }
            assert_eq!(control.watchdog().err(), Some(Error::DeviceGone));
            assert_eq!(control.reset().err(), Some(Error::DeviceGone));
            for queue in &mut queues {
                assert_eq!(queue.poll(16, |frame, _| Action::Recycle(frame)).err(), Some(Error::DeviceGone));
            }
            control.close();
        }

        #[test]
        fn spreads_flows() {
            for queues in [1, 2, 8, 16] {
                cases::spreads_flows(&held(), queues);
            }
        }

        #[test]
        fn every_vector() {
            cases::every_vector(&Qemu::new(Held, Timing::Real, IOMMU), 4);
        }

        /// More queues than vectors, which they then share.
        #[test]
        fn every_vector_of_all_queues() {
            cases::every_vector(&Qemu::new(Held, Timing::Real, IOMMU), 16);
        }

        #[test]
        fn wakes_by_msix() {
            cases::wakes_on_frames(&Qemu::new(Held, Timing::Real, IOMMU), &[InterruptKind::MsiX]);
        }

        #[test]
        fn wakes_by_msi() {
            cases::wakes_on_frames(&Qemu::new(Held, Timing::Real, IOMMU), &[InterruptKind::Msi]);
        }

        #[test]
        fn wakes_by_the_line() {
            cases::wakes_on_frames(&Qemu::new(Held, Timing::Real, IOMMU), &[InterruptKind::Intx]);
        }

        #[test]
        fn reset_keeps_configuration() {
            cases::reset_keeps_configuration(&Qemu::new(Held, Timing::Real, IOMMU));
        }

        #[test]
        fn reset_under_threads() {
            cases::reset_under_threads(&Qemu::new(Held, Timing::Real, IOMMU));
        }

        #[test]
        fn removal_under_traffic() {
            cases::removal_under_traffic(&held());
        }
    }
    )*};
}

suite! {
    plain: false;
    bounded: true;
}
