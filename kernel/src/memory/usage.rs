//! What an interpreter uses, as reports say it (SPEC M6).

use crate::memory::Domain;

/// Requested bytes and blocks of one domain.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainUsage {
    /// Requested bytes that are live.
    pub bytes: usize,
    /// Blocks that are live. Accounts count them in 32 bits.
    pub blocks: usize,
    /// The most bytes that were live at a time.
    pub peak: usize,
    /// The most blocks that were live at a time.
    pub peak_blocks: usize,
}

/// What an interpreter uses, at the moment of asking.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory outside the interpreter's heap that is charged to it: its own slot and its first thread state's, and what a
    /// guest's engine took elsewhere. The slots of further thread states are the runtime's, which keeps them for others:
    /// whoever makes thread states bounds them, not the limit.
    pub raw: DomainUsage,
    /// The mem domain.
    pub mem: DomainUsage,
    /// The object domain.
    pub object: DomainUsage,
    /// The most bytes that were live at a time over all domains.
    pub peak: usize,
}

impl Usage {
    /// Requested bytes that are live, over all domains.
    pub const fn bytes(&self) -> usize {
        // Of words that change meanwhile, so the sum is not one that ever was.
        self.raw.bytes.saturating_add(self.mem.bytes).saturating_add(self.object.bytes)
    }

    /// One domain's part.
    pub const fn domain(&self, domain: Domain) -> DomainUsage {
        match domain {
            Domain::Raw => self.raw,
            Domain::Mem => self.mem,
            Domain::Object => self.object,
        }
    }
}
