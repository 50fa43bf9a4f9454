//! A container: devices that share one set of DMA addresses, and the memory that they reach.

use crate::address::Address;
use crate::device::Device;
use crate::error::{Errno, Error, Name, While};
use crate::host::Host;
use crate::iova::Iovas;
use crate::memory::{Block, HUGE, refused};
use crate::{ioctl, sys};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use igb_ring::{Arena, Dma, Domain, Region};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno as Code;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a container is made.
#[derive(Debug, Clone)]
pub struct Options {
    host: Host,
    mask: u64,
    huge_pages: bool,
    without_iommu: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// This machine, its IOMMU, all addresses, huge pages where there are some.
    pub fn new() -> Self {
        Self { host: Host::new(), mask: u64::MAX, huge_pages: true, without_iommu: false }
    }

    /// No DMA address above `mask`: `u32::MAX` for a device or a bridge that drives 32 bits only.
    #[must_use]
    pub fn mask(mut self, mask: u64) -> Self {
        self.mask = mask;
        self
    }

    /// Whether memory is taken from the machine's stock of huge pages first.
    #[must_use]
    pub fn huge_pages(mut self, wanted: bool) -> Self {
        self.huge_pages = wanted;
        self
    }

    /// Devices without an IOMMU are accepted. **Such a device can read and write all of the machine's memory**: a wrong
    /// descriptor, or a device that misbehaves, destroys whatever it hits, the kernel included. It takes root, the
    /// kernel is tainted, and `echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode` comes first. Memory then
    /// comes from huge pages only. A warning is written to standard error.
    #[must_use]
    pub fn without_iommu(mut self) -> Self {
        self.without_iommu = true;
        self
    }

    /// The container.
    ///
    /// # Errors
    /// [`Error::NoModule`], [`Error::NoPermission`], [`Error::System`].
    pub fn container(self) -> Result<Container, Error> {
        Container::with(self)
    }
}

/// Devices that share DMA addresses: a buffer of one can be sent by another without a copy. A handle; clones are the same
/// container.
///
/// A group that was opened stays open as long as the container, or memory that came from it, exists.
///
/// ```no_run
/// let container = igb_vfio::Container::new()?;
/// let (west, east) = (container.open("0000:01:00.0")?, container.open("0000:02:00.0")?);
/// # Ok::<(), igb_vfio::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Container(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    fd: OwnedFd,
    options: Options,
    domain: Domain,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<u32, OwnedFd>,
    open: BTreeSet<Address>,
    iommu: Option<Iommu>,
    slabs: Vec<Slab>,
    /// What `Dma::map` showed, by the address that it gave.
    foreign: BTreeMap<u64, Shown>,
    refusal: Option<Error>,
}

/// What decides where memory may lie. A container of another interface (iommufd) would differ in this, in how groups come
/// into it, and in the two calls of [`Inner::show`] and [`Inner::hide`].
#[derive(Debug)]
enum Iommu {
    /// `VFIO_TYPE1v2_IOMMU`, with the free addresses.
    Type1 { free: Iovas, page: u64 },
    /// `VFIO_NOIOMMU_IOMMU`: addresses are physical.
    None,
}

/// A block of memory, shown to the devices, and what is dealt out of it.
///
/// Field order is drop order: the arena points into the block.
#[derive(Debug)]
struct Slab {
    arena: Arena,
    block: Block,
}

#[derive(Debug, Clone, Copy)]
struct Shown {
    start: u64,
    len: u64,
}

impl Container {
    /// Bytes of memory that opening the first device of a container tries to have, so that a limit that is too low is told
    /// then.
    pub const LEAST: u64 = 2 * HUGE;

    /// An empty container.
    ///
    /// # Errors
    /// [`Error::NoModule`], [`Error::NoPermission`], [`Error::System`].
    pub fn new() -> Result<Self, Error> {
        Options::new().container()
    }

    fn with(options: Options) -> Result<Self, Error> {
        // Above what other platforms of one process count from.
        static CONTAINERS: AtomicU32 = AtomicU32::new(1 << 24);
        let fd = open_node(&options.host, "vfio").map_err(|code| match code {
            Code::NOENT | Code::NODEV | Code::NXIO => Error::NoModule,
            Code::ACCESS | Code::PERM => Error::NoPermission { node: Name::new("/dev/vfio/vfio") },
            other => Error::System("opening /dev/vfio/vfio", Errno(other.raw_os_error())),
        })?;
        if ioctl::api_version(&fd) != Ok(sys::VFIO_API_VERSION as i32) {
            return Err(Error::NoModule);
        }
        let domain = Domain(CONTAINERS.fetch_add(1, Ordering::Relaxed));
        Ok(Self(Arc::new(Inner { fd, options, domain, state: Mutex::default() })))
    }

    /// Opens a device by its PCI address.
    ///
    /// # Errors
    /// What is missing, in the order in which it is mended: see [`Error`].
    pub fn open(&self, address: &str) -> Result<Device, Error> {
        self.open_at(address.parse()?)
    }

    /// The same with an address.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at(&self, address: Address) -> Result<Device, Error> {
        let inner = &self.0;
        let mut state = inner.state();
        let file = inner.device(&mut state, address)?;
        state.open.insert(address);
        drop(state);
        // From here on `Device` takes the address out again.
        Device::open(self.clone(), address, file)
    }

    /// The machine.
    pub fn host(&self) -> &Host {
        &self.0.options.host
    }

    /// The memory that devices of this container reach.
    pub fn memory(&self) -> Memory {
        Memory(self.0.clone())
    }

    /// Why memory could not be had, the last time: allocation itself says only that there was none.
    pub fn refusal(&self) -> Option<Error> {
        self.0.state().refusal
    }

    /// Leaves a device.
    pub(crate) fn forget(&self, address: Address) {
        self.0.state().open.remove(&address);
    }

    /// Resets the bus or slot of a device, if nobody is disturbed by it: all functions there are in groups of ours, and no
    /// other one is open. `false` if that is not so.
    pub(crate) fn hot_reset(&self, address: Address, device: BorrowedFd<'_>) -> Result<bool, Error> {
        let state = self.0.state();
        let what = "asking who shares the reset";
        let dependents = ioctl::hot_reset_dependents(device).during(what)?;
        let groups: BTreeSet<u32> = dependents.iter().map(|(group, _)| *group).collect();
        let disturbs = dependents.iter().any(|(_, other)| *other != address && state.open.contains(other));
        let owned: Option<Vec<_>> =
            groups.iter().map(|group| state.groups.get(group).map(AsFd::as_fd)).collect();
        let Some(owned) = owned.filter(|owned| !disturbs && !owned.is_empty()) else { return Ok(false) };
        ioctl::hot_reset(device, &owned).during("resetting the bus")?;
        Ok(true)
    }
}

fn open_node(host: &Host, node: &str) -> rustix::io::Result<OwnedFd> {
    open(host.path("dev/vfio").join(node), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a device, with all checks before.
    fn device(&self, state: &mut State, address: Address) -> Result<OwnedFd, Error> {
        let host = &self.options.host;
        if state.open.contains(&address) {
            return Err(Error::AlreadyOpen(address));
        }
        let group = match host.check(address) {
            // Without an IOMMU the group is made when the function is bound.
            Err(Error::NoIommu(_)) if self.options.without_iommu => {
                return Err(Error::NotBound { address, driver: host.driver(address) });
            }
            other => other?,
        };
        if let Some(group) = state.groups.get(&group) {
            return ioctl::device(group, address).during("opening the device of its group");
        }
        let without = host.is_without_iommu(group);
        if without && !self.options.without_iommu {
            return Err(Error::WithoutIommu(address));
        }
        let fd = self.group(group, without)?;
        let device = self.join(state, &fd, without, address);
        // A group whose device could not be had leaves the container as it closes.
        let device = device?;
        state.groups.insert(group, fd);
        Ok(device)
    }

    fn group(&self, group: u32, without: bool) -> Result<OwnedFd, Error> {
        let host = &self.options.host;
        let node = if without { format!("noiommu-{group}") } else { group.to_string() };
        let fd = open_node(host, &node).map_err(|code| match code {
            Code::ACCESS | Code::PERM => {
                Error::NoPermission { node: Name::new(&format!("/dev/vfio/{node}")) }
            }
            Code::BUSY => Error::Busy { group, holder: host.holder(group) },
            other => Error::System("opening the group in /dev/vfio", Errno(other.raw_os_error())),
        })?;
        if !ioctl::is_viable(&fd).during("asking for the state of the group")? {
            return Err(Error::NotViable { group, others: host.blockers(group) });
        }
        Ok(fd)
    }

    fn join(
        &self,
        state: &mut State,
        group: &OwnedFd,
        without: bool,
        address: Address,
    ) -> Result<OwnedFd, Error> {
        let kind = if without { sys::VFIO_NOIOMMU_IOMMU } else { sys::VFIO_TYPE1v2_IOMMU };
        if !ioctl::has_extension(&self.fd, kind) {
            return Err(if without { Error::NoIommu(address) } else { Error::NoType1 });
        }
        // What the kernel says of an IOMMU that does not remap interrupts, as soon as a group meets the interface.
        let attach = |result: rustix::io::Result<()>, what| match result {
            Err(Code::PERM) if !without => Err(Error::UnsafeInterrupts(address)),
            other => other.during(what),
        };
        attach(ioctl::set_container(group, &self.fd), "putting the group into the container")?;
        if state.iommu.is_none() {
            attach(ioctl::set_iommu(&self.fd, kind), "choosing the IOMMU's interface")?;
        }
        let device = ioctl::device(group, address).during("opening the device of its group")?;
        if state.iommu.is_some() {
            return Ok(device);
        }
        if without {
            eprintln!("igb-vfio: {address} HAS NO IOMMU: it can read and write all of this machine's memory");
            state.iommu = Some(Iommu::None);
            return Ok(device);
        }
        state.iommu = Some(self.limits()?);
        // Whether memory can be had is better known now, with a reason, than when the first ring is made.
        match self.slab(state, Container::LEAST) {
            Ok(slab) => self.release(state, slab),
            Err(error) => {
                state.iommu = None;
                return Err(error);
            }
        }
        Ok(device)
    }

    fn limits(&self) -> Result<Iommu, Error> {
        let info = ioctl::iommu_info(&self.fd).during("asking for the IOMMU's ranges")?;
        let ours = rustix::param::page_size() as u64;
        let smallest = if info.page_sizes == 0 { ours } else { 1 << info.page_sizes.trailing_zeros() };
        let page = ours.max(smallest);
        // A kernel before 5.4 does not say. What all IOMMUs have: 39 bits, less the window of interrupt messages.
        let known = if info.ranges.is_empty() {
            vec![(0, 0xfedf_ffff), (0xfef0_0000, (1 << 39) - 1)]
        } else {
            info.ranges
        };
        Ok(Iommu::Type1 { free: Iovas::new(known, self.options.mask, page), page })
    }

    /// Shows memory to the devices.
    ///
    /// # Safety
    /// The `len` bytes at `cpu` stay mapped until [`hide`](Self::hide), and whoever uses them bears with devices that
    /// write there.
    unsafe fn show(&self, state: &mut State, cpu: NonNull<u8>, len: u64, align: u64) -> Result<u64, Error> {
        let have = state.pinned();
        let Some(Iommu::Type1 { free, page }) = &mut state.iommu else { return Err(Error::NoIova(len)) };
        let iova =
            free.take(len, align.max(*page)).or_else(|| free.take(len, *page)).ok_or(Error::NoIova(len))?;
        // SAFETY: by contract.
        match unsafe { ioctl::map(&self.fd, cpu.as_ptr().cast(), iova, len) } {
            Ok(()) => Ok(iova),
            Err(code) => {
                free.give(iova, len);
                Err(refused(code, have + len))
            }
        }
    }

    /// Hides it again. `false`: devices may still reach it.
    fn hide(&self, state: &mut State, iova: u64, len: u64) -> bool {
        match &mut state.iommu {
            Some(Iommu::Type1 { free, .. }) => {
                let hidden = ioctl::unmap(&self.fd, iova, len);
                if hidden {
                    free.give(iova, len);
                }
                hidden
            }
            // Nothing hides memory from a device without an IOMMU; by `Dma`'s contract no device uses it any more.
            Some(Iommu::None) | None => true,
        }
    }

    fn slab(&self, state: &mut State, len: u64) -> Result<Slab, Error> {
        let len = len.max(1).checked_next_multiple_of(HUGE).ok_or(Error::NoMemory(len))?;
        let without = matches!(state.iommu, Some(Iommu::None));
        let huge = (self.options.huge_pages || without).then(|| Block::huge(len)).flatten();
        if without {
            let block = huge.ok_or(Error::NotContiguous(len))?;
            let iova = block.physical()?;
            return self.arena(block, iova);
        }
        if let Some(block) = huge {
            // SAFETY: the slab keeps the block until it is hidden, and only raw and atomic accesses go there.
            if let Ok(iova) = unsafe { self.show(state, block.base(), len, HUGE) } {
                return self.arena(block, iova);
            }
            // Huge pages that were promised and are not there: ordinary ones may do.
        }
        let block = Block::ordinary(len)?;
        // SAFETY: as above.
        let iova = unsafe { self.show(state, block.base(), len, HUGE) }?;
        self.arena(block, iova)
    }

    fn arena(&self, block: Block, iova: u64) -> Result<Slab, Error> {
        let len = block.len();
        let region = Region { cpu: block.base(), iova, len: len as usize };
        // SAFETY: the block is ours alone, shown at `iova`, and stays so until nothing of the arena is out (`release`) or
        // nobody has a handle of the container (`drop`).
        let arena = unsafe { Arena::new(region, self.domain, self.options.mask) };
        Ok(Slab { arena: arena.map_err(|_| Error::NoIova(len))?, block })
    }

    fn release(&self, state: &mut State, slab: Slab) {
        let Region { iova, len, .. } = slab.arena.region();
        if !self.hide(state, iova, len as u64) {
            // Memory that a device may still reach is nobody else's.
            core::mem::forget(slab);
        }
    }
}

impl State {
    /// Bytes that the devices see.
    fn pinned(&self) -> u64 {
        self.slabs
            .iter()
            .map(|slab| slab.block.len())
            .chain(self.foreign.values().map(|shown| shown.len))
            .sum()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut state = core::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        for slab in core::mem::take(&mut state.slabs) {
            self.release(&mut state, slab);
        }
        for shown in core::mem::take(&mut state.foreign).into_values() {
            self.hide(&mut state, shown.start, shown.len);
        }
    }
}

/// The memory that a container's devices reach. A handle.
///
/// Taken from the machine in pieces of 2 MiB and more, huge pages where there are some, pinned by the kernel while the
/// devices see it. A piece from which nothing is out any more is hidden and given back at once: a device that goes on
/// writing there is stopped by the IOMMU.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Inner>);

impl Memory {
    /// Bytes that are allocated.
    pub fn allocated(&self) -> usize {
        self.0.state().slabs.iter().map(|slab| slab.arena.allocated()).sum()
    }

    /// Reads as a device would, whoever owns the bytes. False, and nothing read, if a byte lies outside of what was taken
    /// from here.
    pub fn read(&self, iova: u64, out: &mut [u8]) -> bool {
        self.0.state().slabs.iter().any(|slab| slab.arena.read(iova, out))
    }

    /// Writes as a device would. False, and nothing written, if a byte lies outside.
    pub fn write(&self, iova: u64, bytes: &[u8]) -> bool {
        self.0.state().slabs.iter().any(|slab| slab.arena.write(iova, bytes))
    }

    /// Bytes that devices see: whole pieces, and what `map` showed.
    pub fn visible(&self) -> u64 {
        self.0.state().pinned()
    }
}

// SAFETY: pieces come from arenas over blocks of our own, shown to every device of the container before they are dealt out
// and hidden when nothing is out; a handle keeps all of it. IOVAs are taken below the mask, and for physical addresses the
// arena stops there.
unsafe impl Dma for Memory {
    fn domain(&self) -> Domain {
        self.0.domain
    }

    fn mask(&self) -> u64 {
        self.0.options.mask
    }

    fn alloc(&self, len: usize, align: usize) -> Option<Region> {
        let mut state = self.0.state();
        if let Some(region) = state.slabs.iter().find_map(|slab| slab.arena.alloc(len, align)) {
            return Some(region);
        }
        let need = (len as u64).checked_add(if align as u64 > HUGE { align as u64 } else { 0 })?;
        match self.0.slab(&mut state, need) {
            Ok(slab) => {
                let region = slab.arena.alloc(len, align);
                match region {
                    Some(_) => state.slabs.push(slab),
                    None => {
                        self.0.release(&mut state, slab);
                        state.refusal = Some(Error::NoIova(need));
                    }
                }
                region
            }
            Err(error) => {
                state.refusal = Some(error);
                None
            }
        }
    }

    unsafe fn free(&self, region: Region) {
        let mut state = self.0.state();
        let inside = |slab: &Slab| {
            let all = slab.arena.region();
            all.iova <= region.iova && region.iova - all.iova < all.len as u64
        };
        let Some(at) = state.slabs.iter().position(inside) else { return };
        // SAFETY: by contract it came from `alloc`, hence from this arena.
        unsafe { state.slabs[at].arena.free(region) };
        if state.slabs[at].arena.allocated() == 0 {
            let slab = state.slabs.swap_remove(at);
            self.0.release(&mut state, slab);
        }
    }

    unsafe fn map(&self, cpu: NonNull<u8>, len: usize) -> Option<u64> {
        let mut state = self.0.state();
        let address = cpu.addr().get();
        // What is ours is seen already.
        let known = state.slabs.iter().find_map(|slab| {
            // SAFETY: looks at the addresses only.
            unsafe { slab.arena.map(cpu, len) }
        });
        let Some(Iommu::Type1 { page, .. }) = &state.iommu else { return known };
        let page = *page;
        let ahead = address as u64 % page;
        let all = (len.max(1) as u64).checked_add(ahead)?.checked_next_multiple_of(page)?;
        if let Some(iova) = known {
            return Some(iova);
        }
        let start = cpu
            .map_addr(|address| core::num::NonZero::new(address.get() - ahead as usize).unwrap_or(address));
        // SAFETY: by contract the memory is there until `unmap`; whole pages are.
        match unsafe { self.0.show(&mut state, start, all, page) } {
            Ok(iova) => {
                state.foreign.insert(iova + ahead, Shown { start: iova, len: all });
                Some(iova + ahead)
            }
            Err(error) => {
                state.refusal = Some(error);
                None
            }
        }
    }

    fn unmap(&self, iova: u64, _: usize) {
        let mut state = self.0.state();
        if let Some(shown) = state.foreign.remove(&iova) {
            // If the kernel does not obey, the pages stay pinned and the addresses taken: nothing else gets either.
            self.0.hide(&mut state, shown.start, shown.len);
        }
    }
}
