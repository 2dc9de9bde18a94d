//! `ThreadState`: the right of one OS thread to attach to one interpreter.

#![allow(unsafe_code)]

use core::marker::PhantomData;

use crate::{
    error::{AttachError, ThreadError},
    host::Host,
    interpreter::{InterpreterId, InterpreterSlot},
    runtime::Runtime,
    thread::{
        Attached,
        place::Place,
        session::{Hold, Session},
        slot::{Status, ThreadSlot, ThreadWhence},
    },
};

/// A thread state (`PyThreadState`; SPEC T1). It belongs to one interpreter and stays on its OS thread.
///
/// The interpreter may end before it: each use checks the generation of its slot, and answers `Ended`.
pub struct ThreadState<'rt, H: Host> {
    place: Place<'rt, H>,
    generation: u32,
    id: InterpreterId,
    number: u64,
    whence: ThreadWhence,
    not_send: PhantomData<*mut ()>,
}

impl<'rt, H: Host> ThreadState<'rt, H> {
    /// The handle of the thread state that was born in `place`. Before anybody could end it: under the lock,
    /// or before its interpreter is published.
    pub(crate) fn new(place: Place<'rt, H>, generation: u32) -> Self {
        let Place { interpreter, thread, .. } = place;
        ThreadState {
            place,
            generation,
            id: interpreter.head.id.get(),
            number: thread.number.get(),
            whence: thread.whence.get(),
            not_send: PhantomData,
        }
    }

    /// This handle is now one to the thread state that was born in `place`, of the same interpreter; the one it had is
    /// dead.
    pub(crate) fn move_to(&mut self, place: Place<'rt, H>, generation: u32) {
        core::mem::forget(core::mem::replace(self, ThreadState::new(place, generation)));
    }

    /// Whether it lives. Under the runtime's lock the answer lasts.
    pub(crate) fn is_alive(&self) -> bool {
        self.place.thread.generation() == self.generation
    }

    #[inline]
    pub(crate) fn place(&self) -> Place<'rt, H> {
        self.place
    }

    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Takes the GIL, runs `f` with the token, and lets the GIL go (`PyEval_AcquireThread`; SPEC T2).
    ///
    /// Write the closure in place: bound to a variable first it is not general enough for every `'i`.
    ///
    /// # Errors
    /// `AlreadyAttached` if this OS thread holds a GIL (use [`Attached::enter`]); `Finalizing` or `Ended` if the
    /// interpreter is going or gone. It never hangs for that reason, and never crashes.
    #[inline]
    pub fn attach<R>(&mut self, f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R) -> Result<R, AttachError> {
        self.place.attach(self.generation, f)
    }

    /// The interpreter it belongs to.
    pub fn interpreter(&self) -> InterpreterId {
        self.id
    }

    /// Its number, unique in the runtime's cycle.
    pub fn id(&self) -> u64 {
        self.number
    }

    /// Who made it; `None` once its interpreter ended.
    pub fn whence(&self) -> Option<ThreadWhence> {
        self.is_alive().then_some(self.whence)
    }

    /// The runtime it belongs to.
    pub fn runtime(&self) -> &'rt Runtime<H> {
        self.place.rt
    }
}

impl<H: Host> Drop for ThreadState<'_, H> {
    fn drop(&mut self) {
        // The guest's data lives in the interpreter's heap, so it goes under the GIL. Where this thread cannot
        // attach now, the slot stays listed with it, and the interpreter's end takes both. A run that nobody can
        // resume any more is over all the same.
        let Place { rt, interpreter, thread } = self.place;
        if !thread.guest().is_null() && self.attach(|cx| cx.drop_thread_data()).is_err() {
            return rt.locked(|_| {
                if thread.generation() == self.generation {
                    interpreter.head.vacate_main_slot(thread);
                }
            });
        }
        rt.delete_thread(thread, interpreter, self.generation);
    }
}

impl<H: Host> Runtime<H> {
    /// A thread state for `interpreter`, for this OS thread (`PyThreadState_New`; SPEC T1).
    ///
    /// # Errors
    /// `NotFound` or `Finalizing` if there is no such interpreter any more; `NoMemory`.
    pub fn thread_state(&self, interpreter: InterpreterId) -> Result<ThreadState<'_, H>, ThreadError> {
        self.new_thread(interpreter, ThreadWhence::Threading)
    }

    pub(crate) fn new_thread(
        &self,
        id: InterpreterId,
        whence: ThreadWhence,
    ) -> Result<ThreadState<'_, H>, ThreadError> {
        if self.host().in_interrupt() {
            return Err(ThreadError::InInterrupt);
        }
        let thread = self.new_thread_slot().map_err(|_| ThreadError::NoMemory)?;
        self.locked(|registry| {
            let born = self.listed(registry, id).map_err(|_| ThreadError::NotFound).and_then(|slot| {
                slot.head.word.takes_threads()?;
                let generation = self.add_thread(registry, thread, &slot.head, whence);
                let place = Place { rt: self, interpreter: slot, thread };
                Ok(ThreadState::new(place, generation))
            });
            if born.is_err() {
                registry.free_thread_slot(core::ptr::from_ref(thread).cast_mut());
            }
            born
        })
    }

    pub(crate) fn delete_thread(&self, thread: &ThreadSlot, slot: &InterpreterSlot<H>, generation: u32) {
        self.locked(|registry| {
            // Under the lock: an end that is under way retires the generation under it too.
            if thread.generation() != generation {
                return;
            }
            slot.head.vacate_main_slot(thread);
            if registry.remove_thread(thread, &slot.head) {
                registry.free_thread_slot(core::ptr::from_ref(thread).cast_mut());
            }
        });
    }

    /// A token for a thread that has none in its hands: a foreign thread, or inside `detach`, `enter` or
    /// `call_out` (`PyGILState_Ensure` with an interpreter; SPEC T5). A suspended thread state of this thread
    /// for that interpreter is used again; otherwise one is made for the length of the call. Where the innermost token of this
    /// thread is of that interpreter and lent by `call_out` it is a few instructions.
    ///
    /// # Errors
    /// `AlreadyAttached` under a running token, or under a lent one that keeps the GIL of another
    /// interpreter; `Stopped` where this thread keeps another one stopped; `Ended`, `Finalizing`, `NoMemory`.
    #[inline]
    pub fn ensure<R>(
        &self,
        id: InterpreterId,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
    ) -> Result<R, AttachError> {
        if self.host().in_interrupt() {
            return Err(AttachError::InInterrupt);
        }
        // SAFETY: a lent frame is open, and its interpreter's name constant meanwhile.
        match self.lent_place(|session| unsafe { (*session.interpreter.get()).id.get() == id }) {
            Some(place) => place.nest(f),
            None => self.ensure_listed(id, f),
        }
    }

    #[cold]
    #[inline(never)]
    fn ensure_listed<R>(
        &self,
        id: InterpreterId,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
    ) -> Result<R, AttachError> {
        let Ok(interpreter) = self.locked(|registry| self.listed(registry, id)) else {
            return Err(AttachError::Ended);
        };
        self.ensure_anew(interpreter, id, f)
    }

    /// The place of the innermost frame of this thread, if its token is lent while its GIL is held, and it is the one that is
    /// wanted.
    #[inline]
    pub(crate) fn lent_place(&self, wanted: impl FnOnce(&Session) -> bool) -> Option<Place<'_, H>> {
        let session = Session::current::<H>()?;
        let lent = session.lent.get() && session.hold.get() != Hold::Nothing;
        let here = session.runtime.get() == core::ptr::from_ref(self).cast();
        // SAFETY: [S1] a lent frame is open, and has a thread state; it is of this runtime.
        (lent && here && wanted(session)).then(|| unsafe { Place::of_session(self, session) })
    }

    /// As [`ensure`](Self::ensure), where `id` was seen in that slot. If its tenant changes meanwhile, no frame of it is open.
    #[inline]
    pub(crate) fn ensure_in<R>(
        &self,
        interpreter: &InterpreterSlot<H>,
        id: InterpreterId,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
    ) -> Result<R, AttachError> {
        let head = &raw const interpreter.head;
        match self.lent_place(|session| core::ptr::eq(session.interpreter.get(), head)) {
            Some(place) => place.nest(f),
            None => self.ensure_anew(interpreter, id, f),
        }
    }

    /// As [`ensure_in`](Self::ensure_in), where no token of it is lent with its GIL.
    #[cold]
    #[inline(never)]
    fn ensure_anew<R>(
        &self,
        interpreter: &InterpreterSlot<H>,
        id: InterpreterId,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
    ) -> Result<R, AttachError> {
        if Session::held::<H>().is_some() {
            return Err(self.already_attached());
        }
        let Some(open) = Session::find::<H>(&raw const interpreter.head) else {
            let mut state = self.new_thread(id, ThreadWhence::Exec)?;
            return state.attach(f);
        };
        // SAFETY: the frame that is open keeps its thread state alive.
        let thread = unsafe { &*open.thread.get() };
        let place = Place { rt: self, interpreter, thread };
        /// The outer frame is open still, also where `f` panics.
        struct Suspend<'a>(&'a ThreadSlot);
        impl Drop for Suspend<'_> {
            fn drop(&mut self) {
                self.0.set_status(Status::Suspended);
            }
        }
        let _suspend = Suspend(thread);
        place.attach(thread.generation(), f)
    }
}
