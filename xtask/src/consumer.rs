//! The packages as a stranger gets them: packed, unpacked elsewhere, complete, and used by a crate that is no member
//! of the workspace and needs no standard library.

use crate::run::{self, Console};
use crate::{Error, Result, While, metadata};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the consumer depends on, and that depends on, and whether it has generated files.
const PACKAGES: [(&str, bool); 4] =
    [("igb-regs", true), ("igb-phy", true), ("igb-hal", false), ("igb-ring", true)];

/// What every package has.
const CONTENTS: [&str; 4] = ["README.md", "LICENSE-APACHE", "LICENSE-MIT", "src/lib.rs"];

/// Packs, unpacks, looks, builds and tests.
pub(crate) fn run(console: &mut Console) -> Result<()> {
    let folder = metadata::root().join("target/xtask/consumer");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).during(|| format!("removing {}", folder.display()));
        }
        _ => {}
    }
    let packages = folder.join("packages");
    fs::create_dir_all(&packages).during(|| format!("making {}", packages.display()))?;

    let mut cargo = run::cargo();
    cargo
        .args(["package", "--quiet", "--no-verify", "--allow-dirty", "--exclude-lockfile", "--target-dir"])
        .arg(&folder);
    for (name, _) in PACKAGES {
        cargo.args(["--package", name]);
    }
    run::quiet(console, "packing", &mut cargo)?;

    let version = env!("CARGO_PKG_VERSION");
    let mut patch = String::from("\n[patch.crates-io]\n");
    for (name, generated) in PACKAGES {
        let archive = folder.join(format!("package/{name}-{version}.crate"));
        let mut tar = Command::new("tar");
        run::quiet(console, "unpacking", tar.arg("-xzf").arg(&archive).arg("-C").arg(&packages))?;
        let place = packages.join(format!("{name}-{version}"));
        complete(name, &place, generated)?;
        let _ = writeln!(patch, "{name} = {{ path = {:?} }}", place.display().to_string());
    }

    let consumer = folder.join("consumer");
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("consumer");
    for file in ["src/lib.rs", "tests/echo.rs"] {
        write(&consumer.join(file), &read(&template.join(file))?)?;
    }
    write(&consumer.join("Cargo.toml"), &(read(&template.join("Cargo.toml"))? + &patch))?;
    // The versions of everything else are the ones that the workspace was tested with.
    write(&consumer.join("Cargo.lock"), &read(&metadata::root().join("Cargo.lock"))?)?;
    let mut cargo = run::cargo();
    cargo.current_dir(&consumer).args(["test", "--quiet"]).env("CARGO_TARGET_DIR", folder.join("target"));
    run::quiet(console, "building a consumer of the packages", &mut cargo)?;
    println!("packages of {version}: {}", PACKAGES.map(|(name, _)| name).join(" "));
    Ok(())
}

/// Whether what belongs into a package is there.
fn complete(name: &str, place: &Path, generated: bool) -> Result<()> {
    let mut missing: Vec<&str> = CONTENTS.into_iter().filter(|file| !place.join(file).is_file()).collect();
    if generated && !place.join("src/generated/mod.rs").is_file() {
        missing.push("src/generated/mod.rs");
    }
    if read(&place.join("Cargo.toml"))?.lines().all(|line| !line.starts_with("license = ")) {
        missing.push("license in Cargo.toml");
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::Failed(format!("the package of {name} lacks {}", missing.join(", "))))
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).during(|| format!("reading {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .during(|| format!("writing {}", path.display()))
}
