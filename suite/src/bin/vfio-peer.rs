//! Our driver at one end of a wire whose other end is somebody else's, as Linux's igb: what that one sees is the proof.
//!
//! ```text
//! vfio-peer answer ADDRESS IPV4        answers ARP and ping, in the buffers that they came in, woken by interrupts
//! vfio-peer forward ADDRESS ADDRESS    passes everything from one device to the other without a copy, polling
//! ```
//!
//! Both say `open` when the devices are, run until their input ends, and close with the counts of what they did.

use core::time::Duration;
use igb::{Action, Config, Controller, Exclusive, Igb, Local, Queue, Queues};
use igb_vfio::{Container, Device};
use std::error::Error;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

type Outcome = Result<(), Box<dyn Error>>;

/// A frame with a tag is 4 bytes longer.
const MAX_FRAME: u16 = 1522;
const BUDGET: u32 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["answer", device, address] => answer(device, address),
        ["forward", left, right] => forward(left, right),
        _ => {
            eprintln!("vfio-peer answer ADDRESS IPV4 | forward ADDRESS ADDRESS");
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

/// Set when our input ends.
fn ended() -> &'static AtomicBool {
    static ENDED: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ENDED.store(true, Ordering::Release);
    });
    &ENDED
}

#[allow(clippy::type_complexity, reason = "a controller and its queue")]
fn open(
    container: &Container,
    address: &str,
) -> Result<(Controller<Device>, Queue<Device, Local>), Box<dyn Error>> {
    let nic = Igb::probe(container.open(address)?, Config::default().max_frame(MAX_FRAME))?;
    let (control, queues) = nic.open(Queues::combined(1))?;
    let queue = queues.into_iter().next().ok_or("the device has no queue")?;
    Ok((control, queue))
}

fn say(text: &str) -> Outcome {
    println!("{text}");
    Ok(std::io::stdout().flush()?)
}

fn answer(address: &str, own: &str) -> Outcome {
    let own: Ipv4Addr = own.parse()?;
    let container = Container::new()?;
    let (control, mut queue) = open(&container, address)?;
    let mut irq = queue.take_irq().ok_or("the queue has no interrupt")?;
    let mac = control.address().0;
    say(&format!("open {} {:?}", control.address(), control.interrupt_kind()))?;
    let ended = ended();
    let (mut answers, mut others) = (0u64, 0u64);
    while !ended.load(Ordering::Acquire) {
        queue.poll_or_wait(&mut irq, Duration::from_millis(200), BUDGET, |mut frame, _| {
            if reply(frame.bytes_mut(), mac, own.octets()) {
                answers += 1;
                Action::Transmit(frame)
            } else {
                others += 1;
                Action::Recycle(frame)
            }
        })?;
    }
    drop(irq);
    queue.close()?;
    control.close();
    say(&format!("answered {answers}, passed over {others}"))
}

/// Makes an ARP request or a ping to us its own answer.
fn reply(frame: &mut [u8], mac: [u8; 6], own: [u8; 4]) -> bool {
    let kind = frame.get(12..14).map(<[u8]>::to_vec);
    match kind.as_deref() {
        Some([0x08, 0x06])
            if frame.len() >= 42 && frame[14..22] == [0, 1, 8, 0, 6, 4, 0, 1] && frame[38..42] == own =>
        {
            frame.copy_within(22..32, 32); // whoever asked is who it is for
            frame[21] = 2;
            frame[22..28].copy_from_slice(&mac);
            frame[28..32].copy_from_slice(&own);
        }
        Some([0x08, 0x00])
            if frame.len() >= 42
                && frame[14] == 0x45
                && frame[23] == 1
                && frame[30..34] == own
                && frame[34] == 8 =>
        {
            frame.copy_within(26..30, 30);
            frame[26..30].copy_from_slice(&own);
            // Request to reply takes 0x0800 from the sum's words, so the sum's complement gets it.
            frame[34] = 0;
            let (sum, carry) = u16::from_be_bytes([frame[36], frame[37]]).overflowing_add(0x0800);
            frame[36..38].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
        }
        _ => return false,
    }
    frame.copy_within(6..12, 0);
    frame[6..12].copy_from_slice(&mac);
    true
}

fn forward(left: &str, right: &str) -> Outcome {
    let container = Container::new()?;
    let mut left = open(&container, left)?;
    let mut right = open(&container, right)?;
    for (control, _) in [&left, &right] {
        control.set_promiscuous(true)?;
    }
    say("open")?;
    let ended = ended();
    let mut moved = [0u64; 2];
    while !ended.load(Ordering::Acquire) {
        let mut idle = true;
        for (direction, moved) in moved.iter_mut().enumerate() {
            let (from, to) =
                if direction == 0 { (&mut left.1, &mut right.1) } else { (&mut right.1, &mut left.1) };
            let polled = from.poll_to(BUDGET, &mut [&mut to.tx], |frame, _| Action::Redirect(0, frame))?;
            to.clean()?;
            *moved += u64::from(polled);
            idle &= polled == 0;
        }
        if idle {
            // The only processor of a small guest is wanted elsewhere.
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    let lost = [left.1.stats().lost, right.1.stats().lost];
    for (control, queue) in [left, right] {
        queue.close()?;
        control.close();
    }
    say(&format!("forwarded {} and {}, lost {lost:?}", moved[0], moved[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
    const OWN: [u8; 4] = [10, 0, 0, 2];

    #[test]
    fn a_ping_becomes_its_answer_with_a_right_checksum() {
        let mut frame = vec![0xaa; 60];
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1]);
        frame[12..34]
            .copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame[34..38].copy_from_slice(&[8, 0, 0, 0]);
        let sum = |bytes: &[u8]| {
            let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) * 256 + u32::from(pair[1])).sum();
            let sum = (sum & 0xffff) + (sum >> 16);
            ((sum & 0xffff) + (sum >> 16)) as u16
        };
        let check = !sum(&frame[34..]);
        frame[36..38].copy_from_slice(&check.to_be_bytes());
        assert!(reply(&mut frame, MAC, OWN));
        assert_eq!(sum(&frame[34..]), 0xffff);
        assert_eq!(frame[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9]);
        assert_eq!(frame[26..34], [10, 0, 0, 2, 10, 0, 0, 1]);
        assert!(!reply(&mut frame, MAC, OWN), "an answer is no question");
        assert!(!reply(&mut frame[..20], MAC, OWN));
    }

    #[test]
    fn an_arp_request_becomes_its_answer() {
        let mut frame = vec![0; 60];
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame[22..32].copy_from_slice(&[2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        frame[38..42].copy_from_slice(&OWN);
        assert!(reply(&mut frame, MAC, OWN));
        assert_eq!(frame[20..42], [0, 2, 2, 0, 0, 0, 0, 9, 10, 0, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
    }
}
