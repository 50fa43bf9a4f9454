//! Names of network interfaces, as the kernel takes them.

use core::fmt;
use core::str::FromStr;

/// An interface's name: 1 to 15 bytes. One with `%d` in it asks the kernel for a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    bytes: [u8; Self::ROOM],
}

/// Why a text is no name of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadName {
    /// Longer than the kernel has room for.
    #[error("an interface's name has at most 15 bytes, and this has {0}: choose a shorter one")]
    Long(usize),
    /// Empty, or one that means a folder.
    #[error("that is no interface's name: choose one like igb0")]
    Reserved,
    /// A character that names may not have.
    #[error("{0:?} may not stand in an interface's name: choose one like igb0")]
    Character(char),
    /// A percent sign that is not the `%d` of a number.
    #[error("% may stand in an interface's name once, as %d, where the kernel puts a number")]
    Percent,
}

impl Name {
    /// The kernel's room for a name and the zero behind it.
    pub(crate) const ROOM: usize = libc::IFNAMSIZ;

    /// The name.
    pub fn as_str(&self) -> &str {
        let end = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(Self::ROOM);
        self.bytes.get(..end).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("?")
    }

    /// Whether the kernel is to put a number into it.
    pub fn is_template(&self) -> bool {
        self.as_str().contains('%')
    }

    /// With the zeros behind it.
    pub(crate) fn bytes(&self) -> [u8; Self::ROOM] {
        self.bytes
    }

    /// What the kernel says that the name is: it may hold anything that ends.
    pub(crate) fn from_kernel(bytes: &[u8]) -> Self {
        let mut name = Self { bytes: [0; Self::ROOM] };
        let room = name.bytes.iter_mut().take(Self::ROOM - 1);
        for (to, from) in room.zip(bytes.iter().take_while(|byte| **byte != 0)) {
            *to = *from;
        }
        name
    }
}

impl FromStr for Name {
    type Err = BadName;

    /// As the kernel's `dev_valid_name` and `dev_alloc_name` have it.
    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.len() >= Self::ROOM {
            return Err(BadName::Long(text.len()));
        }
        if matches!(text, "" | "." | "..") {
            return Err(BadName::Reserved);
        }
        if let Some(wrong) = text.chars().find(|c| c.is_whitespace() || c.is_control() || "/:".contains(*c)) {
            return Err(BadName::Character(wrong));
        }
        if text.matches('%').count() != text.matches("%d").count() || text.matches('%').count() > 1 {
            return Err(BadName::Percent);
        }
        Ok(Self::from_kernel(text.as_bytes()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_kernel_takes() {
        for good in ["igb0", "igb%d", "a", "fifteen-bytes-x", "ümlaut"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("sixteen-bytes-xx", BadName::Long(16)),
            ("", BadName::Reserved),
            ("..", BadName::Reserved),
            ("a b", BadName::Character(' ')),
            ("a/b", BadName::Character('/')),
            ("a:1", BadName::Character(':')),
            ("igb%", BadName::Percent),
            ("%d%d", BadName::Percent),
            ("%s", BadName::Percent),
        ] {
            assert_eq!(bad.parse::<Name>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn what_the_kernel_says_always_ends() {
        assert_eq!(Name::from_kernel(&[b'x'; 40]).as_str(), "x".repeat(15));
        assert_eq!(Name::from_kernel(b"igb0\0junk").as_str(), "igb0");
        assert_eq!(Name::from_kernel(&[0xff]).as_str(), "?");
    }
}
