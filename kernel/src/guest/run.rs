//! Running a guest: the main slot, and the steps of a run (SPEC L7).

use core::ptr;

use crate::{
    error::{GuestError, Interrupt},
    guest::{Fault, Step, Value},
    host::Host,
    interpreter::InterpreterHead,
    sync::Ordering,
    thread::{Attached, slot::ThreadSlot},
};

impl InterpreterHead {
    /// Takes the main slot for `thread`. `false`: another thread state has it.
    #[must_use]
    pub(crate) fn take_main_slot(&self, thread: &ThreadSlot) -> bool {
        let me = ptr::from_ref(thread).cast_mut();
        let free = ptr::null_mut();
        self.running.compare_exchange(free, me, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Leaves the main slot, if `thread` has it.
    pub(crate) fn vacate_main_slot(&self, thread: &ThreadSlot) {
        let me = ptr::from_ref(thread).cast_mut();
        let _ = self.running.compare_exchange(me, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Whether a thread state holds the main slot.
    pub(crate) fn is_running(&self) -> bool {
        !self.running.load(Ordering::Acquire).is_null()
    }

    /// Whether `thread` has the main slot.
    pub(crate) fn is_run_by(&self, thread: &ThreadSlot) -> bool {
        ptr::eq(self.running.load(Ordering::Acquire), thread)
    }
}

impl<H: Host> Attached<'_, H> {
    /// Runs `source` in the main namespace. The thread state holds the interpreter's main slot until the run is
    /// over: after `Yielded` or `Waiting` go on with [`resume`](Self::resume).
    pub fn exec(&mut self, source: &[u8]) -> Step {
        self.run(|cx| match cx.guest_table() {
            Ok(table) => (table.exec)(cx, source),
            Err(error) => Step::Failed(error.into()),
        })
    }

    /// Calls a function of the main namespace. The main slot is held as for [`exec`](Self::exec).
    pub fn call(&mut self, name: &str, arguments: &[Value]) -> Step {
        self.run(|cx| match cx.guest_table() {
            Ok(table) => (table.call)(cx, name, arguments),
            Err(error) => Step::Failed(error.into()),
        })
    }

    /// Goes on with a run of this thread state that yielded or waited.
    pub fn resume(&mut self) -> Step {
        if self.slot().head.word.is_finalizing() {
            return Step::Failed(Fault::Interrupted(Interrupt::Finalizing));
        }
        if !self.slot().head.is_run_by(self.thread()) {
            return Step::Failed(Fault::Refused(GuestError::NotRunning));
        }
        self.step(|cx| match cx.guest_table() {
            Ok(table) => (table.resume)(cx),
            Err(error) => Step::Failed(error.into()),
        })
    }

    /// Gives a run of this thread state up: the main slot is free again.
    pub fn abandon(&mut self) {
        self.slot().head.vacate_main_slot(self.thread());
    }

    /// Whether a thread state of this interpreter holds the main slot.
    pub fn is_running(&self) -> bool {
        self.slot().head.is_running()
    }

    /// Evaluates the innermost frame of this thread state, by the frame evaluation function if there is one
    /// (SPEC E7).
    pub fn eval_frame(&mut self, throwing: bool) -> Step {
        match (self.frame_eval(), self.guest_table()) {
            (Some(eval), _) => eval(self, throwing),
            (None, Ok(table)) => (table.eval)(self, throwing),
            (None, Err(error)) => Step::Failed(error.into()),
        }
    }

    fn run(&mut self, step: impl FnOnce(&mut Self) -> Step) -> Step {
        let slot = self.slot();
        if slot.head.word.is_finalizing() {
            return Step::Failed(Fault::Interrupted(Interrupt::Finalizing));
        }
        // A close holds the main slot by the reserve, through which its callbacks run: they may run something too.
        if slot.head.is_run_by(&slot.reserve) && ptr::eq(self.thread(), &slot.reserve) {
            return step(self);
        }
        if !slot.head.take_main_slot(self.thread()) {
            return Step::Failed(Fault::Refused(GuestError::AlreadyRunning));
        }
        self.step(step)
    }

    fn step(&mut self, step: impl FnOnce(&mut Self) -> Step) -> Step {
        struct Vacate<'a, 'i, H: Host>(&'a mut Attached<'i, H>, bool);
        impl<H: Host> Drop for Vacate<'_, '_, H> {
            fn drop(&mut self) {
                if self.1 {
                    self.0.abandon();
                }
            }
        }
        let mut vacate = Vacate(self, true);
        let answer = step(vacate.0);
        vacate.1 = answer.is_over();
        answer
    }
}
