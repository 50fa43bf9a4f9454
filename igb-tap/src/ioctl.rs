//! The ioctls of `/dev/net/tun`, each as a function. Here the arguments are laid out; what they mean is for the callers.
#![allow(unsafe_code)]

use crate::name::Name;
use core::ffi::{c_int, c_void};
use rustix::fd::{AsFd, FromRawFd, OwnedFd};
use rustix::io::Result;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};

/// One call: its number, and an argument that is a value or points to something.
struct Call {
    number: Opcode,
    argument: *mut c_void,
}

// SAFETY: `output_from_ptr` reads nothing but the call's own answer; the argument is its maker's to answer for.
unsafe impl Ioctl for Call {
    type Output = c_int;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.number
    }
    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }
    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> Result<c_int> {
        Ok(answer)
    }
}

/// `struct ifreq` as far as these calls use it: a name and flags. The kernel reads and writes at most all of its 40 bytes.
#[repr(C, align(8))]
struct Request {
    name: [u8; Name::ROOM],
    flags: u16,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<Request>() == 40 && size_of::<libc::ifreq>() <= 40);

/// # Safety
/// The kernel reads and writes what this call reads and writes at a `T`.
unsafe fn with<T>(file: impl AsFd, number: libc::Ioctl, argument: &mut T) -> Result<c_int> {
    let call = Call { number: number as Opcode, argument: core::ptr::from_mut(argument).cast() };
    // SAFETY: by contract, and the reference is good for all of a `T`.
    unsafe { ioctl(file, call) }
}

/// # Safety
/// This call takes no pointer.
unsafe fn plain(file: impl AsFd, number: libc::Ioctl, argument: usize) -> Result<c_int> {
    let call = Call { number: number as Opcode, argument: core::ptr::without_provenance_mut(argument) };
    // SAFETY: by contract.
    unsafe { ioctl(file, call) }
}

/// TUNSETIFF: makes the interface, or becomes one more queue of it. Gives the name that it got.
pub(crate) fn set_interface(file: impl AsFd, name: Name, flags: c_int) -> Result<Name> {
    let mut request = Request { name: name.bytes(), flags: flags as u16, rest: [0; 22] };
    // SAFETY: the call reads and writes a `struct ifreq`.
    unsafe { with(file, libc::TUNSETIFF, &mut request)? };
    Ok(Name::from_kernel(&request.name))
}

/// TUNGETIFF: the name that the interface has now.
pub(crate) fn interface(file: impl AsFd) -> Result<Name> {
    let mut request = Request { name: [0; Name::ROOM], flags: 0, rest: [0; 22] };
    // SAFETY: the call writes a `struct ifreq`.
    unsafe { with(file, libc::TUNGETIFF, &mut request)? };
    Ok(Name::from_kernel(&request.name))
}

/// TUNSETPERSIST: whether the interface outlives its files.
pub(crate) fn set_persist(file: impl AsFd, on: bool) -> Result<()> {
    // SAFETY: the argument is a number.
    unsafe { plain(file, libc::TUNSETPERSIST, on.into()) }.map(drop)
}

/// TUNSETOFFLOAD: what of a frame may be left undone when it is read.
pub(crate) fn set_offload(file: impl AsFd, features: u32) -> Result<()> {
    // SAFETY: the argument is a number.
    unsafe { plain(file, libc::TUNSETOFFLOAD, features as usize) }.map(drop)
}

/// TUNSETVNETHDRSZ: bytes of the header before each frame.
pub(crate) fn set_header_size(file: impl AsFd, bytes: c_int) -> Result<()> {
    let mut bytes = bytes;
    // SAFETY: the call reads an int.
    unsafe { with(file, libc::TUNSETVNETHDRSZ, &mut bytes) }.map(drop)
}

/// TUNSETCARRIER: whether there is a link.
pub(crate) fn set_carrier(file: impl AsFd, on: bool) -> Result<()> {
    let mut carrier = c_int::from(on);
    // SAFETY: the call reads an int.
    unsafe { with(file, libc::TUNSETCARRIER, &mut carrier) }.map(drop)
}

/// TUNGETDEVNETNS: the network namespace that the interface is in.
pub(crate) fn namespace(file: impl AsFd) -> Result<OwnedFd> {
    // SAFETY: the call takes no argument.
    let number = unsafe { plain(file, libc::TUNGETDEVNETNS, 0)? };
    // SAFETY: the kernel made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
