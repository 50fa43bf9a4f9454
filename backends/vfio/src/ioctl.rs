//! The kernel's VFIO calls, each as a function. Here the arguments are laid out; what they mean is for the callers.

use crate::address::Address;
use crate::error::Name;
use crate::sys;
use core::ffi::{c_int, c_void};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};

/// One call: its number, and an argument that is a value or points to something.
struct Call {
    number: Opcode,
    argument: *mut c_void,
}

// SAFETY: `output_from_ptr` reads nothing but the call's own answer; the argument is its maker's to answer for.
unsafe impl Ioctl for Call {
    type Output = i32;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.number
    }
    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }
    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> Result<i32> {
        Ok(answer)
    }
}

/// # Safety
/// The kernel reads and writes what this call reads and writes at a `T`.
unsafe fn with<T>(fd: impl AsFd, number: u32, argument: &mut T) -> Result<i32> {
    let call = Call { number: number as Opcode, argument: core::ptr::from_mut(argument).cast() };
    // SAFETY: by contract, and the reference is good for all of a `T`.
    unsafe { ioctl(fd, call) }
}

/// A call whose argument is a number, or none.
///
/// # Safety
/// This call takes no pointer.
unsafe fn plain(fd: impl AsFd, number: u32, argument: usize) -> Result<i32> {
    let call = Call { number: number as Opcode, argument: core::ptr::without_provenance_mut(argument) };
    // SAFETY: by contract.
    unsafe { ioctl(fd, call) }
}

/// A call whose argument is words, the first of which tells their size in bytes.
///
/// # Safety
/// As for [`with`], for `words` as a whole.
unsafe fn with_words(fd: impl AsFd, number: u32, words: &mut [u32]) -> Result<i32> {
    words[0] = size_of_val(words) as u32;
    let call = Call { number: number as Opcode, argument: words.as_mut_ptr().cast() };
    // SAFETY: by contract; the kernel goes as far as the size that we tell it.
    unsafe { ioctl(fd, call) }
}

fn argsz<T>() -> u32 {
    size_of::<T>() as u32
}

/// The version of the interface. There is only 0.
pub(crate) fn api_version(container: impl AsFd) -> Result<i32> {
    // SAFETY: no argument.
    unsafe { plain(container, sys::GET_API_VERSION, 0) }
}

/// Whether the kernel has an IOMMU interface of this kind.
pub(crate) fn has_extension(container: impl AsFd, kind: u32) -> bool {
    // SAFETY: a number.
    unsafe { plain(container, sys::CHECK_EXTENSION, kind as usize) }.is_ok_and(|has| has > 0)
}

/// Chooses the IOMMU interface of a container that has a group.
pub(crate) fn set_iommu(container: impl AsFd, kind: u32) -> Result<()> {
    // SAFETY: a number.
    unsafe { plain(container, sys::SET_IOMMU, kind as usize) }.map(drop)
}

/// Whether the kernel would hand the group out.
pub(crate) fn is_viable(group: impl AsFd) -> Result<bool> {
    let mut status = sys::vfio_group_status { argsz: argsz::<sys::vfio_group_status>(), flags: 0 };
    // SAFETY: takes this structure.
    unsafe { with(group, sys::GROUP_GET_STATUS, &mut status) }?;
    Ok(status.flags & sys::VFIO_GROUP_FLAGS_VIABLE != 0)
}

/// Puts a group into a container.
pub(crate) fn set_container(group: impl AsFd, container: impl AsFd) -> Result<()> {
    let mut fd: c_int = container.as_fd().as_raw_fd();
    // SAFETY: takes a pointer to a descriptor's number.
    unsafe { with(group, sys::GROUP_SET_CONTAINER, &mut fd) }.map(drop)
}

/// The file of a device of a group.
pub(crate) fn device(group: impl AsFd, address: Address) -> Result<OwnedFd> {
    let mut name = [0u8; 32];
    for (to, from) in name.iter_mut().zip(address.to_string().bytes().take(31)) {
        *to = from;
    }
    // SAFETY: takes a text that ends with a zero, as the array does.
    let fd = unsafe { with(group, sys::GROUP_GET_DEVICE_FD, &mut name) }?;
    // SAFETY: a descriptor that was made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What the device is and can do.
pub(crate) fn device_info(device: impl AsFd) -> Result<sys::vfio_device_info> {
    let mut info = sys::vfio_device_info { argsz: argsz::<sys::vfio_device_info>(), ..Default::default() };
    // SAFETY: takes this structure.
    unsafe { with(device, sys::DEVICE_GET_INFO, &mut info) }?;
    Ok(info)
}

/// Where in the device's file a BAR or configuration space is.
pub(crate) fn region_info(device: impl AsFd, index: u32) -> Result<sys::vfio_region_info> {
    let argsz = argsz::<sys::vfio_region_info>();
    let mut info = sys::vfio_region_info { argsz, index, ..Default::default() };
    // SAFETY: takes this structure; capabilities do not fit and are left out.
    unsafe { with(device, sys::DEVICE_GET_REGION_INFO, &mut info) }?;
    Ok(info)
}

/// How many interrupts of a kind there are.
pub(crate) fn irq_count(device: impl AsFd, index: u32) -> Result<u32> {
    let mut info = sys::vfio_irq_info { argsz: argsz::<sys::vfio_irq_info>(), index, ..Default::default() };
    // SAFETY: takes this structure.
    unsafe { with(device, sys::DEVICE_GET_IRQ_INFO, &mut info) }?;
    Ok(info.count)
}

const _: () = assert!(size_of::<sys::vfio_irq_set>() == 20);

/// Signals `events` from vector 0 on. More than 0: nothing was set, because there are only so many vectors.
pub(crate) fn set_events(device: impl AsFd, index: u32, events: &[BorrowedFd<'_>]) -> Result<u32> {
    let flags = sys::VFIO_IRQ_SET_DATA_EVENTFD | sys::VFIO_IRQ_SET_ACTION_TRIGGER;
    let mut words = vec![0, flags, index, 0, events.len() as u32];
    words.extend(events.iter().map(|event| event.as_raw_fd() as u32));
    // SAFETY: the five words of `vfio_irq_set`, and a descriptor for each of its count.
    unsafe { with_words(device, sys::DEVICE_SET_IRQS, &mut words) }.map(|few| few.max(0) as u32)
}

/// Takes all interrupts of a kind away.
pub(crate) fn clear_events(device: impl AsFd, index: u32) -> Result<()> {
    let flags = sys::VFIO_IRQ_SET_DATA_NONE | sys::VFIO_IRQ_SET_ACTION_TRIGGER;
    // SAFETY: the five words of `vfio_irq_set`, without data.
    unsafe { with_words(device, sys::DEVICE_SET_IRQS, &mut [0, flags, index, 0, 0]) }.map(drop)
}

/// Unmasks the line, which the kernel masks each time that it fires.
pub(crate) fn unmask_line(device: impl AsFd) -> Result<()> {
    let flags = sys::VFIO_IRQ_SET_DATA_NONE | sys::VFIO_IRQ_SET_ACTION_UNMASK;
    // SAFETY: the five words of `vfio_irq_set`, without data.
    unsafe { with_words(device, sys::DEVICE_SET_IRQS, &mut [0, flags, sys::VFIO_PCI_INTX_IRQ_INDEX, 0, 1]) }
        .map(drop)
}

/// Resets the function alone.
pub(crate) fn reset(device: impl AsFd) -> Result<()> {
    // SAFETY: no argument.
    unsafe { plain(device, sys::DEVICE_RESET, 0) }.map(drop)
}

const _: () = assert!(size_of::<sys::vfio_pci_hot_reset_info>() == 12);
const _: () = assert!(size_of::<sys::vfio_pci_dependent_device>() == 8);
const _: () = assert!(size_of::<sys::vfio_pci_hot_reset>() == 12);

/// Who is reset together with the device when its bus or slot is: functions and their groups.
pub(crate) fn hot_reset_dependents(device: impl AsFd) -> Result<Vec<(u32, Address)>> {
    let mut words = vec![0; 3];
    loop {
        // SAFETY: the three words of `vfio_pci_hot_reset_info`, and room for as many devices as its size tells.
        match unsafe { with_words(&device, sys::DEVICE_GET_PCI_HOT_RESET_INFO, &mut words) } {
            Err(Errno::NOSPC) if words[2] as usize > (words.len() - 3) / 2 && words[2] < 4096 => {
                let count = words[2] as usize;
                words.resize(3 + 2 * count, 0);
            }
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    let (devices, _) = words.get(3..).unwrap_or_default().as_chunks::<2>();
    Ok(devices.iter().take(words[2] as usize).map(dependent).collect())
}

/// `vfio_pci_dependent_device`: group, segment, bus, device and function.
fn dependent([group, place]: &[u32; 2]) -> (u32, Address) {
    let [a, b, bus, devfn] = place.to_ne_bytes();
    let segment = u16::from_ne_bytes([a, b]).into();
    (*group, Address { segment, bus, device: devfn >> 3, function: devfn & 7 })
}

/// Resets the device's bus or slot; `groups` are all that have a function there.
pub(crate) fn hot_reset(device: impl AsFd, groups: &[BorrowedFd<'_>]) -> Result<()> {
    let mut words = vec![0, 0, groups.len() as u32];
    words.extend(groups.iter().map(|group| group.as_raw_fd() as u32));
    // SAFETY: the three words of `vfio_pci_hot_reset`, and a descriptor for each of its count.
    unsafe { with_words(device, sys::DEVICE_PCI_HOT_RESET, &mut words) }.map(drop)
}

/// What the IOMMU admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IommuInfo {
    /// A bit for each size of page.
    pub(crate) page_sizes: u64,
    /// First and last address of each range. Empty where the kernel does not say.
    pub(crate) ranges: Vec<(u64, u64)>,
}

/// Asks the kernel of the IOMMU of a container.
pub(crate) fn iommu_info(container: impl AsFd) -> Result<IommuInfo> {
    let mut words = vec![0; size_of::<sys::vfio_iommu_type1_info>() / 4];
    loop {
        // SAFETY: the words of `vfio_iommu_type1_info` and room for its capabilities as its size tells.
        unsafe { with_words(&container, sys::IOMMU_GET_INFO, &mut words) }?;
        // The kernel writes the size that it wants.
        let want = words[0].div_ceil(4) as usize;
        if want <= words.len() || want > 1 << 16 {
            break;
        }
        words.resize(want, 0);
    }
    Ok(parse_iommu_info(&words))
}

/// `vfio_iommu_type1_info` and the chain of capabilities behind it. What does not fit is left out.
fn parse_iommu_info(words: &[u32]) -> IommuInfo {
    let word = |at: usize| words.get(at).copied();
    let long = |at: usize| {
        let [a, b] = [word(at)?.to_ne_bytes(), word(at + 1)?.to_ne_bytes()];
        Some(u64::from_ne_bytes([a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]))
    };
    let flags = word(1).unwrap_or(0);
    let page_sizes = if flags & sys::VFIO_IOMMU_INFO_PGSIZES != 0 { long(2) } else { None };
    let mut info = IommuInfo { page_sizes: page_sizes.unwrap_or(0), ranges: Vec::new() };
    let mut at = if flags & sys::VFIO_IOMMU_INFO_CAPS != 0 { word(4).unwrap_or(0) } else { 0 };
    // Each capability: ID and version, offset of the next, then its own. A chain that is a ring ends too.
    for _ in 0..32 {
        if at == 0 || !at.is_multiple_of(4) {
            break;
        }
        let here = at as usize / 4;
        let (Some(head), Some(next)) = (word(here), word(here + 1)) else { break };
        let [a, b, ..] = head.to_ne_bytes();
        if u32::from(u16::from_ne_bytes([a, b])) == sys::VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE {
            let count = word(here + 2).unwrap_or(0) as usize;
            let range = |n: usize| Some((long(here + 4 + 4 * n)?, long(here + 6 + 4 * n)?));
            info.ranges.extend((0..count).map_while(range));
        }
        at = next;
    }
    info
}

/// Lets every device of the container read and write memory at `iova`, and pins it.
///
/// # Safety
/// `len` bytes at `cpu` are mapped until [`unmap`], and whoever uses them bears with devices that write there.
pub(crate) unsafe fn map(container: impl AsFd, cpu: *mut c_void, iova: u64, len: u64) -> Result<()> {
    let mut map = sys::vfio_iommu_type1_dma_map {
        argsz: argsz::<sys::vfio_iommu_type1_dma_map>(),
        flags: sys::VFIO_DMA_MAP_FLAG_READ | sys::VFIO_DMA_MAP_FLAG_WRITE,
        vaddr: cpu.expose_provenance() as u64,
        iova,
        size: len,
    };
    // SAFETY: takes this structure; the memory is as the contract says.
    unsafe { with(container, sys::IOMMU_MAP_DMA, &mut map) }.map(drop)
}

/// Takes it away again: from then on no device reaches it. `false` if the kernel did not.
pub(crate) fn unmap(container: impl AsFd, iova: u64, len: u64) -> bool {
    let mut unmap = sys::vfio_iommu_type1_dma_unmap {
        argsz: size_of::<sys::vfio_iommu_type1_dma_unmap>() as u32,
        iova,
        size: len,
        ..Default::default()
    };
    // SAFETY: takes this structure, without data.
    let done = unsafe { with(container, sys::IOMMU_UNMAP_DMA, &mut unmap) };
    done.is_ok() && unmap.size == len
}

/// Whether an interface has an IPv4 address.
pub(crate) fn has_ipv4_address(interface: Name) -> bool {
    const SIOCGIFADDR: u32 = 0x8915; // linux/sockios.h
    use rustix::net::{AddressFamily, SocketType, socket};
    let Ok(socket) = socket(AddressFamily::INET, SocketType::DGRAM, None) else { return false };
    // `struct ifreq`: a name of 16 bytes, then 24 for the answer.
    let mut request = [0u64; 5];
    let name = interface.as_str().as_bytes();
    for (n, byte) in name.iter().enumerate().take(15) {
        request[n / 8] |= u64::from_ne_bytes({
            let mut word = [0; 8];
            word[n % 8] = *byte;
            word
        });
    }
    // SAFETY: takes an `ifreq`, which is 40 bytes.
    unsafe { with(socket, SIOCGIFADDR, &mut request) }.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(value: u64) -> [u32; 2] {
        let b = value.to_ne_bytes();
        [u32::from_ne_bytes([b[0], b[1], b[2], b[3]]), u32::from_ne_bytes([b[4], b[5], b[6], b[7]])]
    }

    fn head(id: u16) -> u32 {
        let [a, b] = id.to_ne_bytes();
        let [c, d] = 1u16.to_ne_bytes();
        u32::from_ne_bytes([a, b, c, d])
    }

    /// What a guest's kernel with Intel's IOMMU answers: two ranges, then the number of mappings that are left.
    fn answer() -> Vec<u32> {
        let mut words = vec![0, 3];
        words.extend(long(0x4020_1000));
        words.extend([24, 0]);
        words.extend([head(1), 72, 2, 0]);
        for value in [0, 0xfedf_ffff, 0xfef0_0000, 0xffff_ffff_ffff] {
            words.extend(long(value));
        }
        words.extend([head(3), 0, 65535]);
        words
    }

    #[test]
    fn the_ranges_of_an_iommu() {
        let info = parse_iommu_info(&answer());
        assert_eq!(info.page_sizes, 0x4020_1000);
        assert_eq!(info.ranges, [(0, 0xfedf_ffff), (0xfef0_0000, 0xffff_ffff_ffff)]);
    }

    #[test]
    fn a_cut_or_circular_chain_ends() {
        let all = answer();
        for len in 0..all.len() {
            assert!(parse_iommu_info(&all[..len]).ranges.len() <= 2);
        }
        let mut ring = all.clone();
        ring[7] = 24;
        assert!(parse_iommu_info(&ring).ranges.len() <= 64);
        let mut many = all;
        many[8] = u32::MAX;
        assert!(parse_iommu_info(&many).ranges.len() < 8);
    }

    #[test]
    fn dependents_are_taken_apart() {
        let place = u32::from_ne_bytes({
            let [a, b] = 2u16.to_ne_bytes();
            [a, b, 0x3b, 0x1f << 3 | 5]
        });
        let (group, address) = dependent(&[9, place]);
        assert_eq!((group, address.to_string().as_str()), (9, "0002:3b:1f.5"));
    }

    #[test]
    fn the_loopback_has_an_address_and_nonsense_has_none() {
        assert!(!has_ipv4_address(Name::new("no-such-if")));
        assert!(!has_ipv4_address(Name::new(&"x".repeat(40))));
    }
}
