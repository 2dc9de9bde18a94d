//! Exact bytes and blocks of one interpreter, by domain (SPEC M6).
//!
//! The words are written by the holder of the GIL only and may be read from anywhere, so plain relaxed
//! loads and stores are enough: no read-modify-write stands on the allocation path.

use crate::{
    memory::{AllocCause, Domain},
    sync::{Ordering, tally::AtomicUsize},
};

/// Requested bytes and blocks of one domain.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainUsage {
    /// Requested bytes that are live.
    pub bytes: usize,
    /// Blocks that are live.
    pub blocks: usize,
    /// The most bytes that were live at a time.
    pub peak: usize,
}

/// What an interpreter uses, at the moment of asking.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory outside the interpreter's heap that is charged to it: its own slots and what a guest's engine
    /// took elsewhere.
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

struct Words {
    bytes: AtomicUsize,
    blocks: AtomicUsize,
    peak: AtomicUsize,
}

pub(crate) struct Account {
    domains: [Words; 3],
    total: AtomicUsize,
    peak: AtomicUsize,
    limit: AtomicUsize,
    /// What `admit` compares with: the limit, or 0 from the moment a holder saw the interpreter finalizing.
    gate: AtomicUsize,
}

fn words() -> Words {
    Words { bytes: AtomicUsize::new(0), blocks: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
}

fn get(word: &AtomicUsize) -> usize {
    word.load(Ordering::Relaxed)
}

fn put(word: &AtomicUsize, value: usize) {
    word.store(value, Ordering::Relaxed);
}

impl Account {
    pub(crate) fn new() -> Self {
        Account {
            domains: [words(), words(), words()],
            total: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
            gate: AtomicUsize::new(usize::MAX),
        }
    }

    pub(crate) fn renew(&self, limit: usize) {
        for domain in &self.domains {
            put(&domain.bytes, 0);
            put(&domain.blocks, 0);
            put(&domain.peak, 0);
        }
        put(&self.total, 0);
        put(&self.peak, 0);
        put(&self.limit, limit);
        put(&self.gate, limit);
    }

    /// Whether `more` bytes are allowed. Holder only.
    #[inline]
    pub(crate) fn admit(&self, more: usize) -> Result<(), AllocCause> {
        match get(&self.total).checked_add(more) {
            Some(total) if total <= get(&self.gate) => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    #[cold]
    fn refusal(&self) -> AllocCause {
        if get(&self.gate) < get(&self.limit) { AllocCause::Finalizing } else { AllocCause::HardLimit }
    }

    /// Adds a block that was admitted. Holder only.
    #[inline]
    pub(crate) fn add(&self, domain: Domain, bytes: usize) {
        let words = &self.domains[domain as usize];
        let now = get(&words.bytes) + bytes;
        put(&words.bytes, now);
        put(&words.blocks, get(&words.blocks) + 1);
        if now > get(&words.peak) {
            put(&words.peak, now);
        }
        self.add_total(bytes);
    }

    fn add_total(&self, bytes: usize) {
        let total = get(&self.total) + bytes;
        put(&self.total, total);
        if total > get(&self.peak) {
            put(&self.peak, total);
        }
    }

    /// Takes a block away. Holder only. A charge that was never made is given back as far as there is one.
    #[inline]
    pub(crate) fn sub(&self, domain: Domain, bytes: usize) {
        let words = &self.domains[domain as usize];
        // No more than there is: the total stays the sum of the domains.
        let bytes = bytes.min(get(&words.bytes));
        put(&words.bytes, get(&words.bytes) - bytes);
        put(&words.blocks, get(&words.blocks).saturating_sub(1));
        put(&self.total, get(&self.total) - bytes);
    }

    /// Changes the size of a block, if growth is allowed. Holder only. Of a charge that was never made only what there
    /// is counts as old.
    pub(crate) fn resize(&self, domain: Domain, old: usize, new: usize) -> Result<(), AllocCause> {
        let words = &self.domains[domain as usize];
        let old = old.min(get(&words.bytes));
        if new > old {
            self.admit(new - old)?;
        }
        let now = get(&words.bytes) - old + new;
        put(&words.bytes, now);
        if now > get(&words.peak) {
            put(&words.peak, now);
        }
        put(&self.total, get(&self.total) - old);
        self.add_total(new);
        Ok(())
    }

    /// Bytes that may still be allocated. Holder only, for exactness.
    pub(crate) fn available(&self) -> usize {
        get(&self.gate).saturating_sub(get(&self.total))
    }

    /// From now on every request is refused as `Finalizing`. Holder only.
    pub(crate) fn close(&self) {
        put(&self.gate, 0);
    }

    /// The clearing thread may allocate again, without a limit: finalizers must not fail for it.
    pub(crate) fn reopen(&self) {
        put(&self.gate, usize::MAX);
        put(&self.limit, usize::MAX);
    }

    pub(crate) fn limit(&self) -> Option<usize> {
        Some(get(&self.limit)).filter(|limit| *limit != usize::MAX)
    }

    pub(crate) fn usage(&self) -> Usage {
        let part = |domain: Domain| {
            let words = &self.domains[domain as usize];
            DomainUsage { bytes: get(&words.bytes), blocks: get(&words.blocks), peak: get(&words.peak) }
        };
        Usage {
            raw: part(Domain::Raw),
            mem: part(Domain::Mem),
            object: part(Domain::Object),
            peak: get(&self.peak),
        }
    }
}
