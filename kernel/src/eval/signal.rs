//! Signals: numbers that reach main's main thread, and nobody else (SPEC E4, R7).
//!
//! ```text
//! bit n-1 of `raised`   0 → 1 raised (`raise`; raised again before it is handled it stays 1) → 0 about to be handled
//!                       (`take_from`; main's thread, with main's GIL) or forgotten (`close`; main is cleared)
//! ```
//!
//! Where the bit of a breaker says that a signal came, these say which. They are raised during a visit of main and before
//! main's thread states are told, and whoever is born later looks; so what is not refused is seen before main ends.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::{
    error::{Interrupt, PendingError, SignalError},
    eval::breaker::SIGNALS,
    host::Host,
    memory::RawDomain,
    runtime::Runtime,
    sync::{AtomicPtr, AtomicU32, Ordering},
    thread::Attached,
};

/// Signals are numbered from 1 to this.
const MOST: usize = 64;

/// A handler of a signal reports that it failed; the running code gets [`Interrupt::SignalFailed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalFailed;

/// The function of a handler. It is given the number of the signal, and the argument of the handler.
pub type SignalFn<H> = for<'i> fn(&mut Attached<'i, H>, u32, usize) -> Result<(), SignalFailed>;

/// What is done about a signal.
pub struct SignalHandler<H: Host> {
    /// What is called.
    pub run: SignalFn<H>,
    /// What it is called with.
    pub argument: usize,
}

impl<H: Host> Clone for SignalHandler<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for SignalHandler<H> {}

type Handlers<H> = [Option<SignalHandler<H>>; MOST];

/// The place of a signal.
fn place(signal: u32) -> Result<usize, SignalError> {
    match (signal as usize).checked_sub(1) {
        Some(place) if place < MOST => Ok(place),
        _ => Err(SignalError::NoSuchSignal),
    }
}

/// Signals that were raised, and what is done about them. Of the runtime, for there is one main.
pub(crate) struct Signals<H: Host> {
    raised: [AtomicU32; 2],
    /// Main's GIL: null until somebody sets one; then a block of the raw domain, until main is cleared.
    handlers: AtomicPtr<Handlers<H>>,
}

impl<H: Host> Signals<H> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Signals { raised: [AtomicU32::new(0), AtomicU32::new(0)], handlers: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.raised.iter().all(|word| word.load(Ordering::Acquire) == 0)
    }

    fn raise(&self, place: usize) {
        self.raised[place / 32].fetch_or(1 << (place % 32), Ordering::Release);
    }

    /// Takes the lowest signal from `from` on that was raised: its place. By one thread at a time.
    #[must_use]
    fn take_from(&self, from: usize) -> Option<usize> {
        let is_raised =
            |place: &usize| self.raised[place / 32].load(Ordering::Relaxed) >> (place % 32) & 1 != 0;
        let place = (from..MOST).find(is_raised)?;
        self.raised[place / 32].fetch_and(!(1 << (place % 32)), Ordering::Acquire);
        Some(place)
    }

    /// Holder of main's GIL only.
    fn handler(&self, place: usize) -> Option<SignalHandler<H>> {
        // SAFETY: the block is as long as the array, was written when it was taken, and is touched with main's GIL only.
        unsafe { self.handlers.load(Ordering::Relaxed).as_ref() }.and_then(|handlers| handlers[place])
    }

    /// Sets a handler: the one before. Holder of main's GIL only.
    fn set_handler(
        &self,
        place: usize,
        handler: Option<SignalHandler<H>>,
        raw: RawDomain<'_, H::Raw>,
    ) -> Result<Option<SignalHandler<H>>, SignalError> {
        let mut handlers = self.handlers.load(Ordering::Relaxed);
        if handlers.is_null() {
            if handler.is_none() {
                return Ok(None);
            }
            let block = raw.take(Layout::new::<Handlers<H>>()).map_err(|_| SignalError::NoMemory)?;
            let block = block.cast::<Handlers<H>>();
            // SAFETY: the block is fresh and has the layout.
            unsafe { block.write([None; MOST]) };
            handlers = block.as_ptr();
            self.handlers.store(handlers, Ordering::Relaxed);
        }
        // SAFETY: as in `handler`; no reference to it outlives a call of these two.
        Ok(core::mem::replace(unsafe { &mut (*handlers)[place] }, handler))
    }

    /// Forgets what was raised, and the handlers. By whoever takes main down, when visits are out.
    pub(super) fn close(&self, raw: RawDomain<'_, H::Raw>) {
        self.raised.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        if let Some(block) = NonNull::new(self.handlers.swap(ptr::null_mut(), Ordering::Relaxed)) {
            // SAFETY: it came from this domain with this layout, and nobody finds it any more.
            unsafe { raw.deallocate(block.cast(), Layout::new::<Handlers<H>>()) };
        }
    }
}

impl<H: Host> Runtime<H> {
    /// Raises the signal with the number `signal`, from 1 to 64 (`PyErr_SetInterruptEx`; SPEC E4, R7). From any thread and
    /// without a GIL, and from interrupt handlers.
    ///
    /// Main's thread is told and no other: at its next safepoint in the main interpreter it calls what
    /// [`on_signal`](Attached::on_signal) set, and a [`wait`](Attached::wait) of its there ends. Raised again before that it is
    /// one signal, as those of POSIX are. What its handler has not seen when main ends is handled by the end, if main's
    /// thread ends it, and else forgotten.
    ///
    /// In a handler of the operating system's signals it is allowed where the host's [`Wake`](crate::host::Wake)s are.
    ///
    /// # Errors
    /// `NoSuchSignal`; `Ended` where there is no main interpreter or it is finalizing; `Busy`: try again.
    pub fn raise_signal(&self, signal: u32) -> Result<(), SignalError> {
        let place = place(signal)?;
        let (main, _visit) = self.visit_main().map_err(|error| match error {
            PendingError::Busy => SignalError::Busy,
            _ => SignalError::Ended,
        })?;
        self.mains.signals.raise(place);
        self.kick(main, SIGNALS);
        Ok(())
    }
}

impl<H: Host> Attached<'_, H> {
    /// As [`Runtime::raise_signal`], of this runtime (`signal.raise_signal`).
    ///
    /// # Errors
    /// As there.
    pub fn raise_signal(&self, signal: u32) -> Result<(), SignalError> {
        self.rt().raise_signal(signal)
    }

    /// What is done about a signal from now on, and what was done before (`signal.signal`; SPEC E4). With `None` it is
    /// forgotten when it comes, as it is before the first handler is set.
    ///
    /// Handlers run at safepoints of main's thread in main, lowest number first, with other signals let in: where they should
    /// not be, keep a flag. One that fails reaches the running code as [`Interrupt::SignalFailed`]. Main's end forgets them.
    ///
    /// # Errors
    /// `NotMainThread` elsewhere than in the main interpreter, on main's thread
    /// ([`claim_main_thread`](Self::claim_main_thread)); `NoSuchSignal`; `Ended` where main is finalizing; `NoMemory`.
    pub fn on_signal(
        &mut self,
        signal: u32,
        handler: Option<SignalHandler<H>>,
    ) -> Result<Option<SignalHandler<H>>, SignalError> {
        if !self.is_mains() {
            return Err(SignalError::NotMainThread);
        }
        let place = place(signal)?;
        if !self.is_open() {
            return Err(SignalError::Ended);
        }
        self.rt().mains.signals.set_handler(place, handler, self.rt().raw())
    }

    /// Handles the signals that were raised, each of them once, if this is main's thread in main.
    ///
    /// # Errors
    /// `SignalFailed` as soon as a handler fails; the rest waits.
    pub(super) fn handle_signals(&mut self) -> Result<(), Interrupt> {
        /// What is left waits for the next safepoint. Other thread states of this thread's have not spent their bits, or they
        /// would have handled it; so it is not lost where this one goes.
        struct Rest<'a, 'i, H: Host>(&'a mut Attached<'i, H>);
        impl<H: Host> Drop for Rest<'_, '_, H> {
            fn drop(&mut self) {
                if !self.0.rt().mains.signals.is_empty() {
                    self.0.thread().breaker.set(SIGNALS);
                }
            }
        }
        if !self.is_mains() {
            return Ok(());
        }
        let rest = Rest(self);
        let mut from = 0;
        while let Some(place) = rest.0.rt().mains.signals.take_from(from) {
            from = place + 1;
            let handler = rest.0.rt().mains.signals.handler(place);
            if handler
                .is_some_and(|SignalHandler { run, argument }| run(rest.0, from as u32, argument).is_err())
            {
                return Err(Interrupt::SignalFailed);
            }
        }
        Ok(())
    }

    /// Handles what is left, where main's thread ends main. In phase CLEARING, when nobody raises any more.
    pub(super) fn handle_last_signals(&mut self) {
        while self.is_mains() && !self.rt().mains.signals.is_empty() {
            let _ = self.handle_signals();
        }
    }
}
