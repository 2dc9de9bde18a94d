//! A way into an interpreter that needs no GIL, no memory and waits for no lock: for interrupt handlers.

#![allow(unsafe_code)]

use crate::{
    error::{LookupError, PendingError},
    eval::{
        PendingCall,
        breaker::{INTERRUPT, PENDING},
    },
    host::Host,
    interpreter::{InterpreterId, InterpreterSlot, word::Visit},
    runtime::Runtime,
    sync::Ordering,
};

/// Adds pending calls to one interpreter and interrupts it, from anywhere, interrupt handlers included (SPEC E2,
/// E3). `Copy`, `Send` and `Sync`; it may outlive the interpreter.
pub struct Port<'rt, H: Host> {
    rt: &'rt Runtime<H>,
    slot: &'rt InterpreterSlot<H>,
    generation: u32,
}

impl<H: Host> Clone for Port<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for Port<'_, H> {}

// SAFETY: the slot is touched through its state word, its generation, its pending list and its asked bits
// only, which are atomics; the runtime is `Sync`.
unsafe impl<H: Host> Send for Port<'_, H> {}
// SAFETY: as above.
unsafe impl<H: Host> Sync for Port<'_, H> {}

/// Ends a visit.
struct OpenVisit<'a, H: Host>(&'a InterpreterSlot<H>);

impl<H: Host> Drop for OpenVisit<'_, H> {
    fn drop(&mut self) {
        self.0.head.word.end_visit();
    }
}

impl<'rt, H: Host> Port<'rt, H> {
    pub(crate) fn new(rt: &'rt Runtime<H>, id: InterpreterId) -> Result<Self, LookupError> {
        rt.look(|registry| {
            let slot = rt.listed(registry, id)?;
            Ok(Port { rt, slot, generation: slot.head.generation.load(Ordering::Relaxed) })
        })
    }

    /// Queues `call`; whichever thread of the interpreter is first at a safepoint runs it.
    ///
    /// # Errors
    /// `AlreadyQueued`; `Ended` if the interpreter is finalizing or gone; `Busy` if too many others are at it at this
    /// moment.
    pub fn add(&self, call: &'static PendingCall<H>) -> Result<(), PendingError> {
        let _visit = self.visit()?;
        if !self.slot.head.pending.push(call.queued()) {
            return Err(PendingError::AlreadyQueued);
        }
        self.rt.kick(self.slot, PENDING);
        Ok(())
    }

    /// Interrupts it, as [`Interpreter::interrupt`](crate::interpreter::Interpreter::interrupt) does.
    ///
    /// # Errors
    /// `Ended` and `Busy`, as for [`add`](Self::add).
    pub fn interrupt(&self) -> Result<(), PendingError> {
        let _visit = self.visit()?;
        self.rt.kick(self.slot, INTERRUPT);
        Ok(())
    }

    fn visit(&self) -> Result<OpenVisit<'rt, H>, PendingError> {
        // The count first, the generation second: as in `Place::activate`.
        match self.slot.head.word.visit() {
            Visit::Begun => {}
            Visit::Crowded => return Err(PendingError::Busy),
            Visit::Refused => return Err(PendingError::Ended),
        }
        let visit = OpenVisit(self.slot);
        if self.slot.head.generation.load(Ordering::Acquire) != self.generation {
            return Err(PendingError::Ended);
        }
        Ok(visit)
    }
}
