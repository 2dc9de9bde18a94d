//! How a thread waits for a GIL and how a holder that was asked lets go: one policy per tier of [`RawGil`].
#![allow(unsafe_code)]

use core::time::Duration;

use crate::host::{RawGil, RawGilFair, RawGilTimed};

/// Waiting for a GIL and handing it over, as far as the lock below can.
///
/// # Safety
/// `wait` returns only with the GIL held by this call; `hand_over` releases it.
pub unsafe trait GilPolicy<G: RawGil>: 'static {
    /// `wait` calls `ask` once only, before it blocks. The holder then looks for waiters after it has
    /// published itself, behind a fence.
    const ASKS_ONCE: bool;

    /// After `hand_over` the lock belongs to a waiter that was blocked, even before that thread runs.
    const DIRECT: bool = false;

    /// Blocks until the GIL is held, calling `ask` for a drop request: whenever `interval` passed without a
    /// change, or once at the beginning where the lock cannot be waited for with a time limit.
    fn wait(gil: &G, interval: Duration, ask: &mut dyn FnMut()) -> G::Held;

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

    fn wait(gil: &G, _: Duration, ask: &mut dyn FnMut()) -> G::Held {
        ask();
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

// SAFETY: `lock_for` answers `Some` only with the GIL held (contract of `RawGilTimed`), `unlock_fair`
// releases it.
unsafe impl<G: RawGilTimed + RawGilFair> GilPolicy<G> for Interval {
    const ASKS_ONCE: bool = false;
    const DIRECT: bool = true;

    fn wait(gil: &G, interval: Duration, ask: &mut dyn FnMut()) -> G::Held {
        loop {
            if let Some(held) = gil.lock_for(interval) {
                return held;
            }
            ask();
        }
    }

    unsafe fn hand_over(gil: &G, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { gil.unlock_fair(held) }
    }
}
