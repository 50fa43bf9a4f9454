//! Debian packages of another release, fetched and unpacked beside the system and never installed on it.
//!
//! apt gets its own lists, its own cache and an empty record of installed packages, so it needs no root and touches
//! nothing of the machine. Where packages come from is the machine's own first source with the release replaced.

use crate::run::{Console, quiet};
use crate::{Error, Result, While};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An apt of our own in a folder.
#[derive(Debug)]
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Sets one up in `folder` for `suites`, and reads their lists.
    pub(crate) fn new(console: &mut Console, folder: &Path, suites: &str) -> Result<Self> {
        Self::of(console, folder, suites, "deb")
    }

    /// The same for source packages.
    pub(crate) fn of_sources(console: &mut Console, folder: &Path, suites: &str) -> Result<Self> {
        Self::of(console, folder, suites, "deb-src")
    }

    fn of(console: &mut Console, folder: &Path, suites: &str, kind: &str) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial", "parts", "debs"] {
            fs::create_dir_all(folder.join(name)).during(|| format!("making {}", folder.display()))?;
        }
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).during(|| format!("writing {name} in {}", folder.display()))
        };
        write("status", "")?;
        let (name, text) = sources(Path::new("/etc/apt"), suites, kind)?;
        write(&format!("parts/{name}"), &text)?;
        let apt = Self { folder: folder.to_owned() };
        quiet(console, "reading package lists", apt.command("apt-get").args(["-qq", "update"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new(program);
        command.env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
        for (key, value) in [
            ("APT::Sandbox::User", "root".to_owned()),
            ("Dir::Etc::sourcelist", "/dev/null".into()),
            ("Dir::Etc::sourceparts", at("parts")),
            ("Dir::State::status", at("status")),
            ("Dir::State::lists", at("lists")),
            ("Dir::Cache", at("cache")),
        ] {
            command.arg("-o").arg(format!("{key}={value}"));
        }
        command
    }

    /// `package` and all that it needs, as `name=version`; taken from `release` where that has it.
    pub(crate) fn closure(
        &self,
        console: &mut Console,
        package: &str,
        release: Option<&str>,
    ) -> Result<Vec<String>> {
        let mut command = self.command("apt-get");
        command.args(["-s", "install", "--no-install-recommends", package]);
        if let Some(release) = release {
            command.args(["-t", release]);
        }
        let text = quiet(console, "resolving packages", &mut command)?;
        let list: Vec<String> = text.lines().filter_map(installed).collect();
        if list.is_empty() {
            return Err(Error::Missing(format!("apt knows no package {package} for this machine")));
        }
        Ok(list)
    }

    /// The versions of `package` on offer.
    pub(crate) fn versions(&self, console: &mut Console, package: &str) -> Result<Vec<String>> {
        let text =
            quiet(console, "looking a package up", self.command("apt-cache").args(["madison", package]))?;
        Ok(text.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect())
    }

    /// All names of packages that start with `prefix`, also such as are only mentioned by others.
    pub(crate) fn names(&self, console: &mut Console, prefix: &str) -> Result<Vec<String>> {
        let text =
            quiet(console, "looking packages up", self.command("apt-cache").args(["pkgnames", prefix]))?;
        Ok(text.lines().map(|line| line.trim().to_owned()).filter(|name| !name.is_empty()).collect())
    }

    /// Downloads `packages` and unpacks them over `root`.
    pub(crate) fn unpack(&self, console: &mut Console, packages: &[String], root: &Path) -> Result<()> {
        let debs = self.folder.join("debs");
        quiet(
            console,
            &format!("downloading {} packages", packages.len()),
            self.command("apt-get").current_dir(&debs).args(["-qq", "download"]).args(packages),
        )?;
        fs::create_dir_all(root).during(|| format!("making {}", root.display()))?;
        let folder = fs::read_dir(&debs).during(|| format!("reading {}", debs.display()))?;
        for file in folder
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "deb"))
        {
            console.now(&format!("unpacking {}", file.file_name().unwrap_or_default().to_string_lossy()));
            unpack(&file, root)?;
        }
        console.clear();
        Ok(())
    }

    /// Downloads the sources of `package` and unpacks those of their files that `wanted` matches, as tar matches
    /// them, to `root`. Gives the name of the archive.
    pub(crate) fn unpack_source(
        &self,
        console: &mut Console,
        package: &str,
        wanted: &str,
        root: &Path,
    ) -> Result<String> {
        let debs = self.folder.join("debs");
        quiet(
            console,
            &format!("downloading the sources of {package}"),
            self.command("apt-get").current_dir(&debs).args([
                "-qq",
                "source",
                "--download-only",
                "--tar-only",
                package,
            ]),
        )?;
        let folder = fs::read_dir(&debs).during(|| format!("reading {}", debs.display()))?;
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let archive =
            folder.flatten().map(|entry| entry.path()).find(|path| name(path).contains(".orig.tar."));
        let archive = archive.ok_or_else(|| {
            Error::Missing(format!("the sources of {package} hold no archive of its authors (.orig.tar)"))
        })?;
        // tar needs a program for each compression, dpkg has them inside: the archive becomes a package's contents.
        let compression = archive.extension().unwrap_or_default().to_string_lossy().into_owned();
        let package = debs.join("sources.deb");
        wrap(&archive, &compression, &package)
            .during(|| format!("making a package of {}", archive.display()))?;
        fs::create_dir_all(root).during(|| format!("making {}", root.display()))?;
        extract(&package, root, &["--strip-components=1", "--wildcards", wanted])?;
        Ok(name(&archive))
    }
}

/// Makes a package whose contents are `archive`.
fn wrap(archive: &Path, compression: &str, package: &Path) -> std::io::Result<()> {
    let mut contents = File::open(archive)?;
    let length = contents.metadata()?.len();
    let mut out = File::create(package)?;
    let member = |out: &mut File, name: &str, length: u64| {
        writeln!(out, "{name:<16}{:<12}{:<6}{:<6}{:<8}{length:<10}`", 0, 0, 0, 100_644)
    };
    out.write_all(b"!<arch>\n")?;
    member(&mut out, "debian-binary", 4)?;
    out.write_all(b"2.0\n")?;
    member(&mut out, "control.tar", 0)?;
    member(&mut out, &format!("data.tar.{compression}"), length)?;
    std::io::copy(&mut contents, &mut out)?;
    if length % 2 == 1 { out.write_all(b"\n") } else { Ok(()) }
}

/// Unpacks one package file. What it would run when installed is not run.
fn unpack(file: &Path, root: &Path) -> Result<()> {
    // The release keeps bin and lib as links into usr; so does the tree that we unpack into, from package base-files.
    extract(file, root, &["--keep-directory-symlink"])
}

/// Unpacks a package's contents with more `options` of tar.
fn extract(file: &Path, root: &Path, options: &[&str]) -> Result<()> {
    let what = || format!("unpacking {}", file.display());
    let mut dpkg =
        Command::new("dpkg").arg("--fsys-tarfile").arg(file).stdout(Stdio::piped()).spawn().during(what)?;
    let Some(archive) = dpkg.stdout.take() else { return Err(Error::Failed(what())) };
    let tar = Command::new("tar")
        .args(["-x", "--no-same-owner", "-C"])
        .arg(root)
        .args(options)
        .stdin(archive)
        .status()
        .during(what)?;
    let dpkg = dpkg.wait().during(what)?;
    if tar.success() && dpkg.success() { Ok(()) } else { Err(Error::Failed(what())) }
}

/// `Inst name [old] (version Release [arch])` as `name=version`.
fn installed(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
    let version = rest.split_once('(')?.1.split_whitespace().next()?;
    Some(format!("{name}={version}"))
}

/// The machine's first source of packages, with the releases replaced by `suites`: file name and text.
fn sources(etc: &Path, suites: &str, kind: &str) -> Result<(&'static str, String)> {
    if let Ok(text) = fs::read_to_string(etc.join("sources.list.d/debian.sources"))
        && let Some(text) = stanza(&text, suites, kind)
    {
        return Ok(("own.sources", text));
    }
    if let Ok(text) = fs::read_to_string(etc.join("sources.list"))
        && let Some(text) = lines(&text, suites, kind)
    {
        return Ok(("own.list", text));
    }
    Err(Error::Missing("this machine has no Debian package source in /etc/apt".into()))
}

fn stanza(text: &str, suites: &str, kind: &str) -> Option<String> {
    let body = |block: &&str| block.lines().any(|line| line.starts_with("URIs:"));
    let first = text.split("\n\n").find(body)?;
    let mut out = String::new();
    for line in first.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with("Types:") {
            out.push_str(&format!("Types: {kind}\n"));
        } else if line.starts_with("Suites:") {
            out.push_str(&format!("Suites: {suites}\n"));
        } else if line.starts_with("Components:") {
            out.push_str("Components: main\n");
        } else {
            out.push_str(&format!("{line}\n"));
        }
    }
    Some(out)
}

fn lines(text: &str, suites: &str, kind: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("deb ") && !line.contains("cdrom:"))?;
    // `deb [options] URI suite component...`: what stands before the suite is kept.
    let start = line.find(']').map_or("deb ".len(), |at| at + 1);
    let address = line[start..].split_whitespace().next()?;
    let head = format!("{kind}{} {address}", line["deb".len()..start].trim_end());
    Some(suites.split_whitespace().map(|suite| format!("{head} {suite} main\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_installs_become_names_with_versions() {
        assert_eq!(installed("Inst libc6 (2.41-12 Debian:13.1/stable [amd64])").unwrap(), "libc6=2.41-12");
        assert_eq!(installed("Inst a [1] (2 X [all]) []").unwrap(), "a=2");
        assert_eq!(installed("Conf libc6 (2.41-12 Debian:13.1/stable [amd64])"), None);
        assert_eq!(installed("Inst"), None);
    }

    #[test]
    fn the_first_stanza_gets_our_suites() {
        let text = "# a comment\nTypes: deb\n# another\nURIs: http://x.invalid/d\nSuites: old old-updates\nComponents: main contrib\nSigned-By: /k\n\nTypes: deb\nURIs: http://y.invalid\nSuites: s\n";
        assert_eq!(
            stanza(text, "new", "deb").unwrap(),
            "Types: deb\nURIs: http://x.invalid/d\nSuites: new\nComponents: main\nSigned-By: /k\n"
        );
        assert_eq!(stanza("# nothing\n", "new", "deb"), None);
    }

    #[test]
    fn a_one_line_source_keeps_its_options() {
        let text = "# c\ndeb cdrom:[x]/ old main\ndeb [arch=amd64 signed-by=/k] http://x.invalid/d old main contrib\n";
        assert_eq!(
            lines(text, "new new-extra", "deb").unwrap(),
            "deb [arch=amd64 signed-by=/k] http://x.invalid/d new main\ndeb [arch=amd64 signed-by=/k] http://x.invalid/d new-extra main\n"
        );
        let one = "deb http://x.invalid/d old main";
        assert_eq!(lines(one, "n", "deb").unwrap(), "deb http://x.invalid/d n main\n");
        assert_eq!(lines(one, "n", "deb-src").unwrap(), "deb-src http://x.invalid/d n main\n");
    }
}
