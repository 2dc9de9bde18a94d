//! Group n: one heap for interpreters with GILs of their own.
#![allow(unsafe_code)]

use core::alloc::Layout;

use archipelago_kernel::{
    Host, ThreadState,
    error::AttachError,
    host::{Heap, SharedHeap},
    memory::{Asker, Domain},
};
use archipelago_loom_tests::{
    Carry, LoomOneHeap, LoomRaw, one_heap_model, own_gil_in_mains_heap, second, shared_gil,
    timed_one_heap_model,
};
use loom::{sync::Arc, thread};

/// A block taken and given back: two findings, if somebody else is in the heap.
fn use_heap<H: Host>(state: &mut ThreadState<'static, H>) -> Result<(), AttachError> {
    state.attach(|cx| cx.alloc_plain(1_u32).ok().unwrap().release(cx))
}

/// Model 12: the first interpreter with a GIL of its own in main's heap is created while main allocates.
///
/// SPEC: M3
#[test]
fn created_against_allocation_in_main() {
    one_heap_model("heap::created_against_allocation_in_main", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let mine = Carry::new(rt.thread_state(main).unwrap());
        let thread = thread::spawn(move || {
            let mut mine = mine.take();
            assert_eq!(use_heap(&mut mine), Ok(()));
        });
        let mut state = own_gil_in_mains_heap(rt);
        assert_eq!(use_heap(&mut state), Ok(()));
        thread.join().unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    });
}

/// Model 12: the same against an interpreter that shares main's GIL too.
///
/// SPEC: M3
#[test]
fn created_against_allocation_under_mains_gil() {
    one_heap_model("heap::created_against_allocation_under_mains_gil", |rt| {
        let _ = rt.initialize(None).unwrap();
        let tenant = Carry::new(shared_gil(rt));
        let thread = thread::spawn(move || {
            let mut tenant = tenant.take();
            assert_eq!(use_heap(&mut tenant), Ok(()));
            tenant.interpreter()
        });
        let mut state = own_gil_in_mains_heap(rt);
        assert_eq!(use_heap(&mut state), Ok(()));
        assert!(rt.end(thread.join().unwrap(), None).unwrap().is_clean());
    });
}

/// Model 12: two creators, one of whom finds the heap told already: what main did before comes before both.
///
/// SPEC: M3
#[test]
fn two_creators() {
    timed_one_heap_model("heap::two_creators", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let mine = Carry::new(rt.thread_state(main).unwrap());
        let thread = thread::spawn(move || {
            assert_eq!(use_heap(&mut mine.take()), Ok(()));
            let _ = own_gil_in_mains_heap(rt);
        });
        assert_eq!(use_heap(&mut own_gil_in_mains_heap(rt)), Ok(()));
        thread.join().unwrap();
    });
}

/// Model 12: the wrapper alone: whoever finds the heap told comes after all that was done in it before.
///
/// SPEC: M3
#[test]
fn told_from_elsewhere() {
    one_heap_model("heap::told_from_elsewhere", |rt| {
        let asker = Asker::new(Domain::Mem, rt.initialize(None).unwrap().main());
        let heap = Arc::new(<LoomOneHeap as Heap<LoomRaw>>::new());
        let use_it = move |heap: &LoomOneHeap| {
            let layout = Layout::new::<u32>();
            // SAFETY: one after the other until the heap is told, which the other thread asks for.
            unsafe {
                let block = heap.take(rt.raw(), layout, asker).unwrap();
                heap.give(rt.raw(), block.cast(), layout, asker);
            }
        };
        let theirs = Arc::clone(&heap);
        let thread = thread::spawn(move || {
            if SharedHeap::<LoomRaw>::is_shared(&*theirs) {
                use_it(&theirs);
            }
        });
        use_it(&heap);
        // SAFETY: as above.
        unsafe { SharedHeap::<LoomRaw>::share(&*heap) };
        use_it(&heap);
        thread.join().unwrap();
    });
}

/// Model 12: an interpreter ends, and what it left in the heap is taken back while main allocates.
///
/// SPEC: M3, L11
#[test]
fn end_against_allocation_in_main() {
    one_heap_model("heap::end_against_allocation_in_main", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let mine = Carry::new(rt.thread_state(main).unwrap());
        let mut state = own_gil_in_mains_heap(rt);
        state.attach(|cx| core::mem::forget(cx.alloc_plain(1_u32).ok().unwrap())).unwrap();
        let thread = thread::spawn(move || assert_eq!(use_heap(&mut mine.take()), Ok(())));
        assert_eq!(rt.end(state.interpreter(), None).unwrap().objects, 1);
        thread.join().unwrap();
    });
}

/// Model 12: main sweeps the heap after everybody else has left it.
///
/// SPEC: M3, R4
#[test]
fn finalize_against_allocation() {
    one_heap_model("heap::finalize_against_allocation", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil_in_mains_heap(rt);
        let other = second(&state);
        let thread = thread::spawn(move || {
            let came = use_heap(&mut other.take());
            assert!(matches!(came, Ok(()) | Err(AttachError::Finalizing | AttachError::Ended)), "{came:?}");
        });
        let ledger = rt.finalize(None).unwrap();
        assert_eq!((ledger.left_over, ledger.unclean, ledger.main.is_clean()), (1, 0, true));
        thread.join().unwrap();
    });
}
