//! Adding pending calls with the GIL, and setting slots aside (SPEC E2). Without it: [`Port`](crate::interpreter::Port).

use crate::{
    error::{LookupError, PendingError},
    eval::{
        PendingCall, PendingFn,
        breaker::{MINE, PENDING},
        pending::{Call, QueuedCall},
    },
    host::Host,
    interpreter::{Interpreter, InterpreterSlot, Phase},
    runtime::Runtime,
    thread::{Attached, place::Place, slot::ThreadSlot},
};

impl<H: Host> Attached<'_, H> {
    /// Has this interpreter run `run` with `argument` at the next safepoint of any of its threads, most likely this one's.
    /// It takes a slot of the kernel's, but neither a lock nor a look at other threads.
    ///
    /// # Errors
    /// `Full`, `NoMemory`; `Ended` in a finalizing interpreter.
    ///
    /// ```
    /// # use archipelago_kernel::{Attached, Host};
    /// # fn demo<H: Host>(cx: &mut Attached<'_, H>) -> Result<(), Box<dyn core::error::Error>> {
    /// cx.call_soon(|_, argument| if argument == 7 { Ok(()) } else { Err(archipelago_kernel::eval::PendingFailed) }, 7)?;
    /// cx.safepoint()?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn call_soon(&self, run: PendingFn<H>, argument: usize) -> Result<(), PendingError> {
        self.takes_calls()?;
        self.push_held(self.slot().hold_call(self.rt(), Call { run, argument })?);
        Ok(())
    }

    /// As [`call_soon`](Self::call_soon), with a node of the caller's: it takes no memory either.
    ///
    /// # Errors
    /// `AlreadyQueued`; `Ended` in a finalizing interpreter.
    #[inline]
    pub fn add_call(&self, call: &'static PendingCall<H>) -> Result<(), PendingError> {
        self.takes_calls()?;
        self.push_held(call.queue().ok_or(PendingError::AlreadyQueued)?);
        Ok(())
    }

    /// As for ports, but also while the interpreter is created. Who has a token keeps CLEARING away, where it is not there
    /// already.
    #[inline]
    fn takes_calls(&self) -> Result<(), PendingError> {
        if self.is_open() { Ok(()) } else { Err(PendingError::Ended) }
    }

    /// Whether what runs here goes on.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        matches!(self.slot().head.word.phase(), Phase::Creating | Phase::Running | Phase::Ending)
    }

    /// What the frame leaves behind when it closes.
    #[cold]
    pub(crate) fn tidy(&mut self) {
        self.settle();
        self.place().share_calls();
    }

    #[inline]
    fn push_held(&self, call: QueuedCall) {
        self.slot().head.pending.push_held(call);
        self.thread().breaker.set(PENDING | MINE);
    }
}

impl<H: Host> Place<'_, H> {
    /// Of calls that this thread state alone was told of the others are told: this one lets the GIL go, or goes itself.
    /// Holder only.
    #[inline]
    pub(crate) fn share_calls(self) {
        if self.thread.breaker.bits() & MINE != 0 {
            tell_of_calls(self.rt, self.interpreter, self.thread);
        }
    }
}

#[cold]
#[inline(never)]
fn tell_of_calls<H: Host>(rt: &Runtime<H>, interpreter: &InterpreterSlot<H>, thread: &ThreadSlot) {
    thread.breaker.take(MINE);
    rt.locked(|_| interpreter.head.break_all(PENDING));
}

impl<H: Host> Interpreter<'_, H> {
    /// Sees to it that so many slots are set aside for interrupt handlers, besides the others: there
    /// [`Port::call`](crate::interpreter::Port::call) and, in main, [`Runtime::call_main`](crate::runtime::Runtime::call_main)
    /// use these and no others, and nobody else does. A reset gives them back.
    ///
    /// # Errors
    /// `NoMemory`: there are as many as before. `Ended`, `Busy`, `InInterrupt`.
    pub fn reserve_calls(&self, count: u32) -> Result<(), PendingError> {
        let view = self.view().map_err(|error| match error {
            LookupError::InInterrupt => PendingError::InInterrupt,
            _ => PendingError::Ended,
        })?;
        let _visit = view.visit()?;
        view.slot().reserve_calls(view.rt(), count)
    }
}
