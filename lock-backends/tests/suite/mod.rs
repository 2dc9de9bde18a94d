//! The suite that every lock passes, in tiers (SPEC G2). `tier!` instantiates one tier for one type.
#![allow(unsafe_code)]
// A test file uses the tiers that its backend has.
#![allow(dead_code, unused_imports, unused_macros)]

pub mod basic;
pub mod fair;
pub mod timed;

use archipelago_kernel::host::{RawGil, RawLock};

/// What the basic tier needs; the two raw traits are alike but different.
///
/// # Safety
/// As for [`RawLock`].
pub unsafe trait Basic: Send + Sync + 'static {
    type Held;
    fn new() -> Self;
    fn lock(&self) -> Self::Held;
    fn try_lock(&self) -> Option<Self::Held>;
    /// # Safety
    /// As for [`RawLock::unlock`].
    unsafe fn unlock(&self, held: Self::Held);
}

pub struct AsLock<L>(pub L);
pub struct AsGil<G>(pub G);

macro_rules! basic {
    ($wrapper:ident, $raw:ident) => {
        // SAFETY: forwards to a type with the same contract.
        unsafe impl<T: $raw> Basic for $wrapper<T> {
            type Held = T::Held;

            fn new() -> Self {
                $wrapper(T::new())
            }

            fn lock(&self) -> T::Held {
                self.0.lock()
            }

            fn try_lock(&self) -> Option<T::Held> {
                self.0.try_lock()
            }

            unsafe fn unlock(&self, held: T::Held) {
                // SAFETY: passed on from the caller.
                unsafe { self.0.unlock(held) }
            }
        }
    };
}

basic!(AsLock, RawLock);
basic!(AsGil, RawGil);

/// `tier!(module: Type; basic)`, `... ; other_thread`, `... ; timed`, `... ; fair`: the tests of one tier.
macro_rules! tier {
    ($module:ident: $type:ty; basic) => {
        tier!(@ $module, $type, basic: excludes_four_threads, refuses_a_second_try, publishes_what_was_written,
            survives_an_unwinding_holder, nests_with_another, works_where_it_was_moved_to);
    };
    ($module:ident: $type:ty; other_thread) => {
        tier!(@ $module, $type, basic: refuses_another_threads_try);
    };
    ($module:ident: $type:ty; timed) => {
        tier!(@ $module, $type, timed: gives_up, takes_a_free_one, takes_one_that_is_freed,
            excludes_four_threads);
    };
    ($module:ident: $type:ty; fair) => {
        tier!(@ $module, $type, fair: releases, serves_a_blocked_waiter_first, excludes_four_threads);
    };
    (@ $module:ident, $type:ty, $tier:ident: $($test:ident),+) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $test() {
                    $crate::suite::$tier::$test::<$type>();
                }
            )+
        }
    };
}
pub(crate) use tier;

/// Rounds that take some milliseconds natively and some seconds in Miri.
pub const fn rounds(native: usize) -> usize {
    if cfg!(miri) { native / 100 + 2 } else { native }
}
