//! More frames than there are buffers, and answers that look like death and are not.

use super::{close, open, open_as};
use crate::drive::{PATIENCE, collect};
use crate::wrap::with_bus;
use crate::{Bed, Ports, Simulated, frames};
use igb::{Action, Config, Igb, Queues};
use igb_regs::{Faulty, Rule};

/// The ring is full and nobody polls: frames wait in front of the device until the cable takes no more, and all that it
/// took come, in order, when somebody polls.
pub fn full_ring_holds_back<B: Bed>(bed: &B, count: u32) {
    let (control, mut queues) = open_as(bed, 0, Queues::combined(1).rings(64, 64), Config::default());
    let own = control.address().0;
    let taken = (0..count).take_while(|n| bed.send(0, &frames::numbered(own, *n, 200))).count() as u32;
    assert!(taken > 64, "only {taken} frames were taken");
    let seen = collect(bed, &mut queues, taken as usize);
    let numbers: Vec<_> = seen.iter().filter_map(|frame| frames::number(frame)).collect();
    assert!(
        numbers.iter().copied().eq(0..taken),
        "{} of {taken} frames came, in this order: {numbers:?}",
        seen.len()
    );
    assert!(bed.send(0, &frames::numbered(own, count, 200)), "there is room again");
    let seen = collect(bed, &mut queues, 1);
    assert_eq!(seen.first().and_then(|frame| frames::number(frame)), Some(count));
    close(bed, (control, queues));
}

/// One queue without buffers: what does not fit the packet buffer is missed and counted exactly, and that the queue had
/// no descriptor is counted too (each time a frame reaches the head of the line and finds none).
pub fn full_buffer_misses(bed: &Simulated) {
    let (control, mut queues) = open(bed, 0, Queues::combined(1).rings(64, 64));
    let own = control.address().0;
    control.statistics().expect("counts");
    let sent = 2000u32;
    // A frame that is missed was on the cable all the same.
    (0..sent).for_each(|n| assert!(bed.send(0, &frames::numbered(own, n, 1514))));
    bed.tick();
    let missed = bed.device(0).counters().rx_missed;
    assert!(missed > 0, "2,000 frames of 1,514 bytes fit into no packet buffer");
    let seen = collect(bed, &mut queues, sent as usize - missed as usize);
    assert_eq!(seen.len() as u64 + missed, u64::from(sent));
    let counted = control.statistics().expect("counts");
    assert_eq!((counted.missed, counted.rx_queue_dropped), (missed, [0; 16]));
    assert!(counted.rx_no_buffers > 0);
    close(bed, (control, queues));
}

/// Two queues: what finds no descriptor is dropped at its queue and counted there, and the other queue goes on.
pub fn full_queue_drops(bed: &Simulated) {
    let (control, mut queues) = open(bed, 0, Queues::combined(2).rings(64, 64));
    let own = control.address().0;
    let mut flow_of = [None; 2];
    for flow in 0..64 {
        assert!(bed.send(0, &frames::flow(own, flow, &[0])));
        for _ in 0..PATIENCE {
            let mut home = None;
            for queue in &mut queues {
                let index = queue.index();
                let count = queue.poll(64, |frame, _| Action::Recycle(frame)).expect("polls");
                home = home.or((count > 0).then_some(index));
            }
            if let Some(home) = home {
                flow_of[usize::from(home)] = Some(flow);
                break;
            }
            bed.tick();
        }
    }
    let [Some(busy), Some(idle)] = flow_of else { panic!("both queues have flows: {flow_of:?}") };
    control.statistics().expect("counts");
    let sent = 500u64;
    (0..sent).for_each(|_| assert!(bed.send(0, &frames::flow(own, busy, &[1]))));
    assert!(bed.send(0, &frames::flow(own, idle, &[2])));
    bed.tick();
    let mut came = [0u64; 2];
    for _ in 0..100 {
        for (queue, came) in queues.iter_mut().zip(&mut came) {
            *came += u64::from(queue.poll(64, |frame, _| Action::Recycle(frame)).expect("polls"));
        }
        bed.tick();
    }
    assert_eq!(came[1], 1, "the other queue is not held up");
    let counted = control.statistics().expect("counts");
    // The 82575 counts them for the port and not by queue.
    let dropped = match bed.chip() {
        igb::Chip::I82575 => counted.rx_no_buffers,
        _ => counted.rx_queue_dropped[0],
    };
    assert_eq!(came[0] + dropped, sent);
    assert_eq!(counted.rx_no_buffers, dropped, "each found no buffer");
    assert!(dropped > 0 && counted.missed == 0, "{counted:?}");
    close(bed, (control, queues));
}

/// A counter and a filter word may read all ones in health: STATUS decides who is dead.
pub fn all_ones_in_health<B: Bed>(bed: &B) {
    let rules = ["GPRC", "VFTA", "MPC"].map(|name| {
        let register = igb_regs::meta::by_name(name).expect("is described");
        let offset = register.place(bed.chip()).and_then(|place| place.offset_of(0)).expect("is there");
        Rule::Stuck { offset, mask: u32::MAX, value: u32::MAX }
    });
    let (platform, _) = with_bus(bed.platform(0), |bus| Faulty::new(bus, rules));
    let nic = Igb::probe(platform, Config::default()).unwrap_or_else(|error| panic!("probe: {error}"));
    let (control, queues) = nic.open(Queues::combined(1)).unwrap_or_else(|error| panic!("open: {error}"));
    control.set_vlans(&[1, 2, 4094]).expect("has VLANs");
    let counted = control.statistics().expect("is not dead");
    assert!(counted.rx_frames >= u32::MAX.into());
    control.watchdog().expect("is not dead");
    control.close();
    drop((control, queues));
}
