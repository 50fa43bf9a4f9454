//! Sleeping on an interrupt and on files at the same time.
//!
//! [`igb::Wait`] knows no files, because it serves machines that have none. Where an interrupt is a file, as with VFIO, a
//! thread sleeps on it together with others; where it is none, a short sleep stands in for it.

use igb::Wait;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// An interrupt that a thread may wait for together with files.
///
/// The order is: [`prepare`](Self::prepare), sleep until [`file`](Self::file) is readable or [`LOOK`](Self::LOOK) is over, then
/// take what came by [`wait`](Wait::wait) without a limit of time.
pub(crate) trait Wake: Wait {
    /// How long a sleep may last without a look at the device.
    const LOOK: Duration;
    /// What is readable when the interrupt came; `None` where it has to be looked for.
    fn file(&self) -> Option<BorrowedFd<'_>>;
    /// Lets it come again.
    fn prepare(&mut self) {}
}

impl Wake for igb_vfio::Irq {
    /// The eventfd tells of everything; this is for what should not happen, as an interrupt lost in a reset.
    const LOOK: Duration = Duration::from_millis(250);

    fn file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
    fn prepare(&mut self) {
        self.unmask();
    }
}

impl Wake for igb_qtest::Irq {
    /// The machine's time goes on only while somebody asks for it.
    const LOOK: Duration = Duration::from_millis(1);

    fn file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

impl Wake for igb_sim::SimIrq {
    const LOOK: Duration = Duration::from_millis(1);

    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
