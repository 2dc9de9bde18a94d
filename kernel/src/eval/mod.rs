//! Evaluation: the breaker, pending calls, asynchronous exceptions, deadlines, fuel, and the frame evaluation function.

mod add;
pub(crate) mod breaker;
mod deadline;
mod fuel;
mod mains;
mod pass;
pub(crate) mod pending;
mod raise;
mod safepoint;
pub(crate) mod scope;
mod signal;
mod slots;

pub(crate) use mains::MainCalls;
pub(crate) use slots::CallSlots;

pub use deadline::Timed;
pub use fuel::Fuelled;
pub use pending::{PendingCall, PendingFailed, PendingFn};
pub use raise::Raise;
pub use signal::{SignalFailed, SignalFn, SignalHandler};

use crate::{guest::Step, thread::Attached};

/// The function that evaluates the innermost frame of a thread state (SPEC E7, PEP 523). `throwing` asks it
/// to raise the current exception in that frame. The guest's own is [`Guest::eval`](crate::guest::Guest::eval).
pub type FrameEval<H> = for<'i> fn(&mut Attached<'i, H>, throwing: bool) -> Step;
