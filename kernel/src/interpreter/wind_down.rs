//! The first part of an end, in which everything goes on: shutdown hooks → joins → pending calls → at-exit callbacks, again
//! while any of them made new ones → guards. Then activations run out.

use core::{mem, time::Duration};

use crate::{
    error::EndError,
    eval::breaker::FINALIZING,
    host::{Clock, Host, Park},
    interpreter::{
        InterpreterSlot, Patience,
        end::{Begun, key},
        exit::ExitKind,
        slot::InstantOf,
        word::{Claim, Finalize},
    },
    thread::{Attached, place::Place, slot::ThreadWhence},
};

/// What an end has to do next.
enum Next {
    /// Callbacks are to be run, or threads to be joined.
    Exits,
    /// Guards are held.
    Guards,
    /// Nobody gets in any more.
    Finalizing,
}

impl<'rt, H: Host> Begun<'rt, H> {
    /// The same, but callbacks are dropped and not run.
    pub(crate) fn without_callbacks(mut self) -> Self {
        self.callbacks = false;
        self
    }

    /// To FINALIZING once there is nothing to wait for, and to CLEARING once nothing but `own` activations are left.
    pub(crate) fn await_exits(
        self,
        own: usize,
        patience: Patience,
    ) -> Result<&'rt InterpreterSlot<H>, EndError> {
        let Begun { rt, slot, .. } = self;
        let word = &slot.head.word;
        let time = TimeLeft::new(rt.host(), patience);
        if !word.is_finalizing() {
            self.wind_down(&time)?;
        }
        while word.claim(own) != Claim::Claimed {
            if time.is_over() {
                let claim = word.defer(own);
                mem::forget(self);
                if claim == Claim::Claimed {
                    return Ok(slot);
                }
                rt.moved_on();
                return Err(EndError::StillActive);
            }
            time.park(key(slot), &|| word.activations() > own);
        }
        mem::forget(self);
        Ok(slot)
    }

    fn wind_down(&self, time: &TimeLeft<'_, H>) -> Result<(), EndError> {
        let head = &self.slot.head;
        let mut rounds = 0_u32;
        loop {
            match self.next() {
                Next::Finalizing => return Ok(()),
                // What is there is run in any case; what it registers may never end.
                Next::Exits if rounds > 0 && time.is_over() => return Err(EndError::StillRunning),
                Next::Exits => {
                    rounds = rounds.saturating_add(1);
                    self.attached(|cx| cx.run_exits(ExitKind::Shutdown))?;
                    while head.has_joins() {
                        if time.is_over() {
                            return Err(EndError::StillRunning);
                        }
                        time.park(key(self.slot), &|| head.has_joins());
                    }
                    self.attached(|cx| {
                        // One pass, which may fail: what is left of them runs when nobody adds any more.
                        let _ = cx.run_pending();
                        cx.run_exits(ExitKind::AtExit);
                    })?;
                }
                Next::Guards if time.is_over() => return Err(EndError::StillGuarded),
                Next::Guards => time.park(key(self.slot), &|| head.word.guards() > 0 && !self.has_exits()),
            }
        }
    }

    fn has_exits(&self) -> bool {
        if self.callbacks { self.slot.has_exits() } else { self.slot.head.has_joins() }
    }

    /// One step under the lock, under which callbacks, tickets and thread states are made: none comes between the look and
    /// FINALIZING, and everybody inside is told then.
    fn next(&self) -> Next {
        let head = &self.slot.head;
        self.rt.locked(|_| {
            if self.has_exits() {
                head.word.reopen();
                return Next::Exits;
            }
            match head.word.finalize() {
                Finalize::Guarded => Next::Guards,
                Finalize::Finalizing => {
                    head.break_all(FINALIZING);
                    Next::Finalizing
                }
            }
        })
    }

    /// Runs `f` attached through the reserve, as an ordinary thread state: it needs no memory.
    fn attached(&self, f: impl for<'i> FnOnce(&mut Attached<'i, H>)) -> Result<(), EndError> {
        struct Dead<'a, 'rt, H: Host>(&'a Begun<'rt, H>);
        impl<H: Host> Drop for Dead<'_, '_, H> {
            fn drop(&mut self) {
                let Begun { rt, slot, .. } = self.0;
                // Nobody keeps its generation, so it does not matter that they are used up one day.
                let _ = rt.locked(|registry| registry.remove_thread(&slot.reserve, &slot.head));
            }
        }
        /// The guest's data goes with the token, also where a callback panics.
        struct Data<'a, 'i, H: Host>(&'a mut Attached<'i, H>);
        impl<H: Host> Drop for Data<'_, '_, H> {
            fn drop(&mut self) {
                self.0.drop_thread_data();
            }
        }
        if !self.callbacks {
            return Ok(());
        }
        let Begun { rt, slot, .. } = *self;
        let thread = &slot.reserve;
        let generation =
            rt.locked(|registry| rt.add_thread(registry, thread, &slot.head, ThreadWhence::Fini));
        let _dead = Dead(self);
        let place = Place { rt, interpreter: slot, thread };
        // Refused only where no activation more can be counted.
        place.attach(generation, |cx| f(Data(cx).0)).map_err(|_| EndError::StillRunning)
    }
}

/// The time that an end may still take, over all its parts.
struct TimeLeft<'a, H: Host> {
    host: &'a H,
    start: InstantOf<H>,
    patience: Patience,
}

impl<'a, H: Host> TimeLeft<'a, H> {
    fn new(host: &'a H, patience: Patience) -> Self {
        TimeLeft { host, start: host.clock().now(), patience }
    }

    fn left(&self) -> Patience {
        let patience = self.patience.filter(|patience| !patience.is_zero());
        let Some(patience) = patience else { return self.patience };
        let clock = self.host.clock();
        Some(patience.saturating_sub(clock.between(self.start, clock.now())))
    }

    fn is_over(&self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    fn park(&self, key: usize, blocked: &dyn Fn() -> bool) {
        self.host.park().park(key, blocked, self.left());
        self.host.relax();
    }
}
