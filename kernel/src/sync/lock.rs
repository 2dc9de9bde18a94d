//! A short lock around data, with the lock order asserted in debug builds.
#![allow(unsafe_code)]

use crate::host::RawLock;
#[cfg(debug_assertions)]
use crate::sync::{Ordering, tally};

#[cfg(not(archipelago_loom))]
use core::cell::UnsafeCell;
#[cfg(archipelago_loom)]
use loom::cell::UnsafeCell;

/// The runtime's lock and what it protects.
///
/// Lock order (SPEC R8, docs/soundness/locks.md): a GIL, then this lock, then whatever a backend locks
/// inside. So no GIL is taken, no memory is allocated and nothing of the host but `Wake::wake` is called
/// under it.
pub(crate) struct Lock<L: RawLock, T> {
    raw: L,
    data: UnsafeCell<T>,
    /// `thread_id + 1` of the thread inside, 0 when free.
    #[cfg(debug_assertions)]
    inside: tally::AtomicUsize,
}

// SAFETY: the raw lock admits one thread at a time to `data` (contract of `RawLock`), so `T: Send` is enough.
unsafe impl<L: RawLock, T: Send> Sync for Lock<L, T> {}

impl<L: RawLock, T> Lock<L, T> {
    const_unless_loom! {
        pub(crate) const fn new(raw: L, data: T) -> Self {
            Lock { raw, data: UnsafeCell::new(data), #[cfg(debug_assertions)] inside: tally::AtomicUsize::new(0) }
        }
    }

    /// Runs `f` on the data. `me` is the host's identity of this thread.
    pub(crate) fn with<R>(&self, me: impl Fn() -> usize, f: impl FnOnce(&mut T) -> R) -> R {
        self.assert_outside(&me);
        let held = self.raw.lock();
        self.run(me, held, f)
    }

    /// As [`with`](Self::with), or `None` where the lock is not free: for interrupt handlers.
    pub(crate) fn try_with<R>(&self, me: impl Fn() -> usize, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let held = self.raw.try_lock()?;
        Some(self.run(me, held, f))
    }

    fn run<R>(&self, me: impl Fn() -> usize, held: L::Held, f: impl FnOnce(&mut T) -> R) -> R {
        struct Release<'a, L: RawLock, T>(&'a Lock<L, T>, Option<L::Held>);
        impl<L: RawLock, T> Drop for Release<'_, L, T> {
            fn drop(&mut self) {
                #[cfg(debug_assertions)]
                self.0.inside.store(0, Ordering::Relaxed);
                if let Some(held) = self.1.take() {
                    // SAFETY: `held` comes from the acquisition in `with` or `try_with` on this thread.
                    unsafe { self.0.raw.unlock(held) }
                }
            }
        }
        let release = Release(self, Some(held));
        self.mark(&me);
        // SAFETY: the raw lock is held until `release` drops, so this is the only access.
        let answer = unsafe { self.access(f) };
        drop(release);
        answer
    }

    #[cfg(not(archipelago_loom))]
    unsafe fn access<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the caller holds the lock.
        f(unsafe { &mut *self.data.get() })
    }

    #[cfg(archipelago_loom)]
    unsafe fn access<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the caller holds the lock; loom checks it.
        self.data.with_mut(|data| f(unsafe { &mut *data }))
    }

    /// For the owner of the lock, who needs no locking.
    #[cfg(not(archipelago_loom))]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    /// For the owner of the lock, who needs no locking.
    #[cfg(archipelago_loom)]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` excludes every other access.
        self.data.with_mut(|data| unsafe { &mut *data })
    }

    #[cfg(debug_assertions)]
    fn mark(&self, me: &impl Fn() -> usize) {
        self.inside.store(me().wrapping_add(1), Ordering::Relaxed);
    }

    #[cfg(not(debug_assertions))]
    fn mark(&self, _: &impl Fn() -> usize) {}

    /// A thread inside this lock must not take it again, nor a GIL.
    #[cfg(debug_assertions)]
    pub(crate) fn assert_outside(&self, me: &impl Fn() -> usize) {
        debug_assert!(
            self.inside.load(Ordering::Relaxed) != me().wrapping_add(1),
            "lock order: a GIL or the runtime's lock was asked for inside the runtime's lock"
        );
    }

    /// A thread inside this lock must not take it again, nor a GIL.
    #[cfg(not(debug_assertions))]
    pub(crate) fn assert_outside(&self, _: &impl Fn() -> usize) {}
}
