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
    frame: Option<(Vec<u8>, TxData)>,
}

impl Ring {
    pub fn rx<C: Chunk>(dma: &Arena, ring: &RxRing<C>) -> Self {
        Self { dma: dma.clone(), base: ring.base().0, len: ring.len(), head: 0, tail: 0, frame: None }
    }
    pub fn tx<C: Chunk>(dma: &Arena, ring: &TxSender<C>) -> Self {
        Self { dma: dma.clone(), base: ring.base().0, len: ring.len(), head: 0, tail: 0, frame: None }
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
    /// Receives one frame, over as many descriptors as it takes with `size` bytes each.
    pub fn receive_over(&mut self, frame: &[u8], size: u16) -> bool {
        let pieces = frame.chunks(size.into());
        let last = pieces.len() - 1;
        if (self.tail + self.len - self.head) % self.len <= last as u32 {
            return false;
        }
        pieces
            .enumerate()
            .all(|(n, piece)| self.write_back(Some(piece), good(piece.len() as u16).with_eop(n == last)))
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
    /// A reset: what was begun is not ended.
    pub fn forget(&mut self) {
        self.frame = None;
    }
    /// Sends what is posted, at most `n` descriptors: the frames that ended, with the command words of their first.
    pub fn send(&mut self, n: usize) -> Vec<(Vec<u8>, TxData)> {
        let mut sent = Vec::new();
        for _ in 0..n {
            let Some(at) = self.next() else { break };
            let (address, word) = self.words(at);
            let data = TxData::from_bits(word);
            assert!(data.dext());
            if data.dtyp() == TxData::DTYP_CONTEXT {
                assert!(!data.rs() && !data.eop() && self.frame.is_none());
                continue;
            }
            assert!((1..=32 << 10).contains(&data.dtalen()));
            let mut piece = vec![0; usize::from(data.dtalen())];
            assert!(self.dma.read(address, &mut piece), "the driver pushed an address that is memory");
            let (frame, first) = self.frame.get_or_insert_with(|| (Vec::new(), data));
            if !frame.is_empty() {
                let rest = data.paylen() == 0 && data.idx() == 0 && !data.ixsm() && !data.txsm();
                assert!(rest && (data.tse(), data.vle()) == (first.tse(), first.vle()));
            }
            frame.extend(piece);
            if data.rs() {
                assert!(data.eop(), "reports are asked for at the end of frames");
                assert!(self.dma.write64(self.at(at) + 8, word | TxStatus::new().with_dd(true).into_bits()));
            }
            if data.eop() {
                let (frame, mut first) = self.frame.take().unwrap();
                first.set_rs(data.rs());
                first.set_eop(true);
                sent.push((frame, first));
            }
        }
        sent
    }
}

pub fn good(len: u16) -> RxStatus {
    RxStatus::new().with_dd(true).with_eop(true).with_length(len)
}
