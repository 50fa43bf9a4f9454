//! Where a description's files are: a folder, or memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// Named texts. Names are relative to the description, with `/` between the parts.
pub(super) trait Texts {
    /// Bytes of a file; 0 if there is none.
    fn size(&self, name: &str) -> u64;
    /// Its text.
    fn read(&self, name: &str) -> io::Result<String>;
    /// Names of the `*.yaml` files of a folder, sorted.
    fn below(&self, folder: &str) -> Vec<String>;
    /// Names of the folders, sorted.
    fn folders(&self) -> Vec<String>;
}

pub(super) struct Folder<'a>(pub(super) &'a Path);

impl Texts for Folder<'_> {
    fn size(&self, name: &str) -> u64 {
        fs::metadata(self.0.join(name)).map_or(0, |data| data.len())
    }

    fn read(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.0.join(name))
    }

    fn below(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".yaml"))
            .map(|name| format!("{folder}/{name}"))
            .collect();
        names.sort();
        names
    }

    fn folders(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0) else { return Vec::new() };
        let mut names: Vec<_> = entries
            .filter_map(|entry| {
                entry.ok().filter(|entry| entry.path().is_dir())?.file_name().into_string().ok()
            })
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }
}

impl Texts for BTreeMap<String, Vec<u8>> {
    fn size(&self, name: &str) -> u64 {
        self.get(name).map_or(0, |text| text.len() as u64)
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let text = self.get(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        String::from_utf8(text.clone()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn below(&self, folder: &str) -> Vec<String> {
        let inside = |name: &&String| {
            let rest = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
            rest.is_some_and(|rest| rest.ends_with(".yaml") && !rest.contains('/'))
        };
        self.keys().filter(inside).cloned().collect()
    }

    fn folders(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.keys().filter_map(|name| Some(name.split_once('/')?.0.to_owned())).collect();
        names.dedup();
        names
    }
}
