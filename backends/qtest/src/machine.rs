//! A machine: QEMU with some igb ports, some memory, and wires.

use crate::doorbell::{self, Doorbell};
use crate::error::{Cause, Error, While};
use crate::find::{self, Qemu};
use crate::iommu::{self, DmaFaults, Iommu};
use crate::lines::Lines;
use crate::memory::{HIGH, Memory, PAGE, Ram};
use crate::monitor::Monitor;
use crate::pci::{self, Function, PORTS, Place};
use crate::platform::{Handle, Port};
use crate::process::{Given, Process};
use crate::protocol::Qtest;
use crate::time::{Clock, Timing};
use crate::wire::Wire;
use crate::{Link, lock};
use core::sync::atomic::{AtomicBool, Ordering};
use rustix::fs::{MemfdFlags, memfd_create};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Numbers that descriptors have in QEMU.
const RAM_FD: i32 = 30;
const BIOS_FD: i32 = 31;
const MONITOR_FD: i32 = 32;
const DOORBELL_FD: i32 = 33;
const WIRE_FD: i32 = 34;
/// RAM below this is the machine's own business.
const FREE: u64 = 1 << 20;

/// What a port is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connect {
    /// A hub inside QEMU: ports with one number hear each other. A frame arrives within the doorbell's write.
    Hub(u32),
    /// This process: [`Machine::take_wire`] is the other end.
    Wire,
}

/// What a machine is to be.
#[derive(Debug, Clone)]
pub struct Builder {
    program: Option<PathBuf>,
    timing: Timing,
    memory: usize,
    high: bool,
    iommu: bool,
    ports: Vec<Connect>,
}

impl Builder {
    /// Adds a port. Ports are numbered in the order of their adding.
    #[must_use]
    pub fn port(mut self, connect: Connect) -> Self {
        self.ports.push(connect);
        self
    }

    /// Adds two ports that are joined.
    #[must_use]
    pub fn pair(self) -> Self {
        let hub = self.ports.len() as u32;
        self.port(Connect::Hub(hub)).port(Connect::Hub(hub))
    }

    /// Which time the machine has; [`Timing::Real`] unless said.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// How many bytes drivers can allocate; 64 MiB unless said. It is sparse: what is not touched costs nothing.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Puts that memory at 4 GiB, so that addresses need more than 32 bits.
    #[must_use]
    pub fn high_memory(mut self) -> Self {
        self.high = true;
        self
    }

    /// Puts an IOMMU between ports and memory: only what is allocated can be reached, at addresses that are not the
    /// machine's own, and [`Machine::dma_faults`] tells who tried more.
    #[must_use]
    pub fn iommu(mut self) -> Self {
        self.iommu = true;
        self
    }

    /// Runs this QEMU instead of the one that [`find::qemu`] finds.
    #[must_use]
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`Error::NoQemu`] if there is none that will do, [`Error::Limit`] for too many ports or too much memory,
    /// [`Error::Ended`] with QEMU's own words if it refuses.
    pub fn start(self) -> Result<Machine, Error> {
        if self.ports.is_empty() || self.ports.len() > PORTS {
            return Err(Error::Limit("a machine has 1 to 16 ports"));
        }
        let qemu = self.qemu()?;
        let layout = Layout::new(self.memory as u64, self.high)?;
        let (ram, ram_fd) = Ram::new(usize::try_from(layout.total).map_err(|_| TOO_MUCH)?)?;
        let ram = Arc::new(ram);
        let (doorbell, doorbell_fd) = Doorbell::new(self.ports.len())?;
        let (monitor, monitor_fd) = UnixStream::pair().during("making the monitor's socket")?;
        let mut given = vec![
            Given { fd: ram_fd, number: RAM_FD },
            Given { fd: bios()?, number: BIOS_FD },
            Given { fd: monitor_fd.into(), number: MONITOR_FD },
            Given { fd: doorbell_fd.into(), number: DOORBELL_FD },
        ];
        let mut arguments = self.arguments(&layout);
        let (mut wires, mut events, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for (index, connect) in self.ports.iter().enumerate() {
            let backend = match connect {
                Connect::Hub(hub) => {
                    wires.push(None);
                    format!("hubport,id=n{index},hubid={hub}")
                }
                Connect::Wire => {
                    let (ours, theirs) = Wire::pair()?;
                    let number = WIRE_FD + index as i32;
                    wires.push(Some(ours));
                    given.push(Given { fd: theirs.into(), number });
                    format!("dgram,id=n{index},local.type=fd,local.str={number}")
                }
            };
            let place = Place::new(index);
            push(
                &mut arguments,
                &["-netdev", &backend, "-device", &root_port(place), "-device", &device(index)],
            );
            let event = doorbell::event()?;
            listeners.push((place.line(), event.try_clone().during("making an event")?));
            events.push(event);
        }
        let lines = Arc::new(Lines::new(listeners));
        let (process, input, output) = Process::start(&qemu.path, arguments, given)?;
        let qtest: Link = Arc::new(Mutex::new(Qtest::new(input, output, Arc::clone(&lines))));
        let made = std::thread::scope(|scope| {
            // If the doorbell is told nothing, QEMU does not get to its monitor: that error is the better one.
            scope.spawn(|| doorbell.serve());
            let monitor = Monitor::new(monitor)?;
            bring_up(&mut lock(&qtest), self.ports.len()).map_err(Error::Broken)?;
            Ok(monitor)
        });
        let monitor = match made {
            Ok(monitor) => monitor,
            Err(Error::Broken(Cause::Ended)) => {
                process.wait();
                return Err(Error::Ended(process.complaint()));
            }
            Err(error) => return Err(error),
        };
        let iommu = if self.iommu { Some(self.translate(&qtest, &ram, &layout)?) } else { None };
        let iova = if self.iommu { layout.memory + iommu::OFFSET } else { layout.memory };
        let memory = Memory::new(ram, layout.memory, iova, self.memory, iommu.clone())?;
        let ports = events.into_iter().zip(wires).enumerate().map(|(index, (line_event, wire))| PortState {
            place: Place::new(index),
            line_event,
            wire: Mutex::new(wire),
            shut: AtomicBool::new(false),
            current: Mutex::new(Weak::new()),
        });
        Ok(Machine(Arc::new(Inner {
            qtest,
            monitor: Mutex::new(monitor),
            doorbell,
            lines,
            memory,
            iommu,
            clock: Clock::new(self.timing),
            ports: ports.collect(),
            process,
        })))
    }

    fn qemu(&self) -> Result<Qemu, Error> {
        // Asking QEMU what it is takes longer than starting it.
        static FOUND: OnceLock<Qemu> = OnceLock::new();
        if let Some(path) = &self.program {
            return Ok(find::check(path)?);
        }
        if let Some(found) = FOUND.get() {
            return Ok(found.clone());
        }
        let found = find::qemu()?;
        Ok(FOUND.get_or_init(|| found).clone())
    }

    fn arguments(&self, layout: &Layout) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let size = layout.total >> 20;
        push(
            &mut arguments,
            &[
                "-accel",
                "tcg",
                "-cpu",
                "qemu64",
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-machine",
                "q35,memory-backend=ram,usb=off,sata=off,smbus=off",
                "-m",
                &format!("{size}M"),
                "-object",
                &format!("memory-backend-file,id=ram,size={size}M,share=on,mem-path=/proc/self/fd/{RAM_FD}"),
                "-bios",
                &format!("/proc/self/fd/{BIOS_FD}"),
                "-qtest",
                "stdio",
                // Else every command is written to standard error, with the time.
                "-qtest-log",
                "none",
                "-chardev",
                &format!("socket,id=monitor,fd={MONITOR_FD}"),
                "-mon",
                "chardev=monitor,mode=control",
                // Slots are powered by their registers, not by ACPI, which needs firmware and a guest.
                "-global",
                "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
            ],
        );
        if self.timing == Timing::Warp {
            // The two timers would keep a clock that jumps to the next timer busy for ever.
            push(&mut arguments, &["-icount", "shift=0,sleep=off", "-machine", "pit=off,hpet=off"]);
        }
        if self.iommu {
            push(&mut arguments, &["-device", "intel-iommu,intremap=off"]); // before what it translates for
        }
        let doorbell = format!(
            "ivshmem-doorbell,chardev=doorbell,vectors={},addr={:x}.0",
            doorbell::VECTORS,
            pci::DOORBELL_SLOT
        );
        push(
            &mut arguments,
            &["-chardev", &format!("socket,id=doorbell,fd={DOORBELL_FD}"), "-device", &doorbell],
        );
        arguments
    }

    fn translate(&self, qtest: &Link, ram: &Arc<Ram>, layout: &Layout) -> Result<Arc<Iommu>, Error> {
        let buses: Vec<u8> = (0..self.ports.len()).map(|index| Place::new(index).function.bus).collect();
        let unit = Iommu::new(Arc::clone(qtest), Arc::clone(ram), FREE, layout.tables, &buses)?;
        // Interrupt messages are writes like any other.
        let page = u64::from(doorbell::BASE);
        unit.map_to(page, page, PAGE);
        Ok(Arc::new(unit))
    }
}

const TOO_MUCH: Error = Error::Limit("the memory must be 64 KiB to 1 GiB (16 GiB at 4 GiB and above)");

/// What lies where in RAM.
#[derive(Debug)]
struct Layout {
    /// All of it.
    total: u64,
    /// The IOMMU's tables begin at [`FREE`] and have this much.
    tables: u64,
    /// What drivers get.
    memory: u64,
}

impl Layout {
    fn new(memory: u64, high: bool) -> Result<Self, Error> {
        let most = if high { 16 << 30 } else { 1 << 30 };
        if !(64 << 10..=most).contains(&memory) {
            return Err(TOO_MUCH);
        }
        let tables = iommu::tables_len(memory).next_multiple_of(1 << 20);
        let low = FREE + tables;
        if high {
            // From 2.75 GiB on, the machine has 2 GiB below and the rest at 4 GiB.
            let total = ((2 << 30) + memory).next_multiple_of(1 << 20).max(3 << 30);
            Ok(Self { total, tables, memory: HIGH })
        } else {
            let total = (low + memory).next_multiple_of(1 << 20).max(16 << 20);
            Ok(Self { total, tables, memory: low })
        }
    }
}

/// The vCPU's whole program, at the reset vector: `cli; hlt; jmp -3`. It sleeps for ever.
fn bios() -> Result<OwnedFd, Error> {
    let mut image = vec![0xf4; 64 << 10];
    image[0xfff0..0xfff4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
    let fd = memfd_create("igb-bios", MemfdFlags::CLOEXEC).during("making the machine's firmware")?;
    let file = std::fs::File::from(fd);
    file.write_all_at(&image, 0).during("making the machine's firmware")?;
    Ok(file.into())
}

fn root_port(place: Place) -> String {
    let number = place.index + 1;
    format!(
        "pcie-root-port,id=rp{0},chassis={number},slot={number},addr={1:x}.0",
        place.index, place.bridge.slot
    )
}

fn device(index: usize) -> String {
    format!(
        "igb,id=nic{index},bus=rp{index},netdev=n{index},mac=52:54:00:12:34:{:02x},romfile=",
        0x10 + index
    )
}

fn push(arguments: &mut Vec<OsString>, words: &[&str]) {
    arguments.extend(words.iter().map(OsString::from));
}

fn bring_up(qtest: &mut Qtest, ports: usize) -> Result<(), Cause> {
    pci::open(qtest)?;
    let doorbell = Function::on_root(pci::DOORBELL_SLOT);
    doorbell.write(qtest, pci::BAR0, doorbell::BASE)?;
    doorbell.write(qtest, pci::COMMAND, pci::MEMORY)?;
    (0..ports).try_for_each(|index| Place::new(index).route(qtest))
}

/// A running machine: a handle, whose clones stand for the same one. QEMU ends with the last handle, port, register
/// bus and interrupt of it.
#[derive(Debug, Clone)]
pub struct Machine(Arc<Inner>);

/// What every part of a machine holds.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) qtest: Link,
    monitor: Mutex<Monitor>,
    pub(crate) doorbell: Doorbell,
    pub(crate) lines: Arc<Lines>,
    pub(crate) memory: Memory,
    iommu: Option<Arc<Iommu>>,
    pub(crate) clock: Clock,
    pub(crate) ports: Vec<PortState>,
    process: Process,
}

/// A port, whoever has it.
#[derive(Debug)]
pub(crate) struct PortState {
    pub(crate) place: Place,
    /// Signalled when the port's INTx input rises.
    pub(crate) line_event: OwnedFd,
    wire: Mutex<Option<Wire>>,
    /// The bridge's window is shut.
    pub(crate) shut: AtomicBool,
    /// Whoever has it now.
    current: Mutex<Weak<Handle>>,
}

impl Machine {
    /// A machine to be, with no port yet.
    pub fn builder() -> Builder {
        Builder {
            program: None,
            timing: Timing::Real,
            memory: 64 << 20,
            high: false,
            iommu: false,
            ports: Vec::new(),
        }
    }

    /// How many ports it has.
    pub fn ports(&self) -> usize {
        self.0.ports.len()
    }

    /// Port `index`, reset and with its base addresses assigned, memory decoding on, bus mastering off.
    ///
    /// One platform of a port at a time; dropping it gives the port back. A platform whose device was removed is dead
    /// for good, even if a device comes back: ask again for that one.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::InUse`], [`Error::NoDevice`] while it is unplugged or without power.
    pub fn port(&self, index: usize) -> Result<Port, Error> {
        let state = self.state(index)?;
        let mut current = guard(&state.current);
        if current.upgrade().is_some_and(|handle| !handle.is_gone()) {
            return Err(Error::InUse(index));
        }
        let port = Port::open(Arc::clone(&self.0), state.place)?;
        *current = Arc::downgrade(port.handle());
        Ok(port)
    }

    /// Our end of the wire of port `index`, once; `None` if the port is on a hub, or the wire was taken.
    pub fn take_wire(&self, index: usize) -> Option<Wire> {
        guard(&self.0.ports.get(index)?.wire).take()
    }

    /// The memory that all ports share.
    pub fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// Plugs the cable of a port in or out: its link drops at once; back in, autonegotiation starts anew. The other end's
    /// link stays as it is.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Refused`] if the device is unplugged.
    pub fn set_link(&self, index: usize, up: bool) -> Result<(), Error> {
        self.state(index)?;
        self.monitor()
            .run("set_link", serde_json::json!({ "name": format!("nic{index}"), "up": up }))
            .map(drop)
    }

    /// Pulls the device out without a word: its slot loses power. Configuration space and registers give all ones.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Broken`].
    pub fn power_off(&self, index: usize) -> Result<(), Error> {
        let state = self.state(index)?;
        let mut qtest = lock(&self.0.qtest);
        state.place.power(&mut qtest, false).map_err(Error::Broken)?;
        // Under the lock: nobody sees what QEMU gives for registers that are not there, which is 0.
        state.lose();
        Ok(())
    }

    /// Puts the device back in, fresh from reset; [`port`](Self::port) gives it.
    ///
    /// # Errors
    /// As for [`power_off`](Self::power_off).
    pub fn power_on(&self, index: usize) -> Result<(), Error> {
        let state = self.state(index)?;
        state.place.power(&mut lock(&self.0.qtest), true).map_err(Error::Broken)
    }

    /// Unplugs the device as a person does who asks first: the slot is asked for, and released. It does not come back.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Refused`] if it was unplugged before, [`Error::TimedOut`].
    pub fn unplug(&self, index: usize) -> Result<(), Error> {
        let state = self.state(index)?;
        let mut monitor = self.monitor();
        monitor.run("device_del", serde_json::json!({ "id": format!("nic{index}") }))?;
        let mut qtest = lock(&self.0.qtest);
        state.place.release(&mut qtest).map_err(Error::Broken)?;
        state.lose();
        drop(qtest);
        monitor.event("DEVICE_DELETED")
    }

    /// Shuts the window through which the registers are reached, or opens it again. Configuration space answers
    /// throughout, and so does DMA.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Broken`].
    pub fn set_window(&self, index: usize, open: bool) -> Result<(), Error> {
        let state = self.state(index)?;
        let mut qtest = lock(&self.0.qtest);
        let place = state.place;
        if open { place.open_window(&mut qtest) } else { place.shut_window(&mut qtest) }
            .and_then(|()| qtest.flush())
            .map_err(Error::Broken)?;
        state.shut.store(!open, Ordering::Relaxed);
        Ok(())
    }

    /// What the IOMMU refused since the last call.
    ///
    /// # Errors
    /// [`Error::NoIommu`], [`Error::Broken`].
    pub fn dma_faults(&self) -> Result<DmaFaults, Error> {
        self.0.iommu.as_ref().ok_or(Error::NoIommu)?.faults()
    }

    /// Ends QEMU without a word and waits until it is gone. Memory stays; every bus answers all ones.
    pub fn kill(&self) {
        self.0.process.kill();
        self.0.process.wait();
    }

    /// QEMU's process number, for tools that look at it from outside.
    pub fn process_id(&self) -> u32 {
        self.0.process.id
    }

    /// What broke the machine, if something did and somebody noticed.
    pub fn broken(&self) -> Option<Cause> {
        lock(&self.0.qtest).broken()
    }

    /// What QEMU wrote to its standard error.
    pub fn log(&self) -> String {
        self.0.process.said()
    }

    /// Commands sent to QEMU so far: register and configuration accesses, mostly.
    pub fn commands(&self) -> u64 {
        lock(&self.0.qtest).commands
    }

    fn state(&self, index: usize) -> Result<&PortState, Error> {
        self.0.ports.get(index).ok_or(Error::NoPort(index, self.ports()))
    }

    fn monitor(&self) -> MutexGuard<'_, Monitor> {
        guard(&self.0.monitor)
    }
}

impl PortState {
    /// The device is not there any more for whoever had it.
    fn lose(&self) {
        if let Some(handle) = guard(&self.current).upgrade() {
            handle.lose();
        }
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_memory_do_not_meet() {
        for memory in [64 << 10, 64 << 20, 1 << 30] {
            let low = Layout::new(memory, false).unwrap();
            assert_eq!(low.memory, FREE + low.tables);
            assert!(low.memory + memory <= low.total && low.total < 2 << 30);
            let high = Layout::new(memory, true).unwrap();
            assert!(high.memory == HIGH && high.total >= (2 << 30) + memory && high.total >= 0xb000_0000);
        }
        assert_eq!(Layout::new(0, false).unwrap_err(), TOO_MUCH);
        assert_eq!(Layout::new(2 << 30, false).unwrap_err(), TOO_MUCH);
    }

    #[test]
    fn a_machine_without_ports_or_with_too_many_is_refused() {
        assert!(matches!(Machine::builder().start(), Err(Error::Limit(_))));
        let many = (0..17).fold(Machine::builder(), |builder, hub| builder.port(Connect::Hub(hub)));
        assert!(matches!(many.start(), Err(Error::Limit(_))));
    }
}
