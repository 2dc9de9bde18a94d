//! Views: names of an interpreter that outlive it, and from which guards are taken (PEP 788; SPEC L9).

#![allow(unsafe_code)]

use crate::{
    error::{AttachError, GuardError, LookupError, PendingError},
    host::Host,
    interpreter::{
        Guard, Interpreter, InterpreterId, InterpreterSlot, Port,
        word::{TakeGuard, Visit},
    },
    runtime::Runtime,
    sync::Ordering,
    thread::Attached,
};

/// A view of one interpreter (`PyInterpreterView`; SPEC L9): it does not keep the interpreter from ending, may outlive it,
/// and asks no registry. `Copy`, `Send` and `Sync`.
pub struct View<'rt, H: Host> {
    rt: &'rt Runtime<H>,
    slot: &'rt InterpreterSlot<H>,
    id: InterpreterId,
    generation: u32,
}

impl<H: Host> Clone for View<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for View<'_, H> {}

// SAFETY: the slot is touched through its state word, its generation, its pending list, its extras and its asked bits only,
// which are atomics, and under the runtime's lock; the runtime is `Sync`.
unsafe impl<H: Host> Send for View<'_, H> {}
// SAFETY: as above.
unsafe impl<H: Host> Sync for View<'_, H> {}

/// Ends a visit.
pub(crate) struct OpenVisit<'a, H: Host>(&'a InterpreterSlot<H>);

impl<'a, H: Host> OpenVisit<'a, H> {
    /// Of whichever interpreter has the slot.
    pub(crate) fn begin(slot: &'a InterpreterSlot<H>) -> Result<Self, PendingError> {
        match slot.head.word.visit() {
            Visit::Begun => Ok(OpenVisit(slot)),
            Visit::Crowded => Err(PendingError::Busy),
            Visit::Refused => Err(PendingError::Ended),
        }
    }
}

impl<H: Host> Drop for OpenVisit<'_, H> {
    fn drop(&mut self) {
        self.0.head.word.end_visit();
    }
}

impl<'rt, H: Host> View<'rt, H> {
    pub(crate) fn new(rt: &'rt Runtime<H>, id: InterpreterId) -> Result<Self, LookupError> {
        rt.look(|registry| {
            let slot = rt.listed(registry, id)?;
            Ok(View { rt, slot, id, generation: slot.head.generation.load(Ordering::Relaxed) })
        })
    }

    /// Its name.
    pub fn id(&self) -> InterpreterId {
        self.id
    }

    /// A handle to it.
    pub fn interpreter(&self) -> Interpreter<'rt, H> {
        Interpreter { rt: self.rt, id: self.id }
    }

    /// A way in for pending calls and interrupts, also from interrupt handlers.
    pub fn port(&self) -> Port<'rt, H> {
        Port::of(*self)
    }

    /// Keeps the interpreter from finalizing until the guard is dropped (`PyInterpreterGuard_FromView`).
    ///
    /// # Errors
    /// `Finalizing` once an end has begun to wait for guards, `Ended` afterwards; `NotReady` while it is created or reset.
    #[inline]
    pub fn guard(&self) -> Result<Guard<'rt, H>, GuardError> {
        if self.rt.host().in_interrupt() {
            return Err(GuardError::InInterrupt);
        }
        // Before the count, so that a view of long ago is no hindrance to the slot's next tenant; and after it, for only
        // the count keeps the tenant.
        if !self.is_current() {
            return Err(GuardError::Ended);
        }
        let taken = self.slot.head.word.guard();
        if taken == TakeGuard::Taken {
            let guard = Guard::counted(*self);
            return if self.is_current() { Ok(guard) } else { Err(GuardError::Ended) };
        }
        Err(self.refusal(taken))
    }

    #[cold]
    fn refusal(&self, taken: TakeGuard) -> GuardError {
        match taken {
            // A refusal of the slot's next tenant is none of this one.
            _ if !self.is_current() => GuardError::Ended,
            TakeGuard::NotReady => GuardError::NotReady,
            TakeGuard::Finalizing => GuardError::Finalizing,
            TakeGuard::TooMany => GuardError::TooMany,
            TakeGuard::Ended | TakeGuard::Taken => GuardError::Ended,
        }
    }

    /// As [`guard`](Self::guard), with a label that [`Interpreter::guards`] tells: so that an end that gives up waiting can
    /// say for whom.
    ///
    /// # Errors
    /// As there; `NoMemory` for the label.
    pub fn guard_labelled(&self, label: &'static str) -> Result<Guard<'rt, H>, GuardError> {
        self.guard()?.labelled(label)
    }

    /// A token for a thread that has none in its hands: as [`Runtime::ensure`], without a look-up
    /// (`PyThreadState_EnsureFromView`; SPEC T5).
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn ensure<R>(&self, f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R) -> Result<R, AttachError> {
        if self.rt.host().in_interrupt() {
            return Err(AttachError::InInterrupt);
        }
        if !self.is_current() {
            return Err(AttachError::Ended);
        }
        self.rt.ensure_in(self.slot, self.id, f)
    }

    /// The slot still has the interpreter of this view. It may get another one at any moment, but for a count in its state
    /// word.
    #[inline]
    fn is_current(&self) -> bool {
        self.slot.head.generation.load(Ordering::Acquire) == self.generation
    }

    pub(crate) fn visit(&self) -> Result<OpenVisit<'rt, H>, PendingError> {
        // The count first, the generation second: as in `Place::activate`.
        let visit = OpenVisit::begin(self.slot)?;
        if self.is_current() { Ok(visit) } else { Err(PendingError::Ended) }
    }

    pub(crate) fn rt(&self) -> &'rt Runtime<H> {
        self.rt
    }

    pub(crate) fn slot(&self) -> &'rt InterpreterSlot<H> {
        self.slot
    }
}
