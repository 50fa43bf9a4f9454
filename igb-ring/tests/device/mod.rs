//! A device that does what it is told: the tests' other end of a ring.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

use igb_ring::descriptors::{RxStatus, TxData, TxStatus};
use igb_ring::{Arena, Chunk, RxRing, TxSender};

/// The device's side of one ring.
pub struct Ring {
    pub dma: Arena,
    pub base: u64,
    pub len: u32,
    pub head: u32,
    pub tail: u32,
}

impl Ring {
    pub fn rx<C: Chunk>(dma: &Arena, ring: &RxRing<C>) -> Self {
        Self { dma: dma.clone(), base: ring.base().0, len: ring.len(), head: 0, tail: 0 }
    }
    pub fn tx<C: Chunk>(dma: &Arena, ring: &TxSender<C>) -> Self {
        Self { dma: dma.clone(), base: ring.base().0, len: ring.len(), head: 0, tail: 0 }
    }
    fn at(&self, index: u32) -> u64 {
        self.base + u64::from(index) * 16
    }
    pub fn words(&self, index: u32) -> (u64, u64) {
        (self.dma.read64(self.at(index)).unwrap(), self.dma.read64(self.at(index) + 8).unwrap())
    }
    pub fn write_status(&self, index: u32, status: RxStatus) {
        assert!(self.dma.write64(self.at(index) + 8, status.into_bits()));
    }
    pub fn write_info(&self, index: u32, info: u64) {
        assert!(self.dma.write64(self.at(index), info));
    }
    fn next(&mut self) -> Option<u32> {
        let at = self.head;
        (at != self.tail).then(|| {
            self.head = (at + 1) % self.len;
            at
        })
    }
    /// Receives one frame, in one descriptor. False when nothing is posted.
    pub fn receive(&mut self, frame: &[u8]) -> bool {
        self.write_back(Some(frame), good(frame.len() as u16))
    }
    /// Takes the next posted descriptor and writes `status` into it, as good devices do: data first.
    pub fn write_back(&mut self, data: Option<&[u8]>, status: RxStatus) -> bool {
        let Some(at) = self.next() else { return false };
        if let Some(data) = data {
            assert!(self.dma.write(self.words(at).0, data), "the driver posted an address that is memory");
        }
        self.write_status(at, status);
        true
    }
    /// Sends what is posted, at most `n` descriptors: the frames, with their command words.
    pub fn send(&mut self, n: usize) -> Vec<(Vec<u8>, TxData)> {
        let mut sent = Vec::new();
        for _ in 0..n {
            let Some(at) = self.next() else { break };
            let (address, word) = self.words(at);
            let data = TxData::from_bits(word);
            assert!(data.dext());
            if data.dtyp() == TxData::DTYP_CONTEXT {
                assert!(!data.rs() && !data.eop());
                continue;
            }
            let mut frame = vec![0; usize::from(data.dtalen())];
            assert!(self.dma.read(address, &mut frame), "the driver pushed an address that is memory");
            if data.rs() {
                assert!(self.dma.write64(self.at(at) + 8, word | TxStatus::new().with_dd(true).into_bits()));
            }
            sent.push((frame, data));
        }
        sent
    }
}

pub fn good(len: u16) -> RxStatus {
    RxStatus::new().with_dd(true).with_eop(true).with_length(len)
}
