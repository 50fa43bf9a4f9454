//! Whatever a file holds, loading it ends in a description or in messages, and a description that loads can be
//! generated: no panic either way, and no endless work.

use igb_codegen::{html, json, load_texts, markdown, registers, svd, words};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

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

/// A description in memory.
type Texts = BTreeMap<String, Vec<u8>>;

/// Loads, and generates everything of what loads, if `all`.
fn try_all(texts: &Texts, all: bool) -> Result<usize, String> {
    match load_texts(texts) {
        Ok(spec) if all => {
            let mut files = vec![registers(&spec)];
            files.extend(spec.words.values().map(|groups| words(&spec, groups)));
            for (name, text) in files.iter().flatten() {
                // What is no Rust is printed unformatted, as one line.
                assert!(text.lines().count() > 3 || text.len() < 200, "{name} is no Rust:\n{text}");
            }
            for text in [svd(&spec), html(&spec), markdown(&spec)].iter().flat_map(BTreeMap::values) {
                assert!(!text.is_empty());
            }
            Ok(json::spec(&spec).to_string().len())
        }
        Ok(_) => Ok(0),
        Err(wrong) => {
            assert!(!wrong.0.is_empty(), "an error without a message");
            for one in &wrong.0 {
                assert!(one.hint.is_some() && !one.message.is_empty(), "{one}");
            }
            Err(wrong.to_string())
        }
    }
}

fn texts(folder: &str) -> Texts {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut texts = Texts::new();
    let mut folders = vec![specs.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let name = path.strip_prefix(&specs).unwrap().to_str().unwrap().to_owned();
                texts.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    texts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(which in 0..FILES.len(), changes in prop::collection::vec(change(), 1..4)) {
        let mut texts = texts("tests/cases/uart/specs");
        let text = texts.get_mut(FILES[which]).unwrap();
        changes.iter().for_each(|change| change.apply(text));
        let _ = try_all(&texts, true);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,400}") {
        let texts = [("sources.yaml", "sources: {}"), ("chips.yaml", &*text)];
        let texts = texts.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
        let _ = try_all(&texts.into_iter().collect(), true);
    }
}

/// A generator of numbers that gives the same ones every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What means something in the format, put where it does not belong.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "&a ",
    "*a",
    "\"",
    "'",
    "|",
    ">-",
    "#",
    "!!str ",
    "~",
    "null",
    "\t",
    "\r\n",
    "---\n",
    "...",
    "all",
    "!all",
    "0x",
    "-1",
    "0xffffffff",
    "4294967296",
    "65536",
    "31:0",
    "0:31",
    "63",
    "1e9",
    ".inf",
    "rw",
    "rc_w1c",
    "chips: ",
    "count: ",
    "offset: ",
    "stride: ",
    "fields:",
    "values: ",
    "aliases:",
    "overrides:",
    "pieces:",
    "self",
    "\u{feff}",
    "\u{0}",
    "\u{202e}",
    "\u{1f980}",
];

fn mutate(text: &mut Vec<u8>, others: &[Vec<u8>], numbers: &mut Numbers) {
    let at = numbers.below(text.len() + 1);
    let change = match numbers.below(10) {
        0 => Change::Cut(at),
        1 => Change::Byte(at, numbers.below(256) as u8),
        2 => Change::Drop(numbers.below(60), 1 + numbers.below(4)),
        3 => Change::Repeat(numbers.below(60), 1 + numbers.below(12)),
        4 => Change::Number(numbers.below(80), numbers.pick(PIECES).to_string()),
        5 => Change::Number(numbers.below(80), numbers.below(0x2_0000).to_string()),
        6 => Change::Word(numbers.below(200), numbers.pick(PIECES).to_string()),
        7 | 8 => {
            text.splice(at..at, numbers.pick(PIECES).bytes());
            return;
        }
        // A piece of another file.
        _ => {
            let other = numbers.pick(others);
            let (from, length) = (numbers.below(other.len()), numbers.below(200));
            text.splice(at..at, other[from..(from + length).min(other.len())].iter().copied());
            return;
        }
    };
    change.apply(text);
}

/// What is changed: two whole descriptions, and every mistake of `cases/wrong` over its base.
fn corpora() -> [Vec<Texts>; 2] {
    let base = texts("tests/cases/wrong/base");
    let mut mistakes: Vec<_> =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/wrong")).unwrap().collect();
    mistakes.sort_by_key(|entry| entry.as_ref().unwrap().path());
    let over = |name: &str| {
        let mut all = base.clone();
        all.extend(texts(&format!("tests/cases/wrong/{name}")));
        all
    };
    let mistakes = mistakes.into_iter().map(|entry| over(entry.unwrap().file_name().to_str().unwrap()));
    [["tests/cases/uart/specs", "tests/cases/ethernet/specs"].map(texts).to_vec(), mistakes.collect()]
}

/// Up to so many executions until `end`; how many there were, and how many of them loaded.
fn fuzz(executions: usize, seed: u64, end: Option<Instant>) -> [usize; 2] {
    let corpora = corpora();
    let others: Vec<Vec<u8>> = corpora.iter().flatten().flat_map(BTreeMap::values).cloned().collect();
    let mut numbers = Numbers(seed);
    let mut loaded = 0;
    for execution in 0..executions {
        if end.is_some_and(|end| Instant::now() > end) {
            return [execution, loaded];
        }
        // The whole ones are large: one in four.
        let whole = numbers.below(4) == 0;
        let mut texts = numbers.pick(&corpora[usize::from(!whole)]).clone();
        let names: Vec<String> = texts.keys().cloned().collect();
        for _ in 0..1 + numbers.below(3) {
            if let Some(text) = texts.get_mut(numbers.pick(&names)) {
                mutate(text, &others, &mut numbers);
            }
        }
        loaded += usize::from(try_all(&texts, execution % 512 == 0).is_ok());
    }
    [executions, loaded]
}

/// Fuzzing that every machine can do: the same changes in the same order, 100,000 or what 45 seconds allow, or as many as
/// `FUZZ_EXECUTIONS` says.
#[test]
fn many_changes_end_in_a_description_or_a_message() {
    const SHARES: usize = 8;
    let wanted = std::env::var("FUZZ_EXECUTIONS").ok().map(|text| text.parse::<usize>().unwrap());
    let started = Instant::now();
    let end = wanted.is_none().then(|| started + Duration::from_secs(45));
    // Each share has its numbers, however many cores there are.
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(SHARES);
    let share = |n: usize| {
        fuzz(wanted.unwrap_or(100_000) / SHARES, 0x8086_1521_0000_0001 + n as u64 * 0x9E37_79B9, end)
    };
    let work = |thread: usize| {
        (thread..SHARES).step_by(threads).map(share).fold([0, 0], |[a, b], [c, d]| [a + c, b + d])
    };
    let [executions, loaded] = std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).fold([0, 0], |[a, b], [c, d]| [a + c, b + d])
    });
    println!("{executions} executions in {:?}, {loaded} loaded", started.elapsed());
    assert!(executions >= 2_000.min(wanted.unwrap_or(2_000)), "only {executions} executions");
    // Changes that were all refused, or none, would test one half only.
    assert!(loaded > executions / 100 && loaded < executions * 9 / 10, "{loaded} of {executions} loaded");
}
