//! The controller: everything that is not moving frames. `&self` from any thread; its lock is never a queue's.

use crate::shared::{Control, Shared};
use crate::{Clock, Error, InterruptKind, Platform, Wait};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use embedded_hal::delay::DelayNs;
use igb_hal::{Link, Mac, MacAddress, RssConfig, Statistics};
use igb_regs::Chip;

/// The handle of an open device. Clones are the same device.
pub struct Controller<P: Platform> {
    shared: Arc<Shared<P>>,
}

impl<P: Platform> Clone for Controller<P> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<P: Platform> core::fmt::Debug for Controller<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Controller").field("chip", &self.chip()).finish_non_exhaustive()
    }
}

/// What the watchdog found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// The link, if it changed since the last look.
    pub link: Option<Link>,
    /// A queue whose transmitter has frames and did not move between two looks, while the link is up. A reset mends it.
    pub hung: Option<u16>,
}

impl<P: Platform> Controller<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>) -> Self {
        Self { shared }
    }

    /// The chip.
    pub fn chip(&self) -> Chip {
        self.shared.mac.chip()
    }

    /// The platform.
    pub fn platform(&self) -> &P {
        &self.shared.platform
    }

    /// The MAC, for what has no method here. Its receive and transmit control, queues, interrupts and resets are the
    /// driver's.
    pub fn mac(&self) -> &Mac<P::Bus> {
        &self.shared.mac
    }

    /// How interrupts arrive; `None` when every queue is polled.
    pub fn interrupt_kind(&self) -> Option<InterruptKind> {
        self.shared.kind
    }

    /// Number of interrupt vectors.
    pub fn vectors(&self) -> u16 {
        if self.shared.kind.is_some() { self.shared.routing.vectors() } else { 0 }
    }

    /// The interrupt that carries link changes, unless a queue shares it and took it.
    pub fn take_irq(&self) -> Option<P::Irq> {
        self.shared.platform.take_irq(self.shared.routing.vector_other())
    }

    /// The waiting end of one vector, once: for programs that give vectors to threads themselves.
    pub fn take_vector(&self, vector: u16) -> Option<P::Irq> {
        self.shared.platform.take_irq(vector)
    }

    /// Raises a vector by software: whoever sleeps on it wakes up.
    pub fn raise(&self, vector: u16) {
        if self.shared.kind.is_some() {
            self.shared.mac.raise_vector(&self.shared.routing, vector);
        }
    }

    /// Unmasks the interrupt of link changes.
    pub fn arm(&self) {
        if self.shared.kind.is_some() {
            self.shared.mac.enable_other(&self.shared.routing);
        }
    }

    /// The station address.
    pub fn address(&self) -> MacAddress {
        self.shared.control().address
    }

    /// The link as it is now.
    ///
    /// # Errors
    /// [`Error::DeviceGone`], or what the PHY says.
    pub fn link(&self) -> Result<Link, Error> {
        let mut control = self.shared.control();
        self.read_link(&mut control)
    }

    fn read_link(&self, control: &mut Control) -> Result<Link, Error> {
        self.shared.check()?;
        let link = self.shared.mac.link(&mut self.shared.platform.delay())?;
        control.link = Some(link);
        Ok(link)
    }

    /// Waits for the link.
    ///
    /// # Errors
    /// [`Error::NoLink`] after `limit`; otherwise as [`link`](Self::link).
    pub fn wait_link(&self, limit: Duration) -> Result<Link, Error> {
        let (clock, mut delay) = (self.shared.platform.clock(), self.shared.platform.delay());
        let start = clock.now();
        loop {
            let link = self.link()?;
            if link.up {
                return Ok(link);
            }
            if clock.now().saturating_sub(start) >= limit {
                return Err(Error::NoLink { millis: u32::try_from(limit.as_millis()).unwrap_or(u32::MAX) });
            }
            delay.delay_ms(5);
        }
    }

    /// The look that somebody takes every second or two, and after a link interrupt: is the device there, did the link
    /// change, does the transmitter move. Counters that are 32 bits wide in hardware are collected before they wrap.
    ///
    /// # Errors
    /// [`Error::DeviceGone`]: from now on every queue says so too.
    pub fn watchdog(&self) -> Result<Health, Error> {
        let shared = &*self.shared;
        let mut control = shared.control();
        shared.check()?;
        let before = control.link;
        let link = self.read_link(&mut control)?;
        shared.mac.update_statistics(&mut control.statistics);
        let mut health = Health { link: (before != Some(link)).then_some(link), hung: None };
        for queue in 0..shared.queues.count {
            let registers = shared.mac.regs().tx_queue(queue.into());
            let (head, tail) = (registers.tdh().get(), registers.tdt().get());
            let Some(last) = control.transmit_heads.get_mut(usize::from(queue)) else { continue };
            let stuck = link.up && head != tail && last.0 == head;
            *last = (head, if stuck { last.1.saturating_add(1) } else { 0 });
            if last.1 >= 2 {
                health.hung = Some(queue);
            }
        }
        shared.check()?;
        Ok(health)
    }

    /// The statistics since the device was opened.
    ///
    /// # Errors
    /// [`Error::DeviceGone`], [`Error::Closed`].
    pub fn statistics(&self) -> Result<Statistics, Error> {
        let mut control = self.shared.control();
        self.shared.check()?;
        let mut fresh = control.statistics;
        self.shared.mac.update_statistics(&mut fresh);
        // A device that left while they were read answered all ones: those are no counts.
        self.shared.check()?;
        control.statistics = fresh;
        Ok(fresh)
    }

    /// Takes every frame that is addressed to anybody.
    ///
    /// # Errors
    /// [`Error::DeviceGone`], [`Error::Closed`].
    pub fn set_promiscuous(&self, on: bool) -> Result<(), Error> {
        self.change(|mac, control| {
            control.filters.promiscuous = on;
            mac.set_promiscuous(on);
            Ok(())
        })
    }

    /// Takes every multicast frame.
    ///
    /// # Errors
    /// [`Error::DeviceGone`], [`Error::Closed`].
    pub fn set_all_multicast(&self, on: bool) -> Result<(), Error> {
        self.change(|mac, control| {
            control.filters.all_multicast = on;
            mac.set_all_multicast(on);
            Ok(())
        })
    }

    /// Takes frames to these multicast groups. The hardware filters by a hash of 12 bits, so others may come too.
    ///
    /// # Errors
    /// [`Error::DeviceGone`], [`Error::Closed`].
    pub fn set_multicast(&self, groups: &[MacAddress]) -> Result<(), Error> {
        self.change(|mac, control| {
            control.filters.multicast = Vec::from(groups);
            mac.set_multicast(groups);
            Ok(())
        })
    }

    /// Takes frames to these addresses besides the station's own.
    ///
    /// # Errors
    /// What the MAC says of too many addresses or of one that is no station's.
    pub fn set_unicast(&self, addresses: &[MacAddress]) -> Result<(), Error> {
        self.change(|mac, control| {
            for (slot, address) in addresses.iter().enumerate() {
                mac.set_unicast(slot + 1, Some(*address))?;
            }
            for slot in addresses.len()..control.filters.unicast.len() {
                mac.set_unicast(slot + 1, None)?;
            }
            control.filters.unicast = Vec::from(addresses);
            Ok(())
        })
    }

    /// Takes only frames of these VLANs, and untagged ones; an empty list takes all.
    ///
    /// # Errors
    /// [`Error::DeviceGone`], [`Error::Closed`].
    pub fn set_vlans(&self, vlans: &[u16]) -> Result<(), Error> {
        self.change(|mac, control| {
            for vlan in &control.filters.vlans {
                mac.set_vlan(*vlan, false);
            }
            for vlan in vlans {
                mac.set_vlan(*vlan, true);
            }
            control.filters.vlans = Vec::from(vlans);
            control.filters.vlan_filter = !vlans.is_empty();
            mac.set_vlan_filter(!vlans.is_empty());
            Ok(())
        })
    }

    /// Takes VLAN tags out of received frames, into the frame's [`RxMeta`](igb_ring::RxMeta).
    ///
    /// # Errors
    /// [`Error::DeviceGone`], [`Error::Closed`].
    pub fn set_vlan_strip(&self, on: bool) -> Result<(), Error> {
        self.change(|mac, control| {
            control.filters.vlan_strip = on;
            mac.set_vlan_strip(on);
            Ok(())
        })
    }

    /// Spreads received flows over the queues by another key or table.
    ///
    /// # Errors
    /// [`Error::DeviceGone`], [`Error::Closed`].
    pub fn set_rss(&self, rss: &RssConfig) -> Result<(), Error> {
        self.change(|mac, control| {
            mac.set_rss(rss);
            control.filters.rss = Some(*rss);
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&Mac<P::Bus>, &mut Control) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut control = self.shared.control();
        self.shared.check()?;
        change(&self.shared.mac, &mut control)?;
        self.shared.check()
    }

    /// Resets the device under its running queues, and configures it as it was. Frames that wait in the rings are lost;
    /// the buffers are not. Each queue restarts itself in its next poll.
    ///
    /// # Errors
    /// [`Error::NotParked`] if a queue is not polled in time: there was no reset then, and the device runs on.
    pub fn reset(&self) -> Result<(), Error> {
        let mut control = self.shared.control();
        self.shared.check()?;
        // Counters are cleared by the reset.
        let mut fresh = control.statistics;
        self.shared.mac.update_statistics(&mut fresh);
        control.statistics = fresh;
        self.shared.reset(&mut control)
    }

    /// Handles an interrupt of the vector that carries link changes: reads the causes, which also takes a level
    /// interrupt back. Says whether the link may have changed since the last call, whoever read it.
    ///
    /// # Errors
    /// [`Error::DeviceGone`].
    pub fn on_interrupt(&self) -> Result<bool, Error> {
        self.shared.link_may_have_changed()
    }

    /// Waits for an interrupt on the vector of link changes. `true` if the link may have changed.
    ///
    /// # Errors
    /// [`Error::DeviceGone`].
    pub fn wait_change(&self, irq: &mut P::Irq, limit: Duration) -> Result<bool, Error>
    where
        P::Irq: Wait,
    {
        self.arm();
        if irq.wait(limit) { self.on_interrupt() } else { Ok(false) }
    }

    /// Stops the device for good: interrupts off, receiver and transmitter off, reset, bus mastering off. The queues'
    /// next poll says [`Error::Closed`]. Closing succeeds whatever the device does: one that does not obey keeps the
    /// memory that it may still reach.
    pub fn close(&self) {
        let _control = self.shared.control();
        self.shared.close();
    }
}
