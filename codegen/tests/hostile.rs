//! Whatever a file holds, loading it ends in a description or in messages, and a description that loads can be
//! generated: no panic either way, and no endless work.

use igb_codegen::{json, load, registers, words};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

const FILES: [&str; 4] = ["sources.yaml", "chips.yaml", "registers/port.yaml", "registers/system.yaml"];

/// One change of a text.
#[derive(Debug, Clone)]
enum Change {
    /// Cuts it off.
    Cut(usize),
    /// Replaces one byte.
    Byte(usize, u8),
    /// Takes lines out.
    Drop(usize, usize),
    /// Says lines twice.
    Repeat(usize, usize),
    /// Replaces the n-th number.
    Number(usize, String),
    /// Replaces the n-th word.
    Word(usize, String),
}

fn change() -> impl Strategy<Value = Change> {
    let number = prop_oneof![
        Just("0".to_owned()),
        Just("-1".to_owned()),
        Just("0xffffffff".to_owned()),
        Just("65535".to_owned()),
        Just("18446744073709551615".to_owned()),
        (0..200_000_u32).prop_map(|n| n.to_string()),
    ];
    let word = prop_oneof![
        Just("\"\"".to_owned()),
        Just("self".to_owned()),
        Just("Self".to_owned()),
        Just("chips".to_owned()),
        Just("ports".to_owned()),
        Just("\"../../x\"".to_owned()),
        Just("null".to_owned()),
        Just("[all, \"!all\"]".to_owned()),
        Just("{ a: b }".to_owned()),
        Just("\"a b\"".to_owned()),
        Just("\"\\u00e4`[<*_\\n\"".to_owned()),
        "[A-Za-z_!:]{1,8}",
    ];
    prop_oneof![
        1 => (0..4000_usize).prop_map(Change::Cut),
        2 => (0..4000_usize, any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        2 => (0..80_usize, 1..4_usize).prop_map(|(at, lines)| Change::Drop(at, lines)),
        2 => (0..80_usize, 1..12_usize).prop_map(|(at, lines)| Change::Repeat(at, lines)),
        4 => (0..80_usize, number).prop_map(|(at, text)| Change::Number(at, text)),
        4 => (0..200_usize, word).prop_map(|(at, text)| Change::Word(at, text)),
    ]
}

impl Change {
    fn apply(&self, text: &mut Vec<u8>) {
        match self {
            Self::Cut(at) => text.truncate(*at),
            Self::Byte(at, byte) => {
                if let Some(old) = text.get_mut(*at) {
                    *old = *byte;
                }
            }
            Self::Drop(at, lines) | Self::Repeat(at, lines) => {
                let mut all: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let range = (*at).min(all.len())..(at + lines).min(all.len());
                let taken: Vec<_> = all[range.clone()].to_vec();
                if matches!(self, Self::Drop(..)) {
                    all.drain(range);
                } else {
                    all.splice(range.start..range.start, taken);
                }
                *text = all.join(&b'\n');
            }
            Self::Number(n, with) => replace(text, *n, with, |byte| byte.is_ascii_digit() || byte == b'x'),
            Self::Word(n, with) => {
                replace(text, *n, with, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
            }
        }
    }
}

/// Replaces the n-th run of bytes of a kind.
fn replace(text: &mut Vec<u8>, n: usize, with: &str, kind: impl Fn(u8) -> bool) {
    let inside = |at: usize| text.get(at).is_some_and(|byte| kind(*byte));
    let starts = (0..text.len()).filter(|at| inside(*at) && (*at == 0 || !inside(at - 1)));
    if let Some(start) = starts.collect::<Vec<_>>().get(n).copied() {
        let end = (start..).find(|at| !inside(*at)).unwrap_or(start);
        text.splice(start..end, with.bytes());
    }
}

/// Loads, and generates everything of what loads.
fn try_all(dir: &Path) -> Result<usize, String> {
    match load(dir) {
        Ok(spec) => {
            let files = [registers(&spec), words(&spec, &spec.phy), words(&spec, &spec.descriptors)];
            for (name, text) in files.iter().flatten() {
                // What is no Rust is printed unformatted, as one line.
                assert!(text.lines().count() > 3 || text.len() < 200, "{name} is no Rust:\n{text}");
            }
            Ok(json::spec(&spec).to_string().len())
        }
        Err(wrong) => {
            assert!(!wrong.0.is_empty(), "an error without a message");
            Err(wrong.to_string())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(which in 0..FILES.len(), changes in prop::collection::vec(change(), 1..4)) {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/uart/specs");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("registers")).unwrap();
        for (index, file) in FILES.iter().enumerate() {
            let mut text = fs::read(specs.join(file)).unwrap();
            if index == which {
                changes.iter().for_each(|change| change.apply(&mut text));
            }
            fs::write(folder.path().join(file), text).unwrap();
        }
        let _ = try_all(folder.path());
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,400}") {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("sources.yaml"), "sources: {}").unwrap();
        fs::write(folder.path().join("chips.yaml"), text).unwrap();
        let _ = try_all(folder.path());
    }
}
