//! Keeping the GIL while others are stopped, and seizing those of others (SPEC G8).
#![allow(unsafe_code)]

use crate::{
    eval::breaker::DROP_GIL,
    gil::{Gil, GilPolicy},
    host::Host,
    host::RawGil,
    sync::{Ordering, fence},
    thread::{session::Hold, slot::ThreadSlot},
};

impl<H: Host> Gil<H> {
    /// What a frame under this GIL still holds when it detaches. Holder only.
    #[inline]
    pub(crate) fn keeps(&self) -> Hold {
        self.kept.get()
    }

    /// From now on the GIL stays with its holder: neither a safepoint nor a detach lets it go. Holder only.
    pub(crate) fn keep(&self, hold: Hold) {
        self.kept.set(hold);
    }

    /// The holder, attached through `me`, may let go again: at its next safepoint if somebody waits, for what was asked
    /// meanwhile was not answered.
    pub(crate) fn keep_no_longer(&self, me: &ThreadSlot) {
        self.kept.set(Hold::Nothing);
        if self.waiters.load(Ordering::Acquire) > 0 {
            me.breaker.set(DROP_GIL);
        }
    }

    /// Takes the GIL without a thread state: nobody runs under it until [`let_off`](Self::let_off). Its slot may be one that
    /// waits for an interpreter, or whose next one is being made: nothing is touched that [`renew`](Self::renew) writes but
    /// atomics.
    pub(crate) fn seize(&self) {
        let held = self.raw.try_lock().unwrap_or_else(|| self.seize_in_turn());
        self.held.set(Some(held));
        // A switch: who let go because it was asked must not wait for another one.
        self.switches.store(self.switches.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    #[cold]
    fn seize_in_turn(&self) -> <H::Gil as RawGil>::Held {
        self.waiters.fetch_add(1, Ordering::AcqRel);
        if H::GilPolicy::ASKS_ONCE {
            // As in `wait`.
            fence(Ordering::SeqCst);
        }
        let held = H::GilPolicy::wait(&self.raw, &mut || {
            if self.ask() { self.interval() } else { self.interval() / 8 }
        });
        self.waiters.fetch_sub(1, Ordering::AcqRel);
        held
    }

    /// Lets a GIL go that was seized, to whoever waits.
    ///
    /// # Safety
    /// This thread seized it.
    pub(crate) unsafe fn let_off(&self) {
        let held = self.take_back();
        // SAFETY: `held` comes from the acquisition in `seize` on this thread.
        unsafe {
            if self.waiters.load(Ordering::Relaxed) > 0 {
                let _ = self.turn();
                H::GilPolicy::hand_over(&self.raw, held);
            } else {
                self.raw.unlock(held);
            }
        }
    }
}
