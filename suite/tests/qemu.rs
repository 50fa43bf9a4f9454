//! The suite on QEMU's 82576, which nobody here wrote. Without QEMU these tests fail and say how to get it.

use igb_qtest::Timing;
use igb_suite::beds::Cables::{Held, Joined};
use igb_suite::{Qemu, cases};

const HELD_BACK: u32 = 1000;
const VECTORS: u16 = 4;
const QUEUES: &[u16] = &[1, 2, 8, 16];

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
        fn real_time() -> Qemu {
            Qemu::new(Held, Timing::Real, IOMMU)
        }
        fn waiting() -> Qemu {
            real_time()
        }

        igb_suite::every_bed!();

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
        fn all_ones_in_health() {
            cases::all_ones_in_health(&held());
        }

        /// QEMU is killed while frames are on their way: a named error everywhere, in bounded time, and no hang.
        #[test]
        fn killed_under_traffic() {
            use igb::{Action, Config, Error, Igb, Queues};
            use igb_suite::{Bed, Ports};
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
    }
    )*};
}

suite! {
    plain: false;
    bounded: true;
}
