//! What happened to a device, counted: the figures of a demo's table and of a test's balance.

/// One hardware queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Frames that went through.
    pub frames: u64,
    /// Their bytes, without FCS.
    pub bytes: u64,
    /// Descriptors used up.
    pub descriptors: u64,
    /// Frames lost at this queue: no descriptor (`SRRCTL.DROP_EN`), or a frame that cannot be sent.
    pub dropped: u64,
}

/// One device, since it was made or since the counters were reset. Not to be confused with the chip's statistics
/// registers, which these can judge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Register reads over the bus.
    pub register_reads: u64,
    /// Register writes over the bus, doorbells included.
    pub register_writes: u64,
    /// Writes of RDT.
    pub rx_doorbells: u64,
    /// Writes of TDT.
    pub tx_doorbells: u64,
    /// Interrupt messages, and assertions of the line.
    pub interrupts: u64,
    /// Reads of configuration space.
    pub config_reads: u64,
    /// Writes of configuration space.
    pub config_writes: u64,
    /// PHY register accesses through MDIC.
    pub mdio: u64,
    /// Software, device and function-level resets.
    pub resets: u64,
    /// DMA reads: descriptors and frames.
    pub dma_reads: u64,
    /// DMA writes: write-backs and frames.
    pub dma_writes: u64,
    /// Bytes read by DMA.
    pub dma_read_bytes: u64,
    /// Bytes written by DMA.
    pub dma_write_bytes: u64,
    /// DMA accesses outside the memory that the driver was given: IOMMU faults.
    pub dma_faults: u64,
    /// Good frames that no filter wanted.
    pub rx_filtered: u64,
    /// Frames lost because the packet buffer was full (the chip says MPC).
    pub rx_missed: u64,
    /// Frames lost because receiver or queue was off.
    pub rx_disabled: u64,
    /// By receive queue.
    pub rx: Vec<QueueCounters>,
    /// By transmit queue.
    pub tx: Vec<QueueCounters>,
}

impl Counters {
    pub(crate) fn new(rx: usize, tx: usize) -> Self {
        Self {
            rx: vec![QueueCounters::default(); rx],
            tx: vec![QueueCounters::default(); tx],
            ..Self::default()
        }
    }

    /// Frames received by all queues.
    pub fn rx_frames(&self) -> u64 {
        self.rx.iter().map(|queue| queue.frames).sum()
    }

    /// Frames sent by all queues.
    pub fn tx_frames(&self) -> u64 {
        self.tx.iter().map(|queue| queue.frames).sum()
    }

    /// Register accesses of both kinds.
    pub fn register_accesses(&self) -> u64 {
        self.register_reads + self.register_writes
    }
}
