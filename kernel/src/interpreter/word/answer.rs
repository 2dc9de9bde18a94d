//! The answers of the state word's transitions.

#[cfg(doc)]
use super::StateWord;

/// The answer to [`StateWord::activate`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activate {
    Entered,
    NotReady,
    Finalizing,
    Ended,
    TooMany,
}

/// The answer to [`StateWord::leave`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Nobody waits for it.
    Quiet,
    /// An ender may be waiting for the count to fall, or a finalization for one that was cleared.
    WakeEnder,
    /// The ender gave up and this was the last activation: the caller completes the end. The phase is
    /// CLEARING.
    CompleteEnd,
}

/// The answer to [`StateWord::begin_end`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BeginEnd {
    /// The caller ends the interpreter; the phase is FINALIZING.
    Begun,
    /// The caller ends the interpreter and waits first; the phase is ENDING or CLOSING.
    Waits,
    /// An earlier end gave up waiting; the caller takes it over. The phase is FINALIZING.
    TakenOver,
    /// Another thread is at it.
    InProgress,
    /// There is nothing to end.
    Ended,
    /// Not created yet.
    NotReady,
}

/// The answer to [`StateWord::claim`] and [`StateWord::defer`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The phase is CLEARING and the caller clears.
    Claimed,
    /// So many activations are left beside the caller's own.
    Busy(usize),
}

/// The answer to [`StateWord::visit`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    /// To be ended.
    Begun,
    /// As many as can be counted are under way.
    Crowded,
    /// The interpreter is not running.
    Refused,
}

/// The answer to [`StateWord::guard`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakeGuard {
    /// The interpreter does not finalize before it is given back.
    Taken,
    NotReady,
    /// Too late: no new ones.
    Finalizing,
    Ended,
    TooMany,
}

/// The answer to [`StateWord::release_guard`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReleaseGuard {
    /// Nobody waits for it.
    Quiet,
    /// An ender waits for the count to fall.
    WakeEnder,
}

/// The answer to [`StateWord::finalize`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finalize {
    /// The phase is FINALIZING.
    Finalizing,
    /// Guards are left; the phase is CLOSING.
    Guarded,
}
