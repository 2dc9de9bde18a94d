//! What an instance was charged, by the reason for it.

/// Why memory was charged.
///
/// Which function of the program asked is not known: wasmi tells its limiter how much, and not from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum ChargeReason {
    /// The linear memories that the module begins with.
    Memory,
    /// The tables that the module begins with.
    Table,
    /// `memory.grow`.
    MemoryGrowth,
    /// `table.grow`.
    TableGrowth,
}

impl ChargeReason {
    /// Every reason.
    pub const ALL: [ChargeReason; 4] = [Self::Memory, Self::Table, Self::MemoryGrowth, Self::TableGrowth];
}

/// What was charged for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Why.
    pub reason: ChargeReason,
    /// Bytes that are charged now.
    pub bytes: usize,
    /// The most [`bytes`](Self::bytes) has been.
    pub peak: usize,
}

/// The charges of an instance.
#[derive(Debug)]
pub(crate) struct Charges([Charge; 4]);

impl Charges {
    pub(crate) fn new() -> Self {
        Charges(ChargeReason::ALL.map(|reason| Charge { reason, bytes: 0, peak: 0 }))
    }

    pub(crate) fn add(&mut self, reason: ChargeReason, bytes: usize) {
        let charge = &mut self.0[reason as usize];
        charge.bytes += bytes;
        charge.peak = charge.peak.max(charge.bytes);
    }

    pub(crate) fn sub(&mut self, reason: ChargeReason, bytes: usize) {
        self.0[reason as usize].bytes -= bytes;
    }

    /// Those that were ever made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Charge> + '_ {
        self.0.iter().copied().filter(|charge| charge.peak > 0)
    }
}
