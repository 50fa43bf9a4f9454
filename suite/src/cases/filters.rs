//! Which frames the receiver takes.

use super::{close, open};
use crate::drive::collect;
use crate::{Bed, frames};
use igb::{MacAddress, Queues};

const GROUP: [u8; 6] = [0x01, 0x00, 0x5e, 0x01, 0x02, 0x03];
const OTHER_GROUP: [u8; 6] = [0x33, 0x33, 0xaa, 0xbb, 0xcc, 0xdd];
const STRANGER: [u8; 6] = [0x02, 0xde, 0xad, 0xbe, 0xef, 0x01];
const SECOND: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
const ALL: [u8; 6] = [0xff; 6];

/// Own address, broadcast, joined groups, further addresses, promiscuous.
pub fn address_filters<B: Bed>(bed: &B) {
    let (control, mut queues) = open(bed, 0, Queues::combined(1));
    let own = control.address().0;
    // The mark comes last and is always taken, so what is missing before it was filtered, not late.
    let mut taken = |tried: &[[u8; 6]]| {
        let sent: Vec<_> = tried
            .iter()
            .chain([&own])
            .enumerate()
            .map(|(n, to)| frames::numbered(*to, n as u32, 80))
            .collect();
        sent.iter().for_each(|frame| assert!(bed.send(0, frame)));
        let mark = tried.len() as u32;
        let mut seen = Vec::new();
        while !seen.contains(&mark) {
            let frames = collect(bed, &mut queues, 1);
            assert!(!frames.is_empty(), "frame to the own address did not come");
            seen.extend(frames.iter().filter_map(|frame| frames::number(frame)));
        }
        seen.retain(|number| *number != mark);
        seen
    };
    assert_eq!(taken(&[own, STRANGER, ALL, GROUP]), [0, 2]);
    control.set_multicast(&[MacAddress(GROUP)]).expect("joins");
    assert_eq!(taken(&[GROUP, OTHER_GROUP]), [0]);
    control.set_all_multicast(true).expect("takes all groups");
    assert_eq!(taken(&[GROUP, OTHER_GROUP, STRANGER]), [0, 1]);
    control.set_all_multicast(false).expect("takes some groups");
    control.set_multicast(&[]).expect("leaves");
    assert!(taken(&[GROUP, OTHER_GROUP]).is_empty());
    control.set_unicast(&[MacAddress(SECOND)]).expect("has a second address");
    assert_eq!(taken(&[SECOND, STRANGER]), [0]);
    control.set_unicast(&[]).expect("has one address");
    assert!(taken(&[SECOND]).is_empty());
    control.set_promiscuous(true).expect("is promiscuous");
    assert_eq!(taken(&[STRANGER, SECOND, GROUP]), [0, 1, 2]);
    control.set_promiscuous(false).expect("is not");
    assert!(taken(&[STRANGER]).is_empty());
    close(bed, (control, queues));
}
