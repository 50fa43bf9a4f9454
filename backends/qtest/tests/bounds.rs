//! The IOMMU: a device reaches what is allocated, and who reaches for more is found out.

mod nic;

use igb::Platform;
use igb_qtest::{DmaFaults, Error, Machine, Memory, Timing};
use igb_ring::{Coherent, Dma};
use nic::{Nic, frame, until};

fn machine() -> Machine {
    Machine::builder().pair().iommu().timing(Timing::Warp).start().unwrap()
}

fn pair(machine: &Machine) -> [Nic; 2] {
    let nics = [0, 1].map(|index| Nic::start(machine.port(index).unwrap()));
    for nic in &nics {
        nic.link_up();
    }
    nics
}

#[test]
fn frames_pass_without_a_fault() {
    let machine = machine();
    let [mut a, mut b] = pair(&machine);
    assert!(a.tx_buffer(0) > 4 << 30, "a device's address is not the machine's");
    for seed in 0..100 {
        a.send(&frame(60 + seed as usize * 10, seed));
        assert_eq!(b.receive(), frame(60 + seed as usize * 10, seed));
    }
    assert_eq!(machine.dma_faults().unwrap(), DmaFaults::default());
}

#[test]
fn interrupts_pass_too() {
    use igb::Wait;
    let machine = machine();
    let [mut a, b] = pair(&machine);
    let mut irqs = b.msix();
    a.send(&frame(64, 0));
    assert!(irqs[0].wait(nic::LIMIT));
    assert_eq!(machine.dma_faults().unwrap(), DmaFaults::default());
}

#[test]
fn an_address_that_nobody_mapped_is_a_fault() {
    let machine = machine();
    let [mut a, mut b] = pair(&machine);
    let wrong = 0x1234_5000;
    a.send_from(wrong, 64);
    until("the descriptor", || a.sent(0));
    let fault = machine.dma_faults().unwrap().first.expect("a fault");
    assert_eq!((fault.address, fault.write, fault.requester), (wrong, false, a.port.requester()));
    assert_eq!(b.receive(), [0; 64], "the device sends zeros for what it could not read");
    assert_eq!(machine.dma_faults().unwrap(), DmaFaults::default(), "told once");
}

#[test]
fn freed_memory_is_out_of_reach_at_once() {
    let machine = machine();
    let [mut a, mut b] = pair(&machine);
    let memory: &Memory = machine.memory();
    let before = memory.allocated();
    let page = Coherent::new(memory, 4096, 4096).unwrap();
    let iova = page.region().iova;
    assert!(memory.write(iova, &frame(64, 5)));
    a.send_from(iova, 64);
    until("the descriptor", || a.sent(0));
    assert_eq!(b.receive(), frame(64, 5));
    assert_eq!(machine.dma_faults().unwrap().first, None);
    drop(page);
    assert_eq!(memory.allocated(), before);
    a.send_from(iova, 64);
    until("the descriptor", || a.sent(1));
    assert_eq!(machine.dma_faults().unwrap().first.expect("a fault").address, iova);
}

#[test]
fn a_write_to_what_is_not_mapped_is_a_fault_and_changes_nothing() {
    let machine = machine();
    let [mut a, b] = pair(&machine);
    let memory = b.port.dma().clone();
    let page = Coherent::new(&memory, 4096, 4096).unwrap();
    let iova = page.region().iova;
    drop(page);
    assert!(memory.write(iova, &[0xee; 64]));
    b.arm_at(0, iova);
    a.send(&frame(64, 1));
    let mut fault = None;
    until("a fault", || {
        fault = machine.dma_faults().unwrap().first;
        fault.is_some()
    });
    let fault = fault.unwrap();
    assert_eq!((fault.address, fault.write, fault.requester), (iova, true, b.port.requester()));
    let mut after = [0; 64];
    assert!(memory.read(iova, &mut after));
    assert_eq!(after, [0xee; 64]);
}

#[test]
fn pieces_are_whole_pages() {
    let machine = machine();
    let memory = machine.memory();
    let a = Coherent::new(memory, 128, 128).unwrap();
    let b = Coherent::new(memory, 128, 128).unwrap();
    assert!(a.region().iova.abs_diff(b.region().iova) >= 4096, "a page has one owner");
    assert_eq!(memory.mask(), u64::MAX);
}

#[test]
fn high_memory_is_translated_too() {
    let machine = Machine::builder().pair().iommu().high_memory().timing(Timing::Warp).start().unwrap();
    let [mut a, mut b] = pair(&machine);
    a.send(&frame(777, 3));
    assert_eq!(b.receive(), frame(777, 3));
    assert_eq!(machine.dma_faults().unwrap(), DmaFaults::default());
}

#[test]
fn a_machine_without_one_says_so() {
    let machine = Machine::builder().pair().start().unwrap();
    assert_eq!(machine.dma_faults(), Err(Error::NoIommu));
}
