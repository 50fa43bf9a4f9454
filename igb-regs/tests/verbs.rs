//! A verb that a register has not is a compile error, in our own words.
//!
//! Compilers word and order the rest of a message differently, so the texts are compared on the release that wrote
//! them and the test says so on others. `TRYBUILD=overwrite` writes them anew.

/// The compiler whose messages are checked in.
const RELEASE: &str = "rustc 1.95.";

#[test]
fn a_wrong_verb_does_not_compile() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = std::process::Command::new(rustc).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    if !version.starts_with(RELEASE) {
        eprintln!("SKIPPED: the messages are those of {RELEASE}x, this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/verbs/*.rs");
}
