//! The behaviours. Each panics with what it saw where that is not what it should be.

mod bring_up;
mod filters;
mod frames;
mod interrupts;
mod large;
mod overload;
mod recovery;
mod redirect;
mod spread;

pub use bring_up::{bad_requests, gone_at_every_access, link_follows_the_cable, opens_and_closes};
pub use filters::address_filters;
pub use frames::{counts, every_length_both_ways, forwards_between_ports, ring_wraps};
pub use interrupts::{every_vector, wakes_on_frames};
pub use large::{gathered_frames, large_frames_as_chains, segments};
pub use overload::{all_ones_in_health, full_buffer_misses, full_queue_drops, full_ring_holds_back};
pub use recovery::{removal_under_traffic, reset_keeps_configuration, reset_under_threads};
pub use redirect::{redirects_to_a_shared_queue, redirects_to_a_thread};
pub use spread::spreads_flows;

use crate::Bed;
use crate::beds::Opened;
use core::time::Duration;
use igb::{Config, Igb, Queues};

/// Probes and opens a port, and waits for its link.
fn open<B: Bed>(bed: &B, port: usize, queues: Queues) -> Opened<B> {
    open_as(bed, port, queues, Config::default())
}

fn open_as<B: Bed>(bed: &B, port: usize, queues: Queues, config: Config) -> Opened<B> {
    let nic = Igb::probe(bed.platform(port), config).unwrap_or_else(|error| panic!("probe: {error}"));
    let opened = bed.open(nic, queues).unwrap_or_else(|error| panic!("open: {error}"));
    let link = opened.0.wait_link(Duration::from_secs(10)).unwrap_or_else(|error| panic!("link: {error}"));
    assert!(link.up, "{link}");
    opened
}

/// Closes a device and sees that nothing is left of it.
fn close<B: Bed>(bed: &B, opened: Opened<B>) {
    let (control, queues) = opened;
    control.close();
    drop((control, queues));
    assert_eq!(bed.objections(), Vec::<String>::new());
}
