//! Waiting for a GIL, and letting it go because somebody waits.
//!
//! The rule, with `I` the switch interval:
//!
//! 1. A waiter asks whenever `I` passed without a turn: it sets [`ASKED`], and the drop bit in the owner's breaker. Where
//!    there was no owner to see the bit it looks again soon.
//! 2. Who was asked lets go at its next safepoint, or where it lets go anyhow. That is a turn: the first in the queue has the
//!    GIL. Other releases are no turns, and whoever runs may be faster than the queue; but who came by that has no interval
//!    of its own.
//! 3. Who let go in a turn takes the GIL again only when somebody else had it, or nobody waits.
//!
//! 4. Who comes for a short run and finds nobody else waiting does not wait out `I`: while there is *credit* it sets the drop
//!    bit at once, for the next safepoint. Such an early request is for running code: a release does not look for it. It may
//!    be wrong about the run, so credit bounds it. It begins at `I`, which is also the most. Who was asked at a safepoint adds
//!    a tenth of what it had held; where the request was an early one it takes off what it waited then. Short runs are those
//!    of a thread state that let go unasked the last time, or is new.
//!
//! So while anybody waits there is a turn every `2 I + I/8 + s` at least, `s` being the longest way of the running code to a
//! safepoint: a waiter that looks right after a turn asks with its second look, and that is heard by the holder, by the next
//! release, or an eighth later. A lock that keeps places then serves the n-th in its queue within n + 1 turns and the wake-ups
//! between: nobody starves, whoever else detaches and attaches meanwhile. Short runs cost the running code at most a tenth of its
//! time, and `I` once; one that was no short run, what it took, and then the credit is gone until somebody waited for a whole
//! `I`. The clock is read by those who waited or were asked, and nothing of all this is on the way of a thread that does not
//! wait but one look at [`ASKED`] when it lets go.
//!
//! Where everybody asks at once, rules 1 and 4 are for nothing: under [`Steps`](crate::gil::Steps) the holder counts safepoints instead, from the first
//! at which it finds itself asked. A lock that keeps places then serves the n-th in its queue within n + 1 times so many.
#![allow(unsafe_code)]

use core::time::Duration;

use crate::{
    eval::breaker::DROP_GIL,
    gil::{ASKED, Counter, Gil, GilPolicy, HeldTimeOf, add, micros},
    host::{Clock, Host, RawGil},
    interpreter::InterpreterHead,
    observe::GilChange,
    runtime::Runtime,
    sync::{Ordering, fence},
    thread::{
        session::Hold,
        slot::{Status, ThreadSlot},
    },
};

impl<H: Host> Gil<H> {
    /// Waits until this thread holds the GIL.
    #[cold]
    pub(super) fn wait(
        &self,
        me: &ThreadSlot,
        interpreter: &InterpreterHead,
        timed: Option<&Runtime<H>>,
        light: bool,
    ) {
        /// Holds the GIL from its drop on.
        struct Hold<'a, H: Host> {
            gil: &'a Gil<H>,
            me: &'a ThreadSlot,
            interpreter: &'a InterpreterHead,
            held: Option<<H::Gil as RawGil>::Held>,
        }
        impl<H: Host> Drop for Hold<'_, H> {
            fn drop(&mut self) {
                let held = self.held.take().unwrap_or_else(|| {
                    // The clock panicked before the wait: without its patience, then.
                    self.gil.ask();
                    self.gil.raw.lock()
                });
                self.gil.waiters.fetch_sub(1, Ordering::AcqRel);
                self.gil.install(held, self.me, self.interpreter);
            }
        }
        me.set_status(Status::Waiting);
        self.waiters.fetch_add(1, Ordering::AcqRel);
        let mut hold = Hold { gil: self, me, interpreter, held: None };
        if H::GilPolicy::ASKS_ONCE {
            fence(Ordering::SeqCst);
        }
        // Inside the guard: the host may panic here.
        let start = timed.map(|rt| {
            self.tell(rt, me, interpreter, GilChange::Waiting);
            let clock = rt.host().clock();
            (clock, clock.now())
        });
        let mut seen = None;
        hold.held = Some(H::GilPolicy::wait(&self.raw, &mut || {
            let now = self.turns.load(Ordering::Relaxed) & !ASKED;
            let asks = H::GilPolicy::ASKS_ONCE || seen == Some(now);
            let alone = light && seen.is_none() && self.waiters.load(Ordering::Relaxed) == 1;
            seen = Some(now);
            if alone && !asks {
                self.ask_early();
            }
            if asks && !self.ask() { self.interval() / 8 } else { self.interval() }
        }));
        let end = start.map(|(clock, start)| {
            let end = clock.now();
            (end, clock.between(start, end).as_micros())
        });
        drop(hold);
        // GIL fields of the interpreter: this thread holds its GIL now.
        add(&interpreter.waits, 1);
        if let Some((end, us)) = end {
            self.set_since(end);
            add(&interpreter.waited_us, usize::try_from(us).unwrap_or(usize::MAX));
        }
    }

    /// Asks code that looks at its breaker, if there is credit.
    fn ask_early(&self) {
        // SAFETY: as in `ask`.
        let owner = unsafe { self.owner.load(Ordering::Acquire).as_ref() };
        if let Some(owner) = owner.filter(|_| self.credit_us.load(Ordering::Relaxed) > 0) {
            owner.breaker.set(DROP_GIL);
        }
    }

    /// When the owner got the GIL, if that is known. Holder only.
    fn since(&self) -> Option<<H::Clock as Clock>::Instant> {
        let known = self.since_switch.get() == self.switches.load(Ordering::Relaxed) as u32;
        self.since.get().filter(|_| known)
    }

    pub(super) fn set_since(&self, at: <H::Clock as Clock>::Instant) {
        self.since.set(Some(at));
        self.since_switch.set(self.switches.load(Ordering::Relaxed) as u32);
    }

    /// As [`since`](Self::since), and forgets it.
    pub(super) fn take_since(&self) -> Option<<H::Clock as Clock>::Instant> {
        let since = self.since();
        self.since.set(None);
        since
    }

    /// For who had the GIL for so long, let somebody have it, early or not, and has waited so long until now.
    fn settle(&self, held: Duration, early: bool, waited: Duration) {
        let credit = self
            .credit_us
            .load(Ordering::Relaxed)
            .saturating_add(micros(held) / 10)
            .min(self.interval_us.load(Ordering::Relaxed));
        let cost = if early { micros(waited) } else { 0 };
        self.credit_us.store(credit.saturating_sub(cost), Ordering::Relaxed);
    }

    /// Asks for the GIL: whether an owner was there to be told. Where none was, whoever lets go next sees it.
    pub(super) fn ask(&self) -> bool {
        self.turns.fetch_or(ASKED, Ordering::Release);
        // SAFETY: thread slots are type-stable while the runtime lives; a late request finds a stale slot.
        let owner = unsafe { self.owner.load(Ordering::Acquire).as_ref() };
        owner.inspect(|owner| owner.breaker.set(DROP_GIL)).is_some()
    }

    /// Counts a turn, which answers whatever was asked by now: whether somebody had asked for it whose time had come. Holder
    /// only.
    pub(super) fn turn(&self) -> bool {
        let asked = self.turns.load(Ordering::Relaxed) & ASKED != 0;
        // The carry takes `ASKED` down and counts in one step.
        let more = if asked { ASKED } else { ASKED + 1 };
        // Whoever asked had counted itself before: `take_in_turn` has to see it among the waiters.
        self.turns.fetch_add(more, Ordering::Acquire);
        asked
    }

    /// # Safety
    /// As for [`release`](Self::release); `held` was taken back.
    #[cold]
    pub(super) unsafe fn release_asked(&self, me: &ThreadSlot, held: <H::Gil as RawGil>::Held) {
        me.breaker.take(DROP_GIL);
        me.set_gave_way(Some(self.switches.load(Ordering::Relaxed) as u32));
        let _ = self.turn();
        // SAFETY: passed on.
        unsafe { H::GilPolicy::hand_over(&self.raw, held) }
    }

    /// Answers a drop request: somebody who waits gets the GIL, then this thread takes it again. Answers how long this
    /// thread had it, if that is known.
    ///
    /// # Safety
    /// This thread holds this GIL through `me`, a thread state of `interpreter`.
    pub(crate) unsafe fn hand_over(
        &self,
        rt: &Runtime<H>,
        me: &ThreadSlot,
        interpreter: &InterpreterHead,
    ) -> Option<Duration> {
        // Who asked is still waiting when others may go on.
        if self.keeps() != Hold::Nothing {
            return None;
        }
        let early = !self.turn();
        self.begin_steps();
        if self.waiters.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.tell(rt, me, interpreter, GilChange::GaveWay);
        // Where everybody asks at once there is nothing to account for but the time itself.
        let clock = (!H::GilPolicy::ASKS_ONCE || HeldTimeOf::<H>::COUNTS).then(|| rt.host().clock());
        let gave = clock.map(|clock| clock.now());
        let held = clock.zip(gave).and_then(|(clock, gave)| Some(clock.between(self.take_since()?, gave)));
        let seen = self.switches.load(Ordering::Relaxed);
        let lock = self.take_back();
        // SAFETY: `lock` comes from the acquisition in `take` on this thread.
        unsafe { H::GilPolicy::hand_over(&self.raw, lock) };
        self.take_in_turn(rt, me, interpreter, seen);
        if let Some((clock, gave)) = clock.zip(gave) {
            let back = self.since().unwrap_or_else(|| clock.now());
            self.set_since(back);
            if !H::GilPolicy::ASKS_ONCE {
                self.settle(held.unwrap_or_default(), early, clock.between(gave, back));
            }
        }
        self.tell(rt, me, interpreter, GilChange::Attached);
        held
    }

    /// Takes the GIL after it was let go because somebody asked, with so many switches `seen`: not before one who waits
    /// had it.
    #[cold]
    pub(super) fn take_in_turn(
        &self,
        rt: &Runtime<H>,
        me: &ThreadSlot,
        interpreter: &InterpreterHead,
        seen: usize,
    ) {
        /// Takes the GIL, also if the host panics meanwhile.
        struct Take<'a, H: Host> {
            gil: &'a Gil<H>,
            me: &'a ThreadSlot,
            interpreter: &'a InterpreterHead,
            /// Not while it unwinds, when another panic, of the clock, would end the program.
            timed: Option<&'a Runtime<H>>,
        }
        impl<H: Host> Drop for Take<'_, H> {
            fn drop(&mut self) {
                let Take { gil, me, interpreter, timed } = *self;
                match gil.raw.try_lock() {
                    Some(held) => gil.install(held, me, interpreter),
                    None => gil.wait(me, interpreter, timed, false),
                }
            }
        }
        me.set_gave_way(None);
        let mut take = Take { gil: self, me, interpreter, timed: None };
        while self.waiters.load(Ordering::Acquire) > 0 && self.switches.load(Ordering::Acquire) == seen {
            if H::GilPolicy::DIRECT {
                match self.raw.try_lock() {
                    // A waiter between two looks was not there to be handed it.
                    // SAFETY: `early` comes from the acquisition in this step, on this thread.
                    Some(early) => unsafe { self.raw.unlock(early) },
                    // It has its owner, who may not run yet: spinning would keep it from running.
                    None => break,
                }
            }
            rt.host().relax();
        }
        take.timed = Some(rt);
    }
}
