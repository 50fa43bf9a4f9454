//! What the compiler makes of the code that must cost nothing, read as assembly.
//!
//! `bench/examples/assembly.rs` has functions in pairs: register handles, and volatile accesses by hand. They are to be
//! the same instructions, whatever the compiler. What they are is checked in as `docs/assembly.md`, which is compared
//! where the compiler is the one that wrote it. And there are whole polls: from their first instruction on, along every
//! way that is not cold, no instruction may carry a lock.

use crate::run::{self, Console};
use crate::{Error, Result, While, metadata};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::SystemTime;

/// Where the instructions of the register accesses are checked in.
const PAGE: &str = "docs/assembly.md";

/// What to do with the assembly.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Writes docs/assembly.md anew
    #[arg(long)]
    write: bool,
}

/// Functions of other compilations that polls may call: cold ones, by a part of their symbol, and why they are called.
/// Those of this compilation need no entry, since the compiler puts cold functions into a section of their own.
const COLD: &[&str] = &[
    "igb_ring5chunk7discard", // a foreign or unsendable buffer
    "igb_ring4pool4home",     // a buffer that is dropped rather than given back
    "igb_ring4pool5Inner",    // the shared stock, for 64 buffers at a time
    "igb_ring2rx14Parts",     // refit: a buffer of another size
    "igb_ring2rx5chain",      // a frame over several buffers, a write-back that cannot be true
    "igb_ring2tx5mixed",      // descriptors with offload contexts
    "6divide17h",             // a batch longer than one report covers
    "igb5queue7refused",      // a frame that no port took
    "drop_slow",              // the last handle of a device
    "panic",                  // bounds that hold
    "slice_index_fail",
    "igb_regs9generated6beyond",
];

/// As a step of the tests.
pub(crate) fn step(console: &mut Console) -> Result<()> {
    run(console, &Options { write: false })
}

/// Compiles and compares.
pub(crate) fn run(console: &mut Console, options: &Options) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Error::Skipped("the assembly that is read here is x86-64's".into()));
    }
    let listing = Listing::parse(&compile(console)?);
    let pairs = listing.pairs()?;
    let polls = listing.polls()?;
    let compiler = compiler(console)?;
    let page = listing.page(&compiler);
    let path = metadata::root().join(PAGE);
    let seen = if options.write {
        fs::write(&path, &page).during(|| format!("writing {}", path.display()))?;
        "written"
    } else {
        judge(&fs::read_to_string(&path).during(|| format!("reading {}", path.display()))?, &page, &compiler)?
    };
    println!(
        "{pairs} pairs of functions are the same instructions; {polls} polls have no locked instruction; {PAGE} is {seen}"
    );
    Ok(())
}

/// Compares the page with what it should be, if it is of this compiler.
fn judge(found: &str, page: &str, compiler: &str) -> Result<&'static str> {
    if found == page {
        Ok("up to date")
    } else if found.contains(&by(compiler)) {
        Err(Error::Failed(format!("{PAGE} is not what the compiler gives; run `cargo xtask asm --write`")))
    } else {
        Ok("of another compiler, and not compared")
    }
}

/// How the page names its compiler.
fn by(compiler: &str) -> String {
    format!("Compiled by {compiler} for x86-64 at the level of a release")
}

/// `rustc 1.95.0`, of the toolchain that runs us.
fn compiler(console: &mut Console) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = run::quiet(console, "asking the compiler", Command::new(rustc).arg("--version"))?;
    Ok(text.split(" (").next().unwrap_or_default().trim().to_owned())
}

fn compile(console: &mut Console) -> Result<String> {
    let folder = metadata::root().join("target/xtask");
    fs::create_dir_all(&folder).during(|| format!("making {}", folder.display()))?;
    let path = folder.join("assembly.s");
    let _ = fs::remove_file(&path);
    // Cargo does not know of that file: something must differ, or it takes yesterday's build for done.
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    let mut cargo = run::cargo();
    cargo
        .args(["rustc", "--release", "--package", "igb-bench", "--example", "assembly", "--"])
        .arg(format!("--emit=asm={}", path.display()))
        .args(["-C", "debuginfo=0", "-C"])
        .arg(format!("metadata={now}"))
        .env_remove("RUSTFLAGS");
    run::quiet(console, "compiling to assembly", &mut cargo)?;
    fs::read_to_string(&path).during(|| format!("reading {}", path.display()))
}

#[derive(Debug, Default)]
struct Function {
    cold: bool,
    /// Instructions and labels, without directives and comments.
    lines: Vec<String>,
}

#[derive(Debug, Default)]
struct Listing {
    functions: BTreeMap<String, Function>,
    /// Two names of one function.
    aliases: BTreeMap<String, String>,
}

impl Listing {
    fn parse(text: &str) -> Self {
        let mut listing = Self::default();
        let mut cold = false;
        let mut typed = String::new();
        let mut current: Option<(String, Function)> = None;
        for raw in text.lines() {
            let line = raw.split('#').next().unwrap_or_default().trim();
            if let Some((name, mut function)) = current.take() {
                if line.starts_with(".Lfunc_end") {
                    listing.functions.insert(name, function);
                    continue;
                }
                if line.ends_with(':') || !line.is_empty() && !line.starts_with('.') {
                    function.lines.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
                }
                current = Some((name, function));
            } else if let Some(section) = line.strip_prefix(".section") {
                cold = section.trim().trim_start_matches('"').starts_with(".text.unlikely");
            } else if line == ".text" {
                cold = false;
            } else if let Some(rest) = line.strip_prefix(".type") {
                let (name, kind) = rest.split_once(',').unwrap_or_default();
                if kind.trim() == "@function" {
                    typed = name.trim().to_owned();
                }
            } else if let Some((name, target)) =
                line.strip_prefix(".set").and_then(|rest| rest.split_once(','))
            {
                listing.aliases.insert(name.trim().to_owned(), target.trim().to_owned());
            } else if let Some(name) = line.strip_suffix(':').filter(|name| *name == typed) {
                current = Some((name.to_owned(), Function { cold, lines: Vec::new() }));
            }
        }
        listing
    }

    /// Compares every `ours_NAME` with its `hand_NAME`, and says how many there are.
    fn pairs(&self) -> Result<usize> {
        let names: BTreeSet<&str> = self
            .functions
            .keys()
            .chain(self.aliases.keys())
            .filter_map(|name| name.strip_prefix("ours_").or_else(|| name.strip_prefix("hand_")))
            .collect();
        let mut wrong = String::new();
        for name in &names {
            let (ours, hand) = (format!("ours_{name}"), format!("hand_{name}"));
            let (Some(a), Some(b)) = (self.body(&ours), self.body(&hand)) else {
                return Err(Error::Failed(format!("{name} is not in the assembly in both ways")));
            };
            let jump = |from: &[String], to: &str| {
                from.len() == 1 && from[0].starts_with("jmp") && from[0].contains(to)
            };
            if a != b && !jump(&a, &hand) && !jump(&b, &ours) {
                wrong.push_str(&format!("{ours}:\n\t{}\n{hand}:\n\t{}\n", a.join("\n\t"), b.join("\n\t")));
            }
        }
        match (names.len(), wrong.is_empty()) {
            (0, _) => Err(Error::Failed("the assembly has no pairs".into())),
            (count, true) => Ok(count),
            _ => Err(Error::Failed(format!("not the same instructions:\n{wrong}"))),
        }
    }

    fn body(&self, name: &str) -> Option<Vec<String>> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        Some(normal(&self.functions.get(name)?.lines))
    }

    /// The page with what register handles become.
    fn page(&self, compiler: &str) -> String {
        let mut page = format!(
            "# What register accesses become\n\n\
             Written by `cargo xtask asm --write` from [bench/examples/assembly.rs](../bench/examples/assembly.rs), where each\n\
             function stands beside one with volatile accesses and masks written by hand; both are the same instructions.\n\
             {}.\n",
            by(compiler)
        );
        let names: BTreeSet<&str> =
            self.functions.keys().chain(self.aliases.keys()).map(String::as_str).collect();
        for name in names.iter().filter_map(|name| name.strip_prefix("ours_")) {
            let lines = self.body(&format!("ours_{name}")).unwrap_or_default();
            let _ = write!(page, "\n## {}\n\n```asm\n", name.replace('_', " "));
            for line in lines {
                let indent = if line.ends_with(':') { "" } else { "    " };
                let _ = writeln!(page, "{indent}{line}");
            }
            page.push_str("```\n");
        }
        page
    }

    /// Walks through every `hot_NAME`, and says how many there are.
    fn polls(&self) -> Result<usize> {
        let roots: Vec<&str> =
            self.functions.keys().map(String::as_str).filter(|name| name.starts_with("hot_")).collect();
        let mut seen: BTreeSet<&str> = roots.iter().copied().collect();
        let mut open = roots.clone();
        let mut wrong = String::new();
        while let Some(name) = open.pop() {
            let Some(function) = self.functions.get(name) else { continue };
            let walk = Walk::through(&function.lines);
            for at in walk.reached {
                let line = &function.lines[at];
                if locked(line) {
                    let next = function.lines.get(at + 1).map_or("", String::as_str);
                    wrong.push_str(&format!("{name}: {line} {next}\n"));
                }
            }
            for callee in walk.calls {
                let callee = self.aliases.get(callee).map_or(callee, String::as_str);
                match self.functions.get_key_value(callee) {
                    Some((_, function)) if function.cold => {}
                    _ if COLD.iter().any(|part| callee.contains(part)) => {}
                    Some((name, _)) => {
                        if seen.insert(name) {
                            open.push(name);
                        }
                    }
                    None => wrong.push_str(&format!(
                        "{name}: calls {callee}, which is neither here nor known as cold\n"
                    )),
                }
            }
        }
        if roots.is_empty() {
            return Err(Error::Failed("the assembly has no polls".into()));
        }
        if wrong.is_empty() {
            Ok(roots.len())
        } else {
            Err(Error::Failed(format!("on the hot path:\n{wrong}")))
        }
    }
}

/// A lock prefix, an exchange with memory, which locks without one, or a fence that costs as much.
fn locked(line: &str) -> bool {
    line.starts_with("lock") || line.starts_with("mfence") || line.starts_with("xchg") && line.contains('(')
}

/// Labels by order of appearance, so that two functions can be compared.
fn normal(lines: &[String]) -> Vec<String> {
    let labels: Vec<&str> = lines.iter().filter_map(|line| line.strip_suffix(':')).collect();
    let referred = |label: &str| lines.iter().any(|line| !line.ends_with(':') && line.ends_with(label));
    let used: Vec<&str> = labels.into_iter().filter(|label| referred(label)).collect();
    let mut normal = Vec::new();
    for line in lines {
        let (text, is_label) = line.strip_suffix(':').map_or((line.as_str(), false), |label| (label, true));
        match used.iter().position(|label| text.ends_with(label)) {
            Some(n) if is_label => normal.push(format!("{n}:")),
            Some(n) => normal.push(format!("{}{n}", text.trim_end_matches(used[n]))),
            None if is_label => {}
            None => normal.push(text.to_owned()),
        }
    }
    for at in 1..normal.len() {
        let (Some(compare), Some(jump)) = (above(&normal[at - 1]), normal[at].strip_prefix("ja ")) else {
            continue;
        };
        let jump = format!("jae {jump}");
        (normal[at - 1], normal[at]) = (compare, jump);
    }
    normal
}

/// "More than n" is "n + 1 and more": a comparison with a number, with the next one.
fn above(compare: &str) -> Option<String> {
    let (mnemonic, rest) = compare.split_once(" $").filter(|(mnemonic, _)| mnemonic.starts_with("cmp"))?;
    let (number, rest) = rest.split_once(',')?;
    Some(format!("{mnemonic} ${},{rest}", number.parse::<u32>().ok()?.checked_add(1)?))
}

/// What is reached from a function's first instruction. Landing pads of unwinding are not: nothing jumps there.
struct Walk<'a> {
    reached: BTreeSet<usize>,
    calls: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn through(lines: &'a [String]) -> Self {
        let labels: BTreeMap<&str, usize> =
            lines.iter().enumerate().filter_map(|(at, line)| Some((line.strip_suffix(':')?, at))).collect();
        let mut walk = Self { reached: BTreeSet::new(), calls: BTreeSet::new() };
        let mut open = vec![0];
        while let Some(mut at) = open.pop() {
            while let Some(line) = lines.get(at) {
                if !walk.reached.insert(at) {
                    break;
                }
                at += 1;
                let (mnemonic, operand) = line.split_once(' ').unwrap_or((line, ""));
                if line.ends_with(':') {
                    continue;
                }
                if mnemonic.starts_with("call") {
                    let name = symbol(operand);
                    match name.starts_with('%') {
                        true => walk.calls.extend(pointers(lines, name)),
                        false => drop(walk.calls.insert(name)),
                    }
                    if ["panic", "_fail", "Unwind_Resume", "beyond"].iter().any(|part| name.contains(part)) {
                        break;
                    }
                } else if mnemonic.starts_with('j') {
                    match labels.get(operand) {
                        Some(target) => open.push(*target),
                        // A table of targets: all of them.
                        None if operand.starts_with("*%")
                            || operand.contains('(') && !operand.contains("@GOT") =>
                        {
                            open.extend(labels.values());
                        }
                        None => {
                            walk.calls.insert(symbol(operand));
                        }
                    }
                    if mnemonic.starts_with("jmp") {
                        break;
                    }
                } else if mnemonic.starts_with("ret") || mnemonic == "ud2" {
                    break;
                }
            }
        }
        walk
    }
}

/// The functions whose addresses are put into a register anywhere; the register itself if there are none.
fn pointers<'a>(lines: &'a [String], register: &'a str) -> Vec<&'a str> {
    let load = |line: &'a String| {
        let (source, target) = line.strip_prefix("movq ")?.split_once(", ")?;
        (target == register && source.contains("@GOTPCREL")).then(|| symbol(source))
    };
    let found: Vec<&str> = lines.iter().filter_map(load).collect();
    if found.is_empty() { vec![register] } else { found }
}

/// `*name@GOTPCREL(%rip)` and `name@PLT` as `name`.
fn symbol(operand: &str) -> &str {
    operand.trim_start_matches('*').split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
	.section	.text.ours_a,\"ax\",@progbits
	.type	ours_a,@function
ours_a:
	.cfi_startproc
	cmpq	$3, %rsi
	ja	.LBB7_2	# a comment
	movl	%edx, (%rdi)
.LBB7_2:
	retq
.Lfunc_end7:
	.type	hand_a,@function
hand_a:
	cmpq	$4, %rsi
	jae	.LBB0_2
.LBB0_1:
	movl	%edx, (%rdi)
.LBB0_2:
	retq
.Lfunc_end0:
	.section	\".text.unlikely.rare\",\"ax\",@progbits
	.type	rare,@function
rare:
	lock		incq	(%rax)
	retq
.Lfunc_end8:
	.text
	.type	hot_b,@function
hot_b:
	callq	rare
	movq	helper@GOTPCREL(%rip), %r8
	callq	*%r8
	callq	*_core9panicking5panic@GOTPCREL(%rip)
.LBB1_9:
	lock		decq	(%rax)
	callq	_Unwind_Resume@PLT
.Lfunc_end1:
	.type	helper,@function
helper:
	retq
.Lfunc_end2:
";

    #[test]
    fn labels_do_not_matter_and_instructions_do() {
        assert_eq!(Listing::parse(TEXT).pairs().unwrap(), 1);
        let other = TEXT.replacen("movl	%edx, (%rdi)", "movl	%edx, 8(%rdi)", 1);
        assert!(Listing::parse(&other).pairs().unwrap_err().to_string().contains("8(%rdi)"));
        assert!(Listing::parse("").pairs().is_err());
    }

    #[test]
    fn a_page_of_this_compiler_must_be_what_it_gives() {
        let page = Listing::parse(TEXT).page("rustc 1.2.3");
        assert!(page.contains("## a\n\n```asm\n    cmpq $4, %rsi\n    jae 0\n"), "{page}");
        assert_eq!(judge(&page, &page, "rustc 1.2.3").unwrap(), "up to date");
        let other = page.replace("$4", "$5");
        assert!(judge(&other, &page, "rustc 1.2.3").is_err());
        assert!(judge(&other.replace("1.2.3", "1.2.2"), &page, "rustc 1.2.3").is_ok());
    }

    #[test]
    fn locks_count_where_the_hot_path_goes() {
        // Neither the cold function nor the landing pad.
        assert_eq!(Listing::parse(TEXT).polls().unwrap(), 1);
        let helper = TEXT.replace("helper:\n", "helper:\n\tlock\t\tincq\t(%rax)\n");
        assert!(
            Listing::parse(&helper).polls().unwrap_err().to_string().contains("helper: lock incq (%rax)")
        );
        let exchange = TEXT.replace("helper:\n", "helper:\n\txchgl\t%eax, (%rdi)\n");
        assert!(Listing::parse(&exchange).polls().is_err());
        let unknown = TEXT.replace("movq	helper@", "movq	elsewhere@");
        assert!(Listing::parse(&unknown).polls().unwrap_err().to_string().contains("elsewhere"));
    }
}
