//! QEMU's monitor: one command, one answer, and events in between.

use crate::error::{Cause, Error, Excerpt, While};
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// How long the monitor may take.
const PATIENCE: core::time::Duration = crate::protocol::PATIENCE;

/// Our end of the monitor.
#[derive(Debug)]
pub(crate) struct Monitor {
    stream: BufReader<UnixStream>,
    events: VecDeque<Value>,
}

impl Monitor {
    /// Meets the monitor of a QEMU that is starting.
    pub(crate) fn new(stream: UnixStream) -> Result<Self, Error> {
        stream.set_read_timeout(Some(PATIENCE)).during("setting up the monitor")?;
        stream.set_write_timeout(Some(PATIENCE)).during("setting up the monitor")?;
        let mut monitor = Self { stream: BufReader::new(stream), events: VecDeque::new() };
        monitor.next()?; // the greeting
        monitor.run("qmp_capabilities", Value::Null)?;
        Ok(monitor)
    }

    /// Runs `command` and gives what it returned.
    pub(crate) fn run(&mut self, command: &str, arguments: Value) -> Result<Value, Error> {
        let mut request = serde_json::json!({ "execute": command });
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        let text = format!("{request}\n");
        self.stream.get_mut().write_all(text.as_bytes()).map_err(|error| broken(&error))?;
        loop {
            let mut answer = self.next()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(Error::Refused(Excerpt::new(error["desc"].as_str().unwrap_or(command))));
            }
            self.events.push_back(answer);
        }
    }

    /// Waits for the event `name`, one that came before included.
    pub(crate) fn event(&mut self, name: &'static str) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            while let Some(event) = self.events.pop_front() {
                if event["event"] == name {
                    return Ok(());
                }
            }
            if started.elapsed() > PATIENCE {
                return Err(Error::TimedOut(name, PATIENCE.as_millis() as u64));
            }
            let event = self.next()?;
            self.events.push_back(event);
        }
    }

    fn next(&mut self) -> Result<Value, Error> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err(Error::Broken(Cause::Ended)),
            Ok(_) => serde_json::from_str(&line).map_err(|_| Error::Broken(Cause::Garbled)),
            Err(error) => Err(broken(&error)),
        }
    }
}

fn broken(error: &std::io::Error) -> Error {
    Error::Broken(match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Cause::Silent,
        std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => Cause::Ended,
        other => Cause::Pipe(other),
    })
}
