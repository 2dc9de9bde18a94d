//! One domain's part of an account.

use crate::{
    memory::DomainUsage,
    sync::{
        Ordering,
        tally::{AtomicU32, AtomicUsize},
    },
};

/// Its words are written by the holder of the GIL only and may be read from anywhere, so plain relaxed loads and stores
/// are enough: no read-modify-write stands on the allocation path.
pub(super) struct DomainAccount {
    live: AtomicUsize,
    /// What is live may be less than this without a closer look.
    top: AtomicUsize,
    peak: AtomicUsize,
    blocks: AtomicU32,
    /// As of the last time that a block went: blocks only get more in between.
    peak_blocks: AtomicU32,
}

#[inline]
pub(super) fn get(word: &AtomicUsize) -> usize {
    word.load(Ordering::Relaxed)
}

#[inline]
pub(super) fn put(word: &AtomicUsize, value: usize) {
    word.store(value, Ordering::Relaxed);
}

impl DomainAccount {
    pub(super) fn new() -> Self {
        let (word, count) = (|| AtomicUsize::new(0), || AtomicU32::new(0));
        DomainAccount { live: word(), top: word(), peak: word(), blocks: count(), peak_blocks: count() }
    }

    /// As new.
    pub(super) fn clear(&self) {
        for word in [&self.live, &self.top, &self.peak] {
            put(word, 0);
        }
        for count in [&self.blocks, &self.peak_blocks] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Bytes that are live. Where a block came back to a domain that it is not of, which a debug heap names, more may have
    /// come back than there was: that is none.
    pub(super) fn live(&self) -> usize {
        usize::try_from(get(&self.live).cast_signed()).unwrap_or(0)
    }

    /// What will be live with so many bytes more, if that needs no closer look.
    #[inline]
    pub(super) fn room(&self, bytes: usize) -> Option<usize> {
        // Neither passes `isize::MAX`: blocks do not, and charges beyond are refused.
        let live = get(&self.live).wrapping_add(bytes);
        (live < get(&self.top)).then_some(live)
    }

    /// So many bytes are live now, with one block more.
    #[inline]
    pub(super) fn took(&self, live: usize) {
        put(&self.live, live);
        self.blocks.store(self.blocks.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// A block of so many bytes is gone.
    #[inline]
    pub(super) fn gave(&self, bytes: usize) {
        put(&self.live, get(&self.live).wrapping_sub(bytes));
        let blocks = self.blocks.load(Ordering::Relaxed);
        if blocks > self.peak_blocks.load(Ordering::Relaxed) {
            core::hint::cold_path();
            self.peak_blocks.store(blocks, Ordering::Relaxed);
        }
        self.blocks.store(blocks.wrapping_sub(1), Ordering::Relaxed);
    }

    /// A block changed its size.
    pub(super) fn changed(&self, old: usize, new: usize) {
        put(&self.live, self.live().saturating_sub(old) + new);
    }

    /// Raises the peak to what is live, and takes the room back: what is live.
    pub(super) fn settle(&self) -> usize {
        let live = self.live();
        put(&self.peak, get(&self.peak).max(live));
        put(&self.top, 0);
        live
    }

    /// Lets so many bytes more be live without a closer look.
    pub(super) fn hand_out(&self, room: usize) {
        put(&self.top, self.live() + room + 1);
    }

    /// Bytes below the most that were ever live.
    pub(super) fn below_peak(&self) -> usize {
        get(&self.peak).saturating_sub(self.live())
    }

    pub(super) fn usage(&self) -> DomainUsage {
        let blocks = self.blocks.load(Ordering::Relaxed);
        DomainUsage {
            bytes: self.live(),
            blocks: blocks as usize,
            peak: get(&self.peak),
            peak_blocks: blocks.max(self.peak_blocks.load(Ordering::Relaxed)) as usize,
        }
    }
}
