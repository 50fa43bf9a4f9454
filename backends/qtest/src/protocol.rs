//! The qtest protocol: lines of text over two pipes, each command answered by one line.
//!
//! Writes are posted, as they are on PCIe: sent at once, and their answers read later. A read waits for its own answer,
//! which comes after those of all writes before it. QEMU writes its answers blocking, so no more than [`POSTED`] are
//! left unread. Lines about interrupt inputs come in between whenever they like.

use crate::error::Cause;
use crate::lines::Lines;
use core::fmt::{self, Write as _};
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;

/// Posted writes whose answers nobody has read yet, at most.
const POSTED: u32 = 256;
/// How long an answer may take. QEMU answers in microseconds; a busy machine may hold it up for a while.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Our end of the protocol.
#[derive(Debug)]
pub(crate) struct Qtest {
    input: ChildStdin,
    output: ChildStdout,
    received: Vec<u8>,
    taken: usize,
    line: String,
    posted: u32,
    broken: Option<Cause>,
    lines: Arc<Lines>,
    /// Commands sent, for whoever counts accesses.
    pub(crate) commands: u64,
}

impl Qtest {
    pub(crate) fn new(input: ChildStdin, output: ChildStdout, lines: Arc<Lines>) -> Self {
        Self {
            input,
            output,
            received: Vec::new(),
            taken: 0,
            line: String::new(),
            posted: 0,
            broken: None,
            lines,
            commands: 0,
        }
    }

    /// What broke the connection. It stays broken.
    pub(crate) fn broken(&self) -> Option<Cause> {
        self.broken
    }

    pub(crate) fn readl(&mut self, address: u64) -> Result<u32, Cause> {
        self.ask(format_args!("readl {address:#x}")).map(|value| value as u32)
    }

    pub(crate) fn readq(&mut self, address: u64) -> Result<u64, Cause> {
        self.ask(format_args!("readq {address:#x}"))
    }

    pub(crate) fn inl(&mut self, port: u16) -> Result<u32, Cause> {
        self.ask(format_args!("inl {port:#x}")).map(|value| value as u32)
    }

    pub(crate) fn writel(&mut self, address: u64, value: u32) -> Result<(), Cause> {
        self.post(format_args!("writel {address:#x} {value:#x}"))
    }

    pub(crate) fn writeq(&mut self, address: u64, value: u64) -> Result<(), Cause> {
        self.post(format_args!("writeq {address:#x} {value:#x}"))
    }

    pub(crate) fn outl(&mut self, port: u16, value: u32) -> Result<(), Cause> {
        self.post(format_args!("outl {port:#x} {value:#x}"))
    }

    /// Has the inputs of the interrupt controller reported to [`Lines`] from now on.
    pub(crate) fn watch_interrupt_lines(&mut self) -> Result<(), Cause> {
        self.post(format_args!("irq_intercept_in ioapic"))?;
        self.flush()
    }

    /// Waits until every posted write has been answered.
    pub(crate) fn flush(&mut self) -> Result<(), Cause> {
        while self.posted > 0 {
            self.answer()?;
        }
        Ok(())
    }

    /// Reads what is there without waiting: interrupt lines and answers of posted writes.
    pub(crate) fn drain(&mut self) -> Result<(), Cause> {
        while self.readable(Duration::ZERO)? {
            self.receive()?;
            while let Some(range) = self.next_line() {
                if !self.interrupt(range.clone()) {
                    self.settle(range)?;
                }
            }
        }
        Ok(())
    }

    /// The descriptor that is readable when [`drain`](Self::drain) has something to do.
    pub(crate) fn readable_end(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    fn post(&mut self, command: fmt::Arguments<'_>) -> Result<(), Cause> {
        self.send(command)?;
        if self.posted >= POSTED { self.flush() } else { Ok(()) }
    }

    fn ask(&mut self, command: fmt::Arguments<'_>) -> Result<u64, Cause> {
        self.send(command)?;
        while self.posted > 1 {
            self.answer()?;
        }
        self.answer()?.ok_or(Cause::Garbled).or_else(|cause| self.fail(cause))
    }

    fn send(&mut self, command: fmt::Arguments<'_>) -> Result<(), Cause> {
        if let Some(cause) = self.broken {
            return Err(cause);
        }
        self.line.clear();
        // Writing to a string cannot fail.
        let _ = writeln!(self.line, "{command}");
        match self.input.write_all(self.line.as_bytes()) {
            Ok(()) => {
                self.posted += 1;
                self.commands += 1;
                Ok(())
            }
            Err(error) => self.fail(cause(&error)),
        }
    }

    /// The next answer, and the number in it if it has one.
    fn answer(&mut self) -> Result<Option<u64>, Cause> {
        if let Some(cause) = self.broken {
            return Err(cause);
        }
        loop {
            match self.next_line() {
                Some(range) if self.interrupt(range.clone()) => {}
                Some(range) => return self.settle(range),
                None if self.readable(PATIENCE)? => self.receive()?,
                None => return self.fail(Cause::Silent),
            }
        }
    }

    fn settle(&mut self, range: core::ops::Range<usize>) -> Result<Option<u64>, Cause> {
        let text = core::str::from_utf8(&self.received[range]).unwrap_or_default();
        let mut words = text.split_whitespace();
        let ok = words.next() == Some("OK") && self.posted > 0;
        let number =
            words.next().and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
        if !ok {
            return self.fail(Cause::Garbled);
        }
        self.posted -= 1;
        Ok(number)
    }

    /// Takes a line about an interrupt input: `IRQ raise 22`.
    fn interrupt(&self, range: core::ops::Range<usize>) -> bool {
        let text = core::str::from_utf8(&self.received[range]).unwrap_or_default();
        let Some(text) = text.strip_prefix("IRQ ") else { return false };
        if let Some((verb, line)) = text.split_once(' ')
            && let Ok(line) = line.trim().parse()
        {
            self.lines.set(line, verb == "raise");
        }
        true
    }

    fn next_line(&mut self) -> Option<core::ops::Range<usize>> {
        let len = self.received[self.taken..].iter().position(|&byte| byte == b'\n')?;
        let start = self.taken;
        self.taken += len + 1;
        Some(start..start + len)
    }

    fn receive(&mut self) -> Result<(), Cause> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let old = self.received.len();
        self.received.resize(old + 8192, 0);
        let outcome = self.output.read(&mut self.received[old..]);
        self.received.truncate(old + outcome.as_ref().copied().unwrap_or(0));
        match outcome {
            Ok(0) => self.fail(Cause::Ended),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) => self.fail(cause(&error)),
        }
    }

    fn readable(&mut self, limit: Duration) -> Result<bool, Cause> {
        match crate::ready(&[self.output.as_fd()], limit) {
            Ok(ready) => Ok(ready),
            Err(error) => self.fail(Cause::Pipe(error.kind())),
        }
    }

    fn fail<T>(&mut self, cause: Cause) -> Result<T, Cause> {
        Err(*self.broken.get_or_insert(cause))
    }
}

fn cause(error: &std::io::Error) -> Cause {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => Cause::Ended,
        other => Cause::Pipe(other),
    }
}
