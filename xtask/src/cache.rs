//! What was fetched or built once for this user, under `$XDG_CACHE_HOME/igb-rs`.
//!
//! An entry appears whole or not at all: it is made in a folder beside its place and renamed. A lock file keeps two
//! runs from making the same entry twice. An entry's name says what is in it, so it is never changed afterwards.

use crate::{Error, Result, While, find};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The entry `name`, such as `qemu/1`, made by `make` in an empty folder if it is not there.
pub(crate) fn entry(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let root = find::cache().ok_or_else(|| {
        Error::Missing("neither XDG_CACHE_HOME nor HOME is set: set one, things are cached there".into())
    })?;
    let place = root.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    let parent = place.parent().unwrap_or(&root);
    fs::create_dir_all(parent).during(|| format!("making {}", parent.display()))?;
    let lock_path = place.with_extension("lock");
    let lock = File::create(&lock_path).during(|| format!("making {}", lock_path.display()))?;
    lock.lock().during(|| format!("locking {}", lock_path.display()))?;
    if place.is_dir() {
        return Ok(place); // whoever had the lock made it
    }
    let draft = place.with_extension("draft");
    if draft.exists() {
        // Left by a run that was killed; its lock is gone, so nobody is in it.
        fs::remove_dir_all(&draft).during(|| format!("removing {}", draft.display()))?;
    }
    fs::create_dir(&draft).during(|| format!("making {}", draft.display()))?;
    let made = make(&draft)
        .and_then(|()| fs::rename(&draft, &place).during(|| format!("naming {}", place.display())));
    if made.is_err() {
        let _ = fs::remove_dir_all(&draft);
    }
    made.map(|()| place)
}
