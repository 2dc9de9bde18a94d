//! The account of data on its way between interpreters (SPEC S11): no interpreter's limit is charged for another's.

use crate::{
    memory::{AllocCause, AllocError, Domain, DomainUsage},
    sync::{AtomicUsize, Ordering},
};

/// Bytes and blocks in transit, of a whole runtime. Any thread charges it, so its words are read-modify-written.
pub struct TransitAccount {
    bytes: AtomicUsize,
    blocks: AtomicUsize,
    peak: AtomicUsize,
    peak_blocks: AtomicUsize,
    limit: AtomicUsize,
}

impl TransitAccount {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            TransitAccount {
                bytes: AtomicUsize::new(0),
                blocks: AtomicUsize::new(0),
                peak: AtomicUsize::new(0),
                peak_blocks: AtomicUsize::new(0),
                limit: AtomicUsize::new(usize::MAX),
            }
        }
    }

    /// Charges one block, unless the limit would be passed.
    ///
    /// # Errors
    /// `HardLimit`; nothing is charged.
    pub fn charge(&self, bytes: usize) -> Result<(), AllocError> {
        let mut now = self.bytes.load(Ordering::Relaxed);
        loop {
            let Some(next) =
                now.checked_add(bytes).filter(|next| *next <= self.limit.load(Ordering::Relaxed))
            else {
                return Err(AllocError {
                    domain: Domain::Raw,
                    requested: bytes,
                    cause: AllocCause::HardLimit,
                });
            };
            match self.bytes.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let blocks = self.blocks.fetch_add(1, Ordering::Relaxed) + 1;
                    self.peak_blocks.fetch_max(blocks, Ordering::Relaxed);
                    self.peak.fetch_max(next, Ordering::Relaxed);
                    return Ok(());
                }
                Err(other) => now = other,
            }
        }
    }

    /// Takes the charge of one block of this size back.
    ///
    /// # Errors
    /// `NotCharged` where less is in transit; nothing changed.
    pub fn discharge(&self, bytes: usize) -> Result<(), AllocError> {
        let take = |word: &AtomicUsize, less: usize| {
            word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| now.checked_sub(less))
        };
        let refuse = |_| AllocError { domain: Domain::Raw, requested: bytes, cause: AllocCause::NotCharged };
        // One word decides, so a wrong discharge takes nothing away from a right one, not for a moment.
        if bytes == 0 {
            return take(&self.blocks, 1).map(drop).map_err(refuse);
        }
        take(&self.bytes, bytes).map_err(refuse)?;
        let _ = take(&self.blocks, 1);
        Ok(())
    }

    /// What is in transit now. The fields are not one snapshot.
    pub fn usage(&self) -> DomainUsage {
        let get = |word: &AtomicUsize| word.load(Ordering::Relaxed);
        DomainUsage {
            bytes: get(&self.bytes),
            blocks: get(&self.blocks),
            peak: get(&self.peak),
            peak_blocks: get(&self.peak_blocks),
        }
    }

    /// The most bytes that may be in transit; `None` for no limit.
    pub fn set_limit(&self, limit: Option<usize>) {
        self.limit.store(limit.unwrap_or(usize::MAX), Ordering::Relaxed);
    }
}
