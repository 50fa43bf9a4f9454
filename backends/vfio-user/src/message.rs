//! The form of vfio-user's messages (the specification in QEMU's documentation, `vfio-user.rst`): a header of 16 bytes,
//! then what the command wants, little endian.

use rustix::io::Errno;

/// Bytes of a header.
pub(crate) const HEADER: usize = 16;
/// The most data that one message carries; said in the answer to VERSION.
pub(crate) const MOST_DATA: usize = 1 << 20;
/// What may stand around it.
pub(crate) const MOST: usize = MOST_DATA + 64;

/// A message's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u16,
    pub(crate) command: u16,
    /// Of the whole message.
    pub(crate) size: usize,
    flags: u32,
}

impl Header {
    pub(crate) fn parse(bytes: [u8; HEADER]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self {
            id: u16::from_le_bytes([bytes[0], bytes[1]]),
            command: u16::from_le_bytes([bytes[2], bytes[3]]),
            size: word(4) as usize,
            flags: word(8),
        }
    }

    /// A command, and not a reply.
    pub(crate) fn is_command(&self) -> bool {
        self.flags & 0xf == 0
    }

    /// The client does not wait for an answer.
    pub(crate) fn is_posted(&self) -> bool {
        self.flags & 1 << 4 != 0
    }

    /// The answer to this message.
    pub(crate) fn reply(&self, result: Result<&[u8], Errno>) -> Vec<u8> {
        let payload = result.unwrap_or(&[]);
        let (flags, error) = match result {
            Ok(_) => (1_u32, 0),
            Err(errno) => (1 | 1 << 5, errno.raw_os_error() as u32),
        };
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.command.to_le_bytes());
        bytes.extend_from_slice(&((HEADER + payload.len()) as u32).to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&error.to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }
}

/// A payload that is read from its front. Too short a one is the client's fault.
#[derive(Debug)]
pub(crate) struct Payload<'a>(pub(crate) &'a [u8]);

impl<'a> Payload<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Errno> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Errno> {
        Ok(u16::from_le_bytes(self.take(2)?.try_into().unwrap_or_default()))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Errno> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().unwrap_or_default()))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Errno> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_repeats_number_and_command() {
        let header = Header::parse([7, 0, 9, 0, 32, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((header.id, header.command, header.size), (7, 9, 32));
        assert!(header.is_command() && header.is_posted());
        assert_eq!(header.reply(Ok(&[5])), [7, 0, 9, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(header.reply(Err(Errno::INVAL)), [7, 0, 9, 0, 16, 0, 0, 0, 0x21, 0, 0, 0, 22, 0, 0, 0]);
    }
}
