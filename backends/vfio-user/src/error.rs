//! Why a server cannot serve.

use std::io::ErrorKind;

/// Why a server cannot be made, or did not end well. What a client does wrong is answered to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A live server listens at that path.
    #[error("somebody serves on this socket already; end that process or choose another path")]
    InUse,
    /// Something that is no socket stands at that path, and is left alone.
    #[error("a file that is no socket is in the way; choose another path")]
    NotASocket,
    /// The system refused.
    #[error("{0}: {1}")]
    System(&'static str, ErrorKind),
    /// The thread of a device panicked; the device is not served any more.
    #[error("the server of a device panicked, which is a bug; its message stands on standard error")]
    Panicked,
}

/// Says what was being done when the system refused.
pub(crate) trait While<T> {
    fn during(self, what: &'static str) -> Result<T, Error>;
}

impl<T, E: Into<std::io::Error>> While<T> for Result<T, E> {
    fn during(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::System(what, error.into().kind()))
    }
}
