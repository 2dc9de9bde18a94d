//! What is tested: a raw domain, or a heap on one.
#![allow(unsafe_code)]

use core::{alloc::Layout, mem, ptr::NonNull};

use archipelago_kernel::host::{Exhausted, Heap, RawAlloc, Swept};

/// Memory as both kinds serve it.
pub trait Subject {
    /// A block for `layout`.
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted>;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` was returned by this subject for `layout` and is live.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);

    /// Makes a block larger or smaller in place.
    ///
    /// # Safety
    /// As for `deallocate`; `new` has the same alignment.
    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted>;

    /// Moves the allocator's value, where it can be moved.
    fn relocate(&mut self) {}
}

/// A raw domain.
pub struct OnRaw<'a, R>(pub &'a R);

impl<R: RawAlloc> Subject for OnRaw<'_, R> {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { self.0.deallocate(block, layout) }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        // SAFETY: passed on from the caller.
        unsafe { self.0.resize(block, old, new) }
    }
}

/// A heap on a raw domain. Dropping it sweeps the heap: what it served is gone then.
pub struct OnHeap<'a, H: Heap<R>, R: RawAlloc> {
    heap: Box<H>,
    raw: &'a R,
}

impl<'a, H: Heap<R>, R: RawAlloc> OnHeap<'a, H, R> {
    /// A new heap.
    pub fn new(raw: &'a R) -> Self {
        OnHeap { heap: Box::new(H::new()), raw }
    }

    /// The heap.
    pub fn heap(&self) -> &H {
        &self.heap
    }

    /// Sweeps the heap.
    ///
    /// # Safety
    /// No block of this heap is used any more.
    pub unsafe fn sweep(&mut self) -> Swept {
        // SAFETY: passed on from the caller; `raw` is the one that every call gets.
        unsafe { self.heap.sweep(self.raw) }
    }
}

impl<H: Heap<R>, R: RawAlloc> Drop for OnHeap<'_, H, R> {
    fn drop(&mut self) {
        // SAFETY: whoever used blocks owned this value, so nobody does any more.
        unsafe { self.heap.sweep(self.raw) };
    }
}

impl<H: Heap<R>, R: RawAlloc> Subject for OnHeap<'_, H, R> {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        self.heap.allocate(self.raw, layout)
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on from the caller; `raw` is the one that every call gets.
        unsafe { self.heap.deallocate(self.raw, block, layout) }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        // SAFETY: passed on from the caller; `raw` is the one that every call gets.
        unsafe { self.heap.resize(self.raw, block, old, new) }
    }

    fn relocate(&mut self) {
        // A new box is made before the old one is freed, so the address differs.
        let mut elsewhere = Box::new(H::new());
        mem::swap(&mut *elsewhere, &mut *self.heap);
        self.heap = elsewhere;
    }
}
