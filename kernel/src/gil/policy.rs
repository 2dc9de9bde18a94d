//! How a thread waits for a GIL and how a holder that was asked lets go: one policy per tier of [`RawGil`].
#![allow(unsafe_code)]

use core::{marker::PhantomData, time::Duration};

use crate::{
    gil::{HeldTime, Meter, Unmetered},
    host::{RawGil, RawGilFair, RawGilTimed},
};

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

    /// A holder that was asked gives way at so many safepoints after that, by the count of safepoints: for policies that ask
    /// once, with no clock to wait by.
    const STEPS: u32 = 1;

    /// What is kept of the time that the GIL is held: [`Unmetered`], unless the policy is [`Metered`].
    type HeldTime: HeldTime;

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
    type HeldTime = Unmetered;

    fn wait(gil: &G, next: &mut dyn FnMut() -> Duration) -> G::Held {
        next();
        gil.lock()
    }

    unsafe fn hand_over(gil: &G, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { gil.unlock(held) }
    }
}

/// As [`Blocking`], but who was asked gives way at its `N`-th safepoint from then on: a switch interval for hosts that have no
/// clock to measure one by (SPEC G3). A detach gives way at once, as ever. `Steps<1>` is `Blocking`.
///
/// With a GIL that serves in the order of arrival, who waits behind `n` others has it after `n + 1` times `N` safepoints. Each
/// of the `N` takes the longer way through a safepoint, for the request stays.
#[derive(Debug, Clone, Copy)]
pub struct Steps<const N: u32>;

// SAFETY: as for `Blocking`.
unsafe impl<G: RawGil, const N: u32> GilPolicy<G> for Steps<N> {
    const ASKS_ONCE: bool = true;
    const STEPS: u32 = N;
    type HeldTime = Unmetered;

    fn wait(gil: &G, next: &mut dyn FnMut() -> Duration) -> G::Held {
        Blocking::wait(gil, next)
    }

    unsafe fn hand_over(gil: &G, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { Blocking::hand_over(gil, held) }
    }
}

/// For a GIL with time limits and direct hand-over: asks after each switch interval (CPython's rule).
#[derive(Debug, Clone, Copy)]
pub struct Interval;

// SAFETY: `lock_asking` returns with the GIL held (contract of `RawGilTimed`), `unlock_fair` releases it.
unsafe impl<G: RawGilTimed + RawGilFair> GilPolicy<G> for Interval {
    const ASKS_ONCE: bool = false;
    const DIRECT: bool = true;
    type HeldTime = Unmetered;

    fn wait(gil: &G, next: &mut dyn FnMut() -> Duration) -> G::Held {
        gil.lock_asking(next)
    }

    unsafe fn hand_over(gil: &G, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { gil.unlock_fair(held) }
    }
}

/// As `P`, and the time that the threads of each interpreter hold its GIL is counted, exactly:
/// [`InterpreterStats::held`](crate::interpreter::InterpreterStats::held) (SPEC G5). A host says `type GilPolicy =
/// Metered<Interval>`.
///
/// It costs two looks at the clock for each time the GIL is had, and a few words in each interpreter; without it, nothing.
/// A clock that panics then ends the program, for it would do so in the middle of an attach or a detach.
#[derive(Debug, Clone, Copy)]
pub struct Metered<P>(PhantomData<fn() -> P>);

// SAFETY: `P` keeps the contract.
unsafe impl<G: RawGil, P: GilPolicy<G>> GilPolicy<G> for Metered<P> {
    const ASKS_ONCE: bool = P::ASKS_ONCE;
    const DIRECT: bool = P::DIRECT;
    const STEPS: u32 = P::STEPS;
    type HeldTime = Meter;

    fn wait(gil: &G, next: &mut dyn FnMut() -> Duration) -> G::Held {
        P::wait(gil, next)
    }

    unsafe fn hand_over(gil: &G, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { P::hand_over(gil, held) }
    }
}
