//! The last part of an end: clearing on the last token, and what is given back after it.

#![allow(unsafe_code)]

use core::{cell::Cell, mem, ptr};

use crate::{
    host::Host,
    interpreter::{InterpreterId, InterpreterSlot},
    memory::Ledger,
    observe::Event,
    runtime::{Registry, Runtime},
    sync::Ordering,
    thread::{
        Attached,
        place::Place,
        session::Session,
        slot::{ThreadSlot, ThreadWhence},
    },
};

/// The last activation out completes an end that was left to it. The phase is CLEARING.
#[cold]
pub(crate) fn complete<H: Host>(rt: &Runtime<H>, slot: &InterpreterSlot<H>) {
    clear(rt, slot, None);
}

/// Takes an interpreter down. The phase is CLEARING and this thread alone is in it. `own`: the thread state
/// that the raw layer's end came with, attached on this thread; its session is closed afterwards and its GIL
/// released.
pub(crate) fn clear<H: Host>(rt: &Runtime<H>, slot: &InterpreterSlot<H>, own: Option<&ThreadSlot>) -> Ledger {
    let mut tell = Tell::of(rt, slot);
    take_down(rt, slot, own, &mut tell.ledger);
    tell.ledger
}

/// Tells observers that the interpreter ended, also when a destructor of the guest panics.
pub(super) struct Tell<'rt, H: Host> {
    rt: &'rt Runtime<H>,
    id: InterpreterId,
    pub(super) ledger: Ledger,
}

impl<'rt, H: Host> Tell<'rt, H> {
    pub(super) fn of(rt: &'rt Runtime<H>, slot: &InterpreterSlot<H>) -> Self {
        Tell { rt, id: slot.head.id.get(), ledger: Ledger::default() }
    }

    /// It did not end.
    pub(super) fn into_ledger(self) -> Ledger {
        let ledger = self.ledger;
        mem::forget(self);
        ledger
    }
}

impl<H: Host> Drop for Tell<'_, H> {
    fn drop(&mut self) {
        let _ = self.rt.tell(&Event::InterpreterEnded { id: self.id, ledger: &self.ledger });
    }
}

/// As [`clear`], without telling observers: also undoes a creation.
pub(crate) fn take_down<H: Host>(
    rt: &Runtime<H>,
    slot: &InterpreterSlot<H>,
    own: Option<&ThreadSlot>,
    ledger: &mut Ledger,
) {
    let _finish = Finish::new(rt, slot);
    with_token(rt, slot, own, |cx| cx.take_down(ledger));
}

/// Clears on a thread state that stays attached: the raw layer's low-level clear.
///
/// # Safety
/// The phase is CLEARING, this thread alone is in the interpreter and holds its GIL through `place`, which no token
/// uses.
pub(crate) unsafe fn clear_on<H: Host>(place: Place<'_, H>, ledger: &mut Ledger) {
    // SAFETY: passed on.
    unsafe { place.frame(|cx| cx.take_down(ledger)) }
}

/// Takes a cleared interpreter out of the registry. The phase is CLEARING and nobody is left inside.
pub(crate) fn retire<H: Host>(rt: &Runtime<H>, slot: &InterpreterSlot<H>) {
    drop(Finish::new(rt, slot));
}

/// Runs `f` attached through the reserve, or through `own`, whose frame is closed afterwards.
pub(super) fn with_token<H: Host>(
    rt: &Runtime<H>,
    slot: &InterpreterSlot<H>,
    own: Option<&ThreadSlot>,
    f: impl for<'i> FnOnce(&mut Attached<'i, H>),
) {
    if let Some(thread) = own {
        let place = Place { rt, interpreter: slot, thread };
        thread.session.close::<H>();
        // SAFETY: the phase is CLEARING, so nobody else can reach the interpreter; this thread holds its GIL
        // through `place` until `frame` has run.
        unsafe { place.last_frame(f) };
        return;
    }
    let thread = &slot.reserve;
    rt.locked(|registry| rt.add_thread(registry, thread, &slot.head, ThreadWhence::Fini));
    let place = Place { rt, interpreter: slot, thread };
    // SAFETY: the phase is CLEARING, so nobody else can reach the interpreter. A frame that is attached on this
    // thread meanwhile is of this host, for `enter` counted the activation that was the last; the runtime that it
    // borrows, which may be another one, is alive.
    unsafe {
        match Session::attached::<H>() {
            // The last one out may hold the GIL that both share.
            Some(session) if session.gil.get() == ptr::from_ref(slot.gil()).cast() => {
                place.frame_under(Place::of_session(rt, session), session, f);
            }
            // Or, where it entered and left by mistake (see `Place::activate`), another one.
            Some(session) => {
                let theirs = &*session.runtime.get().cast::<Runtime<H>>();
                Place::of_session(theirs, session).lend_gil(session, || {
                    slot.gil().take_untimed(thread, &slot.head);
                    place.came();
                    place.last_frame(f);
                });
            }
            None => {
                slot.gil().take_untimed(thread, &slot.head);
                place.came();
                place.last_frame(f);
            }
        }
    }
}

/// Gives everything back, also when a destructor of the guest panics. The phase is CLEARING.
pub(super) struct Finish<'a, H: Host> {
    pub(super) rt: &'a Runtime<H>,
    pub(super) slot: &'a InterpreterSlot<H>,
    /// The reserve has used up its generations.
    worn: Cell<bool>,
}

impl<'a, H: Host> Finish<'a, H> {
    pub(super) fn new(rt: &'a Runtime<H>, slot: &'a InterpreterSlot<H>) -> Self {
        Finish { rt, slot, worn: Cell::new(false) }
    }

    /// Forgets what the interpreter kept in its slot, whose memory the sweep took.
    fn forget(&self) {
        let slot = self.slot;
        slot.guest_table.set(None);
        slot.guest.set(ptr::null_mut());
        slot.frame_eval.set(None);
        slot.forget_pending();
        // SAFETY: the phase is CLEARING, and nobody is left inside.
        unsafe { (*slot.values.get()).abandon() };
    }

    /// Death of every thread state. `false`: the reserve has used up its generations, now or before.
    fn bury(&self, registry: &mut Registry) -> bool {
        let slot = self.slot;
        self.rt.disarm(registry, slot);
        // SAFETY: under the lock the list is stable, and its slots are type-stable.
        while let Some(thread) = unsafe { slot.head.threads.get().as_ref() } {
            let again = registry.remove_thread(thread, &slot.head);
            if ptr::eq(thread, &slot.reserve) {
                self.worn.set(!again);
            } else if again {
                registry.free_thread_slot(ptr::from_ref(thread).cast_mut());
            }
        }
        !self.worn.get()
    }

    /// The interpreter stays, as one that is being created, with a thread state in `thread`: its generation. `None`:
    /// its slot has used up its generations, and the interpreter is given back after all.
    pub(super) fn begin_again(self, thread: &ThreadSlot) -> Option<u32> {
        let slot = self.slot;
        self.forget();
        if !slot.globals.begin_again() {
            return None;
        }
        let born = self.rt.locked(|registry| {
            let head = &slot.head;
            self.bury(registry).then(|| {
                slot.renew(head.config(), head.whence.get(), slot.owns_heap());
                head.word.begin_again();
                self.rt.add_thread(registry, thread, head, ThreadWhence::Init)
            })
        })?;
        mem::forget(self);
        Some(born)
    }
}

impl<H: Host> Drop for Finish<'_, H> {
    fn drop(&mut self) {
        let (rt, slot) = (self.rt, self.slot);
        self.forget();
        // Where a panic kept the table from being given back, the sweep took its memory.
        slot.globals.abandon();
        rt.locked(|registry| {
            // At its last generation a slot is retired: a port of long ago must not reach a new tenant.
            let reusable = self.bury(registry) && slot.head.generation.load(Ordering::Relaxed) != u32::MAX;
            registry.remove(&slot.head);
            slot.head.word.finish();
            if reusable {
                registry.free_interpreter_slot(ptr::from_ref(slot).cast_mut().cast());
            }
        });
        rt.moved_on();
    }
}
