//! A thread state of an interpreter of a runtime, and the steps every way in and out is made of.

#![allow(unsafe_code)]

use core::{marker::PhantomData, mem, ptr};

use crate::{
    error::AttachError,
    eval::{
        breaker::{MINE, OWED},
        scope::Inherited,
    },
    gil::Gil,
    host::Host,
    interpreter::{
        Bound, InterpreterSlot, end, retire,
        word::{Activate, Leave},
    },
    runtime::Runtime,
    sync::{Ordering, fence},
    thread::{
        Attached,
        session::{Hold, Session},
        slot::{Status, ThreadSlot},
    },
};

/// References to slots live as long as the runtime: slots are type-stable.
pub(crate) struct Place<'rt, H: Host> {
    pub(crate) rt: &'rt Runtime<H>,
    pub(crate) interpreter: &'rt InterpreterSlot<H>,
    pub(crate) thread: &'rt ThreadSlot,
}

impl<H: Host> Clone for Place<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for Place<'_, H> {}

/// One open activation. Dropping it leaves, and completes the end if that was left to the last one out.
pub(crate) struct Activation<'rt, H: Host>(Place<'rt, H>);

impl<H: Host> Drop for Activation<'_, H> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<'rt, H: Host> Place<'rt, H> {
    /// The place of an open frame.
    ///
    /// # Safety
    /// `session` is open on this thread, and its interpreter is one of host `H`.
    pub(crate) unsafe fn of_session(rt: &'rt Runtime<H>, session: &Session) -> Self {
        // SAFETY: an open frame keeps its thread state and interpreter alive; sessions hold pointers to whole
        // slots.
        unsafe {
            let interpreter = InterpreterSlot::of(session.interpreter.get());
            Place { rt, interpreter, thread: &*session.thread.get() }
        }
    }

    /// The same, of the runtime that the frame borrows.
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(crate) unsafe fn of_frame(session: &'rt Session) -> Self {
        // SAFETY: an open frame borrows its runtime; the rest is passed on.
        unsafe { Self::of_session(&*session.runtime.get().cast::<Runtime<H>>(), session) }
    }

    /// Counts an activation for the thread state of `generation`.
    ///
    /// The order matters: the count first, the generation second. An interpreter slot gets its next tenant
    /// only after the thread states of the old one died, so a thread that counted itself into the wrong
    /// interpreter sees a new generation and takes itself out again.
    #[inline]
    pub(crate) fn activate(self, generation: u32) -> Result<Activation<'rt, H>, AttachError> {
        if self.rt.host().in_interrupt() {
            return Err(AttachError::InInterrupt);
        }
        let entered = self.interpreter.head.word.activate();
        if entered == Activate::Entered {
            let activation = Activation(self);
            if self.thread.generation() == generation {
                return Ok(activation);
            }
            return Err(AttachError::Ended);
        }
        Err(self.refusal(entered, generation))
    }

    /// What [`activate`](Self::activate) would answer for the thread state of `generation`, where this thread has an activation of
    /// this very slot already, which serves for both: it keeps the interpreter, and so the thread state but for a delete.
    #[inline]
    pub(crate) fn beside(self, generation: u32) -> Result<(), AttachError> {
        match self.interpreter.head.word.admits() {
            Activate::Entered if self.thread.generation() == generation => Ok(()),
            refused => Err(self.refusal(refused, generation)),
        }
    }

    /// As [`activate`](Self::activate), for a thread that keeps `gil` and may take no other.
    ///
    /// Under the lock, under which thread states die: so the count is not by mistake the last one of another interpreter,
    /// whose end would be left to this thread.
    #[cold]
    pub(crate) fn activate_under(
        self,
        gil: &Gil<H>,
        generation: u32,
    ) -> Result<Activation<'rt, H>, AttachError> {
        if self.rt.host().in_interrupt() {
            return Err(AttachError::InInterrupt);
        }
        self.rt.locked(|_| {
            if self.thread.generation() != generation {
                return Err(AttachError::Ended);
            }
            if !ptr::eq(self.interpreter.gil(), gil) {
                return Err(AttachError::Stopped);
            }
            match self.interpreter.head.word.activate() {
                Activate::Entered => Ok(Activation(self)),
                refused => Err(self.refusal(refused, generation)),
            }
        })
    }

    #[cold]
    fn refusal(self, entered: Activate, generation: u32) -> AttachError {
        // A refusal that is the slot's next interpreter's comes with the death of this thread state.
        fence(Ordering::Acquire);
        if self.thread.generation() != generation {
            return AttachError::Ended;
        }
        match entered {
            Activate::NotReady => AttachError::NotReady,
            Activate::Finalizing => AttachError::Finalizing,
            Activate::TooMany => AttachError::TooMany,
            Activate::Ended | Activate::Entered => AttachError::Ended,
        }
    }

    #[inline]
    pub(crate) fn leave(self) {
        match self.interpreter.head.word.leave() {
            Leave::Quiet => {}
            Leave::WakeEnder => end::wake(self.rt, self.interpreter),
            Leave::CompleteEnd => retire::complete(self.rt, self.interpreter),
        }
    }

    /// Takes the GIL for a frame that is about to open. The activation must be counted.
    #[inline]
    pub(crate) fn take_gil(self) -> Result<(), AttachError> {
        /// For a host that panics: there is no frame yet.
        struct Undo<'rt, H: Host>(Place<'rt, H>);
        impl<H: Host> Drop for Undo<'_, H> {
            fn drop(&mut self) {
                self.0.drop_gil(Status::Detached);
            }
        }
        self.rt.assert_unlocked();
        let undo = Undo(self);
        self.interpreter.gil().take(self.rt, self.thread, &self.interpreter.head);
        self.came();
        self.admit_thread()?;
        mem::forget(undo);
        if self.interpreter.head.word.is_finalizing() {
            self.drop_gil(Status::Detached);
            return Err(AttachError::Finalizing);
        }
        Ok(())
    }

    /// Whether this thread may be attached (`bound_to_thread`, `always_new_thread`; SPEC C7). Holder only.
    #[inline]
    pub(crate) fn admit_thread(self) -> Result<(), AttachError> {
        match self.interpreter.head.bound.get() {
            Bound::No => Ok(()),
            bound => self.admit_bound(bound),
        }
    }

    #[cold]
    fn admit_bound(self, bound: Bound) -> Result<(), AttachError> {
        let head = &self.interpreter.head;
        // Whoever ends it may be any thread.
        if ptr::eq(self.thread, &self.interpreter.reserve) {
            return Ok(());
        }
        // The frames that are open already; the one that asks is not among them.
        if head.config().always_new_thread() && Session::any::<H>(|other| !ptr::eq(other, head)) {
            return Err(AttachError::NeedsNewThread);
        }
        let me = self.rt.host().thread_id();
        match bound {
            Bound::No | Bound::ToFresh => Ok(()),
            Bound::ToOne if head.bound_to.get() != me => Err(AttachError::WrongThread),
            Bound::ToTheFirst | Bound::ToOne => {
                head.bound.set(Bound::ToOne);
                head.bound_to.set(me);
                Ok(())
            }
        }
    }

    /// Takes the GIL for a frame that is open: its stack may keep references, so it always gets it.
    #[inline]
    pub(crate) fn take_gil_back(self) {
        self.interpreter.gil().take(self.rt, self.thread, &self.interpreter.head);
        self.look_around();
        self.came();
    }

    /// What happened while the token was lent. Holder only.
    #[inline]
    fn look_around(self) {
        self.notice_finalizing();
        if self.interpreter.head.take_untold() {
            self.thread.breaker.set(OWED);
        }
    }

    /// From `finalizing` on every fallible call of this interpreter's tokens answers so. Holder only.
    #[inline]
    pub(crate) fn notice_finalizing(self) {
        if self.interpreter.head.word.is_finalizing() {
            self.interpreter.head.account.close();
        }
    }

    /// Lets the GIL go. This thread must hold it through this place.
    #[inline]
    pub(crate) fn drop_gil(self, status: Status) {
        self.thread.set_status(status);
        self.goes();
        // SAFETY: [T1] every caller opened this place on this thread, so this thread holds the GIL.
        unsafe { self.interpreter.gil().release(self.thread) }
    }

    /// Lets the GIL go in the middle of a frame. Others are told of the calls that this thread was told of alone.
    #[inline]
    fn suspend(&self) {
        if self.thread.breaker.bits() & MINE == 0 {
            self.drop_gil(Status::Suspended);
        } else {
            self.suspend_and_tell();
        }
    }

    #[cold]
    #[inline(never)]
    fn suspend_and_tell(&self) {
        /// Also where a waker panics.
        struct Suspend<'rt, H: Host>(Place<'rt, H>);
        impl<H: Host> Drop for Suspend<'_, H> {
            fn drop(&mut self) {
                self.0.drop_gil(Status::Suspended);
            }
        }
        Suspend(*self).0.share_calls();
    }

    /// Lets the GIL go while `f` runs, and takes it back, with the token of `session` lent. Where others are stopped it
    /// keeps the GIL.
    ///
    /// # Safety
    /// This thread holds the GIL through this place, attached by `session`.
    #[inline]
    pub(crate) unsafe fn lend_gil<R>(self, session: &Session, f: impl FnOnce() -> R) -> R {
        struct Back<'a, 'rt, H: Host>(Place<'rt, H>, &'a Session, bool);
        impl<H: Host> Drop for Back<'_, '_, H> {
            #[inline]
            fn drop(&mut self) {
                let attach = Attach(self.1, self.2);
                match attach.0.hold.get() {
                    Hold::Nothing => self.0.take_gil_back(),
                    _ => self.0.look_around(),
                }
            }
        }
        /// The GIL is there, also where the host panicked when it was taken.
        struct Attach<'a>(&'a Session, bool);
        impl Drop for Attach<'_> {
            #[inline]
            fn drop(&mut self) {
                self.0.hold.set(Hold::Gil);
                self.0.lent.set(self.1);
            }
        }
        let back = Back(self, session, session.lent.replace(true));
        let keeps = self.interpreter.gil().keeps();
        session.hold.set(keeps);
        if keeps == Hold::Nothing {
            back.0.suspend();
        }
        let answer = f();
        drop(back);
        answer
    }

    /// Runs `f` in a new frame, under the GIL that this thread holds through this place and keeps.
    ///
    /// # Safety
    /// An activation of this interpreter stays counted meanwhile, or the caller alone can reach it (creation,
    /// clearing).
    #[inline]
    pub(crate) unsafe fn frame<R>(self, f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R) -> R {
        // SAFETY: passed on.
        unsafe { Self::frame_of(self.rt, self.interpreter, self.thread, f) }
    }

    /// As [`frame`](Self::frame), after which the GIL is let go.
    ///
    /// # Safety
    /// As there; no other thread state is attached on this thread.
    #[inline]
    pub(crate) unsafe fn last_frame<R>(self, f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R) -> R {
        struct Release<'rt, H: Host>(Place<'rt, H>);
        impl<H: Host> Drop for Release<'_, H> {
            #[inline]
            fn drop(&mut self) {
                self.0.drop_gil(Status::Detached);
            }
        }
        let _release = Release(self);
        // SAFETY: passed on.
        unsafe { self.frame(f) }
    }

    /// Its arguments are plain references, which go in registers: what was just written to memory in words is not to be
    /// read from there in larger pieces, which processors do slowly.
    ///
    /// # Safety
    /// As for [`frame`](Self::frame).
    #[inline]
    unsafe fn frame_of<R>(
        rt: &'rt Runtime<H>,
        interpreter: &'rt InterpreterSlot<H>,
        thread: &'rt ThreadSlot,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
    ) -> R {
        /// A panic goes through the frame: others are told of its calls here, for what follows `f` does not run.
        struct Unwinds<'a, H: Host>(&'a Session, PhantomData<&'a Runtime<H>>);
        impl<H: Host> Drop for Unwinds<'_, H> {
            #[cold]
            fn drop(&mut self) {
                // SAFETY: the frame is open, and one of `H`.
                unsafe { Place::<H>::of_frame(self.0) }.share_calls();
            }
        }
        let place = Place { rt, interpreter, thread };
        let session = Session::new();
        let mut room = Inherited::new();
        // SAFETY: the answer is dropped before the record leaves the stack; frames are closures, so they close in reverse
        // order.
        let _open = unsafe { session.opened(place) };
        let _bounds = room.open(place, &session);
        // SAFETY: this thread holds the GIL through this place until the frame is closed, and the session is open.
        let mut token = unsafe { Attached::new(place, &session) };
        let unwinds = Unwinds::<H>(&session, PhantomData);
        let answer = f(&mut token);
        mem::forget(unwinds);
        if place.is_untidy() {
            token.tidy();
        }
        answer
    }

    /// Whether a frame that closes leaves something behind: what its last references left, and its calls. No other thread
    /// state is told of it.
    #[inline]
    fn is_untidy(self) -> bool {
        self.thread.breaker.bits() & (OWED | MINE) != 0 || self.interpreter.head.take_untold()
    }

    /// Runs `f` in a new frame under the GIL that `outer`, attached on this thread, holds: the lock is kept and
    /// renamed, there and back.
    ///
    /// # Safety
    /// As for [`frame`](Self::frame); both places use one GIL, and this thread holds it through `outer`.
    pub(crate) unsafe fn frame_under<R>(
        self,
        outer: Place<'_, H>,
        session: &Session,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
    ) -> R {
        struct Back<'a, 'rt, H: Host>(Place<'a, H>, &'a Session, bool, Place<'rt, H>);
        impl<H: Host> Drop for Back<'_, '_, H> {
            fn drop(&mut self) {
                self.3.thread.set_status(Status::Detached);
                // SAFETY: [T1] this thread holds the GIL that both interpreters use.
                unsafe { self.0.rename_gil(self.3) };
                self.0.notice_finalizing();
                self.1.hold.set(Hold::Gil);
                self.1.lent.set(self.2);
            }
        }
        outer.share_calls();
        let back = Back(outer, session, session.lent.replace(true), self);
        session.hold.set(Hold::Nothing);
        outer.thread.set_status(Status::Suspended);
        // SAFETY: [T1] as above.
        unsafe { self.rename_gil(outer) };
        // SAFETY: passed on; the GIL is held through this place now.
        let answer = unsafe { self.frame(f) };
        drop(back);
        answer
    }

    /// Runs `f` in a frame inside one of this place that is open on this thread, its token lent and its GIL held. The outer one's
    /// activation keeps the interpreter for both, and what bounds the outer one bounds this one by its thread state. After a panic
    /// the thread state is still told of its calls.
    #[inline]
    pub(crate) fn nest<R>(self, f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R) -> Result<R, AttachError> {
        self.admits()?;
        let session = Session::new();
        // SAFETY: as in `frame_of`.
        let _open = unsafe { session.opened(self) };
        // SAFETY: the outer frame stays open meanwhile, and with it its activation and its GIL; its token is lent, so the new
        // one is unique.
        let mut token = unsafe { Attached::new(self, &session) };
        let answer = f(&mut token);
        if self.is_untidy() {
            token.tidy();
        }
        Ok(answer)
    }

    /// Whether a frame may be opened inside one of this place.
    #[inline]
    pub(crate) fn admits(self) -> Result<(), AttachError> {
        self.beside(self.thread.generation())
    }

    /// Attaches and runs `f`.
    #[inline]
    pub(crate) fn attach<R>(
        self,
        generation: u32,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
    ) -> Result<R, AttachError> {
        if Session::held::<H>().is_some() {
            return Err(self.rt.already_attached());
        }
        self.run(self.activate(generation)?, f)
    }

    /// Takes the GIL and runs `f`, under an activation of this place. Nothing is attached on this thread.
    #[inline]
    pub(crate) fn run<R>(
        self,
        _activation: Activation<'rt, H>,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
    ) -> Result<R, AttachError> {
        self.take_gil()?;
        // SAFETY: the activation lives until this function returns; the caller says the rest.
        Ok(unsafe { self.last_frame(f) })
    }
}
