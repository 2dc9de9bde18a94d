//! Threads that an end joins (SPEC L8).

use crate::{
    error::ThreadError,
    host::Host,
    interpreter::{Interpreter, InterpreterId, Phase, View, end},
    sync::Ordering,
};

/// An end of the interpreter waits until this is dropped: for a thread that is not a daemon, from before it starts until its
/// thread state is gone (`threading._register_atexit`, `threading.Thread.join` at shutdown; SPEC L8, T7). `Send`.
///
/// A thread that asks for an end without a time limit while it holds one waits for itself. It is not dropped in an interrupt
/// handler. Other than a [`Guard`](crate::interpreter::Guard) it is waited for while callbacks may still be registered and run.
#[must_use = "dropping it says that the thread is over"]
pub struct JoinTicket<'rt, H: Host> {
    view: View<'rt, H>,
}

impl<H: Host> JoinTicket<'_, H> {
    /// The interpreter whose end waits.
    pub fn id(&self) -> InterpreterId {
        self.view.id()
    }
}

impl<'rt, H: Host> Interpreter<'rt, H> {
    /// A ticket for a thread that the end of this interpreter is to join.
    ///
    /// # Errors
    /// `Finalizing` or `NotFound` where it is too late, `NotReady`, `InInterrupt`.
    pub fn join_ticket(&self) -> Result<JoinTicket<'rt, H>, ThreadError> {
        if self.rt.host().in_interrupt() {
            return Err(ThreadError::InInterrupt);
        }
        let view = self.view().map_err(|_| ThreadError::NotFound)?;
        let head = &view.slot().head;
        let phase = self.rt.locked(|registry| {
            // Under the lock, as the step to FINALIZING.
            self.rt.listed(registry, self.id).map_err(|_| ThreadError::NotFound)?;
            let phase = head.word.takes_threads()?;
            head.joinable.fetch_add(1, Ordering::Relaxed);
            Ok(phase)
        })?;
        if phase == Phase::Ending {
            end::wake(self.rt, view.slot());
        }
        Ok(JoinTicket { view })
    }
}

impl<H: Host> Drop for JoinTicket<'_, H> {
    fn drop(&mut self) {
        let slot = self.view.slot();
        // Release: what the thread did comes before what the ender does.
        if slot.head.joinable.fetch_sub(1, Ordering::Release) == 1 {
            end::wake(self.view.rt(), slot);
        }
    }
}
