//! A heap behind a lock that is switched on when it is needed.

#![allow(unsafe_code)]

use core::{alloc::Layout, cell::UnsafeCell, ptr::NonNull};

use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc, RawLock, SharedHeap, Sharing},
    memory::{AllocCause, Asker, RawDomain},
};

#[cfg(not(archipelago_loom))]
use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(archipelago_loom)]
use loom::sync::atomic::{AtomicBool, Ordering};

/// The heap `T`, for several threads at a time: see the crate's documentation.
///
/// Invariant \[B1\]: whoever refers to `heap` is alone with it, for
///
/// | `locked` | who refers to it | why it is alone |
/// |---|---|---|
/// | no | whoever calls | until `share`, calls come one after the other (`SharedHeap`'s order) |
/// | no → yes | nobody | `share` is one of these calls, and refers to nothing |
/// | yes | the holder of `lock` | the lock admits one |
/// | yes → no | `sweep` | calls of `Heap` are ordered with all others |
///
/// Every call after `share` is ordered after it, so a relaxed load finds `locked` up. It goes up with a release and is
/// asked for from elsewhere with an acquire: whoever sees it up has all behind it that came before `share`.
pub struct Shared<T, L> {
    locked: AtomicBool,
    lock: L,
    heap: UnsafeCell<T>,
}

// SAFETY: [B1]: threads refer to the heap in turn, and it may go from one to another.
unsafe impl<T: Send, L: Sync> Sync for Shared<T, L> {}

impl<T, L: RawLock> Shared<T, L> {
    /// Runs `f` on the heap.
    ///
    /// # Safety
    /// The order of calls that `SharedHeap` describes is kept, and `f` does not come back here.
    #[inline]
    unsafe fn with<O>(&self, f: impl FnOnce(&mut T) -> O) -> O {
        // SAFETY: [B1] for the heap.
        unsafe {
            if self.locked.load(Ordering::Relaxed) {
                self.lock.with(|| f(&mut *self.heap.get()))
            } else {
                f(&mut *self.heap.get())
            }
        }
    }
}

// SAFETY: blocks are those of `T`. Whoever has `&mut self` is alone with the heap.
unsafe impl<R: RawAlloc, T: Heap<R>, L: RawLock> Heap<R> for Shared<T, L> {
    const SHARING: Option<Sharing<Self, R>> = Some(Sharing::of());

    fn new() -> Self {
        Shared { locked: AtomicBool::new(false), lock: L::new(), heap: UnsafeCell::new(T::new()) }
    }

    #[inline]
    fn allocate_at_hand(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.heap.get_mut().allocate_at_hand(layout)
    }

    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        self.heap.get_mut().allocate(raw, layout)
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.heap.get_mut().deallocate(raw, block, layout) }
    }

    #[inline]
    unsafe fn deallocate_at_hand(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: passed on.
        unsafe { self.heap.get_mut().deallocate_at_hand(block, layout) }
    }

    fn allocate_for(
        &mut self,
        raw: RawDomain<'_, R>,
        layout: Layout,
        asker: Asker,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        self.heap.get_mut().allocate_for(raw, layout, asker)
    }

    fn vouches_for(&mut self, address: usize, layout: Layout, asker: Asker) -> bool {
        self.heap.get_mut().vouches_for(address, layout, asker)
    }

    unsafe fn deallocate_for(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        layout: Layout,
        asker: Asker,
    ) {
        // SAFETY: passed on.
        unsafe { self.heap.get_mut().deallocate_for(raw, block, layout, asker) }
    }

    unsafe fn resize(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        // SAFETY: passed on.
        unsafe { self.heap.get_mut().resize(raw, block, old, new) }
    }

    unsafe fn trim(&mut self, raw: RawDomain<'_, R>) {
        // SAFETY: passed on.
        unsafe { self.heap.get_mut().trim(raw) }
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>) {
        self.locked.store(false, Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { self.heap.get_mut().sweep(raw) }
    }

    fn inspect(&self) -> HeapState {
        // SAFETY: calls of `Heap` keep the order.
        unsafe { self.look_inside::<R>() }
    }
}

impl<T, L: RawLock> Shared<T, L> {
    /// # Safety
    /// As for [`with`](Self::with).
    unsafe fn look_inside<R: RawAlloc>(&self) -> HeapState
    where
        T: Heap<R>,
    {
        // SAFETY: passed on.
        unsafe { self.with(|heap| heap.inspect()) }
    }
}

// SAFETY: [B1]; blocks are those of `T`. Who reads `locked` as up with an acquire comes after the release in `share`.
unsafe impl<R: RawAlloc, T: Heap<R>, L: RawLock> SharedHeap<R> for Shared<T, L> {
    unsafe fn share(&self) {
        self.locked.store(true, Ordering::Release);
    }

    fn is_shared(&self) -> bool {
        self.locked.load(Ordering::Acquire)
    }

    #[inline]
    unsafe fn take_at_hand(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: passed on.
        unsafe { self.with(|heap| heap.allocate_at_hand(layout)) }
    }

    #[inline]
    unsafe fn give_at_hand(&self, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: passed on.
        unsafe { self.with(|heap| heap.deallocate_at_hand(block, layout)) }
    }

    unsafe fn take(
        &self,
        raw: RawDomain<'_, R>,
        layout: Layout,
        asker: Asker,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        // SAFETY: passed on.
        unsafe { self.with(|heap| heap.allocate_for(raw, layout, asker)) }
    }

    unsafe fn vouch(&self, address: usize, layout: Layout, asker: Asker) -> bool {
        // SAFETY: passed on.
        unsafe { self.with(|heap| heap.vouches_for(address, layout, asker)) }
    }

    #[inline]
    unsafe fn give(&self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout, asker: Asker) {
        // SAFETY: passed on.
        unsafe { self.with(|heap| heap.deallocate_for(raw, block, layout, asker)) }
    }

    unsafe fn fit(
        &self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        // SAFETY: passed on.
        unsafe { self.with(|heap| heap.resize(raw, block, old, new)) }
    }

    unsafe fn shed(&self, raw: RawDomain<'_, R>) {
        // SAFETY: passed on.
        unsafe { self.with(|heap| heap.trim(raw)) }
    }

    unsafe fn look(&self) -> HeapState {
        // SAFETY: passed on.
        unsafe { self.look_inside::<R>() }
    }
}
