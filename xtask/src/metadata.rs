//! What Cargo says of the workspace.

use crate::run::{self, Console};
use crate::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The workspace's root: the folder above this package's.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// A library crate that claims to need no standard library.
#[derive(Debug)]
pub(crate) struct NoStd {
    /// The package.
    pub(crate) name: String,
    /// Its features that do not bring the standard library in.
    pub(crate) features: Vec<String>,
}

/// Every library of the workspace whose `lib.rs` says `no_std`.
pub(crate) fn no_std(console: &mut Console) -> Result<Vec<NoStd>> {
    let text = run::quiet(
        console,
        "reading the workspace",
        run::cargo().args(["metadata", "--no-deps", "--format-version", "1", "--quiet"]),
    )?;
    // Warnings of Cargo may stand before the one line of JSON.
    let json = text.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let metadata: Value =
        serde_json::from_str(json).map_err(|error| Error::Failed(format!("cargo metadata: {error}")))?;
    Ok(metadata["packages"].as_array().into_iter().flatten().filter_map(package).collect())
}

fn package(package: &Value) -> Option<NoStd> {
    let library = package["targets"].as_array()?.iter().find(|target| {
        target["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib" || kind == "rlib"))
    })?;
    let source = std::fs::read_to_string(PathBuf::from(library["src_path"].as_str()?)).ok()?;
    let claims = |line: &str| {
        line.starts_with("#![no_std]") || line.starts_with("#![cfg_attr(not(feature = \"std\"), no_std)]")
    };
    if !source.lines().any(claims) {
        return None;
    }
    let features = package["features"].as_object()?;
    let names = features.keys().filter(|name| !wants_std(name, features, 8)).cloned().collect();
    Some(NoStd { name: package["name"].as_str()?.to_owned(), features: names })
}

/// Whether `feature` is or turns on one named `std`, its own or a dependency's.
fn wants_std(feature: &str, features: &serde_json::Map<String, Value>, depth: u32) -> bool {
    let own = feature.rsplit('/').next().unwrap_or(feature);
    if own == "std" || depth == 0 {
        return true;
    }
    let next =
        features.get(feature).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    next.into_iter().any(|next| wants_std(next, features, depth - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_bring_the_standard_library_are_found() {
        let features = serde_json::json!({"std": ["alloc"], "alloc": [], "wrappers": ["std"], "other": ["dep:x", "x/std"]});
        let features = features.as_object().unwrap();
        let wants = |name| wants_std(name, features, 8);
        assert!(wants("std") && wants("wrappers") && wants("other"));
        assert!(!wants("alloc"));
    }
}
