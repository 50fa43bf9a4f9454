//! A QEMU for all that is emulated here: the one that is there, else Debian's newest, unpacked into the cache.
//!
//! Tests without a guest need its igb device; machines with a guest also need `vfio-user-pci`, the device whose other
//! end is our simulator. The newest version on offer is looked up when the cache has none.

use crate::run::Console;
use crate::{Error, Result, While, apt::Apt, cache, find};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The releases that the packages are taken from: the second one brings new versions of QEMU.
const SUITES: &str = "trixie trixie-backports";
/// The one that is preferred.
const NEWEST: &str = "trixie-backports";
/// The device that joins a machine to our simulator.
const JOINT: &str = "vfio-user-pci";

/// The path of a QEMU that will do, fetched if need be.
pub(crate) fn ready(fetch: bool) -> Result<PathBuf> {
    if !fetch {
        let found = find::qemu();
        // Somebody chose it; to run another one behind his back would help nobody.
        if let Some(chosen) = std::env::var_os(find::VARIABLE).filter(|chosen| !chosen.is_empty()) {
            let wrong = |error| {
                Error::Missing(format!("{}={}: {error}", find::VARIABLE, PathBuf::from(chosen).display()))
            };
            return found.map(|qemu| qemu.path).map_err(wrong);
        }
        if let Ok(qemu) = found
            && joins(&qemu.path)
        {
            return Ok(qemu.path);
        }
    }
    let entry = cache::entry(find::CACHED, install).map_err(|error| {
        Error::Missing(format!(
            "no QEMU with the devices igb and {JOINT}, and fetching one failed.\nInstall QEMU 10.1 or newer (package \
             qemu-system-x86) or set {} to its qemu-system-x86_64.\nWhat went wrong: {error}",
            find::VARIABLE
        ))
    })?;
    let path = entry.join(find::PROGRAM);
    find::check(&path).map_err(|error| {
        Error::Missing(format!("{}: {error}; delete {} and try again", path.display(), entry.display()))
    })?;
    Ok(path)
}

/// Whether it can join a machine to our simulator: QEMU 10.1 and newer can, if built so.
fn joins(qemu: &Path) -> bool {
    let said = Command::new(qemu).args(["-machine", "none", "-device", "help"]).stdin(Stdio::null()).output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(&format!("name \"{JOINT}\"")))
}

fn install(folder: &Path) -> Result<()> {
    let console = &mut Console::new();
    let work = folder.join("apt");
    let apt = Apt::new(console, &work, SUITES)?;
    let packages = apt.closure(console, "qemu-system-x86", Some(NEWEST))?;
    apt.unpack(console, &packages, &folder.join("root"))?;
    fs::remove_dir_all(&work).during(|| format!("removing {}", work.display()))?;
    let stamp = packages.join("\n") + "\n";
    fs::write(folder.join("packages"), stamp).during(|| "writing the list of packages".into())?;

    // Debian keeps the BIOS in a package, and folder, of its own. The binary needs the C library that it was linked with, hence that library's own loader.
    let (loader, libraries) = [
        ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
        ("usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
    ]
    .into_iter()
    .find(|(loader, _)| folder.join("root").join(loader).exists())
    .ok_or_else(|| {
        Error::Missing("fetched packages hold no loader for this machine's architecture".into())
    })?;
    let script = format!(
        "#!/bin/sh\nroot=$(dirname \"$(readlink -f \"$0\")\")/root\nexec \"$root/{loader}\" --library-path \"$root/{libraries}\" \
         \"$root/usr/bin/{}\" -L \"$root/usr/share/qemu\" -L \"$root/usr/share/seabios\" \"$@\"\n",
        find::PROGRAM
    );
    let path = folder.join(find::PROGRAM);
    fs::write(&path, script).during(|| format!("writing {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .during(|| format!("making {} executable", path.display()))
}
