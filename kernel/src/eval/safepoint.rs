//! Safepoints: where running code lets others in and is told to stop.

#![allow(unsafe_code)]

use crate::{
    error::Interrupt,
    eval::breaker::{
        ASYNC, COLLECT, DEADLINE, DROP_GIL, FINALIZING, FUEL, INTERRUPT, MINE, OWED, PENDING, SIGNALS, STOP,
    },
    gil::Counter,
    host::Host,
    sync::{Ordering, fence},
    thread::Attached,
};

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
        if self.is_asked() && self.thread().breaker.take(DROP_GIL) != 0 {
            let place = self.place();
            // SAFETY: [T1] the token proves that this thread holds the GIL through its place.
            let held =
                unsafe { place.interpreter.gil().hand_over(place.rt, place.thread, &place.interpreter.head) };
            held.inspect(|held| place.interpreter.held_time.add(*held));
        }
        let breaker = &self.thread().breaker;
        if breaker.bits() & FINALIZING != 0 {
            // Who is told here is told by every other call too: pairs with the release that set the bit.
            fence(Ordering::Acquire);
            self.place().notice_finalizing();
            return Err(Interrupt::Finalizing);
        }
        if breaker.bits() & OWED != 0 {
            self.settle();
        }
        // A guest whose state is lent could free nothing: it is told when it has it again.
        if !self.is_guest_lent() && self.thread().breaker.take(COLLECT) != 0 {
            self.tell_memory_low();
        }
        if self.thread().breaker.take(SIGNALS) != 0 {
            self.handle_signals()?;
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
        if breaker.take(FUEL) != 0 && self.is_dry() {
            return Err(Interrupt::OutOfFuel);
        }
        Ok(())
    }

    /// Whether somebody asked for the GIL, and its time has come.
    fn is_asked(&self) -> bool {
        self.thread().breaker.bits() & DROP_GIL != 0 && self.slot().gil().is_due()
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
}
