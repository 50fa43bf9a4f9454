//! A plugin of QEMU (TCG) that counts the guest's user instructions, by virtual processor.
//!
//! A program of the guest marks a moment with a no-op of seven bytes, `0f 1f 80 NN 00 5a 7a`: `nop` with an address that
//! no compiler writes. Each time that one runs, a line `mark NN cpu C user COUNT` goes to QEMU's log, with all that this
//! processor executed in user mode since it was started. `cargo xtask bench --guest` loads it and reads the log.
//!
//! The declarations are those of QEMU's plugin interface (docs/devel/tcg-plugins of QEMU), version 7 (QEMU 11), as far as they are
//! used here.

#![allow(unsafe_code, reason = "QEMU's plugin interface is C")]

use core::ffi::{c_char, c_int, c_uint, c_void};
use std::ffi::CString;
use std::sync::OnceLock;

/// The version of the interface; QEMU looks for this name.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "QEMU's name")]
pub static qemu_plugin_version: c_int = 7;

/// A block of instructions being translated, and one of its instructions. QEMU's; only their addresses are known here.
#[repr(C)]
struct Block {
    _opaque: [u8; 0],
}
#[repr(C)]
struct Instruction {
    _opaque: [u8; 0],
}
#[repr(C)]
struct Scoreboard {
    _opaque: [u8; 0],
}

/// A 64-bit number for each processor (`qemu_plugin_u64`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Number {
    score: *mut Scoreboard,
    offset: usize,
}

// SAFETY: the scoreboard is made once and never freed, and QEMU's functions that take it may be called by any thread.
unsafe impl Send for Number {}
// SAFETY: as above.
unsafe impl Sync for Number {}

/// `QEMU_PLUGIN_INLINE_ADD_U64`.
const ADD: c_int = 0;
/// `QEMU_PLUGIN_CB_NO_REGS`.
const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(
        id: u64,
        callback: extern "C" fn(*mut Block, *mut c_void),
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_vaddr(block: *const Block) -> u64;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(instruction: *const Instruction, to: *mut c_void, len: usize) -> usize;
    fn qemu_plugin_scoreboard_new(element_size: usize) -> *mut Scoreboard;
    fn qemu_plugin_u64_get(number: Number, cpu: c_uint) -> u64;
    fn qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
        block: *mut Block,
        operation: c_int,
        number: Number,
        value: u64,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_outs(text: *const c_char);
}

/// User instructions.
static USER: OnceLock<Number> = OnceLock::new();

/// QEMU calls this as it loads the plugin.
///
/// # Safety
/// Only QEMU may, once, with the plugin's number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    _count: c_int,
    _arguments: *const *const c_char,
) -> c_int {
    // SAFETY: within `qemu_plugin_install` every function of the interface may be called.
    let score = unsafe { qemu_plugin_scoreboard_new(size_of::<u64>()) };
    if USER.set(Number { score, offset: 0 }).is_err() {
        return 1;
    }
    // SAFETY: as above; the function lives as long as the plugin, which is never unloaded.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated, core::ptr::null_mut()) };
    0
}

/// A block was translated: it counts itself from now on, if it is of a program, and its marks report.
extern "C" fn translated(block: *mut Block, _data: *mut c_void) {
    let Some(user) = USER.get() else { return };
    // SAFETY: QEMU's block, valid within this call.
    let address = unsafe { qemu_plugin_tb_vaddr(block) };
    // The kernel has the upper half of addresses.
    if address >> 63 != 0 {
        return;
    }
    // SAFETY: as above.
    let instructions = unsafe { qemu_plugin_tb_n_insns(block) };
    // SAFETY: as above, and the scoreboard is of one such number.
    unsafe { qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, ADD, *user, instructions as u64) };
    for index in 0..instructions {
        // SAFETY: as above, and the index is below the number of instructions.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        let mut bytes = [0u8; 7];
        // SAFETY: the instruction is valid within this call, and there is room for that many bytes.
        let len = unsafe { qemu_plugin_insn_data(instruction, bytes.as_mut_ptr().cast(), bytes.len()) };
        if len == bytes.len()
            && let [0x0f, 0x1f, 0x80, number, 0, 0x5a, 0x7a] = bytes
        {
            let data = core::ptr::without_provenance_mut(number.into());
            // SAFETY: as above; `data` is a number and never followed.
            unsafe { qemu_plugin_register_vcpu_insn_exec_cb(instruction, marked, NO_REGISTERS, data) };
        }
    }
}

/// A mark runs.
extern "C" fn marked(cpu: c_uint, data: *mut c_void) {
    let Some(user) = USER.get() else { return };
    // SAFETY: a processor that runs, and the scoreboard is never freed.
    let count = unsafe { qemu_plugin_u64_get(*user, cpu) };
    if let Ok(line) = CString::new(format!("mark {} cpu {cpu} user {count}\n", data.addr())) {
        // SAFETY: a string that ends with zero, copied before this returns.
        unsafe { qemu_plugin_outs(line.as_ptr()) };
    }
}
