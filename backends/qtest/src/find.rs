//! Where QEMU is: the one that was chosen, the one on the path, or the one that `cargo xtask qemu` fetched.
//!
//! This file knows only the standard library and `thiserror`; xtask includes it as it is, to look in the same places.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The environment variable that names a QEMU; no other is tried when it is set.
pub const VARIABLE: &str = "IGB_QEMU";
/// The program's name.
pub const PROGRAM: &str = "qemu-system-x86_64";
/// The oldest major version whose igb device is known to do all that is asked of it.
pub const OLDEST: u32 = 10;
/// The fetched copy's folder in the [`cache`]; the number counts changes of its layout.
pub const CACHED: &str = "qemu/2";

/// A QEMU that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// The program.
    pub path: PathBuf,
    /// Major and minor version.
    pub version: (u32, u32),
}

/// Why there is no QEMU to run.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoQemu {
    /// None anywhere.
    #[error(
        "no {PROGRAM} was found: run `cargo xtask qemu`, install QEMU {OLDEST} or newer (package qemu-system-x86), or set {VARIABLE}"
    )]
    Missing,
    /// What was found does not start, or does not say which version it is.
    #[error("{PROGRAM} does not run: repair it, or unset {VARIABLE} and run `cargo xtask qemu`")]
    NotRunnable,
    /// Its igb device is too old, or it has none yet.
    #[error(
        "QEMU {0}.{1} is too old, its igb device is not what we need: run `cargo xtask qemu`, or install QEMU {OLDEST} or newer"
    )]
    TooOld(u32, u32),
    /// It was built without the device.
    #[error(
        "this {PROGRAM} was built without the igb device: run `cargo xtask qemu`, or install QEMU {OLDEST} or newer with it"
    )]
    NoIgb,
}

/// The same text: a test that unwraps this tells what to do as well.
impl core::fmt::Debug for NoQemu {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

/// The folder where this project keeps what it fetched for this user. `None` without `XDG_CACHE_HOME` and `HOME`.
pub fn cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?.join("igb-rs"))
}

/// Finds a QEMU that will do.
///
/// # Errors
/// [`NoQemu`]: what to do about it stands in its text.
pub fn qemu() -> Result<Qemu, NoQemu> {
    if let Some(chosen) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return check(Path::new(&chosen));
    }
    let mut reason = NoQemu::Missing;
    for path in on_path().into_iter().chain(cache().map(|cache| cache.join(CACHED).join(PROGRAM))) {
        match check(&path) {
            Ok(qemu) => return Ok(qemu),
            Err(NoQemu::Missing) => {}
            Err(other) => reason = other,
        }
    }
    Err(reason)
}

fn on_path() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file())
}

/// Asks the program at `path` whether it will do.
///
/// # Errors
/// [`NoQemu`], of this one program.
pub fn check(path: &Path) -> Result<Qemu, NoQemu> {
    let version = parse(&said(path, &["--version"])?).ok_or(NoQemu::NotRunnable)?;
    if version.0 < OLDEST {
        return Err(NoQemu::TooOld(version.0, version.1));
    }
    if !said(path, &["-machine", "none", "-device", "help"])?.contains("name \"igb\"") {
        return Err(NoQemu::NoIgb);
    }
    Ok(Qemu { path: path.to_owned(), version })
}

fn said(path: &Path, arguments: &[&str]) -> Result<String, NoQemu> {
    match Command::new(path).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(NoQemu::Missing),
        Err(_) => Err(NoQemu::NotRunnable),
    }
}

/// `QEMU emulator version 10.0.2 (…)`.
fn parse(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split("version ").nth(1)?.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_qemu_says() {
        assert_eq!(parse("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright"), Some((10, 0)));
        assert_eq!(parse("QEMU emulator version 7.2.17"), Some((7, 2)));
        assert_eq!(parse("sh: syntax error"), None);
    }

    #[test]
    fn programs_that_will_not_do_have_names() {
        assert_eq!(check(Path::new("/nonexistent/qemu")), Err(NoQemu::Missing));
        assert_eq!(check(Path::new("/bin/true")), Err(NoQemu::NotRunnable));
    }
}
