//! How devices are named.
//!
//! `sim:[CHIP][/PORT]` is a simulated NIC. Ports 0 and 1 of the simulated machine are joined by a wire, 2 and 3 by
//! another, and so on; a port whose chip nobody names has its partner's. `qemu:[PORT]` is a port of QEMU's emulated
//! 82576, wired in the same pairs. `vfio:ADDRESS` is a PCI function.

use igb::Chip;
use std::fmt;
use std::str::FromStr;

/// Ports of a machine at most: eight wires.
const MOST: usize = 16;

/// A device's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeviceName {
    /// A simulated NIC.
    Sim { chip: Option<Chip>, port: usize },
    /// A port of QEMU's machine.
    Qemu { port: usize },
    /// A PCI function under VFIO.
    Vfio { address: String },
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((kind, rest)) = text.split_once(':') else {
            return Err(format!("{GRAMMAR}, for instance sim:{text}"));
        };
        match kind {
            "sim" => {
                let (chip, port) = rest.split_once('/').unwrap_or((rest, "0"));
                let chip = if chip.is_empty() { None } else { Some(parse_chip(chip)?) };
                Ok(Self::Sim { chip, port: parse_port(port)? })
            }
            "qemu" => Ok(Self::Qemu { port: if rest.is_empty() { 0 } else { parse_port(rest)? } }),
            "vfio" if is_pci_address(rest) => Ok(Self::Vfio { address: rest.into() }),
            "vfio" => Err(format!("{rest:?} is no PCI address like 0000:01:00.0")),
            _ => Err(format!("there is no kind of device called {kind:?}: {GRAMMAR}")),
        }
    }
}

const GRAMMAR: &str = "a device is sim:[CHIP][/PORT], qemu:[PORT] or vfio:ADDRESS";

/// A chip by its name, in any case.
pub(crate) fn parse_chip(text: &str) -> Result<Chip, String> {
    let names: Vec<_> = Chip::ALL.iter().map(|chip| chip.name()).collect();
    Chip::ALL
        .iter()
        .copied()
        .find(|chip| chip.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("there is no chip called {text:?}: there are {}", names.join(", ")))
}

fn parse_port(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(port) if port < MOST && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(format!("{text:?} is no port: ports are 0 to {}", MOST - 1)),
    }
}

/// `0000:01:00.0`.
fn is_pci_address(text: &str) -> bool {
    let shape = b"xxxx:xx:xx.d";
    text.len() == shape.len()
        && text.bytes().zip(shape).all(|(b, s)| match s {
            b'x' => b.is_ascii_hexdigit(),
            b'd' => (b'0'..=b'7').contains(&b),
            other => b == *other,
        })
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim { chip: Some(chip), port } => write!(f, "sim:{chip}/{port}"),
            Self::Sim { chip: None, port } => write!(f, "sim:/{port}"),
            Self::Qemu { port } => write!(f, "qemu:{port}"),
            Self::Vfio { address } => write!(f, "vfio:{address}"),
        }
    }
}

/// The machine that a command's devices sit in: all of them in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A simulated machine: each port's chip, pairs joined.
    Sim(Vec<Chip>),
    /// A QEMU with this many ports, pairs joined.
    Qemu(usize),
    /// This machine: the functions at these addresses, in one container.
    Vfio(Vec<String>),
}

/// The chip of a simulated port that nobody names: what QEMU has too.
pub(crate) const DEFAULT_CHIP: Chip = Chip::I82576;

/// Why devices do not go together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    /// One is simulated, the other QEMU's.
    #[error(
        "{0} and {1} are not on one machine: a command's devices are all simulated, all of QEMU or all of VFIO"
    )]
    Machines(DeviceName, DeviceName),
    /// One port under two names.
    #[error("{0} and {1} are one port: name two")]
    Twice(DeviceName, DeviceName),
}

/// The machine for these devices, and the port of each in it.
pub(crate) fn place(names: &[&DeviceName]) -> Result<(Place, Vec<usize>), Misfit> {
    let mut ports = Vec::new();
    let mut sims = Vec::new();
    let mut addresses = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let port = match name {
            DeviceName::Sim { chip, port } => {
                sims.push((*port, *chip));
                *port
            }
            DeviceName::Qemu { port } => *port,
            DeviceName::Vfio { address } => {
                addresses.push(address.clone());
                addresses.iter().position(|other| other.eq_ignore_ascii_case(address)).unwrap_or(at)
            }
        };
        for (earlier, other) in names.iter().take(at).zip(&ports) {
            if core::mem::discriminant(*earlier) != core::mem::discriminant(*name) {
                return Err(Misfit::Machines((*earlier).clone(), (*name).clone()));
            }
            if *other == port {
                return Err(Misfit::Twice((*earlier).clone(), (*name).clone()));
            }
        }
        ports.push(port);
    }
    if !addresses.is_empty() {
        return Ok((Place::Vfio(addresses), ports));
    }
    let count = (ports.iter().max().copied().unwrap_or(0) | 1) + 1;
    if sims.is_empty() {
        return Ok((Place::Qemu(count), ports));
    }
    let named = |port: usize| sims.iter().find(|sim| sim.0 == port).and_then(|sim| sim.1);
    let chips =
        (0..count).map(|port| named(port).or_else(|| named(port ^ 1)).unwrap_or(DEFAULT_CHIP)).collect();
    Ok((Place::Sim(chips), ports))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DeviceName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_read_and_written() {
        for (text, canonical) in [
            ("sim:", "sim:/0"),
            ("sim:I210", "sim:i210/0"),
            ("sim:82576/1", "sim:82576/1"),
            ("sim:/3", "sim:/3"),
            ("qemu:", "qemu:0"),
            ("qemu:1", "qemu:1"),
            ("vfio:0000:01:00.0", "vfio:0000:01:00.0"),
        ] {
            assert_eq!(name(text).to_string(), canonical);
            assert_eq!(name(canonical), name(text), "{canonical} means the same");
        }
    }

    #[test]
    fn what_is_no_name_is_told_so() {
        for text in [
            "",
            "i210",
            "eth0:",
            "sim:i999",
            "sim:i210/",
            "sim:/16",
            "sim:/-1",
            "sim:/+1",
            "qemu:x",
            "vfio:1",
            "vfio:0000:01:00.8",
        ] {
            assert!(text.parse::<DeviceName>().is_err(), "{text:?}");
        }
        assert!("i210".parse::<DeviceName>().unwrap_err().contains("sim:i210"));
    }

    #[test]
    fn partners_come_with_the_port() {
        let (a, b) = (name("sim:i210/1"), name("sim:i350/2"));
        let (place, ports) = place(&[&a, &b]).unwrap();
        assert_eq!(ports, [1, 2]);
        assert_eq!(place, Place::Sim(vec![Chip::I210, Chip::I210, Chip::I350, Chip::I350]));
        assert_eq!(super::place(&[&name("qemu:2")]).unwrap(), (Place::Qemu(4), vec![2]));
    }

    #[test]
    fn devices_that_do_not_go_together() {
        assert!(matches!(place(&[&name("sim:"), &name("qemu:1")]), Err(Misfit::Machines(..))));
        assert!(matches!(place(&[&name("sim:i210"), &name("sim:i350/0")]), Err(Misfit::Twice(..))));
        let one = name("vfio:0000:01:00.0");
        assert!(matches!(place(&[&one, &name("sim:")]), Err(Misfit::Machines(..))));
        assert!(matches!(place(&[&one, &one]), Err(Misfit::Twice(..))));
        let two = place(&[&one, &name("vfio:0000:02:00.0")]).unwrap();
        assert_eq!(two.0, Place::Vfio(vec!["0000:01:00.0".into(), "0000:02:00.0".into()]));
    }
}
