//! `Attached`: the proof that this thread runs one interpreter (SPEC T6).

#![allow(unsafe_code)]

use core::{alloc::Layout, cell::Cell, marker::PhantomData, ptr, ptr::NonNull, time::Duration};

use crate::{
    config::{Act, InterpreterConfig},
    error::{AttachError, Refusal},
    eval::FrameEval,
    host::Host,
    interpreter::{InterpreterId, InterpreterSlot},
    memory::{AllocCause, AllocError, Domain, LimitError, MemoryLimits, Usage},
    runtime::Runtime,
    thread::{
        ThreadState,
        place::Place,
        session::{Hold, Session},
        slot::ThreadSlot,
    },
};

/// Invariant in `'i`: no brand can be turned into another.
pub(crate) type Brand<'i> = PhantomData<Cell<&'i ()>>;

/// The token of a thread that holds the GIL of interpreter `'i`.
///
/// It is unique on its thread while it can be used, cannot be sent, stored, copied or made, and belongs to
/// one interpreter by its brand: an object used without the GIL, in the wrong interpreter or across a
/// [`detach`](Self::detach) does not compile.
pub struct Attached<'i, H: Host> {
    rt: NonNull<Runtime<H>>,
    interpreter: NonNull<InterpreterSlot<H>>,
    thread: NonNull<ThreadSlot>,
    session: NonNull<Session>,
    brand: Brand<'i>,
    not_send: PhantomData<*mut H>,
}

impl<'i, H: Host> Attached<'i, H> {
    /// # Safety
    /// This thread holds the GIL through `place` for as long as the token can be used, `session` is open for
    /// it, and `'i` is a lifetime that no other token has.
    #[inline]
    pub(crate) unsafe fn new(place: Place<'_, H>, session: &Session) -> Self {
        Attached {
            rt: NonNull::from(place.rt),
            interpreter: NonNull::from(place.interpreter),
            thread: NonNull::from(place.thread),
            session: NonNull::from(session),
            brand: PhantomData,
            not_send: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn rt(&self) -> &Runtime<H> {
        // SAFETY: the runtime outlives every frame: attaching borrows it.
        unsafe { self.rt.as_ref() }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &InterpreterSlot<H> {
        // SAFETY: slots are type-stable while the runtime lives.
        unsafe { self.interpreter.as_ref() }
    }

    #[inline]
    pub(crate) fn thread(&self) -> &ThreadSlot {
        // SAFETY: slots are type-stable while the runtime lives.
        unsafe { self.thread.as_ref() }
    }

    #[inline]
    pub(crate) fn place(&self) -> Place<'_, H> {
        Place { rt: self.rt(), interpreter: self.slot(), thread: self.thread() }
    }

    /// The place of this token's frame.
    ///
    /// # Safety
    /// Not used after the call that has the token has returned: the runtime and its slots outlive the frame, whatever
    /// happens to the token.
    #[inline]
    pub(crate) unsafe fn place_of_frame<'f>(&self) -> Place<'f, H> {
        // SAFETY: slots are type-stable, and the frame borrows the runtime.
        unsafe {
            Place {
                rt: self.rt.as_ref(),
                interpreter: self.interpreter.as_ref(),
                thread: self.thread.as_ref(),
            }
        }
    }

    fn session(&self) -> &Session {
        // SAFETY: [S1] the frame of this token is open while the token can be used.
        unsafe { self.session.as_ref() }
    }

    /// The name of this interpreter.
    pub fn id(&self) -> InterpreterId {
        self.slot().head.id.get()
    }

    /// The number of this thread state, unique in the runtime's cycle (SPEC T1).
    pub fn thread_id(&self) -> u64 {
        self.thread().number.get()
    }

    /// The config this interpreter was created with.
    pub fn config(&self) -> InterpreterConfig {
        self.slot().head.config()
    }

    /// Whether this interpreter may do `act`; the error names it and the setting (SPEC C6).
    pub fn permit(&self, act: Act) -> Result<(), Refusal> {
        self.config().permits(act).map_err(|reason| Refusal { interpreter: self.id(), reason })
    }

    /// Lets the GIL go while `f` runs, and takes it back: around everything that may block
    /// (`PyEval_SaveThread`, `PyEval_RestoreThread`; SPEC T2).
    ///
    /// It always returns holding the GIL, because the frame may keep [`Owned`](crate::object::Owned) values;
    /// if the interpreter is finalizing meanwhile, every fallible call afterwards says so. No reference
    /// borrowed from the token can be alive inside, so `f` needs no `Send`.
    pub fn detach<R>(&mut self, f: impl FnOnce() -> R) -> R {
        // SAFETY: [T1] the token proves that this thread holds the GIL through its place, by this session.
        unsafe { self.place().lend_gil(self.session(), f) }
    }

    /// Keeps the GIL and lends the token while `f` runs, so that a callback that arrives without it may
    /// [`ensure`](Runtime::ensure) one for this interpreter (SPEC T5).
    pub fn call_out<R>(&mut self, f: impl FnOnce() -> R) -> R {
        struct Back<'a>(&'a Session);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.lent.set(false);
            }
        }
        let session = self.session();
        session.lent.set(true);
        let _back = Back(session);
        f()
    }

    /// Runs `f` with another thread state of this OS thread attached, of any interpreter of this host, and
    /// comes back (`PyThreadState_Swap`; SPEC T3).
    ///
    /// Under one GIL the lock is kept; otherwise this one is let go before the other is taken, so no thread
    /// ever holds two.
    ///
    /// # Errors
    /// As for [`ThreadState::attach`]; `Finalizing` also where this interpreter is; `Stopped` inside [`stop`](Self::stop) of
    /// an interpreter under another GIL.
    pub fn enter<R>(
        &mut self,
        other: &mut ThreadState<'_, H>,
        f: impl for<'j> FnOnce(&mut Attached<'j, H>) -> R,
    ) -> Result<R, AttachError> {
        if self.slot().head.word.is_finalizing() {
            return Err(AttachError::Finalizing);
        }
        let (to, own) = (other.place(), self.slot().gil());
        let mut activation = None;
        if ptr::eq(to.interpreter, self.slot()) {
            to.beside(other.generation())?;
        } else {
            // First: only an activation keeps the other's slot from its next tenant, and so its GIL what it is.
            let counted = match own.keeps() {
                Hold::Nothing => to.activate(other.generation())?,
                _ => to.activate_under(own, other.generation())?,
            };
            if !ptr::eq(to.interpreter.gil(), own) {
                return self.detach(|| to.run(counted, f));
            }
            if to.interpreter.head.word.is_finalizing() {
                return Err(AttachError::Finalizing);
            }
            activation = Some(counted);
        }
        to.admit_thread()?;
        let _activation = activation;
        // SAFETY: an activation of the other interpreter lives until this function returns, or this frame's does for both; one
        // GIL serves both, which this thread holds through its own place.
        Ok(unsafe { to.frame_under(self.place(), self.session(), f) })
    }

    /// A block of this interpreter's heap (SPEC M1: mem and object are usable only while attached).
    ///
    /// # Errors
    /// The domain, the size and the cause. Asking for [`Domain::Raw`] charges the raw account but takes the
    /// block from the heap too, so that the end finds it.
    #[inline]
    pub fn allocate(&self, domain: Domain, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let region = || self.rt().raw().region();
        // SAFETY: [T1] the token proves that this thread holds the GIL.
        match unsafe { self.slot().allocate_at_hand(region, domain, layout) } {
            Some(answer) => answer,
            None => self.allocate_slowly(domain, layout),
        }
    }

    /// A call of its own, so that what only this needs is not loaded before.
    #[cold]
    #[inline(never)]
    fn allocate_slowly(&self, domain: Domain, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: [T1].
        unsafe { self.slot().allocate_slowly(self.rt().raw(), self.thread(), domain, layout) }
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from [`allocate`](Self::allocate) on a token of this interpreter with the same domain and
    /// layout, is live, and is not used afterwards.
    #[inline]
    pub unsafe fn deallocate(&self, domain: Domain, block: NonNull<u8>, layout: Layout) {
        // SAFETY: [T1]; the rest is passed on.
        unsafe {
            if !self.slot().deallocate_at_hand(domain, block, layout) {
                self.deallocate_slowly(domain, block, layout);
            }
        }
    }

    /// As [`allocate_slowly`](Self::allocate_slowly).
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate).
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_slowly(&self, domain: Domain, block: NonNull<u8>, layout: Layout) {
        // SAFETY: [T1]; the rest is passed on.
        unsafe { self.slot().deallocate_slowly(self.rt().raw(), domain, block, layout) }
    }

    /// Makes a block larger or smaller: where it lies, if the heap can, or else somewhere else. The block that is
    /// answered has what the old one had, as far as it fits.
    ///
    /// # Errors
    /// As for [`allocate`](Self::allocate): the old block is as it was. A block that moves counts twice for a moment.
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate), `old` being the block's layout; `new` has the same alignment. The old
    /// block is not used afterwards.
    pub unsafe fn reallocate(
        &self,
        domain: Domain,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: [T1]; the rest is passed on.
        unsafe { self.slot().reallocate(self.rt().raw(), self.thread(), domain, block, old, new) }
    }

    /// Makes a block larger or smaller where it lies, without a copy.
    ///
    /// # Errors
    /// `Exhausted` where the heap cannot, or a limit's cause: the block is as it was.
    ///
    /// # Safety
    /// As for [`reallocate`](Self::reallocate).
    pub unsafe fn resize(
        &self,
        domain: Domain,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocError> {
        // SAFETY: [T1]; the rest is passed on.
        unsafe { self.slot().resize(self.rt().raw(), self.thread(), domain, block, old, new) }
    }

    /// Charges memory that the guest's engine took elsewhere, as one more block of the raw account.
    ///
    /// # Errors
    /// As for [`allocate`](Self::allocate): the limit holds for it too.
    pub fn charge(&mut self, bytes: usize) -> Result<(), AllocError> {
        self.thread().heard(self.slot().head.account.charge(bytes)).map_err(refused_charge(bytes))
    }

    /// Changes the size of a charge, from `old` bytes to `new`.
    ///
    /// # Errors
    /// As for [`charge`](Self::charge), and `NotCharged` where less than `old` is charged; the old charge stands.
    pub fn recharge(&mut self, old: usize, new: usize) -> Result<(), AllocError> {
        self.thread().heard(self.slot().head.account.recharge(old, new)).map_err(refused_charge(new))
    }

    /// Takes a charge back.
    ///
    /// # Errors
    /// `NotCharged` where less than that is charged; nothing changed.
    pub fn discharge(&mut self, bytes: usize) -> Result<(), AllocError> {
        self.slot().head.account.discharge(bytes).map_err(refused_charge(bytes))
    }

    /// Bytes that may still be allocated before a limit; `usize::MAX` less what is live without one.
    pub fn available(&self) -> usize {
        self.slot().head.account.available()
    }

    /// What this interpreter uses now.
    pub fn usage(&self) -> Usage {
        self.slot().head.account.usage()
    }

    /// The limits.
    pub fn memory_limits(&self) -> MemoryLimits {
        self.slot().head.account.limits()
    }

    /// Changes the limits (SPEC C7, M6). From elsewhere: by a pending call.
    ///
    /// # Errors
    /// `BelowLive`, `SoftAboveHard`; the old ones stand.
    pub fn set_memory_limits(&mut self, limits: MemoryLimits) -> Result<(), LimitError> {
        let nearness = self.slot().head.account.set_limits(limits)?;
        self.thread().notice(nearness);
        Ok(())
    }

    /// Runs `f`, which handles a refusal by the soft limit, with the reserve beyond it (SPEC M6). While several are at
    /// it, and while one has let the GIL go, the reserve is there for the whole interpreter.
    pub fn with_reserve<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        struct Back<'a, 'i, H: Host>(&'a mut Attached<'i, H>);
        impl<H: Host> Drop for Back<'_, '_, H> {
            fn drop(&mut self) {
                self.0.slot().head.account.end_handling();
            }
        }
        self.slot().head.account.begin_handling();
        f(Back(self).0)
    }

    /// Returns to the raw domain what the heap keeps for later requests.
    pub fn trim(&mut self) {
        // SAFETY: [T1] the token proves that this thread holds the GIL.
        unsafe { self.slot().trim(self.rt().raw()) }
    }

    /// Sets the switch interval of the GIL in use: main's, if it is shared (SPEC G3).
    pub fn set_switch_interval(&mut self, interval: Duration) {
        self.slot().gil().set_interval(interval);
    }

    /// The switch interval of the GIL in use.
    pub fn switch_interval(&self) -> Duration {
        self.slot().gil().interval()
    }

    /// The frame evaluation function, if the guest's own was replaced
    /// (`_PyInterpreterState_GetEvalFrameFunc`; SPEC E7).
    pub fn frame_eval(&self) -> Option<FrameEval<H>> {
        self.slot().frame_eval.get()
    }

    /// Replaces the frame evaluation function; `None` brings the guest's own back
    /// (`_PyInterpreterState_SetEvalFrameFunc`; SPEC E7).
    pub fn set_frame_eval(&mut self, eval: Option<FrameEval<H>>) {
        self.slot().frame_eval.set(eval);
    }
}

/// For requests of charges.
fn refused_charge(requested: usize) -> impl FnOnce(AllocCause) -> AllocError {
    move |cause| AllocError { domain: Domain::Raw, requested, cause }
}
