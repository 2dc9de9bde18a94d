//! How a thread waits for a GIL and how a holder that was asked lets go: one policy per tier of [`RawGil`].
#![allow(unsafe_code)]

use core::time::Duration;

use crate::host::{RawGil, RawGilFair, RawGilTimed};

/// Waiting for a GIL and handing it over, as far as the lock below can.
///
/// # Safety
/// `wait` returns only with the GIL held by this call; `hand_over` releases it.
pub unsafe trait GilPolicy<G: RawGil>: 'static {
    /// `wait` calls `next` once only, before it blocks. The holder then looks for waiters after it has
    /// published itself, behind a fence.
    const ASKS_ONCE: bool;

    /// After `hand_over` the lock belongs to a waiter that was blocked, even before that thread runs.
    const DIRECT: bool = false;

    /// Blocks until the GIL is held. `next` may make a drop request. It is called before the thread sleeps, and again
    /// whenever what it answered has passed; once only where the lock cannot be waited for with a time limit. It does not
    /// unwind.
    fn wait(gil: &G, next: &mut dyn FnMut() -> Duration) -> G::Held;

    /// Lets the GIL go after a drop request, to a waiter if the lock can.
    ///
    /// # Safety
    /// As for [`RawGil::unlock`].
    unsafe fn hand_over(gil: &G, held: G::Held);
}

/// For any [`RawGil`]: asks at once, then blocks.
#[derive(Debug, Clone, Copy)]
pub struct Blocking;

// SAFETY: `lock` returns with the GIL held, `unlock` releases it (contract of `RawGil`).
unsafe impl<G: RawGil> GilPolicy<G> for Blocking {
    const ASKS_ONCE: bool = true;

    fn wait(gil: &G, next: &mut dyn FnMut() -> Duration) -> G::Held {
        next();
        gil.lock()
    }

    unsafe fn hand_over(gil: &G, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { gil.unlock(held) }
    }
}

/// For a GIL with time limits and direct hand-over: asks after each switch interval (CPython's rule).
#[derive(Debug, Clone, Copy)]
pub struct Interval;

// SAFETY: `lock_asking` returns with the GIL held (contract of `RawGilTimed`), `unlock_fair` releases it.
unsafe impl<G: RawGilTimed + RawGilFair> GilPolicy<G> for Interval {
    const ASKS_ONCE: bool = false;
    const DIRECT: bool = true;

    fn wait(gil: &G, next: &mut dyn FnMut() -> Duration) -> G::Held {
        gil.lock_asking(next)
    }

    unsafe fn hand_over(gil: &G, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { gil.unlock_fair(held) }
    }
}
