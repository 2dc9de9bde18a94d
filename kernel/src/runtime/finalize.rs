//! Finalizing the runtime (SPEC R2, R4).

use core::ptr;

use crate::{
    error::{EndError, RuntimeError},
    host::{Clock, Host, Park},
    interpreter::{InterpreterId, InterpreterSlot, Patience, retire},
    memory::Ledger,
    observe::Event,
    runtime::{Runtime, RuntimePhase, phase::BeginFinalize},
    sync::{Ordering, fence},
    thread::session::Session,
};

/// What a finalization found and did.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuntimeLedger {
    /// Sub-interpreters that nobody had ended, and that the runtime ended (an observer got each).
    pub left_over: usize,
    /// Those of them that had not given everything back themselves.
    pub unclean: usize,
    /// The main interpreter's.
    pub main: Ledger,
}

impl<H: Host> Runtime<H> {
    /// Ends every sub-interpreter in reverse order of creation, then main (`Py_FinalizeEx`; SPEC R4). The runtime
    /// can be initialized again afterwards; memory for interpreter and thread slots is kept for that, and goes
    /// back when the runtime is dropped.
    ///
    /// # Errors
    /// `StillRunning`, `StillGuarded` or `StillActive` if `patience`, which holds for each interpreter, ran out: call it again. `TooLong` if the host's
    /// clock cannot tell it.
    pub fn finalize(&self, patience: Patience) -> Result<RuntimeLedger, RuntimeError> {
        if self.host().in_interrupt() {
            return Err(RuntimeError::InInterrupt);
        }
        if let Some(hold) = Session::held::<H>() {
            let stops = hold.stops();
            return Err(if stops { RuntimeError::Stopped } else { RuntimeError::AlreadyAttached });
        }
        if patience.is_some_and(|patience| patience > <H::Clock as Clock>::MAX) {
            return Err(RuntimeError::TooLong);
        }
        // Frames of another runtime may be open: they wait for nothing here.
        if self.locked(|registry| Session::any::<H>(|head| registry.lists(head))) {
            return Err(RuntimeError::WouldDeadlock);
        }
        match self.phase.begin_finalize() {
            BeginFinalize::Begun => {}
            BeginFinalize::NotRunning => return Err(RuntimeError::NotRunning),
            BeginFinalize::InProgress => return Err(RuntimeError::InProgress),
        }
        struct Later<'a, H: Host>(&'a Runtime<H>);
        impl<H: Host> Drop for Later<'_, H> {
            fn drop(&mut self) {
                self.0.phase.finalize_later();
            }
        }
        let later = Later(self);
        let _ = self.tell(&Event::RuntimeFinalizing);
        let mut ledger = RuntimeLedger::default();
        // The newest in any phase: one that is being created or taken down may use main's GIL and heap.
        let mut since = None;
        loop {
            let seen = self.changes.load(Ordering::Acquire);
            let Some((id, abandoned)) = self.newest_listed() else { break };
            if let Some(slot) = abandoned {
                retire::retire(self, slot);
                continue;
            }
            let announce = || {
                if !id.is_main() {
                    let _ = self.tell(&Event::InterpreterLeftOver { id });
                }
                let _ = self.tell(&Event::InterpreterClearing { id });
                Ok(())
            };
            let Ok(begun) = self.begin_end(id, |_| Ok(()), announce) else {
                // Its creator or its ender is still at it: its turn comes.
                let clock = self.host().clock();
                let since = *since.get_or_insert_with(|| clock.now());
                let left =
                    patience.map(|patience| patience.saturating_sub(clock.between(since, clock.now())));
                if left.is_some_and(|left| left.is_zero()) {
                    return Err(RuntimeError::StillActive);
                }
                self.host().park().park(self.changes_key(), &|| self.is_unchanged(seen), left);
                self.host().relax();
                continue;
            };
            since = None;
            let slot = begun.await_exits(0, patience).map_err(|error| match error {
                EndError::StillGuarded => RuntimeError::StillGuarded,
                EndError::StillRunning => RuntimeError::StillRunning,
                _ => RuntimeError::StillActive,
            })?;
            let ended = retire::clear(self, slot, None);
            if id.is_main() {
                ledger.main = ended;
            } else {
                ledger.left_over += 1;
                ledger.unclean += usize::from(!ended.is_clean());
            }
        }
        core::mem::forget(later);
        self.phase.finalized();
        Ok(ledger)
    }

    fn changes_key(&self) -> usize {
        ptr::from_ref(&self.changes).addr()
    }

    fn is_unchanged(&self, seen: u32) -> bool {
        self.changes.load(Ordering::Acquire) == seen
    }

    /// The creation or the end of an interpreter came to something, or an activation left it that was in the way: who
    /// finalizes looks again.
    pub(crate) fn moved_on(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        // Pairs with the one behind the lock that a finalization takes before it waits: it is seen here, or sees the change.
        fence(Ordering::SeqCst);
        if self.phase() == RuntimePhase::Finalizing {
            self.host().park().unpark(self.changes_key());
        }
    }

    /// The newest interpreter in whatever phase, and its slot if the raw layer cleared it and left it at that.
    fn newest_listed(&self) -> Option<(InterpreterId, Option<&InterpreterSlot<H>>)> {
        self.locked(|registry| {
            let id = registry.newest_id()?;
            let slot = self.listed(registry, id).ok()?;
            let abandoned = slot.head.word.activations() == 0 && slot.head.cleared.replace(false);
            Some((id, abandoned.then_some(slot)))
        })
    }
}
