//! Every register of the 82576 that is described, tried on QEMU's 82576: what it holds after a reset, which bits follow
//! a write, which are set by 1 and stay, which a read clears, which 1 clears.
//!
//! What is expected comes from the tables that `specs/` gives. Where the model does otherwise, `sweep.yaml` says so and
//! why; a difference that is not there, or one there that is no more, fails. `BLESS=1` writes the file anew and keeps
//! the reasons that it has; a new line gets none, and the test goes on failing until somebody gives it one.

mod nic;

use igb::{PciConfig, Platform};
use igb_qtest::{Machine, Port, Timing};
use igb_regs::meta::{Access, REGISTERS, RegisterInfo};
use igb_regs::{Bus, Chip};
use nic::{Nic, frame};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

const CHIP: Chip = Chip::I82576;
const NOT_EXPLAINED: &str = "unexplained";

/// `sweep.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// What a `why` stands for.
    reasons: BTreeMap<String, Reason>,
    differences: Vec<Line>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    kind: Kind,
    text: String,
}

/// Whose matter a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The model lacks or simplifies it.
    Model,
    /// Sources contradict the model, and none is the chip itself.
    Disputed,
    /// The table cannot say what the register does.
    Form,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    register: String,
    what: String,
    model: String,
    specs: String,
    why: String,
}

/// What one element of a register did.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// First read after a reset.
    reset: u32,
    /// Bits that were gone at the second read.
    lost: u32,
    /// Bits that are what was written last.
    writable: u32,
    /// Bits that 1 sets and 0 leaves.
    sticky: u32,
}

/// A difference: what, what the model does, what specs/ say.
type Difference = (&'static str, String, String);

fn hex(value: u32) -> String {
    format!("{value:#010x}")
}

struct Bench {
    port: Port,
    /// Function-level reset: the PCI Express capability's control register.
    control: u16,
}

impl Bench {
    fn new(machine: &Machine) -> Self {
        let port = machine.port(0).unwrap();
        let pci = port.pci();
        let mut at = pci.read32(0x34) & 0xfc;
        while pci.read32(at as u16) & 0xff != 0x10 {
            at = pci.read32(at as u16) >> 8 & 0xfc;
            assert_ne!(at, 0, "no PCI Express capability");
        }
        Self { control: at as u16 + 8, port }
    }

    fn reset(&self) {
        let pci = self.port.pci();
        pci.write32(self.control, pci.read32(self.control) & 0xffff | 1 << 15);
    }

    fn read(&self, offset: u32) -> u32 {
        self.port.bus().read32(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        self.port.bus().write32(offset, value);
    }

    /// Writes ones, zeros and, with `walk`, one bit at a time. Bits that start something are left alone.
    fn look(&self, register: &RegisterInfo, offset: u32, walk: bool) -> Seen {
        let acting = [Access::SelfClearing, Access::Trigger, Access::ReadSet]
            .into_iter()
            .fold(0, |mask, kind| mask | register.mask(CHIP, kind));
        let reset = self.read(offset);
        let lost = reset & !self.read(offset);
        self.write(offset, !acting);
        let ones = self.read(offset);
        self.write(offset, 0);
        let zeros = self.read(offset);
        let mut writable = ones & !zeros;
        // One bit alone may be refused where all together are taken, and the other way round.
        for bit in (0..32).map(|bit| 1 << bit).filter(|bit| walk && acting & bit == 0) {
            self.write(offset, bit);
            let alone = self.read(offset) & bit;
            self.write(offset, 0);
            if alone != 0 && self.read(offset) & bit == 0 {
                writable |= bit;
            }
        }
        Seen { reset, lost, writable, sticky: ones & zeros & !reset }
    }
}

/// What specs/ say of a register, against what was seen.
fn judge(register: &RegisterInfo, seen: &Seen) -> Vec<Difference> {
    let mask = |kinds: &[Access]| kinds.iter().fold(0, |all, kind| all | register.mask(CHIP, *kind));
    let mut found = Vec::new();
    let expected = register.place(CHIP).and_then(|place| place.reset);
    let readable = register.access(CHIP) != Access::WriteOnly;
    if seen.reset != expected.unwrap_or(0) && readable {
        found.push(("reset", hex(seen.reset), expected.map_or("unsaid".into(), hex)));
    }
    let plain = mask(&[Access::ReadWrite]);
    // Where nothing at all answers, the register is not there.
    let silent = seen.reset | seen.writable | seen.sticky == 0;
    if silent && (plain != 0 || expected.is_some_and(|value| value != 0)) {
        return vec![("answers", "no".into(), "yes".into())];
    }
    if seen.writable != plain && readable {
        found.push(("writable", hex(seen.writable), hex(plain)));
    }
    let sets = mask(&[Access::WriteOneSet]);
    if seen.sticky != sets && readable {
        found.push(("set by 1", hex(seen.sticky), hex(sets)));
    }
    let clears = mask(&[Access::ReadClear, Access::ReadClearWriteOneClear]) & seen.reset;
    if seen.lost != clears && readable {
        found.push(("cleared by a read", hex(seen.lost), hex(clears)));
    }
    found
}

/// Elements that did the same, as `NAME[0-3]`.
fn grouped(register: &RegisterInfo, each: Vec<(u16, Vec<Difference>)>) -> Vec<Line> {
    let mut runs: Vec<(u16, u16, Vec<Difference>)> = Vec::new();
    for (index, found) in each {
        match runs.last_mut() {
            Some((_, last, same)) if *same == found && *last + 1 == index => *last = index,
            _ => runs.push((index, index, found)),
        }
    }
    let name = |first: u16, last: u16| match (register.is_array, first == last) {
        (false, _) => register.name.to_owned(),
        (true, true) => format!("{}[{first}]", register.name),
        (true, false) => format!("{}[{first}-{last}]", register.name),
    };
    let line = |first: u16, last: u16, (what, model, specs): &Difference| Line {
        register: name(first, last),
        what: (*what).to_owned(),
        model: model.clone(),
        specs: specs.clone(),
        why: NOT_EXPLAINED.into(),
    };
    runs.iter().flat_map(|(first, last, found)| found.iter().map(|one| line(*first, *last, one))).collect()
}

fn sweep(bench: &Bench) -> Vec<Line> {
    let mut lines = Vec::new();
    for register in REGISTERS {
        let Some(place) = register.place(CHIP) else { continue };
        let last = place.count() - 1;
        let each = (0..=last).map(|index| {
            let offset = place.offset_of(index).unwrap();
            bench.reset();
            // In between, all bits together will do.
            (index, judge(register, &bench.look(register, offset, index == 0 || index == last)))
        });
        lines.extend(grouped(register, each.collect()));
    }
    lines
}

/// Causes are set by their companions; then a read and a 1 show what they clear.
fn causes(bench: &Bench) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, set_by) in [("ICR", "ICS"), ("EICR", "EICS")] {
        let register = igb_regs::meta::by_name(name).unwrap();
        let at = |name| igb_regs::meta::by_name(name).unwrap().place(CHIP).unwrap().offset_of(0).unwrap();
        let (offset, set) = (at(name), at(set_by));
        let (mut by_read, mut by_one, mut settable) = (0, 0, 0);
        for bit in (0..32).map(|bit| 1_u32 << bit) {
            bench.reset();
            bench.write(set, bit);
            let there = bench.read(offset) & bit;
            settable |= there;
            by_read |= there & !bench.read(offset);
            bench.reset();
            bench.write(set, bit);
            bench.write(offset, bit);
            by_one |= there & !bench.read(offset);
        }
        let mask = |kinds: &[Access]| kinds.iter().fold(0, |all, kind| all | register.mask(CHIP, *kind));
        let reads = settable & mask(&[Access::ReadClear, Access::ReadClearWriteOneClear]);
        let ones = settable & mask(&[Access::WriteOneClear, Access::ReadClearWriteOneClear]);
        let known = mask(&[Access::ReadClear, Access::WriteOneClear, Access::ReadClearWriteOneClear]);
        let companion = igb_regs::meta::by_name(set_by).unwrap();
        let known = known & companion.fields(CHIP).fold(0, |all, field| all | field.mask());
        let found = [
            ("set by its companion", settable, known),
            ("cleared by a read", by_read, reads),
            ("cleared by 1", by_one, ones),
        ];
        let found = found.into_iter().filter(|(_, model, specs)| model != specs);
        let found = found.map(|(what, model, specs)| (what, hex(model), hex(specs)));
        lines.extend(grouped(register, vec![(0, found.collect())]));
    }
    lines
}

/// Virtual functions are switched on, which sets their bits of VFLRE: the one register of that kind without a companion.
fn functions(bench: &Bench) -> Vec<Line> {
    const SRIOV: u16 = 0x160;
    bench.reset();
    let pci = bench.port.pci();
    pci.write32(SRIOV + 0x10, 2); // NumVFs
    pci.write32(SRIOV + 0x08, 1); // VF enable
    let register = igb_regs::meta::by_name("VFLRE").unwrap();
    let offset = register.place(CHIP).unwrap().offset_of(0).unwrap();
    let set = bench.read(offset);
    let lost = set & !bench.read(offset);
    bench.write(offset, 1);
    let by_one = set & !bench.read(offset);
    pci.write32(SRIOV + 0x08, 0);
    assert_eq!(set, 3, "two functions came");
    let expected = if register.mask(CHIP, Access::WriteOneClear) & 1 != 0 { 1 } else { 0 };
    let mut found = Vec::new();
    if lost != 0 {
        found.push(("cleared by a read", hex(lost), hex(0)));
    }
    if by_one != expected {
        found.push(("cleared by 1", hex(by_one), hex(expected)));
    }
    grouped(register, vec![(0, found)])
}

/// Frames of all lengths and kinds in both directions; what counted them is read twice.
fn counters() -> Vec<Line> {
    let machine = Machine::builder().pair().timing(Timing::Warp).start().unwrap();
    let mut nics = [0, 1].map(|index| Nic::start(machine.port(index).unwrap()));
    for nic in &nics {
        nic.link_up();
    }
    let mut traffic = || {
        for target in [[0x52, 0x54, 0, 0, 0, 2], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
            for (round, len) in [60, 100, 200, 400, 800, 1400].into_iter().enumerate() {
                let mut out = frame(len, round as u32);
                out[..6].copy_from_slice(&target);
                for from in [0, 1] {
                    nics[from].send(&out);
                    assert_eq!(nics[from ^ 1].receive(), out);
                }
            }
        }
        nics[0].bus.clone()
    };
    let mut lines = Vec::new();
    let mut exercised = 0;
    for register in REGISTERS {
        let clears = register.mask(CHIP, Access::ReadClear);
        let Some(place) = register.place(CHIP).filter(|_| register.group == "statistics") else { continue };
        // The halves of a pair are two registers: the frames come anew for each register.
        let bus = traffic();
        let offset = place.offset_of(0).unwrap();
        let (first, second) = (bus.read32(offset), bus.read32(offset));
        if first == 0 {
            continue;
        }
        exercised += 1;
        let (lost, expected) = (first & !second, first & clears);
        if lost != expected || second != first & !clears {
            let found = vec![("counts cleared by a read", yes(lost == first), yes(expected == first))];
            lines.extend(grouped(register, vec![(0, found)]));
        }
    }
    assert!(exercised > 20, "only {exercised} counters counted");
    lines
}

fn yes(yes: bool) -> String {
    if yes { "all" } else { "not all" }.into()
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sweep.yaml")
}

fn bless(table: &Table, lines: &[Line]) {
    let mut text = String::from(
        "# What QEMU's 82576 does otherwise than specs/ say, by tests/sweep.rs; BLESS=1 writes it anew and keeps the reasons.\n\
         reasons:\n",
    );
    for (name, reason) in &table.reasons {
        let kind = format!("{:?}", reason.kind).to_lowercase();
        let _ = writeln!(text, "  {name}:\n    kind: {kind}\n    text: >-\n      {}", reason.text);
    }
    text.push_str("differences:\n");
    for line in lines {
        let Line { register, what, model, specs, why } = line;
        let _ = writeln!(
            text,
            "  - {{ register: \"{register}\", what: {what}, model: \"{model}\", specs: \"{specs}\", why: {why} }}"
        );
    }
    std::fs::write(path(), text).unwrap();
}

#[test]
fn every_register_does_what_is_described_or_it_is_known_why_not() {
    let machine = Machine::builder().pair().start().unwrap();
    let bench = Bench::new(&machine);
    let mut lines = sweep(&bench);
    lines.extend(causes(&bench));
    lines.extend(functions(&bench));
    drop(bench);
    lines.extend(counters());

    let table: Table = serde_saphyr::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let same = |a: &Line, b: &Line| (&a.register, &a.what) == (&b.register, &b.what);
    for line in &mut lines {
        if let Some(known) = table.differences.iter().find(|known| same(known, line)) {
            line.why.clone_from(&known.why);
        }
    }
    if std::env::var_os("BLESS").is_some() {
        bless(&table, &lines);
    }
    let mut wrong = String::new();
    for line in &lines {
        let known = table.differences.iter().any(|known| known == line);
        if !known || !table.reasons.contains_key(&line.why) {
            let Line { register, what, model, specs, why } = line;
            let _ = writeln!(wrong, "{register}: {what}: the model {model}, specs {specs} ({why})");
        }
    }
    for known in table.differences.iter().filter(|known| !lines.iter().any(|line| same(known, line))) {
        let _ = writeln!(wrong, "{}: {}: no difference any more", known.register, known.what);
    }
    for reason in table.reasons.keys().filter(|name| !lines.iter().any(|line| line.why == **name)) {
        let _ = writeln!(wrong, "nothing has the reason {reason}");
    }
    assert!(
        wrong.is_empty(),
        "QEMU's 82576 and specs/ differ otherwise than tests/sweep.yaml says (BLESS=1 writes it anew):\n{wrong}"
    );
}
