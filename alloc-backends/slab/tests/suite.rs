//! The suite on `SlabHeap`: as usual, on a microcontroller, and with one arena at most kept.
#![allow(unsafe_code)]

use core::alloc::Layout;

use archipelago_alloc_slab::{SlabHeap, SmallHeap, UsualHeap};
use archipelago_alloc_suite::{Checked, DirectHeap, Model, OnHeap, heap, served};
use archipelago_alloc_system::SystemRaw;

macro_rules! suite {
    ($module:ident, $budget:literal, $tested:ty) => {
        mod $module {
            use super::*;

            type Tested = $tested;

            /// Runs `test` on a raw domain and checks that all came back.
            fn on_raw(test: impl FnOnce(&Checked<SystemRaw>)) {
                let raw = Checked::new(SystemRaw);
                test(&raw);
                assert_eq!(raw.live(), (0, 0), "everything is back");
            }

            #[test]
            fn serves() {
                on_raw(|raw| served::every_alignment(OnHeap::<Tested, _>::new(raw)));
                on_raw(|raw| served::every_size(OnHeap::<Tested, _>::new(raw)));
                on_raw(|raw| served::contents_are_kept(OnHeap::<Tested, _>::new(raw)));
                on_raw(|raw| served::resizing_keeps_contents(OnHeap::<Tested, _>::new(raw)));
            }

            // Miri ends the program where a real system's allocator answers null.
            #[cfg_attr(miri, ignore)]
            #[test]
            fn the_impossible_is_refused() {
                on_raw(|raw| served::the_impossible_is_refused(OnHeap::<Tested, _>::new(raw)));
            }

            #[test]
            fn exhaustion_is_an_error_and_recovers() {
                let raw = Checked::new(SystemRaw).with_budget($budget);
                served::exhaustion_is_an_error_and_recovers(OnHeap::<Tested, _>::new(&raw));
                assert_eq!(raw.live(), (0, 0), "everything is back");
            }

            #[test]
            fn random_sequences() {
                on_raw(|raw| served::random_sequences(|| OnHeap::<Tested, _>::new(raw)));
            }

            #[test]
            fn random_sequences_swept() {
                on_raw(heap::random_sequences_swept::<Tested, _>);
            }

            #[test]
            fn sweeping_returns_everything() {
                on_raw(heap::sweeping_returns_everything::<Tested, _>);
            }

            #[test]
            fn trimming_returns_what_is_kept() {
                on_raw(heap::trimming_returns_what_is_kept::<Tested, _>);
            }

            #[test]
            fn dropping_frees_nothing_live() {
                on_raw(heap::dropping_frees_nothing_live::<Tested, _>);
            }

            #[test]
            fn moves_to_another_thread() {
                on_raw(heap::moves_to_another_thread::<Tested, _>);
            }

            #[test]
            fn the_nth_failure_leaves_the_heap_whole() {
                on_raw(heap::the_nth_failure_leaves_the_heap_whole::<Tested, _>);
            }

            #[test]
            fn lies_are_not_believed() {
                on_raw(heap::lies_are_not_believed::<Tested, _>);
            }
        }
    };
}

suite!(usual, 65_536, UsualHeap);
suite!(small, 10_000, SmallHeap);
suite!(one_kept, 20_000, SlabHeap<4096, 4096>);
// What tests elsewhere stand on passes too.
suite!(direct, 10_000, DirectHeap);

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// Nothing is taken before the first request, which takes one short page.
#[test]
fn it_begins_small() {
    let raw = Checked::new(SystemRaw);
    let mut model = Model::new(OnHeap::<SlabHeap<16384, 0>, _>::new(&raw));
    assert_eq!(raw.live(), (0, 0));
    model.allocate(layout(100)).expect("room for it");
    let (blocks, bytes) = raw.live();
    assert_eq!(blocks, 2, "a short page and a table");
    assert!(bytes < 4096 + 1024);
    model.clear();
}

/// What was needed lately is kept, and goes back when nobody needed it for a while.
#[test]
#[cfg_attr(miri, ignore = "thousands of rounds, and no line of unsafe code that the suite leaves out")]
fn what_is_kept_goes_back_when_nobody_needs_it() {
    let raw = Checked::new(SystemRaw);
    let mut model = Model::new(OnHeap::<SlabHeap<4096, { 1 << 20 }>, _>::new(&raw));
    for _ in 0..2000 {
        model.allocate(layout(512)).expect("room for it");
    }
    let most = raw.live().1;
    model.clear();
    assert!(raw.live().1 > most / 2, "kept for the next time");
    for _ in 0..3000 {
        for _ in 0..16 {
            model.allocate(layout(512)).expect("room for it");
        }
        model.clear();
    }
    assert!(raw.live().1 < most / 8, "{} of {most}", raw.live().1);
}

/// A write into a freed block is seen.
#[test]
fn a_broken_link_is_seen() {
    use archipelago_kernel::{
        host::{Heap, HeapState},
        memory::RawDomain,
    };
    let (mut heap, raw) = (SlabHeap::<4096, 0>::new(), RawDomain::new(&SystemRaw));
    let block = heap.allocate(raw, layout(48)).expect("room for it").cast::<usize>();
    assert_eq!(Heap::<SystemRaw>::inspect(&heap), HeapState::Sound { blocks: 1 });
    // SAFETY: the block was returned for this layout. What is written afterwards lies in memory that is the heap's
    // still, and the heap is not used but for looking at itself and for its sweep.
    unsafe {
        heap.deallocate(raw, block.cast(), layout(48));
        assert_eq!(Heap::<SystemRaw>::inspect(&heap), HeapState::Sound { blocks: 0 });
        block.write(0x1000);
        assert!(matches!(Heap::<SystemRaw>::inspect(&heap), HeapState::Broken(_)));
        heap.sweep(raw);
    }
}
