//! The chain of open frames of one OS thread: what the host's slot points to.
//!
//! A frame is opened by attach, enter or ensure and closed by the same call; `detach`, `enter` and
//! `call_out` lend it meanwhile. The records do not depend on the host type, so that every runtime of a
//! host can share one slot, and name their interpreter, so that a second runtime is told apart.

#![allow(unsafe_code)]

use core::{marker::PhantomData, ptr};

use crate::{
    host::{CurrentSlot, Host},
    interpreter::InterpreterHead,
    runtime::Runtime,
    sync::{Cell, slot_word},
    thread::{place::Place, slot::ThreadSlot},
};

/// What this thread holds through a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nothing: another thread state may be attached.
    Nothing,
    /// The GIL, with the thread state attached.
    Gil,
    /// The GIL, with the thread state detached inside `Attached::stop`.
    Kept,
    /// Every GIL of the runtime: inside `stop_all`, with nothing attached.
    World,
}

impl Hold {
    /// It keeps others stopped, so this thread takes no other GIL.
    pub(crate) fn stops(self) -> bool {
        matches!(self, Hold::Kept | Hold::World)
    }
}

pub(crate) struct Session {
    pub(crate) thread: Cell<*const ThreadSlot>,
    /// Null, as `thread`, where `hold` is `World` and no thread state is detached there.
    pub(crate) interpreter: Cell<*const InterpreterHead>,
    /// The runtime, which the frame borrows.
    pub(crate) runtime: Cell<*const ()>,
    /// The address of the GIL it runs under: equal addresses mean one GIL and one host type.
    pub(crate) gil: Cell<*const ()>,
    pub(crate) prev: Cell<*const Session>,
    pub(crate) hold: Cell<Hold>,
    /// The token's `&mut` is borrowed by a lending call, so another token may be opened on this thread.
    pub(crate) lent: Cell<bool>,
}

/// An open record. Dropped, it is closed.
pub(crate) struct Opened<'a, H: Host>(&'a Session, PhantomData<fn() -> H>);

impl<H: Host> Drop for Opened<'_, H> {
    #[inline]
    fn drop(&mut self) {
        self.0.close::<H>();
    }
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
                hold: Cell::new(Hold::Nothing),
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
        Self::current::<H>().filter(|s| s.hold.get() == Hold::Gil)
    }

    /// What this thread holds, if anything: it may take no GIL then.
    #[inline]
    pub(crate) fn held<H: Host>() -> Option<Hold> {
        Self::current::<H>().map(|s| s.hold.get()).filter(|hold| *hold != Hold::Nothing)
    }

    /// Makes this record the innermost frame.
    ///
    /// # Safety
    /// The record stays where it is until [`close`](Self::close), on the same thread, in reverse order.
    #[inline]
    pub(crate) unsafe fn open<H: Host>(&self, place: Place<'_, H>) {
        // SAFETY: passed on.
        unsafe { self.open_inside(place, H::Slot::get().cast()) }
    }

    /// Makes this record the innermost frame in place of `other`, which is, and is closed.
    ///
    /// # Safety
    /// As for [`open`](Self::open).
    #[inline]
    pub(crate) unsafe fn replace<H: Host>(&self, place: Place<'_, H>, other: &Session) {
        other.hold.set(Hold::Nothing);
        // SAFETY: passed on.
        unsafe { self.open_inside(place, other.prev.get()) }
    }

    /// # Safety
    /// As for [`open`](Self::open); `outer` is the next outer frame, or null.
    #[inline]
    unsafe fn open_inside<H: Host>(&self, place: Place<'_, H>, outer: *const Session) {
        self.thread.set(place.thread);
        // From the whole slot, so that the slot can be reached through it.
        self.interpreter.set(ptr::from_ref(place.interpreter).cast());
        self.runtime.set(ptr::from_ref(place.rt).cast());
        self.gil.set(ptr::from_ref(place.interpreter.gil()).cast());
        self.lent.set(false);
        // SAFETY: passed on from the caller.
        unsafe { self.push::<H>(Hold::Gil, outer) }
    }

    /// As [`open`](Self::open), until the answer is dropped.
    ///
    /// # Safety
    /// As there; the answer is dropped, in reverse order, before anything else happens to the record.
    #[inline]
    pub(crate) unsafe fn opened<'a, H: Host>(&'a self, place: Place<'_, H>) -> Opened<'a, H> {
        // SAFETY: passed on.
        unsafe { self.open(place) };
        Opened(self, PhantomData)
    }

    /// Makes this record the innermost frame: one without a thread state, of a thread that holds every GIL of `rt`.
    ///
    /// # Safety
    /// As for [`open`](Self::open).
    pub(crate) unsafe fn open_world<H: Host>(&self, rt: &Runtime<H>) {
        self.runtime.set(ptr::from_ref(rt).cast());
        // SAFETY: passed on from the caller.
        unsafe { self.push::<H>(Hold::World, H::Slot::get().cast()) }
    }

    /// # Safety
    /// As for [`open`](Self::open).
    #[inline]
    unsafe fn push<H: Host>(&self, hold: Hold, outer: *const Session) {
        self.hold.set(hold);
        self.prev.set(outer);
        // SAFETY: the kernel writes its own slot.
        unsafe { H::Slot::set(ptr::from_ref(self).cast()) }
    }

    /// Takes this record, the innermost, out of the chain.
    #[inline]
    pub(crate) fn close<H: Host>(&self) {
        self.hold.set(Hold::Nothing);
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
