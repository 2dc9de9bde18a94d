//! Any raw mutex of `lock_api` 0.4.
#![allow(unsafe_code)]

use core::time::Duration;

use archipelago_kernel::host::{RawGilFair, RawGilTimed};
use lock_api_04::{RawMutex, RawMutexFair, RawMutexTimed};

/// A raw mutex of `lock_api` 0.4 as a lock and as a GIL.
pub struct FromLockApi04<R>(R);

impl<R: RawMutex> FromLockApi04<R> {
    /// A free lock.
    pub const fn new_const() -> Self {
        FromLockApi04(R::INIT)
    }
}

// Proof of the contract: `RawMutex` promises exclusion, and `lock_api`'s own `Mutex<R, T>: Sync` rests on its
// acquire and release. `held` is proof that this thread locked it, which is what `unlock` asks for; that the
// same thread unlocks holds for mutexes whose guard is not `Send`, too. Nothing borrows a mutex that is free
// and moved, so an implementation must bear it, as `Mutex<R, T>` may be moved.
lock_and_gil!([R: RawMutex + Send + Sync + 'static] FromLockApi04<R>: {
    type Held = ();

    fn new() -> Self {
        Self::new_const()
    }

    fn lock(&self) {
        self.0.lock();
    }

    fn try_lock(&self) -> Option<()> {
        self.0.try_lock().then_some(())
    }

    unsafe fn unlock(&self, (): ()) {
        // SAFETY: `held` comes from this lock, and this thread acquired it.
        unsafe { self.0.unlock() }
    }
});

// SAFETY: `try_lock_for` answers true only with the mutex locked (contract of `RawMutexTimed`).
unsafe impl<R> RawGilTimed for FromLockApi04<R>
where
    R: RawMutexTimed<Duration = Duration> + Send + Sync + 'static,
{
    fn lock_for(&self, patience: Duration) -> Option<()> {
        self.0.try_lock_for(patience).then_some(())
    }
}

// SAFETY: as for `RawGil`; `unlock_fair` hands over to a waiter if there is one.
unsafe impl<R: RawMutexFair + Send + Sync + 'static> RawGilFair for FromLockApi04<R> {
    unsafe fn unlock_fair(&self, (): ()) {
        // SAFETY: `held` comes from this lock, and this thread acquired it.
        unsafe { self.0.unlock_fair() }
    }
}
