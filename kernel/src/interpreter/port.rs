//! A way into an interpreter that needs no GIL, no memory and waits for no lock: for interrupt handlers.

use crate::{
    error::PendingError,
    eval::{
        PendingCall, PendingFn,
        breaker::{INTERRUPT, PENDING},
        pending::Call,
    },
    host::Host,
    interpreter::View,
};

/// Adds pending calls to one interpreter and interrupts it, from anywhere, interrupt handlers included (SPEC E2,
/// E3). `Copy`, `Send` and `Sync`; it may outlive the interpreter.
pub struct Port<'rt, H: Host> {
    pub(super) view: View<'rt, H>,
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
        slot.head.pending.push(call.queue().ok_or(PendingError::AlreadyQueued)?);
        self.view.rt().kick(slot, PENDING);
        Ok(())
    }

    /// As [`add`](Self::add), in a slot of the kernel's: there are as many as the config says
    /// ([`pending_calls`](crate::config::InterpreterConfig::pending_calls)), and their memory is taken when first needed. In an interrupt
    /// handler, where the host can tell, it takes one of those that were
    /// [set aside](crate::interpreter::Interpreter::reserve_calls); where it cannot, a handler uses nodes of its own.
    ///
    /// # Errors
    /// `Full` if so many wait, `NoMemory`; in a handler `NoSlot`. `Ended` and `Busy` as for [`add`](Self::add).
    pub fn call(&self, run: PendingFn<H>, argument: usize) -> Result<(), PendingError> {
        let _visit = self.view.visit()?;
        let (rt, slot, call) = (self.view.rt(), self.view.slot(), Call { run, argument });
        slot.head.pending.push(slot.reserved_or(rt, call, || slot.hold_call(rt, call))?);
        rt.kick(slot, PENDING);
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
