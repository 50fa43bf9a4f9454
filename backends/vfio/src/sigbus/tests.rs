//! Faults that are not ours go where they went before.
//!
//! Each case runs in a child: this test itself, told by the environment what to do.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};

static CALLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn with_info(_: i32, info: *mut libc::siginfo_t, _: *mut std::ffi::c_void) {
    // SAFETY: the kernel's.
    let said = unsafe { &*info };
    // SAFETY: of a fault.
    CALLED.store(unsafe { said.si_addr() }.addr(), Ordering::SeqCst);
    std::process::exit(if CALLED.load(Ordering::SeqCst) == 0 { 40 } else { 41 });
}

extern "C" fn plain(_: i32) {
    std::process::exit(42);
}

fn handle(function: usize, flags: i32) {
    // SAFETY: all zeros is an action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    (action.sa_sigaction, action.sa_flags) = (function, flags);
    // SAFETY: a complete action.
    assert_eq!(unsafe { libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) }, 0);
}

/// Faults on a mapping that is nobody's window.
fn stray_fault() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    // SAFETY: a new mapping.
    let map = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            4096,
            rustix::mm::ProtFlags::READ,
            rustix::mm::MapFlags::SHARED,
            &file,
            0,
        )
    };
    file.set_len(0).unwrap();
    // SAFETY: mapped; that it faults is the test.
    unsafe { map.unwrap().cast::<u32>().read_volatile() };
}

fn window() -> impl Sized {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    super::Window::map(&file, 0, 4096).unwrap()
}

fn child(case: &str) -> ExitStatus {
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(test);
    command
        .args(["--exact", "sigbus::tests::in_the_child", "--nocapture", "--test-threads=1"])
        .env("IGB_SIGBUS_CASE", case);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status().unwrap()
}

#[test]
fn in_the_child() {
    match std::env::var("IGB_SIGBUS_CASE").as_deref() {
        Ok("default") => {
            handle(libc::SIG_DFL, 0);
            let _window = window();
            stray_fault();
        }
        Ok("std") => {
            let _window = window();
            stray_fault();
        }
        Ok("info") => {
            handle(with_info as extern "C" fn(_, _, _) as usize, libc::SA_SIGINFO);
            let _window = window();
            stray_fault();
        }
        Ok("plain") => {
            handle(plain as extern "C" fn(_) as usize, 0);
            let _window = window();
            stray_fault();
        }
        Ok("sent") => {
            handle(libc::SIG_DFL, 0);
            let _window = window();
            // SAFETY: sends a signal.
            unsafe { libc::raise(libc::SIGBUS) };
        }
        Ok("ignored") => {
            handle(libc::SIG_IGN, 0);
            let _window = window();
            // SAFETY: sends a signal.
            unsafe { libc::raise(libc::SIGBUS) };
            std::process::exit(43);
        }
        _ => {}
    }
}

#[test]
fn by_default_a_stray_fault_ends_the_process() {
    assert_eq!(child("default").signal(), Some(libc::SIGBUS));
    assert_eq!(child("std").signal(), Some(libc::SIGBUS));
    assert_eq!(child("sent").signal(), Some(libc::SIGBUS));
}

#[test]
fn an_earlier_handler_is_called() {
    assert_eq!(child("info").code(), Some(41));
    assert_eq!(child("plain").code(), Some(42));
    assert_eq!(child("ignored").code(), Some(43));
}
