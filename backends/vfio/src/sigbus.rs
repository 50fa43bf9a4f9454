//! A fault on a mapped BAR becomes all ones. vfio-pci raises SIGBUS where memory decoding is off or the device is gone;
//! without this the process would die.
//!
//! One handler for the process, installed with the first window and never taken out. It looks the address up among the
//! registered [`Window`]s. For one of them it marks the window as gone, lays anonymous memory over all of it and
//! returns: the access that faulted runs again and finds memory. Whoever reads registers looks at the mark after each
//! read ([`Window::is_gone`]) and answers all ones; what is written goes nowhere. Any other fault goes to whoever handled
//! SIGBUS before.
//!
//! Why the handler may do that: it runs in the thread that faulted, at a `mov` of ours, so no lock of this process is in
//! its way; all it does is to load and store atomics in memory that is never freed, and one `mmap` system call, made
//! directly and not through the C library, so that `errno` stays as it was. It neither allocates nor locks, and never
//! jumps out. The order is mark, then memory: a thread that reads the new memory sees the mark.
//!
//! What it cannot do: stay in place when somebody installs a handler later without calling ours.

use crate::error::{Error, While};
use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use rustix::fd::AsFd;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::sync::Mutex;

/// A mapping in which a fault means that the device is gone.
///
/// Invariant: `base` is a mapping of `len` bytes, readable and writable, of the device or of anonymous memory, until this
/// value is dropped; `slot` says so, and is no other window's.
#[derive(Debug)]
pub(crate) struct Window {
    base: NonNull<c_void>,
    len: usize,
    slot: &'static Slot,
}
// SAFETY: an address that nothing here follows; accesses of registers have their own argument. The slot is atomics.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

/// What the handler sees of a window. Slots are never freed: a window that ends leaves its slot to the next.
#[derive(Debug)]
pub(crate) struct Slot {
    start: AtomicUsize,
    /// 0: the slot is free. Written last when a window begins and first when it ends.
    len: AtomicUsize,
    gone: AtomicBool,
    next: AtomicPtr<Self>,
}

static SLOTS: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());
/// Held by those who begin windows; the handler does not look at it.
static BEGINNING: Mutex<()> = Mutex::new(());
/// What handled SIGBUS before. Leaked, so that the handler can read it at any time.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

impl Slot {
    /// All slots.
    fn all() -> impl Iterator<Item = &'static Self> {
        // SAFETY: slots are leaked, and reached only after they were written (release, acquire).
        let at = |link: &AtomicPtr<Self>| unsafe { link.load(Acquire).as_ref() };
        core::iter::successors(at(&SLOTS), move |slot| at(&slot.next))
    }

    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Acquire)
    }

    /// Marks the window as gone and lays anonymous memory over it.
    fn replace(&self, start: usize, len: usize) -> bool {
        self.gone.store(true, SeqCst);
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: by `Window`'s invariant these pages are its mapping and nobody's Rust memory: registers are reached
        // by `mov` through raw pointers only.
        unsafe { mmap_anonymous(ptr::with_exposed_provenance_mut(start), len, protection, flags) }.is_ok()
    }
}

impl Window {
    /// Maps `len` bytes of a device's file.
    pub(crate) fn map(fd: impl AsFd, offset: u64, len: usize) -> Result<Self, Error> {
        install()?;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing else is there.
        let base = unsafe {
            mmap(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, offset)
        };
        let base = base.during("mapping BAR 0")?;
        let base = NonNull::new(base).ok_or(Error::NoMemory(len as u64))?;
        let _one = BEGINNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let slot = Slot::all().find(|slot| slot.len.load(Acquire) == 0).unwrap_or_else(|| {
            let slot = Box::leak(Box::new(Slot {
                start: AtomicUsize::new(0),
                len: AtomicUsize::new(0),
                gone: AtomicBool::new(false),
                next: AtomicPtr::new(SLOTS.load(Relaxed)),
            }));
            SLOTS.store(slot, Release);
            slot
        });
        slot.gone.store(false, Relaxed);
        slot.start.store(base.as_ptr().expose_provenance(), Relaxed);
        slot.len.store(len, Release);
        Ok(Self { base, len, slot })
    }

    pub(crate) fn base(&self) -> NonNull<u32> {
        self.base.cast()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What outlives the window and tells whether it is gone.
    pub(crate) fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// Acts as a fault would: from now on all accesses meet memory, and the device's file is not held any more.
    pub(crate) fn revoke(&self) {
        self.slot.replace(self.base.as_ptr().addr(), self.len);
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.slot.len.store(0, Release);
        // SAFETY: mapped in `map`; whoever has its address holds this value.
        let _ = unsafe { munmap(self.base.as_ptr(), self.len) };
    }
}

/// Puts the handler in place, once.
fn install() -> Result<(), Error> {
    let _one = BEGINNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !PREVIOUS.load(Acquire).is_null() {
        return Ok(());
    }
    // SAFETY: all zeros is a `sigaction`: no handler, no flags, an empty mask.
    let (mut previous, mut ours): (libc::sigaction, libc::sigaction) = unsafe { core::mem::zeroed() };
    // Asked for before ours is there: the handler must find it at its first call.
    // SAFETY: reads the present action into a place for one.
    if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &mut previous) } != 0 {
        return Err(std::io::Error::last_os_error()).during("reading the handler of SIGBUS");
    }
    PREVIOUS.store(Box::leak(Box::new(previous)), Release);
    ours.sa_sigaction = handler as extern "C" fn(_, _, _) as usize;
    // ONSTACK: like the standard library's handler, which may be the one before ours. NODEFER is not set: a fault inside
    // the handler ends the process, as it should.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: a complete action, whose function has the signature that SA_SIGINFO asks for.
    if unsafe { libc::sigaction(libc::SIGBUS, &ours, ptr::null_mut()) } != 0 {
        return Err(std::io::Error::last_os_error()).during("handling SIGBUS");
    }
    Ok(())
}

/// See the module's page for why this may run where it does.
extern "C" fn handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid siginfo to a SA_SIGINFO handler.
    let said = unsafe { &*info };
    let code = said.si_code;
    // Above 0 the kernel says so, of an access; at or below it a process does, and there is no address.
    if code > 0 {
        // SAFETY: for a fault the address is there.
        let address = unsafe { said.si_addr() }.addr();
        for slot in Slot::all() {
            let len = slot.len.load(Acquire);
            let start = slot.start.load(Relaxed);
            // If no memory can be laid there, the fault would come again for ever: then it is not ours.
            if address.wrapping_sub(start) < len && slot.replace(start, len) {
                return;
            }
        }
    }
    // SAFETY: `install` stored it before this handler was in place, and it is never freed.
    let Some(previous) = (unsafe { PREVIOUS.load(Acquire).as_ref() }) else { return };
    match previous.sa_sigaction {
        libc::SIG_IGN if code <= 0 => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // As if we were not here: the fault comes again, or the signal is sent again, and ends the process.
            // SAFETY: all zeros is the default action.
            let default: libc::sigaction = unsafe { core::mem::zeroed() };
            // SAFETY: a complete action; `sigaction` and `raise` are async-signal-safe.
            unsafe { libc::sigaction(signal, &default, ptr::null_mut()) };
            if code <= 0 {
                // SAFETY: sends a signal; it arrives when this handler returns.
                unsafe { libc::raise(signal) };
            }
        }
        address if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: somebody installed this address as a function of this signature.
            let call = unsafe {
                core::mem::transmute::<usize, extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(
                    address,
                )
            };
            call(signal, info, context);
        }
        address => {
            // SAFETY: as above, of the signature without SA_SIGINFO.
            let call = unsafe { core::mem::transmute::<usize, extern "C" fn(c_int)>(address) };
            call(signal);
        }
    }
}

#[cfg(test)]
mod tests;
