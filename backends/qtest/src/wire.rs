//! The other end of a port's wire, held by this process: frames in and out, without the check sequence.

use crate::error::{Error, While};
use core::time::Duration;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;

/// The longest frame that is taken from a wire.
const LONGEST: usize = 16 << 10;

/// One end of a wire; a port of the machine is the other.
///
/// A frame shorter than 60 bytes reaches the port padded to that. When the port's ring is full, frames wait in QEMU:
/// this wire never drops. Closing it (dropping this value) leaves the link up: QEMU's port does not notice.
#[derive(Debug)]
pub struct Wire {
    socket: UnixDatagram,
}

impl Wire {
    /// Both ends.
    pub(crate) fn pair() -> Result<(Self, UnixDatagram), Error> {
        let (ours, theirs) = UnixDatagram::pair().during("making a wire")?;
        ours.set_write_timeout(Some(crate::protocol::PATIENCE)).during("making a wire")?;
        Ok((Self { socket: ours }, theirs))
    }

    /// Sends one frame to the port. False if it could not be: QEMU is gone, or takes nothing any more.
    pub fn send(&self, frame: &[u8]) -> bool {
        self.socket.send(frame).is_ok()
    }

    /// The next frame from the port; `None` if there is none within `limit`.
    pub fn recv(&self, limit: Duration) -> Option<Vec<u8>> {
        // A time-out of zero would mean none at all.
        self.socket.set_read_timeout(Some(limit.max(Duration::from_micros(1)))).ok()?;
        let mut frame = vec![0; LONGEST];
        loop {
            match self.socket.recv(&mut frame) {
                Ok(len) => {
                    frame.truncate(len);
                    return Some(frame);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}
