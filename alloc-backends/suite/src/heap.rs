//! What heaps do beyond serving blocks.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};
use std::thread;

use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc},
    memory::{AllocCause, RawDomain},
};

use crate::{Checked, Lie, Model, OnHeap, random, rounds};

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// Sweeping gives everything back to the raw domain; the heap is afterwards as new.
pub fn sweeping_returns_everything<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>) {
    let mut heap = OnHeap::<H, _>::new(raw);
    // SAFETY: nothing was allocated.
    unsafe { heap.sweep() };
    for count in [0, 1, 40] {
        let mut model = Model::new(heap);
        for n in 0..count {
            model.allocate(layout(1 + n * 29)).expect("room for it");
            let freed = model.allocate(layout(1 + n * 17)).expect("room for it");
            model.deallocate(freed);
        }
        assert_eq!(model.len(), count);
        heap = model.abandon();
        // SAFETY: the model forgot every block.
        unsafe { heap.sweep() };
        assert_eq!(raw.live(), (0, 0), "everything is back");
    }
}

/// Random sequences of requests with what is live at the end swept.
pub fn random_sequences_swept<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>) {
    swept::<H, R>(raw, random::MANY);
}

/// As [`random_sequences_swept`], but few, for wrappers of what passed the many.
pub fn few_random_sequences_swept<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>) {
    swept::<H, R>(raw, random::FEW);
}

fn swept<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>, cases: u32) {
    random::sequences(cases, &|| OnHeap::<H, _>::new(raw), |model| {
        let mut heap = model.abandon();
        // SAFETY: the model forgot every block.
        unsafe { heap.sweep() };
        assert_eq!(raw.live(), (0, 0), "everything is back");
    });
}

/// Dropping a heap that was not swept frees nothing that is live.
pub fn dropping_frees_nothing_live<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>) {
    let (mut heap, domain) = (H::new(), RawDomain::new(raw));
    let blocks: Vec<_> = (0..10)
        .map(|n| {
            let block = heap.allocate(domain, layout(1 + n * 50)).expect("room for it");
            let start = block.cast::<u8>();
            // SAFETY: the block is live and one byte long at least.
            unsafe { start.write(n as u8) };
            start
        })
        .collect();
    drop(heap);
    for (n, start) in blocks.into_iter().enumerate() {
        // SAFETY: the block is live still (contract of `Heap`).
        assert_eq!(unsafe { start.read() }, n as u8);
    }
    // SAFETY: nothing is used any more.
    unsafe { raw.give_all_back() };
}

/// A heap that moves to another thread with its blocks serves on there.
pub fn moves_to_another_thread<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>) {
    let (mut heap, domain) = (H::new(), RawDomain::new(raw));
    let first = Handed(heap.allocate(domain, layout(40)).expect("room for it").cast());
    let state = thread::scope(|scope| {
        scope
            .spawn(move || {
                let Handed(first) = { first };
                let second = heap.allocate(domain, layout(40)).expect("room for it").cast();
                assert_ne!(first, second);
                // SAFETY: both were returned by this heap for this layout and are live.
                unsafe {
                    heap.deallocate(domain, first, layout(40));
                    heap.deallocate(domain, second, layout(40));
                }
                let state = heap.inspect();
                // SAFETY: nothing is live.
                unsafe { heap.sweep(domain) };
                state
            })
            .join()
    });
    assert!(matches!(state.expect("no panic"), HeapState::Unknown | HeapState::Sound { blocks: 0 }));
    assert_eq!(raw.live(), (0, 0), "everything is back");
}

/// What was kept goes back when it is asked for, and what is live stays.
pub fn trimming_returns_what_is_kept<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>) {
    let mut model = Model::new(OnHeap::<H, _>::new(raw));
    for n in 0..rounds(400) {
        model.allocate(layout(1 + n * 29 % 600)).expect("room for it");
    }
    while model.len() > 3 {
        let address = model.nth(model.len() / 2).expect("a live block");
        model.deallocate(address);
    }
    model.subject_mut().trim();
    model.check();
    model.clear();
    model.subject_mut().trim();
    assert_eq!(raw.live(), (0, 0), "nothing is live, so nothing is kept");
    model.allocate(layout(64)).expect("it serves on");
    model.clear();
}

/// A block that goes to another thread together with its heap.
struct Handed(NonNull<u8>);

// SAFETY: the block is used where its heap is.
unsafe impl Send for Handed {}

/// Whichever request to the raw domain fails, the heap answers with an error, keeps what it has and serves on.
pub fn the_nth_failure_leaves_the_heap_whole<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>) {
    for n in 0..rounds(60) {
        let mut model = Model::new(OnHeap::<H, _>::new(raw));
        raw.fail_after(Some(n));
        for size in (0..40).map(|k| 1 + k * 41 % 700) {
            // A heap may recover by giving back what it kept, so the answer may be either.
            let _ = model.allocate(layout(size));
            if size % 3 == 0
                && let Some(address) = model.nth(size)
            {
                model.deallocate(address);
            }
        }
        model.check();
        raw.fail_after(None);
        model.allocate(layout(64)).expect("it serves on");
        let mut heap = model.abandon();
        // SAFETY: the model forgot every block.
        unsafe { heap.sweep() };
        assert_eq!(raw.live(), (0, 0), "everything is back");
    }
}

/// A raw domain that lies about its answers is not believed (SPEC M11), and what it served is given back.
pub fn lies_are_not_believed<H: Heap<Checked<R>>, R: RawAlloc>(raw: &Checked<R>) {
    for lie in [Lie::Short, Lie::Misaligned, Lie::Outside] {
        let mut model = Model::new(OnHeap::<H, _>::new(raw));
        raw.lie(Some(lie));
        let reason = match lie {
            Lie::Short => AllocCause::BackendShort,
            Lie::Misaligned => AllocCause::BackendMisaligned,
            Lie::Outside => AllocCause::BackendOutside,
        };
        for size in [1, 40, 600, 5000] {
            assert_eq!(model.allocate(layout(size)), Err(reason));
        }
        assert_eq!(raw.live(), (0, 0), "what was served was given back");
        raw.lie(None);
        let address = model.allocate(layout(40)).expect("it serves on");
        model.deallocate(address);
        let mut heap = model.abandon();
        // SAFETY: the model forgot every block.
        unsafe { heap.sweep() };
    }
}
