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
