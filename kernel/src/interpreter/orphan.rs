//! Ending interpreters whose last reference is gone: on the spot, or by main's thread.

use core::{cell::Cell, mem, time::Duration};

use crate::{
    error::{EndError, LookupError},
    host::Host,
    interpreter::{
        Decref, InterpreterHead, InterpreterId, InterpreterSlot, Phase, end::refuse_own_frames,
        reference::TakenBack, retire,
    },
    memory::Ledger,
    observe::Event,
    runtime::Runtime,
};

/// How the loss of the last reference ends an interpreter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ender {
    /// Whoever gave it back.
    OnTheSpot,
    /// Main's thread, later.
    Mains,
}

impl<H: Host> Runtime<H> {
    pub(super) fn after_decref(&self, id: InterpreterId, taken: TakenBack) -> Result<Decref, LookupError> {
        match taken {
            TakenBack::None => Err(LookupError::NotReferenced),
            TakenBack::Left(count) => Ok(Decref::Left(count)),
            TakenBack::Last => Ok(match self.end_orphan(id, Ender::OnTheSpot) {
                Ok(ledger) => Decref::Ended(ledger),
                Err(_) => {
                    self.look_for_orphans();
                    Decref::Queued
                }
            }),
        }
    }

    /// Ends the interpreters whose last reference is gone. Those that cannot be ended now stay queued.
    pub(crate) fn end_orphans(&self) {
        /// For a panic of a destructor: others are still to be ended.
        struct Rest<'a, H: Host>(&'a Runtime<H>);
        impl<H: Host> Drop for Rest<'_, H> {
            fn drop(&mut self) {
                self.0.look_for_orphans();
            }
        }
        let rest = Rest(self);
        let (mut below, mut stay) = (u64::MAX, false);
        while let Some(id) = self.newest_orphan(below) {
            below = id.number();
            stay |= !matches!(
                self.end_orphan(id, Ender::Mains),
                Ok(_) | Err(EndError::NotFound | EndError::StillActive | EndError::Vetoed)
            );
        }
        mem::forget(rest);
        if stay {
            self.mains.leave_orphans();
        }
    }

    fn newest_orphan(&self, below: u64) -> Option<InterpreterId> {
        let wanted = |head: &InterpreterHead| head.id.get().number() < below && head.references.is_queued();
        self.locked(|registry| registry.first(registry.newest(), wanted))
    }

    /// Ends one whose last reference is gone, waiting for nobody.
    fn end_orphan(&self, id: InterpreterId, ender: Ender) -> Result<Ledger, EndError> {
        /// What becomes of a claim where the end does not go on, also if an observer or a callback panics.
        struct Claim<'a, H: Host> {
            rt: &'a Runtime<H>,
            id: InterpreterId,
            claimed: Cell<bool>,
            again: bool,
        }
        impl<H: Host> Drop for Claim<'_, H> {
            fn drop(&mut self) {
                let Claim { rt, id, ref claimed, again } = *self;
                if claimed.get() {
                    // Under the lock, under which a slot gets its next interpreter.
                    let _ = rt.locked(|registry| {
                        rt.listed(registry, id).map(|slot| slot.head.references.unclaim(again))
                    });
                }
            }
        }
        self.may_wait(None)?;
        let mut claim = Claim { rt: self, id, claimed: Cell::new(false), again: true };
        let refuse = |slot: &InterpreterSlot<H>| {
            refuse_own_frames::<H>(slot)?;
            if ender == Ender::OnTheSpot && slot.head.is_running() {
                return Err(EndError::Running);
            }
            // Before the claim: whoever is at that end and gives it up looks whether one is queued.
            if slot.head.announced.get() || slot.head.word.phase() == Phase::Ending {
                return Err(EndError::InProgress);
            }
            claim.claimed.set(slot.head.references.claim());
            if claim.claimed.get() { Ok(()) } else { Err(EndError::NotFound) }
        };
        let announce = || {
            if ender == Ender::Mains {
                let _ = self.tell(&Event::InterpreterOrphaned { id });
            }
            self.tell(&Event::InterpreterClearing { id })
        };
        let begun = self.begin_end(id, refuse, announce);
        let ending = begun.and_then(|begun| begun.await_exits(0, Some(Duration::ZERO)));
        match ending {
            // Whoever leaves last completes it.
            Ok(_) | Err(EndError::StillActive) => claim.claimed.set(false),
            Err(EndError::Vetoed) => claim.again = false,
            Err(_) => {}
        }
        Ok(retire::clear(self, ending?, None))
    }

    /// Main's thread looks again, if the loss of the last reference is to end this interpreter and could not so far. After
    /// something that may have been in the way.
    #[inline]
    pub(crate) fn remind_of(&self, slot: &InterpreterSlot<H>) {
        if slot.head.references.is_orphaned() {
            self.look_for_orphans();
        }
    }

    /// As [`remind_of`](Self::remind_of), after an end that did not go on: of one that was asked for, for that of an orphan
    /// is queued again by whoever claimed it.
    pub(super) fn remind_of_queued(&self, slot: &InterpreterSlot<H>) {
        if slot.head.references.is_queued() {
            self.look_for_orphans();
        }
    }
}
