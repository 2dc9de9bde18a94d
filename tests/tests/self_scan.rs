//! Heaps that look at themselves: what is broken is seen, by the kernel before a sweep and by the hosts of the suite.
#![allow(missing_docs, unsafe_code)]

use core::{alloc::Layout, cell::Cell, panic::AssertUnwindSafe, ptr::NonNull};
use std::panic::catch_unwind;

use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Runtime,
    config::InterpreterConfig,
    host::{Heap, HeapState, RawAlloc, RawLock},
    memory::{AllocCause, Domain, RawDomain},
};
use archipelago_tests::{BareRaw, Machine, Scanned};

std::thread_local! {
    /// What a `Pretender` says of itself on this thread, instead of the truth.
    static SAYS: Cell<Option<HeapState>> = const { Cell::new(None) };
}

/// A heap that can be told what to say of itself.
struct Pretender(SmallHeap);

// SAFETY: the heap's.
unsafe impl<R: RawAlloc> Heap<R> for Pretender {
    fn new() -> Self {
        Pretender(Heap::<R>::new())
    }

    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        self.0.allocate(raw, layout)
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.deallocate(raw, block, layout) }
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>) {
        // SAFETY: passed on.
        unsafe { self.0.sweep(raw) }
    }

    fn inspect(&self) -> HeapState {
        SAYS.get().unwrap_or_else(|| Heap::<R>::inspect(&self.0))
    }
}

/// Runs `f` while every `Pretender` of this thread says `state`. Answers whether it panicked.
fn panics_where_it_says(state: HeapState, f: impl FnOnce()) -> bool {
    SAYS.set(Some(state));
    let panicked = catch_unwind(AssertUnwindSafe(f)).is_err();
    SAYS.set(None);
    panicked
}

/// SPEC: V4
#[test]
fn the_kernel_looks_before_it_sweeps() {
    type H = Machine<BareRaw, Pretender>;
    let rt = Runtime::<H>::new(H::new(), BareRaw::on_a_region(), RawLock::new());
    let _main = rt.initialize(None).unwrap();
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        for (state, bites) in
            [(HeapState::Unknown, false), (HeapState::Broken("a test"), cfg!(debug_assertions))]
        {
            let mut made = rt.create(&config, None).unwrap();
            let block = made.attach(|cx| cx.allocate(Domain::Mem, Layout::new::<u64>()).is_ok());
            assert_eq!(block, Ok(true));
            let id = made.interpreter();
            drop(made);
            let panicked = panics_where_it_says(state, || _ = rt.end(id, None));
            assert_eq!(panicked, bites, "{state:?}, {config:?}");
        }
    }
}

/// SPEC: V4
#[test]
fn the_hosts_of_the_suite_count_too() {
    let (layout, raw) = (Layout::new::<[u8; 40]>(), RawDomain::new(&SystemRaw));
    let mut heap = <Scanned<Pretender> as Heap<SystemRaw>>::new();
    let [first, _] = [(); 2].map(|()| heap.allocate(raw, layout).unwrap().cast());
    // SAFETY: live, from this heap, for this layout.
    unsafe { heap.deallocate(raw, first, layout) };
    let wrong = [HeapState::Sound { blocks: 0 }, HeapState::Sound { blocks: 2 }, HeapState::Broken("a test")];
    for (state, bites) in [HeapState::Unknown, HeapState::Sound { blocks: 1 }]
        .map(|right| (right, false))
        .into_iter()
        .chain(wrong.map(|wrong| (wrong, true)))
    {
        // SAFETY: every call gets this raw domain.
        let panicked = panics_where_it_says(state, || unsafe { heap.trim(raw) });
        assert_eq!(panicked, bites, "{state:?}");
    }
    let looked = (0..1000).any(|_| panics_where_it_says(wrong[2], || _ = heap.allocate(raw, layout)));
    assert!(looked, "while it is used, too");
    // SAFETY: no block is used any more.
    unsafe { heap.sweep(raw) };
}
