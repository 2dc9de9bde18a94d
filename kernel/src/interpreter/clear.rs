//! Clearing: values first, memory second, everything counted.

#![allow(unsafe_code)]

use core::ptr;

use crate::{
    eval::breaker::{ASYNC, DEADLINE, FINALIZING, FUEL, INTERRUPT},
    host::Host,
    interpreter::{InterpreterSlot, word::StateWord},
    memory::{Domain, Ledger},
    object,
    sync::{Ordering, spin_loop},
    thread::Attached,
};

/// Gives the memory back, also when a destructor or a leftover call panicked.
struct Sweep<'a, 'i, H: Host>(&'a mut Attached<'i, H>, &'a mut Ledger);

impl<H: Host> Drop for Sweep<'_, '_, H> {
    fn drop(&mut self) {
        let Sweep(cx, ledger) = self;
        let slot = cx.slot();
        slot.forget_pending();
        if slot.head.id.get().is_main() {
            cx.rt().mains.close(cx.rt());
        }
        slot.drop_extras(cx.rt());
        object::give_up(cx, ledger);
        ledger.leaked = slot.head.account.usage();
        ledger.peak = ledger.leaked.peak;
        ledger.callbacks_failed = slot.head.exits_failed.get() as usize;
        // SAFETY: [T1] the token holds the GIL; guest and objects are down, so no block is used.
        unsafe { slot.sweep(cx.rt().raw()) };
    }
}

impl<H: Host> Attached<'_, H> {
    /// The last visits run out; no new one can begin.
    fn await_visits(&self) {
        /// Waits also if the host panics meanwhile: a visitor must not find the slot's next tenant.
        struct Rest<'a>(&'a StateWord);
        impl Drop for Rest<'_> {
            fn drop(&mut self) {
                while self.0.is_visited() {
                    spin_loop();
                }
            }
        }
        let rest = Rest(&self.slot().head.word);
        while rest.0.is_visited() {
            self.rt().host().relax();
        }
    }

    /// Runs in phase CLEARING, on the last token.
    pub(crate) fn take_down(&mut self, ledger: &mut Ledger) {
        let account = &self.slot().head.account;
        account.reopen();
        account.give(Domain::Raw, InterpreterSlot::<H>::FOOTPRINT);
        // What the guest runs to take itself down runs as ever, also where it ends because its fuel or its time is used up.
        self.slot().head.set_fuel(None);
        self.rt().locked(|registry| {
            self.rt().disarm(registry, self.slot());
            self.thread().breaker.take(FINALIZING | INTERRUPT | DEADLINE | FUEL | ASYNC);
        });
        self.slot().head.running.store(ptr::null_mut(), Ordering::Relaxed);
        let sweep = Sweep(self, ledger);
        let cx = &mut *sweep.0;
        cx.await_visits();
        // In this phase nobody adds a call, so the list only gets shorter.
        while !cx.slot().head.pending.is_empty() {
            let _ = cx.run_pending();
        }
        if cx.id().is_main() {
            cx.run_leftovers_of_main();
        }
        cx.drop_exits();
        cx.end_guest();
        cx.forget_values();
        cx.settle();
        // SAFETY: the phase is CLEARING: no frame but this one is open, so no reference to an object is on any
        // stack.
        unsafe {
            cx.slot().globals.forget(cx);
            object::drop_all(cx, sweep.1);
        }
    }
}
