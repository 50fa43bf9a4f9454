//! Kernel, modules and tools of the guest: Debian's packages, unpacked into the cache and never installed.
//!
//! The newest kernel is looked up when the cache has none, so no version is named here that could vanish. Of its
//! modules those stay that a job may want, with all that they depend on; of the tools busybox, `ip`, `ethtool` and
//! the libraries that these two load. The kernel is kept unpacked: QEMU starts such a one by itself (PVH), and an
//! emulated processor takes seconds to unpack it.

use crate::run::{Console, quiet};
use crate::{Error, Result, While, apt::Apt, cache};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The releases that packages come from: the second one brings new kernels.
const SUITES: &str = "trixie trixie-backports";
/// Counts changes of what the cached folder holds.
const LAYOUT: u32 = 2;
/// Packages of tools, and the programs that are taken from each.
const TOOLS: [(&str, &str); 2] = [("iproute2", "ip"), ("ethtool", "ethtool")];
/// The dynamic loader of those packages, and where it finds libraries.
const LOADER: &str = "usr/lib64/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
/// What jobs may load. One that is built into a kernel is not missed.
const MODULES: &[&str] = &[
    "igb",
    "igbvf",
    "vfio-pci",
    "vfio_iommu_type1",
    "8021q",
    "bridge",
    "macvlan",
    "pktgen",
    "tun",
    "uio_pci_generic",
    "veth",
    "xsk_diag",
];

/// What a guest starts from.
#[derive(Debug)]
pub(crate) struct Image {
    /// The kernel's release, as `uname -r` says it.
    pub(crate) release: String,
    /// The kernel.
    pub(crate) kernel: PathBuf,
    /// The root file system, without what makes it run a job.
    pub(crate) tree: PathBuf,
}

/// The image with the newest kernel whose release starts with `wanted`, from the cache or made now.
pub(crate) fn ready(console: &mut Console, wanted: Option<&str>) -> Result<Image> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Error::Missing(
            "the guest is an x86_64 machine with programs of this one; this one is not x86_64".into(),
        ));
    }
    let name = match wanted {
        Some(wanted)
            if !wanted.is_empty()
                && wanted.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-_".contains(&b)) =>
        {
            format!("guest/{LAYOUT}-{wanted}")
        }
        Some(wanted) => {
            return Err(Error::Failed(format!("`{wanted}` is no beginning of a kernel's release")));
        }
        None => format!("guest/{LAYOUT}"),
    };
    let folder = cache::entry(&name, |folder| make(console, folder, wanted.unwrap_or_default()))?;
    let path = folder.join("release");
    let release = fs::read_to_string(&path)
        .during(|| format!("reading {}; delete {} and try again", path.display(), folder.display()))?;
    Ok(Image { release: release.trim().into(), kernel: folder.join("vmlinux"), tree: folder.join("tree") })
}

fn make(console: &mut Console, folder: &Path, wanted: &str) -> Result<()> {
    let (work, root, tree) = (folder.join("apt"), folder.join("root"), folder.join("tree"));
    let apt = Apt::new(console, &work, SUITES)?;
    let (release, mut packages) = newest(console, &apt, wanted)?;
    for (package, _) in TOOLS {
        packages.extend(apt.closure(console, package, None)?);
    }
    for package in ["busybox-static", "zstd"] {
        packages.extend(apt.closure(console, package, None)?);
    }
    packages.sort();
    packages.dedup();
    // Links that base-files would bring: packages may still put a file into /lib.
    skeleton(&root)?;
    apt.unpack(console, &packages, &root)?;

    skeleton(&tree)?;
    let copy = |from: &Path, to: &Path| {
        let parent = to.parent().unwrap_or(to);
        fs::create_dir_all(parent)
            .and_then(|()| fs::copy(from, to).map(drop))
            .during(|| format!("copying {} to {}", from.display(), to.display()))
    };
    let kernel = [format!("usr/lib/modules/{release}/vmlinuz"), format!("boot/vmlinuz-{release}")];
    let kernel = kernel.iter().map(|path| root.join(path)).find(|path| path.is_file());
    let kernel =
        kernel.ok_or_else(|| Error::Missing(format!("Debian's packages of {release} hold no kernel")))?;
    let busybox = ["usr/bin/busybox", "bin/busybox"].map(|path| root.join(path));
    let busybox = busybox.iter().find(|path| path.is_file());
    let busybox = busybox.ok_or_else(|| Error::Missing("package busybox-static holds no busybox".into()))?;
    copy(busybox, &tree.join("usr/bin/busybox"))?;
    plain_kernel(&kernel, &root, busybox, &folder.join("vmlinux"))?;
    for (package, program) in TOOLS {
        let places = ["usr/bin", "usr/sbin"].map(|folder| format!("{folder}/{program}"));
        let place = places.iter().find(|place| root.join(place).is_file());
        let place = place.ok_or_else(|| Error::Missing(format!("package {package} holds no {program}")))?;
        copy(&root.join(place), &tree.join("usr/bin").join(program))?;
        for library in libraries(console, &root, place)? {
            copy(&root.join(&library), &tree.join(&library))?;
        }
    }
    let applets = quiet(console, "listing tools", Command::new(busybox).arg("--list"))?;
    for applet in applets.lines().map(str::trim).filter(|applet| !applet.is_empty() && !applet.contains('/'))
    {
        let place = tree.join("usr/bin").join(applet);
        if !place.exists() {
            symlink("busybox", &place).during(|| format!("linking {applet}"))?;
        }
    }
    modules(console, &root, &tree, &release, busybox)?;

    let list = packages.join("\n") + "\n";
    fs::write(folder.join("packages"), list).during(|| "writing the list of packages".into())?;
    fs::write(folder.join("release"), release + "\n").during(|| "writing the kernel's release".into())?;
    for scrap in [work, root] {
        fs::remove_dir_all(&scrap).during(|| format!("removing {}", scrap.display()))?;
    }
    Ok(())
}

/// Folders, and the links of a merged /usr.
fn skeleton(root: &Path) -> Result<()> {
    for folder in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
        fs::create_dir_all(root.join(folder)).during(|| format!("making {folder} in {}", root.display()))?;
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link))
            .during(|| format!("linking {link} in {}", root.display()))?;
    }
    Ok(())
}

/// The newest kernel on offer whose release starts with `wanted`: release and packages.
fn newest(console: &mut Console, apt: &Apt, wanted: &str) -> Result<(String, Vec<String>)> {
    // One package up to 6.12; then the kernel and its modules apart. Names that are only mentioned are listed too.
    const KINDS: [&str; 3] = ["linux-binary-", "linux-modules-", "linux-image-"];
    let mut names = BTreeSet::new();
    for kind in KINDS {
        names.extend(apt.names(console, kind)?);
    }
    let mut releases: Vec<&str> = names
        .iter()
        .filter_map(|name| KINDS.iter().find_map(|kind| name.strip_prefix(kind)))
        .filter(|release| plain(release) && release.starts_with(wanted))
        .collect();
    releases.sort_by_key(|release| numbers(release));
    releases.dedup();
    for release in releases.iter().rev() {
        let mut packages = Vec::new();
        for kind in KINDS {
            let name = format!("{kind}{release}");
            // Of the split packages the third only names the other two.
            let needed = kind != "linux-image-" || packages.len() < 2;
            if needed && names.contains(&name) && !apt.versions(console, &name)?.is_empty() {
                packages.push(name);
            }
        }
        let whole = packages.len() == 2 || packages.iter().any(|name| name.starts_with("linux-image-"));
        if whole {
            return Ok(((*release).to_owned(), packages));
        }
    }
    Err(Error::Missing(format!("Debian ({SUITES}) has no kernel linux-image-{wanted}*-amd64")))
}

/// Whether it is Debian's usual kernel of this machine's kind: no real-time one, none for clouds, no debug symbols.
fn plain(release: &str) -> bool {
    let version = release.strip_suffix("-amd64");
    version.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()) && !v.contains('-'))
}

fn numbers(release: &str) -> Vec<u32> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// What the dynamic loader of `root` loads for `program`, and that loader: paths within `root`.
fn libraries(console: &mut Console, root: &Path, program: &str) -> Result<Vec<String>> {
    let mut loader = Command::new(root.join(LOADER));
    loader.arg("--library-path").arg(root.join(LIBRARIES)).arg("--list").arg(root.join(program));
    let text = quiet(console, "looking libraries up", &mut loader)?;
    let mut found = vec![LOADER.to_owned()];
    for line in text.lines() {
        let Some((name, place)) = line.split_once("=>") else { continue };
        if name.trim().starts_with('/') {
            continue; // the loader itself
        }
        let Some(file) = place.trim().strip_prefix(&format!("{}/", root.join(LIBRARIES).display())) else {
            return Err(Error::Missing(format!("{program} of the guest lacks the library {}", name.trim())));
        };
        let file = file.split_whitespace().next().unwrap_or_default();
        found.push(format!("{LIBRARIES}/{file}"));
    }
    Ok(found)
}

/// Copies the wanted modules and those that they depend on, uncompressed, and lets depmod describe them.
fn modules(console: &mut Console, root: &Path, tree: &Path, release: &str, busybox: &Path) -> Result<()> {
    let from = root.join("usr/lib/modules").join(release);
    let to = tree.join("usr/lib/modules").join(release);
    let mut files = BTreeMap::new();
    walk(&from, &mut |path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some((name, _)) = file.split_once(".ko") {
            files.insert(name.replace('-', "_"), path.to_owned());
        }
    })?;
    if files.is_empty() {
        return Err(Error::Missing(format!("Debian's packages of {release} hold no modules")));
    }
    let builtin = fs::read_to_string(from.join("modules.builtin")).unwrap_or_default();
    let builtin: BTreeSet<String> = builtin
        .lines()
        .filter_map(|line| Some(line.rsplit('/').next()?.strip_suffix(".ko")?.replace('-', "_")))
        .collect();

    let mut queue: Vec<String> = MODULES.iter().map(|name| name.replace('-', "_")).collect();
    let mut done = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if builtin.contains(&name) || !done.insert(name.clone()) {
            continue;
        }
        let path = files
            .get(&name)
            .ok_or_else(|| Error::Missing(format!("kernel {release} has no module {name}")))?;
        console.now(&format!("unpacking module {name}"));
        let bytes = plain_module(path, busybox)?;
        queue.extend(depends(&bytes).into_iter().map(|name| name.replace('-', "_")));
        let place = to.join("kernel").join(format!("{name}.ko"));
        fs::create_dir_all(to.join("kernel"))
            .and_then(|()| fs::write(&place, bytes))
            .during(|| format!("writing {}", place.display()))?;
    }
    // Names that depmod looks for; the guest has no other use for them.
    for name in ["modules.builtin", "modules.order"] {
        let _ = fs::copy(from.join(name), to.join(name));
    }
    quiet(
        console,
        "describing modules",
        Command::new(busybox).args(["depmod", "-b"]).arg(tree).arg(release),
    )?;
    let described = fs::read_to_string(to.join("modules.dep")).unwrap_or_default();
    let lacking = |name: &&String| !described.lines().any(|line| line.contains(&format!("/{name}.ko:")));
    match done.iter().find(lacking) {
        Some(name) => Err(Error::Failed(format!("depmod did not describe {name}"))),
        None => Ok(()),
    }
}

/// Calls `each` with every file under `folder`.
fn walk(folder: &Path, each: &mut impl FnMut(&Path)) -> Result<()> {
    for entry in fs::read_dir(folder).during(|| format!("reading {}", folder.display()))?.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), each)?,
            Ok(kind) if kind.is_file() => each(&entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// Unpacks the kernel that lies within a `bzImage`. Where it lies, the head of such a file says ("The Linux/x86 Boot
/// Protocol", setup_sects, payload_offset, payload_length).
fn plain_kernel(image: &Path, root: &Path, busybox: &Path, place: &Path) -> Result<()> {
    let what = || format!("unpacking {}", image.display());
    let unknown = || Error::Missing(format!("{}: no kernel that can be unpacked here", image.display()));
    let bytes = fs::read(image).during(what)?;
    let word = |at: usize| {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
        word.and_then(|word| usize::try_from(word).ok())
    };
    let setup = match bytes.get(0x1f1).copied().ok_or_else(unknown)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let (Some(offset), Some(len)) = (word(0x248), word(0x24c)) else { return Err(unknown()) };
    let start = offset.saturating_add((setup + 1) * 512);
    let payload = bytes.get(start..start.saturating_add(len)).ok_or_else(unknown)?;
    let mut command = match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut command = Command::new(root.join(LOADER));
            command.arg("--library-path").arg(root.join(LIBRARIES)).arg(root.join("usr/bin/zstd"));
            command.arg("-dcq");
            command
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            let mut command = Command::new(busybox);
            command.arg("xzcat");
            command
        }
        [0x1f, 0x8b, ..] => {
            let mut command = Command::new(busybox);
            command.arg("zcat");
            command
        }
        _ => return Err(unknown()),
    };
    let packed = place.with_extension("packed");
    fs::write(&packed, payload).during(what)?;
    let (input, output) = (fs::File::open(&packed).during(what)?, fs::File::create(place).during(what)?);
    // Its length stands behind the packed data, which some of these programs complain about after all is unpacked.
    let said = command.stdin(input).stdout(output).stderr(Stdio::piped()).output().during(what)?;
    fs::remove_file(&packed).during(what)?;
    let mut magic = [0; 4];
    let size = fs::metadata(place).during(what)?.len();
    fs::File::open(place).and_then(|mut file| file.read_exact(&mut magic)).during(what)?;
    if magic == *b"\x7fELF" && size > payload.len() as u64 {
        Ok(())
    } else {
        Err(Error::Failed(format!("{}: {}", what(), String::from_utf8_lossy(&said.stderr).trim())))
    }
}

/// A module's bytes, unpacked by the guest's busybox so that this machine needs no such program.
fn plain_module(path: &Path, busybox: &Path) -> Result<Vec<u8>> {
    let what = || format!("unpacking {}", path.display());
    let extension = path.extension().unwrap_or_default();
    let program = if extension == "ko" {
        return fs::read(path).during(what);
    } else if extension == "xz" {
        "xzcat"
    } else if extension == "gz" {
        "zcat"
    } else {
        return Err(Error::Missing(format!("{}: this compression is not known here", path.display())));
    };
    let mut command = Command::new(busybox);
    let output = command.arg(program).arg(path).stdin(Stdio::null()).output().during(what)?;
    if output.status.success() && output.stdout.starts_with(b"\x7fELF") {
        Ok(output.stdout)
    } else {
        Err(Error::Failed(format!("{}: {}", what(), String::from_utf8_lossy(&output.stderr).trim())))
    }
}

/// The modules that a module names in its `depends=` line.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|&byte| byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_usual_kernels_count_and_numbers_order_them() {
        assert!(plain("7.3.4+deb13-amd64") && plain("6.12.9-amd64"));
        assert!(!plain("7.3.4+deb13-rt-amd64") && !plain("7.3.4+deb13-amd64-dbg") && !plain("amd64"));
        assert!(numbers("7.3.4+deb13-amd64") > numbers("6.19.14+deb13-amd64"));
        assert!(numbers("6.12.117+deb13-amd64") > numbers("6.12.9+deb13-amd64"));
    }

    #[test]
    fn dependencies_stand_in_the_module() {
        assert_eq!(depends(b"license=GPL\0depends=dca,i2c-algo-bit\0name=igb\0"), ["dca", "i2c-algo-bit"]);
        assert!(depends(b"x\0depends=\0name=a\0").is_empty());
        assert!(depends(b"nothing").is_empty());
    }
}
