//! The raw domain: pools behind a lock.

#![allow(unsafe_code)]

use core::{alloc::Layout, ops::Range, ptr, ptr::NonNull};

use archipelago_kernel::host::{Exhausted, RawAlloc, RawLock};
use heapless::Vec;

use crate::{MOST_POOLS, PoolUsage, Pools};

/// A raw domain of a few pools. A reference to it that is valid for ever is a [`RawAlloc`].
///
/// Invariant \[F2\]: what the pools keep is reached through `with` only, which holds the lock.
pub struct PoolRaw<L, P> {
    lock: L,
    pools: P,
}

// SAFETY: [F2]; the blocks are used by whoever took them. `L` is `Sync`.
unsafe impl<L: RawLock, P: Pools> Sync for PoolRaw<L, P> {}

impl<L: RawLock, P: Pools> PoolRaw<L, P> {
    /// Pools of which nothing is used.
    pub const fn new(lock: L) -> Self {
        PoolRaw { lock, pools: P::NEW }
    }

    /// How much of each pool is used, in their order.
    pub fn usage(&self) -> Vec<PoolUsage, MOST_POOLS> {
        // SAFETY: the lock is held.
        self.with(|pools| unsafe { pools.usage() })
    }

    fn with<T>(&self, f: impl FnOnce(&P) -> T) -> T {
        // SAFETY: `f` is ours, does not come back here and leaves none locked.
        unsafe { self.lock.with(|| f(&self.pools)) }
    }
}

// SAFETY: the blocks lie in a value that stays where it is for ever, apart from each other; a live one is not among
// those that a pool has to give ([F1]). Every access holds the lock. A moved reference leads to the same pools.
unsafe impl<L: RawLock, P: Pools> RawAlloc for &'static PoolRaw<L, P> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        // SAFETY: the lock is held.
        self.with(|pools| unsafe { pools.take(layout) }).ok_or(Exhausted)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, _: Layout) {
        // SAFETY: the lock is held; the block is live (contract).
        self.with(|pools| unsafe { pools.put(block) });
    }

    unsafe fn resize(&self, block: NonNull<u8>, _: Layout, new: Layout) -> Result<(), Exhausted> {
        // Where the blocks lie and how large they are never changes, so no lock is needed.
        if self.pools.has_room(block, new.size()) { Ok(()) } else { Err(Exhausted) }
    }

    fn region(&self) -> Option<Range<usize>> {
        let start = ptr::from_ref::<PoolRaw<L, P>>(self).addr();
        Some(start..start + size_of::<PoolRaw<L, P>>())
    }
}
