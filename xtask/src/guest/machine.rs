//! The emulated machine: starts it, follows its console, and judges what it left behind.
//!
//! The guest has two serial lines. The first is its console. On the second, into a file, the init script reports:
//! `up SECONDS` when the job begins, `note TEXT` for what a job wants shown, `exit STATUS` when it ended, and then the
//! kernel's log. A guest that stops without a status has failed, whatever stopped it.

use super::clock;
use super::evidence;
use super::image::Image;
use super::job::Job;
use super::simulated::Served;
use super::trace;
use crate::run::Console;
use crate::{Result, While};
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

/// What of this machine a job needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host<'a> {
    pub(crate) qemu: &'a Path,
    /// The programs that were built, by name.
    pub(crate) programs: &'a BTreeMap<String, PathBuf>,
}

/// How long a kernel that was asked may be silent before it has said all.
const ANSWERING: Duration = Duration::from_secs(3);

/// Files of a machine: what it starts from, where it reports, where it is told things, what QEMU says.
struct Files<'a> {
    initrd: &'a Path,
    status: &'a Path,
    control: &'a Path,
    said: &'a Path,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// From the start of the machine to its end.
    pub(crate) seconds: f64,
    /// From the start of the machine to the start of the job.
    pub(crate) boot_seconds: f64,
    pub(crate) notes: Vec<String>,
    /// Lines of the kernel's log that should not be there.
    pub(crate) complaints: Vec<String>,
    pub(crate) console: String,
    pub(crate) log: Option<PathBuf>,
}

/// Passed, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// The script's own status.
    Status(u32),
    Timeout,
    /// The machine stopped without a status: a panic, or QEMU itself.
    Died(String),
    /// The script was content, the kernel was not.
    Complaints,
    /// A complaint that the job provokes did not come.
    Silent(String),
    /// What was done to the registers does not decode.
    Unknown(Vec<String>),
}

impl Verdict {
    /// Why it did not pass.
    pub(crate) fn reason(&self, job: &Job) -> Option<String> {
        Some(match self {
            Self::Passed => return None,
            Self::Status(status) => format!("the job ended with status {status}"),
            Self::Timeout => format!("the guest did not end within {} s", job.timeout_secs),
            Self::Died(how) => format!("the guest stopped before the job ended: {how}"),
            Self::Complaints => "the job ended well, but the kernel complained".into(),
            Self::Unknown(lines) => {
                format!(
                    "specs/ do not describe what was done to the registers:\n    {}",
                    lines.join("\n    ")
                )
            }
            Self::Silent(text) => format!("the kernel's log should hold `{text}` after this job"),
        })
    }
}

/// Boots a machine for `job` and waits for its end.
pub(crate) fn run(
    console: &mut Console,
    host: Host<'_>,
    image: &Image,
    job: &Job,
    archive: &[u8],
    folder: &Path,
    keep_log: bool,
) -> Result<Outcome> {
    // Two runs may go on at the same time.
    sweep(folder);
    let work = folder.join(format!("run-{}", std::process::id()));
    fs::create_dir_all(&work).during(|| format!("making {}", work.display()))?;
    let outcome = boot(console, host, image, job, archive, &work).and_then(|(mut outcome, report)| {
        if keep_log || outcome.verdict != Verdict::Passed {
            outcome.log = Some(keep(folder, job, &outcome, &report)?);
        } else {
            let _ = fs::remove_file(log(folder, job)); // of a run that failed, and is no longer true
        }
        Ok(outcome)
    });
    let _ = fs::remove_dir_all(&work);
    outcome
}

/// Removes what runs left that were killed.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process =
            name.to_str().and_then(|name| name.strip_prefix("run-")).filter(|id| id.parse::<u32>().is_ok());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn log(folder: &Path, job: &Job) -> PathBuf {
    folder.join("logs").join(format!("{}.log", job.name))
}

fn keep(folder: &Path, job: &Job, outcome: &Outcome, report: &str) -> Result<PathBuf> {
    let path = log(folder, job);
    let text = format!("=== console\n{}\n=== report and kernel log\n{report}\n", outcome.console.trim_end());
    fs::create_dir_all(path.parent().unwrap_or(folder))
        .and_then(|()| fs::write(&path, text))
        .during(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn boot(
    console: &mut Console,
    host: Host<'_>,
    image: &Image,
    job: &Job,
    archive: &[u8],
    work: &Path,
) -> Result<(Outcome, String)> {
    let (initrd, status) = (work.join("initrd"), work.join("status"));
    fs::write(&initrd, archive).during(|| format!("writing {}", initrd.display()))?;
    fs::write(&status, "").during(|| format!("writing {}", status.display()))?;

    let started = Instant::now();
    let said = work.join("qemu");
    let served = Served::start(job, host.programs, work)?;
    let socket = Socket::new();
    let files = Files { initrd: &initrd, status: &status, control: &socket.path, said: &said };
    let (mut child, program) = start(host.qemu, image, job, served.as_ref(), &files)?;
    let mut lines = Lines::new(&mut child);
    let ended = match lines.follow(console, job, started) {
        true => Some(child.wait().during(|| format!("waiting for {program}"))?),
        false => {
            console.now(&format!("{}: no end in time, looking why", job.name));
            let evidence = evidence::take(&child, &socket.path, job);
            lines.text.push_str(&format!("=== no end in time; the machine from outside:\n{evidence}"));
            lines.text.push_str("=== and what its kernel says when asked:\n");
            let asked = child.stdin.as_mut().map(|input| evidence::ask_kernel(input, &socket.path));
            lines.rest(ANSWERING);
            if let Some(Err(error)) = asked {
                lines.text.push_str(&format!("the kernel could not be asked: {error}\n"));
            }
            let _ = child.kill();
            let _ = child.wait();
            None
        }
    };
    let said = fs::read(&said).unwrap_or_default();
    let said: Vec<String> = String::from_utf8_lossy(&said)
        .lines()
        .filter(|line| !line.contains("is not connected to host network")) // as it should be
        .filter(|line| !line.contains("Could not enable error recovery")) // simulated chips have no such interrupt
        .map(str::to_owned)
        .collect();
    let report = fs::read(&status).during(|| format!("reading {}", status.display()))?;
    let report = Report::parse(&String::from_utf8_lossy(&report));
    let complaints: Vec<String> = complaints(report.kernel.lines().chain(lines.text.lines()))
        .into_iter()
        .filter(|line| !job.expected.iter().any(|text| line.contains(text.as_str())))
        .collect();
    let mut verdict = judge(job, &report, ended, &complaints, &said);
    let mut notes = report.notes.clone();
    if job.trace && verdict == Verdict::Passed {
        console.now(&format!("{}: decoding its accesses", job.name));
        verdict = decode(&traced(&status), &mut notes)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let outcome = Outcome {
        verdict,
        seconds,
        boot_seconds: lines.job_began.unwrap_or(seconds),
        notes,
        complaints,
        console: lines.text,
        log: None,
    };
    Ok((outcome, report.text))
}

/// Where QEMU writes what was done to the registers: beside what the guest reports.
fn traced(status: &Path) -> PathBuf {
    status.with_file_name("trace")
}

/// Judges what QEMU wrote of the accesses to the registers.
fn decode(trace: &Path, notes: &mut Vec<String>) -> Result<Verdict> {
    let reading = || format!("reading {}", trace.display());
    let spec = crate::codegen::load(crate::metadata::root())?;
    let decoded = trace::decode(&spec, BufReader::new(File::open(trace).during(reading)?)).during(reading)?;
    let trace::Decoded { reads, writes, registers, numbers, unknown } = decoded;
    notes.push(format!(
        "{reads} reads and {writes} writes of {} registers, {} of them without fields",
        registers.len(),
        numbers.len()
    ));
    if registers.is_empty() {
        return Ok(Verdict::Unknown(vec!["nothing: the trace has no access to a register".into()]));
    }
    Ok(if unknown.is_empty() { Verdict::Passed } else { Verdict::Unknown(unknown) })
}

fn start(
    qemu: &Path,
    image: &Image,
    job: &Job,
    served: Option<&Served>,
    files: &Files<'_>,
) -> Result<(Child, String)> {
    let mut arguments = arguments(image, job, served, files);
    if job.trace {
        arguments.extend(["-D".to_owned(), traced(files.status).display().to_string()]);
        arguments.extend(trace::EVENTS.iter().flat_map(|event| ["-trace".to_owned(), (*event).to_owned()]));
    }
    let spawn = |mut command: Command| {
        let said = File::create(files.said)?;
        command.args(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(said).spawn()
    };
    let program = qemu.display().to_string();
    // The machine must not outlive us if we are killed. Where util-linux lacks this, the time limit still holds.
    let mut guarded = Command::new("setpriv");
    guarded.args(["--pdeathsig", "KILL"]).arg(qemu);
    let child = match spawn(guarded) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => spawn(Command::new(qemu)),
        other => other,
    };
    Ok((child.during(|| format!("starting {program}"))?, program))
}

/// A q35 machine with an IOMMU, and igb devices behind root ports of their own: each alone in its IOMMU group.
/// Two hub ports of one number are the wire between two devices; nothing leads out of the machine.
fn arguments(image: &Image, job: &Job, served: Option<&Served>, files: &Files<'_>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| list.extend(words.iter().map(|&word| word.to_owned()));
    add(&["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
    add(&["-accel", "tcg", "-machine", "q35,usb=off,memory-backend=ram", "-cpu", "max"]);
    add(&["-smp", &job.cpus.to_string(), "-m", &format!("{}M", job.memory_mib)]);
    // Shared, so that simulated chips reach it.
    add(&["-object", &format!("memory-backend-memfd,id=ram,size={}M,share=on", job.memory_mib)]);
    add(&["-device", "intel-iommu,intremap=on,caching-mode=on"]);
    add(&["-chardev", &format!("stdio,id={},signal=off", evidence::CONSOLE)]);
    add(&["-serial", &format!("chardev:{}", evidence::CONSOLE)]);
    add(&["-serial", &format!("file:{}", files.status.display())]);
    add(&["-qmp", &format!("unix:{},server=on,wait=off", files.control.display())]);
    add(&["-kernel", &image.kernel.display().to_string(), "-initrd", &files.initrd.display().to_string()]);
    // Interrupt remapping's timer test fails on a loaded host, hence no_timer_check.
    let mut line =
        "console=ttyS0 loglevel=4 panic=-1 mitigations=off no_timer_check tsc=reliable intel_iommu=on sysrq_always_enabled=1"
            .to_owned();
    if let Some(rate) = clock::rate_khz() {
        line.push_str(&format!(" tsc_early_khz={rate}"));
    }
    if job.together {
        line.push_str(" pci=disable_acs_redir=pci:1b36:000c"); // QEMU's root ports
    }
    for word in &job.kernel {
        line.push(' ');
        line.push_str(word);
    }
    add(&["-append", &line]);
    if let Some(counter) = &job.counter {
        add(&["-plugin", &counter.plugin.display().to_string(), "-d", "plugin"]);
        add(&["-D", &counter.log.display().to_string()]);
    }
    for nic in 0..job.nics {
        let (wire, number) = (nic / 2, nic + 1);
        // Functions of one device that do not isolate each other are one group, with all that is behind them.
        let place = if job.together { format!(",addr=10.{nic:x},multifunction=on") } else { String::new() };
        add(&["-device", &format!("pcie-root-port,id=rp{nic},chassis={number},slot={number}{place}")]);
        if let Some(served) = served {
            add(&["-device", &served.device(nic as usize)]);
            continue;
        }
        add(&["-netdev", &format!("hubport,id=n{nic},hubid={wire}")]);
        add(&[
            "-device",
            &format!("igb,id=nic{nic},bus=rp{nic},netdev=n{nic},mac=52:54:00:00:00:{number:02x},romfile="),
        ]);
    }
    list
}

/// Where QEMU is told things. In the folder for temporary files, because paths of sockets are short: 107 bytes.
struct Socket {
    path: PathBuf,
}

impl Socket {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("igb-guest-{}", std::process::id()));
        let _ = fs::remove_file(&path); // of a process that had our number
        Self { path }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// What the machine's console says.
struct Lines {
    receiver: mpsc::Receiver<String>,
    text: String,
    /// Seconds from the start of the machine to that of the job.
    job_began: Option<f64>,
}

impl Lines {
    fn new(child: &mut Child) -> Self {
        let (sender, receiver) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(output);
                let mut line = Vec::new();
                while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                    let text = String::from_utf8_lossy(&line).replace('\r', "");
                    line.clear();
                    if sender.send(text).is_err() {
                        break;
                    }
                }
            });
        }
        Self { receiver, text: String::new(), job_began: None }
    }

    /// Reads until the machine ends, or the job's time is up: false.
    fn follow(&mut self, console: &mut Console, job: &Job, started: Instant) -> bool {
        let limit = Duration::from_secs(job.timeout_secs);
        let mut last = String::new();
        while let Some(left) = limit.checked_sub(started.elapsed()) {
            match self.receiver.recv_timeout(left.min(Duration::from_millis(500))) {
                Ok(line) => {
                    if line.starts_with("job begins") && self.job_began.is_none() {
                        self.job_began = Some(started.elapsed().as_secs_f64());
                    }
                    if !line.trim().is_empty() {
                        last = line.trim().to_owned();
                    }
                    self.text.push_str(&line);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return true,
            }
            console.now(&format!("{} {} s  {last}", job.name, started.elapsed().as_secs()));
        }
        false
    }

    /// Takes what still comes, until nothing has for as long as `quiet`.
    fn rest(&mut self, quiet: Duration) {
        let limit = Instant::now() + 10 * quiet;
        while Instant::now() < limit
            && let Ok(line) = self.receiver.recv_timeout(quiet)
        {
            self.text.push_str(&line);
        }
    }
}

/// What came over the second serial line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    text: String,
    notes: Vec<String>,
    status: Option<u32>,
    kernel: String,
}

impl Report {
    fn parse(text: &str) -> Self {
        let mut report = Self { text: text.replace('\r', ""), ..Self::default() };
        for line in report.text.lines() {
            if report.status.is_some() {
                report.kernel.push_str(line);
                report.kernel.push('\n');
            } else if let Some(note) = line.strip_prefix("note ") {
                report.notes.push(note.to_owned());
            } else if let Some(status) = line.strip_prefix("exit ") {
                report.status = status.trim().parse().ok();
            }
        }
        report
    }
}

fn judge(
    job: &Job,
    report: &Report,
    ended: Option<ExitStatus>,
    complaints: &[String],
    said: &[String],
) -> Verdict {
    let Some(ended) = ended else { return Verdict::Timeout };
    let Some(status) = report.status else {
        let how = match (said, complaints) {
            ([], []) => format!("QEMU ended with {ended}"),
            ([], [first, ..]) => first.clone(),
            (said, _) => format!("QEMU: {}", said.join("\n    ")),
        };
        return Verdict::Died(how);
    };
    if status != 0 {
        return Verdict::Status(status);
    }
    if let Some(text) = job.expected.iter().find(|text| !report.kernel.contains(text.as_str())) {
        return Verdict::Silent(text.clone());
    }
    if complaints.is_empty() { Verdict::Passed } else { Verdict::Complaints }
}

/// The lines of a kernel's log that tell of a fault of the device, of a driver or of the kernel.
fn complaints<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    const WORDS: [&str; 17] = [
        "BUG:",
        "WARNING:",
        "Oops",
        "kernel panic",
        "Kernel panic",
        "general protection fault",
        "segfault at",
        "unable to handle",
        "Call Trace",
        "soft lockup",
        "hung_task",
        "blocked for more than",
        "stalls on CPU",
        "NETDEV WATCHDOG",
        "Tx Unit Hang",
        "PCIe link lost",
        "UBSAN",
    ];
    let mut found = Vec::new();
    for line in lines {
        let fault = line.contains("DMAR") && (line.contains("fault") || line.contains("Fault"));
        if (fault || WORDS.iter().any(|word| line.contains(word))) && !found.iter().any(|one| one == line) {
            found.push(line.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_status_notes_and_the_kernels_log() {
        let report = Report::parse("up 3.1\r\nnote 100 pings\r\nexit 0\r\n[ 1.0] hello\r\n[ 1.1] exit 7\r\n");
        assert_eq!((report.status, report.notes.as_slice()), (Some(0), &["100 pings".to_owned()][..]));
        assert_eq!(report.kernel, "[ 1.0] hello\n[ 1.1] exit 7\n");
        assert_eq!(Report::parse("note x\n").status, None);
    }

    #[test]
    fn faults_are_complaints_and_the_iommus_greetings_are_not() {
        let log = "[ 0.1] DMAR: IOMMU enabled\n[ 0.2] DMAR: Host address width 39\n\
                   [ 9.1] DMAR: [DMA Write NO_PASID] Request device [01:00.0] fault addr 0x1000 [fault reason 0x05]\n\
                   [ 9.2] WARNING: CPU: 0 PID: 1\n[ 9.2] WARNING: CPU: 0 PID: 1\n";
        let found = complaints(log.lines());
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("fault addr") && found[1].contains("WARNING"));
    }
}
