//! Runs programs: quiet while all is well, everything they said when not, and one moving line on a terminal.

use crate::{Error, Result, While};
use core::time::Duration;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

/// How long a line stays at least.
const REDRAW: Duration = Duration::from_millis(100);

/// Where progress is shown: a line that rewrites itself on a terminal, nothing in a pipe.
#[derive(Debug)]
pub(crate) struct Console {
    terminal: bool,
    shown: bool,
}

impl Console {
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: false }
    }

    /// Shows `text` as what is going on now.
    pub(crate) fn now(&mut self, text: &str) {
        if self.terminal {
            let text: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
            eprint!("\r\x1b[2K{text}");
            let _ = std::io::stderr().flush();
            self.shown = true;
        }
    }

    /// Takes the moving line away, so that lasting words can be written.
    pub(crate) fn clear(&mut self) {
        if core::mem::take(&mut self.shown) {
            eprint!("\r\x1b[2K");
        }
    }
}

/// Runs `command` to its end, shows its last line while it runs, and gives all that it wrote to both outputs, in
/// order. A failure carries the words that matter: all of them, if there are few.
pub(crate) fn quiet(console: &mut Console, title: &str, command: &mut Command) -> Result<String> {
    let (text, success) = follow(console, title, command)?;
    if success {
        Ok(text)
    } else {
        Err(Error::Failed(format!("{title} failed: {command:?}\n{}", tail(&text, 200))))
    }
}

/// Like [`quiet`], but a program that fails is an answer: what it wrote, and whether it succeeded.
pub(crate) fn follow(console: &mut Console, title: &str, command: &mut Command) -> Result<(String, bool)> {
    let starting = || format!("starting {:?}", command.get_program());
    let program = starting();
    let (reader, writer) = std::io::pipe().during(|| program.clone())?;
    let second = writer.try_clone().during(|| program.clone())?;
    command.env("TERM", "dumb").env("CARGO_TERM_COLOR", "never"); // no colours: the words may end in a file
    let mut child = match command.stdin(Stdio::null()).stdout(writer).stderr(second).spawn() {
        Ok(child) => child,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Missing(format!("{program}: it is not installed on this machine")));
        }
        Err(source) => return Err(Error::Io { what: program, source }),
    };
    // The command keeps our ends of the pipe: without this the reader would never see its end.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let (sender, lines) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    let (mut all, mut last) = (String::new(), String::new());
    let mut drawn = None::<Instant>;
    loop {
        match lines.recv_timeout(Duration::from_millis(500)) {
            Ok(line) => {
                if !line.trim().is_empty() {
                    last = line.trim().to_owned();
                }
                all.push_str(&line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if drawn.is_none_or(|drawn| drawn.elapsed() > REDRAW) {
            console.now(&format!("{title} {} s  {last}", started.elapsed().as_secs()));
            drawn = Some(Instant::now());
        }
    }
    let status = child.wait().during(|| program.clone())?;
    let _ = reading.join();
    console.clear();
    Ok((all, status.success()))
}

/// The last `lines` lines of `text`.
pub(crate) fn tail(text: &str, lines: usize) -> &str {
    let text = text.trim_end();
    text.rmatch_indices('\n').nth(lines.saturating_sub(1)).map_or(text, |(at, _)| &text[at + 1..])
}

/// `cargo` of the toolchain that runs us, at the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::metadata::root());
    command
}
