//! Main's own queue: pending calls that run on main's thread alone (SPEC E2). And what else waits for that thread.

#![allow(unsafe_code)]

use core::{mem, ptr};

use crate::{
    error::PendingError,
    eval::{
        CallSlots, PendingFn,
        breaker::{PENDING, SIGNALS},
        pending::{Call, PendingList},
        signal::Signals,
    },
    host::Host,
    interpreter::{InterpreterSlot, OpenVisit},
    runtime::Runtime,
    sync::{AtomicPtr, AtomicU32, AtomicUsize, Cell, Ordering},
    thread::{Attached, place::Place},
};

/// CPython's `MAXPENDINGCALLS_MAIN`.
const CAPACITY: u32 = 32;

/// It is the runtime's, so that other interpreters need no room for one.
pub(crate) struct MainCalls<H: Host> {
    pub(super) list: PendingList,
    slots: CallSlots<H>,
    pub(super) capacity: u32,
    /// Main's slot, of this cycle or of one before.
    main: AtomicPtr<InterpreterSlot<H>>,
    /// How the host calls main's thread.
    thread: AtomicUsize,
    /// Not zero: interpreters may be queued whose last reference is gone.
    orphans: AtomicU32,
    /// Main's GIL: main's thread is running pending calls, of this queue or of main's other one.
    pub(super) passing: Cell<bool>,
    pub(super) signals: Signals<H>,
}

// SAFETY: `passing` and the handlers of signals are touched under main's GIL only; the rest are atomics, a number, and [Q1]
// slots.
unsafe impl<H: Host> Sync for MainCalls<H> {}

impl<H: Host> MainCalls<H> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            MainCalls {
                list: PendingList::new(),
                slots: CallSlots::new(),
                capacity: CAPACITY,
                main: AtomicPtr::new(ptr::null_mut()),
                thread: AtomicUsize::new(0),
                orphans: AtomicU32::new(0),
                passing: Cell::new(false),
                signals: Signals::new(),
            }
        }
    }

    pub(crate) const fn set_capacity(&mut self, calls: u32) {
        self.capacity = calls;
    }

    /// Main is made by this thread.
    pub(crate) fn claim(&self, thread: usize) {
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// Main is there.
    pub(crate) fn open(&self, main: &InterpreterSlot<H>) {
        self.main.store(ptr::from_ref(main).cast_mut(), Ordering::Release);
    }

    /// Whether calls wait for main's thread, or orphans.
    fn waits(&self) -> bool {
        !self.list.is_empty() || self.orphans.load(Ordering::Relaxed) != 0
    }

    /// Main's thread is to look for orphans, when it runs pending calls the next time.
    pub(crate) fn leave_orphans(&self) {
        self.orphans.store(1, Ordering::Release);
    }

    /// The bits of a thread state of main's that is born now, or comes to another thread: what waits for main's thread.
    pub(crate) fn waiting(&self) -> u32 {
        let calls = if self.waits() { PENDING } else { 0 };
        calls | if self.signals.is_empty() { 0 } else { SIGNALS }
    }

    /// Forgets the calls that still wait, and signals, and gives the slots back. By whoever takes main down, when visits are out.
    pub(crate) fn close(&self, rt: &Runtime<H>) {
        // SAFETY: calls of `H` alone are pushed here; [Q1] afterwards none waits, and nobody adds.
        unsafe {
            self.list.forget::<H>();
            self.slots.give_back(rt.raw());
        }
        self.signals.close(rt.raw());
    }
}

impl<H: Host> Runtime<H> {
    const_unless_loom! {
        /// This runtime with room for so many calls by [`call_main`](Self::call_main); 32 by default, as in CPython.
        #[must_use]
        pub const fn with_main_calls(mut self, calls: u32) -> Self {
            self.mains.set_capacity(calls);
            self
        }
    }

    /// Has main's thread run `run` with `argument`, at a safepoint in the main interpreter (`Py_AddPendingCall`; SPEC E2). From
    /// any thread and without a GIL; in an interrupt handler it takes a slot that was set aside
    /// ([`reserve_calls`](crate::interpreter::Interpreter::reserve_calls) of main's).
    ///
    /// Main's thread is the one that initialized the runtime, or whichever
    /// [claimed](Attached::claim_main_thread) to be it. One pass runs all that wait. What main's end finds left runs on the
    /// thread that ends it.
    ///
    /// # Errors
    /// `Full`, `NoMemory`, `NoSlot`; `Ended` where there is no main interpreter or it is finalizing; `Busy`.
    pub fn call_main(&self, run: PendingFn<H>, argument: usize) -> Result<(), PendingError> {
        let (main, _visit) = self.visit_main()?;
        let call = Call { run, argument };
        let slots = || self.mains.slots.take(call, || self.mains.capacity, self.raw());
        self.mains.list.push(main.reserved_or(self, call, slots)?);
        self.kick(main, PENDING);
        Ok(())
    }

    /// Main, and a visit that keeps it.
    pub(super) fn visit_main(&self) -> Result<(&InterpreterSlot<H>, OpenVisit<'_, H>), PendingError> {
        // SAFETY: slots are type-stable while the runtime lives.
        let main = unsafe { self.mains.main.load(Ordering::Acquire).as_ref() }.ok_or(PendingError::Ended)?;
        let visit = OpenVisit::begin(main)?;
        // The slot of an earlier main may have any tenant now, and the visit keeps it.
        if main.head.id.get().is_main() { Ok((main, visit)) } else { Err(PendingError::Ended) }
    }
}

impl<H: Host> Runtime<H> {
    /// Has main's thread look for orphans. From anywhere; after the last reference went.
    #[cold]
    pub(crate) fn look_for_orphans(&self) {
        self.mains.leave_orphans();
        loop {
            match self.visit_main() {
                Ok((main, _visit)) => return self.kick(main, PENDING),
                // A handler cannot wait for others to be done; main's next pass looks all the same.
                Err(PendingError::Busy) if !self.host().in_interrupt() => self.host().relax(),
                // The runtime's finalization ends what is left.
                _ => return,
            }
        }
    }
}

impl<H: Host> Place<'_, H> {
    /// Looks for what waits for main's thread: a thread state of the raw layer may have spent its bits on another one.
    pub(crate) fn notice_mains(self) {
        if self.interpreter.head.id.get().is_main() {
            match self.rt.mains.waiting() {
                0 => {}
                bits => self.thread.breaker.set(bits),
            }
        }
    }
}

impl<H: Host> Attached<'_, H> {
    /// This thread is main's from now on: the calls of [`Runtime::call_main`] run here, and signals are handled here
    /// ([`Runtime::raise_signal`]). A [`wait`](Self::wait) of its that is open already is not ended by signals.
    ///
    /// # Errors
    /// `NotMain` in another interpreter than main.
    pub fn claim_main_thread(&mut self) -> Result<(), PendingError> {
        if !self.id().is_main() {
            return Err(PendingError::NotMain);
        }
        self.rt().mains.claim(self.rt().host().thread_id());
        // Every thread state: this thread may have others open, which spent their bits while it was not main's.
        self.rt().locked(|_| self.slot().head.break_all(PENDING | SIGNALS));
        Ok(())
    }

    /// Ends the interpreters whose last reference is gone, detached meanwhile. On main's thread.
    pub(super) fn end_orphans(&mut self) {
        if self.rt().mains.orphans.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.rt().mains.orphans.swap(0, Ordering::Acquire);
        // SAFETY: the runtime outlives this frame, whatever happens to the token.
        let place: Place<'_, H> = unsafe { mem::transmute(self.place()) };
        self.detach(|| place.rt.end_orphans());
    }

    /// Whether this is a token of main's on main's thread.
    pub(crate) fn is_mains(&self) -> bool {
        self.id().is_main() && self.rt().host().thread_id() == self.rt().mains.thread.load(Ordering::Relaxed)
    }
}
