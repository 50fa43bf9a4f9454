//! From causes to messages: MSI-X with its maps and masks, MSI, the line, throttling, and waiting for them.

mod bench;

use bench::{Ring, SRRCTL_ONE_BUFFER, frame, start, wait_link};
use core::time::Duration;
use igb::{InterruptKind, Platform, Wait};
use igb_regs::Chip;
use igb_sim::{Device, DeviceSpec, Sim, SimIrq, Violation, WireEnd, World};

const ICR: u32 = 0xc0;
const ICS: u32 = 0xc8;
const IMS: u32 = 0xd0;
const IAM: u32 = 0xe0;
const GPIE: u32 = 0x1514;
const EICS: u32 = 0x1520;
const EIMS: u32 = 0x1524;
const EIAC: u32 = 0x152c;
const EIAM: u32 = 0x1530;
const EICR: u32 = 0x1580;
const LSC: u32 = 4;
const NOW: Duration = Duration::ZERO;
const BROADCAST: [u8; 6] = [0xff; 6];

struct Rig {
    world: World,
    device: Device,
    end: WireEnd,
    sim: Sim,
}

fn rig(chip: Chip) -> Rig {
    let world = World::new();
    let device = world.add(chip);
    let end = world.hold(&device);
    start(&device);
    wait_link(&device);
    device.read(ICR);
    let sim = device.platform();
    Rig { world, device, end, sim }
}

fn vectors(sim: &Sim, kind: InterruptKind, wanted: u16) -> Vec<SimIrq> {
    let count = sim.enable_interrupts(kind, wanted).expect("kind");
    (0..count).map(|vector| sim.take_irq(vector).expect("vector")).collect()
}

/// GPIE before IVAR, as Linux's igb has it: vector `q` for queue `q` both ways, `other` for the rest.
fn map(device: &Device, queues: u32, other: u32) {
    if device.chip() == Chip::I82575 {
        device.write(0x18, device.read(0x18) | 1 | 1 << 24); // CTRL_EXT: IRCA, EIAME
        for queue in 0..queues {
            device.write(0x1600 + 4 * queue, 0x101 << queue); // MSIXBM: RX bit q, TX bit 8 + q
        }
        device.write(0x1600 + 4 * other, 1 << 31);
        return;
    }
    device.write(GPIE, 1 << 31 | 1 << 30 | 1 << 4 | 1);
    let mut ivar = [0_u32; 8];
    for queue in 0..queues {
        let entry = 0x8080 | queue << 8 | queue;
        let (index, shift) = if device.chip() == Chip::I82576 {
            (queue & 7, (queue & 8) << 1)
        } else {
            (queue >> 1, (queue & 1) << 4)
        };
        ivar[index as usize] |= entry << shift;
    }
    for (index, value) in (0..).zip(ivar) {
        device.write(0x1700 + 4 * index, value);
    }
    device.write(0x1740, (other | 0x80) << 8);
}

#[test]
fn each_queue_has_its_vector() {
    for chip in bench::CHIPS {
        let Rig { world, device, end, sim } = rig(chip);
        let queues = (chip.rx_queues() as u32).min(4).min(sim.device().config_read(0x70) >> 16 & 0x7ff);
        let mut irqs = vectors(&sim, InterruptKind::MsiX, queues as u16 + 1);
        map(&device, queues, queues);
        let all = if chip == Chip::I82575 { 0x8000_0f0f } else { (1 << (queues + 1)) - 1 };
        device.write(EIAC, all);
        device.write(EIAM, all);
        device.write(EIMS, all);
        device.write(IMS, LSC);
        let _rings: Vec<_> = (0..queues)
            .map(|queue| Ring::receive(&world, &device, queue, 64, SRRCTL_ONE_BUFFER | 2))
            .collect();
        // RETA spreads by an EtherType filter's queue, where there are any; else by RETA on one hash.
        device.write(0x5818, 2 | 3 << 16);
        device.write(0x5c80, 0x1234_5678);
        for queue in 0..queues {
            let entry = if chip == Chip::I82575 { queue << 6 } else { queue };
            (0..32).for_each(|register| device.write(0x5c00 + 4 * register, entry * 0x0101_0101));
            let mut sent = frame(BROADCAST, 1, 60);
            sent[12..34]
                .copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            end.send(&sent);
            let came: Vec<bool> = irqs.iter_mut().map(SimIrq::poll).collect();
            let expected: Vec<bool> = (0..=queues).map(|vector| vector == queue).collect();
            assert_eq!(came, expected, "{chip} queue {queue}");
            assert_eq!(device.counters().rx[queue as usize].frames, 1);
        }
        end.cut();
        let came: Vec<bool> = irqs.iter_mut().map(SimIrq::poll).collect();
        assert_eq!(came, (0..=queues).map(|vector| vector == queues).collect::<Vec<_>>(), "{chip}: LSC");
        assert_eq!(device.read(ICR) & LSC, LSC);
        assert_eq!(device.violations(), []);
    }
}

#[test]
fn a_message_clears_and_masks_until_rearmed() {
    let Rig { device, sim, .. } = rig(Chip::I350);
    let mut irqs = vectors(&sim, InterruptKind::MsiX, 2);
    map(&device, 1, 1);
    device.write(EIAC, 3);
    device.write(EIAM, 3);
    device.write(EIMS, 3);
    device.write(EICS, 1);
    assert!(irqs[0].wait(NOW) && !irqs[0].wait(NOW));
    assert_eq!((device.peek(EICR), device.read(EIMS)), (0, 2), "auto-cleared, auto-masked");
    device.write(EICS, 1);
    assert!(!irqs[0].wait(NOW), "masked");
    device.write(EIMS, 1);
    assert!(irqs[0].wait(NOW), "what came meanwhile fires on unmask");
    // Without auto-clear the bit stays and no second message comes until it is cleared.
    device.write(EIAC, 0);
    device.write(EIAM, 0);
    device.write(EIMS, 3);
    device.write(EICS, 1);
    device.write(EICS, 1);
    assert!(irqs[0].wait(NOW) && !irqs[0].wait(NOW));
    device.write(EICR, 1);
    device.write(EICS, 1);
    assert!(irqs[0].wait(NOW));
}

#[test]
fn throttling_spaces_messages() {
    let Rig { world, device, sim, .. } = rig(Chip::I210);
    let mut irqs = vectors(&sim, InterruptKind::MsiX, 2);
    map(&device, 1, 1);
    device.write(EIAC, 3);
    device.write(EIMS, 3);
    device.write(0x1680, 400); // EITR: 100 us, as 4 a microsecond
    let mut times = Vec::new();
    for _ in 0..4 {
        device.write(EICS, 1);
        assert!(irqs[0].wait(Duration::from_millis(1)));
        times.push(world.now());
    }
    let gaps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_micros()).collect();
    assert_eq!(gaps, [100, 100, 100]);
    assert!(!irqs[0].wait(Duration::from_millis(1)), "no spurious one when the throttle ends");
}

#[test]
fn without_gpie_everything_is_vector_0() {
    let Rig { device, sim, .. } = rig(Chip::I350);
    let mut irqs = vectors(&sim, InterruptKind::MsiX, 3);
    device.write(IMS, LSC);
    device.write(ICS, LSC);
    assert_eq!(irqs.iter_mut().map(SimIrq::poll).collect::<Vec<_>>(), [true, false, false]);
    device.write(0x1700, 0x8180);
    assert!(matches!(device.take_violations()[..], [Violation::IvarBeforeGpie { .. }]));
    assert_eq!(device.read(0x1700), 0, "lost");
}

#[test]
fn msi_and_the_line() {
    let Rig { world, device, end, sim } = rig(Chip::I82576);
    let _ring = Ring::receive(&world, &device, 0, 64, SRRCTL_ONE_BUFFER | 2);
    let mut irq = vectors(&sim, InterruptKind::Msi, 5);
    assert_eq!(irq.len(), 1);
    device.write(IAM, 0x94);
    device.write(IMS, 0x94);
    end.send(&frame(BROADCAST, 1, 60));
    assert!(irq[0].wait(NOW) && !irq[0].wait(NOW), "one message");
    assert_eq!(device.read(ICR), 0x8000_0080, "INT_ASSERTED and RXT0");
    assert_eq!((device.read(ICR), device.read(IMS)), (0, 0), "cleared, masked by IAM");
    end.send(&frame(BROADCAST, 1, 60));
    device.read(ICR);
    device.write(IMS, 0x94);
    let mut line = vectors(&sim, InterruptKind::Intx, 1);
    end.send(&frame(BROADCAST, 1, 60));
    assert!(line[0].wait(NOW) && line[0].wait(NOW), "a level");
    assert_eq!(device.config_read(0x04) >> 19 & 1, 1, "interrupt status");
    device.read(ICR);
    assert!(!line[0].wait(NOW));
}

/// Without NSICR a read clears only while asserted, or with nothing unmasked (I210 8.8.17).
#[test]
fn icr_clears_when_it_should() {
    let Rig { device, .. } = rig(Chip::I210);
    device.write(IMS, 1);
    device.write(ICS, LSC);
    assert_eq!((device.read(ICR), device.read(ICR)), (LSC, LSC), "not asserted");
    device.write(GPIE, 1);
    assert_eq!((device.read(ICR), device.read(ICR)), (LSC, 0), "NSICR");
    device.write(GPIE, 0);
    device.write(0xd8, u32::MAX);
    device.write(ICS, LSC);
    assert_eq!((device.read(ICR), device.read(ICR)), (LSC, 0), "IMS 0");
    device.write(ICS, LSC | 1);
    device.write(ICR, 1);
    assert_eq!(device.read(ICR), LSC, "write 1 clears");
}

#[test]
fn kinds_and_numbers_have_limits() {
    let world = World::new();
    let device =
        world.attach(DeviceSpec::new(Chip::I350).without(InterruptKind::MsiX).without(InterruptKind::Intx));
    let sim = device.platform();
    assert_eq!(sim.enable_interrupts(InterruptKind::MsiX, 4), None);
    assert_eq!(sim.enable_interrupts(InterruptKind::Intx, 1), None);
    assert_eq!(sim.enable_interrupts(InterruptKind::Msi, 4), Some(1));
    let device = world.attach(DeviceSpec::new(Chip::I350).vectors(3));
    let sim = device.platform();
    assert_eq!(sim.enable_interrupts(InterruptKind::MsiX, 8), Some(3));
    assert!(sim.take_irq(2).is_some() && sim.take_irq(2).is_none() && sim.take_irq(3).is_none());
    sim.disable_interrupts();
    assert!(sim.take_irq(0).is_none());
}

#[test]
fn real_time_wakes_a_thread() {
    let world = World::builder().time(igb_sim::Time::Real).build();
    let device = world.add(Chip::I350);
    start(&device);
    let sim = device.platform();
    let mut irq = vectors(&sim, InterruptKind::Msi, 1).remove(0);
    device.write(IMS, LSC);
    let waiter = std::thread::spawn(move || irq.wait(Duration::from_secs(20)));
    device.write(ICS, LSC);
    assert!(waiter.join().expect("no panic"));
}
