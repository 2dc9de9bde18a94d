//! What is tested: a raw domain, or a heap on one.
#![allow(unsafe_code)]

use core::{alloc::Layout, mem, ptr::NonNull};

use archipelago_kernel::{
    host::{Exhausted, Heap, HeapState, RawAlloc},
    memory::{AllocCause, RawDomain},
};

/// Memory as both kinds serve it.
pub trait Subject {
    /// A block for `layout`.
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocCause>;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` was returned by this subject for `layout` and is live.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);

    /// Makes a block larger or smaller in place.
    ///
    /// # Safety
    /// As for `deallocate`; `new` has the same alignment.
    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause>;

    /// Moves the allocator's value, where it can be moved.
    fn relocate(&mut self) {}

    /// Looks at itself, where it can; `live` blocks are live.
    fn inspect(&self, live: usize) {
        let _ = live;
    }
}

/// A raw domain.
pub struct OnRaw<'a, R>(pub &'a R);

impl<R: RawAlloc> Subject for OnRaw<'_, R> {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        self.0.allocate(layout).map_err(|Exhausted| AllocCause::Exhausted)
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { self.0.deallocate(block, layout) }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause> {
        // SAFETY: passed on from the caller.
        unsafe { self.0.resize(block, old, new) }.map_err(|Exhausted| AllocCause::Exhausted)
    }
}

/// A heap on a raw domain. Dropping it sweeps the heap: what it served is gone then.
pub struct OnHeap<'a, H: Heap<R>, R: RawAlloc> {
    heap: Box<H>,
    raw: RawDomain<'a, R>,
    /// Every second request asks for what is at hand first, as the kernel does.
    asks_first: bool,
}

impl<'a, H: Heap<R>, R: RawAlloc> OnHeap<'a, H, R> {
    /// A new heap.
    pub fn new(raw: &'a R) -> Self {
        OnHeap { heap: Box::new(H::new()), raw: RawDomain::new(raw), asks_first: false }
    }

    /// The heap.
    pub fn heap(&self) -> &H {
        &self.heap
    }

    /// Returns what the heap keeps.
    pub fn trim(&mut self) {
        // SAFETY: `raw` is the one that every call gets.
        unsafe { self.heap.trim(self.raw) }
    }

    /// Sweeps the heap.
    ///
    /// # Safety
    /// No block of this heap is used any more.
    pub unsafe fn sweep(&mut self) {
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
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        self.asks_first = !self.asks_first;
        let at_hand = if self.asks_first { self.heap.allocate_at_hand(layout) } else { None };
        match at_hand {
            Some(block) => Ok(NonNull::slice_from_raw_parts(block, layout.size())),
            None => self.heap.allocate(self.raw, layout),
        }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        self.asks_first = !self.asks_first;
        // SAFETY: passed on from the caller; `raw` is the one that every call gets.
        unsafe {
            if !(self.asks_first && self.heap.deallocate_at_hand(block, layout)) {
                self.heap.deallocate(self.raw, block, layout);
            }
        }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause> {
        // SAFETY: passed on from the caller; `raw` is the one that every call gets.
        unsafe { self.heap.resize(self.raw, block, old, new) }
    }

    fn inspect(&self, live: usize) {
        match self.heap.inspect() {
            HeapState::Unknown => {}
            HeapState::Sound { blocks } => assert_eq!(blocks, live, "the heap and the model count alike"),
            HeapState::Broken(what) => panic!("the heap is broken: {what}"),
        }
    }

    fn relocate(&mut self) {
        // A new box is made before the old one is freed, so the address differs.
        let mut elsewhere = Box::new(H::new());
        mem::swap(&mut *elsewhere, &mut *self.heap);
        self.heap = elsewhere;
    }
}
