//! The state word of an interpreter: phase, activations and guards in one atomic, so that "is it ending" and
//! "may I enter it" are one step.
//!
//! ```text
//! phase       activate  guard    who may still do what                                   leaves by
//! FREE        Ended     Ended    the slot waits for its next interpreter                 1 begin
//! CREATING    NotReady  NotReady the creating thread alone                               2 publish, 3 roll_back
//! RUNNING     yes       yes      everything                                              4 begin_end
//! ENDING      yes       yes      everything; the ender runs callbacks and joins threads  5 finalize, 6 give_up
//! CLOSING     yes       refused  everything; the ender waits for guards                  5 finalize, 6 give_up, 9 reopen
//! FINALIZING  refused   refused  open activations run out; every fallible call on        7 claim, 8 defer
//!                                their tokens answers Finalizing; the ender waits
//! DEFERRED    refused   refused  as FINALIZING, but the ender gave up waiting            10 leave (the last one), 11 begin_end
//! CLEARING    refused   refused  the clearing thread alone, with the reserve token       12 finish, 13 begin_again
//! ```
//!
//! Guards are taken in RUNNING and ENDING and keep the phase from passing CLOSING. Activations begin until CLOSING and only run
//! out afterwards. Visits are short looks from threads and interrupt handlers that hold no GIL; they begin where
//! activations do, and whoever clears waits for the last of them.

mod answer;
mod ending;

pub(crate) use answer::{Activate, BeginEnd, Claim, Finalize, Leave, ReleaseGuard, TakeGuard, Visit};

use crate::{
    error::ThreadError,
    sync::{AtomicUsize, Ordering},
};

const PHASE: usize = 0b111;
const FREE: usize = 0;
const CREATING: usize = 1;
const RUNNING: usize = 2;
const ENDING: usize = 3;
const CLOSING: usize = 4;
const FINALIZING: usize = 5;
const DEFERRED: usize = 6;
const CLEARING: usize = 7;

const VISIT: usize = 1 << 3;
const VISITS: usize = 0b11111 << 3;
const COUNT_BITS: u32 = (usize::BITS - 8) / 2;
const COUNT: usize = (1 << COUNT_BITS) - 1;
const ACTIVATION: usize = 1 << 8;
const ACTIVATIONS: usize = COUNT * ACTIVATION;
const GUARD: usize = ACTIVATION << COUNT_BITS;
const GUARDS: usize = COUNT * GUARD;

/// The word with another phase.
const fn to(word: usize, phase: usize) -> usize {
    (word & !PHASE) | phase
}

/// Whether activations and visits begin in this phase: one comparison.
#[inline]
const fn is_open(word: usize) -> bool {
    (word & PHASE).wrapping_sub(RUNNING) <= CLOSING - RUNNING
}

/// Why activations do not begin in this phase.
const fn refusal(word: usize) -> Activate {
    match word & PHASE {
        CREATING => Activate::NotReady,
        FREE => Activate::Ended,
        _ => Activate::Finalizing,
    }
}

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
    /// Being ended: everything goes on, while callbacks run, threads are joined and guards run out.
    Ending,
    /// Being ended: activations run out.
    Finalizing,
    /// Being taken down.
    Clearing,
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
            if !is_open(word) {
                return refusal(word);
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

    /// What [`activate`](Self::activate) would answer, where one is counted already: one relaxed load.
    #[inline]
    pub(crate) fn admits(&self) -> Activate {
        let word = self.0.load(Ordering::Relaxed);
        if is_open(word) { Activate::Entered } else { refusal(word) }
    }

    /// 10: one activation less; DEFERRED → CLEARING if it was the last.
    #[inline]
    pub(crate) fn leave(&self) -> Leave {
        let word = self.0.fetch_sub(ACTIVATION, Ordering::AcqRel) - ACTIVATION;
        match word & PHASE {
            FINALIZING | CLEARING => Leave::WakeEnder,
            DEFERRED if word & ACTIVATIONS == 0 => self.leave_last(word),
            _ => Leave::Quiet,
        }
    }

    #[cold]
    fn leave_last(&self, mut word: usize) -> Leave {
        // A visit that ends meanwhile changes the word too, and nobody else would complete the end.
        while word & PHASE == DEFERRED && word & ACTIVATIONS == 0 {
            match self.0.compare_exchange_weak(word, to(word, CLEARING), Ordering::AcqRel, Ordering::Relaxed)
            {
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
            if !is_open(word) {
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

    /// Counts one more guard, if the interpreter is running and its end does not wait for them.
    #[inline]
    pub(crate) fn guard(&self) -> TakeGuard {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            // RUNNING or ENDING: one comparison.
            if (word & PHASE).wrapping_sub(RUNNING) > ENDING - RUNNING {
                return match word & PHASE {
                    CREATING => TakeGuard::NotReady,
                    FREE => TakeGuard::Ended,
                    _ => TakeGuard::Finalizing,
                };
            }
            if word & GUARDS == GUARDS {
                return TakeGuard::TooMany;
            }
            match self.0.compare_exchange_weak(word, word + GUARD, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return TakeGuard::Taken,
                Err(now) => word = now,
            }
        }
    }

    /// One guard less.
    pub(crate) fn release_guard(&self) -> ReleaseGuard {
        let word = self.0.fetch_sub(GUARD, Ordering::AcqRel);
        if word & PHASE == CLOSING { ReleaseGuard::WakeEnder } else { ReleaseGuard::Quiet }
    }

    /// Guards that are held.
    pub(crate) fn guards(&self) -> usize {
        (self.0.load(Ordering::Acquire) & GUARDS) / GUARD
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
            ENDING | CLOSING => Phase::Ending,
            FINALIZING | DEFERRED => Phase::Finalizing,
            _ => Phase::Clearing,
        }
    }

    /// The phase, where threads may begin in it. Under the runtime's lock, under which the step to FINALIZING is taken.
    pub(crate) fn takes_threads(&self) -> Result<Phase, ThreadError> {
        match self.phase() {
            phase @ (Phase::Running | Phase::Ending) => Ok(phase),
            Phase::Creating => Err(ThreadError::NotReady),
            _ => Err(ThreadError::Finalizing),
        }
    }

    /// Whether fallible calls answer `Finalizing`: one relaxed load.
    #[inline]
    pub(crate) fn is_finalizing(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed) & PHASE, FINALIZING | DEFERRED)
    }
}
