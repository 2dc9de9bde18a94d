//! Freed blocks that are kept for the next request of their class.
#![allow(unsafe_code)]

use archipelago_kernel::host::RawAlloc;

use crate::block::{Block, CLASSES, Plan};

/// Free blocks by size class, each class a stack linked through `next`; at most `CACHE` bytes in all.
pub(crate) struct Cache<const CACHE: usize> {
    free: [Option<Block>; CLASSES],
    bytes: usize,
}

impl<const CACHE: usize> Cache<CACHE> {
    pub(crate) const fn new() -> Self {
        Cache { free: [None; CLASSES], bytes: 0 }
    }

    /// Bytes that are kept, headers included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A kept block for `plan`, its header old.
    pub(crate) fn take(&mut self, plan: Plan) -> Option<Block> {
        let free = self.free.get_mut(plan.class?)?;
        let block = (*free)?;
        // SAFETY: kept blocks are valid and their `next` was written by `keep`.
        *free = unsafe { (*block.as_ptr()).next };
        self.bytes -= plan.raw.size();
        Some(block)
    }

    /// Keeps `block` if its class is kept and there is room; false if not.
    ///
    /// # Safety
    /// `block` was taken from the raw domain with an equal plan, its header is written, and nothing else uses
    /// it.
    pub(crate) unsafe fn keep(&mut self, plan: Plan, block: Block) -> bool {
        let Some(free) = plan.class.and_then(|class| self.free.get_mut(class)) else { return false };
        if self.bytes + plan.raw.size() > CACHE {
            return false;
        }
        // SAFETY: the block is ours now (contract of `keep`).
        unsafe { (*block.as_ptr()).next = *free };
        *free = Some(block);
        self.bytes += plan.raw.size();
        true
    }

    /// Gives every kept block back.
    ///
    /// # Safety
    /// `raw` is the raw domain that they were taken from.
    pub(crate) unsafe fn empty(&mut self, raw: &impl RawAlloc) {
        for class in 0..CLASSES {
            let Some(plan) = Plan::of_class(class) else { continue };
            while let Some(block) = self.take(plan) {
                // SAFETY: it was kept with the plan of its class, which follows from the class.
                unsafe { plan.give_back(raw, block) };
            }
        }
    }
}
