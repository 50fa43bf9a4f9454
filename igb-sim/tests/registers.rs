//! Access kinds, from the specs' tables: every described register of every chip answers as its kind says.

use igb_regs::Chip;
use igb_regs::meta::{Access, REGISTERS};
use igb_sim::World;

/// Registers whose behaviour goes beyond their access kind; other tests judge them.
fn acts(name: &str, offset: u32) -> bool {
    let queues = (0x2800..0x2c00).contains(&offset)
        || (0x3800..0x3c00).contains(&offset)
        || (0xc000..0xc400).contains(&offset)
        || (0xe000..0xe400).contains(&offset);
    queues
        || [
            "CTRL",
            "STATUS",
            "EECD",
            "EERD",
            "EEWR",
            "SRWR",
            "MDIC",
            "SWSM",
            "SW_FW_SYNC",
            "I2CCMD",
            "SCTL",
            "GPIE",
            "FCAL",
            "FCAH",
            "FCT",
        ]
        .contains(&name)
        || ["ICR", "ICS", "IMS", "IMC", "IAM", "EICR", "EICS", "EIMS", "EIMC", "EITR", "CTRL_EXT", "TSICR"]
            .contains(&name)
        || ["EEMNGCTL", "FRTIMER", "SYSTIML", "SYSTIMH", "IVAR", "IVAR_MISC", "EEC", "FLSWCTL"]
            .contains(&name)
        || (0x4000..0x4160).contains(&offset)
}

#[test]
fn plain_bits_keep_what_is_written_and_read_only_ones_do_not() {
    let mut judged = 0;
    for chip in Chip::ALL {
        let device = World::new().add(*chip);
        for register in REGISTERS {
            let Some(place) = register.place(*chip) else { continue };
            for index in 0..place.count() {
                let offset = place.offset_of(index).expect("place");
                if offset >= 0x2_0000 || acts(register.name, offset) {
                    continue;
                }
                let (plain, fixed) =
                    (register.mask(*chip, Access::ReadWrite), register.mask(*chip, Access::ReadOnly));
                let before = device.peek(offset);
                for value in [0x5a5a_5a5a, 0xa5a5_a5a5, 0, u32::MAX] {
                    device.write(offset, value);
                    let read = device.read(offset);
                    assert_eq!(read & plain, value & plain, "{chip} {}[{index}]", register.name);
                    assert_eq!(read & fixed, before & fixed, "{chip} {}[{index}] read only", register.name);
                }
                judged += 1;
            }
        }
    }
    assert!(judged > 1000, "{judged} registers judged");
}

#[test]
fn counters_clear_on_read() {
    for chip in Chip::ALL {
        let device = World::new().add(*chip);
        for register in REGISTERS {
            let Some(offset) = register.place(*chip).and_then(|place| place.offset_of(0)) else { continue };
            if register.access != Access::ReadClear || !(0x4000..0x4160).contains(&offset) {
                continue;
            }
            device.poke(offset, 5);
            assert_eq!(device.read(offset), 5, "{chip} {}", register.name);
            let pair = ["GORCL", "GOTCL", "TORL", "TOTL", "HGORCL", "HGOTCL"].contains(&register.name);
            let high = if pair { device.read(offset + 4) } else { 0 };
            assert_eq!((device.read(offset), high), (0, 0), "{chip} {}", register.name);
            device.poke(offset, 5);
            device.write(offset, 0);
            assert_eq!(device.read(offset), 5, "{chip} {} ignores writes", register.name);
        }
    }
}

#[test]
fn aliases_are_the_same_register() {
    for chip in Chip::ALL {
        let device = World::new().add(*chip);
        for register in REGISTERS {
            let Some(place) = register.place(*chip) else { continue };
            for alias in place.aliases {
                let offset = place.offset_of(alias.first).expect("place");
                device.poke(offset, 0x1234_5678);
                assert_eq!(
                    device.peek(alias.offset),
                    0x1234_5678,
                    "{chip} {} at {:#x}",
                    register.name,
                    alias.offset
                );
                device.poke(offset, 0);
            }
        }
    }
}

#[test]
fn accesses_beyond_the_bar_and_between_registers() {
    let device = World::new().add(Chip::I210);
    assert_eq!((device.read(0x2_0000), device.read(2)), (u32::MAX, u32::MAX));
    device.write(0x2_0000, 1);
    let names: Vec<_> = device.violations().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 3);
    assert_eq!(names[0], "access at 0x20000, beyond the BAR");
    assert_eq!(device.register_name(0x2818), "RDT[0]");
}

/// The I210's datasheet calls them read only. Linux's own register test on an I210 writes and reads them.
#[test]
fn the_pause_address_and_type_are_writable_everywhere() {
    for (name, mask) in [("FCAL", u32::MAX), ("FCAH", 0xffff), ("FCT", 0xffff)] {
        let register = igb_regs::meta::by_name(name).expect("in the specs");
        for chip in Chip::ALL {
            let device = World::new().add(*chip);
            let offset = register.place(*chip).and_then(|place| place.offset_of(0)).expect("on every chip");
            for pattern in [0x5a5a_5a5a, 0xa5a5_a5a5, 0, u32::MAX] {
                device.write(offset, pattern);
                assert_eq!(device.read(offset), pattern & mask, "{chip} {name}");
            }
        }
    }
}
