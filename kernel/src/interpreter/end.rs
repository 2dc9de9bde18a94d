//! Ending an interpreter: the order of ARCHITECTURE.md "Ending".
//!
//! begin (no new activations) → wait for the open ones (or leave the rest to the last one out) → clearing:
//! leftover pending calls, guest, objects → heap swept → thread states die, number retired, slot free.

#![allow(unsafe_code)]

use core::{mem, ptr, time::Duration};

use crate::{
    error::EndError,
    eval::breaker::FINALIZING,
    host::{Clock, Host, Park},
    interpreter::{
        InterpreterId, InterpreterSlot, Phase,
        word::{BeginEnd, Claim},
    },
    memory::Ledger,
    observe::{Event, Veto},
    runtime::Runtime,
    sync::Ordering,
    thread::{
        Attached,
        place::Place,
        session::Session,
        slot::{ThreadSlot, ThreadWhence},
    },
};

/// What an ender waits on.
pub(crate) fn key<H: Host>(slot: &InterpreterSlot<H>) -> usize {
    ptr::from_ref(&slot.head.word).addr()
}

/// How long an end waits for activations to run out: `None` for ever, zero not at all.
///
/// A frame of the caller that is open elsewhere, detached, keeps *that* interpreter from ending meanwhile: two threads that
/// each end the interpreter the other one is inside of wait for one another, so at least one of them needs a time limit.
pub type Patience = Option<Duration>;

impl<H: Host> Runtime<H> {
    /// Ends an interpreter from outside (SPEC L3, L10, L11).
    ///
    /// From the moment this begins, attaching answers `Finalizing`, running code is told at its next safepoint
    /// and blocked waits are woken. Nothing is taken down while an activation is open.
    ///
    /// # Errors
    /// `StillActive` if `patience` ran out: everything stays valid, and the last activation to leave completes
    /// the end (an observer gets the ledger). Otherwise nothing changed. `TooLong` if the host's clock cannot tell
    /// `patience`.
    pub fn end(&self, id: InterpreterId, patience: Patience) -> Result<Ledger, EndError> {
        if self.host().in_interrupt() {
            return Err(EndError::InInterrupt);
        }
        if patience.is_some_and(|patience| patience > <H::Clock as Clock>::MAX) {
            return Err(EndError::TooLong);
        }
        let refuse = |slot: &InterpreterSlot<H>| match id.is_main() {
            true => Err(EndError::Main),
            false => refuse_own_frames::<H>(slot),
        };
        let begun = self.begin_end(id, refuse, || self.tell(&Event::InterpreterClearing { id }))?;
        Ok(clear(self, begun.await_activations(0, patience)?, None))
    }

    /// RUNNING or DEFERRED → FINALIZING, and everybody inside is told. `refuse` is asked before anything changes;
    /// `announce` tells observers, of each interpreter once: by the end that goes on, and before it does.
    pub(crate) fn begin_end(
        &self,
        id: InterpreterId,
        refuse: impl FnOnce(&InterpreterSlot<H>) -> Result<(), EndError>,
        announce: impl FnOnce() -> Result<(), Veto>,
    ) -> Result<Begun<'_, H>, EndError> {
        /// Nobody else begins the end of a running interpreter before this one did, or gave it up.
        struct Announced<'rt, H: Host>(&'rt Runtime<H>, &'rt InterpreterSlot<H>);
        impl<H: Host> Drop for Announced<'_, H> {
            fn drop(&mut self) {
                self.0.locked(|_| self.1.head.announced.set(false));
            }
        }
        // Under the lock, so that the slot cannot get its next tenant between look-up and step.
        let (slot, taken_over) = self.locked(|registry| {
            let slot = self.listed(registry, id).map_err(|_| EndError::NotFound)?;
            refuse(slot)?;
            if slot.head.announced.get() {
                return Err(EndError::InProgress);
            }
            if slot.head.word.phase() != Phase::Running {
                return self.to_finalizing(slot).map(|begun| (slot, Some(begun)));
            }
            slot.head.announced.set(true);
            Ok((slot, None))
        })?;
        if let Some(begun) = taken_over {
            return Ok(begun);
        }
        let announced = Announced(self, slot);
        announce().map_err(|Veto| EndError::Vetoed)?;
        mem::forget(announced);
        self.locked(|_| {
            slot.head.announced.set(false);
            self.to_finalizing(slot)
        })
    }

    /// Under the lock.
    fn to_finalizing<'rt>(&'rt self, slot: &'rt InterpreterSlot<H>) -> Result<Begun<'rt, H>, EndError> {
        match slot.head.word.begin_end() {
            BeginEnd::Begun => {
                let begun = Begun { rt: self, slot };
                slot.head.break_all(FINALIZING);
                Ok(begun)
            }
            // Everybody was told by the end that is taken over.
            BeginEnd::TakenOver => Ok(Begun { rt: self, slot }),
            BeginEnd::InProgress | BeginEnd::NotReady => Err(EndError::InProgress),
            BeginEnd::Ended => Err(EndError::NotFound),
        }
    }
}

/// An end that has begun; the phase is FINALIZING. Dropping it, as where the host or an observer panics, leaves the end
/// to the next who tries.
#[must_use]
pub(crate) struct Begun<'rt, H: Host> {
    rt: &'rt Runtime<H>,
    slot: &'rt InterpreterSlot<H>,
}

impl<H: Host> Drop for Begun<'_, H> {
    fn drop(&mut self) {
        self.slot.head.word.give_up();
    }
}

impl<'rt, H: Host> Begun<'rt, H> {
    /// FINALIZING → CLEARING once nothing but `own` activations are left.
    pub(crate) fn await_activations(
        self,
        own: usize,
        patience: Patience,
    ) -> Result<&'rt InterpreterSlot<H>, EndError> {
        let Begun { rt, slot } = self;
        let word = &slot.head.word;
        let clock = rt.host().clock();
        let start = clock.now();
        let mut left = patience;
        loop {
            if word.claim(own) == Claim::Claimed {
                mem::forget(self);
                return Ok(slot);
            }
            if left == Some(Duration::ZERO) {
                let claim = word.defer(own);
                mem::forget(self);
                return if claim == Claim::Claimed { Ok(slot) } else { Err(EndError::StillActive) };
            }
            rt.host().park().park(key(slot), &|| word.activations() > own, left);
            if let Some(patience) = patience {
                left = Some(patience.saturating_sub(clock.between(start, clock.now())));
            }
            rt.host().relax();
        }
    }
}

/// An end from inside would wait for itself.
pub(crate) fn refuse_own_frames<H: Host>(slot: &InterpreterSlot<H>) -> Result<(), EndError> {
    let attached = Session::attached::<H>();
    if attached.is_some_and(|s| ptr::eq(s.interpreter.get(), &slot.head)) {
        return Err(EndError::Current);
    }
    if Session::find::<H>(&raw const slot.head).is_some() {
        return Err(EndError::WouldDeadlock);
    }
    if attached.is_some() {
        return Err(EndError::AlreadyAttached);
    }
    Ok(())
}

/// The last activation out completes an end that was left to it. The phase is CLEARING.
#[cold]
pub(crate) fn complete<H: Host>(rt: &Runtime<H>, slot: &InterpreterSlot<H>) {
    clear(rt, slot, None);
}

/// Takes an interpreter down. The phase is CLEARING and this thread alone is in it. `own`: the thread state
/// that the raw layer's end came with, attached on this thread; its session is closed afterwards and its GIL
/// released.
pub(crate) fn clear<H: Host>(rt: &Runtime<H>, slot: &InterpreterSlot<H>, own: Option<&ThreadSlot>) -> Ledger {
    /// Tells observers, also when a destructor of the guest panics.
    struct Tell<'rt, H: Host>(&'rt Runtime<H>, InterpreterId, Ledger);
    impl<H: Host> Drop for Tell<'_, H> {
        fn drop(&mut self) {
            let _ = self.0.tell(&Event::InterpreterEnded { id: self.1, ledger: &self.2 });
        }
    }
    let mut tell = Tell(rt, slot.head.id.get(), Ledger::default());
    take_down(rt, slot, own, &mut tell.2);
    tell.2
}

/// As [`clear`], without telling observers: also undoes a creation.
pub(crate) fn take_down<H: Host>(
    rt: &Runtime<H>,
    slot: &InterpreterSlot<H>,
    own: Option<&ThreadSlot>,
    ledger: &mut Ledger,
) {
    let _finish = Finish { rt, slot };
    with_token(rt, slot, own, |cx| cx.take_down(ledger));
}

/// Clears on a thread state that stays attached: the raw layer's low-level clear.
///
/// # Safety
/// The phase is CLEARING, this thread alone is in the interpreter and holds its GIL through `place`, which no token
/// uses.
pub(crate) unsafe fn clear_on<H: Host>(place: Place<'_, H>, ledger: &mut Ledger) {
    // SAFETY: passed on.
    unsafe { place.frame(true, |cx| cx.take_down(ledger)) }
}

/// Takes a cleared interpreter out of the registry. The phase is CLEARING and nobody is left inside.
pub(crate) fn retire<H: Host>(rt: &Runtime<H>, slot: &InterpreterSlot<H>) {
    drop(Finish { rt, slot });
}

/// What an interpreter takes before it runs anything: its slot and one thread state's.
pub(crate) const fn footprint<H: Host>() -> usize {
    size_of::<InterpreterSlot<H>>() + size_of::<ThreadSlot>()
}

/// Runs `f` attached through the reserve, or through `own`, whose frame is closed afterwards.
fn with_token<H: Host>(
    rt: &Runtime<H>,
    slot: &InterpreterSlot<H>,
    own: Option<&ThreadSlot>,
    f: impl for<'i> FnOnce(&mut Attached<'i, H>),
) {
    if let Some(thread) = own {
        let place = Place { rt, interpreter: slot, thread };
        thread.session.close::<H>();
        // SAFETY: the phase is CLEARING, so nobody else can reach the interpreter; this thread holds its GIL
        // through `place` until `frame` has run.
        unsafe { place.frame(false, f) };
        return;
    }
    let thread = &slot.reserve;
    rt.locked(|registry| registry.add_thread(thread, &slot.head, ThreadWhence::Fini));
    let place = Place { rt, interpreter: slot, thread };
    // SAFETY: the phase is CLEARING, so nobody else can reach the interpreter. A frame that is attached on this
    // thread meanwhile is of this host, for `enter` counted the activation that was the last; the runtime that it
    // borrows, which may be another one, is alive.
    unsafe {
        match Session::attached::<H>() {
            // The last one out may hold the GIL that both share.
            Some(session) if session.gil.get() == ptr::from_ref(slot.gil()).cast() => {
                place.frame_under(Place::of_session(rt, session), session, f);
            }
            // Or, where it entered and left by mistake (see `Place::activate`), another one.
            Some(session) => {
                let theirs = &*session.runtime.get().cast::<Runtime<H>>();
                Place::of_session(theirs, session).lend_gil(session, || {
                    slot.gil().take_untimed(thread, &slot.head);
                    place.frame(false, f);
                });
            }
            None => {
                slot.gil().take_untimed(thread, &slot.head);
                place.frame(false, f);
            }
        }
    }
}

/// Gives everything back, also when a destructor of the guest panics.
struct Finish<'a, H: Host> {
    rt: &'a Runtime<H>,
    slot: &'a InterpreterSlot<H>,
}

impl<H: Host> Drop for Finish<'_, H> {
    fn drop(&mut self) {
        let Finish { rt, slot } = *self;
        slot.guest_table.set(None);
        slot.guest.set(ptr::null_mut());
        slot.frame_eval.set(None);
        slot.head.pending.forget();
        // Where a panic kept the table from being given back, the sweep took its memory.
        slot.globals.abandon();
        // SAFETY: the phase is CLEARING, and nobody is left inside.
        unsafe { (*slot.values.get()).abandon() };
        rt.locked(|registry| {
            // At its last generation a slot is retired: a port of long ago must not reach a new tenant.
            let mut reusable = slot.head.generation.load(Ordering::Relaxed) != u32::MAX;
            rt.disarm(registry, slot);
            // SAFETY: under the lock the list is stable, and its slots are type-stable.
            while let Some(thread) = unsafe { slot.head.threads.get().as_ref() } {
                let again = registry.remove_thread(thread, &slot.head);
                if ptr::eq(thread, &slot.reserve) {
                    reusable &= again;
                } else if again {
                    registry.free_thread_slot(ptr::from_ref(thread).cast_mut());
                }
            }
            registry.remove(&slot.head);
            slot.head.word.finish();
            if reusable {
                registry.free_interpreter_slot(ptr::from_ref(slot).cast_mut().cast());
            }
        });
    }
}
