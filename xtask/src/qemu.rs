//! A QEMU that has the igb device: the one that is there, else Debian's, unpacked into the cache.

use crate::run::Console;
use crate::{Error, Result, While, apt::Apt, cache, find};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The release that the packages are taken from, the first with QEMU 10.
const SUITE: &str = "trixie";

/// The path of a QEMU that will do, fetched if need be.
pub(crate) fn ready(fetch: bool) -> Result<PathBuf> {
    if !fetch {
        match find::qemu() {
            Ok(qemu) => return Ok(qemu.path),
            // Somebody chose it; to run another one behind his back would help nobody.
            Err(error) => {
                if let Some(chosen) = std::env::var_os(find::VARIABLE).filter(|chosen| !chosen.is_empty()) {
                    let chosen = PathBuf::from(chosen);
                    return Err(Error::Missing(format!("{}={}: {error}", find::VARIABLE, chosen.display())));
                }
            }
        }
    }
    let entry = cache::entry(find::CACHED, install).map_err(|error| {
        Error::Missing(format!(
            "no QEMU with the igb device, and fetching one failed.\nInstall QEMU {} or newer (package qemu-system-x86) or set \
             {} to its qemu-system-x86_64.\nWhat went wrong: {error}",
            find::OLDEST,
            find::VARIABLE
        ))
    })?;
    let path = entry.join(find::PROGRAM);
    find::check(&path).map_err(|error| {
        Error::Missing(format!("{}: {error}; delete {} and try again", path.display(), entry.display()))
    })?;
    Ok(path)
}

/// The BIOS of a QEMU that was fetched: it lies beside it, in a folder that it does not look into by itself. A device
/// without a guest needs none.
pub(crate) fn firmware(qemu: &Path) -> Option<PathBuf> {
    qemu.parent().map(|folder| folder.join("root/usr/share/seabios")).filter(|folder| folder.is_dir())
}

fn install(folder: &Path) -> Result<()> {
    let console = &mut Console::new();
    let work = folder.join("apt");
    let apt = Apt::new(console, &work, SUITE)?;
    let packages = apt.closure(console, "qemu-system-x86")?;
    apt.unpack(console, &packages, &folder.join("root"))?;
    fs::remove_dir_all(&work).during(|| format!("removing {}", work.display()))?;
    let stamp = packages.join("\n") + "\n";
    fs::write(folder.join("packages"), stamp).during(|| "writing the list of packages".into())?;

    // The binary needs the C library that it was linked with, hence that library's own loader.
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
         \"$root/usr/bin/{}\" -L \"$root/usr/share/qemu\" \"$@\"\n",
        find::PROGRAM
    );
    let path = folder.join(find::PROGRAM);
    fs::write(&path, script).during(|| format!("writing {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .during(|| format!("making {} executable", path.display()))
}
