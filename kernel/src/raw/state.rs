//! Names of raw thread states, and their use.

#![allow(unsafe_code)]

use core::{marker::PhantomData, mem, ptr};

use crate::{
    error::ThreadError,
    host::Host,
    interpreter::{InterpreterId, InterpreterSlot},
    runtime::Runtime,
    thread::{Status, ThreadState, ThreadWhence, place::Place, slot::ThreadSlot},
};

/// A thread state by pointer and generation (`PyThreadState *`). It may outlive what it names: every function
/// answers so.
pub struct RawThreadState<H: Host> {
    pub(super) thread: *const ThreadSlot,
    pub(super) interpreter: *const InterpreterSlot<H>,
    pub(super) generation: u32,
    host: PhantomData<fn() -> H>,
}

impl<H: Host> Clone for RawThreadState<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for RawThreadState<H> {}

impl<H: Host> PartialEq for RawThreadState<H> {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.thread, other.thread) && self.generation == other.generation
    }
}

impl<H: Host> Eq for RawThreadState<H> {}

impl<H: Host> core::fmt::Debug for RawThreadState<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RawThreadState").field("generation", &self.generation).finish_non_exhaustive()
    }
}

// SAFETY: a name; what it leads to is reached by `unsafe` functions only.
unsafe impl<H: Host> Send for RawThreadState<H> {}
// SAFETY: as above.
unsafe impl<H: Host> Sync for RawThreadState<H> {}

impl<H: Host> RawThreadState<H> {
    /// The thread state that lives in `place`: of an open frame, or under the lock.
    pub(super) fn of(place: Place<'_, H>) -> Self {
        Self::named(place, place.thread.generation())
    }

    /// The thread state behind a handle, which may be gone by now.
    pub(super) fn of_state(state: &ThreadState<'_, H>) -> Self {
        Self::named(state.place(), state.generation())
    }

    fn named(place: Place<'_, H>, generation: u32) -> Self {
        RawThreadState { thread: place.thread, interpreter: place.interpreter, generation, host: PhantomData }
    }

    /// # Safety
    /// \[R1\] `rt` made it.
    pub(super) unsafe fn place<'rt>(&self, rt: &'rt Runtime<H>) -> Place<'rt, H> {
        // SAFETY: slots are type-stable while the runtime lives.
        unsafe { Place { rt, interpreter: &*self.interpreter, thread: &*self.thread } }
    }

    /// Its number, unique in the runtime's cycle (`PyThreadState_GetID`).
    ///
    /// # Errors
    /// `Stale` once it was deleted.
    ///
    /// # Safety
    /// \[R1\], see [`raw`](crate::raw)
    pub unsafe fn id(&self, rt: &Runtime<H>) -> Result<u64, ThreadError> {
        // SAFETY: passed on.
        unsafe { self.read(rt, |place| place.thread.number.get()) }
    }

    /// Its interpreter (`PyThreadState_GetInterpreter`).
    ///
    /// # Errors
    /// `Stale` once it was deleted.
    ///
    /// # Safety
    /// \[R1\], see [`raw`](crate::raw)
    pub unsafe fn interpreter(&self, rt: &Runtime<H>) -> Result<InterpreterId, ThreadError> {
        // SAFETY: passed on.
        unsafe { self.read(rt, |place| place.interpreter.head.id.get()) }
    }

    /// Who made it.
    ///
    /// # Errors
    /// `Stale` once it was deleted.
    ///
    /// # Safety
    /// \[R1\], see [`raw`](crate::raw)
    pub unsafe fn whence(&self, rt: &Runtime<H>) -> Result<ThreadWhence, ThreadError> {
        // SAFETY: passed on.
        unsafe { self.read(rt, |place| place.thread.whence.get()) }
    }

    /// What it is doing.
    ///
    /// # Errors
    /// `Stale` once it was deleted.
    ///
    /// # Safety
    /// \[R1\], see [`raw`](crate::raw)
    pub unsafe fn status(&self, rt: &Runtime<H>) -> Result<Status, ThreadError> {
        // SAFETY: passed on.
        unsafe { self.read(rt, |place| place.thread.status()) }
    }

    /// Under the lock, which births and deaths take too, so what is read belongs to this generation.
    pub(super) unsafe fn read<R>(
        &self,
        rt: &Runtime<H>,
        f: impl FnOnce(Place<'_, H>) -> R,
    ) -> Result<R, ThreadError> {
        // SAFETY: passed on.
        let place = unsafe { self.place(rt) };
        rt.locked(|_| {
            let alive = place.thread.generation() == self.generation;
            alive.then(|| f(place)).ok_or(ThreadError::Stale)
        })
    }
}

/// The use of a thread state by one caller of this layer, from attach to detach or for one call: of two that ask at
/// the same time, one gets it.
pub(super) struct Use<'rt>(&'rt ThreadSlot, u32);

impl<'rt> Use<'rt> {
    pub(super) fn begin<H: Host>(place: Place<'rt, H>, generation: u32) -> Option<Self> {
        place.thread.take_raw(generation).then(|| Use(place.thread, generation))
    }

    /// The use that an attach began and forgot.
    pub(super) fn of_attached<H: Host>(place: Place<'rt, H>) -> Self {
        Use(place.thread, place.thread.generation())
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        self.0.leave_raw(self.1);
    }
}

/// A raw attach, suspended: dropped, it is attached as before.
pub(super) struct Suspended<'rt, H: Host>(Place<'rt, H>);

impl<'rt, H: Host> Suspended<'rt, H> {
    pub(super) fn new(place: Place<'rt, H>) -> Self {
        place.thread.session.close::<H>();
        place.drop_gil(Status::Suspended);
        Suspended(place)
    }

    /// One whose record was forgotten.
    ///
    /// # Safety
    /// It was suspended on this thread and is so still.
    pub(super) unsafe fn again(place: Place<'rt, H>) -> Self {
        Suspended(place)
    }

    /// It stays detached.
    pub(super) fn detach(self) {
        leave(mem::ManuallyDrop::new(self).0);
    }
}

/// The rest of a detach, when session and GIL are gone: but for the activation, which is counted still.
pub(super) fn leave_thread<H: Host>(place: Place<'_, H>) {
    place.thread.set_status(Status::Detached);
    place.thread.leave_raw_alive();
}

/// The rest of a detach, when session and GIL are gone.
pub(super) fn leave<H: Host>(place: Place<'_, H>) {
    leave_thread(place);
    place.leave();
}

impl<H: Host> Drop for Suspended<'_, H> {
    fn drop(&mut self) {
        /// The GIL is there, also where the host panicked when it was taken.
        struct Open<'rt, H: Host>(Place<'rt, H>);
        impl<H: Host> Drop for Open<'_, H> {
            fn drop(&mut self) {
                // SAFETY: the record lies in the thread slot, which is type-stable; its activation is still counted.
                unsafe { self.0.thread.session.open(self.0) };
            }
        }
        let _open = Open(self.0);
        self.0.take_gil_back();
    }
}
