//! The evaluation breaker: one atomic word per thread state, in a slot that outlives it (SPEC E1).
//!
//! Any thread sets bits; the thread that runs the thread state clears them at a safepoint. The word carries
//! requests only: what a request means is found where it was made (the GIL, the pending list, the deadline),
//! so a bit that arrives late, at a slot that has a new tenant, causes one needless look and nothing else.

use crate::sync::{AtomicU32, Ordering};

/// A waiter asks for the GIL.
pub(crate) const DROP_GIL: u32 = 1 << 0;
/// Pending calls wait.
pub(crate) const PENDING: u32 = 1 << 1;
/// Releases are owed to objects of this interpreter.
pub(crate) const OWED: u32 = 1 << 2;
/// The interpreter is interrupted from outside.
pub(crate) const INTERRUPT: u32 = 1 << 3;
/// The deadline passed.
pub(crate) const DEADLINE: u32 = 1 << 4;
/// The interpreter is finalizing. Never cleared while the thread state lives.
pub(crate) const FINALIZING: u32 = 1 << 5;

/// Memory is low.
pub(crate) const COLLECT: u32 = 1 << 6;
/// A signal came. For main's thread; other threads of main's are told too, and leave it to that one.
pub(crate) const SIGNALS: u32 = 1 << 7;
/// Something is raised in this thread state.
pub(crate) const ASYNC: u32 = 1 << 8;
/// Fuel is used up.
pub(crate) const FUEL: u32 = 1 << 10;

/// The world is being stopped. Whoever waits detached stands still already, so this does not end a wait.
pub(crate) const STOP: u32 = 1 << 9;

/// Pending calls wait that this thread state alone was told of: whoever lets the GIL go tells the others.
pub(crate) const MINE: u32 = 1 << 11;

/// The bits that end a blocked wait; on main's thread `SIGNALS` too.
pub(crate) const STOPS_WAIT: u32 = PENDING | ASYNC | INTERRUPT | DEADLINE | FINALIZING;

pub(crate) struct Breaker(AtomicU32);

impl Breaker {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Breaker(AtomicU32::new(0))
        }
    }

    /// The bits that are set: one relaxed load.
    #[inline]
    pub(crate) fn bits(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, bits: u32) {
        self.0.fetch_or(bits, Ordering::Release);
    }

    /// Clears `bits` and answers which of them were set.
    pub(crate) fn take(&self, bits: u32) -> u32 {
        match self.bits() & bits {
            0 => 0,
            _ => self.0.fetch_and(!bits, Ordering::Acquire) & bits,
        }
    }

    /// For a new tenant of the slot.
    pub(crate) fn reset(&self, bits: u32) {
        self.0.store(bits, Ordering::Relaxed);
    }
}
