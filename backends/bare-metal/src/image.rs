//! Answers ARP and ping on every port by smoltcp, or forwards frames between two; obeys letters on the serial line.

extern crate alloc;
use alloc::{collections::VecDeque, vec::Vec};
use core::ffi::{CStr, c_char};
use core::{fmt::Write, time::Duration};
use igb::ring::{Buffer, Chunk, Exclusive, Local, Memory, Pool};
use igb::{Action, Clock, Config, Controller, Error, Igb, PciConfig, Platform, Port as _, Queue, Queues};
use igb_bare::{Bare, Function, Machine, Tsc, Vector, wait_any};
use smoltcp::iface::{Config as Addresses, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use uart_16550::{Config as Line, Uart16550, backend::PioBackend};

core::arch::global_asm!(include_str!("boot.s"));

/// What goes to isa-debug-exit; QEMU's status is twice that, plus one.
#[derive(Clone, Copy)]
enum Exit {
    NoDevice = 1,
    Panic = 2,
    Driver = 3,
    Done = 16,
}

#[global_allocator]
static HEAP: linked_list_allocator::LockedHeap = linked_list_allocator::LockedHeap::empty();
static mut SPACE: [u8; 1 << 20] = [0; 1 << 20];
static SERIAL: spin::Mutex<Option<Uart16550<PioBackend>>> = spin::Mutex::new(None);

struct Serial;
impl Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        if let Some(uart) = SERIAL.lock().as_mut() {
            uart.send_bytes_exact(text.as_bytes());
        }
        Ok(())
    }
}
macro_rules! say { ($($words:tt)*) => {{ let _ = writeln!(Serial, $($words)*); }} }

fn exit(code: Exit) -> ! {
    // SAFETY: QEMU's isa-debug-exit ends the machine; elsewhere nothing listens at 0xf4, and the machine halts.
    unsafe { x86_64::instructions::port::Port::<u32>::new(0xf4).write(code as u32) };
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: the only thread: whoever held the line does not come back to it.
    unsafe { SERIAL.force_unlock() };
    say!("{info}");
    exit(Exit::Panic)
}

/// Called by `boot.s` with the address of the PVH start information; 24 bytes into it stands that of the command line.
#[unsafe(no_mangle)]
extern "C" fn start(info: *const u64) -> ! {
    let space = (&raw mut SPACE).cast();
    // SAFETY: before anybody allocates, and nobody else has the space.
    unsafe { HEAP.lock().init(space, 1 << 20) };
    // SAFETY: the first serial line, and nobody else has it.
    let mut uart = unsafe { Uart16550::new_port(0x3f8) }.ok();
    let _ = uart.as_mut().map(|uart| uart.init(Line::default()));
    *SERIAL.lock() = uart;
    // SAFETY: PVH says so.
    let line = unsafe { info.wrapping_add(3).read() } as *const c_char;
    // SAFETY: as above: a string, unless there is none.
    let line = if line.is_null() { c"" } else { unsafe { CStr::from_ptr(line) } };
    let polling = line.to_str().is_ok_and(|line| line.split(' ').any(|word| word == "polling"));
    // SAFETY: `boot.s` made all of this so.
    let Some(machine) = (unsafe { Machine::take() }) else { exit(Exit::Panic) };
    if !polling {
        machine.start_interrupts();
    }
    match run(&machine, polling) {
        Ok(code) => exit(code),
        Err(error) => say!("{error}"),
    }
    exit(Exit::Driver)
}

fn run(machine: &Machine, polling: bool) -> Result<Exit, Error> {
    let config = || if polling { Config::default().interrupts(&[]) } else { Config::default() };
    let (queues, mut found) = (Queues::combined(1), Vec::new());
    for function in machine.functions().filter(|function| igb::supports(function.read32(0))) {
        match machine.open(function) {
            Some(platform) => found.push((function, Igb::probe(platform, config())?)),
            None => say!("{function}: BAR 0 is not memory below 4 GiB"),
        }
    }
    let Some((_, first)) = found.first() else {
        say!("no igb on this machine's PCI bus");
        return Ok(Exit::NoDevice);
    };
    // One pool for all: what one port received, another sends without a copy.
    let pool =
        Pool::new(first.platform().dma(), first.chunks(queues) * found.len() as u32, first.chunk_size())?;
    let mut ports = Vec::new();
    for (number, (function, nic)) in found.into_iter().enumerate() {
        ports.push(Port::open(number as u8, function, nic, queues, &pool, machine.tsc())?);
    }
    table(&ports)?;
    let (mut forwarding, mut looked, mut halts) = (false, Duration::ZERO, [0, 0]);
    let mut vectors: Vec<Vector> = ports.iter_mut().flat_map(|port| port.vectors.drain(..)).collect();
    loop {
        let moved = match (&mut ports[..], forwarding) {
            ([a, b, ..], true) => a.wire.forward(&mut b.wire)? + b.wire.forward(&mut a.wire)?,
            (ports, _) => ports.iter_mut().map(|port| port.answer(machine.tsc())).sum(),
        };
        match SERIAL.lock().as_mut().and_then(|uart| uart.try_receive_byte().ok()) {
            Some(b'q') => break,
            Some(b't') => looked = Duration::MAX,
            Some(letter @ (b'f' | b'a')) => {
                forwarding = letter == b'f';
                for port in &ports {
                    port.control.set_promiscuous(forwarding)?;
                }
                looked = Duration::MAX;
            }
            _ => {}
        }
        if looked == Duration::MAX {
            say!("{}", if forwarding { "forwarding" } else { "answering" });
            table(&ports)?;
            looked = Duration::ZERO;
        }
        let now = machine.tsc().now();
        let mut look = now.saturating_sub(looked) > Duration::from_millis(200);
        if moved == 0 && !polling {
            for port in &ports {
                port.control.arm();
                port.wire.queue.arm();
            }
            halts[usize::from(wait_any(&mut vectors, Duration::from_millis(20)))] += 1;
            for port in &ports {
                look |= port.control.on_interrupt()?;
            }
        }
        if look {
            looked = now;
            for port in &ports {
                if let Some(link) = port.control.watchdog()?.link {
                    say!("port {} link: {link}", port.number);
                }
            }
        }
    }
    table(&ports)?;
    say!("halts: {} ended by a message, {} by the clock", halts[1], halts[0]);
    ports.iter().for_each(|port| port.control.close());
    Ok(Exit::Done)
}

fn table(ports: &[Port]) -> Result<(), Error> {
    say!("port function chip   address            interrupts   received       sent     missed");
    for port in ports {
        let (control, counted) = (&port.control, port.control.statistics()?);
        let kind = control.interrupt_kind().map_or("polling", igb::InterruptKind::as_str);
        let (received, sent, missed) = (counted.rx_frames, counted.tx_frames, counted.missed);
        let (number, function, chip, address) =
            (port.number, port.function, control.chip(), control.address());
        say!(
            "{number:<4} {function:<8} {chip:<6} {address:<18} {kind:<10} {received:>10} {sent:>10} {missed:>10}"
        );
    }
    Ok(())
}

struct Port {
    number: u8,
    function: Function,
    control: Controller<Bare>,
    wire: Wire,
    interface: Interface,
    vectors: Vec<Vector>,
}

impl Port {
    fn open(
        number: u8,
        function: Function,
        nic: Igb<Bare>,
        queues: Queues,
        pool: &Pool,
        tsc: Tsc,
    ) -> Result<Self, Error> {
        let address = EthernetAddress(nic.address().0);
        let (control, mut opened) = nic.open_with(queues, |_| pool.local())?;
        let queue = opened.remove(0);
        let vectors = queue.take_irq().into_iter().chain(control.take_irq()).collect();
        let mut wire = Wire { queue, arrived: VecDeque::new() };
        let mut interface = Interface::new(Addresses::new(address.into()), &mut wire, instant(tsc));
        let ip = IpCidr::new(IpAddress::v4(10, 0, number, 1), 24);
        interface.update_ip_addrs(|addresses| addresses.extend([ip]));
        Ok(Self { number, function, control, wire, interface, vectors })
    }

    /// Lets smoltcp answer what came; says how many frames it was.
    fn answer(&mut self, tsc: Tsc) -> u32 {
        let before = self.wire.queue.stats().received;
        self.interface.poll(instant(tsc), &mut self.wire, &mut SocketSet::new(&mut [][..]));
        (self.wire.queue.stats().received - before) as u32
    }
}

fn instant(tsc: Tsc) -> Instant {
    Instant::from_micros(tsc.now().as_micros() as i64)
}

/// A queue as smoltcp sees it.
struct Wire {
    queue: Queue<Bare, Local>,
    arrived: VecDeque<Buffer>,
}

impl Wire {
    fn forward(&mut self, to: &mut Self) -> Result<u32, Error> {
        self.queue.poll_to(32, &mut [&mut to.queue.tx], |frame, _| Action::Redirect(0, frame))
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, now: Instant) -> Option<(Received, Sending<'_>)> {
        if self.arrived.is_empty() {
            let arrived = &mut self.arrived;
            // An error is the watchdog's to say.
            let _ = self.queue.poll(32, |frame, _| {
                arrived.push_back(frame);
                Action::Kept
            });
        }
        let frame = self.arrived.pop_front()?;
        self.transmit(now).map(|sending| (Received(frame), sending))
    }
    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        let frame = self.queue.rx.memory().take()?;
        Some(Sending(&mut self.queue, frame))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

struct Received(Buffer);
impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0.bytes())
    }
}

struct Sending<'a>(&'a mut Queue<Bare, Local>, Buffer);
impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let Self(queue, mut frame) = self;
        frame.resize(len as u16);
        let result = write(frame.bytes_mut());
        // Without room it is lost, as on a wire.
        let _ = queue.tx.send(frame);
        queue.tx.flush();
        result
    }
}
