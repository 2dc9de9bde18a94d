//! The tests of a heap, spelled out once.

/// All tests of heaps, for each heap in a module of its own: `heap_suite! { many on Raw; module: Heap, budget; }`.
///
/// `many` is for heaps, `few` for wrappers of heaps that passed the many: fewer random sequences, and not every size in
/// Miri. The budget is how many bytes the raw domain has where it is to run out.
#[macro_export]
macro_rules! heap_suite {
    ($amount:ident on $raw:ident; $($module:ident: $tested:ty, $budget:literal;)+) => { $(
        mod $module {
            use super::*;
            use $crate::{Checked, OnHeap, heap, served};

            type Tested = $tested;

            /// Runs `test` on a raw domain and checks that all came back.
            fn on_raw(test: impl FnOnce(&Checked<$raw>)) {
                let raw = Checked::new($raw);
                test(&raw);
                assert_eq!(raw.live(), (0, 0), "everything is back");
            }

            #[test]
            fn serves() {
                on_raw(|raw| served::every_alignment(OnHeap::<Tested, _>::new(raw)));
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
                let raw = Checked::new($raw).with_budget($budget);
                served::exhaustion_is_an_error_and_recovers(OnHeap::<Tested, _>::new(&raw));
                assert_eq!(raw.live(), (0, 0), "everything is back");
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

            $crate::heap_suite!(@ $amount);
        }
    )+ };
    (@ many) => {
        #[test]
        fn every_size() {
            on_raw(|raw| served::every_size(OnHeap::<Tested, _>::new(raw)));
        }

        #[test]
        fn random_sequences() {
            on_raw(|raw| served::random_sequences(|| OnHeap::<Tested, _>::new(raw)));
        }

        #[test]
        fn random_sequences_swept() {
            on_raw(heap::random_sequences_swept::<Tested, _>);
        }
    };
    (@ few) => {
        // Sizes are many.
        #[cfg_attr(miri, ignore)]
        #[test]
        fn every_size() {
            on_raw(|raw| served::every_size(OnHeap::<Tested, _>::new(raw)));
        }

        #[test]
        fn random_sequences_swept() {
            on_raw(heap::few_random_sequences_swept::<Tested, _>);
        }
    };
}
