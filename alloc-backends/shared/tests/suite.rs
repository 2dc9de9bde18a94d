//! The suite on `Shared`: alone, through the methods for several threads, and with the lock on; and threads at once.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};
use std::{sync::LazyLock, thread};

use archipelago::Runtime;
use archipelago_alloc_shared::Shared;
use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_suite::{Checked, DirectHeap, Model, Subject, heap_suite};
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc, SharedHeap},
    memory::{AllocCause, Asker, Domain, RawDomain},
};
use archipelago_locks::SpinLock;

/// Names are made by runtimes only.
static ASKER: LazyLock<Asker> = LazyLock::new(|| {
    let main = Runtime::new().and_then(|rt| Ok(rt.main()?)).expect("a runtime");
    Asker::new(Domain::Mem, main)
});

/// A heap that is used through the methods for several threads; `LOCKED`, after it was told that there are several.
struct Beside<T, const LOCKED: bool>(T);

// SAFETY: the heap's. A mutable reference keeps the order.
unsafe impl<R: RawAlloc, T: SharedHeap<R>, const LOCKED: bool> Heap<R> for Beside<T, LOCKED> {
    fn new() -> Self {
        let heap = T::new();
        if LOCKED {
            // SAFETY: nobody else has it.
            unsafe { heap.share() };
        }
        assert_eq!(heap.is_shared(), LOCKED);
        Beside(heap)
    }

    fn allocate_at_hand(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: as above.
        unsafe { self.0.take_at_hand(layout) }
    }

    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        // SAFETY: as above.
        unsafe { self.0.take(raw, layout, *ASKER) }
    }

    unsafe fn deallocate_at_hand(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: passed on.
        unsafe { self.0.give_at_hand(block, layout) }
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.give(raw, block, layout, *ASKER) }
    }

    unsafe fn resize(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        // SAFETY: passed on.
        unsafe { self.0.fit(raw, block, old, new) }
    }

    unsafe fn trim(&mut self, raw: RawDomain<'_, R>) {
        // SAFETY: passed on.
        unsafe { self.0.shed(raw) }
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>) {
        // SAFETY: passed on.
        unsafe {
            self.0.sweep(raw);
            assert!(!self.0.is_shared(), "as new in this too");
            if LOCKED {
                self.0.share();
            }
        }
    }

    fn inspect(&self) -> HeapState {
        // SAFETY: as above.
        unsafe { self.0.look() }
    }
}

type One<T> = Shared<T, SpinLock>;

heap_suite! { many on SystemRaw;
    alone: One<SmallHeap>, 10_000;
    beside: Beside<One<SmallHeap>, false>, 10_000;
    beside_locked: Beside<One<SmallHeap>, true>, 10_000;
    direct_locked: Beside<One<DirectHeap>, true>, 10_000;
}

/// A heap that several threads use at the same time.
struct OnShared<'a, T, R>(&'a T, RawDomain<'a, R>);

impl<T: SharedHeap<R>, R: RawAlloc> Subject for OnShared<'_, T, R> {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        // SAFETY: the heap was told that there are several.
        unsafe {
            match self.0.take_at_hand(layout) {
                Some(block) => Ok(NonNull::slice_from_raw_parts(block, layout.size())),
                None => self.0.take(self.1, layout, *ASKER),
            }
        }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: as above; the rest is passed on.
        unsafe {
            if !self.0.give_at_hand(block, layout) {
                self.0.give(self.1, block, layout, *ASKER);
            }
        }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause> {
        // SAFETY: as above; the rest is passed on.
        unsafe { self.0.fit(self.1, block, old, new) }
    }
}

/// Four threads take, resize and give back at the same time: no block overlaps another, and contents are kept.
///
/// SPEC: M3, M4
#[test]
fn four_threads_at_once() {
    let checked = Checked::new(SystemRaw);
    let raw = RawDomain::new(&checked);
    let mut heap = <One<SmallHeap> as Heap<Checked<SystemRaw>>>::new();
    let alone = heap.allocate(raw, Layout::new::<u64>()).expect("room for it").cast::<u64>();
    // SAFETY: live, for this layout; the threads come after `share`.
    unsafe {
        alone.write(77);
        SharedHeap::<Checked<SystemRaw>>::share(&heap);
    }
    let rounds = if cfg!(miri) { 40 } else { 2000 };
    thread::scope(|scope| {
        for thread in 0..4 {
            let heap = &heap;
            scope.spawn(move || {
                let mut model = Model::new(OnShared(heap, raw));
                for n in 0..rounds {
                    let layout = Layout::from_size_align(1 + (n * 13 + thread) % 200, 8).expect("a layout");
                    model.allocate(layout).expect("room for it");
                    if n % 3 != 0 || model.len() > 8 {
                        let address = model.nth(n).expect("a live block");
                        model.deallocate(address);
                    }
                }
                model.clear();
            });
        }
    });
    // SAFETY: live, and nobody else is there any more.
    unsafe {
        assert_eq!(alone.read(), 77);
        assert_eq!(SharedHeap::<Checked<SystemRaw>>::look(&heap), HeapState::Sound { blocks: 1 });
        heap.deallocate(raw, alone.cast(), Layout::new::<u64>());
        heap.sweep(raw);
    }
    assert_eq!(checked.live(), (0, 0), "everything is back");
}
