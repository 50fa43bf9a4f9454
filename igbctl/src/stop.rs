//! Ctrl-C as a flag that every loop looks at, so that a device is closed rather than abandoned.

use crate::failure::Failure;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Whether somebody asked us to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    signal: Arc<AtomicUsize>,
    /// Readable from the first signal on: nobody reads it.
    file: Option<Arc<UnixStream>>,
}

impl Stop {
    /// Listens for Ctrl-C and for SIGTERM. A second one ends the process at once.
    pub(crate) fn listen() -> Self {
        let (file, pen) = UnixStream::pair().ok().unzip();
        let stop = Self { signal: Arc::default(), file: file.map(Arc::new) };
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the first signal finds `again` unset. Where the system refuses a handler, Ctrl-C
            // does what it always does.
            let _ = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, again.clone());
            let _ = signal_hook::flag::register(signal, again.clone());
            let _ = signal_hook::flag::register_usize(signal, stop.signal.clone(), signal as usize);
            if let Some(Ok(pen)) = pen.as_ref().map(UnixStream::try_clone) {
                let _ = signal_hook::low_level::pipe::register(signal, pen);
            }
        }
        stop
    }

    /// Whether to end.
    pub(crate) fn is_set(&self) -> bool {
        self.signal.load(Relaxed) != 0
    }

    /// What is readable once [`is_set`](Self::is_set), for threads that sleep on files.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(|file| file.as_fd())
    }

    /// What ended us, for the exit status.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self.signal.load(Relaxed) {
            0 => None,
            signal => Some(Failure::Stopped(u8::try_from(signal).unwrap_or(SIGINT as u8))),
        }
    }
}
