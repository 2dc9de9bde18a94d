//! The only place that names atomics: `core`'s, `portable_atomic`'s, loom's or Shuttle's, chosen
//! once.
//!
//! `Cell` stands here too: what a lock, a GIL or a phase protects lies in one, and loom's tells every access that
//! nothing orders.

#[cfg(not(any(
    archipelago_loom,
    archipelago_shuttle,
    feature = "portable-atomic",
    target_has_atomic = "ptr"
)))]
compile_error!(
    "this target has no compare-and-swap: switch on the feature `portable-atomic` of archipelago-kernel (docs/porting)"
);

#[cfg(archipelago_loom)]
pub(crate) use loom::{
    cell::Cell,
    hint::spin_loop,
    sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence},
};

#[cfg(archipelago_shuttle)]
pub(crate) use {
    core::cell::Cell,
    shuttle::{
        hint::spin_loop,
        sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence},
    },
};

#[cfg(all(
    not(any(archipelago_loom, archipelago_shuttle, feature = "portable-atomic")),
    target_has_atomic = "ptr"
))]
pub(crate) use core::{
    cell::Cell,
    hint::spin_loop,
    sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence},
};

#[cfg(all(not(any(archipelago_loom, archipelago_shuttle)), feature = "portable-atomic"))]
pub(crate) use {
    core::{cell::Cell, hint::spin_loop},
    portable_atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence},
};

/// Numbers that one writer at a time keeps and others only look at: relaxed, and no protocol depends on them. So
/// under loom and Shuttle they are `core`'s, and neither branches at them.
pub(crate) mod tally {
    #[cfg(not(any(archipelago_loom, archipelago_shuttle)))]
    pub(crate) use super::{AtomicU8, AtomicU32, AtomicUsize};
    #[cfg(any(archipelago_loom, archipelago_shuttle))]
    pub(crate) use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize};
}

mod lock;
pub(crate) use lock::{Lock, assert_outside, slot_word};
