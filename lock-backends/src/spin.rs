//! The mutexes of the `spin` crate.
#![allow(unsafe_code)]

use core::mem;

use archipelago_kernel::host::RawGilFair;
use spin::{
    RelaxStrategy, Spin,
    mutex::{SpinMutex, TicketMutex},
};

/// Spins until the lock is free; who gets it is up to the hardware. `R` says what it does meanwhile.
pub struct SpinLock<R = Spin>(SpinMutex<(), R>);

/// Spins until its turn has come: first come, first served. `R` says what it does meanwhile.
pub struct TicketLock<R = Spin>(TicketMutex<(), R>);

impl SpinLock {
    /// A free lock.
    pub const fn new_const() -> Self {
        Self::relaxing()
    }
}

impl<R> SpinLock<R> {
    /// A free lock that waits in the way of `R`.
    pub const fn relaxing() -> Self {
        SpinLock(SpinMutex::new(()))
    }
}

impl TicketLock {
    /// A free lock.
    pub const fn new_const() -> Self {
        Self::relaxing()
    }
}

impl<R> TicketLock<R> {
    /// A free lock that waits in the way of `R`.
    pub const fn relaxing() -> Self {
        TicketLock(TicketMutex::new(()))
    }
}

// Proof of the contract: a `SpinMutex` has at most one guard, taking it acquires and `force_unlock` releases
// the same atomic flag. A guard that is forgotten stays taken until `force_unlock`. The flag may be moved.
lock_and_gil!([R: RelaxStrategy + 'static] SpinLock<R>: {
    type Held = ();

    fn new() -> Self {
        Self::relaxing()
    }

    fn lock(&self) {
        mem::forget(self.0.lock());
    }

    fn try_lock(&self) -> Option<()> {
        self.0.try_lock().map(mem::forget)
    }

    unsafe fn unlock(&self, (): ()) {
        // SAFETY: `held` comes from this lock, so its one guard was forgotten by this thread.
        unsafe { self.0.force_unlock() }
    }
});

// Proof of the contract: a `TicketMutex` serves one ticket at a time; a forgotten guard is served until
// `force_unlock`, which releases what the next acquisition acquires. The two counters may be moved.
lock_and_gil!([R: RelaxStrategy + 'static] TicketLock<R>: {
    type Held = ();

    fn new() -> Self {
        Self::relaxing()
    }

    fn lock(&self) {
        mem::forget(self.0.lock());
    }

    fn try_lock(&self) -> Option<()> {
        self.0.try_lock().map(mem::forget)
    }

    unsafe fn unlock(&self, (): ()) {
        // SAFETY: `held` comes from this lock, so its ticket is the one that is served.
        unsafe { self.0.force_unlock() }
    }
});

// SAFETY: as for `RawGil`. A blocked thread holds a ticket that is served before any later one.
unsafe impl<R: RelaxStrategy + 'static> RawGilFair for TicketLock<R> {
    unsafe fn unlock_fair(&self, (): ()) {
        // SAFETY: `held` comes from this lock, so its ticket is the one that is served.
        unsafe { self.0.force_unlock() }
    }
}
