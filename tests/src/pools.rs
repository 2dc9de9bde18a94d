//! `PoolHost`: the machine whose memory is pools of fixed blocks.
#![allow(unsafe_code)]

use core::{alloc::Layout, ops::Range, ptr::NonNull};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use archipelago_alloc_pool::{A512, A4096, Pool, PoolRaw};
use archipelago_alloc_slab::SmallHeap;
use archipelago_kernel::{
    gil::Steps,
    host::{Exhausted, RawAlloc},
};
use archipelago_locks::SpinLock;

use crate::{Machine, Scanned, YieldingCore};

/// The machine with pools. Who was asked for a GIL gives way at the third safepoint.
pub type PoolHost = Machine<LeasedPools, Scanned<SmallHeap>, Steps<3>>;

/// Small tables and thread states; pages of `SmallHeap`; interpreters; large objects and tables.
type Pools = (
    Pool<256, 2000>,
    Pool<512, 5000, A512>,
    Pool<1024, 500>,
    Pool<4096, 300>,
    Pool<8192, 16, A4096>,
    Pool<262144, 8, A4096>,
);

type Raw = PoolRaw<SpinLock<YieldingCore>, Pools>;

/// Pools that no runtime uses at present. They are never given back: firmware's memory is not, either.
static UNUSED: Mutex<Vec<&'static Raw>> = Mutex::new(Vec::new());

fn unused() -> MutexGuard<'static, Vec<&'static Raw>> {
    UNUSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pools for one runtime.
pub struct LeasedPools(&'static Raw);

impl LeasedPools {
    /// Pools of its own.
    pub fn new() -> Self {
        let free = unused().pop();
        LeasedPools(free.unwrap_or_else(|| {
            // They may be built on the stack first, and tests have small ones.
            let made = thread::Builder::new()
                .stack_size(64 << 20)
                .spawn(|| -> &'static Raw { Box::leak(Box::new(PoolRaw::new(SpinLock::relaxing()))) });
            made.expect("a thread").join().expect("pools")
        }))
    }

    /// Bytes of the live blocks.
    pub fn used(&self) -> usize {
        self.0.usage().iter().map(|pool| pool.live * pool.block).sum()
    }
}

impl Default for LeasedPools {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for LeasedPools {
    fn drop(&mut self) {
        unused().push(self.0);
    }
}

// SAFETY: the blocks are those of pools that nobody else uses.
unsafe impl RawAlloc for LeasedPools {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.deallocate(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        // SAFETY: passed on.
        unsafe { self.0.resize(block, old, new) }
    }

    fn region(&self) -> Option<Range<usize>> {
        self.0.region()
    }
}
