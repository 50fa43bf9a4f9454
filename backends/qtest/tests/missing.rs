//! A QEMU that will not do is refused by name, with what to do about it.

use igb_qtest::find::NoQemu;
use igb_qtest::{Error, Machine};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A program that says it is some QEMU.
fn pretender(name: &str, script: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn refused(path: PathBuf) -> Error {
    Machine::builder().pair().program(path).start().unwrap_err()
}

#[test]
fn none_at_all() {
    let error = refused("/nonexistent/qemu-system-x86_64".into());
    assert_eq!(error, Error::NoQemu(NoQemu::Missing));
    assert!(error.to_string().contains("cargo xtask qemu"), "{error}");
}

#[test]
fn one_that_is_too_old() {
    let error = refused(pretender("old", "echo 'QEMU emulator version 7.2.17 (Debian 1:7.2)'"));
    assert_eq!(error, Error::NoQemu(NoQemu::TooOld(7, 2)));
    assert!(
        error.to_string().contains("QEMU 7.2 is too old") && error.to_string().contains("cargo xtask qemu")
    );
}

#[test]
fn one_without_the_device() {
    let script =
        "case $1 in --version) echo 'QEMU emulator version 10.0.2';; *) echo 'name \"e1000\"';; esac";
    assert_eq!(refused(pretender("without", script)), Error::NoQemu(NoQemu::NoIgb));
}

#[test]
fn one_that_does_not_run() {
    assert_eq!(refused(pretender("broken", "exit 1")), Error::NoQemu(NoQemu::NotRunnable));
    assert_eq!(refused("/etc/passwd".into()), Error::NoQemu(NoQemu::NotRunnable));
}

#[test]
fn one_that_gives_up() {
    let script = "case $1 in --version) echo 'QEMU emulator version 10.0.2';; -machine) echo 'name \"igb\"';; \
                  *) echo 'qemu: the dog ate it' >&2; exit 1;; esac";
    let error = refused(pretender("sulking", script));
    assert!(matches!(error, Error::Ended(_)), "{error:?}");
    assert!(error.to_string().contains("the dog ate it"), "{error}");
}
