//! Deadlines (SPEC E5): armed under the runtime's lock, found due by the host's timer.

#![allow(unsafe_code)]

use core::time::Duration;

use crate::{
    error::DeadlineError,
    eval::breaker::DEADLINE,
    host::{Clock, Host},
    interpreter::InterpreterSlot,
    runtime::{Registry, Runtime},
};

/// `next` is the sooner of the two.
fn sooner(next: &mut Option<Duration>, left: Duration) {
    *next = Some(next.map_or(left, |next| next.min(left)));
}

impl<H: Host> Runtime<H> {
    /// Interrupts every interpreter and every part of a run whose deadline has passed, and answers how long it is until the next
    /// one; `None` if none is armed.
    ///
    /// The host calls it from a timer thread, from a timer interrupt's bottom half, or at the end of a
    /// guest's slice. A host is told by [`Host::deadline_armed`] when an earlier one was armed.
    ///
    /// An interrupt handler may call it too. Where it interrupted the runtime at work, nothing is looked at and
    /// the answer is zero: look again at the next interrupt.
    pub fn tick(&self) -> Option<Duration> {
        let clock = self.host().clock();
        let now = clock.now();
        let look = |registry: &mut Registry| {
            if registry.armed == 0 && registry.scopes.is_null() {
                return None;
            }
            let mut next = None::<Duration>;
            for scope in registry.scopes(self) {
                match scope.at() {
                    Some(deadline) if !scope.passed() => match clock.reached(now, deadline) {
                        true => scope.pass(),
                        false => sooner(&mut next, clock.between(now, deadline)),
                    },
                    _ => {}
                }
            }
            let mut at = registry.newest();
            // SAFETY: listed heads are slots of this runtime, kept by the allocator's pointers.
            while let Some(head) = unsafe { at.as_ref() } {
                // SAFETY: as above.
                let slot = unsafe { InterpreterSlot::<H>::of(at) };
                at = head.older.get();
                let Some(deadline) = slot.deadline.get() else { continue };
                if clock.reached(now, deadline) {
                    self.disarm(registry, slot);
                    registry.scopes(self).for_each(|scope| scope.pass_around(&slot.head));
                    slot.head.break_some(DEADLINE);
                } else {
                    sooner(&mut next, clock.between(now, deadline));
                }
            }
            next
        };
        if self.host().in_interrupt() {
            return self.try_locked(look).unwrap_or(Some(Duration::ZERO));
        }
        self.locked(look)
    }

    /// Sets a deadline; `forget` is called in the same step.
    pub(crate) fn arm(
        &self,
        slot: &InterpreterSlot<H>,
        within: Duration,
        forget: impl FnOnce(),
    ) -> Result<(), DeadlineError> {
        let clock = self.host().clock();
        let deadline = clock.add(clock.now(), within).ok_or(DeadlineError::TooLong)?;
        self.locked(|registry| {
            forget();
            if slot.deadline.replace(Some(deadline)).is_none() {
                registry.armed += 1;
            }
        });
        self.host().deadline_armed(within);
        Ok(())
    }

    pub(crate) fn disarm(&self, registry: &mut Registry, slot: &InterpreterSlot<H>) {
        if slot.deadline.take().is_some() {
            registry.armed -= 1;
        }
    }
}
