//! Interrupts: messages to the local APIC of the one processor. A handler sets a bit; whoever waits halts until one of
//! its bits is set.

use crate::Tsc;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering::*};
use core::time::Duration;
use igb::{Clock, Wait};
use x86_64::VirtAddr;
use x86_64::instructions::{interrupts as cpu, port::Port};
use x86_64::structures::idt::InterruptDescriptorTable;

/// Messages for all devices; each is a gate of its own.
const MESSAGES: u16 = 8;
/// The first gate of a message, and the timer's.
const GATE: u8 = 0x40;
const GATE_TIMER: u8 = 0x30;

/// The local APIC where it is after a reset, and the registers used here.
const APIC: usize = 0xfee0_0000;
const APIC_ID: usize = 0x20;
const APIC_EOI: usize = 0xb0;
const APIC_SPURIOUS: usize = 0xf0;
const APIC_TIMER: [(usize, u32); 3] = [
    (0x3e0, 0x3),                         // the bus clock divided by 16
    (0x320, 1 << 17 | GATE_TIMER as u32), // again and again
    (0x380, 312_500),                     // every 5 ms where the bus runs at 1 GHz
];

static PENDING: AtomicU32 = AtomicU32::new(0);
static NEXT: AtomicU16 = AtomicU16::new(0);
static GATES: spin::Once<InterruptDescriptorTable> = spin::Once::new();

/// One message, for whoever waits for it.
#[derive(Debug)]
pub struct Vector {
    bit: u32,
    tsc: Tsc,
}

impl Vector {
    pub(crate) fn new(number: u16, tsc: Tsc) -> Self {
        Self { bit: 1 << number, tsc }
    }
}

impl Wait for Vector {
    fn wait(&mut self, limit: Duration) -> bool {
        wait_any(core::slice::from_mut(self), limit)
    }
}

/// Halts until one of `vectors` was raised, or for `limit`: what a single thread with several devices calls. The
/// processor's timer ends a halt every few milliseconds, so that `limit` is kept.
pub fn wait_any(vectors: &mut [Vector], limit: Duration) -> bool {
    let Some(tsc) = vectors.first().map(|vector| vector.tsc) else { return false };
    let bits = vectors.iter().fold(0, |bits, vector| bits | vector.bit);
    let start = tsc.now();
    loop {
        cpu::disable();
        let came = PENDING.fetch_and(!bits, AcqRel) & bits != 0;
        if came || tsc.now().saturating_sub(start) >= limit {
            cpu::enable();
            return came;
        }
        cpu::enable_and_hlt(); // nothing comes between the two
    }
}

/// Up to `wanted` messages: the first, and how many. `None` before [`start`] and when all are given away.
pub(crate) fn allocate(wanted: u16) -> Option<(u16, u16)> {
    GATES.get()?;
    let take = |next: u16| Some(next + wanted.min(MESSAGES - next));
    let first = NEXT.fetch_update(AcqRel, Acquire, take).ok()?;
    let count = wanted.min(MESSAGES - first);
    (count > 0).then_some((first, count))
}

/// An entry of the MSI-X table: address, data, not masked.
pub(crate) fn message(number: u16) -> [u32; 4] {
    [APIC as u32 | apic(APIC_ID, None) >> 24 << 12, 0, u32::from(GATE) + u32::from(number), 0]
}

/// Fills the gates, quiets the old interrupt controllers and starts the local APIC with its timer.
pub(crate) fn start() {
    let gates = GATES.call_once(|| {
        let mut gates = InterruptDescriptorTable::new();
        let messages: [extern "C" fn(); MESSAGES as usize] = [
            raised::<0>,
            raised::<1>,
            raised::<2>,
            raised::<3>,
            raised::<4>,
            raised::<5>,
            raised::<6>,
            raised::<7>,
        ];
        // One without an owner, number 31, for the timer: it ends a halt and nothing else.
        let all = (GATE..).zip(messages).chain([(GATE_TIMER, raised::<31> as extern "C" fn())]);
        for (number, handler) in all {
            // SAFETY: it ends with iretq, and leaves all registers as they were.
            unsafe { gates[number].set_handler_addr(VirtAddr::new(handler as usize as u64)) };
        }
        let fault = VirtAddr::new(fault as extern "C" fn() as usize as u64);
        // SAFETY: it does not return; an error code on the stack does not disturb it.
        unsafe { gates.general_protection_fault.set_handler_addr(fault) };
        // SAFETY: as above.
        unsafe { gates.page_fault.set_handler_addr(fault) };
        gates
    });
    gates.load();
    for port in [0x21, 0xa1] {
        // SAFETY: masks of the two 8259, which nobody uses.
        unsafe { Port::<u8>::new(port).write(0xff) };
    }
    apic(APIC_SPURIOUS, Some(0x1ff));
    for (register, value) in APIC_TIMER {
        apic(register, Some(value));
    }
    cpu::enable();
}

/// Reads or writes a register of the local APIC.
fn apic(register: usize, value: Option<u32>) -> u32 {
    let at = core::ptr::with_exposed_provenance_mut::<u32>(APIC + register);
    match value {
        // SAFETY: mapped and uncached, says `Machine::take`.
        None => unsafe { at.read_volatile() },
        Some(value) => {
            // SAFETY: as above.
            unsafe { at.write_volatile(value) };
            value
        }
    }
}

extern "C" fn came(number: u32) {
    PENDING.fetch_or(1 << number, AcqRel);
    apic(APIC_EOI, Some(0));
}

/// The processor aligned the stack and pushed five words; nine registers make it aligned again.
#[unsafe(naked)]
extern "C" fn raised<const NUMBER: u32>() {
    naked_asm!(
        "push rax", "push rcx", "push rdx", "push rsi", "push rdi", "push r8", "push r9", "push r10", "push r11",
        "cld", "mov edi, {number}", "call {came}",
        "pop r11", "pop r10", "pop r9", "pop r8", "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rax", "iretq",
        number = const NUMBER, came = sym came
    )
}

extern "C" fn died(first: u64, second: u64) -> ! {
    panic!("the processor raised an exception; on the stack: {first:#x} {second:#x}")
}

#[unsafe(naked)]
extern "C" fn fault() {
    naked_asm!("mov rdi, [rsp]", "mov rsi, [rsp + 8]", "and rsp, -16", "call {died}", died = sym died)
}
