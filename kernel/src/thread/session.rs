//! The chain of open frames of one OS thread: what the host's slot points to.
//!
//! A frame is opened by attach, enter or ensure and closed by the same call; `detach`, `enter` and
//! `call_out` lend it meanwhile. The records do not depend on the host type, so that every runtime of a
//! host can share one slot, and name their interpreter, so that a second runtime is told apart.

#![allow(unsafe_code)]

use core::ptr;

use crate::{
    host::{CurrentSlot, Host},
    interpreter::InterpreterHead,
    sync::{Cell, slot_word},
    thread::{place::Place, slot::ThreadSlot},
};

pub(crate) struct Session {
    pub(crate) thread: Cell<*const ThreadSlot>,
    pub(crate) interpreter: Cell<*const InterpreterHead>,
    /// The runtime, which the frame borrows.
    pub(crate) runtime: Cell<*const ()>,
    /// The address of the GIL it runs under: equal addresses mean one GIL and one host type.
    pub(crate) gil: Cell<*const ()>,
    pub(crate) prev: Cell<*const Session>,
    /// This thread holds the GIL of `interpreter` through `thread`.
    pub(crate) attached: Cell<bool>,
    /// The token's `&mut` is borrowed by a lending call, so another token may be opened on this thread.
    pub(crate) lent: Cell<bool>,
}

impl Session {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Session {
                thread: Cell::new(ptr::null()),
                interpreter: Cell::new(ptr::null()),
                runtime: Cell::new(ptr::null()),
                gil: Cell::new(ptr::null()),
                prev: Cell::new(ptr::null()),
                attached: Cell::new(false),
                lent: Cell::new(false),
            }
        }
    }

    /// The innermost open frame of this thread.
    #[inline]
    pub(crate) fn current<'a, H: Host>() -> Option<&'a Session> {
        let word = slot_word::<H::Slot>().cast::<Session>();
        // SAFETY: [S1] the slot holds null or a record that `open` put there on this thread and `close` has
        // not taken away: its frame, or its thread slot, is alive. The reference does not outlive the
        // kernel call that asked.
        unsafe { word.as_ref() }
    }

    /// The innermost frame, if its thread state is attached at this moment.
    #[inline]
    pub(crate) fn attached<'a, H: Host>() -> Option<&'a Session> {
        Self::current::<H>().filter(|s| s.attached.get())
    }

    /// Makes this record the innermost frame.
    ///
    /// # Safety
    /// The record stays where it is until [`close`](Self::close), on the same thread, in reverse order.
    #[inline]
    pub(crate) unsafe fn open<H: Host>(&self, place: Place<'_, H>) {
        self.thread.set(place.thread);
        // From the whole slot, so that the slot can be reached through it.
        self.interpreter.set(ptr::from_ref(place.interpreter).cast());
        self.runtime.set(ptr::from_ref(place.rt).cast());
        self.gil.set(ptr::from_ref(place.interpreter.gil()).cast());
        self.attached.set(true);
        self.lent.set(false);
        self.prev.set(H::Slot::get().cast());
        // SAFETY: the kernel writes its own slot.
        unsafe { H::Slot::set(ptr::from_ref(self).cast()) }
    }

    /// Takes this record, the innermost, out of the chain.
    #[inline]
    pub(crate) fn close<H: Host>(&self) {
        self.attached.set(false);
        // SAFETY: the kernel writes its own slot; `prev` was in it when this record was opened, and frames
        // close in reverse order.
        unsafe { H::Slot::set(self.prev.get().cast()) }
    }

    /// The innermost frame of `interpreter` on this thread.
    pub(crate) fn find<'a, H: Host>(interpreter: *const InterpreterHead) -> Option<&'a Session> {
        Self::innermost::<H>(|head| head == interpreter)
    }

    /// Whether a frame of such an interpreter is open on this thread.
    pub(crate) fn any<H: Host>(wanted: impl Fn(*const InterpreterHead) -> bool) -> bool {
        Self::innermost::<H>(wanted).is_some()
    }

    fn innermost<'a, H: Host>(wanted: impl Fn(*const InterpreterHead) -> bool) -> Option<&'a Session> {
        let mut at = Self::current::<H>();
        while let Some(session) = at {
            if wanted(session.interpreter.get()) {
                return Some(session);
            }
            // SAFETY: [S1] holds for every record of the chain.
            at = unsafe { session.prev.get().as_ref() };
        }
        None
    }
}
