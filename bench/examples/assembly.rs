//! What `cargo xtask asm` compiles and looks at.
//!
//! Functions come in pairs: `ours_NAME` says with register handles what `hand_NAME` says with volatile accesses and
//! masks written by hand. Both are to give the same instructions. The functions `hot_NAME` are whole polls of a
//! memory-only device: on their way no instruction may have a lock.

// Symbols by name, and volatile accesses: what is compared with.
#![allow(unsafe_code)]
#![allow(missing_docs, reason = "read as assembly")]

use igb::regs::{Bus, CTRL, Chip, EICR, RDT, Reg, Regs, STATUS};
use igb_bench::Words;
use igb_bench::window::{self, Q};

/// Registers behind an address, as a mapped BAR is.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Mapped(*mut u32);

impl Mapped {
    #[inline(always)]
    fn at(self, offset: u32) -> *mut u32 {
        self.0.wrapping_byte_add(offset as usize)
    }
}

impl Bus for Mapped {
    #[inline(always)]
    fn read32(&self, offset: u32) -> u32 {
        // SAFETY: only compiled, never run.
        unsafe { self.at(offset).read_volatile() }
    }
    #[inline(always)]
    fn write32(&self, offset: u32, value: u32) {
        // SAFETY: only compiled, never run.
        unsafe { self.at(offset).write_volatile(value) }
    }
}

/// Pairs of one body in our words, one in theirs.
macro_rules! pairs {
    ($($ours:ident $hand:ident ($($argument:ident: $type:ty),*) $(-> $result:ty)? { $a:expr } { $b:expr })*) => {$(
        #[unsafe(no_mangle)]
        pub fn $ours($($argument: $type),*) $(-> $result)? { $a }
        #[unsafe(no_mangle)]
        pub fn $hand($($argument: $type),*) $(-> $result)? { $b }
    )*};
}

/// An owned doorbell, written by hand.
#[derive(Debug)]
pub struct Bell {
    bus: Mapped,
    offset: u32,
}

// The same places on every chip of the family.
const CTRL_AT: u32 = 0x0000;
const STATUS_AT: u32 = 0x0008;
const EICR_AT: u32 = 0x1580;
/// Bits of CTRL that act when 1 is written: RST and DEV_RST.
const ACTING: u32 = 1 << 26 | 1 << 29;

pairs! {
    ours_modify hand_modify (bus: Mapped) {
        Regs::new(bus, Chip::I210).ctrl().modify(CTRL::SLU.val(1) + CTRL::FRCSPD.val(0))
    } {
        bus.write32(CTRL_AT, bus.read32(CTRL_AT) & !ACTING & !(1 << 11) | 1 << 6)
    }

    // Every chip has CTRL at the same place: nothing is looked up.
    ours_modify_of_any_chip hand_modify_of_any_chip (bus: Mapped, chip: Chip) {
        Regs::new(bus, chip).ctrl().modify(CTRL::SPEED.val(2) + CTRL::FRCSPD.val(1))
    } {{
        let _ = chip;
        bus.write32(CTRL_AT, bus.read32(CTRL_AT) & !ACTING & !(3 << 8) | 2 << 8 | 1 << 11);
    }}

    ours_is_set hand_is_set (bus: Mapped) -> bool {
        Regs::new(bus, Chip::I210).status().is_set(STATUS::LU)
    } {
        bus.read32(STATUS_AT) & 1 << 1 != 0
    }

    ours_field hand_field (bus: Mapped) -> u32 {
        Regs::new(bus, Chip::I210).status().read(STATUS::SPEED)
    } {
        bus.read32(STATUS_AT) >> 6 & 3
    }

    ours_clear hand_clear (bus: Mapped, vectors: u32) {
        Regs::new(bus, Chip::I210).eicr().clear_bits(vectors)
    } {
        bus.write32(EICR_AT, vectors)
    }

    ours_clear_field hand_clear_field (bus: Mapped) {
        Regs::new(bus, Chip::I210).eicr().clear(EICR::OTHER.val(1))
    } {
        bus.write32(EICR_AT, 1 << 31)
    }

    ours_doorbell_of_queue_2 hand_doorbell_of_queue_2 (bus: Mapped, tail: u32) {
        Regs::new(bus, Chip::I210).rdt(2).set(tail)
    } {
        bus.write32(0x2818 + 2 * 0x100, tail)
    }

    ours_doorbell_by_index hand_doorbell_by_index (bus: Mapped, queue: usize, tail: u32) {
        if let Some(bell) = Regs::new(bus, Chip::I210).try_rdt(queue) {
            bell.set(tail);
        }
    } {
        if queue <= 3 {
            bus.write32(0x2818 + queue as u32 * 0x100, tail);
        }
    }

    ours_read hand_read (bus: Mapped) -> u32 {
        Regs::new(bus, Chip::I210).ctrl().get()
    } {
        bus.read32(CTRL_AT)
    }

    // Of 16 queues the first four lie in one row, the others in another.
    ours_doorbell_in_two_pieces hand_doorbell_in_two_pieces (bus: Mapped, queue: usize, tail: u32) {
        if let Some(bell) = Regs::new(bus, Chip::I82576).try_rdt(queue) {
            bell.set(tail);
        }
    } {
        match queue {
            0..=3 => bus.write32((0x2818 + queue * 0x100) as u32, tail),
            4..=15 => bus.write32((0xC018 + queue * 0x40) as u32, tail),
            _ => {}
        }
    }

    // The I210 and the I211 have it elsewhere, and which chip it is shows when it runs.
    ours_offset_by_chip hand_offset_by_chip (bus: Mapped, chip: Chip) -> u32 {
        Regs::new(bus, chip).eemngctl().get()
    } {
        bus.read32(if (chip as u8) < Chip::I210 as u8 { 0x1010 } else { 0x12030 })
    }

    ours_statistics_pair hand_statistics_pair (bus: Mapped) -> u64 {{
        let regs = Regs::new(bus, Chip::I210);
        let low = regs.gorcl().read_clear().get();
        u64::from(regs.gorch().read_clear().get()) << 32 | u64::from(low)
    }} {{
        let low = bus.read32(0x4088);
        u64::from(bus.read32(0x408C)) << 32 | u64::from(low)
    }}
}

/// What a queue keeps and rings.
#[unsafe(no_mangle)]
pub fn ours_doorbell(bell: &Reg<Mapped, RDT>, tail: u32) {
    bell.set(tail);
}

#[unsafe(no_mangle)]
pub fn hand_doorbell(bell: &Bell, tail: u32) {
    bell.bus.write32(bell.offset, tail);
}

/// The words, as a type of this file, so that everything about it is compiled here.
#[derive(Clone, Debug)]
pub struct Own(Words);

impl Bus for Own {
    #[inline(always)]
    fn read32(&self, offset: u32) -> u32 {
        self.0.read32(offset)
    }
    #[inline(always)]
    fn write32(&self, offset: u32, value: u32) {
        self.0.write32(offset, value);
    }
}

/// Whole windows.
macro_rules! hot {
    ($($name:ident($($argument:ident: $type:ty),*) = $window:ident)*) => {$(
        #[unsafe(no_mangle)]
        pub fn $name($($argument: $type),*) -> u32 {
            window::$window($($argument),*)
        }
    )*};
}

hot! {
    hot_rx_drop(queue: &mut Q<Own>) = rx_drop
    hot_rx_ethertype(queue: &mut Q<Own>) = rx_ethertype
    hot_tx(queue: &mut Q<Own>, batch: u32) = tx
    hot_echo(queue: &mut Q<Own>) = echo
    hot_forward(from: &mut Q<Own>, to: &mut Q<Own>) = forward
    hot_clean(queue: &mut Q<Own>) = clean
}
