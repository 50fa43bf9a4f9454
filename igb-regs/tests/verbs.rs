//! A wrong verb, a register that the chip lacks, an element beyond the last: compile errors, in our own words.
//!
//! Compilers word and order the rest of a message differently, so the texts are those of one release. On another one
//! this test fails and says which it needs: a message that nobody compares is no promise. `TRYBUILD=overwrite` writes
//! them anew; `IGB_ANY_RUSTC=1` leaves the comparison out.

/// The compiler whose messages are checked in: the one that CI has.
const RELEASE: &str = "rustc 1.95.";

#[test]
fn what_is_wrong_does_not_compile() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = std::process::Command::new(rustc).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let overwriting = std::env::var("TRYBUILD").is_ok_and(|how| how == "overwrite");
    if !overwriting && !version.starts_with(RELEASE) {
        assert!(
            std::env::var_os("IGB_ANY_RUSTC").is_some(),
            "the messages are those of {RELEASE}x, and this is {version}: run `cargo +1.95 test -p igb-regs --test verbs`, \
             or leave the comparison out with IGB_ANY_RUSTC=1"
        );
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.pass("tests/verbs/compiles.rs");
    for entry in std::fs::read_dir("tests/verbs").unwrap() {
        let path = entry.unwrap().path();
        let wrong =
            path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("compiles.rs");
        if wrong {
            cases.compile_fail(path);
        }
    }
}
