//! The state word of an interpreter: phase, activations and guards in one atomic, so that "is it ending" and
//! "may I enter it" are one step.
//!
//! ```text
//! phase       activate  who may still do what                                   leaves by
//! FREE        Ended     the slot waits for its next interpreter                 1 begin
//! CREATING    NotReady  the creating thread alone                               2 publish, 3 roll_back
//! RUNNING     yes       everything                                              4 begin_end
//! FINALIZING  refused   open activations run out; every fallible call on        5 claim, 6 defer
//!                       their tokens answers Finalizing; the ender waits
//! DEFERRED    refused   as FINALIZING, but the ender gave up waiting            7 leave (the last one), 8 resume_end
//! CLEARING    refused   the clearing thread alone, with the reserve token       9 finish, 10 begin_again
//! ```
//!
//! Activations begin in RUNNING and only run out afterwards. Visits are short looks from threads and interrupt handlers that hold no GIL;
//! they begin in RUNNING, and whoever clears waits for the last of them. The highest bits are kept for guards.

use crate::sync::{AtomicUsize, Ordering};

const PHASE: usize = 0b111;
const FREE: usize = 0;
const CREATING: usize = 1;
const RUNNING: usize = 2;
const FINALIZING: usize = 3;
const DEFERRED: usize = 4;
const CLEARING: usize = 5;

const VISIT: usize = 1 << 3;
const VISITS: usize = 0b11111 << 3;
const COUNT_BITS: u32 = (usize::BITS - 8) / 2;
const ACTIVATION: usize = 1 << 8;
const ACTIVATIONS: usize = ((1 << COUNT_BITS) - 1) << 8;

/// Where an interpreter is in its life, as others may see it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Ended, or never was.
    Ended,
    /// Being created: not to be entered yet.
    Creating,
    /// Everything is allowed.
    Running,
    /// Being ended: activations run out.
    Finalizing,
    /// Being taken down.
    Clearing,
}

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
    /// An ender may be waiting for the count to fall.
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

pub(crate) struct StateWord(AtomicUsize);

impl StateWord {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            StateWord(AtomicUsize::new(FREE))
        }
    }

    /// 1: FREE → CREATING.
    pub(crate) fn begin(&self) {
        self.0.store(CREATING, Ordering::Release);
    }

    /// 2: CREATING → RUNNING.
    pub(crate) fn publish(&self) {
        self.0.store(RUNNING, Ordering::Release);
    }

    /// 3: CREATING → CLEARING.
    pub(crate) fn roll_back(&self) {
        self.0.store(CLEARING, Ordering::Release);
    }

    /// Counts one more activation, if the interpreter is running.
    #[inline]
    pub(crate) fn activate(&self) -> Activate {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            match word & PHASE {
                RUNNING => {}
                CREATING => return Activate::NotReady,
                FREE => return Activate::Ended,
                _ => return Activate::Finalizing,
            }
            if word & ACTIVATIONS == ACTIVATIONS {
                return Activate::TooMany;
            }
            match self.0.compare_exchange_weak(word, word + ACTIVATION, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Activate::Entered,
                Err(now) => word = now,
            }
        }
    }

    /// 7: one activation less; DEFERRED → CLEARING if it was the last.
    #[inline]
    pub(crate) fn leave(&self) -> Leave {
        let word = self.0.fetch_sub(ACTIVATION, Ordering::AcqRel) - ACTIVATION;
        match word & PHASE {
            FINALIZING => Leave::WakeEnder,
            DEFERRED if word & ACTIVATIONS == 0 => self.leave_last(word),
            _ => Leave::Quiet,
        }
    }

    #[cold]
    fn leave_last(&self, mut word: usize) -> Leave {
        // A visit that ends meanwhile changes the word too, and nobody else would complete the end.
        while word & PHASE == DEFERRED && word & ACTIVATIONS == 0 {
            let claimed = (word & !PHASE) | CLEARING;
            match self.0.compare_exchange_weak(word, claimed, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Leave::CompleteEnd,
                Err(now) => word = now,
            }
        }
        // An ender took over: it sees the count itself.
        Leave::WakeEnder
    }

    /// Counts a visit, if the interpreter is running and not too many are under way.
    pub(crate) fn visit(&self) -> Visit {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & PHASE != RUNNING {
                return Visit::Refused;
            }
            if word & VISITS == VISITS {
                return Visit::Crowded;
            }
            match self.0.compare_exchange_weak(word, word + VISIT, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Visit::Begun,
                Err(now) => word = now,
            }
        }
    }

    /// Ends a visit.
    pub(crate) fn end_visit(&self) {
        self.0.fetch_sub(VISIT, Ordering::Release);
    }

    /// Whether a visit is under way: for whoever clears, when no new one can begin.
    pub(crate) fn is_visited(&self) -> bool {
        self.0.load(Ordering::Acquire) & VISITS != 0
    }

    /// 4: RUNNING → FINALIZING; 8: DEFERRED → FINALIZING.
    pub(crate) fn begin_end(&self) -> BeginEnd {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let begun = match word & PHASE {
                RUNNING => BeginEnd::Begun,
                DEFERRED => BeginEnd::TakenOver,
                CREATING => return BeginEnd::NotReady,
                FREE => return BeginEnd::Ended,
                _ => return BeginEnd::InProgress,
            };
            let next = (word & !PHASE) | FINALIZING;
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return begun,
                Err(now) => word = now,
            }
        }
    }

    /// 5: FINALIZING → CLEARING, once `own` activations are left. Only the ender calls it.
    pub(crate) fn claim(&self, own: usize) -> Claim {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let others = ((word & ACTIVATIONS) / ACTIVATION).saturating_sub(own);
            if others > 0 {
                return Claim::Busy(others);
            }
            let next = (word & !PHASE) | CLEARING;
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Claim::Claimed,
                Err(now) => word = now,
            }
        }
    }

    /// 6: FINALIZING → DEFERRED, unless no more than `own` activations are left: then as [`claim`](Self::claim).
    pub(crate) fn defer(&self, own: usize) -> Claim {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let others = ((word & ACTIVATIONS) / ACTIVATION).saturating_sub(own);
            let next = (word & !PHASE) | if others == 0 { CLEARING } else { DEFERRED };
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if others == 0 => return Claim::Claimed,
                Ok(_) => return Claim::Busy(others),
                Err(now) => word = now,
            }
        }
    }

    /// 6: FINALIZING → DEFERRED, whatever is left: the ender cannot go on. Only the ender calls it.
    pub(crate) fn give_up(&self) {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let next = (word & !PHASE) | DEFERRED;
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// 9: CLEARING → FREE.
    pub(crate) fn finish(&self) {
        self.0.store(FREE, Ordering::Release);
    }

    /// 10: CLEARING → CREATING.
    pub(crate) fn begin_again(&self) {
        self.0.store(CREATING, Ordering::Release);
    }

    /// Open activations.
    pub(crate) fn activations(&self) -> usize {
        (self.0.load(Ordering::Acquire) & ACTIVATIONS) / ACTIVATION
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) & PHASE {
            FREE => Phase::Ended,
            CREATING => Phase::Creating,
            RUNNING => Phase::Running,
            FINALIZING | DEFERRED => Phase::Finalizing,
            _ => Phase::Clearing,
        }
    }

    /// Whether fallible calls answer `Finalizing`: one relaxed load.
    #[inline]
    pub(crate) fn is_finalizing(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed) & PHASE, FINALIZING | DEFERRED)
    }
}
