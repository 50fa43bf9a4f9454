#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cable;
mod clock;
mod counters;
mod device;
mod fault;
mod memory;
mod offsets;
mod packet;
mod pci;
mod platform;
mod port;
mod regfile;
mod spec;
mod violation;
mod world;

pub use cable::{Abilities, Delivery, Tap, Tapped, Wire, WireEnd};
pub use clock::Time;
pub use counters::{Counters, QueueCounters};
pub use device::Device;
pub use fault::Fault;
pub use memory::DeviceMemory;
pub use platform::{Sim, SimBus, SimClock, SimDelay, SimIrq, SimPci};
pub use port::Link;
pub use spec::DeviceSpec;
pub use violation::Violation;
pub use world::{World, WorldBuilder};
