//! A way into an interpreter that needs no GIL, no memory and waits for no lock: for interrupt handlers.

use crate::{
    error::PendingError,
    eval::{
        PendingCall,
        breaker::{INTERRUPT, PENDING},
    },
    host::Host,
    interpreter::View,
};

/// Adds pending calls to one interpreter and interrupts it, from anywhere, interrupt handlers included (SPEC E2,
/// E3). `Copy`, `Send` and `Sync`; it may outlive the interpreter.
pub struct Port<'rt, H: Host> {
    view: View<'rt, H>,
}

impl<H: Host> Clone for Port<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for Port<'_, H> {}

impl<'rt, H: Host> Port<'rt, H> {
    pub(super) fn of(view: View<'rt, H>) -> Self {
        Port { view }
    }

    /// Queues `call`; whichever thread of the interpreter is first at a safepoint runs it.
    ///
    /// # Errors
    /// `AlreadyQueued`; `Ended` if the interpreter is finalizing or gone; `Busy` if too many others are at it at this
    /// moment.
    pub fn add(&self, call: &'static PendingCall<H>) -> Result<(), PendingError> {
        let _visit = self.view.visit()?;
        let slot = self.view.slot();
        if !slot.head.pending.push(call.queued()) {
            return Err(PendingError::AlreadyQueued);
        }
        self.view.rt().kick(slot, PENDING);
        Ok(())
    }

    /// Interrupts it, as [`Interpreter::interrupt`](crate::interpreter::Interpreter::interrupt) does.
    ///
    /// # Errors
    /// `Ended` and `Busy`, as for [`add`](Self::add).
    pub fn interrupt(&self) -> Result<(), PendingError> {
        let _visit = self.view.visit()?;
        self.view.rt().kick(self.view.slot(), INTERRUPT);
        Ok(())
    }
}
