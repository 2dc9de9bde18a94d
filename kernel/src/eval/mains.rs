//! Main's own queue: pending calls that run on main's thread alone (SPEC E2).

#![allow(unsafe_code)]

use core::ptr;

use crate::{
    error::PendingError,
    eval::{
        CallSlots, PendingFn,
        breaker::PENDING,
        pending::{Call, PendingList},
    },
    host::Host,
    interpreter::{InterpreterSlot, OpenVisit},
    runtime::Runtime,
    sync::{AtomicPtr, AtomicUsize, Cell, Ordering},
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
    /// Main's GIL: main's thread is running pending calls, of this queue or of main's other one.
    pub(super) passing: Cell<bool>,
}

// SAFETY: `passing` is touched under main's GIL only; the rest are atomics, a number, and [Q1] slots.
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
                passing: Cell::new(false),
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

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets the calls that still wait and gives the slots back. By whoever takes main down, when visits are out.
    pub(crate) fn close(&self, rt: &Runtime<H>) {
        // SAFETY: calls of `H` alone are pushed here; [Q1] afterwards none waits, and nobody adds.
        unsafe {
            self.list.forget::<H>();
            self.slots.give_back(rt.raw());
        }
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
        // SAFETY: slots are type-stable while the runtime lives.
        let main = unsafe { self.mains.main.load(Ordering::Acquire).as_ref() }.ok_or(PendingError::Ended)?;
        let _visit = OpenVisit::begin(main)?;
        // The slot of an earlier main may have any tenant now, and the visit keeps it.
        if !main.head.id.get().is_main() {
            return Err(PendingError::Ended);
        }
        let call = Call { run, argument };
        let slots = || self.mains.slots.take(call, || self.mains.capacity, self.raw());
        self.mains.list.push(main.reserved_or(self, call, slots)?);
        self.kick(main, PENDING);
        Ok(())
    }
}

impl<H: Host> Place<'_, H> {
    /// Looks for calls that wait for main's thread: a thread state of the raw layer may have spent its bit on another one.
    pub(crate) fn notice_mains(self) {
        if self.interpreter.head.id.get().is_main() && !self.rt.mains.is_empty() {
            self.thread.breaker.set(PENDING);
        }
    }
}

impl<H: Host> Attached<'_, H> {
    /// This thread is main's from now on: the calls of [`Runtime::call_main`] run here.
    ///
    /// # Errors
    /// `NotMain` in another interpreter than main.
    pub fn claim_main_thread(&mut self) -> Result<(), PendingError> {
        if !self.id().is_main() {
            return Err(PendingError::NotMain);
        }
        self.rt().mains.claim(self.rt().host().thread_id());
        self.thread().breaker.set(PENDING);
        Ok(())
    }

    /// Whether this is a token of main's on main's thread.
    pub(super) fn is_mains(&self) -> bool {
        self.id().is_main() && self.rt().host().thread_id() == self.rt().mains.thread.load(Ordering::Relaxed)
    }
}
