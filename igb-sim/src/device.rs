//! A device as a test holds it: accesses, faults, counters, and the hands that only a laboratory has.

use crate::counters::Counters;
use crate::fault::Fault;
use crate::platform::{Sim, SimBus};
use crate::port::Link;
use crate::violation::Violation;
use crate::world::World;
use igb::InterruptKind;
use igb_regs::Chip;

/// One simulated function. A handle: clones are the same device.
#[derive(Debug, Clone)]
pub struct Device {
    pub(crate) world: World,
    pub(crate) index: usize,
    pub(crate) chip: Chip,
    pub(crate) device_id: u16,
}

impl Device {
    /// A platform for a driver. Any number, one driver at a time.
    pub fn platform(&self) -> Sim {
        Sim::new(self.clone())
    }

    /// The registers alone.
    pub fn bus(&self) -> SimBus {
        SimBus { device: self.clone() }
    }

    /// The world that it is in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Which chip it is.
    pub fn chip(&self) -> Chip {
        self.chip
    }

    /// Its number in the world.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its PCI device ID.
    pub fn device_id(&self) -> u16 {
        self.device_id
    }

    /// The address in its NVM.
    pub fn mac(&self) -> [u8; 6] {
        let words = [0, 1, 2].map(|word| self.nvm(word).to_le_bytes());
        core::array::from_fn(|byte| words[byte / 2][byte % 2])
    }

    /// Reads a register as a driver does.
    pub fn read(&self, offset: u32) -> u32 {
        self.world.read(self.index, offset)
    }

    /// Writes a register as a driver does.
    pub fn write(&self, offset: u32, value: u32) {
        self.world.access(self.index, 0, |port| port.write(offset, value));
    }

    /// The stored word of a register: no side effect, no count, no time. Live bits of STATUS are not computed.
    pub fn peek(&self, offset: u32) -> u32 {
        self.world.access(self.index, 0, |port| {
            crate::offsets::canonical(port.chip, offset).map_or(0, |offset| port.regs.get(offset))
        })
    }

    /// Stores a word, whatever the register does with writes.
    pub fn poke(&self, offset: u32, value: u32) {
        self.world.access(self.index, 0, |port| {
            if let Some(offset) = crate::offsets::canonical(port.chip, offset) {
                port.regs.set(offset, value);
            }
        });
    }

    /// The name of the register at an offset, as the specs have it.
    pub fn register_name(&self, offset: u32) -> String {
        self.world.lock().ports[self.index].regs.name(offset)
    }

    /// Reads configuration space; all ones when the device is gone.
    pub fn config_read(&self, offset: u16) -> u32 {
        self.world.access(self.index, 0, |port| {
            port.counters.config_reads += 1;
            if port.present { port.pci.read(offset) } else { u32::MAX }
        })
    }

    /// Writes configuration space.
    pub fn config_write(&self, offset: u16, value: u32) {
        self.world.access(self.index, 0, |port| {
            port.counters.config_writes += 1;
            if !port.present {
                return;
            }
            let mastered = port.pci.masters();
            if port.pci.write(offset, value) {
                port.function_reset();
            } else if mastered && port.has_fault(Fault::MasterCannotStop) {
                port.pci.force_master();
            }
            port.rerouted();
        });
    }

    /// MSI-X vectors in its capability.
    pub fn vectors(&self) -> u16 {
        self.world.lock().ports[self.index].spec.vectors
    }

    /// A function-level reset, as a host's command that does not come through configuration space.
    pub fn function_reset(&self) {
        self.world.access(self.index, 0, |port| {
            if port.present {
                port.function_reset();
                port.rerouted();
            }
        });
    }

    /// Whether the INTx line is asserted: a level, of which [`on_interrupt`](Self::on_interrupt) tells only the rise.
    pub fn line(&self) -> bool {
        self.world.access(self.index, 0, |port| {
            port.present && port.pci.kind() == InterruptKind::Intx && port.interrupts.line
        })
    }

    /// The link that the MAC shows.
    pub fn link(&self) -> Option<Link> {
        self.world.access(self.index, 0, |port| port.link())
    }

    /// Lets time pass until there is a link.
    pub fn wait_link(&self, limit: core::time::Duration) -> bool {
        self.world.run_until(limit, || self.link().is_some())
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.world.lock().ports[self.index].counters.clone()
    }

    /// Counts from 0 again.
    pub fn reset_counters(&self) {
        self.world.lock().ports[self.index].reset_counters();
    }

    /// What the driver did wrong, at most a thousand of them.
    pub fn violations(&self) -> Vec<Violation> {
        self.world.lock().ports[self.index].violations.clone()
    }

    /// The same, and forgets them.
    pub fn take_violations(&self) -> Vec<Violation> {
        core::mem::take(&mut self.world.lock().ports[self.index].violations)
    }

    /// DMA accesses outside the memory that drivers were given.
    pub fn dma_faults(&self) -> u64 {
        self.world.lock().ports[self.index].counters.dma_faults
    }

    /// The receive packet buffer: frames waiting, their bytes, and how many bytes it has.
    pub fn fifo(&self) -> (usize, usize, usize) {
        let state = self.world.lock();
        let port = &state.ports[self.index];
        let (frames, bytes) = port.buffered();
        (frames, bytes, port.buffer_capacity())
    }

    /// Makes it ill.
    pub fn inject(&self, fault: Fault) {
        self.world.access(self.index, 0, |port| {
            port.faults.push(fault);
            port.relink |= fault == Fault::LinkNeverUp;
        });
    }

    /// Heals one illness.
    pub fn heal(&self, fault: Fault) {
        self.world.access(self.index, 0, |port| {
            port.faults.retain(|held| *held != fault);
            port.relink |= fault == Fault::LinkNeverUp;
            port.thaw();
        });
    }

    /// Heals all.
    pub fn heal_all(&self) {
        self.world.access(self.index, 0, |port| {
            port.relink |= port.has_fault(Fault::LinkNeverUp);
            port.faults.clear();
            port.thaw();
        });
    }

    /// A hostile device's hand: writes both quadwords of a receive descriptor. False if there is no such descriptor.
    pub fn forge(&self, queue: usize, index: u32, qword0: u64, qword1: u64) -> bool {
        self.world.access(self.index, 0, |port| port.forge(true, queue, index, [qword0, qword1]))
    }

    /// The same for a transmit descriptor.
    pub fn forge_tx(&self, queue: usize, index: u32, qword0: u64, qword1: u64) -> bool {
        self.world.access(self.index, 0, |port| port.forge(false, queue, index, [qword0, qword1]))
    }

    /// An interrupt message that nothing caused.
    pub fn raise(&self, vector: u16) {
        self.world.access(self.index, 0, |port| port.message(usize::from(vector)));
    }

    /// Pulls it out: reads give all ones, writes are lost, it masters nothing, its partner's link drops.
    pub fn remove(&self) {
        self.world.access(self.index, 0, crate::port::Port::remove);
    }

    /// Puts it back: power on, configuration space as after a reset, the same cable. The host has not enabled memory.
    pub fn insert(&self) {
        self.world.access(self.index, 0, |port| {
            if !port.present {
                port.power_on();
            }
        });
    }

    /// Whether it is in.
    pub fn is_present(&self) -> bool {
        self.world.lock().ports[self.index].present
    }

    /// A word of the NVM.
    pub fn nvm(&self, word: u16) -> u16 {
        self.world.lock().ports[self.index].nvm().word(word)
    }

    /// Changes a word of the NVM and leaves the checksum alone.
    pub fn set_nvm(&self, word: u16, value: u16) {
        self.world.lock().ports[self.index].nvm().set(word, value);
    }

    /// Makes the NVM's checksums right.
    pub fn fix_checksum(&self) {
        let mut state = self.world.lock();
        let port = &mut state.ports[self.index];
        let regions = port.spec.regions();
        port.nvm().fix(regions);
    }

    /// A PHY register of page 0, as stored.
    pub fn phy(&self, register: u16) -> u16 {
        self.world.lock().ports[self.index].phy.get(register)
    }

    /// Changes it.
    pub fn set_phy(&self, register: u16, value: u16) {
        self.world.lock().ports[self.index].phy.set(register, value);
    }

    /// Calls `callback` with the vector of each interrupt message, for hosts that are called. It must not use the world.
    pub fn on_interrupt(&self, callback: impl FnMut(u16) + Send + 'static) {
        self.world.lock().callbacks[self.index] = Some(Box::new(callback));
    }

    /// Routes interrupts of one kind to up to `vectors` places, `None` to nowhere.
    pub(crate) fn route(&self, kind: Option<InterruptKind>, vectors: u16) -> Option<u16> {
        self.world.access(self.index, 0, |port| {
            if !port.present || !port.pci.enable(kind) {
                return None;
            }
            let most = match kind {
                Some(InterruptKind::MsiX) => port.spec.vectors,
                Some(_) => 1,
                None => 0,
            };
            let routed = vectors.min(most);
            port.interrupts.routed = usize::from(routed);
            port.interrupts.arrived.fill(false);
            port.rerouted();
            Some(routed)
        })
    }

    /// Takes an interrupt that arrived at a vector.
    pub(crate) fn take_interrupt(&self, vector: u16) -> bool {
        self.world.access(self.index, 0, |port| {
            if port.has_fault(Fault::InterruptStorm) && port.present {
                port.counters.interrupts += 1;
                return true;
            }
            let line = port.pci.kind() == InterruptKind::Intx && port.interrupts.line;
            let arrived = port.interrupts.arrived.get_mut(usize::from(vector));
            arrived.is_some_and(core::mem::take) || line && usize::from(vector) < port.interrupts.routed
        })
    }

    /// A platform of this device is given back.
    pub(crate) fn release(&self) {
        self.world.access(self.index, 0, |port| {
            if port.present && port.masters() && port.has_running_queues() {
                port.violate(Violation::LeftRunning);
            }
            port.interrupts.routed = 0;
        });
    }
}
