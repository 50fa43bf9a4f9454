//! One case per mistake: what is said, and that nothing is written. A case is a folder whose files are laid over
//! `cases/wrong/base`; `expected.txt` is what the command says. `BLESS=1` writes it, to be reviewed like code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn wrong() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/wrong")
}

fn lay(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            lay(&path, &target);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// What the command says of a description, with the description's folder called `specs`.
fn said(specs: &Path) -> String {
    let out = specs.with_file_name("generated");
    let output = Command::new(env!("CARGO_BIN_EXE_igb-codegen"))
        .arg("--specs")
        .arg(specs)
        .args(["rust", "registers"])
        .arg(&out)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap().replace(&specs.display().to_string(), "specs");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty());
    assert!(!out.exists(), "something was written");
    text
}

#[test]
fn every_mistake_is_told_where_it_is() {
    let mut cases: Vec<_> = fs::read_dir(wrong()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let mut unexpected = Vec::new();
    let mut number = 0;
    for case in cases.iter().filter(|case| case.file_name().unwrap() != "base") {
        let folder = tempfile::tempdir().unwrap();
        let specs = folder.path().join("specs");
        lay(&wrong().join("base"), &specs);
        lay(case, &specs);
        let text = said(&specs);
        let expected = case.join("expected.txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        // Every message has its place and says what to do.
        let messages = text.lines().filter(|line| line.starts_with("specs/")).count();
        let hints = text.lines().filter(|line| line.starts_with("  help: ")).count();
        assert!(messages > 0 && hints == messages, "{}: {text}", case.display());
        if fs::read_to_string(&expected).unwrap_or_default() != text {
            unexpected.push(format!("{}:\n{text}", case.display()));
        }
        number += 1;
    }
    assert!(number > 30, "only {number} cases were found");
    assert!(unexpected.is_empty(), "{}\nBLESS=1 writes them", unexpected.join("\n"));
}

/// A description whose only registers file has this text.
fn with_registers(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let specs = folder.path().join("specs");
    lay(&wrong().join("base"), &specs);
    fs::create_dir_all(specs.join("registers")).unwrap();
    fs::write(specs.join("registers/port.yaml"), text).unwrap();
    (folder, specs)
}

#[test]
fn a_file_of_ten_megabytes_is_not_read() {
    let (_folder, specs) = with_registers(&"# nothing\n".repeat(1_000_000));
    insta::assert_snapshot!(said(&specs), @r"
    specs/registers/port.yaml: 10000000 bytes, and a description file has at most 1048576
      help: give each functional group its own file
    1 error in the description
    ");
}

#[test]
fn deep_nesting_ends_in_a_message() {
    for (open, close) in [("[", "]"), ("{ a: ", " }"), ("- ", "")] {
        let text = format!("group: {}1{}\n", open.repeat(100_000), close.repeat(100_000));
        let (_folder, specs) = with_registers(&text);
        let text = said(&specs);
        assert!(text.starts_with("specs/registers/port.yaml:1:"), "{text}");
        assert_eq!(text.lines().last(), Some("1 error in the description"));
        assert!(text.len() < 400, "{text}");
    }
}

#[test]
fn aliases_of_yaml_do_not_explode() {
    let mut text = "group: port\ndoc: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        text += &format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", "));
    }
    let (_folder, specs) = with_registers(&text);
    assert!(said(&specs).ends_with("1 error in the description\n"));
}

#[test]
fn a_file_that_is_no_text_is_told() {
    let (_folder, specs) = with_registers("");
    fs::write(specs.join("registers/port.yaml"), [0xff, 0xfe, 0x00, 0x80]).unwrap();
    insta::assert_snapshot!(said(&specs), @r"
    specs/registers/port.yaml: cannot be read: stream did not contain valid UTF-8
      help: a description is a folder with sources.yaml, chips.yaml and registers/*.yaml, in UTF-8
    1 error in the description
    ");
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(said(&folder.path().join("specs")), @r"
    specs/sources.yaml: cannot be read: No such file or directory (os error 2)
      help: a description is a folder with sources.yaml, chips.yaml and registers/*.yaml, in UTF-8
    1 error in the description
    ");
}
