//! An interface as a whole: made or found, set up, watched.

use crate::error::{Errno, Error};
use crate::header::Header;
use crate::ioctl;
use crate::name::Name;
use crate::netlink::{Link, Netlink, Which};
use crate::queue::Queue;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as Raw;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const NODE: &str = "/dev/net/tun";
/// Most queues of a TAP (`MAX_TAP_QUEUES`).
const QUEUES: u16 = 256;

/// What interface is wanted.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Options {
    /// Its name. An interface of that name that is there already, and in nobody's hands, is taken as it is.
    pub name: Name,
    /// How many queues.
    pub queues: u16,
    /// Whether frames have a [`Header`] before them, and the host may leave checksums to us.
    pub offload: bool,
    /// Whether the interface is to outlive us.
    pub persist: bool,
}

impl Options {
    /// One queue, plain frames, gone with us.
    pub fn new(name: Name) -> Self {
        Self { name, queues: 1, offload: false, persist: false }
    }
}

/// How an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// The longest packet, in bytes behind the Ethernet header.
    pub mtu: u32,
    /// The station address.
    pub address: [u8; 6],
    /// Whether it is up.
    pub up: bool,
    /// Somebody wants to see all frames: a bridge, a capture.
    pub promiscuous: bool,
    /// Somebody wants to see all multicast frames.
    pub all_multicast: bool,
}

/// An interface. Its descriptor ([`AsFd`]) is readable when something about an interface of its namespace changed: then ask
/// [`changed`](Self::changed). Dropped together with its queues, the interface is gone, unless it is to persist.
#[derive(Debug)]
pub struct Interface {
    file: OwnedFd,
    name: Name,
    index: u32,
    found: bool,
    /// Of the namespace that it was made in.
    netlink: Netlink,
    /// It left that namespace.
    away: bool,
}

/// Makes the interface, or takes the one of that name, and opens its queues. It has no carrier yet.
///
/// # Errors
/// What is missing or in the way, and the command that mends it: see [`Error`].
pub fn open(options: &Options) -> Result<(Interface, Vec<Queue>), Error> {
    let Options { name, queues, offload, persist } = *options;
    if queues == 0 || queues > QUEUES {
        return Err(Error::Queues(queues));
    }
    let mut netlink = Netlink::new().map_err(Error::system(name, "opening rtnetlink"))?;
    let there = if name.is_template() { None } else { look(&mut netlink, name)? };
    if let Some(link) = &there {
        usable(link, name, queues)?;
    }
    let several = there.as_ref().map_or(queues > 1, |link| link.tun.several_queues);
    let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
    for (bit, wanted) in [(libc::IFF_MULTI_QUEUE, several), (libc::IFF_VNET_HDR, offload)] {
        flags |= if wanted { bit } else { 0 };
    }
    // Between the look and now, somebody else may have made it: then this fails rather than shares.
    let exclusive = if there.is_none() { libc::IFF_TUN_EXCL } else { 0 };
    let first = node()?;
    let name = ioctl::set_interface(&first, name, flags | exclusive).map_err(|errno| match errno {
        Raw::BUSY if there.is_some() => Error::InUse(name),
        Raw::BUSY | Raw::EXIST => Error::Taken(name),
        errno => Error::system(name, "TUNSETIFF")(errno),
    })?;
    let mut files = vec![first];
    for _ in 1..queues {
        let file = node()?;
        ioctl::set_interface(&file, name, flags)
            .map_err(Error::system(name, "TUNSETIFF of a further queue"))?;
        files.push(file);
    }
    for file in files.iter().filter(|_| offload) {
        ioctl::set_header_size(file, Header::SIZE.into()).map_err(Error::system(name, "TUNSETVNETHDRSZ"))?;
        ioctl::set_offload(file, libc::TUN_F_CSUM).map_err(Error::system(name, "TUNSETOFFLOAD"))?;
    }
    let file = files.first().map(OwnedFd::try_clone).transpose();
    let file = file.ok().flatten().ok_or(Error::Queues(queues))?;
    if persist {
        ioctl::set_persist(&file, true).map_err(Error::system(name, "TUNSETPERSIST"))?;
    }
    ioctl::set_carrier(&file, false).map_err(Error::system(name, "TUNSETCARRIER"))?;
    let link = netlink.get(Which::Name(name.as_str())).map_err(Error::system(name, "RTM_GETLINK"))?;
    let interface = Interface { file, name, index: link.index, found: there.is_some(), netlink, away: false };
    Ok((interface, files.into_iter().map(|file| Queue { file, name }).collect()))
}

fn node() -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(NODE, flags, Mode::empty()).map_err(|errno| match errno {
        Raw::ACCESS | Raw::PERM => Error::NoPermission,
        // No file; a file without a module behind it.
        Raw::NOENT | Raw::NXIO | Raw::NODEV => Error::NoModule,
        errno => Error::System { name: Name::from_kernel(b"tun"), what: NODE, errno: Errno(errno) },
    })
}

fn look(netlink: &mut Netlink, name: Name) -> Result<Option<Link>, Error> {
    match netlink.get(Which::Name(name.as_str())) {
        Ok(link) => Ok(Some(link)),
        Err(Raw::NODEV) => Ok(None),
        Err(errno) => Err(Error::system(name, "RTM_GETLINK")(errno)),
    }
}

/// Whether an interface that is there will do.
fn usable(link: &Link, name: Name, queues: u16) -> Result<(), Error> {
    if link.kind != b"tun" || !link.tun.tap {
        Err(Error::Taken(name))
    } else if link.tun.queues > 0 {
        Err(Error::InUse(name))
    } else if queues > 1 && !link.tun.several_queues {
        Err(Error::OneQueue(name))
    } else {
        Ok(())
    }
}

impl Interface {
    /// Its name: the administrator may have given it another one meanwhile.
    pub fn name(&self) -> Name {
        ioctl::interface(&self.file).unwrap_or(self.name)
    }

    /// Whether it was there before us, with whatever its administrator had set.
    pub fn was_there(&self) -> bool {
        self.found
    }

    /// How it is. If it moved into another network namespace, it is looked for there.
    ///
    /// # Errors
    /// [`Error::Deleted`], [`Error::Elsewhere`], [`Error::System`].
    pub fn state(&mut self) -> Result<State, Error> {
        let link = self.ask("RTM_GETLINK", |netlink, index| netlink.get(Which::Index(index)))?;
        let flag = |bit: i32| link.flags & bit as u32 != 0;
        Ok(State {
            mtu: link.mtu,
            address: link.address.unwrap_or_default(),
            up: flag(libc::IFF_UP),
            promiscuous: link.promiscuity > 0 || flag(libc::IFF_PROMISC),
            all_multicast: link.all_multicast > 0 || flag(libc::IFF_ALLMULTI),
        })
    }

    /// Asks rtnetlink where the interface is, under the number that it has there.
    fn ask<T: Send>(
        &mut self,
        what: &'static str,
        question: impl Fn(&mut Netlink, u32) -> rustix::io::Result<T> + Sync,
    ) -> Result<T, Error> {
        if !self.away {
            match question(&mut self.netlink, self.index) {
                Err(Raw::NODEV) => self.away = true,
                other => return other.map_err(Error::system(self.name, what)),
            }
        }
        // The file knows: it says the name, or that there is nothing behind it any more.
        self.name = ioctl::interface(&self.file).map_err(Error::system(self.name, "TUNGETIFF"))?;
        let name = self.name;
        let elsewhere = |errno| Error::Elsewhere { name, errno: Errno(errno) };
        let namespace = ioctl::namespace(&self.file).map_err(elsewhere)?;
        // A thread of its own goes there, ours stay where they are. It keeps nothing open: a socket would keep the namespace
        // alive after its owner deleted it.
        let visit = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(elsewhere)?;
            let mut netlink = Netlink::new().map_err(elsewhere)?;
            let link = netlink.get(Which::Name(name.as_str())).map_err(Error::system(name, "RTM_GETLINK"))?;
            question(&mut netlink, link.index).map_err(Error::system(name, what))
        };
        std::thread::scope(|scope| scope.spawn(visit).join().unwrap_or(Err(elsewhere(Raw::SRCH))))
    }

    /// Whether it may have changed since the last call. In another network namespace it may always have: look at it from time
    /// to time.
    pub fn changed(&mut self) -> bool {
        self.netlink.changed(self.index) || self.away
    }

    /// Says whether the wire has a carrier.
    ///
    /// # Errors
    /// [`Error::Deleted`], [`Error::System`].
    pub fn set_carrier(&self, on: bool) -> Result<(), Error> {
        ioctl::set_carrier(&self.file, on).map_err(Error::system(self.name, "TUNSETCARRIER"))
    }

    /// Sets the station address.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Deleted`], [`Error::System`].
    pub fn set_address(&mut self, address: [u8; 6]) -> Result<(), Error> {
        self.ask("setting the address", |netlink, index| netlink.set(index, libc::IFLA_ADDRESS, &address))
    }

    /// Sets the MTU.
    ///
    /// # Errors
    /// As [`set_address`](Self::set_address).
    pub fn set_mtu(&mut self, bytes: u32) -> Result<(), Error> {
        self.ask("setting the MTU", |netlink, index| netlink.set(index, libc::IFLA_MTU, &bytes.to_ne_bytes()))
    }

    /// Sets it up or down.
    ///
    /// # Errors
    /// As [`set_address`](Self::set_address).
    pub fn set_up(&mut self, up: bool) -> Result<(), Error> {
        let bit = libc::IFF_UP as u32;
        let flags = if up { bit } else { 0 };
        self.ask("setting it up or down", |netlink, index| netlink.set_flags(index, flags, bit))
    }
}

impl AsFd for Interface {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.news()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Tun;

    #[test]
    fn what_is_there_is_used_only_if_it_is_a_free_tap() {
        let name = "igb0".parse().unwrap();
        let tap = |tun| Link { kind: b"tun".to_vec(), tun, ..Link::default() };
        let free = Tun { tap: true, several_queues: true, queues: 0 };
        assert_eq!(usable(&tap(free), name, 4), Ok(()));
        assert_eq!(usable(&tap(Tun { queues: 1, ..free }), name, 1), Err(Error::InUse(name)));
        assert_eq!(usable(&tap(Tun { tap: false, ..free }), name, 1), Err(Error::Taken(name)));
        assert_eq!(usable(&tap(Tun { several_queues: false, ..free }), name, 2), Err(Error::OneQueue(name)));
        assert_eq!(usable(&tap(Tun { several_queues: false, ..free }), name, 1), Ok(()));
        assert_eq!(
            usable(&Link { kind: b"veth".to_vec(), ..Link::default() }, name, 1),
            Err(Error::Taken(name))
        );
    }

    #[test]
    fn a_name_that_is_taken_and_queues_that_cannot_be() {
        let name = "lo".parse().unwrap();
        assert_eq!(open(&Options::new(name)).err(), Some(Error::Taken(name)));
        for queues in [0, 257] {
            assert_eq!(open(&Options { queues, ..Options::new(name) }).err(), Some(Error::Queues(queues)));
        }
    }
}
