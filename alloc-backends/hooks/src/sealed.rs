//! A value that may be exchanged until somebody relies on it.

#![allow(unsafe_code)]

use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering},
};

use archipelago_kernel::host::RawLock;

/// Invariant \[W5\]: the value is written under the lock and before the seal only; without the lock it is read behind the
/// seal only.
pub(crate) struct Sealed<L, T> {
    lock: L,
    sealed: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: [W5].
unsafe impl<L: RawLock, T: Copy + Send + Sync> Sync for Sealed<L, T> {}

impl<L: RawLock, T: Copy> Sealed<L, T> {
    pub(crate) const fn new(lock: L, value: T) -> Self {
        Sealed { lock, sealed: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value as it is now.
    pub(crate) fn get(&self) -> T {
        // SAFETY: [W5] the lock is held.
        self.with(|value| unsafe { *value })
    }

    /// Exchanges the value; false if it is sealed.
    pub(crate) fn exchange(&self, change: impl FnOnce(T) -> T) -> bool {
        self.with(|value| {
            let open = !self.sealed.load(Ordering::Relaxed);
            if open {
                // SAFETY: [W5] the lock is held, and the seal not set.
                unsafe { *value = change(*value) };
            }
            open
        })
    }

    /// The value, which stays from now on.
    #[inline]
    pub(crate) fn seal(&self) -> T {
        if !self.sealed.load(Ordering::Acquire) {
            self.with(|_| self.sealed.store(true, Ordering::Release));
        }
        // SAFETY: [W5] the seal is set, so nobody writes.
        unsafe { *self.value.get() }
    }

    fn with<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        // SAFETY: `f` is ours, does not come back here and leaves none locked.
        unsafe { self.lock.with(|| f(self.value.get())) }
    }
}
