//! Which cause raises which vector, and the verbs of a vector.

use crate::Mac;
use igb_regs::{Bus, CTRL_EXT, Chip, EICR, EIMS, EITR, GPIE, IAM, ICR, ICS, IVAR, IVAR_MISC};

/// How interrupts reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// One message per vector.
    MsiX {
        /// How many vectors there are.
        vectors: u16,
    },
    /// One message, or the line, for all causes.
    Single,
}

/// Which vector serves what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Routing {
    single: bool,
    vectors: u16,
    queues: u16,
}

impl Routing {
    /// The routing of `queues` queue pairs. With a vector for each and one more, queue q has vector q and the rest,
    /// link changes above all, has vector `queues`. With fewer the queues share all but the last; with one all share
    /// it.
    ///
    /// ```
    /// use igb_hal::{Mode, Routing};
    /// let routing = Routing::new(Mode::MsiX { vectors: 10 }, 4);
    /// assert_eq!((routing.vectors(), routing.vector_of_queue(3), routing.vector_other()), (5, 3, 4));
    /// ```
    pub const fn new(mode: Mode, queues: u16) -> Self {
        match mode {
            Mode::Single => Self { single: true, vectors: 1, queues },
            Mode::MsiX { vectors } => {
                let enough = queues.saturating_add(1);
                let vectors = if vectors < enough { vectors } else { enough };
                Self { single: false, vectors: if vectors == 0 { 1 } else { vectors }, queues }
            }
        }
    }

    /// How many vectors are used.
    pub const fn vectors(&self) -> u16 {
        self.vectors
    }

    /// How many queue pairs are served.
    pub const fn queues(&self) -> u16 {
        self.queues
    }

    /// Whether all causes share one message or line, with ICR to tell them apart.
    pub const fn is_single(&self) -> bool {
        self.single
    }

    /// The vector of queue pair `q`.
    pub const fn vector_of_queue(&self, q: u16) -> u16 {
        if self.vectors <= 1 { 0 } else { q % (self.vectors - 1) }
    }

    /// The vector of everything that is no queue's.
    pub const fn vector_other(&self) -> u16 {
        self.vectors.saturating_sub(1)
    }

    fn serves(&self, vector: u16) -> impl Iterator<Item = u16> + '_ {
        (0..self.queues).filter(move |q| self.vector_of_queue(*q) == vector)
    }
}

/// What happened, beyond the queues of MSI-X vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Causes {
    /// The link may have changed.
    pub link_changed: bool,
    /// ICR as it was read.
    pub other: u32,
    /// Vectors with work for a queue: bit 0, where all causes share one.
    pub queues: u32,
    /// The device left the bus; nothing else here means anything.
    pub gone: bool,
}

impl<B: Bus> Mac<B> {
    /// Routes every cause to its vector. Nothing is enabled yet.
    ///
    /// GPIE comes before IVAR: the other way round IVAR is lost.
    pub fn route(&self, mode: Mode, queues: u16) -> Routing {
        let most = u16::try_from(self.chip().msix_vectors()).unwrap_or(u16::MAX);
        let mode = match mode {
            Mode::MsiX { vectors } => Mode::MsiX { vectors: vectors.min(most) },
            Mode::Single => mode,
        };
        let routing = Routing::new(mode, queues);
        match self.chip() {
            Chip::I82575 => self.route_by_mask(&routing),
            _ => self.route_by_table(&routing),
        }
        self.flush();
        routing
    }

    /// Lets a vector through. It masks itself when it fires, and is enabled again when its queues are drained.
    ///
    /// One write, so that a queue's owner may call it without a lock.
    #[inline]
    pub fn enable_vector(&self, routing: &Routing, vector: u16) {
        if routing.single {
            self.regs().ims().set_bits(self.causes());
        } else {
            self.regs().eims().set_bits(self.bits(routing, vector));
        }
    }

    /// Holds a vector back.
    #[inline]
    pub fn disable_vector(&self, routing: &Routing, vector: u16) {
        if routing.single {
            self.regs().imc().set(self.causes());
        } else {
            self.regs().eimc().set(self.bits(routing, vector));
        }
        self.flush();
    }

    /// Raises a vector by hand: wakes who sleeps on it.
    #[inline]
    pub fn raise_vector(&self, routing: &Routing, vector: u16) {
        let other = EIMS::OTHER.val(1).value;
        let bits = self.bits(routing, vector);
        if routing.single || bits == other {
            // The 82575's bit of the other causes cannot be raised directly.
            let cause = if routing.single { ICS::RXDMT0.val(1) } else { ICS::LSC.val(1) };
            self.regs().ics().write(cause);
        } else {
            self.regs().eics().set(bits & !other);
        }
    }

    /// Lets the causes through that are no queue's: link changes, and on chips that tell, another port's reset.
    pub fn enable_other(&self, routing: &Routing) {
        if routing.single {
            self.regs().ims().set_bits(self.causes());
            return;
        }
        self.regs().ims().set_bits(self.other_causes());
        self.regs().eims().set_bits(self.bits(routing, routing.vector_other()));
    }

    /// The shortest time between two interrupts of a vector, 0 to 8191 us. 0 is no limit.
    ///
    /// EITR counts in us from bit 2 on. An 82575 counts units of 256 ns in both halves, so four are a little more
    /// than a us (manual 82575: EITR).
    pub fn set_interval(&self, routing: &Routing, vector: u16, micros: u16) {
        if vector >= routing.vectors {
            return;
        }
        let Some(eitr) = self.regs().try_eitr(usize::from(vector)) else { return };
        let micros = u32::from(micros.min(0x1FFF));
        match self.chip() {
            Chip::I82575 => eitr.write(EITR::ITR.val(micros << 2) + EITR::COUNTER.val(micros << 2)),
            _ => eitr.write(EITR::INTERVAL.val(micros) + EITR::CNT_IGNR.val(1)),
        }
    }

    /// Reads and thereby clears what happened. Where all causes share one message or line, this masks them until
    /// [`enable_vector`](Self::enable_vector).
    pub fn take_causes(&self, routing: &Routing) -> Causes {
        let icr = self.regs().icr().read_clear();
        if icr.get() == u32::MAX && self.check().is_err() {
            return Causes { gone: true, ..Causes::default() };
        }
        let mut queues = 0;
        if routing.single {
            let extended = self.regs().eicr().read_clear().get() & !EICR::OTHER.val(1).value;
            let work = icr.is_set(ICR::RXDW)
                || icr.is_set(ICR::TXDW)
                || icr.is_set(ICR::RXDMT0)
                || icr.is_set(ICR::RXO);
            queues = u32::from(work || extended != 0);
        }
        Causes { link_changed: icr.is_set(ICR::LSC), other: icr.get(), queues, gone: false }
    }

    /// 82575: a mask of causes for each vector; a vector's bits in EIMS are its causes.
    fn route_by_mask(&self, routing: &Routing) {
        let regs = self.regs();
        let extended = CTRL_EXT::PBA_CLR.val(1) + CTRL_EXT::EIAME.val(1) + CTRL_EXT::NSICR.val(1);
        if routing.single {
            regs.ctrl_ext().modify(CTRL_EXT::EIAME.val(0) + CTRL_EXT::NSICR.val(0));
            regs.iam().set(self.causes());
        } else {
            regs.ctrl_ext().modify(extended);
        }
        for vector in 0..self.chip().msix_vectors() {
            if let Some(msixbm) = regs.msixbm(vector) {
                let bits = match u16::try_from(vector) {
                    Ok(vector) if vector < routing.vectors => self.bits(routing, vector),
                    _ => 0,
                };
                msixbm.set(bits);
            }
        }
        self.auto_mask(routing);
    }

    /// From 82576 on: a byte for each half of each queue pair, and one for the rest.
    fn route_by_table(&self, routing: &Routing) {
        let regs = self.regs();
        if let Some(gpie) = regs.gpie() {
            if routing.single {
                gpie.set(0);
                regs.iam().set(self.causes());
            } else {
                gpie.write(
                    GPIE::MULTIPLE_MSIX.val(1) + GPIE::PBA.val(1) + GPIE::EIAME.val(1) + GPIE::NSICR.val(1),
                );
            }
        }
        let mut table = [0u32; 8];
        for q in 0..routing.queues {
            let entry = IVAR::INT_ALLOC0.val(routing.vector_of_queue(q).into()) + IVAR::INT_ALLOC0_VAL.val(1);
            // Receive in the lower byte, transmit in the upper.
            let both = entry.value | entry.value << 8;
            let (index, shift) = match self.chip() {
                Chip::I82576 => (q & 7, (q & 8) << 1),
                _ => (q >> 1, (q & 1) << 4),
            };
            if let Some(word) = table.get_mut(usize::from(index)) {
                *word |= both << shift;
            }
        }
        for (index, word) in table.into_iter().enumerate() {
            if let Some(ivar) = regs.ivar(index) {
                ivar.set(word);
            }
        }
        if let Some(misc) = regs.ivar_misc() {
            let other = routing.vector_other().into();
            misc.write(IVAR_MISC::INT_ALLOC9.val(other) + IVAR_MISC::INT_ALLOC9_VAL.val(1));
        }
        self.auto_mask(routing);
    }

    /// A vector's message clears its cause and masks it, so that its handler need not.
    fn auto_mask(&self, routing: &Routing) {
        let mut all = 0;
        if !routing.single {
            all = (0..routing.vectors).fold(0, |all, vector| all | self.bits(routing, vector));
            self.regs().iam().set(0);
        }
        self.regs().eiac().set(all);
        self.regs().eiam().set(all);
    }

    /// A vector's bits in EICR, EICS, EIMS and their like.
    #[inline]
    fn bits(&self, routing: &Routing, vector: u16) -> u32 {
        if self.chip() != Chip::I82575 {
            return 1u32.checked_shl(vector.into()).unwrap_or(0) & EIMS::CAUSES.mask;
        }
        let queues =
            routing.serves(vector).fold(0, |bits, q| bits | 0x101u32.checked_shl(q.into()).unwrap_or(0));
        let other = if vector == routing.vector_other() { EIMS::OTHER.val(1).value } else { 0 };
        queues & 0x0F0F | other
    }

    /// Everything, where one message or line carries it.
    fn causes(&self) -> u32 {
        self.other_causes() | (IAM::TXDW.val(1) + IAM::RXDW.val(1) + IAM::RXDMT0.val(1)).value
    }

    /// What is no queue's.
    fn other_causes(&self) -> u32 {
        let chip = self.chip();
        let mut causes = IAM::LSC.val(1);
        if chip < Chip::I210 {
            causes += IAM::DOUTSYNC.val(1);
        }
        if chip >= Chip::I82580 {
            causes += IAM::DRSTA.val(1);
        }
        causes.value
    }
}
