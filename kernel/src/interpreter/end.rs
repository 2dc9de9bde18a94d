//! Ending an interpreter: the order of ARCHITECTURE.md "Ending".
//!
//! begin → (`wind_down.rs`) callbacks, joins, guards → no new activations → wait for the open ones (or leave the rest to the
//! last one out) → clearing (`clear.rs`): leftover pending calls, guest, objects → heap swept → (`retire.rs`) thread states die, number
//! retired, slot free.

use core::{mem, ptr, time::Duration};

use crate::{
    error::EndError,
    eval::breaker::FINALIZING,
    host::{Clock, Host, Park},
    interpreter::{InterpreterId, InterpreterSlot, Phase, retire, word::BeginEnd},
    memory::Ledger,
    observe::{Event, Veto},
    runtime::Runtime,
    thread::session::{Hold, Session},
};

/// What an ender waits on.
pub(crate) fn key<H: Host>(slot: &InterpreterSlot<H>) -> usize {
    ptr::from_ref(&slot.head.word).addr()
}

/// Whoever ends the interpreter, or waits for its end, looks again.
#[cold]
#[inline(never)]
pub(crate) fn wake<H: Host>(rt: &Runtime<H>, slot: &InterpreterSlot<H>) {
    rt.host().park().unpark(key(slot));
    rt.moved_on();
    // Behind the fence in there: what was done before, or that the last reference is gone, whoever comes later sees both.
    rt.remind_of(slot);
}

/// How long an end waits for threads, guards and activations, in all: `None` for ever, zero not at all.
///
/// A frame of the caller that is open elsewhere, detached, keeps *that* interpreter from ending meanwhile: two threads that
/// each end the interpreter the other one is inside of wait for one another, so at least one of them needs a time limit.
pub type Patience = Option<Duration>;

impl<H: Host> Runtime<H> {
    /// Ends an interpreter from outside (SPEC L3, L10, L11).
    ///
    /// Shutdown hooks run, threads with a [`JoinTicket`](crate::interpreter::JoinTicket) are joined, at-exit callbacks run, in
    /// rounds while they register others. Then no new guards are given, and those that are held are waited for. Meanwhile
    /// everything goes on. From then on attaching answers `Finalizing`, running code is told at its next safepoint and blocked
    /// waits are woken. Nothing is taken down while an activation is open.
    ///
    /// A panic of a callback goes on to the caller, and the interpreter goes on too; the rest of the callbacks is left for the
    /// next end. A panic of a destructor or of the guest goes on when everything has been given back; observers have the
    /// ledger then.
    ///
    /// # Errors
    /// `StillRunning` and `StillGuarded` if `patience` ran out before anybody was refused anything: the interpreter goes on,
    /// and callbacks that ran have run. `StillActive` if `patience` ran out: everything stays valid, and the last activation to leave completes
    /// the end (an observer gets the ledger). Otherwise nothing changed. `TooLong` if the host's clock cannot tell
    /// `patience`.
    pub fn end(&self, id: InterpreterId, patience: Patience) -> Result<Ledger, EndError> {
        self.may_wait(patience)?;
        let refuse = |slot: &InterpreterSlot<H>| match id.is_main() {
            true => Err(EndError::Main),
            false => refuse_own_frames::<H>(slot),
        };
        let begun = self.begin_end(id, refuse, || self.tell(&Event::InterpreterClearing { id }))?;
        Ok(retire::clear(self, begun.await_exits(0, patience)?, None))
    }

    /// Whether an end can be asked for here, with this patience.
    pub(super) fn may_wait(&self, patience: Patience) -> Result<(), EndError> {
        if self.host().in_interrupt() {
            return Err(EndError::InInterrupt);
        }
        if patience.is_some_and(|patience| patience > <H::Clock as Clock>::MAX) {
            return Err(EndError::TooLong);
        }
        Ok(())
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
                self.0.moved_on();
                self.0.remind_of_queued(self.1);
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
        match slot.head.word.begin_end(slot.has_exits()) {
            BeginEnd::Begun => {
                let begun = Begun { rt: self, slot, callbacks: true };
                slot.head.break_all(FINALIZING);
                Ok(begun)
            }
            // Nobody is told before guards are back; and everybody was told by an end that is taken over.
            BeginEnd::Waits | BeginEnd::TakenOver => Ok(Begun { rt: self, slot, callbacks: true }),
            BeginEnd::InProgress | BeginEnd::NotReady => Err(EndError::InProgress),
            BeginEnd::Ended => Err(EndError::NotFound),
        }
    }
}

/// An end that has begun; the phase is ENDING, CLOSING or FINALIZING. Dropping it, as where the host or an observer panics,
/// leaves the end to the next who tries: before FINALIZING the interpreter is as it was.
#[must_use]
pub(crate) struct Begun<'rt, H: Host> {
    pub(super) rt: &'rt Runtime<H>,
    pub(super) slot: &'rt InterpreterSlot<H>,
    /// Whether callbacks are run, or dropped.
    pub(super) callbacks: bool,
}

impl<H: Host> Drop for Begun<'_, H> {
    fn drop(&mut self) {
        self.slot.head.word.give_up();
        self.rt.moved_on();
        self.rt.remind_of_queued(self.slot);
    }
}

/// An end from inside would wait for itself.
pub(crate) fn refuse_own_frames<H: Host>(slot: &InterpreterSlot<H>) -> Result<(), EndError> {
    let held = Session::held::<H>();
    if held.is_some_and(Hold::stops) {
        return Err(EndError::Stopped);
    }
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
