//! A heap with a hook in front of it.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc},
    memory::{AllocCause, Asker, RawDomain},
};

use crate::hook::{Hook, OnHeap};

/// The heap `T` with the hook `K` in front of it.
#[derive(Debug)]
pub struct Hooked<T, K> {
    inner: T,
    hook: K,
}

impl<T, K> Hooked<T, K> {
    /// The heap below.
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// The hook.
    pub const fn hook(&self) -> &K {
        &self.hook
    }
}

// SAFETY: the hook answers blocks as a heap does, out of what it takes from the heap below (contract of `Hook`), whose
// blocks stay when this value moves. Dropping it drops the heap below, which frees nothing that is live.
unsafe impl<R: RawAlloc, T: Heap<R>, K: Hook + Default> Heap<R> for Hooked<T, K> {
    fn new() -> Self {
        Hooked { inner: T::new(), hook: K::default() }
    }

    #[inline]
    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        self.hook.allocate(&mut OnHeap(&mut self.inner, raw), layout, None)
    }

    #[inline]
    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.hook.deallocate(&mut OnHeap(&mut self.inner, raw), block, layout, None) }
    }

    #[inline]
    fn allocate_for(
        &mut self,
        raw: RawDomain<'_, R>,
        layout: Layout,
        asker: Asker,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        self.hook.allocate(&mut OnHeap(&mut self.inner, raw), layout, Some(asker))
    }

    #[inline]
    fn vouches_for(&mut self, address: usize, layout: Layout, asker: Asker) -> bool {
        let Hooked { inner, hook } = self;
        hook.vouches_for(
            |address, layout, asker| inner.vouches_for(address, layout, asker),
            address,
            layout,
            asker,
        )
    }

    #[inline]
    unsafe fn deallocate_for(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        layout: Layout,
        asker: Asker,
    ) {
        // SAFETY: passed on.
        unsafe { self.hook.deallocate(&mut OnHeap(&mut self.inner, raw), block, layout, Some(asker)) }
    }

    unsafe fn resize(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        // SAFETY: passed on.
        unsafe { self.hook.resize(&mut OnHeap(&mut self.inner, raw), block, old, new) }
    }

    unsafe fn trim(&mut self, raw: RawDomain<'_, R>) {
        // SAFETY: passed on.
        unsafe {
            self.hook.trim(&mut OnHeap(&mut self.inner, raw));
            self.inner.trim(raw);
        }
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>) {
        // SAFETY: passed on; the hook forgets first what the heap takes back.
        unsafe {
            self.hook.sweep();
            self.inner.sweep(raw);
        }
    }

    fn inspect(&self) -> HeapState {
        self.hook.inspect(self.inner.inspect())
    }
}
