//! The memory of one thread state. It is type-stable: a slot is reused for other thread states but not
//! returned while anything could still reach it, so a late request finds a stale slot, never freed memory.
#![allow(unsafe_code)]

use core::{ptr, ptr::NonNull};

use crate::{
    eval::{
        Raise,
        breaker::{Breaker, COLLECT},
    },
    interpreter::InterpreterHead,
    memory::{AllocCause, Nearness},
    sync::{AtomicPtr, AtomicU32, Cell, Ordering, tally},
    thread::{session::Session, wait::Waiter},
};

/// What a thread state is doing, for those who look from outside.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// No frame of it is open.
    Detached,
    /// Its thread holds the GIL through it.
    Attached,
    /// A frame is open, and its thread let the GIL go.
    Suspended,
    /// Its thread waits for the GIL.
    Waiting,
}

/// Who made a thread state (SPEC T1).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThreadWhence {
    /// Not known.
    Unknown,
    /// The creation of its interpreter.
    Init,
    /// The end of its interpreter.
    Fini,
    /// A thread of the host.
    Threading,
    /// The raw layer.
    CApi,
    /// A run in the interpreter, or an ensure.
    Exec,
}

pub(crate) struct ThreadSlot {
    /// Odd while a thread state lives here; one up at every birth and death.
    generation: AtomicU32,
    status: tally::AtomicU8,
    pub(crate) breaker: Breaker,
    /// Set at birth, constant while the thread state lives.
    pub(crate) interpreter: Cell<*const InterpreterHead>,
    pub(crate) number: Cell<u64>,
    pub(crate) whence: Cell<ThreadWhence>,
    /// Under the runtime's lock: the interpreter's list, newest first; or the free slots.
    pub(crate) next: Cell<*const ThreadSlot>,
    pub(crate) prev: Cell<*const ThreadSlot>,
    /// Under the runtime's lock: all slots of the runtime.
    pub(crate) next_slot: Cell<*mut ThreadSlot>,
    /// Under the runtime's lock: how to wake the thread while it waits in `Attached::wait`; on that call's stack.
    pub(crate) wake: Cell<*const Waiter>,
    /// Of the OS thread that has a frame of the thread state open: the innermost scope with a deadline or fuel of its own.
    pub(crate) scopes: Cell<*const ()>,
    /// Under the runtime's lock: what was raised in the thread state.
    pub(crate) raised: Cell<Option<Raise>>,
    /// Of the thread that has the thread state: it let its GIL go because somebody asked, at so many switches (their low
    /// bits).
    gave_way_at: Cell<u32>,
    gave_way: Cell<bool>,
    /// Under the GIL: the guest's data of this thread state. Its own thread looks at it without.
    guest: AtomicPtr<()>,
    /// Under the GIL: cleared by the raw layer, ready to be deleted.
    pub(crate) cleared: Cell<bool>,
    /// The generation that a caller of the raw layer uses, or an older one, or 0.
    raw_user: AtomicU32,
    /// The record of a raw attach, which has no frame on the stack. Of the raw user.
    pub(crate) session: Session,
}

// SAFETY: each field's rule (const, lock, GIL; docs/soundness/slots.md) orders its accesses.
unsafe impl Sync for ThreadSlot {}

impl ThreadSlot {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            ThreadSlot {
                generation: AtomicU32::new(0),
                status: tally::AtomicU8::new(0),
                breaker: Breaker::new(),
                interpreter: Cell::new(ptr::null()),
                number: Cell::new(0),
                whence: Cell::new(ThreadWhence::Unknown),
                next: Cell::new(ptr::null()),
                prev: Cell::new(ptr::null()),
                next_slot: Cell::new(ptr::null_mut()),
                wake: Cell::new(ptr::null()),
                scopes: Cell::new(ptr::null()),
                raised: Cell::new(None),
                gave_way_at: Cell::new(0),
                gave_way: Cell::new(false),
                guest: AtomicPtr::new(ptr::null_mut()),
                cleared: Cell::new(false),
                raw_user: AtomicU32::new(0),
                session: Session::new(),
            }
        }
    }

    /// At how many switches it let its GIL go because somebody asked, if it did.
    #[inline]
    pub(crate) fn gave_way(&self) -> Option<u32> {
        self.gave_way.get().then_some(self.gave_way_at.get())
    }

    #[inline]
    pub(crate) fn set_gave_way(&self, at: Option<u32>) {
        self.gave_way.set(at.is_some());
        self.gave_way_at.set(at.unwrap_or(0));
    }

    /// The generation of the thread state that lives here, odd, or an even number.
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Birth of a thread state, with these breaker bits: its generation.
    pub(crate) fn be_born(
        &self,
        interpreter: &InterpreterHead,
        number: u64,
        whence: ThreadWhence,
        breaker: u32,
    ) -> u32 {
        self.interpreter.set(interpreter);
        self.number.set(number);
        self.whence.set(whence);
        self.breaker.reset(breaker);
        self.cleared.set(false);
        self.wake.set(ptr::null());
        self.raised.set(None);
        self.set_gave_way(None);
        self.set_guest(ptr::null_mut());
        self.set_status(Status::Detached);
        let born = self.generation.load(Ordering::Relaxed).wrapping_add(1);
        self.generation.store(born, Ordering::Release);
        born
    }

    /// Death of the thread state. `false`: the slot has used up its generations and is retired.
    #[must_use]
    pub(crate) fn die(&self) -> bool {
        let dead = self.generation.load(Ordering::Relaxed).wrapping_add(1);
        self.generation.store(dead, Ordering::Release);
        dead != 0
    }

    /// The guest's data of the thread state that lives here, or null. Without the GIL: of whichever lived here.
    pub(crate) fn guest(&self) -> *mut () {
        self.guest.load(Ordering::Relaxed)
    }

    pub(crate) fn set_guest(&self, data: *mut ()) {
        self.guest.store(data, Ordering::Relaxed);
    }

    /// Takes the guest's data out. Under the GIL.
    pub(crate) fn take_guest(&self) -> Option<NonNull<u8>> {
        let data = NonNull::new(self.guest())?;
        self.set_guest(ptr::null_mut());
        Some(data.cast())
    }

    /// Takes the thread state of `generation` for the raw layer's own use. `false`: another caller has it, or it is
    /// gone. What died while it was used stays taken.
    #[must_use]
    pub(crate) fn take_raw(&self, generation: u32) -> bool {
        let user = self.raw_user.load(Ordering::Relaxed);
        // Generations only grow, so an older user is one that died.
        user < generation
            && self.raw_user.compare_exchange(user, generation, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Ends the use.
    pub(crate) fn leave_raw(&self, generation: u32) {
        let _ = self.raw_user.compare_exchange(generation, 0, Ordering::Release, Ordering::Relaxed);
    }

    /// As [`leave_raw`](Self::leave_raw), where the thread state is sure to live until then: nobody else writes the word while
    /// it is in use, for its generation is the newest.
    #[inline]
    pub(crate) fn leave_raw_alive(&self) {
        self.raw_user.store(0, Ordering::Release);
    }

    /// Near the memory limit the guest is told at the next safepoint.
    pub(crate) fn notice(&self, nearness: Nearness) {
        if nearness == Nearness::Near {
            self.breaker.set(COLLECT);
        }
    }

    /// As near the limit, where a request would have passed it: what is freed may be enough the next time. Answers the cause.
    pub(crate) fn refused(&self, cause: AllocCause) -> AllocCause {
        if matches!(cause, AllocCause::SoftLimit | AllocCause::HardLimit) {
            self.breaker.set(COLLECT);
        }
        cause
    }

    /// Both, for an account's answer.
    pub(crate) fn heard(&self, answer: Result<Nearness, AllocCause>) -> Result<(), AllocCause> {
        answer.map(|nearness| self.notice(nearness)).map_err(|cause| self.refused(cause))
    }

    #[inline]
    pub(crate) fn set_status(&self, status: Status) {
        self.status.store(status as u8, Ordering::Relaxed);
    }

    pub(crate) fn status(&self) -> Status {
        match self.status.load(Ordering::Relaxed) {
            1 => Status::Attached,
            2 => Status::Suspended,
            3 => Status::Waiting,
            _ => Status::Detached,
        }
    }
}
