//! Which frames are received: addresses, groups, VLANs.

use crate::{Error, Mac, MacAddress};
use core::sync::atomic::Ordering::Relaxed;
use igb_regs::{Bus, CTRL, Chip, DVMOLR, RAH, RCTL, VMOLR};

const PROMISCUOUS: u8 = 1;
const ALL_MULTICAST: u8 = 2;
const VLAN_FILTER: u8 = 4;
const NO_BROADCAST: u8 = 8;

/// I210 and I211 can lose a write to MTA: it is read back and repeated (drivers: up to three passes).
const MTA_PASSES: usize = 3;
/// I350 and I354 can lose a write to VFTA, so each is written ten times (drivers).
const VFTA_WRITES: usize = 10;

impl<B: Bus> Mac<B> {
    /// The station address: filter 0.
    ///
    /// # Errors
    ///
    /// [`Error::BadAddress`].
    pub fn set_address(&self, address: MacAddress) -> Result<(), Error> {
        self.set_unicast(0, Some(address))
    }

    /// A further address to receive, or none. Slot 0 is the station address.
    ///
    /// # Errors
    ///
    /// [`Error::FilterSlot`], [`Error::BadAddress`].
    pub fn set_unicast(&self, slot: usize, address: Option<MacAddress>) -> Result<(), Error> {
        let has = self.chip().rar_entries();
        if slot >= has {
            return Err(Error::FilterSlot { slot, has });
        }
        let (low, high) = match address {
            None => (0, 0),
            Some(address) => {
                let (low, high) = address.checked()?.to_words();
                (low, high | (RAH::AV.val(1) + self.first_pool()).value)
            }
        };
        self.write_filter(slot, low, high);
        Ok(())
    }

    /// The groups to receive. The filter is a hash: others that hash alike come too.
    ///
    /// Bits 47:36 of the address choose one of 4096 bits (RCTL.MO = 0).
    pub fn set_multicast(&self, groups: &[MacAddress]) {
        let mut table = [0u32; 128];
        for group in groups {
            let [.., e, f] = group.0;
            let hash = u16::from(e) >> 4 | u16::from(f) << 4;
            if let Some(word) = table.get_mut(usize::from(hash >> 5)) {
                *word |= 1 << (hash & 31);
            }
        }
        self.write_multicast(&table);
    }

    /// Receives everything: addresses, groups, VLANs.
    pub fn set_promiscuous(&self, on: bool) {
        self.receive(PROMISCUOUS, on);
    }

    /// Receives every group.
    pub fn set_all_multicast(&self, on: bool) {
        self.receive(ALL_MULTICAST, on);
    }

    /// Receives broadcast frames. On after [`init`](Self::init).
    pub fn set_broadcast(&self, on: bool) {
        self.receive(NO_BROADCAST, !on);
    }

    /// Receives only frames of the VLANs that [`set_vlan`](Self::set_vlan) names, and those without a tag.
    pub fn set_vlan_filter(&self, on: bool) {
        self.receive(VLAN_FILTER, on);
    }

    /// Puts a VLAN into the filter's table, or takes it out. An identifier above 4095 is none.
    pub fn set_vlan(&self, id: u16, on: bool) {
        let Some(register) = self.regs().try_vfta(usize::from(id >> 5)) else { return };
        let bit = 1 << (id & 31);
        let now = register.get();
        self.write_vlans(usize::from(id >> 5), if on { now | bit } else { now & !bit });
    }

    /// Takes VLAN tags out of received frames and puts them into the descriptor.
    pub fn set_vlan_strip(&self, on: bool) {
        let regs = self.regs();
        regs.ctrl().modify(CTRL::VME.val(on.into()));
        match self.chip() {
            Chip::I350 | Chip::I354 => {
                for queue in 0..self.chip().rx_queues() {
                    if let Some(dvmolr) = regs.dvmolr(queue) {
                        dvmolr.modify(DVMOLR::STRVLAN.val(on.into()));
                    }
                }
            }
            _ => {
                if let Some(vmolr) = regs.vmolr(0) {
                    vmolr.modify(VMOLR::STRVLAN.val(on.into()));
                }
            }
        }
    }

    /// Every filter empty, as a reset does not leave all of them.
    pub(crate) fn clear_filters(&self) {
        let regs = self.regs();
        for word in 0..self.chip().vfta_entries() {
            self.write_vlans(word, 0);
        }
        for slot in 0..self.chip().rar_entries() {
            self.write_filter(slot, 0, 0);
        }
        self.write_multicast(&[0; 128]);
        for word in 0..self.chip().uta_entries() {
            if let Some(uta) = regs.uta(word) {
                uta.set(0);
            }
        }
        self.reception.store(0, Relaxed);
    }

    /// Both halves with a flush between: a bridge that joins them to one write makes the chip miss one.
    fn write_filter(&self, slot: usize, low: u32, high: u32) {
        self.regs().ral(slot).set(low);
        self.flush();
        self.regs().rah(slot).set(high);
        self.flush();
    }

    fn write_multicast(&self, table: &[u32; 128]) {
        let write = || {
            for (index, word) in table.iter().enumerate() {
                self.regs().mta(index).set(*word);
            }
            self.flush();
        };
        write();
        if !matches!(self.chip(), Chip::I210 | Chip::I211) {
            return;
        }
        for _ in 0..MTA_PASSES {
            if table.iter().enumerate().all(|(index, word)| self.regs().mta(index).get() == *word) {
                return;
            }
            write();
        }
    }

    fn write_vlans(&self, index: usize, word: u32) {
        let times = match self.chip() {
            Chip::I350 | Chip::I354 => VFTA_WRITES,
            _ => 1,
        };
        for _ in 0..times {
            self.regs().vfta(index).set(word);
        }
        self.flush();
    }

    /// The pool of the physical function, where filters have pools: without it nobody gets the frame.
    fn first_pool(&self) -> igb_regs::FieldValue<u32, RAH> {
        match self.chip() {
            Chip::I82576 | Chip::I82580 | Chip::I350 | Chip::I354 => RAH::POOL.val(1),
            Chip::I82575 | Chip::I210 | Chip::I211 => RAH::QSEL.val(0),
        }
    }

    fn receive(&self, what: u8, on: bool) {
        let before = self.reception.load(Relaxed);
        let now = if on { before | what } else { before & !what };
        self.reception.store(now, Relaxed);
        let has = |bit: u8| u32::from(now & bit != 0);
        let promiscuous = has(PROMISCUOUS);
        self.regs().rctl().modify(
            RCTL::UPE.val(promiscuous)
                + RCTL::MPE.val(promiscuous | has(ALL_MULTICAST))
                + RCTL::VFE.val(has(VLAN_FILTER) & !promiscuous)
                + RCTL::CFIEN.val(0)
                + RCTL::BAM.val(1 - has(NO_BROADCAST)),
        );
    }
}
