//! The suite on `BlockHeap`: with its usual cache, without one, and with one that is always full.
#![allow(unsafe_code)]

use core::alloc::Layout;

use archipelago_alloc_blocks::BlockHeap;
use archipelago_alloc_suite::{Checked, Model, OnHeap, heap, served};
use archipelago_alloc_system::SystemRaw;

macro_rules! suite {
    ($module:ident, $cache:literal) => {
        mod $module {
            use super::*;

            type Tested = BlockHeap<$cache>;

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
                let raw = Checked::new(SystemRaw).with_budget(10_000);
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

suite!(usual_cache, 8192);
suite!(no_cache, 0);
suite!(full_cache, 200);

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

#[test]
fn freed_blocks_serve_their_size_class_again() {
    // First and second size, and how many blocks of the raw domain they took.
    for (first, second, taken) in
        [(1, 16, 1), (17, 32, 1), (16, 17, 2), (497, 512, 1), (512, 513, 2), (513, 513, 1)]
    {
        let raw = Checked::new(SystemRaw);
        let mut model = Model::new(OnHeap::<BlockHeap, _>::new(&raw));
        let address = model.allocate(layout(first)).unwrap();
        model.deallocate(address);
        model.allocate(layout(second)).unwrap();
        // Above the largest class the first one went back.
        assert_eq!(raw.live().0, taken, "{first} then {second}");
    }
}

#[test]
fn the_cache_is_bounded() {
    let raw = Checked::new(SystemRaw);
    let mut model = Model::new(OnHeap::<BlockHeap<1000>, _>::new(&raw));
    for _ in 0..100 {
        model.allocate(layout(100)).unwrap();
    }
    model.clear();
    let cached = model.subject().heap().cached();
    assert!(cached > 0 && cached <= 1000);
    assert_eq!(raw.live().1, cached);
    for _ in 0..5 {
        model.allocate(layout(100)).unwrap();
    }
    // What was taken from the cache makes room in it again.
    model.clear();
    assert_eq!((model.subject().heap().cached(), raw.live().1), (cached, cached));
}

#[test]
fn resizing_within_a_size_class_succeeds() {
    let raw = Checked::new(SystemRaw);
    let mut model = Model::new(OnHeap::<BlockHeap, _>::new(&raw));
    let address = model.allocate(layout(33)).unwrap();
    assert!(model.resize(address, 48).is_ok());
    assert!(model.resize(address, 49).is_err());
    let (mut heap, expected) = model.abandon();
    assert_eq!((expected.blocks, expected.bytes), (1, 48));
    // SAFETY: the model forgot the block.
    assert_eq!(unsafe { heap.sweep() }, expected, "the sweep counts the size it was resized to");
}
