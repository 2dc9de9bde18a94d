//! The phase word of a runtime (SPEC R2).
//!
//! ```text
//! UNINITIALIZED → INITIALIZING → RUNNING → FINALIZING → FINALIZED → INITIALIZING …
//!                      ↓ failed                ↓ threads still active
//!                 what it was before        FINALIZING, to be finalized again
//! ```

use crate::sync::{AtomicU32, Ordering};

/// Where a runtime is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuntimePhase {
    /// Never initialized.
    Uninitialized,
    /// A thread is initializing it.
    Initializing,
    /// In use.
    Running,
    /// A thread is finalizing it, or tried to.
    Finalizing,
    /// Finalized; may be initialized again.
    Finalized,
}

const PHASES: [RuntimePhase; 5] = [
    RuntimePhase::Uninitialized,
    RuntimePhase::Initializing,
    RuntimePhase::Running,
    RuntimePhase::Finalizing,
    RuntimePhase::Finalized,
];
/// A thread is inside `finalize`.
const BUSY: u32 = 8;

pub(crate) struct PhaseWord(AtomicU32);

/// The answer to [`PhaseWord::begin_initialize`].
#[must_use]
pub(crate) enum BeginInitialize {
    Begun { before: RuntimePhase },
    RunningAlready,
    InProgress,
}

/// The answer to [`PhaseWord::begin_finalize`].
#[must_use]
pub(crate) enum BeginFinalize {
    Begun,
    NotRunning,
    InProgress,
}

impl PhaseWord {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            PhaseWord(AtomicU32::new(0))
        }
    }

    pub(crate) fn get(&self) -> RuntimePhase {
        PHASES[(self.0.load(Ordering::Acquire) & 7) as usize % PHASES.len()]
    }

    fn set(&self, phase: RuntimePhase) {
        self.0.store(phase as u32, Ordering::Release);
    }

    fn step(&self, from: u32, to: u32) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn begin_initialize(&self) -> BeginInitialize {
        for before in [RuntimePhase::Uninitialized, RuntimePhase::Finalized] {
            if self.step(before as u32, RuntimePhase::Initializing as u32) {
                return BeginInitialize::Begun { before };
            }
        }
        match self.get() {
            RuntimePhase::Running => BeginInitialize::RunningAlready,
            _ => BeginInitialize::InProgress,
        }
    }

    pub(crate) fn initialized(&self) {
        self.set(RuntimePhase::Running);
    }

    pub(crate) fn initialization_failed(&self, before: RuntimePhase) {
        self.set(before);
    }

    pub(crate) fn begin_finalize(&self) -> BeginFinalize {
        let finalizing = RuntimePhase::Finalizing as u32;
        // From RUNNING, or where an earlier try found threads active.
        for from in [RuntimePhase::Running as u32, finalizing] {
            if self.step(from, finalizing | BUSY) {
                return BeginFinalize::Begun;
            }
        }
        match self.get() {
            RuntimePhase::Uninitialized | RuntimePhase::Finalized => BeginFinalize::NotRunning,
            _ => BeginFinalize::InProgress,
        }
    }

    /// Threads are still active: finalize may be called again.
    pub(crate) fn finalize_later(&self) {
        self.set(RuntimePhase::Finalizing);
    }

    pub(crate) fn finalized(&self) {
        self.set(RuntimePhase::Finalized);
    }
}
