//! Any raw mutex of `lock_api` 0.5.
#![allow(unsafe_code)]

use core::time::Duration;

use archipelago_kernel::host::{RawGilFair, RawGilTimed};
use lock_api_05::{RawMutex, RawMutexFair, RawMutexTimed};

/// A raw mutex of `lock_api` 0.5 as a lock and as a GIL. What an acquisition returns is the mutex's guard
/// state.
pub struct FromLockApi05<R>(R);

impl<R: RawMutex> FromLockApi05<R> {
    /// A free lock.
    pub const fn new_const() -> Self {
        FromLockApi05(R::INIT)
    }
}

// Proof of the contract: `RawMutex` promises exclusion, acquire and release. `held` is the state of the
// acquisition that is given up, which is what `unlock` asks for, and it stays on its thread. It promises that a
// mutex may be moved, too.
lock_and_gil!([R: RawMutex + Send + Sync + 'static] FromLockApi05<R>: {
    type Held = R::Guard;

    fn new() -> Self {
        Self::new_const()
    }

    fn lock(&self) -> R::Guard {
        self.0.lock()
    }

    fn try_lock(&self) -> Option<R::Guard> {
        self.0.try_lock()
    }

    unsafe fn unlock(&self, held: R::Guard) {
        // SAFETY: `held` comes from this lock, and this thread acquired it.
        unsafe { self.0.unlock(held) }
    }
});

// SAFETY: `try_lock_for` answers `Some` only with the mutex locked (contract of `RawMutexTimed`).
unsafe impl<R> RawGilTimed for FromLockApi05<R>
where
    R: RawMutexTimed<Duration = Duration> + Send + Sync + 'static,
{
    fn lock_for(&self, patience: Duration) -> Option<R::Guard> {
        self.0.try_lock_for(patience)
    }
}

// SAFETY: as for `RawGil`; `unlock_fair` hands over to a waiter if there is one.
unsafe impl<R: RawMutexFair + Send + Sync + 'static> RawGilFair for FromLockApi05<R> {
    unsafe fn unlock_fair(&self, held: R::Guard) {
        // SAFETY: `held` comes from this lock, and this thread acquired it.
        unsafe { self.0.unlock_fair(held) }
    }
}
