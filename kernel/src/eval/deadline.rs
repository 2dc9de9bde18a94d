//! Deadlines of an interpreter and of parts of a run (SPEC E5).

#![allow(unsafe_code)]

use core::time::Duration;

use crate::{
    error::{DeadlineError, Interrupt},
    eval::scope::Scope,
    host::{Clock, Host},
    thread::Attached,
};

/// What a run with a deadline answered.
#[non_exhaustive]
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed<R> {
    /// The closure's answer.
    pub value: R,
    /// Its time was up before it returned, by this deadline or by one around it, and somebody looked
    /// ([`tick`](crate::runtime::Runtime::tick)). The interpreter's own deadline does not count.
    pub expired: bool,
}

impl<H: Host> Attached<'_, H> {
    /// Runs `f` with a deadline of its own, from now (SPEC E5). The earliest of it and those around it holds: the ones
    /// that enclose this call, and the interpreter's ([`set_deadline`](Self::set_deadline)).
    ///
    /// When it passes this thread state is told once, at its next safepoint or by the end of its
    /// [`wait`](Self::wait): [`Interrupt::Deadline`]. Other threads are not told. What `f` enters meanwhile on this OS
    /// thread ([`enter`](Self::enter), [`ensure`](crate::runtime::Runtime::ensure)), of whichever interpreter of this
    /// runtime, is bound and told too. Where `f` returns, what is around it holds again; if that has passed as well,
    /// the thread state is told again, whatever became of the error inside.
    ///
    /// A guest that yields inside `f` and is resumed later has left it: give such a run the interpreter's deadline.
    ///
    /// # Errors
    /// `TooLong` if the host's clock cannot tell it, `Finalizing`: `f` is not run.
    pub fn with_deadline<R>(
        &mut self,
        within: Duration,
        f: impl FnOnce(&mut Self) -> R,
    ) -> Result<Timed<R>, DeadlineError> {
        if self.slot().head.word.is_finalizing() {
            return Err(DeadlineError::Finalizing);
        }
        // SAFETY: used until this function returns.
        let place = unsafe { self.place_of_frame() };
        let clock = place.rt.host().clock();
        let at = clock.add(clock.now(), within).ok_or(DeadlineError::TooLong)?;
        let scope = Scope::of_time(place.thread, at, |a, b| clock.reached(b, a));
        let open = scope.open(place);
        place.rt.host().deadline_armed(within);
        let value = f(self);
        drop(open);
        Ok(Timed { value, expired: scope.passed() })
    }

    /// Sets the deadline of this interpreter, from now (SPEC E5); `None` takes it away. It is around those of
    /// [`with_deadline`](Self::with_deadline), for all its thread states, and each is told of it once, in a scope also
    /// when the scope closes.
    ///
    /// # Errors
    /// `TooLong` if the host's clock cannot tell it, `Finalizing`; the old one stands.
    pub fn set_deadline(&mut self, within: Option<Duration>) -> Result<(), DeadlineError> {
        if self.slot().head.word.is_finalizing() {
            return Err(DeadlineError::Finalizing);
        }
        match within {
            Some(within) => self.rt().arm(self.slot(), within, || {
                // One that passed and was not told yet is not this one's.
                Scope::<H>::forget_interpreters_deadline(self.thread());
            }),
            None => {
                self.rt().locked(|registry| {
                    self.rt().disarm(registry, self.slot());
                    Scope::<H>::forget_interpreters_deadline(self.thread());
                });
                Ok(())
            }
        }
    }

    /// Looks at the deadlines of the whole runtime and makes a safepoint: for hosts without a timer, where the code that
    /// runs has to look itself. It reads the clock, so less often than each safepoint is enough.
    ///
    /// # Errors
    /// As for [`safepoint`](Self::safepoint).
    pub fn poll(&mut self) -> Result<(), Interrupt> {
        let _next = self.rt().tick();
        self.safepoint()
    }
}
