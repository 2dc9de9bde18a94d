//! What is noted when a thread gets a GIL and when it lets it go: held time, and what watchers are told (SPEC G5).
//!
//! Where nobody wants to know, it is one load of a word that nobody writes. The rest is the host's, clock and watchers, and
//! is called where the frames around have to go on. So it is behind `extern "C"`, out of which no panic unwinds: one ends
//! the program there, defined, and no way in or out of a GIL needs a guard for it.

use core::ptr;

use crate::{
    gil::{ASKED, Counter, Gil, HeldTimeOf},
    host::{Clock, Host},
    interpreter::{InterpreterHead, InterpreterSlot},
    observe::{Event, GilChange, GilEvent},
    runtime::Runtime,
    sync::Ordering,
    thread::{Current, place::Place, slot::ThreadSlot},
};

impl<H: Host> Gil<H> {
    /// Tells watchers, if there are any.
    #[inline]
    pub(super) fn tell(
        &self,
        rt: &Runtime<H>,
        me: &ThreadSlot,
        interpreter: &InterpreterHead,
        change: GilChange,
    ) {
        if rt.is_watched() {
            self.tell_watchers(rt, me, interpreter, change);
        }
    }

    #[cold]
    extern "C" fn tell_watchers(
        &self,
        rt: &Runtime<H>,
        me: &ThreadSlot,
        interpreter: &InterpreterHead,
        change: GilChange,
    ) {
        rt.tell_watchers(&Event::Gil(GilEvent {
            change,
            of: Current { interpreter: interpreter.id.get(), thread: me.number.get() },
            gil: ptr::from_ref(self).addr(),
            switches: self.switches.load(Ordering::Relaxed),
        }));
    }
}

impl<'rt, H: Host> Place<'rt, H> {
    #[inline]
    fn is_noted(self) -> bool {
        HeldTimeOf::<H>::COUNTS || self.rt.is_watched()
    }

    /// This thread got the GIL.
    #[inline]
    pub(crate) fn came(self) {
        if self.is_noted() {
            Self::note_came(self.rt, self.interpreter, self.thread);
        }
    }

    /// This thread is about to let the GIL go.
    #[inline]
    pub(crate) fn goes(self) {
        if self.is_noted() {
            Self::note_goes(self.rt, self.interpreter, self.thread);
        }
    }

    /// The GIL that this thread holds through `from` stays held; from now on through this place.
    ///
    /// # Safety
    /// As for [`Gil::rename`].
    #[inline]
    pub(crate) unsafe fn rename_gil(self, from: Place<'_, H>) {
        if self.is_noted() {
            // SAFETY: passed on.
            return unsafe {
                Self::rename_noted(self.rt, self.interpreter, self.thread, from.interpreter, from.thread)
            };
        }
        // SAFETY: passed on.
        unsafe { self.interpreter.gil().rename(self.thread, &self.interpreter.head) }
    }

    /// # Safety
    /// As for [`Gil::rename`].
    #[cold]
    unsafe extern "C" fn rename_noted(
        rt: &'rt Runtime<H>,
        interpreter: &'rt InterpreterSlot<H>,
        thread: &'rt ThreadSlot,
        from: &InterpreterSlot<H>,
        from_thread: &ThreadSlot,
    ) {
        Place { rt, interpreter: from, thread: from_thread }.goes();
        // SAFETY: passed on.
        unsafe { interpreter.gil().rename(thread, &interpreter.head) };
        Place { rt, interpreter, thread }.came();
    }

    // Not by the place, which would lie in memory for it.
    #[cold]
    extern "C" fn note_came(
        rt: &'rt Runtime<H>,
        interpreter: &'rt InterpreterSlot<H>,
        thread: &'rt ThreadSlot,
    ) {
        let gil = interpreter.gil();
        if HeldTimeOf::<H>::COUNTS {
            gil.set_since(rt.host().clock().now());
        }
        gil.tell(rt, thread, &interpreter.head, GilChange::Attached);
    }

    #[cold]
    extern "C" fn note_goes(
        rt: &'rt Runtime<H>,
        interpreter: &'rt InterpreterSlot<H>,
        thread: &'rt ThreadSlot,
    ) {
        let gil = interpreter.gil();
        if HeldTimeOf::<H>::COUNTS
            && let Some(since) = gil.take_since()
        {
            let clock = rt.host().clock();
            interpreter.held_time.add(clock.between(since, clock.now()));
        }
        let asked = gil.turns.load(Ordering::Relaxed) & ASKED != 0;
        let change = if asked { GilChange::GaveWay } else { GilChange::Detached };
        gil.tell(rt, thread, &interpreter.head, change);
    }
}
