//! A raw domain with a hook in front of it.

#![allow(unsafe_code)]

use core::{alloc::Layout, cell::UnsafeCell, ops::Range, ptr::NonNull};

use archipelago_kernel::{
    host::{Exhausted, RawAlloc, RawLock},
    memory::{AllocCause, RawDomain},
};

use crate::Hook;

/// The raw domain `R` with the hook `K` in front of it, behind the lock `L`.
pub struct HookedRaw<R: RawAlloc, L: RawLock, K: Hook> {
    inner: R,
    lock: L,
    hook: UnsafeCell<K>,
}

// SAFETY: [W1] the hook is reached through `with` only, which holds the lock; it is `Send`.
unsafe impl<R: RawAlloc, L: RawLock, K: Hook> Sync for HookedRaw<R, L, K> {}

impl<R: RawAlloc, L: RawLock, K: Hook> HookedRaw<R, L, K> {
    /// `hook` in front of `inner`.
    pub const fn new(inner: R, lock: L, hook: K) -> Self {
        HookedRaw { inner, lock, hook: UnsafeCell::new(hook) }
    }

    /// The raw domain below.
    pub const fn inner(&self) -> &R {
        &self.inner
    }

    /// Looks at the hook, with the lock held: `f` must not use this raw domain.
    pub fn with_hook<T>(&self, f: impl FnOnce(&K) -> T) -> T {
        self.with(|hook, _| f(hook))
    }

    /// Gives back what the hook keeps for later.
    pub fn trim(&self) {
        // SAFETY: every call gets this domain.
        self.with(|hook, mut below| unsafe { hook.trim(&mut below) });
    }

    fn with<T>(&self, f: impl FnOnce(&mut K, RawDomain<'_, R>) -> T) -> T {
        // SAFETY: [W1] the lock is held while `f` runs, which does not come back here and leaves none locked.
        unsafe { self.lock.with(|| f(&mut *self.hook.get(), RawDomain::new(&self.inner))) }
    }
}

impl<R: RawAlloc, L: RawLock, K: Hook> Drop for HookedRaw<R, L, K> {
    fn drop(&mut self) {
        self.trim();
    }
}

fn exhausted(_: AllocCause) -> Exhausted {
    Exhausted
}

// SAFETY: the hook answers blocks as an allocator does, out of what it takes from the raw domain below (contract of
// `Hook`), whose blocks stay when it moves. Every access holds the lock.
unsafe impl<R: RawAlloc, L: RawLock, K: Hook> RawAlloc for HookedRaw<R, L, K> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        self.with(|hook, mut below| hook.allocate(&mut below, layout, None)).map_err(exhausted)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        self.with(|hook, mut below| unsafe { hook.deallocate(&mut below, block, layout, None) });
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        // SAFETY: passed on.
        self.with(|hook, mut below| unsafe { hook.resize(&mut below, block, old, new) }).map_err(exhausted)
    }

    fn region(&self) -> Option<Range<usize>> {
        self.inner.region()
    }
}
