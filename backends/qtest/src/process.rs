//! The QEMU process: started with everything as inherited descriptors, and gone when we are.

use crate::error::{Error, Excerpt, While};
use command_fds::{CommandFdExt, FdMapping};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{
    PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal, set_parent_process_death_signal,
};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

/// The process and the thread that is its parent.
///
/// Linux ends a child at the death of the *thread* that started it, so a thread of its own starts it and waits for it:
/// whoever made the machine may end before the machine does.
#[derive(Debug)]
pub(crate) struct Process {
    handle: OwnedFd,
    /// Its number, while it runs.
    pub(crate) id: u32,
    keeper: Option<JoinHandle<()>>,
    said: Mutex<File>,
}

/// A descriptor and the number that it has in the child.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) fd: OwnedFd,
    pub(crate) number: i32,
}

impl Process {
    /// Starts `program`. What it gets is closed here and open there, and nothing else is.
    pub(crate) fn start(
        program: &Path,
        arguments: Vec<OsString>,
        given: Vec<Given>,
    ) -> Result<(Self, ChildStdin, ChildStdout), Error> {
        let said =
            memfd_create("igb-qemu-said", MemfdFlags::CLOEXEC).during("making a place for QEMU's words")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C in a terminal is for us: the device is closed first, then QEMU goes.
        command.process_group(0);
        command.stderr(said.try_clone().during("making a place for QEMU's words")?);
        let mappings =
            given.into_iter().map(|Given { fd, number }| FdMapping { parent_fd: fd, child_fd: number });
        command
            .fd_mappings(mappings.collect())
            .map_err(|_| Error::Limit("two descriptors have one number in the child"))?;
        let parent = getpid();
        let die_with_us = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // We may have died just before; then nobody will ever end this child.
            if getppid() == Some(parent) { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
        };
        // SAFETY: runs after fork in the child; it makes two system calls and neither allocates nor locks.
        unsafe { command.pre_exec(die_with_us) };

        let (sender, started) = mpsc::channel();
        let keep = move || {
            let spawned = command.spawn();
            drop(command); // our copies of what the child was given
            let Some(mut child) = hand_over(spawned, &sender) else { return };
            drop(sender);
            let _ = child.wait();
        };
        let keeper =
            std::thread::Builder::new().name("qemu".into()).spawn(keep).during("starting a thread")?;
        let (handle, id, input, output) =
            started.recv().map_err(|_| Error::Limit("QEMU could not be started"))??;
        Ok((Self { handle, id, keeper: Some(keeper), said: Mutex::new(said.into()) }, input, output))
    }

    /// Ends the process at once. It is an error of nobody if it has ended.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&self) {
        // A pidfd becomes readable when the process ends, and it was told to.
        let _ = crate::ready(&[std::os::fd::AsFd::as_fd(&self.handle)], crate::protocol::PATIENCE);
    }

    /// Everything that it wrote to its standard error.
    pub(crate) fn said(&self) -> String {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        // The offset is shared with the child, which writes at its end: read from a file of our own.
        let own = std::fs::OpenOptions::new()
            .read(true)
            .open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&*said)));
        match own {
            Ok(mut own) => drop(own.read_to_end(&mut text)),
            Err(_) => drop(said.rewind().and_then(|()| said.read_to_end(&mut text))),
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// What it said last that is no mere remark.
    pub(crate) fn complaint(&self) -> Excerpt {
        let said = self.said();
        let remark =
            |line: &&str| line.contains("warning: ") || line.contains("is not connected") || line.is_empty();
        Excerpt::new(said.lines().rev().find(|line| !remark(line)).unwrap_or("it said nothing"))
    }
}

type Started = Result<(OwnedFd, u32, ChildStdin, ChildStdout), Error>;

/// Hands the child's ends to whoever waits for them; `None` if there is no child, or nobody waits.
fn hand_over(spawned: std::io::Result<Child>, sender: &mpsc::Sender<Started>) -> Option<Child> {
    let mut child = match spawned.during("starting QEMU") {
        Ok(child) => child,
        Err(error) => {
            let _ = sender.send(Err(error));
            return None;
        }
    };
    let ends = child.stdin.take().zip(child.stdout.take());
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let handle = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let ready =
        handle.zip(ends).ok_or(Error::Limit("this kernel has no pidfd: Linux 5.3 or newer is needed"));
    let failed = ready.is_err();
    let _ = sender.send(ready.map(|(handle, (input, output))| (handle, child.id(), input, output)));
    if failed {
        let _ = child.kill();
    }
    Some(child)
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}
