//! Running pending calls.

#![allow(unsafe_code)]

use crate::{
    error::Interrupt,
    eval::{breaker::PENDING, pending::PendingList},
    host::Host,
    sync::Cell,
    thread::Attached,
};

/// At most so many calls of an interpreter's run at one safepoint; the rest waits for the next (CPython's
/// `MAXPENDINGCALLSLOOP`).
const MOST_PER_PASS: u32 = 100;

/// The queues that a token may look at.
#[derive(Clone, Copy)]
enum Queue {
    /// Its interpreter's.
    Own,
    /// Main's thread's.
    Mains,
}

impl<H: Host> Attached<'_, H> {
    /// The calls of a queue, and whether they are being run.
    fn queue(&self, queue: Queue) -> (&PendingList, &Cell<bool>) {
        match queue {
            Queue::Own => (&self.slot().head.pending, &self.slot().head.runs_pending),
            Queue::Mains => (&self.rt().mains.list, &self.rt().mains.passing),
        }
    }

    /// Runs the pending calls: at most a hundred of the interpreter's; on main's thread then those that are for it. The
    /// rest waits for the next safepoint. Inside a pending call it does nothing: one handler at a time.
    ///
    /// # Errors
    /// `PendingFailed` as soon as one fails; the rest waits.
    pub(crate) fn run_pending(&mut self) -> Result<(), Interrupt> {
        let own = |cx: &mut Self| cx.pass(Queue::Own, |cx| cx.run_calls(Queue::Own, MOST_PER_PASS));
        if !self.is_mains() {
            return own(self);
        }
        self.pass(Queue::Mains, |cx| {
            cx.end_orphans();
            own(cx).and_then(|()| cx.run_mains())
        })
    }

    /// Runs what is left for main's thread, on this one: main ends. Signals are handled by main's thread alone.
    pub(crate) fn run_leftovers_of_main(&mut self) {
        self.handle_last_signals();
        while !self.rt().mains.list.is_empty() {
            let _ = self.pass(Queue::Mains, Self::run_mains);
        }
    }

    fn run_mains(&mut self) -> Result<(), Interrupt> {
        // All there can be: CPython's "no limit", but a call that adds itself again does not keep the thread.
        self.run_calls(Queue::Mains, self.rt().mains.capacity.max(MOST_PER_PASS))
    }

    /// Runs `f` unless the queue is being run.
    fn pass(
        &mut self,
        queue: Queue,
        f: impl FnOnce(&mut Self) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        struct Done<'a, 'i, H: Host>(&'a mut Attached<'i, H>, Queue);
        impl<H: Host> Drop for Done<'_, '_, H> {
            fn drop(&mut self) {
                let (list, passing) = self.0.queue(self.1);
                passing.set(false);
                // The pass over main's begins with the interpreter's own, and a safepoint inside it leaves both waiting.
                let waits = !list.is_empty()
                    || matches!(self.1, Queue::Mains) && !self.0.slot().head.pending.is_empty();
                if waits {
                    // Every thread state: others may have spent their bit on this pass, and this one may go.
                    self.0.rt().locked(|_| self.0.slot().head.break_all(PENDING));
                }
            }
        }
        if self.queue(queue).1.replace(true) {
            return Ok(());
        }
        f(Done(self, queue).0)
    }

    fn run_calls(&mut self, queue: Queue, most: u32) -> Result<(), Interrupt> {
        for _ in 0..most {
            // SAFETY: only `Runtime<H>` pushes into its lists and those of its interpreters: calls of its own `H`.
            let Some(call) = (unsafe { self.queue(queue).0.pop::<H>() }) else { break };
            if (call.run)(self, call.argument).is_err() {
                return Err(Interrupt::PendingFailed);
            }
        }
        Ok(())
    }
}
