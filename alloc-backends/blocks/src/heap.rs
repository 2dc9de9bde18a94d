//! The heap.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_kernel::host::{Exhausted, Heap, RawAlloc, Swept};

use crate::{
    block::{Block, Plan},
    cache::Cache,
    live::Live,
};

/// A heap of linked blocks that keeps up to `CACHE` bytes of freed ones.
pub struct BlockHeap<const CACHE: usize = 8192> {
    live: Live,
    cache: Cache<CACHE>,
}

// SAFETY: the blocks belong to this value alone, and no thread is named in them.
unsafe impl<const CACHE: usize> Send for BlockHeap<CACHE> {}

impl<const CACHE: usize> BlockHeap<CACHE> {
    /// A heap that owns nothing yet.
    pub const fn new() -> Self {
        BlockHeap { live: Live::new(), cache: Cache::new() }
    }

    /// Bytes of the raw domain that are kept for later, headers included.
    pub fn cached(&self) -> usize {
        self.cache.bytes()
    }

    fn take(&mut self, raw: &impl RawAlloc, plan: Plan) -> Result<Block, Exhausted> {
        if let Some(block) = self.cache.take(plan) {
            return Ok(block);
        }
        plan.take(raw).or_else(|exhausted| {
            if self.cache.bytes() == 0 {
                return Err(exhausted);
            }
            // SAFETY: every call of a heap gets the same raw domain (contract of `Heap`).
            unsafe { self.cache.empty(raw) };
            plan.take(raw)
        })
    }
}

impl<const CACHE: usize> Default for BlockHeap<CACHE> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a payload lies in a block of the raw domain that is its own, behind the header, so payloads do not
// overlap, do not move with this value, and live until the block is kept or given back. Dropping gives
// nothing back.
unsafe impl<R: RawAlloc, const CACHE: usize> Heap<R> for BlockHeap<CACHE> {
    fn new() -> Self {
        Self::new()
    }

    fn allocate(&mut self, raw: &R, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        let plan = Plan::new(layout).ok_or(Exhausted)?;
        let block = self.take(raw, plan)?;
        // SAFETY: `take` hands out blocks that are in no list, valid until they are given back, and large and
        // aligned enough for a header.
        unsafe { self.live.put(block, layout) };
        // SAFETY: taken with this plan, or kept with one of the same class, which is equal.
        let payload = unsafe { plan.payload(block) };
        Ok(NonNull::slice_from_raw_parts(payload, layout.size()))
    }

    unsafe fn deallocate(&mut self, raw: &R, block: NonNull<u8>, layout: Layout) {
        // A layout without a plan was never served.
        let Some(plan) = Plan::new(layout) else { return };
        // SAFETY: `allocate` returned it for this layout, so with an equal plan.
        let block = unsafe { plan.block(block) };
        // SAFETY: live blocks are in the list.
        unsafe { self.live.remove(block) };
        // SAFETY: it left the list, which wrote its header.
        if !unsafe { self.cache.keep(plan, block) } {
            // SAFETY: taken from this raw domain with an equal plan, and not kept.
            unsafe { plan.give_back(raw, block) };
        }
    }

    unsafe fn resize(
        &mut self,
        raw: &R,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), Exhausted> {
        let (from, to) = (Plan::new(old).ok_or(Exhausted)?, Plan::new(new).ok_or(Exhausted)?);
        // SAFETY: `allocate` returned it for `old`, so with an equal plan.
        let block = unsafe { from.block(block) };
        if from.raw != to.raw {
            // SAFETY: `block` is a live block of this raw domain for `from.raw`, and the alignments are equal
            // because those of `old` and `new` are.
            unsafe { raw.resize(block.cast(), from.raw, to.raw)? };
        }
        // SAFETY: the header of a live block, at the same place as before.
        unsafe { (*block.as_ptr()).layout = new };
        Ok(())
    }

    unsafe fn sweep(&mut self, raw: &R) -> Swept {
        let mut swept = Swept::default();
        while let Some((block, layout)) = self.live.pop() {
            swept.blocks += 1;
            swept.bytes += layout.size();
            if let Some(plan) = Plan::new(layout) {
                // SAFETY: the block was served for this layout, so with an equal plan, and nobody uses it
                // (contract of `sweep`).
                unsafe { plan.give_back(raw, block) };
            }
        }
        // SAFETY: every call of a heap gets the same raw domain (contract of `Heap`).
        unsafe { self.cache.empty(raw) };
        swept
    }
}
