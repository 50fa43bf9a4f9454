//! Bare-metal builds: every no_std crate for two targets without an operating system.
//!
//! Such a build needs `core` and `alloc` for its target. Where the toolchain has them, good. Else they are built once
//! from Debian's `rust-src` of the very same compiler version and kept in the cache as a folder that `--sysroot`
//! takes; else `rustup` is asked to add the target to the toolchain.

use crate::run::{self, Console};
use crate::{Error, Result, While, apt::Apt, cache, metadata};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the crates are built for.
pub(crate) const TARGETS: [&str; 2] = ["x86_64-unknown-none", "aarch64-unknown-none"];
/// The releases whose `rust-src` is looked at.
const SUITES: &str = "trixie trixie-backports";

/// Builds every no_std crate for every target, once as it comes and once with all features that need no std.
pub(crate) fn build_all(console: &mut Console) -> Result<()> {
    let crates = metadata::no_std(console)?;
    if crates.is_empty() {
        return Err(Error::Failed("no crate of the workspace says no_std".into()));
    }
    for target in TARGETS {
        for features in [false, true] {
            let mut cargo = run::cargo();
            cargo.args(["build", "--target", target]);
            equip(console, target, &mut cargo)?;
            for one in &crates {
                cargo.args(["--package", &one.name]);
                for feature in one.features.iter().filter(|_| features) {
                    cargo.args(["--features", &format!("{}/{feature}", one.name)]);
                }
            }
            run::quiet(console, &format!("building for {target}"), &mut cargo)?;
        }
        let names: Vec<&str> = crates.iter().map(|one| one.name.as_str()).collect();
        println!("{target}: {}", names.join(" "));
    }
    Ok(())
}

/// Tells `cargo` where `core` and `alloc` for `target` are.
pub(crate) fn equip(console: &mut Console, target: &str, cargo: &mut Command) -> Result<()> {
    cargo.env_remove("RUSTFLAGS");
    if let Some(folder) = sysroot(console, target)? {
        let key = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
        let mut flags = OsString::from("--sysroot ");
        flags.push(folder);
        cargo.env(key, flags);
    }
    Ok(())
}

/// The folder that `--sysroot` must name for `target`; `None` where the toolchain has the target itself.
fn sysroot(console: &mut Console, target: &str) -> Result<Option<PathBuf>> {
    if has_core(&Toolchain::ask(&["--print", "target-libdir", "--target", target])?) {
        return Ok(None);
    }
    let toolchain = Toolchain::here()?;
    let name = format!("sysroot/{}-{target}", toolchain.version);
    match cache::entry(&name, |folder| build(console, &toolchain, target, folder)) {
        Ok(folder) => Ok(Some(folder)),
        Err(debian) => {
            let mut add = Command::new("rustup");
            add.args(["target", "add", target, "--toolchain"]).arg(&toolchain.root);
            match run::quiet(console, &format!("adding {target}"), &mut add) {
                Ok(_) => Ok(None),
                Err(_) => Err(Error::Missing(format!(
                    "no core library for {target}: add it to the toolchain (`rustup target add {target}`).\nBuilding it from \
                     Debian's rust-src failed: {debian}"
                ))),
            }
        }
    }
}

fn has_core(libdir: &str) -> bool {
    let core = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libcore-");
    fs::read_dir(libdir).is_ok_and(|entries| entries.flatten().any(core))
}

/// The compiler that builds the workspace.
#[derive(Debug)]
struct Toolchain {
    /// Its version, as Debian's source package counts: `1.95.0`.
    version: String,
    /// Its folder.
    root: PathBuf,
}

impl Toolchain {
    fn here() -> Result<Self> {
        let text = Self::ask(&["--version"])?;
        let version = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
        Ok(Self { version, root: Self::ask(&["--print", "sysroot"])?.into() })
    }

    fn ask(arguments: &[&str]) -> Result<String> {
        let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(program).args(arguments).current_dir(metadata::root()).output();
        let output = output.during(|| "asking rustc".into())?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Builds `core` and `alloc` for `target` into `folder`.
fn build(console: &mut Console, toolchain: &Toolchain, target: &str, folder: &Path) -> Result<()> {
    let source =
        cache::entry(&format!("rust-src/{}", toolchain.version), |folder| fetch(console, toolchain, folder))?;
    let work = folder.join("work");
    let rustc = dress(toolchain, &source, &work)?;
    let package = work.join("package");
    let write = |name: &str, text: &str| {
        let path = package.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&package))
            .and_then(|()| fs::write(&path, text))
            .during(|| format!("writing {}", path.display()))
    };
    let manifest = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[profile.release]\npanic = \"abort\"\ndebug = false\n[workspace]\n";
    write("Cargo.toml", manifest)?;
    write("src/lib.rs", "#![no_std]\n")?;
    let mut cargo = run::cargo();
    cargo
        .current_dir(&package)
        .args(["build", "--release", "-Zbuild-std=core,alloc", "--target", target])
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        // A user with fat LTO needs the bitcode.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", work.join("target"));
    run::quiet(console, &format!("building core for {target}"), &mut cargo)?;

    let made = work.join("target").join(target).join("release/deps");
    let place = folder.join("lib/rustlib").join(target).join("lib");
    fs::create_dir_all(&place).during(|| format!("making {}", place.display()))?;
    for entry in fs::read_dir(&made).during(|| format!("reading {}", made.display()))?.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let wanted =
            ["libcore-", "liballoc-", "libcompiler_builtins-"].iter().any(|prefix| text.starts_with(prefix));
        if wanted && text.ends_with(".rlib") {
            fs::copy(entry.path(), place.join(&name)).during(|| format!("copying {text}"))?;
        }
    }
    fs::remove_dir_all(&work).during(|| format!("removing {}", work.display()))?;
    if has_core(&place.to_string_lossy()) {
        Ok(())
    } else {
        Err(Error::Failed(format!("no core library came out for {target}")))
    }
}

/// The source of the standard library of this compiler, from Debian.
fn fetch(console: &mut Console, toolchain: &Toolchain, folder: &Path) -> Result<()> {
    let work = folder.join("apt");
    let apt = Apt::new(console, &work, SUITES)?;
    let prefix = format!("{}+", toolchain.version);
    let versions = apt.versions(console, "rust-src")?;
    let version = versions.iter().find(|version| version.starts_with(&prefix)).ok_or_else(|| {
        Error::Missing(format!(
            "Debian has rust-src {}, but not of rustc {}",
            versions.join(", "),
            toolchain.version
        ))
    })?;
    apt.unpack(console, &[format!("rust-src={version}")], &work.join("root"))?;
    let library = work.join("root/usr/src").join(format!("rustc-{}", toolchain.version)).join("library");
    fs::rename(&library, folder.join("library")).during(|| format!("looking for {}", library.display()))?;
    fs::remove_dir_all(&work).during(|| format!("removing {}", work.display()))
}

/// A second sysroot made of links to the first one, with the source where Cargo looks for it, and a compiler that
/// calls it its own.
fn dress(toolchain: &Toolchain, source: &Path, work: &Path) -> Result<PathBuf> {
    let own = work.join("sysroot");
    let link = |from: &Path, to: &Path| symlink(from, to).during(|| format!("linking {}", to.display()));
    let links = |folder: &str, except: &str| -> Result<()> {
        let from = toolchain.root.join(folder);
        fs::create_dir_all(own.join(folder)).during(|| format!("making {}", own.display()))?;
        for entry in fs::read_dir(&from).during(|| format!("reading {}", from.display()))?.flatten() {
            if entry.file_name() != except {
                link(&entry.path(), &own.join(folder).join(entry.file_name()))?;
            }
        }
        Ok(())
    };
    links("lib", "rustlib")?;
    links("lib/rustlib", "src")?;
    let src = own.join("lib/rustlib/src/rust");
    fs::create_dir_all(&src).during(|| format!("making {}", src.display()))?;
    link(&source.join("library"), &src.join("library"))?;
    link(&toolchain.root.join("bin"), &own.join("bin"))?;
    let rustc = work.join("rustc");
    let script = format!(
        "#!/bin/sh\nexec '{}/bin/rustc' --sysroot '{}' \"$@\"\n",
        toolchain.root.display(),
        own.display()
    );
    fs::write(&rustc, script)
        .and_then(|()| fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)))
        .during(|| format!("writing {}", rustc.display()))?;
    Ok(rustc)
}
