//! A job: a shell script whose first comment says what it proves and whose `#:` lines say what it needs.
//!
//! ```text
//! # One line about what the job proves.
//! #: nics 4            igb devices, in pairs on a wire; 2 if not said
//! #: sim i210 i350     simulated chips instead, one for each NIC, served by this machine; they take faults
//! #: cpus 2            virtual processors; 1 if not said
//! #: memory 1024       MiB
//! #: timeout 120       seconds of this machine's time, boot included
//! #: kernel pci=nomsi  more words for the kernel's command line
//! #: binary PACKAGE NAME   a program of the workspace, found on the guest's PATH
//! #: block FILE HEADING  the first sh block of that file of the project under that heading, as /job/block.sh
//! #: together        the root ports are functions of one device, with ACS off: one IOMMU group for all
//! #: expect TEXT       a complaint of the kernel that has to come, and is none then
//! #: trace             every access to the igb devices' registers has to decode with specs/
//! #: order 2           where it stands among the jobs; smaller ones run first
//! ```

use crate::{Error, Result, While};
use std::fs;
use std::path::{Path, PathBuf};

/// A plugin of QEMU that counts what the job marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counter {
    /// The library.
    pub(crate) plugin: PathBuf,
    /// Where it writes.
    pub(crate) log: PathBuf,
}

/// A job and the machine that it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) script: String,
    pub(crate) nics: u32,
    /// Simulated chips, in place of QEMU's device.
    pub(crate) sim: Vec<String>,
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u32,
    pub(crate) timeout_secs: u64,
    pub(crate) kernel: Vec<String>,
    /// Package and program.
    pub(crate) binaries: Vec<(String, String)>,
    pub(crate) expected: Vec<String>,
    /// File and heading.
    pub(crate) block: Option<(String, String)>,
    pub(crate) together: bool,
    pub(crate) trace: bool,
    pub(crate) order: u32,
    pub(crate) counter: Option<Counter>,
}

impl Job {
    /// Reads the script at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let script = fs::read_to_string(path).during(|| format!("reading {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(name, script).map_err(|what| Error::Failed(format!("{}: {what}", path.display())))
    }

    fn parse(name: String, script: String) -> core::result::Result<Self, String> {
        let mut job = Self {
            name,
            about: String::new(),
            script: String::new(),
            nics: 2,
            sim: Vec::new(),
            cpus: 1,
            memory_mib: 1024,
            timeout_secs: 120,
            kernel: Vec::new(),
            binaries: Vec::new(),
            expected: Vec::new(),
            block: None,
            together: false,
            trace: false,
            order: 100,
            counter: None,
        };
        for (index, line) in script.lines().enumerate() {
            let Some(wish) = line.strip_prefix("#:") else {
                let comment = line.strip_prefix("# ").filter(|_| job.about.is_empty());
                job.about.push_str(comment.unwrap_or_default());
                continue;
            };
            job.wish(wish.trim()).map_err(|what| format!("line {}: {what}", index + 1))?;
        }
        if job.about.is_empty() {
            return Err("no comment says what it proves".into());
        }
        job.script = script;
        Ok(job)
    }

    fn wish(&mut self, wish: &str) -> core::result::Result<(), String> {
        let (key, value) = wish.split_once(' ').unwrap_or((wish, ""));
        let value = value.trim();
        let number = |low: u32, high: u32| {
            let number = value.parse().ok().filter(|number| (low..=high).contains(number));
            number.ok_or_else(|| format!("{key} is a number from {low} to {high}, not `{value}`"))
        };
        match key {
            "nics" => self.nics = number(1, 8)?,
            "sim" if !value.is_empty() => {
                self.sim = value.split_whitespace().map(str::to_owned).collect();
                self.nics = self.sim.len() as u32;
            }
            "cpus" => self.cpus = number(1, 8)?,
            "memory" => self.memory_mib = number(256, 8192)?,
            "timeout" => self.timeout_secs = number(10, 600)?.into(),
            "order" => self.order = number(0, 1000)?,
            "kernel" => self.kernel.push(value.into()),
            "trace" if value.is_empty() => self.trace = true,
            "expect" if !value.is_empty() => self.expected.push(value.into()),
            "together" if value.is_empty() => self.together = true,
            "block" => match value.split_once(' ') {
                Some((file, heading)) => self.block = Some((file.into(), heading.trim().into())),
                None => return Err("`block` takes a file and a heading".into()),
            },
            "binary" => match value.split_once(' ') {
                Some((package, binary)) => self.binaries.push((package.into(), binary.trim().into())),
                None => return Err("`binary` takes a package and a program".into()),
            },
            _ => return Err(format!("`#: {wish}` says nothing known")),
        }
        Ok(())
    }
}

/// The first `sh` block under a heading of a Markdown text.
pub(crate) fn block<'a>(text: &'a str, heading: &str) -> Option<&'a str> {
    let under =
        text.split("\n#").find(|part| part.trim_start_matches('#').trim_start().starts_with(heading))?;
    let (_, block) = under.split_once("```sh\n")?;
    block.split_once("```").map(|(block, _)| block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_by_their_heading() {
        let text =
            "# A\n```sh\nfirst\n```\n## On hardware\ntext\n```sh\nsecond # here\n```\n```sh\nthird\n```\n";
        assert_eq!(block(text, "On hardware"), Some("second # here\n"));
        assert_eq!(block(text, "Nowhere"), None);
        let job =
            Job::parse("j".into(), "# a\n#: block README.md On hardware\n#: together\n".into()).unwrap();
        assert_eq!((job.block, job.together), (Some(("README.md".into(), "On hardware".into())), true));
    }

    #[test]
    fn comments_say_what_a_job_needs() {
        let sim = Job::parse("j".into(), "# a\n#: sim i210 i350\n".into()).unwrap();
        assert_eq!((sim.nics, sim.sim), (2, vec!["i210".to_owned(), "i350".to_owned()]));
        let script = "# Proves a thing.\n# More words.\n#: nics 4\n#: binary suite vfio-suite\n#: expect DMAR\n#: trace\ntrue\n";
        let job = Job::parse("j".into(), script.into()).unwrap();
        assert_eq!((job.about.as_str(), job.nics, job.cpus), ("Proves a thing.", 4, 1));
        assert_eq!(job.binaries, [("suite".to_owned(), "vfio-suite".to_owned())]);
        assert_eq!((job.expected.as_slice(), job.trace), (&["DMAR".to_owned()][..], true));
    }

    #[test]
    fn wrong_wishes_are_told_with_their_line() {
        let error = |text: &str| Job::parse("j".into(), text.into()).unwrap_err();
        assert_eq!(error("# a\n#: nics many\n"), "line 2: nics is a number from 1 to 8, not `many`");
        assert_eq!(error("# a\n#: nick 2\n"), "line 2: `#: nick 2` says nothing known");
        assert_eq!(error("true\n"), "no comment says what it proves");
    }
}
