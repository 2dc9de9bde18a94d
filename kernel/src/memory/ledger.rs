//! What an interpreter left behind when it ended (SPEC L11).

use crate::memory::{DomainUsage, Usage};

/// The account of an interpreter's end: what its program had not given back. All of it went back to the
/// raw domain all the same.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Objects whose last reference was never released; their values were dropped at the end.
    pub objects: usize,
    /// Blocks and bytes still live after the guest was taken down and values were dropped, those of `objects` too, by
    /// domain.
    pub leaked: Usage,
    /// Values whose destructor panicked, and so did not finish.
    pub destructors_skipped: usize,
    /// Callbacks of the end that failed.
    pub callbacks_failed: usize,
    /// The most bytes that were live at a time.
    pub peak: usize,
}

impl Ledger {
    /// Whether the program gave everything back itself. Callbacks that failed do not matter here.
    pub fn is_clean(&self) -> bool {
        let none = |usage: DomainUsage| usage.bytes == 0 && usage.blocks == 0;
        self.objects == 0
            && self.destructors_skipped == 0
            && none(self.leaked.raw)
            && none(self.leaked.mem)
            && none(self.leaked.object)
    }
}
