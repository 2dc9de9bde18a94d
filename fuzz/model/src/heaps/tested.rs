//! What heaps do beyond serving blocks, and the heap that several threads use as one of them.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};
use std::sync::LazyLock;

use archipelago::Runtime;
use archipelago_alloc_suite::{OnHeap, OnRaw, Subject};
use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc, SharedHeap},
    memory::{AllocCause, Asker, Domain, RawDomain},
};

/// A subject that may be a heap.
pub(super) trait Tested: Subject {
    /// Whether it takes everything back at once.
    const SWEEPS: bool;
    /// Whether it is asked for blocks of no bytes.
    const SERVES_NOTHING: bool;

    /// Returns what it keeps.
    fn trim(&mut self);

    /// Takes everything back at once.
    ///
    /// # Safety
    /// No block of this subject is used any more.
    unsafe fn sweep(&mut self);
}

impl<H: Heap<R>, R: RawAlloc> Tested for OnHeap<'_, H, R> {
    const SWEEPS: bool = true;
    const SERVES_NOTHING: bool = true;

    fn trim(&mut self) {
        OnHeap::trim(self);
    }

    unsafe fn sweep(&mut self) {
        // SAFETY: passed on.
        unsafe { OnHeap::sweep(self) }
    }
}

impl<R: RawAlloc> Tested for OnRaw<'_, R> {
    const SWEEPS: bool = false;
    const SERVES_NOTHING: bool = false;

    fn trim(&mut self) {}

    unsafe fn sweep(&mut self) {}
}

/// A raw domain that keeps blocks for later, and how they go back.
pub(super) struct Keeps<'a, R, F>(pub OnRaw<'a, R>, pub F);

impl<R: RawAlloc, F> Subject for Keeps<'_, R, F> {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.deallocate(block, layout) }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause> {
        // SAFETY: passed on.
        unsafe { self.0.resize(block, old, new) }
    }
}

impl<R: RawAlloc, F: FnMut()> Tested for Keeps<'_, R, F> {
    const SWEEPS: bool = false;
    const SERVES_NOTHING: bool = false;

    fn trim(&mut self) {
        (self.1)();
    }

    unsafe fn sweep(&mut self) {}
}

/// Names are made by runtimes only.
static ASKER: LazyLock<Asker> = LazyLock::new(|| {
    let main = Runtime::new().and_then(|rt| Ok(rt.main()?)).expect("a runtime");
    Asker::new(Domain::Mem, main)
});

/// A heap that was told that several threads use it, as the kernel uses it then.
///
/// Invariant: `share` was called, by whoever alone had the value; so calls may come in any order (`SharedHeap`).
pub(super) struct Told<'a, T: SharedHeap<R>, R: RawAlloc>(T, RawDomain<'a, R>);

impl<'a, T: SharedHeap<R>, R: RawAlloc> Told<'a, T, R> {
    pub(super) fn new(raw: &'a R) -> Self {
        let heap = T::new();
        // SAFETY: nobody else has it, and nothing came before.
        unsafe { heap.share() };
        Told(heap, RawDomain::new(raw))
    }
}

impl<T: SharedHeap<R>, R: RawAlloc> Subject for Told<'_, T, R> {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        // SAFETY: it was told (the type's invariant).
        unsafe {
            match self.0.take_at_hand(layout) {
                Some(block) => Ok(NonNull::slice_from_raw_parts(block, layout.size())),
                None => self.0.take(self.1, layout, *ASKER),
            }
        }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: it was told (the type's invariant); the block is live and of this layout (contract), and still is where
        // `give_at_hand` answers false. The asker is always the same, and so is the raw domain.
        unsafe {
            if !self.0.give_at_hand(block, layout) {
                self.0.give(self.1, block, layout, *ASKER);
            }
        }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause> {
        // SAFETY: it was told (the type's invariant); the rest is the caller's contract, which is the same.
        unsafe { self.0.fit(self.1, block, old, new) }
    }

    fn inspect(&self, live: usize) {
        // SAFETY: it was told (the type's invariant).
        match unsafe { self.0.look() } {
            HeapState::Unknown => {}
            HeapState::Sound { blocks } => assert_eq!(blocks, live, "the heap and the model count alike"),
            HeapState::Broken(what) => panic!("the heap is broken: {what}"),
        }
    }
}

impl<T: SharedHeap<R>, R: RawAlloc> Tested for Told<'_, T, R> {
    const SWEEPS: bool = true;
    const SERVES_NOTHING: bool = true;

    fn trim(&mut self) {
        // SAFETY: it was told (the type's invariant), and gets the raw domain that every call gets.
        unsafe { self.0.shed(self.1) }
    }

    unsafe fn sweep(&mut self) {
        // SAFETY: no block is used (contract), `&mut self` orders the sweep with every other call, and makes this the only
        // one that has the heap when it is told again, as new.
        unsafe {
            self.0.sweep(self.1);
            self.0.share();
        }
    }
}

impl<T: SharedHeap<R>, R: RawAlloc> Drop for Told<'_, T, R> {
    fn drop(&mut self) {
        // SAFETY: whoever used blocks owned this value, so nobody does any more; `&mut self` orders it with every other call.
        unsafe { self.0.sweep(self.1) };
    }
}
