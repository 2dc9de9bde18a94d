//! Locks on the `critical-section` crate: for single cores, and wherever the image has an implementation
//! that excludes other cores too.
#![allow(unsafe_code)]

use core::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, Ordering},
};

use archipelago_kernel::host::{RawGil, RawLock};
use critical_section::RestoreState;

/// Holds the critical section while it is held: for the short sections of the runtime.
///
/// Sections nest, so a flag tells a second acquisition of the same lock from one of another lock.
pub struct CsLock {
    /// Read and written inside the critical section only.
    held: AtomicBool,
}

impl CsLock {
    /// A free lock.
    pub const fn new_const() -> Self {
        CsLock { held: AtomicBool::new(false) }
    }
}

// SAFETY: two acquisitions exclude each other: on another thread or core, or in an interrupt handler, by the
// critical section, which is held from `try_lock` to `unlock`; on the same thread, inside that section, by the
// flag. Releasing the section and acquiring the next one orders what was written (contract of `acquire`).
unsafe impl RawLock for CsLock {
    type Held = RestoreState;

    fn new() -> Self {
        Self::new_const()
    }

    fn lock(&self) -> RestoreState {
        loop {
            if let Some(held) = self.try_lock() {
                return held;
            }
            // Only a thread that holds this lock already comes here, and it waits for itself, as with every
            // lock that does not nest.
            spin_loop();
        }
    }

    fn try_lock(&self) -> Option<RestoreState> {
        // SAFETY: released below or in `unlock`, on this thread; acquisitions of short locks are released
        // last in first out (contract of `RawLock::unlock`), so the pairs nest properly.
        let restore = unsafe { critical_section::acquire() };
        if self.held.load(Ordering::Relaxed) {
            // SAFETY: pairs with the `acquire` above; nothing was acquired in between.
            unsafe { critical_section::release(restore) };
            return None;
        }
        self.held.store(true, Ordering::Relaxed);
        Some(restore)
    }

    unsafe fn unlock(&self, held: RestoreState) {
        self.held.store(false, Ordering::Relaxed);
        // SAFETY: `held` comes from the `acquire` in `try_lock` of this lock on this thread, and what was
        // acquired later is released already (contract of `RawLock::unlock`).
        unsafe { critical_section::release(held) }
    }
}

/// A flag that is changed inside short critical sections: interrupts are enabled while the GIL is held and
/// while a thread waits for it.
pub struct CsGil {
    /// Written inside the critical section only.
    held: AtomicBool,
}

impl CsGil {
    /// A free GIL.
    pub const fn new_const() -> Self {
        CsGil { held: AtomicBool::new(false) }
    }
}

// SAFETY: the flag goes from false to true inside one critical section, so one acquisition sees it false until
// `unlock` clears it. The section of `unlock` ends before the section of the next acquisition begins, which
// orders what was written (contract of `acquire`).
unsafe impl RawGil for CsGil {
    type Held = ();

    fn new() -> Self {
        Self::new_const()
    }

    fn lock(&self) {
        while self.try_lock().is_none() {
            // Looking is enough here; masking interrupts in a loop would delay the handler that lets go.
            while self.held.load(Ordering::Relaxed) {
                spin_loop();
            }
        }
    }

    fn try_lock(&self) -> Option<()> {
        critical_section::with(|_| {
            let free = !self.held.load(Ordering::Relaxed);
            self.held.store(true, Ordering::Relaxed);
            free.then_some(())
        })
    }

    unsafe fn unlock(&self, (): ()) {
        critical_section::with(|_| self.held.store(false, Ordering::Relaxed));
    }
}
