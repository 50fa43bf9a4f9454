//! What can go wrong, each with the command that mends it.

use crate::name::{BadName, Name};
use core::fmt;

/// Why there is no interface, or no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// That is no interface's name.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// The kernel has no TAP device, or nobody made its file.
    #[error("there is no /dev/net/tun: modprobe tun (in a container: --device /dev/net/tun)")]
    NoModule,
    /// The file may not be opened.
    #[error("no permission on /dev/net/tun: chmod 0666 /dev/net/tun, or run as root")]
    NoPermission,
    /// Making an interface, or setting one up, takes a right that this process does not have.
    #[error(
        "may not make or change the interface {0}, which takes CAP_NET_ADMIN: run as root (systemd: AmbientCapabilities=CAP_NET_ADMIN), \
         or have root make it for this user: ip tuntap add dev {0} mode tap multi_queue user $USER"
    )]
    NotPermitted(Name),
    /// An interface of another kind has the name.
    #[error(
        "the name {0} is taken by an interface that is no TAP: ip link show {0}; choose another one by --name"
    )]
    Taken(Name),
    /// A TAP of that name is in a program's hands.
    #[error(
        "the interface {0} is in use by another program: fuser -v /dev/net/tun shows which; choose another one by --name"
    )]
    InUse(Name),
    /// The TAP that is there has one queue.
    #[error(
        "the interface {0} is there and has one queue only: make it with several (ip tuntap del dev {0} mode tap; \
         ip tuntap add dev {0} mode tap multi_queue), or ask for one"
    )]
    OneQueue(Name),
    /// No queue, or more than the kernel gives one interface.
    #[error("an interface has 1 to 256 queues, and not {0}")]
    Queues(u16),
    /// The interface is there no more.
    #[error("the interface {0} was deleted under us: start again")]
    Deleted(Name),
    /// The interface is in a network namespace into which this process cannot look.
    #[error(
        "the interface {name} was moved into a network namespace that this process may not enter ({errno}): its MTU and \
         address are followed no more; run as root, or in that namespace (ip netns exec)"
    )]
    Elsewhere {
        /// The interface.
        name: Name,
        /// Why not.
        errno: Errno,
    },
    /// The system refused something that it rarely refuses.
    #[error("{name}: {what}: {errno}")]
    System {
        /// The interface.
        name: Name,
        /// What was asked for.
        what: &'static str,
        /// What it said.
        errno: Errno,
    },
}

/// The system's number of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub(crate) rustix::io::Errno);

impl Errno {
    /// The number.
    pub fn raw(self) -> i32 {
        self.0.raw_os_error()
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from(self.0).fmt(f)
    }
}

impl Error {
    pub(crate) fn system(name: Name, what: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |errno| match errno {
            // The file of an interface that was deleted.
            rustix::io::Errno::BADFD => Self::Deleted(name),
            rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => Self::NotPermitted(name),
            errno => Self::System { name, what, errno: Errno(errno) },
        }
    }

    /// Whether something of the machine is missing, rather than that something failed.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::NoModule | Self::NoPermission | Self::NotPermitted(_))
    }
}
