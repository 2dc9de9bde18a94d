//! Locks: the raw traits. One small trait, and one extension trait per capability.
//!
//! They have `fn new()` instead of a constant because loom's atomics cannot be made in a const. An
//! acquisition returns [`RawLock::Held`], which carries what the release needs: a guard of `lock_api` 0.5,
//! the restore state of a critical section, or nothing.
#![allow(unsafe_code)]

use core::time::Duration;

/// A lock for short critical sections of the runtime.
///
/// # Safety
/// * Between a return of `lock` (or `Some` from `try_lock`) and the matching `unlock` no other such call on
///   the same value returns.
/// * What was written before `unlock` is visible after the next acquisition.
/// * A lock that is free may be moved.
pub unsafe trait RawLock: Send + Sync + 'static {
    /// What an acquisition returns and its release needs.
    type Held;

    /// A free lock.
    fn new() -> Self;

    /// Blocks until the lock is held.
    fn lock(&self) -> Self::Held;

    /// Takes the lock if it is free.
    fn try_lock(&self) -> Option<Self::Held>;

    /// Lets the lock go.
    ///
    /// # Safety
    /// `held` comes from this lock, the caller is the thread that acquired it, and the short locks it acquired
    /// later are released: last in, first out, because critical sections nest.
    unsafe fn unlock(&self, held: Self::Held);

    /// Runs `f` with the lock held, and lets it go also where `f` panics.
    ///
    /// # Safety
    /// `f` does not take this lock, and releases the short locks that it takes.
    #[inline]
    unsafe fn with<R>(&self, f: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        // SAFETY: `held` comes from this lock, on this thread; the rest is passed on.
        unsafe { run_held(self, self.lock(), f) }
    }
}

/// Runs `f`, and lets the lock go then, also where `f` panics.
///
/// # Safety
/// `held` comes from `lock`, on this thread; `f` as for [`RawLock::with`].
#[inline]
pub(crate) unsafe fn run_held<L: RawLock, R>(lock: &L, held: L::Held, f: impl FnOnce() -> R) -> R {
    struct Release<'a, L: RawLock>(&'a L, Option<L::Held>);
    impl<L: RawLock> Drop for Release<'_, L> {
        fn drop(&mut self) {
            if let Some(held) = self.1.take() {
                // SAFETY: passed on; what `f` took later is released.
                unsafe { self.0.unlock(held) }
            }
        }
    }
    let _release = Release(lock, Some(held));
    f()
}

/// The lock of an interpreter, held while guest code runs: for milliseconds, with interrupts enabled.
///
/// # Safety
/// As for [`RawLock`].
pub unsafe trait RawGil: Send + Sync + 'static {
    /// What an acquisition returns and its release needs.
    type Held;

    /// A free GIL.
    fn new() -> Self;

    /// Blocks until the GIL is held.
    fn lock(&self) -> Self::Held;

    /// Takes the GIL if it is free.
    fn try_lock(&self) -> Option<Self::Held>;

    /// Lets the GIL go. Whoever is running may take it.
    ///
    /// # Safety
    /// `held` comes from this GIL, and the caller is the thread that acquired it.
    unsafe fn unlock(&self, held: Self::Held);
}

/// A GIL that can be waited for with a time limit.
///
/// # Safety
/// As for [`RawGil`]: `Some` means held.
pub unsafe trait RawGilTimed: RawGil {
    /// Waits for at most about `patience`.
    fn lock_for(&self, patience: Duration) -> Option<Self::Held>;

    /// Blocks until the GIL is held, and asks for it meanwhile: calls `next` before it sleeps, and again whenever what that
    /// answered has passed. `next` is short, does not unwind, and may be called any number of times.
    ///
    /// A lock with a queue keeps the caller's place in it. As it is provided here the caller may lose it each time, and then
    /// nothing bounds how long it waits behind others.
    fn lock_asking(&self, next: &mut dyn FnMut() -> Duration) -> Self::Held {
        loop {
            if let Some(held) = self.lock_for(next()) {
                return held;
            }
        }
    }
}

/// A GIL that can be handed to a waiting thread directly.
///
/// # Safety
/// As for [`RawGil`].
pub unsafe trait RawGilFair: RawGil {
    /// Lets the GIL go; if a thread is blocked in an acquisition it gets the GIL before any thread that asks
    /// later.
    ///
    /// # Safety
    /// As for [`RawGil::unlock`].
    unsafe fn unlock_fair(&self, held: Self::Held);
}
