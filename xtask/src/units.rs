//! What the program brings for a host, judged by the programs that read it: the systemd unit by `systemd-analyze`, the udev rule
//! by `udevadm verify`, the user by `systemd-sysusers`, the manual pages by `groff`.
//!
//! The checkers are Debian's, unpacked into the cache and run with that folder as their root, so that they see neither this
//! machine's units nor its users. Each is first given something broken, to see that it would say so.

use crate::run::{self, Console, follow, quiet};
use crate::{Error, Result, While, apt::Apt, cache, metadata};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// `udevadm verify` came with systemd 254.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 3] = ["systemd", "udev", "groff-base"];
/// Counts changes of what the cached folder holds.
const LAYOUT: u32 = 1;
/// Tenths that `systemd-analyze security` may give the unit, of 100.
const EXPOSURE: u32 = 25;

const UNIT: &str = "igbctl-tap@.service";
const RULES: &str = "60-igbctl.rules";
const USERS: &str = "igbctl.sysusers.conf";

/// Checks all of it.
pub(crate) fn step(console: &mut Console) -> Result<()> {
    let checkers =
        Checkers { root: cache::entry(&format!("checkers/{LAYOUT}"), |folder| make(console, folder))? };
    let folder = checkers.root.join("check");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).during(|| format!("removing {}", folder.display()));
        }
        _ => fs::create_dir_all(&folder).during(|| format!("making {}", folder.display()))?,
    }
    let source = |name: &str| {
        let path = metadata::root().join("docs/units").join(name);
        fs::read_to_string(&path).during(|| format!("reading {}", path.display()))
    };

    let (unit, rules, users) = (source(UNIT)?, source(RULES)?, source(USERS)?);
    let threshold = format!("--threshold={EXPOSURE}");
    let verify = Checker { words: &["systemd-analyze", "verify", "--man=no"], silent: true };
    let security = Checker {
        words: &["systemd-analyze", "security", "--offline=true", "--no-pager", &threshold],
        silent: false,
    };
    let rule = Checker { words: &["udevadm", "verify", "--resolve-names=never"], silent: false };
    let user = Checker { words: &["systemd-sysusers", "--dry-run"], silent: false };
    let groff = Checker { words: &["groff", "-man", "-Tutf8", "-ww", "-z"], silent: true };
    // Without its walls the unit is too open.
    let open = unit.lines().filter(|line| !line.starts_with("Protect")).collect::<Vec<_>>().join("\n");
    for (checker, name, good, bad) in [
        (&verify, UNIT, &unit, unit.replace("ProtectSystem=strict", "ProtectSystem=perhaps")),
        (&security, UNIT, &unit, open),
        (&rule, RULES, &rules, rules.replace("SUBSYSTEM==", "SUBSYTEM==")),
        (&user, USERS, &users, users.replace("u igbctl", "x igbctl")),
    ] {
        checkers.finds(console, checker, name, &bad)?;
        checkers.accepts(console, checker, name, good)?;
    }
    let pages = pages(console)?;
    checkers.finds(console, &groff, "broken.1", ".TH BROKEN 1\n.SH NAME\n.nosuchrequest\n")?;
    for (name, text) in &pages {
        checkers.accepts(console, &groff, name, text)?;
    }
    println!("{UNIT}, {RULES}, {USERS} and {} manual pages", pages.len());
    Ok(())
}

/// The manual pages that the program writes: name and text of each.
fn pages(console: &mut Console) -> Result<Vec<(String, String)>> {
    let folder = metadata::root().join("target/xtask/man1");
    let _ = fs::remove_dir_all(&folder);
    let mut cargo = run::cargo();
    cargo.args(["run", "--quiet", "--package", "igbctl", "--", "man"]).arg(&folder);
    quiet(console, "writing manual pages", &mut cargo)?;
    let entries = fs::read_dir(&folder).during(|| format!("reading {}", folder.display()))?;
    let mut pages = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let text = fs::read_to_string(&path).during(|| format!("reading {}", path.display()))?;
        pages.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text));
    }
    pages.sort();
    if pages.is_empty() { Err(Error::Failed("igbctl man wrote no page".into())) } else { Ok(pages) }
}

fn make(console: &mut Console, folder: &Path) -> Result<()> {
    let apt = Apt::new(console, &folder.join("apt"), SUITE)?;
    let mut packages = Vec::new();
    for package in PACKAGES {
        packages.extend(apt.closure(console, package, None)?);
    }
    packages.sort();
    packages.dedup();
    for name in ["tmp", "run"] {
        fs::create_dir_all(folder.join(name)).during(|| format!("making {name}"))?;
    }
    for name in ["bin", "lib", "lib64", "sbin"] {
        let target = folder.join("usr").join(name);
        fs::create_dir_all(&target).during(|| format!("making {}", target.display()))?;
        symlink(format!("usr/{name}"), folder.join(name)).during(|| format!("linking {name}"))?;
    }
    apt.unpack(console, &packages, folder)?;
    // What the unit starts has to be a program; any will do.
    let program = folder.join("usr/bin/igbctl");
    symlink("systemd-analyze", &program).during(|| format!("linking {}", program.display()))?;
    let etc = folder.join("etc");
    fs::create_dir_all(&etc).during(|| format!("making {}", etc.display()))?;
    for (name, text) in [
        ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("group", "root:x:0:\n"),
        ("machine-id", "00000000000000000000000000000001\n"),
    ] {
        fs::write(etc.join(name), text).during(|| format!("writing {name}"))?;
    }
    let scrap = folder.join("apt");
    fs::remove_dir_all(&scrap).during(|| format!("removing {}", scrap.display()))
}

/// A program that checks files.
struct Checker<'a> {
    words: &'a [&'a str],
    /// It says nothing of a good file.
    silent: bool,
}

/// A folder with such programs.
struct Checkers {
    root: PathBuf,
}

impl Checkers {
    /// What the program said of the file, and whether it was content.
    fn run(
        &self,
        console: &mut Console,
        checker: &Checker<'_>,
        name: &str,
        text: &str,
    ) -> Result<(String, bool)> {
        let path = self.root.join("check").join(name);
        fs::write(&path, text).during(|| format!("writing {}", path.display()))?;
        // Whoever is not root may be it in a namespace of their own.
        let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let mut command = Command::new(if root { "chroot" } else { "unshare" });
        if !root {
            command.args(["--map-root-user", "chroot"]);
        }
        command.arg(&self.root).args(checker.words).arg(format!("/check/{name}"));
        command.env("PATH", "/usr/bin:/usr/sbin").env("LC_ALL", "C.UTF-8");
        let (said, success) = follow(console, &format!("checking {name}"), &mut command)?;
        let content = success && (!checker.silent || said.trim().is_empty());
        Ok((said, content))
    }

    /// The program is content with the file.
    fn accepts(&self, console: &mut Console, checker: &Checker<'_>, name: &str, text: &str) -> Result<()> {
        match self.run(console, checker, name, text)? {
            (_, true) => Ok(()),
            (said, false) => {
                Err(Error::Failed(format!("{} says of {name}:\n{said}", checker.words.join(" "))))
            }
        }
    }

    /// The program finds fault with a file that is broken: otherwise its content is worth nothing.
    fn finds(&self, console: &mut Console, checker: &Checker<'_>, name: &str, text: &str) -> Result<()> {
        match self.run(console, checker, name, text)? {
            (_, false) => Ok(()),
            _ => Err(Error::Failed(format!(
                "{} finds nothing wrong in a broken {name}",
                checker.words.join(" ")
            ))),
        }
    }
}
