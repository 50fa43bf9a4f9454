//! Loops whose cost is counted in the guest: what a program does for a frame, over VFIO, and nothing else.
//!
//! ```text
//! vfio-bench rxdrop|txpush|txgen|echo ADDRESS   one device
//! vfio-bench fwd ADDRESS ADDRESS                from the first to the second
//! vfio-bench source ADDRESS MAC                 sends frames of 60 bytes to MAC until killed
//! ```
//!
//! Windows are marked by two no-ops that `igb-bench-counter` knows. Between two windows the program sleeps until the
//! receive ring is full, so neither sleeping nor polling for nothing is in them; a run in which more than 1 % of the polls found
//! nothing is void. The last line, `counted CASE FRAMES POLLS EMPTY`, says what the windows held.

use core::arch::asm;
use core::time::Duration;
use igb::{
    Action, Buffer, Chunk, Config, Controller, Exclusive, Igb, Local, MacAddress, Memory, Platform, Pool,
    Queue, Queues,
};
use igb_regs::Regs;
use igb_vfio::{Container, Device};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
type Port = (Controller<Device>, Queue<Device, Local>);

/// Frames of 64 bytes on the wire; the device adds the last four.
const LEN: usize = 60;
/// Descriptors of each ring.
const RING: u32 = 256;
/// Frames a poll or a doorbell, as DPDK's programs have them.
const BURST: u32 = 32;
/// Polls a window: their frames fit the ring, which is full when the window begins.
const POLLS: u32 = 6;
/// Frames to count at least, and frames that go through before.
const ENOUGH: u64 = 100_000;
const WARM_UP: u64 = 10_000;
/// How often a ring that fills is looked at.
const FILLING: Duration = Duration::from_micros(500);
/// A case that gets no further is ended.
const LIMIT: Duration = Duration::from_secs(120);

#[inline(always)]
#[allow(unsafe_code, reason = "an instruction that no compiler writes")]
fn mark_case() {
    // SAFETY: a no-op.
    unsafe { asm!(".byte 0x0f, 0x1f, 0x80, 3, 0, 0x5a, 0x7a", options(nostack, preserves_flags)) };
}

#[inline(always)]
#[allow(unsafe_code, reason = "an instruction that no compiler writes")]
fn mark_begin() {
    // SAFETY: a no-op; nothing is moved over it, for it may touch memory.
    unsafe { asm!(".byte 0x0f, 0x1f, 0x80, 1, 0, 0x5a, 0x7a", options(nostack, preserves_flags)) };
}

#[inline(always)]
#[allow(unsafe_code, reason = "an instruction that no compiler writes")]
fn mark_end() {
    // SAFETY: as above.
    unsafe { asm!(".byte 0x0f, 0x1f, 0x80, 2, 0, 0x5a, 0x7a", options(nostack, preserves_flags)) };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["source", device, to] => source(device, to),
        [name @ ("rxdrop" | "echo" | "txpush" | "txgen"), device] => one(name, device),
        ["fwd", from, to] => fwd(from, to),
        _ => {
            eprintln!(
                "vfio-bench rxdrop|txpush|txgen|echo ADDRESS | fwd ADDRESS ADDRESS | source ADDRESS MAC"
            );
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn open(container: &Container, address: &str, pool: Option<&Pool>) -> Outcome<Port> {
    let nic = Igb::probe(container.open(address)?, Config::default())?;
    let queues = Queues::combined(1).rings(RING, RING);
    let (control, queues) = match pool {
        Some(pool) => nic.open_with(queues, |_| pool.local())?,
        None => nic.open(queues)?,
    };
    control.set_promiscuous(true)?;
    Ok((control, queues.into_iter().next().ok_or("the device has no queue")?))
}

/// Sleeps until every descriptor that `control`'s port was given has a frame.
fn fill(control: &Controller<Device>) -> bool {
    let regs = Regs::new(control.platform().bus(), control.chip());
    let started = Instant::now();
    while regs.rdh(0).get() != regs.rdt(0).get() {
        if started.elapsed() > LIMIT {
            return false;
        }
        std::thread::sleep(FILLING);
    }
    true
}

/// Runs `batch` in windows until enough frames were counted, and `ready` before each: false is the end. `batch` gives the
/// number of frames that it moved.
#[inline(always)]
fn count(
    name: &str,
    ready: impl Fn() -> bool,
    mut batch: impl FnMut() -> Result<u32, igb::Error>,
) -> Outcome<u64> {
    let started = Instant::now();
    let (mut warm, mut frames, mut polls, mut empty) = (0, 0, 0u64, 0u64);
    let late = |frames: u64| format!("{name}: {frames} frames within {} s", LIMIT.as_secs());
    while warm < WARM_UP {
        if !ready() || started.elapsed() > LIMIT {
            return Err(late(warm).into());
        }
        warm += u64::from(batch()?);
    }
    mark_case();
    while frames < ENOUGH {
        if !ready() || started.elapsed() > LIMIT {
            return Err(late(frames).into());
        }
        mark_begin();
        for _ in 0..POLLS {
            let moved = batch()?;
            frames += u64::from(moved);
            polls += 1;
            empty += u64::from(moved == 0);
        }
        mark_end();
    }
    if empty * 100 > polls {
        return Err(format!("{name}: void, {empty} of {polls} polls found nothing").into());
    }
    println!("counted {name} {frames} {polls} {empty}");
    Ok(warm + frames)
}

fn one(name: &str, address: &str) -> Outcome {
    let container = Container::new()?;
    let (control, mut queue) = open(&container, address, None)?;
    control.wait_link(Duration::from_secs(20))?;
    let before = control.statistics()?;
    let (mut received, mut sent) = (0, 0);
    match name {
        "rxdrop" => {
            let drop = |frame, _: igb::RxMeta<'_>| Action::Recycle(frame);
            received = count(name, || fill(&control), || queue.poll(BURST, drop))?;
        }
        "echo" => {
            let back = |mut frame: Buffer, _: igb::RxMeta<'_>| {
                swap(frame.bytes_mut());
                Action::Transmit(frame)
            };
            received = count(name, || fill(&control), || queue.poll(BURST, back))?;
            sent = received;
        }
        "txpush" => {
            prepare(queue.rx.memory());
            let next = |memory: &mut Local| {
                let mut frame = memory.take()?;
                frame.resize(LEN as u16);
                Some(frame)
            };
            sent = count(name, || true, || queue.send_batch(BURST, next))?;
        }
        _ => {
            let (head, mut number) = (template(), 0);
            let mut next = |memory: &mut Local| {
                let mut frame = memory.take()?;
                frame.resize(LEN as u16);
                build(frame.bytes_mut(), &head, number);
                number += 1;
                Some(frame)
            };
            sent = count(name, || true, || queue.send_batch(BURST, &mut next))?;
        }
    }
    let after = control.statistics()?;
    let (rx, tx) = (after.rx_frames - before.rx_frames, after.tx_frames - before.tx_frames);
    // What had come before the first look is not in the difference: a ring of frames at most.
    if rx + u64::from(RING) < received || tx < sent {
        return Err(format!("{name}: the device counted {rx} of {received} and {tx} of {sent} frames").into());
    }
    queue.close()?;
    control.close();
    Ok(())
}

/// Every buffer that is free holds the frame.
fn prepare(memory: &mut Local) {
    let mut frame = template();
    build(&mut frame, &template(), 0);
    let mut all = Vec::new();
    while let Some(mut buffer) = memory.take() {
        buffer.set(&frame);
        all.push(buffer);
    }
    all.into_iter().for_each(|buffer| memory.give(buffer));
}

fn fwd(from: &str, to: &str) -> Outcome {
    let container = Container::new()?;
    // One pool for both, which a device has to be open for; it is opened again, then.
    let probe = Igb::probe(container.open(from)?, Config::default())?;
    let (chunks, size) = (probe.chunks(Queues::combined(1).rings(RING, RING)), probe.chunk_size());
    let pool = Pool::new(&container.memory(), 2 * chunks, size)?;
    drop(probe);
    let (one, mut from) = open(&container, from, Some(&pool))?;
    let (two, mut to) = open(&container, to, Some(&pool))?;
    for control in [&one, &two] {
        control.wait_link(Duration::from_secs(20))?;
    }
    let before = two.statistics()?.tx_frames;
    let moved = count(
        "fwd",
        || fill(&one),
        || {
            let home = from.rx.memory();
            to.finish.clean(&mut to.tx, |frame| home.give(frame))?;
            let ports = core::slice::from_mut(&mut to.tx);
            from.poll_to(BURST, ports, |mut frame, _| {
                swap(frame.bytes_mut());
                Action::Redirect(0, frame)
            })
        },
    )?;
    let (sent, lost) = (two.statistics()?.tx_frames - before, from.stats().lost + to.stats().lost);
    if sent < moved || lost > 0 {
        return Err(format!("fwd: the device sent {sent} of {moved} frames, {lost} were lost").into());
    }
    for (control, queue) in [(one, from), (two, to)] {
        queue.close()?;
        control.close();
    }
    Ok(())
}

/// Exchanges the two MAC addresses.
#[inline]
fn swap(frame: &mut [u8]) {
    if let Some((to, from)) = frame.get_mut(..12).map(|both| both.split_at_mut(6)) {
        to.swap_with_slice(from);
    }
}

/// Ethernet, IPv4, UDP: everything that does not change, and the sum over the words of the IPv4 header.
fn template() -> [u8; LEN] {
    let mut frame = [0; LEN];
    frame[..14].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x08, 0x00]);
    frame[14..24].copy_from_slice(&[0x45, 0, 0, (LEN - 14) as u8, 0, 0, 0x40, 0, 64, 17]);
    frame[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    frame[34..40].copy_from_slice(&[0, 9, 0, 9, 0, (LEN - 34) as u8]);
    frame
}

/// Frame `number`: its own tuple (source port and source address change), identification, checksum and sequence number.
#[inline]
fn build(frame: &mut [u8], head: &[u8; LEN], number: u32) {
    let Some(frame) = frame.first_chunk_mut::<LEN>() else { return };
    frame[..42].copy_from_slice(&head[..42]);
    let low = number.to_be_bytes();
    frame[18..20].copy_from_slice(&low[2..]);
    frame[28..30].copy_from_slice(&low[2..]);
    frame[34..36].copy_from_slice(&low[2..]);
    frame[42..46].copy_from_slice(&low);
    // The header's words but for the checksum's.
    let words = frame[14..34].chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    frame[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// Keeps the far end's ring full, and takes what comes back.
fn source(address: &str, to: &str) -> Outcome {
    let to: Vec<u8> = to.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
    let to = MacAddress(to.try_into().map_err(|_| "a MAC address has six bytes")?);
    let container = Container::new()?;
    let (control, mut queue) = open(&container, address, None)?;
    control.wait_link(Duration::from_secs(20))?;
    let mut frame = template();
    frame[..6].copy_from_slice(&to.0);
    println!("sending");
    std::io::stdout().flush()?;
    loop {
        queue.send_batch(BURST, |memory| {
            let mut buffer = memory.take()?;
            buffer.set(&frame).then_some(buffer)
        })?;
        queue.poll(2 * BURST, |frame, _| Action::Recycle(frame))?;
        std::thread::sleep(Duration::from_micros(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_differ_and_their_checksums_hold() {
        let mut seen = std::collections::BTreeSet::new();
        for number in [0, 1, 255, 65_535, 65_536, u32::MAX] {
            let mut frame = [0; LEN];
            build(&mut frame, &template(), number);
            let sum: u32 =
                frame[14..34].chunks(2).map(|word| u32::from(word[0]) * 256 + u32::from(word[1])).sum();
            assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "{number}");
            assert!(seen.insert(frame));
        }
    }

    #[test]
    fn addresses_are_exchanged() {
        let mut frame = template();
        swap(&mut frame);
        assert_eq!(frame[..12], [0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2]);
        swap(&mut frame[..5]);
    }
}
