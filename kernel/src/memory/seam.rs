//! The allocator seam: where every block of an interpreter is charged, asked for and checked.

#![allow(unsafe_code)]

use core::{alloc::Layout, ops::Range, ptr::NonNull};

use crate::{
    host::{Exhausted, Heap, Host, RawAlloc, Swept},
    interpreter::InterpreterSlot,
    memory::{AllocCause, AllocError, Domain, tenant::Tenant},
};

/// Checks a backend's answer: size, alignment and region (null cannot be, by type).
pub(crate) fn check(
    answer: Result<NonNull<[u8]>, Exhausted>,
    layout: Layout,
    region: Option<Range<usize>>,
) -> Result<NonNull<u8>, AllocCause> {
    let block = answer.map_err(|Exhausted| AllocCause::Exhausted)?;
    let start = block.cast::<u8>().as_ptr().addr();
    let end = start.checked_add(layout.size()).ok_or(AllocCause::BackendOutside)?;
    if block.len() < layout.size() {
        return Err(AllocCause::BackendShort);
    }
    if start % layout.align() != 0 {
        return Err(AllocCause::BackendMisaligned);
    }
    if region.is_some_and(|region| start < region.start || end > region.end) {
        return Err(AllocCause::BackendOutside);
    }
    Ok(block.cast())
}

/// Backends see sizes above zero only; a zero-size request still gets a block of its own.
fn backend_layout(layout: Layout) -> Option<Layout> {
    Layout::from_size_align(layout.size().max(1), layout.align()).ok()
}

/// A checked block of the raw domain.
pub(crate) fn raw_allocate<R: RawAlloc>(raw: &R, layout: Layout) -> Result<NonNull<u8>, AllocCause> {
    let layout = backend_layout(layout).ok_or(AllocCause::TooLarge)?;
    check(raw.allocate(layout), layout, raw.region())
}

/// Gives a block of the raw domain back.
///
/// # Safety
/// `block` came from [`raw_allocate`] with the same `raw` and `layout`, and is live.
pub(crate) unsafe fn raw_deallocate<R: RawAlloc>(raw: &R, block: NonNull<u8>, layout: Layout) {
    if let Some(layout) = backend_layout(layout) {
        // SAFETY: passed on; the layout is the one that was asked for.
        unsafe { raw.deallocate(block, layout) }
    }
}

impl<H: Host> InterpreterSlot<H> {
    /// The heap in use.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL, and the answer is dropped before anything else asks.
    #[allow(clippy::mut_from_ref)]
    unsafe fn heap(&self) -> &mut H::Heap {
        // SAFETY: the heap in use is protected by the GIL in use: an own heap by this interpreter's GIL, main's
        // heap by main's GIL, which C3 makes such an interpreter share. Backends do not call the kernel.
        unsafe { &mut *(*self.heap_of.get()).own_heap.get() }
    }

    /// A block of the interpreter's heap, charged to `domain`.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL. `raw` is its runtime's raw domain.
    #[inline]
    pub(crate) unsafe fn allocate(
        &self,
        raw: &H::Raw,
        domain: Domain,
        layout: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        let requested = layout.size();
        let refuse = |cause| AllocError { domain, requested, cause };
        self.head.account.admit(requested).map_err(refuse)?;
        // SAFETY: passed on.
        let block = unsafe { self.allocate_uncharged(raw, layout) }.map_err(refuse)?;
        self.head.account.add(domain, requested);
        Ok(block)
    }

    /// # Safety
    /// As for [`allocate`](Self::allocate).
    #[inline]
    unsafe fn allocate_uncharged(&self, raw: &H::Raw, layout: Layout) -> Result<NonNull<u8>, AllocCause> {
        // SAFETY: the caller holds the GIL.
        let heap = unsafe { self.heap() };
        if self.owns_heap() {
            let layout = backend_layout(layout).ok_or(AllocCause::TooLarge)?;
            return check(heap.allocate(raw, layout), layout, raw.region());
        }
        let (whole, offset) = Tenant::extend(layout).ok_or(AllocCause::TooLarge)?;
        let block = check(heap.allocate(raw, whole), whole, raw.region())?;
        // SAFETY: the block is fresh and was allocated for `whole`.
        Ok(unsafe { self.tenant.admit(block, whole, offset) })
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// As for [`allocate`](Self::allocate); `block` came from it with the same domain and layout, and is live.
    pub(crate) unsafe fn deallocate(&self, raw: &H::Raw, domain: Domain, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller holds the GIL; block and layout are the ones of the allocation.
        unsafe {
            let heap = self.heap();
            if self.owns_heap() {
                if let Some(layout) = backend_layout(layout) {
                    heap.deallocate(raw, block, layout);
                }
            } else if let Some((whole, offset)) = Tenant::extend(layout) {
                heap.deallocate(raw, self.tenant.dismiss(block, offset), whole);
            }
        }
        self.head.account.sub(domain, layout.size());
    }

    /// Returns the heap whole, or this interpreter's blocks in main's heap.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL, and no block of it is used any more.
    pub(crate) unsafe fn sweep(&self, raw: &H::Raw) -> Swept {
        // SAFETY: the caller holds the GIL and nothing uses the blocks.
        unsafe {
            let heap = self.heap();
            if self.owns_heap() {
                return heap.sweep(raw);
            }
            let mut swept = Swept::default();
            while let Some((block, whole)) = self.tenant.evict() {
                swept.blocks += 1;
                swept.bytes += whole.size();
                heap.deallocate(raw, block, whole);
            }
            swept
        }
    }
}
