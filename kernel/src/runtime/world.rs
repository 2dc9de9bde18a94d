//! Stop-the-world for the runtime (SPEC G8).
//!
//! 1. One thread at a time stops the world; others park until it goes on. None of them holds a GIL meanwhile.
//! 2. Under the runtime's lock every thread state gets the bit `STOP`: whoever sees it at a safepoint lets its GIL go and
//!    parks. From then on no new interpreter is listed; its creator parks, too.
//! 3. The stopper seizes the GIL in every slot there is, and takes its own at last. It waits for them as others do, and asks
//!    whoever came meanwhile.
//! 4. When it is done it lets all of them off, and wakes everybody.
//!
//! That nobody runs is shown by the locks alone, so attach and detach know nothing of it; the bit only makes all stop at the
//! same time. Slots are type-stable, and those that come later are not used before the world goes on, so the slots of 3 are
//! found again in 4, whatever ended meanwhile.

#![allow(unsafe_code)]

use core::{marker::PhantomData, ptr};

use crate::{
    error::StopError,
    eval::breaker::STOP,
    gil::Gil,
    host::{Host, Park},
    interpreter::{InterpreterHead, InterpreterSlot},
    runtime::{Registry, Runtime, RuntimePhase},
    sync::{AtomicU32, Ordering},
    thread::{
        Attached,
        session::{Hold, Session},
    },
};

/// How often the world was stopped and went on. Wraps.
///
/// | | even: it goes on | odd: it is stopped, or about to be |
/// |---|---|---|
/// | [`begin`](Stops::begin), under the runtime's lock | one up | refused |
/// | [`end`](Stops::end), by the stopper | | one up |
pub(crate) struct Stops(AtomicU32);

/// The answer to [`Stops::begin`].
#[must_use]
enum BeginStop {
    /// The caller stops the world.
    Begun,
    /// Another thread does, and this is its stop.
    Busy(u32),
}

impl Stops {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Stops(AtomicU32::new(0))
        }
    }

    fn begin(&self) -> BeginStop {
        let mut now = self.0.load(Ordering::Relaxed);
        while now & 1 == 0 {
            match self.0.compare_exchange_weak(now, now + 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return BeginStop::Begun,
                Err(other) => now = other,
            }
        }
        BeginStop::Busy(now)
    }

    fn end(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// The stop that is under way.
    fn under_way(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Acquire)).filter(|now| now & 1 == 1)
    }

    fn is(&self, stop: u32) -> bool {
        self.0.load(Ordering::Acquire) == stop
    }
}

/// The world is stopped. Dropping it lets the world go on.
///
/// Invariant [U1]: this thread has seized the own GILs of the slots from `first` up to `next`, but for `own`.
struct Stopper<'rt, H: Host> {
    rt: &'rt Runtime<H>,
    first: *mut InterpreterHead,
    next: *mut InterpreterHead,
    own: *const Gil<H>,
}

impl<'rt, H: Host> Stopper<'rt, H> {
    /// The GIL of the slot at `at`, if it is to be seized, and the slot after it.
    fn step(&self, at: *mut InterpreterHead) -> (Option<&'rt Gil<H>>, *mut InterpreterHead) {
        // SAFETY: the list of slots leads to slots of this runtime, which are type-stable.
        let slot = unsafe { InterpreterSlot::<H>::of(at) };
        let gil = &slot.own_gil;
        (Some(gil).filter(|gil| !ptr::eq(*gil, self.own)), slot.head.next_slot.get())
    }

    fn seize_all(&mut self) {
        while !self.next.is_null() {
            let (gil, next) = self.step(self.next);
            if let Some(gil) = gil {
                gil.seize();
            }
            self.next = next;
        }
    }
}

impl<H: Host> Drop for Stopper<'_, H> {
    fn drop(&mut self) {
        let rt = self.rt;
        rt.stops.end();
        while self.first != self.next {
            let (gil, next) = self.step(self.first);
            if let Some(gil) = gil {
                // SAFETY: [U1].
                unsafe { gil.let_off() }
            }
            self.first = next;
        }
        rt.host().park().unpark(rt.stops_key());
    }
}

impl<H: Host> Runtime<H> {
    /// Runs `f` while no other thread runs any interpreter of this runtime (`_PyEval_StopTheWorldAll`; SPEC G8). Whoever is
    /// attached is stopped at its next safepoint or detach; whoever attaches or creates waits until the world goes on. It
    /// waits for an [`Attached::stop`] of another thread; one thread at a time stops the world.
    ///
    /// This thread can take no GIL of this runtime either: to attach, create, end, reset and finalize answer `Stopped`. With
    /// a token it is [`Attached::stop_all`]. `f` should not wait for another thread that may be stopped. What takes no GIL goes
    /// on: thread states are made, guards taken, and an end gets as far as where it needs the GIL.
    ///
    /// Where this thread has stopped the world already it just runs `f`.
    ///
    /// # Errors
    /// `AlreadyAttached` under a token, `WouldDeadlock` inside `detach` under [`Attached::stop`], `NotRunning`, `InInterrupt`.
    pub fn stop_all<R>(&self, f: impl FnOnce() -> R) -> Result<R, StopError> {
        struct Close<'a, H: Host>(&'a Session, PhantomData<H>);
        impl<H: Host> Drop for Close<'_, H> {
            fn drop(&mut self) {
                self.0.close::<H>();
            }
        }
        if self.host().in_interrupt() {
            return Err(StopError::InInterrupt);
        }
        let stopped_here =
            || Session::current::<H>().is_some_and(|s| ptr::eq(s.runtime.get(), ptr::from_ref(self).cast()));
        match Session::held::<H>() {
            None => {}
            Some(Hold::World) if stopped_here() => return Ok(f()),
            Some(hold) if hold.stops() => return Err(StopError::WouldDeadlock),
            Some(_) => return Err(StopError::AlreadyAttached),
        }
        if matches!(
            self.phase(),
            RuntimePhase::Uninitialized | RuntimePhase::Initializing | RuntimePhase::Finalized
        ) {
            return Err(StopError::NotRunning);
        }
        let _stopper = self.begin_stop(ptr::null());
        let session = Session::new();
        // SAFETY: the record is closed before it leaves the stack, in reverse order with what `f` opens.
        unsafe { session.open_world(self) };
        let _close = Close(&session, PhantomData::<H>);
        Ok(f())
    }

    /// Stops everybody but the holder of `own`.
    fn begin_stop(&self, own: *const Gil<H>) -> Stopper<'_, H> {
        let first = loop {
            let begun = self.locked(|registry| match self.stops.begin() {
                BeginStop::Begun => {
                    registry.break_everybody(STOP);
                    Ok(registry.newest_slot())
                }
                BeginStop::Busy(stop) => Err(stop),
            });
            match begun {
                Ok(first) => break first,
                Err(stop) => self.await_going(stop),
            }
        };
        let mut stopper = Stopper { rt: self, first, next: first, own };
        stopper.seize_all();
        stopper
    }

    fn stops_key(&self) -> usize {
        ptr::from_ref(&self.stops).addr()
    }

    /// Until `stop` is over. This thread holds no GIL.
    #[cold]
    fn await_going(&self, stop: u32) {
        while self.stops.is(stop) {
            self.host().park().park(self.stops_key(), &|| self.stops.is(stop), None);
            self.host().relax();
        }
    }

    /// Runs `f` under the runtime's lock while the world goes on. This thread holds no GIL.
    pub(crate) fn locked_going<R>(&self, mut f: impl FnMut(&mut Registry) -> R) -> R {
        loop {
            let answer = self.locked(|registry| match self.stops.under_way() {
                Some(stop) => Err(stop),
                None => Ok(f(registry)),
            });
            match answer {
                Ok(answer) => return answer,
                Err(stop) => self.await_going(stop),
            }
        }
    }
}

impl Registry {
    /// Sets breaker bits in every thread state.
    fn break_everybody(&self, bits: u32) {
        let mut at = self.newest();
        // SAFETY: listed heads are slots of this runtime.
        while let Some(head) = unsafe { at.as_ref() } {
            head.break_quietly(bits);
            at = head.older.get();
        }
    }
}

impl<H: Host> Attached<'_, H> {
    /// Runs `f` while no other thread runs any interpreter of this runtime (`_PyEval_StopTheWorldAll`; SPEC G8). The GIL is
    /// let go until the others have stopped, so others may have run when `f` begins. As [`stop`](Self::stop) otherwise, of
    /// everybody; and as [`Runtime::stop_all`].
    ///
    /// # Errors
    /// `WouldDeadlock` inside `stop`, for two that stopped an interpreter each would wait for one another; `Finalizing`,
    /// `InInterrupt`.
    pub fn stop_all<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> Result<R, StopError> {
        if self.rt().host().in_interrupt() {
            return Err(StopError::InInterrupt);
        }
        match self.slot().gil().keeps() {
            Hold::World => return Ok(f(self)),
            Hold::Nothing => {}
            _ => return Err(StopError::WouldDeadlock),
        }
        if self.slot().head.word.is_finalizing() {
            return Err(StopError::Finalizing);
        }
        // SAFETY: not used after this call.
        let place = unsafe { self.place_of_frame() };
        let _stopper = self.detach(|| place.rt.begin_stop(place.interpreter.gil()));
        Ok(self.keeping(Hold::World, f))
    }

    /// Stands still while the world is stopped, unless others stand still for this thread.
    #[cold]
    pub(crate) fn pause(&mut self) {
        if self.slot().gil().keeps() != Hold::Nothing {
            return;
        }
        // SAFETY: as in `stop_all`.
        let place = unsafe { self.place_of_frame() };
        if let Some(stop) = place.rt.stops.under_way() {
            self.detach(|| place.rt.await_going(stop));
        }
    }
}
