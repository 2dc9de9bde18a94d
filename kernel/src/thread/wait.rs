//! A blocked wait that can be ended from outside.

#![allow(unsafe_code)]

use core::{mem, ptr::NonNull};

use crate::{
    error::Interrupt,
    eval::breaker::STOPS_WAIT,
    host::{Host, Wake},
    thread::{Attached, place::Place, slot::ThreadSlot},
};

impl<H: Host> Attached<'_, H> {
    /// As [`detach`](Self::detach), for an `f` that blocks in something `wake` can end: an interrupt, a deadline,
    /// a pending call or the end of the interpreter wakes it. Afterwards ask
    /// [`safepoint`](Self::safepoint) why.
    ///
    /// # Errors
    /// `f` is not run if there is a reason to stop already.
    pub fn wait<R>(&mut self, wake: &dyn Wake, f: impl FnOnce() -> R) -> Result<R, Interrupt> {
        let outer = loop {
            match self.register(wake) {
                Some(outer) => break outer,
                None => self.safepoint()?,
            }
        };
        struct Unregister<'a, H: Host>(Place<'a, H>, Option<NonNull<dyn Wake>>);
        impl<H: Host> Drop for Unregister<'_, H> {
            fn drop(&mut self) {
                let thread = self.0.thread;
                self.0.rt.locked(|_| {
                    thread.wake.set(self.1);
                    // A reason to stop that came meanwhile woke the inner wait only.
                    if thread.breaker.bits() & STOPS_WAIT != 0 {
                        thread.wake_up();
                    }
                });
            }
        }
        // SAFETY: the runtime and its slots outlive this frame, whatever happens to the token.
        let place: Place<'_, H> = unsafe { mem::transmute(self.place()) };
        let _unregister = Unregister(place, outer);
        Ok(self.detach(f))
    }

    /// Registers the waker unless a reason to stop is there already: one step under the lock, under which
    /// reasons are set, so none is missed. The answer is the waker of an outer wait of this thread state.
    fn register(&self, wake: &dyn Wake) -> Option<Option<NonNull<dyn Wake>>> {
        // SAFETY: only the lifetime is changed; `wait` takes the waker away before its borrow ends.
        let wake: NonNull<dyn Wake + 'static> = unsafe { mem::transmute(NonNull::from(wake)) };
        let thread: &ThreadSlot = self.thread();
        self.rt().locked(|_| {
            let free = thread.breaker.bits() & STOPS_WAIT == 0;
            free.then(|| thread.wake.replace(Some(wake)))
        })
    }
}
