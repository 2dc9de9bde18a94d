//! What one step of a guest comes to.

use core::time::Duration;

use crate::error::{GuestError, Interrupt};
use crate::memory::AllocError;

/// A value small enough to be returned from an interpreter as it is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
}

/// What a guest waits for.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// This much time.
    For(Duration),
    /// Something that only the host or another interpreter can bring about.
    Event,
}

/// Why a step failed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program failed in its own terms; the guest keeps the report under this number.
    Raised(u32),
    /// The program was told to stop.
    Interrupted(Interrupt),
    /// Memory was refused.
    NoMemory(AllocError),
    /// The step could not be taken.
    Refused(GuestError),
}

impl From<Interrupt> for Fault {
    fn from(interrupt: Interrupt) -> Self {
        Fault::Interrupted(interrupt)
    }
}

impl From<AllocError> for Fault {
    fn from(error: AllocError) -> Self {
        Fault::NoMemory(error)
    }
}

impl From<GuestError> for Fault {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::Alloc(error) => Fault::NoMemory(error),
            GuestError::Interrupt(interrupt) => Fault::Interrupted(interrupt),
            error => Fault::Refused(error),
        }
    }
}

/// The answer of `exec`, `call` and `resume`.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The run is over, with this result.
    Done(Value),
    /// There is more to do: resume when it is this interpreter's turn again.
    Yielded,
    /// There is nothing to do before something happens: resume afterwards.
    Waiting(Waiting),
    /// The run is over, without a result.
    Failed(Fault),
}

impl Step {
    /// Whether the run is over.
    pub const fn is_over(&self) -> bool {
        matches!(self, Step::Done(_) | Step::Failed(_))
    }
}
