//! What the demo tells people.

use super::plan::{Plan, SHORTEST};
use crate::args::Demo;
use crate::compare::Verdict;
use crate::machine::Bench;
use crate::nic::{Summary, table};
use crate::table::count;
use std::fmt::Write;
use std::path::Path;

/// The demo's answer for people.
pub(super) fn text(
    plan: &Plan,
    options: &Demo,
    bench: &dyn Bench,
    verdict: &Verdict,
    nics: &[Summary; 2],
    complaints: &[String],
    path: &Path,
) -> String {
    let mut text = String::new();
    let input = options.file.as_ref().map_or("the sample capture".into(), |file| file.display().to_string());
    let _ = writeln!(text, "This ran on {}: no hardware was touched.", bench.describe());
    let _ = writeln!(
        text,
        "{input} -> wire -> NIC A receives -> igb forwards -> NIC B sends -> wire -> {}\n",
        path.display()
    );
    let _ = write!(text, "{} frames went in", count(verdict.sent));
    if options.repeat > 1 {
        let _ = write!(text, " ({} times {})", options.repeat, plan.frames.len());
    }
    let _ = writeln!(
        text,
        ", {} of them padded to {SHORTEST} bytes.",
        count(plan.padded * u64::from(options.repeat))
    );
    if plan.refused() > 0 {
        let _ = writeln!(text, "{} were refused: {}.", count(plan.refused()), plan.refusals());
    }
    let _ = if verdict.is_good(options.rings.queues == 1) {
        let order = match verdict.overtaking {
            0 => "in order".to_owned(),
            some => format!("{} of them overtaking others in another queue", count(some)),
        };
        writeln!(text, "{} came out, byte for byte what went in, {order}.\n", count(verdict.same))
    } else {
        writeln!(
            text,
            "{} came out as they went in; {} are wrong, {} are missing, {} overtook others.\n",
            count(verdict.same),
            count(verdict.wrong),
            count(verdict.missing),
            count(verdict.overtaking)
        )
    };
    for complaint in complaints {
        let _ = writeln!(text, "the simulator objects: {complaint}");
    }
    text.push_str(&table(nics));
    if let [a, b] = nics
        && verdict.same > 0
    {
        let doorbells = (a.running.rx_doorbells + b.running.tx_doorbells) as f64;
        let reads = (a.running.reads + b.running.reads) as f64;
        let frames = verdict.same as f64;
        let _ = writeln!(
            text,
            "\n  {:.1} frames a doorbell (A's receive tail and B's transmit tail), {:.2} register reads a frame.",
            2.0 * frames / doorbells.max(1.0),
            reads / frames
        );
    }
    text
}
