//! Asynchronous exceptions: something that another thread raises in one thread state
//! (SPEC E3, `PyThreadState_SetAsyncExc`).

#![allow(unsafe_code)]

use core::num::NonZeroU32;

use crate::{
    error::{LookupError, ThreadError},
    eval::breaker::ASYNC,
    host::Host,
    interpreter::Interpreter,
    thread::Attached,
};

/// What is raised: a number whose meaning the guest and whoever raises agree upon, for an object cannot be handed to a
/// thread without a token.
///
/// It is 32 bits wide on every target, so that it lies in the thread state itself: raising takes no memory, and cannot
/// fail for want of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Raise(pub NonZeroU32);

impl Raise {
    /// The number, if it is not zero.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Raise(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl<H: Host> Interpreter<'_, H> {
    /// Raises `what` in the thread state with the number `thread` ([`Attached::thread_id`]); `None` takes back what was
    /// raised there and not taken out yet (`PyThreadState_SetAsyncExc`; SPEC E3).
    ///
    /// The thread state is told once, at its next safepoint or by the end of its
    /// [`wait`](Attached::wait): [`Interrupt::Raised`](crate::error::Interrupt::Raised). The guest then takes the number
    /// out by [`Attached::take_raised`]. What is newer replaces what is older; the answer is the number that was there
    /// and will not be seen, so that who raised it may let go of what it stands for. A thread state that is deleted
    /// takes the number with it.
    ///
    /// # Errors
    /// `NotFound` once the interpreter ended, `Stale` if it has no such thread state, `InInterrupt`: nothing changed.
    pub fn raise_in(&self, thread: u64, what: Option<Raise>) -> Result<Option<Raise>, ThreadError> {
        if self.rt.host().in_interrupt() {
            return Err(ThreadError::InInterrupt);
        }
        self.rt.locked(|registry| {
            let slot = self.rt.listed(registry, self.id).map_err(|_: LookupError| ThreadError::NotFound)?;
            let mut at = slot.head.threads.get();
            // SAFETY: under the lock the list is stable, and its slots are type-stable.
            while let Some(listed) = unsafe { at.as_ref() } {
                if listed.number.get() == thread {
                    let replaced = listed.raised.replace(what);
                    if what.is_some() {
                        listed.breaker.set(ASYNC);
                        listed.wake_up();
                    }
                    return Ok(replaced);
                }
                at = listed.next.get();
            }
            Err(ThreadError::Stale)
        })
    }
}

impl<H: Host> Attached<'_, H> {
    /// Takes out what was raised in this thread state; `None` if nothing was, or if it was taken back meanwhile: then go
    /// on. What is taken out before a safepoint told of it is not told any more.
    pub fn take_raised(&mut self) -> Option<Raise> {
        self.rt().locked(|_| self.thread().raised.take())
    }

    /// Whether something is raised here still. For the safepoint.
    pub(super) fn is_raised(&self) -> bool {
        self.rt().locked(|_| self.thread().raised.get().is_some())
    }
}
