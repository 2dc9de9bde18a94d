//! Safepoints: where running code lets others in and is told to stop.

#![allow(unsafe_code)]

use crate::{
    error::{DeadlineError, Interrupt},
    eval::breaker::{ASYNC, COLLECT, DEADLINE, DROP_GIL, FINALIZING, INTERRUPT, MINE, OWED, PENDING, STOP},
    gil::Counter,
    host::Host,
    thread::Attached,
};
use core::time::Duration;

impl<H: Host> Attached<'_, H> {
    /// Lets another thread have the GIL if one asked, runs pending calls, releases what is owed, and says
    /// whether to stop. With nothing to do it is one relaxed load. Call it at back edges and calls.
    ///
    /// # Errors
    /// Why the running code should stop. `Finalizing` is repeated until the thread has left; the others are
    /// told once.
    #[inline]
    pub fn safepoint(&mut self) -> Result<(), Interrupt> {
        match self.thread().breaker.bits() {
            0 => Ok(()),
            _ => self.answer_breaker(),
        }
    }

    #[cold]
    #[inline(never)]
    fn answer_breaker(&mut self) -> Result<(), Interrupt> {
        if self.thread().breaker.take(STOP) != 0 {
            self.pause();
        }
        if self.thread().breaker.take(DROP_GIL) != 0 {
            let place = self.place();
            // SAFETY: [T1] the token proves that this thread holds the GIL through its place.
            let held =
                unsafe { place.interpreter.gil().hand_over(place.rt, place.thread, &place.interpreter.head) };
            held.inspect(|held| place.interpreter.held_time.add(*held));
        }
        let breaker = &self.thread().breaker;
        if breaker.bits() & FINALIZING != 0 {
            self.place().notice_finalizing();
            return Err(Interrupt::Finalizing);
        }
        if breaker.bits() & OWED != 0 {
            self.settle();
        }
        if self.thread().breaker.take(COLLECT) != 0 {
            self.tell_memory_low();
        }
        if self.thread().breaker.take(PENDING | MINE) != 0 {
            self.run_pending()?;
        }
        if self.thread().breaker.take(ASYNC) != 0 && self.is_raised() {
            return Err(Interrupt::Raised);
        }
        let breaker = &self.thread().breaker;
        if breaker.take(INTERRUPT) != 0 {
            return Err(Interrupt::Requested);
        }
        if breaker.take(DEADLINE) != 0 {
            return Err(Interrupt::Deadline);
        }
        Ok(())
    }

    /// Tells the guest that the limit is near. Afterwards it is told again when the limit is near again, or nearer.
    fn tell_memory_low(&mut self) {
        struct Done<'a, 'i, H: Host>(&'a mut Attached<'i, H>);
        impl<H: Host> Drop for Done<'_, '_, H> {
            fn drop(&mut self) {
                let head = &self.0.slot().head;
                head.collecting.set(false);
                let _ = head.account.watch();
            }
        }
        if self.slot().head.collecting.replace(true) {
            return;
        }
        let done = Done(self);
        if let Ok(table) = done.0.guest_table() {
            (table.memory_low)(done.0);
        }
    }

    /// Takes `units` of work off the fuel, if any was set (SPEC E6).
    ///
    /// # Errors
    /// `OutOfFuel` if less was left; it is then zero. `Finalizing` in a finalizing interpreter.
    #[inline]
    pub fn spend(&mut self, units: u64) -> Result<(), Interrupt> {
        if self.slot().head.word.is_finalizing() {
            return Err(Interrupt::Finalizing);
        }
        let head = &self.slot().head;
        let Some(left) = head.fuel() else { return Ok(()) };
        head.set_fuel(Some(left.saturating_sub(units)));
        if left < units { Err(Interrupt::OutOfFuel) } else { Ok(()) }
    }

    /// Fuel left; `None` means that none is set and the work is not limited.
    pub fn fuel(&self) -> Option<u64> {
        self.slot().head.fuel()
    }

    /// Sets the fuel.
    pub fn set_fuel(&mut self, units: Option<u64>) {
        self.slot().head.set_fuel(units);
    }

    /// Sets the deadline of this interpreter, from now (SPEC E5); `None` takes it away.
    ///
    /// # Errors
    /// `TooLong` if the host's clock cannot tell it, `Finalizing`; the old one stands.
    pub fn set_deadline(&mut self, within: Option<Duration>) -> Result<(), DeadlineError> {
        if self.slot().head.word.is_finalizing() {
            return Err(DeadlineError::Finalizing);
        }
        match within {
            Some(within) => self.rt().arm(self.slot(), within),
            None => {
                self.rt().locked(|registry| self.rt().disarm(registry, self.slot()));
                self.thread().breaker.take(DEADLINE);
                Ok(())
            }
        }
    }
}
