//! Locks on the `critical-section` crate: for single cores, and wherever the image has an implementation
//! that excludes other cores too.
#![allow(unsafe_code)]

use core::{
    hint::spin_loop,
    marker::PhantomData,
    sync::atomic::{AtomicBool, AtomicU16, Ordering},
};

use archipelago_kernel::host::{RawGil, RawGilFair, RawLock};
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

/// What a task does while it waits for its turn at a [`CsTicketGil`].
pub trait Relax: Send + Sync + 'static {
    /// Lets something else run, or only some time pass.
    fn relax();
}

/// Spins: for several cores, and for one where a waiting task is preempted.
#[derive(Debug, Clone, Copy)]
pub struct Spinning;

impl Relax for Spinning {
    fn relax() {
        spin_loop();
    }
}

/// First come, first served: tickets that are drawn inside a short critical section. As with [`CsGil`] interrupts are
/// enabled while the GIL is held and while a task waits for it, and no compare-and-swap is needed. `R` says what a task does
/// meanwhile. At most 65,535 may wait.
pub struct CsTicketGil<R = Spinning> {
    /// The next ticket. Written inside the critical section only.
    next: AtomicU16,
    /// The ticket that has the GIL. Written by its holder.
    served: AtomicU16,
    relax: PhantomData<R>,
}

impl CsTicketGil {
    /// A free GIL.
    pub const fn new_const() -> Self {
        Self::relaxing()
    }
}

impl<R> CsTicketGil<R> {
    /// A free GIL that waits in the way of `R`.
    pub const fn relaxing() -> Self {
        CsTicketGil { next: AtomicU16::new(0), served: AtomicU16::new(0), relax: PhantomData }
    }

    /// Draws a ticket, if `wanted` says so of the next one and of the one that is served.
    fn draw(&self, wanted: impl FnOnce(u16, u16) -> bool) -> Option<u16> {
        critical_section::with(|_| {
            let next = self.next.load(Ordering::Relaxed);
            let drawn = wanted(next, self.served.load(Ordering::Acquire)).then_some(next)?;
            self.next.store(next.wrapping_add(1), Ordering::Relaxed);
            Some(drawn)
        })
    }
}

// SAFETY: each ticket is drawn once, inside a critical section, and only the one that is served has the GIL: `served` goes on
// when its holder lets go, and never over a ticket that was not drawn, for the holder's own was. The store of who lets go is
// read by an acquire load of who comes next, which orders what was written.
unsafe impl<R: Relax> RawGil for CsTicketGil<R> {
    type Held = ();

    fn new() -> Self {
        Self::relaxing()
    }

    fn lock(&self) {
        let ticket = self.draw(|_, _| true);
        while Some(self.served.load(Ordering::Acquire)) != ticket {
            R::relax();
        }
    }

    fn try_lock(&self) -> Option<()> {
        self.draw(|next, served| next == served).map(drop)
    }

    unsafe fn unlock(&self, (): ()) {
        // The holder alone writes it.
        self.served.store(self.served.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }
}

// SAFETY: as for `RawGil`. A blocked task holds a ticket that is served before any later one.
unsafe impl<R: Relax> RawGilFair for CsTicketGil<R> {
    unsafe fn unlock_fair(&self, held: ()) {
        // SAFETY: passed on from the caller.
        unsafe { self.unlock(held) }
    }
}
