//! What can go wrong while a machine is made or told something. Once it runs, a broken machine is a bus that answers
//! all ones.

use crate::find::NoQemu;
use core::fmt;
use std::io::ErrorKind;

/// Why a machine could not be made, or did not do what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no QEMU that will do.
    #[error(transparent)]
    NoQemu(#[from] NoQemu),
    /// The system refused something that the machine is made from.
    #[error("{0}: {1}")]
    System(&'static str, ErrorKind),
    /// QEMU ended while it started.
    #[error("QEMU did not start: {0}")]
    Ended(Excerpt),
    /// The process or what connects us to it broke. It stays so.
    #[error("QEMU is gone: {0}")]
    Broken(Cause),
    /// QEMU refused a command of its monitor.
    #[error("QEMU refused: {0}")]
    Refused(Excerpt),
    /// Something did not happen in time.
    #[error("{0} did not happen within {1} ms")]
    TimedOut(&'static str, u64),
    /// The machine has fewer ports.
    #[error("there is no port {0}: this machine has {1}")]
    NoPort(usize, usize),
    /// The port is in use: a platform of it exists.
    #[error("port {0} is in use")]
    InUse(usize),
    /// Nothing answers where the port should be: it was unplugged, or its slot has no power.
    #[error("port {0} holds no device")]
    NoDevice(usize),
    /// A base address register asks for more than a port's window has.
    #[error("BAR {0} wants {1:#x} bytes, more than this machine has room for")]
    BarTooLarge(u8, u64),
    /// More or less than a machine can have.
    #[error("{0}")]
    Limit(&'static str),
    /// The machine was made without an IOMMU.
    #[error("this machine has no IOMMU: ask for one with Builder::iommu")]
    NoIommu,
}

/// What broke the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The process ended: killed, crashed, or told to.
    #[error("the process ended")]
    Ended,
    /// It did not answer.
    #[error("it did not answer within {} s", crate::protocol::PATIENCE.as_secs())]
    Silent,
    /// It answered what is no answer.
    #[error("it answered something else")]
    Garbled,
    /// A pipe failed.
    #[error("{0}")]
    Pipe(ErrorKind),
}

/// A short piece of what QEMU said, as a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    text: [u8; 100],
    len: usize,
}

impl Excerpt {
    /// The beginning of `text`.
    pub(crate) fn new(text: &str) -> Self {
        let mut excerpt = Self { text: [0; 100], len: 0 };
        for c in text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }) {
            if excerpt.len + c.len_utf8() > excerpt.text.len() {
                break;
            }
            excerpt.len += c.encode_utf8(&mut excerpt.text[excerpt.len..]).len();
        }
        excerpt
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says what was being done when the system refused.
pub(crate) trait While<T> {
    fn during(self, what: &'static str) -> Result<T, Error>;
}

impl<T> While<T> for std::io::Result<T> {
    fn during(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::System(what, error.kind()))
    }
}

impl<T> While<T> for rustix::io::Result<T> {
    fn during(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::System(what, error.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_ends_at_a_character() {
        let long = "ä".repeat(200);
        assert_eq!(Excerpt::new(&long).as_str(), "ä".repeat(50));
        assert_eq!(Excerpt::new(" a\tb\n").to_string(), "a b");
    }
}
