#![doc = include_str!("../README.md")]

pub mod basic;
pub mod fair;
mod subject;
pub mod timed;

pub use subject::{AsGil, AsLock, Basic};

/// `tier!(module: Type; basic)`, `... ; other_thread`, `... ; timed`, `... ; fair`, `... ; places`: the tests of one tier.
#[macro_export]
macro_rules! tier {
    ($module:ident: $type:ty; basic) => {
        $crate::tier!(@ $module, $type, basic: excludes_four_threads, refuses_a_second_try, publishes_what_was_written,
            survives_an_unwinding_holder, nests_with_another, works_where_it_was_moved_to);
    };
    ($module:ident: $type:ty; other_thread) => {
        $crate::tier!(@ $module, $type, basic: refuses_another_threads_try);
    };
    ($module:ident: $type:ty; timed) => {
        $crate::tier!(@ $module, $type, timed: gives_up, takes_a_free_one, takes_one_that_is_freed,
            excludes_four_threads, excludes_four_that_ask);
    };
    ($module:ident: $type:ty; places) => {
        $crate::tier!(@ $module, $type, timed: keeps_places);
    };
    ($module:ident: $type:ty; fair) => {
        $crate::tier!(@ $module, $type, fair: releases, serves_a_blocked_waiter_first, excludes_four_threads);
    };
    (@ $module:ident, $type:ty, $tier:ident: $($test:ident),+) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $test() {
                    $crate::$tier::$test::<$type>();
                }
            )+
        }
    };
}

/// Rounds that take some milliseconds natively and some seconds in Miri.
pub(crate) const fn rounds(native: usize) -> usize {
    if cfg!(miri) { native / 100 + 2 } else { native }
}
