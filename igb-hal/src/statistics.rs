//! Counters: the chip's clear when read and are 32 bits wide; these do not clear and are 64.

use crate::Mac;
use igb_regs::{Bus, Chip};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $field:ident: $register:ident $($high:ident)?),* $(,)?) => {
        /// What a port has counted since somebody began.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Statistics {
            $($(#[doc = $doc])* pub $field: u64,)*
            /// Frames of each receive queue dropped for want of a descriptor (RQDPC; not on 82575).
            pub rx_queue_dropped: [u64; 16],
        }

        impl Statistics {
            /// Names and values, in the order of the datasheet. Queues follow, those that dropped something.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                const QUEUES: [&str; 16] = [
                    "rx_queue_0_dropped", "rx_queue_1_dropped", "rx_queue_2_dropped", "rx_queue_3_dropped",
                    "rx_queue_4_dropped", "rx_queue_5_dropped", "rx_queue_6_dropped", "rx_queue_7_dropped",
                    "rx_queue_8_dropped", "rx_queue_9_dropped", "rx_queue_10_dropped", "rx_queue_11_dropped",
                    "rx_queue_12_dropped", "rx_queue_13_dropped", "rx_queue_14_dropped", "rx_queue_15_dropped",
                ];
                let queues = QUEUES.into_iter().zip(self.rx_queue_dropped).filter(|(_, dropped)| *dropped != 0);
                [$((stringify!($field), self.$field),)*].into_iter().chain(queues)
            }

            fn add(&mut self, more: &Self) {
                $(self.$field = self.$field.wrapping_add(more.$field);)*
                for (dropped, more) in self.rx_queue_dropped.iter_mut().zip(more.rx_queue_dropped) {
                    *dropped = dropped.wrapping_add(more);
                }
            }
        }

        impl<B: Bus> Mac<B> {
            fn read_counters(&self) -> Statistics {
                let regs = self.regs();
                let mut read = Statistics {
                    // Of a pair the lower half is read first; the upper clears both.
                    $($field: u64::from(regs.$register().read_clear().get())
                        $(| u64::from(regs.$high().read_clear().get()) << 32)?,)*
                    rx_queue_dropped: [0; 16],
                };
                if matches!(self.chip(), Chip::I210 | Chip::I211) {
                    // No meaning there.
                    read.tx_no_carrier = 0;
                }
                for (queue, dropped) in read.rx_queue_dropped.iter_mut().enumerate() {
                    if let Some(rqdpc) = regs.rqdpc(queue) {
                        *dropped = rqdpc.read_clear().get().into();
                        if self.chip() >= Chip::I210 {
                            // A read does not clear it there.
                            rqdpc.set(0);
                        }
                    }
                }
                read
            }
        }
    };
}

counters! {
    /// Frames with a wrong FCS.
    crc_errors: crcerrs,
    /// Frames that were no whole number of bytes.
    alignment_errors: algnerrc,
    /// Symbols that were none.
    symbol_errors: symerrs,
    /// Frames in which the PHY signalled an error.
    rx_errors: rxerrc,
    /// Frames for which the packet buffer had no room.
    missed: mpc,
    /// Frames sent after one collision.
    single_collisions: scc,
    /// Frames given up after 16 collisions.
    excessive_collisions: ecol,
    /// Frames sent after several collisions.
    multiple_collisions: mcc,
    /// Collisions after the slot time.
    late_collisions: latecol,
    /// Collisions.
    collisions: colc,
    /// Frames that waited for the wire.
    deferred: dc,
    /// Frames sent without carrier. Always 0 on I210 and I211.
    tx_no_carrier: tncrs,
    /// Frames with a wrong length field, for which a count is not reliable.
    rx_length_errors: rlec,
    /// XON frames received.
    rx_xon: xonrxc,
    /// XON frames sent.
    tx_xon: xontxc,
    /// XOFF frames received.
    rx_xoff: xoffrxc,
    /// XOFF frames sent.
    tx_xoff: xofftxc,
    /// Flow control frames of a kind that is not supported.
    rx_unknown_flow: fcruc,
    /// Frames of 64 bytes received.
    rx_64: prc64,
    /// Frames of 65 to 127 bytes received.
    rx_65_to_127: prc127,
    /// Frames of 128 to 255 bytes received.
    rx_128_to_255: prc255,
    /// Frames of 256 to 511 bytes received.
    rx_256_to_511: prc511,
    /// Frames of 512 to 1023 bytes received.
    rx_512_to_1023: prc1023,
    /// Frames of 1024 bytes and more received.
    rx_1024_and_more: prc1522,
    /// Good frames received.
    rx_frames: gprc,
    /// Good broadcast frames received.
    rx_broadcast: bprc,
    /// Good multicast frames received.
    rx_multicast: mprc,
    /// Good frames sent.
    tx_frames: gptc,
    /// Bytes of good frames received, FCS included.
    rx_bytes: gorcl gorch,
    /// Bytes of good frames sent, FCS included.
    tx_bytes: gotcl gotch,
    /// Times that a frame found no descriptor.
    rx_no_buffers: rnbc,
    /// Frames shorter than 64 bytes with a good FCS.
    undersize: ruc,
    /// Frames shorter than 64 bytes with a bad FCS.
    fragments: rfc,
    /// Frames longer than allowed with a good FCS.
    oversize: roc,
    /// Frames longer than allowed with a bad FCS.
    jabbers: rjc,
    /// Management frames received.
    rx_management: mgtprc,
    /// Management frames dropped.
    rx_management_dropped: mgtpdc,
    /// Management frames sent.
    tx_management: mgtptc,
    /// Bytes received, bad frames included.
    rx_total_bytes: torl torh,
    /// Bytes sent, bad frames included.
    tx_total_bytes: totl toth,
    /// Frames received, bad ones included.
    rx_total_frames: tpr,
    /// Frames sent, bad ones included.
    tx_total_frames: tpt,
    /// Frames of 64 bytes sent.
    tx_64: ptc64,
    /// Frames of 65 to 127 bytes sent.
    tx_65_to_127: ptc127,
    /// Frames of 128 to 255 bytes sent.
    tx_128_to_255: ptc255,
    /// Frames of 256 to 511 bytes sent.
    tx_256_to_511: ptc511,
    /// Frames of 512 to 1023 bytes sent.
    tx_512_to_1023: ptc1023,
    /// Frames of 1024 bytes and more sent.
    tx_1024_and_more: ptc1522,
    /// Multicast frames sent.
    tx_multicast: mptc,
    /// Broadcast frames sent.
    tx_broadcast: bptc,
    /// Segmentation contexts used.
    tx_segmented: tsctc,
    /// Interrupts.
    interrupts: iac,
    /// Frames sent to the host.
    rx_to_host: rpthc,
    /// Frames that the host sent.
    tx_from_host: hgptc,
    /// Times that a receive queue fell under its threshold.
    rx_low_descriptors: icrxdmtc,
    /// Bytes of good frames sent to the host.
    rx_host_bytes: hgorcl hgorch,
    /// Bytes of good frames that the host sent.
    tx_host_bytes: hgotcl hgotch,
    /// Frames whose length field is larger than they are.
    length_errors: lenerrs,
    /// Frames of the host that the MAC discarded.
    tx_host_discarded: htdpmc,
}

impl<B: Bus> Mac<B> {
    /// Adds what the chip has counted since it was last asked, and clears it there. A device that left the bus, also
    /// in the midst of this, adds nothing.
    pub fn update_statistics(&self, into: &mut Statistics) {
        let read = self.read_counters();
        // A counter may be all ones in health, STATUS may not.
        if self.check().is_ok() {
            into.add(&read);
        }
    }
}
