//! The system's allocator with two counters.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

use archipelago_kernel::host::{Exhausted, RawAlloc};

use crate::SystemRaw;

/// The system's allocator, counting what is live. Each value counts for itself.
#[derive(Debug, Default)]
pub struct CountedSystem {
    blocks: AtomicUsize,
    bytes: AtomicUsize,
}

impl CountedSystem {
    /// Counters at zero.
    pub const fn new() -> Self {
        CountedSystem { blocks: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Live blocks. Exact once the threads that used them are joined.
    pub fn blocks(&self) -> usize {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Bytes of the live blocks, as requested.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

// SAFETY: the blocks are `SystemRaw`'s.
unsafe impl RawAlloc for CountedSystem {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        let block = SystemRaw.allocate(layout)?;
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(layout.size(), Ordering::Relaxed);
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.blocks.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on from the caller; `allocate` took the block from `SystemRaw`.
        unsafe { SystemRaw.deallocate(block, layout) }
    }
}
