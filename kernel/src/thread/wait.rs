//! A blocked wait that can be ended from outside.

#![allow(unsafe_code)]

use core::{
    mem,
    ptr::{self, NonNull},
};

use crate::{
    error::Interrupt,
    eval::breaker::{SIGNALS, STOPS_WAIT},
    host::{Host, Wake},
    thread::{Attached, place::Place, slot::ThreadSlot},
};

/// The waker of one wait, on its stack: a slot of a thread state has room for a thin pointer only.
pub(crate) struct Waiter {
    pub(crate) wake: NonNull<dyn Wake>,
    /// The breaker bits that end it.
    pub(crate) stops: u32,
}

impl<H: Host> Attached<'_, H> {
    /// As [`detach`](Self::detach), for an `f` that blocks in something `wake` can end: an interrupt, a deadline,
    /// something raised here, a pending call, on main's thread a signal, or the end of the interpreter wakes it. Afterwards ask
    /// [`safepoint`](Self::safepoint) why.
    ///
    /// # Errors
    /// `f` is not run if there is a reason to stop already.
    pub fn wait<R>(&mut self, wake: &dyn Wake, f: impl FnOnce() -> R) -> Result<R, Interrupt> {
        // SAFETY: only the lifetime is changed; the record is taken away below before the borrow ends.
        let wake: NonNull<dyn Wake + 'static> = unsafe { mem::transmute(NonNull::from(wake)) };
        let stops = STOPS_WAIT | if self.is_mains() { SIGNALS } else { 0 };
        let waiter = Waiter { wake, stops };
        let outer = loop {
            match self.register(&waiter) {
                Some(outer) => break outer,
                None => self.safepoint()?,
            }
        };
        struct Unregister<'a, H: Host>(Place<'a, H>, *const Waiter);
        impl<H: Host> Drop for Unregister<'_, H> {
            fn drop(&mut self) {
                let thread = self.0.thread;
                self.0.rt.locked(|_| {
                    thread.wake.set(self.1);
                    // A reason to stop that came meanwhile woke the inner wait only.
                    thread.wake_up();
                });
            }
        }
        // SAFETY: used until this function returns.
        let _unregister = Unregister(unsafe { self.place_of_frame() }, outer);
        Ok(self.detach(f))
    }

    /// Registers the waker unless a reason to stop is there already: one step under the lock, under which
    /// reasons are set, so none is missed. The answer is the record of an outer wait of this thread state.
    fn register(&self, waiter: &Waiter) -> Option<*const Waiter> {
        let thread: &ThreadSlot = self.thread();
        self.rt().locked(|_| {
            let free = thread.breaker.bits() & waiter.stops == 0;
            free.then(|| thread.wake.replace(ptr::from_ref(waiter)))
        })
    }
}
