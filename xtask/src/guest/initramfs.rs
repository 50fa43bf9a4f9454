//! The guest's root file system as a cpio archive ("newc", the form that the kernel unpacks into memory).
//!
//! Written here because it is short, needs no root for device nodes, and no program of this machine.

use super::image::Image;
use super::job::Job;
use crate::{Error, Result, While};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The archive for one job: the image's tree, the init that runs a job, the job, and the programs that it names.
pub(crate) fn archive(image: &Image, job: &Job, binaries: &BTreeMap<String, PathBuf>) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.tree(&image.tree, "")?;
    for folder in ["dev", "proc", "sys", "run", "tmp", "job"] {
        archive.folder(folder);
    }
    archive.console();
    let scripts = super::scripts();
    for (name, mode) in [("init", 0o755), ("lib.sh", 0o644), ("judge.sh", 0o644)] {
        let path = scripts.join(name);
        let text = fs::read(&path).during(|| format!("reading {}", path.display()))?;
        let place = if name == "init" { name.to_owned() } else { format!("job/{name}") };
        archive.file(&place, mode, &text)?;
    }
    archive.file("job/job.sh", 0o644, job.script.as_bytes())?;
    if let Some((file, heading)) = &job.block {
        let text =
            fs::read_to_string(crate::metadata::root().join(file)).during(|| format!("reading {file}"))?;
        let block = super::job::block(&text, heading)
            .ok_or_else(|| Error::Failed(format!("{file} has no sh block under `{heading}`")))?;
        archive.file("job/block.sh", 0o644, block.as_bytes())?;
    }
    for (_, binary) in &job.binaries {
        let path = binaries.get(binary).ok_or_else(|| Error::Failed(format!("{binary} was not built")))?;
        let bytes = fs::read(path).during(|| format!("reading {}", path.display()))?;
        archive.file(&format!("usr/bin/{binary}"), 0o755, &bytes)?;
    }
    Ok(archive.finish())
}

#[derive(Debug, Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Everything under `folder`, named from `prefix` on.
    fn tree(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let what = || format!("reading {}", folder.display());
        let mut entries: Vec<_> =
            fs::read_dir(folder).during(what)?.collect::<std::io::Result<_>>().during(what)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().during(what)?;
            if kind.is_dir() {
                self.folder(&name);
                self.tree(&path, &format!("{name}/"))?;
            } else if kind.is_symlink() {
                let to = fs::read_link(&path).during(what)?;
                self.entry(&name, 0o120_777, (0, 0), to.as_os_str().as_bytes())?;
            } else {
                let mode = entry.metadata().during(what)?.permissions().mode() & 0o777;
                let bytes = fs::read(&path).during(|| format!("reading {}", path.display()))?;
                self.file(&name, mode, &bytes)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, name: &str) {
        let _ = self.entry(name, 0o040_755, (0, 0), b"");
    }

    /// The node that the kernel opens for init before anything is mounted.
    fn console(&mut self) {
        let _ = self.entry("dev/console", 0o020_600, (5, 1), b"");
    }

    fn file(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.entry(name, 0o100_000 | mode, (0, 0), bytes)
    }

    /// One entry: thirteen fields of eight hexadecimal digits, the name, the content, each padded to four bytes.
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), bytes: &[u8]) -> Result<()> {
        let size = u32::try_from(bytes.len());
        let size = size.map_err(|_| Error::Failed(format!("{name} is too long for the guest's archive")))?;
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        self.entries += 1;
        // inode, mode, uid, gid, links, time, size, device, device of a node, length of the name, checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(bytes);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        let size = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(size, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        let _ = self.entry("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_the_form_that_kernels_read() {
        let mut archive = Archive::default();
        archive.folder("dev");
        archive.file("a", 0o644, b"12345").unwrap();
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(bytes.len() % 4, 0);
        assert!(text.starts_with("07070100000001000041ed"));
        // The second entry follows a header of 110 bytes, "dev" and its end, padded.
        let second = &text[116..];
        assert!(second.starts_with("07070100000002000081a4"), "{second}");
        assert_eq!(&second[54..62], "00000005");
        assert_eq!(&second[110..120], concat!("a\0", "12345\0\0\0"));
        assert!(text.contains("TRAILER!!!"));
    }
}
