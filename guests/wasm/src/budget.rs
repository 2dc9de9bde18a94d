//! Bytes of linear memories and tables: what is charged, what was refused.

use wasmi::{
    ResourceLimiter,
    errors::{MemoryError, TableError},
};
use wasmi_core::LimiterError;

use crate::charge::{Charge, ChargeReason, Charges};

/// What one table element costs: wasmi keeps a reference in 32 bits.
const TABLE_ELEMENT_BYTES: usize = 4;

/// Most elements one `table.grow` may add.
///
/// wasmi 2.0 does not save its position when `table.grow` runs out of fuel, so such a call must not be resumed. Growth
/// of up to 15 elements costs no fuel (64 bytes are one unit), so it cannot run out; more is refused, as the standard
/// allows. Compilers for WASI do not emit `table.grow`.
const TABLE_GROWTH_STEP: usize = 15;

/// A growth that was refused because it went over the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitHit {
    /// Bytes the growth would have added.
    pub asked: usize,
    /// Bytes that were available.
    pub available: usize,
}

/// The account of one instance.
#[derive(Debug)]
pub(crate) struct Budget {
    available: usize,
    charged: usize,
    peak: usize,
    hit: Option<LimitHit>,
    charges: Charges,
    /// The growth in progress, given back when it fails after all.
    last: (ChargeReason, usize),
    /// Set once the instance exists; from then on tables grow in steps.
    started: bool,
}

impl Budget {
    pub(crate) fn new(available: usize) -> Self {
        let last = (ChargeReason::Memory, 0);
        Self { available, charged: 0, peak: 0, hit: None, charges: Charges::new(), last, started: false }
    }

    pub(crate) fn set_available(&mut self, bytes: usize) {
        self.available = bytes;
    }

    pub(crate) fn start(&mut self) {
        self.started = true;
    }

    pub(crate) fn charged(&self) -> usize {
        self.charged
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    pub(crate) fn charges(&self) -> impl Iterator<Item = Charge> + '_ {
        self.charges.iter()
    }

    pub(crate) fn hit(&self) -> Option<LimitHit> {
        self.hit
    }

    pub(crate) fn take_hit(&mut self) -> Option<LimitHit> {
        self.hit.take()
    }

    /// `reasons`: of the beginning, and of growth.
    fn charge(&mut self, asked: usize, reasons: [ChargeReason; 2]) -> bool {
        if asked > self.available {
            self.hit = Some(LimitHit { asked, available: self.available });
            return false;
        }
        self.available -= asked;
        self.charged += asked;
        self.peak = self.peak.max(self.charged);
        self.last = (reasons[usize::from(self.started)], asked);
        self.charges.add(self.last.0, asked);
        true
    }

    /// A growth that was charged did not happen; its peak is kept, because it was asked for and granted.
    fn give_back(&mut self) {
        let (reason, bytes) = self.last;
        self.available += bytes;
        self.charged -= bytes;
        self.charges.sub(reason, bytes);
        self.last.1 = 0;
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        let reasons = [ChargeReason::Memory, ChargeReason::MemoryGrowth];
        Ok(maximum.is_none_or(|maximum| desired <= maximum)
            && self.charge(desired.saturating_sub(current), reasons))
    }

    fn memory_grow_failed(&mut self, _: &MemoryError) -> Result<(), LimiterError> {
        self.give_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        let elements = desired.saturating_sub(current);
        if maximum.is_some_and(|maximum| desired > maximum) || (self.started && elements > TABLE_GROWTH_STEP)
        {
            return Ok(false);
        }
        let reasons = [ChargeReason::Table, ChargeReason::TableGrowth];
        Ok(self.charge(elements.saturating_mul(TABLE_ELEMENT_BYTES), reasons))
    }

    fn table_grow_failed(&mut self, _: &TableError) -> Result<(), LimiterError> {
        self.give_back();
        Ok(())
    }

    // One module per instance: counts are bounded by the module itself, and every memory and table is charged.
    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        100_000
    }

    fn memories(&self) -> usize {
        100
    }
}
