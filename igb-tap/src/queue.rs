//! One queue of an interface: a file that frames are read from and written to.

use crate::error::Error;
use crate::name::Name;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};

/// One queue. Reading and writing never wait; the descriptor ([`AsFd`]) is readable when the host has sent something, and
/// when the interface was deleted.
#[derive(Debug)]
pub struct Queue {
    pub(crate) file: OwnedFd,
    pub(crate) name: Name,
}

/// What became of a frame that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The host has it.
    Taken,
    /// The host has no room or no memory for it now.
    Full,
    /// The interface is down.
    Down,
    /// The host makes no sense of it: too short, or its header contradicts it.
    Refused,
}

impl Queue {
    /// Reads the next frame that the host sends, with its [`Header`](crate::Header) if the interface has offloads, and says how
    /// long it is. `None` if there is none. What does not fit into `buffer` is cut off: a frame that fills it may have been
    /// longer.
    ///
    /// # Errors
    /// [`Error::Deleted`], [`Error::System`].
    #[inline]
    pub fn read(&self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        loop {
            match read(&self.file, &mut *buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system(self.name, "reading a frame")(errno)),
            }
        }
    }

    /// Hands the host a frame, behind its [`Header`](crate::Header) if the interface has offloads.
    ///
    /// # Errors
    /// [`Error::Deleted`], [`Error::System`].
    #[inline]
    pub fn write(&self, frame: &[u8]) -> Result<Written, Error> {
        loop {
            return Ok(match write(&self.file, frame) {
                Ok(_) => Written::Taken,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => Written::Full,
                Err(Errno::IO) => Written::Down,
                Err(Errno::INVAL) => Written::Refused,
                Err(errno) => return Err(Error::system(self.name, "writing a frame")(errno)),
            });
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
