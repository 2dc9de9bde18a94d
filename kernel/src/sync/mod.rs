//! The only place that names atomics: `core`'s, `portable_atomic`'s or loom's, chosen once.

#[cfg(archipelago_loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence},
};

#[cfg(all(not(archipelago_loom), not(feature = "portable-atomic")))]
pub(crate) use core::{
    hint::spin_loop,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence},
};

#[cfg(all(not(archipelago_loom), feature = "portable-atomic"))]
pub(crate) use {
    core::hint::spin_loop,
    portable_atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence},
};

mod lock;
pub(crate) use lock::Lock;
