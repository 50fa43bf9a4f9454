//! Golden cases: small descriptions of foreign devices, and what must come out. `BLESS=1` writes what comes out, to
//! be reviewed like code. `golden_compiles.rs` compiles it.

use igb_codegen::output::{check, write};
use igb_codegen::{Files, html, json, load, markdown, registers, svd, words};
use std::path::{Path, PathBuf};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn compare(dir: &Path, files: &Files) {
    if std::env::var_os("BLESS").is_some() {
        write(dir, files).unwrap();
    }
    let stale = check(dir, files).unwrap();
    let stale: Vec<_> = stale.iter().map(ToString::to_string).collect();
    assert!(stale.is_empty(), "{}\nBLESS=1 writes them", stale.join("\n"));
}

fn golden(case: &str) {
    let case = cases().join(case);
    let spec = load(&case.join("specs")).unwrap_or_else(|wrong| panic!("{wrong}"));
    compare(&case.join("expected/registers"), &registers(&spec));
    for (name, groups) in &spec.words {
        compare(&case.join("expected").join(name), &words(&spec, groups));
    }
    compare(&case.join("expected/html"), &html(&spec));
    compare(&case.join("expected/markdown"), &markdown(&spec));
    compare(&case.join("expected/svd"), &svd(&spec));
    let text = format!("{:#}\n", json::spec(&spec));
    let path = case.join("expected/spec.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[test]
fn uart() {
    golden("uart");
}

#[test]
fn ethernet() {
    golden("ethernet");
}
