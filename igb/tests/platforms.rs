//! The trait before it freezes: what a VFIO process and a kernel's callbacks would write against it.
//!
//! Nothing here drives a device. The test is that these shapes compile, and that the pieces can be shared as their
//! hosts share them.
#![allow(unsafe_code, reason = "`Dma` is an unsafe trait; the platforms below promise what theirs keep")]
#![allow(
    clippy::type_complexity,
    missing_docs,
    missing_debug_implementations,
    dead_code,
    reason = "shapes, not an interface"
)]

use core::ptr::NonNull;
use core::time::Duration;
use embedded_hal::delay::DelayNs;
use igb::regs::{Bus, Fault};
use igb::ring::{Dma, Domain, Region};
use igb::{
    Action, Clock, Controller, InterruptKind, Local, Memory, PciConfig, Platform, Queue, RxQueue, TxFinish,
    TxQueue, Wait,
};

/// User space: one container of IOVAs for several devices, a mapped BAR, eventfds.
mod vfio {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::os::fd::OwnedFd;
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    /// The container: who maps here maps for every device in it.
    struct Container {
        file: File,
        number: u32,
        ranges: Vec<(u64, u64)>,
        next: Mutex<u64>,
    }

    #[derive(Clone)]
    pub(super) struct ContainerDma(Arc<Container>);

    impl ContainerDma {
        fn map_into_iommu(&self, _cpu: NonNull<u8>, len: usize) -> Option<u64> {
            let mut next = self.0.next.lock().ok()?;
            let (_, last) = *self
                .0
                .ranges
                .iter()
                .find(|(first, last)| *first <= *next && *next + len as u64 - 1 <= *last)?;
            let iova = *next;
            *next = (iova + len as u64).min(last);
            Some(iova)
        }
    }

    // SAFETY: nothing calls these; a real container maps what it allocates, at addresses of its own.
    unsafe impl Dma for ContainerDma {
        fn domain(&self) -> Domain {
            Domain(self.0.number)
        }
        fn mask(&self) -> u64 {
            u64::MAX
        }
        fn alloc(&self, len: usize, _align: usize) -> Option<Region> {
            let memory = Box::leak(vec![0u8; len].into_boxed_slice());
            let cpu = NonNull::from(&mut memory[0]);
            Some(Region { cpu, iova: self.map_into_iommu(cpu, len)?, len })
        }
        unsafe fn free(&self, region: Region) {
            self.unmap(region.iova, region.len);
        }
        unsafe fn map(&self, cpu: NonNull<u8>, len: usize) -> Option<u64> {
            self.map_into_iommu(cpu, len)
        }
        fn unmap(&self, _iova: u64, _len: usize) {}
    }

    /// BAR 0, mapped. SIGBUS on it ends in the fault word and in all ones.
    struct Bar {
        words: Box<[core::sync::atomic::AtomicU32]>,
        fault: core::sync::atomic::AtomicBool,
    }

    #[derive(Clone)]
    pub(super) struct BarBus(Arc<Bar>);

    impl Bus for BarBus {
        fn read32(&self, offset: u32) -> u32 {
            use core::sync::atomic::Ordering::Acquire;
            self.0.words.get(offset as usize / 4).map_or(u32::MAX, |word| word.load(Acquire))
        }
        fn write32(&self, offset: u32, value: u32) {
            use core::sync::atomic::Ordering::Release;
            if let Some(word) = self.0.words.get(offset as usize / 4) {
                word.store(value, Release);
            }
        }
        fn fault(&self) -> Option<Fault> {
            self.0.fault.load(core::sync::atomic::Ordering::Relaxed).then_some(Fault::Gone)
        }
    }

    pub(super) struct Config(Arc<File>);
    impl PciConfig for Config {
        fn read32(&self, offset: u16) -> u32 {
            use std::os::unix::fs::FileExt;
            let mut word = [0xff; 4];
            let _ = self.0.read_exact_at(&mut word, offset.into());
            u32::from_le_bytes(word)
        }
        fn write32(&self, offset: u16, value: u32) {
            use std::os::unix::fs::FileExt;
            let _ = self.0.write_all_at(&value.to_le_bytes(), offset.into());
        }
    }

    pub(super) struct EventFd(OwnedFd);
    impl Wait for EventFd {
        fn wait(&mut self, _limit: Duration) -> bool {
            false
        }
    }

    #[derive(Clone)]
    pub(super) struct Monotonic(Instant);
    impl Clock for Monotonic {
        fn now(&self) -> Duration {
            self.0.elapsed()
        }
    }

    pub(super) struct Sleep;
    impl DelayNs for Sleep {
        fn delay_ns(&mut self, ns: u32) {
            std::thread::sleep(Duration::from_nanos(ns.into()));
        }
    }

    pub(super) struct Device {
        bar: BarBus,
        dma: ContainerDma,
        config: Config,
        vectors: Mutex<BTreeMap<u16, EventFd>>,
        start: Instant,
    }

    impl Platform for Device {
        type Bus = BarBus;
        type Dma = ContainerDma;
        type Irq = EventFd;
        type Delay = Sleep;
        type Clock = Monotonic;
        type Pci = Config;

        fn bus(&self) -> BarBus {
            self.bar.clone()
        }
        fn bar_len(&self) -> u64 {
            self.bar.0.words.len() as u64 * 4
        }
        fn dma(&self) -> &ContainerDma {
            &self.dma
        }
        fn pci(&self) -> &Config {
            &self.config
        }
        fn delay(&self) -> Sleep {
            Sleep
        }
        fn clock(&self) -> Monotonic {
            Monotonic(self.start)
        }
        fn enable_interrupts(&self, kind: InterruptKind, vectors: u16) -> Option<u16> {
            Some(if kind == InterruptKind::MsiX { vectors } else { 1 })
        }
        fn disable_interrupts(&self) {}
        fn take_irq(&self, vector: u16) -> Option<EventFd> {
            self.vectors.lock().ok()?.remove(&vector)
        }
    }
}

/// A kernel: opaque pointers, callbacks from several CPUs at once, interrupts that call us.
mod kernel {
    use super::*;
    use core::cell::UnsafeCell;
    use core::sync::atomic::{AtomicBool, Ordering};

    #[derive(Clone, Copy)]
    pub(super) struct Mmio(usize);
    impl Bus for Mmio {
        fn read32(&self, _: u32) -> u32 {
            u32::MAX
        }
        fn write32(&self, _: u32, _: u32) {}
    }

    #[derive(Clone)]
    pub(super) struct DmaApi {
        device: usize,
    }
    // SAFETY: nothing is ever allocated; a kernel's dma_alloc_coherent keeps the contract.
    unsafe impl Dma for DmaApi {
        fn domain(&self) -> Domain {
            Domain(self.device as u32)
        }
        fn mask(&self) -> u64 {
            u64::MAX
        }
        fn alloc(&self, _: usize, _: usize) -> Option<Region> {
            None
        }
        unsafe fn free(&self, _: Region) {}
        unsafe fn map(&self, _: NonNull<u8>, _: usize) -> Option<u64> {
            None
        }
        fn unmap(&self, _: u64, _: usize) {}
    }

    pub(super) struct Host {
        device: usize,
        dma: DmaApi,
    }
    pub(super) struct ConfigSpace;
    impl PciConfig for ConfigSpace {
        fn read32(&self, _: u16) -> u32 {
            u32::MAX
        }
        fn write32(&self, _: u16, _: u32) {}
    }
    pub(super) struct Udelay;
    impl DelayNs for Udelay {
        fn delay_ns(&mut self, _: u32) {}
    }
    #[derive(Clone)]
    pub(super) struct Ktime;
    impl Clock for Ktime {
        fn now(&self) -> Duration {
            Duration::ZERO
        }
    }

    impl Platform for Host {
        type Bus = Mmio;
        type Dma = DmaApi;
        type Irq = (); // the host's handlers call us
        type Delay = Udelay;
        type Clock = Ktime;
        type Pci = ConfigSpace;
        fn bus(&self) -> Mmio {
            Mmio(self.device)
        }
        fn bar_len(&self) -> u64 {
            0x2_0000
        }
        fn dma(&self) -> &DmaApi {
            &self.dma
        }
        fn pci(&self) -> &ConfigSpace {
            &ConfigSpace
        }
        fn delay(&self) -> Udelay {
            Udelay
        }
        fn clock(&self) -> Ktime {
            Ktime
        }
        fn enable_interrupts(&self, _: InterruptKind, vectors: u16) -> Option<u16> {
            Some(vectors)
        }
        fn disable_interrupts(&self) {}
        fn take_irq(&self, _: u16) -> Option<()> {
            Some(())
        }
    }

    /// One queue pair as a kernel shim keeps it: the transmit lock guards `tx`, NAPI owns `rx` and `finish`.
    pub(super) struct Pair<P: Platform, M: Memory> {
        control: Controller<P>,
        tx: UnsafeCell<TxQueue<P, M::Buf>>,
        napi: UnsafeCell<(RxQueue<P, M>, TxFinish<P, M::Buf>)>,
        tx_stopped: AtomicBool,
    }
    // SAFETY: the host serialises each of the two cells, by its transmit lock and by NAPI.
    unsafe impl<P: Platform, M: Memory> Sync for Pair<P, M> {}

    impl<P: Platform, M: Memory> Pair<P, M> {
        pub(super) fn new(control: Controller<P>, queue: Queue<P, M>) -> Self {
            let (rx, tx, finish) = queue.split();
            Self {
                control,
                tx: UnsafeCell::new(tx),
                napi: UnsafeCell::new((rx, finish)),
                tx_stopped: AtomicBool::new(false),
            }
        }

        /// ndo_start_xmit, on any CPU, under the queue's lock.
        pub(super) fn xmit(&self, frame: M::Buf) -> Result<(), M::Buf> {
            use igb::Port;
            if self.tx_stopped.load(Ordering::Acquire) {
                return Err(frame);
            }
            // SAFETY: the host holds this queue's transmit lock.
            let tx = unsafe { &mut *self.tx.get() };
            let sent = tx.send(frame);
            tx.flush();
            sent
        }

        /// NAPI's poll, on another CPU at the same time.
        pub(super) fn poll(&self, budget: u32, mut up: impl FnMut(M::Buf)) -> Result<u32, igb::Error> {
            // SAFETY: NAPI runs one poll of one context at a time.
            let (rx, finish) = unsafe { &mut *self.napi.get() };
            match finish.clean_alone(drop) {
                Err(igb::Error::RestartNeeded) => {
                    self.tx_stopped.store(true, Ordering::Release);
                    // SAFETY: the host has stopped the queue and waited for senders before the reset.
                    let tx = unsafe { &mut *self.tx.get() };
                    finish.clean(tx, drop)?;
                    self.tx_stopped.store(false, Ordering::Release);
                }
                other => drop(other?),
            }
            rx.poll(budget, &mut Nowhere, &mut (), |frame, _| {
                up(frame);
                Action::Kept
            })
        }

        /// The handler of the other causes: hard-interrupt context, so no lock.
        pub(super) fn on_other(&self) -> bool {
            self.control.on_interrupt().unwrap_or(false)
        }
    }

    /// A stack has its own way out.
    struct Nowhere;
    impl<C> igb::Port<C> for Nowhere {
        fn push(&mut self, frame: C) -> Result<(), C> {
            Err(frame)
        }
        fn flush(&mut self) {}
    }
}

fn waits<P: Platform<Irq: Wait>>() {}
fn is_called<P: Platform<Irq = ()>>() {}
fn shared<T: Send + Sync>() {}
fn owned<T: Send>() {}

#[test]
fn both_hosts_fit_the_trait() {
    waits::<vfio::Device>();
    is_called::<kernel::Host>();
    shared::<Controller<vfio::Device>>();
    owned::<Queue<vfio::Device, Local>>();
    shared::<kernel::Pair<kernel::Host, Local>>();
    let _ = (
        kernel::Pair::<kernel::Host, Local>::new,
        kernel::Pair::<kernel::Host, Local>::xmit,
        |pair: &kernel::Pair<kernel::Host, Local>| pair.poll(64, drop),
        kernel::Pair::<kernel::Host, Local>::on_other,
    );
}
