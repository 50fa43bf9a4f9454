//! The server: a world of simulated devices in real time, a socket and a thread for each, and one that keeps time.

use crate::connection::{End, Port};
use crate::error::{Error, While};
use crate::interrupt::Interrupts;
use crate::laboratory::Laboratory;
use crate::memory::Memory;
use crate::region::{Access, Regions};
use core::time::Duration;
use igb_sim::{Device, DeviceSpec, Time, World};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Sees every access.
pub(crate) type Observer = Arc<dyn Fn(&Access) + Send + Sync>;

/// What happened on one socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Clients that came.
    pub clients: u64,
    /// Messages that they sent.
    pub messages: u64,
    /// Messages that got an error for an answer.
    pub refused: u64,
    /// Clients whose stream could not be followed any more.
    pub lost: u64,
}

struct Listening {
    listener: UnixListener,
    path: PathBuf,
    port: Port,
}

/// Devices that will be served.
pub struct Server {
    world: World,
    ports: Vec<Listening>,
}

impl core::fmt::Debug for Server {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Server").field("devices", &self.ports.len()).finish_non_exhaustive()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// A server of no devices yet.
    pub fn new() -> Self {
        // Devices see their clients' memory; the world's own is not used.
        Self { world: World::builder().time(Time::Real).memory(4096).build(), ports: Vec::new() }
    }

    /// The world of its devices: to wire them, and to make them ill.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Makes a device that the first client of the socket at `path` gets. The socket is there when this returns; one that
    /// a killed server left behind is replaced.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NotASocket`], [`Error::System`].
    pub fn listen(&mut self, spec: DeviceSpec, path: &Path) -> Result<Device, Error> {
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(Error::NotASocket);
            }
            match UnixStream::connect(path) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).during("removing the socket of a server that died")?;
                }
                _ => return Err(Error::InUse),
            }
        }
        let listener = UnixListener::bind(path).during("making the socket")?;
        listener.set_nonblocking(true).during("making the socket")?;
        let memory = Memory::default();
        let device = self.world.attach_with(spec, Arc::new(memory.clone()));
        let interrupts = Interrupts::new(device.vectors());
        let raised = interrupts.clone();
        device.on_interrupt(move |vector| raised.raise(vector));
        let regions = Regions { device: device.clone(), laboratory: None, observer: None };
        let port = Port { regions, memory, interrupts, summary: Summary::default() };
        self.ports.push(Listening { listener, path: path.into(), port });
        Ok(device)
    }

    /// Lets clients make the devices ill that were made so far; see the crate's page.
    pub fn laboratory(&mut self) {
        for listening in &mut self.ports {
            listening.port.regions.laboratory = Some(Laboratory::default());
        }
    }

    /// Shows every access to the devices that were made so far, from the thread of the device. It may look at names; it must not access devices.
    pub fn observe(&mut self, observer: impl Fn(&Access) + Send + Sync + 'static) {
        let observer: Observer = Arc::new(observer);
        for listening in &mut self.ports {
            listening.port.regions.observer = Some(observer.clone());
        }
    }

    /// Begins to serve.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn start(self) -> Result<Serving, Error> {
        let stop = Stop::new()?;
        let mut serving = Serving { stop: stop.clone(), threads: Vec::new(), clock: None };
        let (world, seen) = (self.world, stop.clone());
        let clock = thread::Builder::new().name("clock".into()).spawn(move || {
            while !seen.is_set() {
                world.run_until(Duration::from_secs(1), || seen.is_set());
            }
        });
        serving.clock = Some(clock.during("starting a thread")?);
        for listening in self.ports {
            let name = format!("port {}", listening.port.regions.device.index());
            let stop = stop.clone();
            let thread = thread::Builder::new().name(name).spawn(move || listening.run(&stop));
            serving.threads.push(thread.during("starting a thread")?);
        }
        Ok(serving)
    }
}

impl Listening {
    fn run(mut self, stop: &Stop) -> Summary {
        while !stop.is_set() {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if self.port.serve(&stream, stop) == End::Lost {
                        self.port.summary.lost += 1;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut fds = [
                        PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN),
                        PollFd::from_borrowed_fd(stop.fd(), PollFlags::IN),
                    ];
                    if !matches!(poll(&mut fds, None), Ok(_) | Err(Errno::INTR)) {
                        break;
                    }
                }
                // Out of descriptors, or a client that gave up: there may be better days.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
        self.port.summary
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Devices that are being served. Dropping it stops the server.
#[derive(Debug)]
pub struct Serving {
    stop: Stop,
    threads: Vec<JoinHandle<Summary>>,
    clock: Option<JoinHandle<()>>,
}

impl Serving {
    /// Ends all connections, removes the sockets, and says what happened on each, in the order of their making.
    ///
    /// # Errors
    /// [`Error::Panicked`].
    pub fn stop(mut self) -> Result<Vec<Summary>, Error> {
        self.end()
    }

    /// Whether a thread ended by itself, which is a bug; [`stop`](Self::stop) says so.
    pub fn is_broken(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    fn end(&mut self) -> Result<Vec<Summary>, Error> {
        self.stop.set();
        let joined: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        let clock = self.clock.take().map_or(Ok(()), JoinHandle::join);
        clock.map_err(|_| Error::Panicked)?;
        joined.into_iter().collect::<Result<_, _>>().map_err(|_| Error::Panicked)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// A flag that wakes whoever polls. A handle: clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    set: Arc<AtomicBool>,
    fd: Arc<OwnedFd>,
}

impl Stop {
    fn new() -> Result<Self, Error> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).during("making an eventfd")?;
        Ok(Self { set: Arc::default(), fd: Arc::new(fd) })
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn set(&self) {
        self.set.store(true, Ordering::Release);
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes()); // never read again: everybody sees it
    }
}
