//! `Scanned`: a heap that looks at itself while it is used.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc},
    memory::{AllocCause, RawDomain},
};

/// So many requests between two looks. A look takes as long as there are blocks.
const BETWEEN: usize = if cfg!(miri) { 500 } else { 250 };

/// The heap `T`, which counts what is live, and asserts every now and then, and whenever it is trimmed or swept, that `T`
/// is whole and counts alike. The kernel only asserts at sweeps that nothing is broken.
pub struct Scanned<T> {
    heap: T,
    live: usize,
    until_look: usize,
}

impl<T> Scanned<T> {
    fn look<R: RawAlloc>(&self)
    where
        T: Heap<R>,
    {
        match Heap::<R>::inspect(&self.heap) {
            HeapState::Unknown => {}
            HeapState::Sound { blocks } => assert_eq!(blocks, self.live, "the heap counts its blocks"),
            HeapState::Broken(what) => panic!("the heap is broken: {what}"),
        }
    }

    fn changed<R: RawAlloc>(&mut self, live: usize)
    where
        T: Heap<R>,
    {
        self.live = live;
        self.until_look = match self.until_look.checked_sub(1) {
            Some(left) => left,
            None => {
                self.look::<R>();
                BETWEEN
            }
        };
    }
}

// SAFETY: the heap's, to which every call is passed on.
unsafe impl<R: RawAlloc, T: Heap<R>> Heap<R> for Scanned<T> {
    fn new() -> Self {
        Scanned { heap: T::new(), live: 0, until_look: BETWEEN }
    }

    fn allocate_at_hand(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = self.heap.allocate_at_hand(layout)?;
        self.changed::<R>(self.live + 1);
        Some(block)
    }

    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        let block = self.heap.allocate(raw, layout)?;
        self.changed::<R>(self.live + 1);
        Ok(block)
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.heap.deallocate(raw, block, layout) }
        self.changed::<R>(self.live - 1);
    }

    unsafe fn deallocate_at_hand(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: passed on.
        let is_back = unsafe { self.heap.deallocate_at_hand(block, layout) };
        if is_back {
            self.changed::<R>(self.live - 1);
        }
        is_back
    }

    unsafe fn resize(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        // SAFETY: passed on.
        unsafe { self.heap.resize(raw, block, old, new)? };
        self.changed::<R>(self.live);
        Ok(())
    }

    unsafe fn trim(&mut self, raw: RawDomain<'_, R>) {
        self.look::<R>();
        // SAFETY: passed on.
        unsafe { self.heap.trim(raw) }
        self.look::<R>();
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>) {
        self.look::<R>();
        // SAFETY: passed on.
        unsafe { self.heap.sweep(raw) }
        self.live = 0;
        self.look::<R>();
    }

    fn inspect(&self) -> HeapState {
        self.heap.inspect()
    }
}
