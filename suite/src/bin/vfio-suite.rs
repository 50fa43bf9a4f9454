//! The pair cases over VFIO, for a machine or a guest with two igb devices on one wire.
//!
//! ```text
//! vfio-suite run ADDRESS ADDRESS [CASE...]   the cases, as TAP; status 0 if all passed
//! vfio-suite list                            every igb function
//! vfio-suite bind ADDRESS [force]            to vfio-pci; unbind ADDRESS: back
//! vfio-suite check ADDRESS                   opens and closes; says what is missing
//! vfio-suite hold ADDRESS                    opens, says so, and sends until killed
//! vfio-suite nobody COMMAND...               any of these as a user without privileges
//! ```

use core::time::Duration;
use igb::hal::{RingAt, RxQueueConfig};
use igb::ring::{Coherent, Dma};
use igb::{Config, Exclusive, Igb, InterruptKind, Memory, PciConfig, Platform, Queues};
use igb_regs::Bus;
use igb_suite::{Ports, frames, pair, stuck};
use igb_vfio::{Address, Container, Device, Error, Host, Options, Registers, Reset};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// `IGB_WITHOUT_IOMMU` in the environment: devices without an IOMMU are taken.
fn options() -> Options {
    match std::env::var_os("IGB_WITHOUT_IOMMU") {
        Some(_) => Options::new().without_iommu(),
        None => Options::new(),
    }
}

/// Two functions in one container.
struct Bed {
    container: Container,
    addresses: [Address; 2],
    log: Mutex<Option<File>>,
    /// The kinds of interrupts that the driver may use in this round of cases.
    kinds: Mutex<&'static [InterruptKind]>,
    /// The registers of each port, as it was opened last: for a look at a case that does not end.
    last: Mutex<[Option<Registers>; 2]>,
}

impl Bed {
    fn new(addresses: [Address; 2]) -> Result<Self, Error> {
        let log = Mutex::new(kernel_log());
        let kinds = Mutex::new(ROUNDS[0].1);
        Ok(Self { container: options().container()?, addresses, log, kinds, last: Mutex::default() })
    }

    fn open(&self, port: usize) -> Device {
        let opened = self.container.open_at(self.addresses[port]);
        let device = opened.unwrap_or_else(|error| panic!("port {port}: {error}"));
        self.last.lock().unwrap_or_else(PoisonError::into_inner)[port] = Some(device.bus());
        device
    }

    /// Where the threads and the ports stand, line by line as comments.
    fn tell_where_it_stands(&self) {
        let tell = |text: String| text.lines().for_each(|line| println!("# {line}"));
        tell(stuck::threads());
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for (port, registers) in last.iter().enumerate() {
            if let Some(registers) = registers {
                println!("# port {port}:");
                tell(stuck::registers(registers, igb::Chip::I82576, 8));
            }
        }
    }

    /// What the kernel logged of IOMMU faults since the last time.
    fn faults(&self) -> Vec<String> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = log.as_mut() else { return Vec::new() };
        let (mut lines, mut record) = (Vec::new(), vec![0; 8192]);
        loop {
            match log.read(&mut record) {
                Ok(len) if len > 0 => lines.push(String::from_utf8_lossy(&record[..len]).into_owned()),
                // Records were overwritten before they were read: the next is there.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                _ => break,
            }
        }
        lines.retain(|line| line.contains("DMAR") && line.contains("fault"));
        lines
    }
}

/// The kernel's log, from its end on. None where that may not be read: faults are then not seen.
fn kernel_log() -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    const NONBLOCK: i32 = 0o4000;
    let mut log = File::options().read(true).custom_flags(NONBLOCK).open("/dev/kmsg").ok()?;
    log.seek(SeekFrom::End(0)).ok()?;
    Some(log)
}

impl Ports for Bed {
    type Platform = Device;

    fn config(&self) -> Config {
        Config::default().interrupts(*self.kinds.lock().unwrap_or_else(PoisonError::into_inner))
    }
    fn platform(&self, port: usize) -> Device {
        self.open(port)
    }
    fn tick(&self) {
        std::thread::sleep(Duration::from_micros(100));
    }
    fn allocated(&self) -> usize {
        self.container.memory().allocated()
    }
    fn objections(&self) -> Vec<String> {
        self.faults()
    }
}

/// A case: its name, what it does, and whether it is repeated with each kind of interrupts.
type Case = (&'static str, fn(&Bed), Rounds);

/// The rounds that a case is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounds {
    First,
    All,
}
use Rounds::{All, First};

/// Rounds of cases: what the driver may use of interrupts. Only in the first may it choose.
const ROUNDS: [(&str, &[InterruptKind]); 3] =
    [("MSI-X", &[InterruptKind::MsiX]), ("MSI", &[InterruptKind::Msi]), ("INTx", &[InterruptKind::Intx])];

const CASES: &[Case] = &[
    ("addresses below a limit", mask, First),
    ("opens and closes", |bed| pair::opens_and_closes(bed), All),
    ("every length both ways", |bed| pair::every_length_both_ways(bed, 3000), All),
    ("small rings wrap", |bed| pair::ring_wraps(bed, 64), All),
    ("large rings wrap", |bed| pair::ring_wraps(bed, 4096), First),
    ("forwards without copy", |bed| pair::forwards_without_copy(bed, 500), All),
    ("spreads flows over 2", |bed| pair::spreads_flows(bed, 2), First),
    ("spreads flows over 8", |bed| pair::spreads_flows(bed, 8), All),
    ("spreads flows over all 16", |bed| pair::spreads_flows(bed, 16), First),
    ("every vector of 8 queues", |bed| pair::every_vector(bed, 8), First),
    ("every vector, shared by all 16 queues", |bed| pair::every_vector(bed, 16), First),
    ("wakes by MSI-X", |bed| pair::wakes_on_frames(bed, &[InterruptKind::MsiX], 50), First),
    ("wakes by MSI", |bed| pair::wakes_on_frames(bed, &[InterruptKind::Msi], 50), First),
    ("wakes by INTx", |bed| pair::wakes_on_frames(bed, &[InterruptKind::Intx], 50), First),
    ("resets under traffic", |bed| pair::resets_under_traffic(bed, 3), All),
    ("quiet after close", |bed| pair::quiet_after_close(bed), All),
    ("decoding off", |bed| pair::decoding_off(bed), All),
    ("memory goes away", memory_goes_away, First),
    ("open twice", open_twice, First),
    ("reset of the bus", reset_of_the_bus, First),
    ("foreign memory", foreign_memory, First),
    ("no faults, and it works again", |bed| pair::every_length_both_ways(bed, 100), First),
];

/// A device that writes to memory that was given back is stopped by the IOMMU, and nothing else is hurt. This is the one
/// case that makes a fault.
fn memory_goes_away(bed: &Bed) {
    const PIECE: usize = 2 << 20;
    let open = |port| {
        let nic =
            Igb::probe(bed.open(port), Config::default()).unwrap_or_else(|error| panic!("probe: {error}"));
        nic.open(Queues::combined(1)).unwrap_or_else(|error| panic!("open: {error}"))
    };
    let ((a, mut sender), (b, receiver)) = (open(0), open(1));
    for control in [&a, &b] {
        control.wait_link(Duration::from_secs(20)).unwrap_or_else(|error| panic!("link: {error}"));
    }
    receiver.into_iter().for_each(|queue| queue.close().unwrap_or_else(|error| panic!("queue: {error}")));
    // A ring of our own: 8 descriptors, whose buffers are in a piece that is theirs alone.
    let memory = bed.container.memory();
    let ring = Coherent::new(&memory, 4096, 4096).expect("a ring");
    let buffers = Coherent::new(&memory, PIECE, 4096).expect("buffers");
    let visible = memory.visible();
    let (base, at) = (ring.region().iova, buffers.region().iova);
    for n in 0..8 {
        let descriptor = [at + n * 4096, 0].map(u64::to_le_bytes).concat();
        assert!(memory.write(base + 16 * n, &descriptor));
    }
    let mut delay = b.platform().delay();
    let config = RxQueueConfig::for_chip(b.chip());
    b.mac().start_rx_queue(0, RingAt { base, bytes: 128 }, &config, &mut delay).expect("starts");
    b.mac().rx_tail(0).set(7);
    let mut send = |number| {
        let frame = frames::numbered(b.address().0, number, 200);
        let sent = sender[0].send_batch(1, |memory| {
            let mut buffer = memory.take()?;
            buffer.set(&frame).then_some(buffer)
        });
        assert_eq!(sent, Ok(1));
        frame
    };
    let frame = send(1);
    let mut seen = vec![0; 200];
    let reached = eventually(|| memory.read(at, &mut seen) && seen == frame);
    assert!(reached, "what is shown is reached: {seen:02x?}");
    assert_eq!(bed.faults(), Vec::<String>::new());
    drop(buffers);
    assert_eq!(memory.visible(), visible - PIECE as u64, "hidden when freed");
    send(2);
    // The kernel tells of it from a thread, when that has a processor, and in two lines.
    let mut faults = Vec::new();
    let told = eventually(|| {
        faults.extend(bed.faults());
        faults.iter().any(|line| line.contains("DMA Write"))
    });
    assert!(told, "no fault was logged: {faults:?}");
    println!("# {}", faults.concat().trim().replace('\n', "\n# "));
    drop(sender);
    b.close();
    a.close();
    drop((a, b));
    drop(ring);
    assert_eq!(memory.allocated(), 0);
}

/// Whether something comes to be within ten seconds.
fn eventually(mut is: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if is() {
            return true;
        }
        if started.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One function opened twice, by one container and by another.
fn open_twice(bed: &Bed) {
    let device = bed.open(0);
    match bed.container.open_at(bed.addresses[0]) {
        Err(Error::AlreadyOpen(address)) => assert_eq!(address, bed.addresses[0]),
        other => panic!("{other:?}"),
    }
    let second = Container::new().and_then(|container| container.open_at(bed.addresses[0]));
    match second {
        Err(error @ Error::Busy { holder: Some(holder), .. }) => {
            assert_eq!(holder.pid, std::process::id());
            println!("# {error}");
        }
        other => panic!("{other:?}"),
    }
    let bus = device.bus();
    drop(device);
    assert_eq!(bus.read32(8), u32::MAX, "what is left of it acts as gone");
    assert!(bus.fault().is_some());
    drop(bed.open(0));
}

/// The function is reset by itself as it is opened, and by its bus when that is asked for.
fn reset_of_the_bus(bed: &Bed) {
    let device = bed.open(0);
    assert_eq!(device.was_reset(), Reset::Function);
    let bus = device.bus();
    let regs = igb_regs::Regs::new(&bus, igb::Chip::I82576);
    regs.vet().set(0x1234);
    assert_eq!(regs.vet().get(), 0x1234);
    // QEMU's root ports do not show the link as active afterwards (seen with 10.0), and Linux then reports the reset that
    // took place as failed.
    match device.reset_bus() {
        Ok(true) | Err(Error::System(..)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(device.pci().read32(0) & 0xffff, 0x8086, "configuration space is back");
    assert_eq!(regs.vet().get() & 0xffff, 0x8100, "and the registers are as after reset");
    assert!(device.start_mastering());
    assert!(device.stop_mastering());
    assert_eq!(device.notice(), None);
}

/// Addresses stay below the limit that is asked for, begin where that is asked for, and come back. In a container of its
/// own, so this is the first case: the bed holds no group yet.
fn mask(bed: &Bed) {
    const LIMIT: u64 = 0x00ff_ffff;
    let limited =
        Options::new().mask(LIMIT).huge_pages(false).container().unwrap_or_else(|error| panic!("{error}"));
    let memory = limited.memory();
    assert!(memory.alloc(4096, 4096).is_none(), "no memory before a device is there");
    let device = limited.open_at(bed.addresses[0]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(device.dma().mask(), LIMIT);
    let mut pieces = Vec::new();
    while let Ok(piece) = Coherent::new(&memory, 3 << 20, 1 << 20) {
        let region = piece.region();
        assert!(region.iova >= 1 << 20 && region.iova + region.len as u64 - 1 <= LIMIT, "{region:?}");
        pieces.push(piece);
    }
    assert!(pieces.len() >= 2, "{} pieces", pieces.len());
    assert!(matches!(limited.refusal(), Some(Error::NoIova(_))), "{:?}", limited.refusal());
    drop((pieces, device));
    assert_eq!(memory.visible(), 0);
}

/// Memory that is not ours is shown and hidden again; nothing stays pinned.
#[allow(unsafe_code, reason = "Dma::map takes raw memory")]
fn foreign_memory(bed: &Bed) {
    let device = bed.open(0);
    let memory = device.dma();
    let mut page = vec![7u8; 3 * 4096 + 100];
    let cpu = core::ptr::NonNull::from(&mut page[50]);
    // SAFETY: `page` outlives the mapping, and no device was told of it.
    let iova = unsafe { memory.map(cpu, 3 * 4096) }.expect("shown");
    assert_eq!(iova % 4096, cpu.addr().get() as u64 % 4096);
    assert_eq!(memory.visible(), 4 * 4096);
    memory.unmap(iova, 3 * 4096);
    assert_eq!(memory.visible(), 0);
    drop(page);
}

/// No case takes longer.
const LIMIT: Duration = Duration::from_secs(120);

fn run(addresses: [Address; 2], chosen: &[String]) -> ExitCode {
    let bed: &'static Bed = match Bed::new(addresses) {
        Ok(bed) => Box::leak(Box::new(bed)),
        Err(error) => {
            println!("Bail out! {error}");
            return ExitCode::from(3);
        }
    };
    let rounds = ROUNDS.into_iter().enumerate().flat_map(|(round, (kind, kinds))| {
        let cases = CASES.iter().filter(move |case| round == 0 || case.2 == All);
        cases.map(move |(name, case, _)| (format!("{name}, {kind}"), *case, kinds))
    });
    let cases: Vec<_> = rounds
        .filter(|(name, ..)| chosen.is_empty() || chosen.iter().any(|c| name.contains(c.as_str())))
        .collect();
    println!("1..{}", cases.len());
    if bed.log.lock().is_ok_and(|log| log.is_none()) {
        println!("# the kernel's log cannot be read: IOMMU faults are not seen");
    }
    let mut failed = 0;
    for (n, (name, case, kinds)) in cases.iter().enumerate() {
        *bed.kinds.lock().unwrap_or_else(PoisonError::into_inner) = kinds;
        let started = Instant::now();
        let (done, ended) = channel();
        let case = *case;
        std::thread::spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| case(bed)));
            let _ = done.send(result.is_ok());
        });
        let passed = match ended.recv_timeout(LIMIT) {
            Ok(passed) => passed,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                println!("not ok {} - {name}\n# no end within {} s", n + 1, LIMIT.as_secs());
                bed.tell_where_it_stands();
                println!("Bail out! the device is in that case's hands");
                return ExitCode::FAILURE;
            }
        };
        let word = if passed { "ok" } else { "not ok" };
        println!("{word} {} - {name} # {:.2} s", n + 1, started.elapsed().as_secs_f64());
        let _ = std::io::stdout().flush();
        failed += u32::from(!passed);
    }
    println!("# {} of {} passed", cases.len() as u32 - failed, cases.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Opens a device and keeps it receiving and sending until somebody ends this process.
fn hold(address: &str) -> Result<(), Box<dyn std::error::Error>> {
    let nic = Igb::probe(options().container()?.open(address)?, Config::default())?;
    let (control, mut queues) = nic.open(Queues::combined(1))?;
    control.wait_link(Duration::from_secs(20))?;
    println!("holding {address}");
    std::io::stdout().flush()?;
    let frame = frames::numbered([0xff; 6], 1, 1000);
    loop {
        queues[0].send_batch(32, |memory| {
            let mut buffer = memory.take()?;
            buffer.set(&frame).then_some(buffer)
        })?;
        queues[0].poll(64, |frame, _| igb::Action::Recycle(frame))?;
        if let Some(notice) = control.platform().notice() {
            println!("notice: {notice:?}");
            control.close();
            return Ok(());
        }
    }
}

/// Runs this program as an ordinary user.
fn nobody(arguments: &[String]) -> ExitCode {
    use std::os::unix::process::CommandExt;
    let Ok(program) = std::env::current_exe() else { return ExitCode::from(2) };
    let status = std::process::Command::new(program).args(arguments).uid(65534).gid(65534).status();
    match status.map(|status| status.code()) {
        Ok(Some(code)) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        other => {
            println!("{other:?}");
            ExitCode::from(2)
        }
    }
}

fn say<T: core::fmt::Debug>(result: Result<T, impl core::fmt::Display>) -> ExitCode {
    match result {
        Ok(value) => {
            println!("{value:?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let host = Host::new();
    match words.as_slice() {
        ["run", a, b, ..] => match (a.parse(), b.parse()) {
            (Ok(a), Ok(b)) => run([a, b], &arguments[3..]),
            (Err(error), _) | (_, Err(error)) => say::<()>(Err(error)),
        },
        ["list"] => say(host.list()),
        ["bind", address, rest @ ..] => say(address.parse().and_then(|at| host.bind(at, rest == ["force"]))),
        ["unbind", address] => say(address.parse().and_then(|at| host.unbind(at))),
        ["check", address] => say(options()
            .container()
            .and_then(|container| container.open(address))
            .map(|device| device.was_reset())),
        ["hold", address] => say(hold(address)),
        ["nobody", ..] => nobody(&arguments[1..]),
        _ => {
            eprintln!(
                "vfio-suite run ADDRESS ADDRESS [CASE...] | list | bind ADDRESS [force] | unbind ADDRESS | check ADDRESS | hold ADDRESS"
            );
            ExitCode::from(2)
        }
    }
}
