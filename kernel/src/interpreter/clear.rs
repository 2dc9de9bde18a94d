//! Clearing: values first, memory second, everything counted.

#![allow(unsafe_code)]

use crate::{
    host::Host,
    interpreter::end::footprint,
    memory::{Domain, Ledger},
    object,
    thread::Attached,
};

/// Leftover pending calls may add further ones; so many passes are run before the rest is dropped.
const PASSES: usize = 16;

impl<H: Host> Attached<'_, H> {
    /// Runs in phase CLEARING, on the last token.
    pub(crate) fn take_down(&mut self, ledger: &mut Ledger) {
        let account = &self.slot().head.account;
        account.reopen();
        account.sub(Domain::Raw, footprint::<H>());
        struct Sweep<'a, 'b, H: Host>(&'a Attached<'b, H>, &'a mut Ledger);
        impl<H: Host> Drop for Sweep<'_, '_, H> {
            fn drop(&mut self) {
                let slot = self.0.slot();
                self.1.leaked = slot.head.account.usage();
                self.1.peak = self.1.leaked.peak;
                // SAFETY: [T1] the token holds the GIL; guest and objects are down, so no block is used.
                let swept = unsafe { slot.sweep(self.0.rt().raw_alloc()) };
                self.1.swept_blocks = swept.blocks;
            }
        }
        for _ in 0..PASSES {
            if self.slot().head.pending.is_empty() {
                break;
            }
            let _ = self.run_pending();
        }
        self.end_guest();
        self.settle();
        let token: &Attached<'_, H> = self;
        let sweep = Sweep(token, ledger);
        // SAFETY: the phase is CLEARING: no frame but this one is open, so no reference to an object is on any
        // stack.
        unsafe {
            token.slot().globals.forget(token);
            let (left, skipped) = object::drop_all(token);
            sweep.1.objects = left;
            sweep.1.destructors_skipped = skipped;
        }
        debug_assert_eq!(
            token.usage().domain(Domain::Object).blocks,
            0,
            "every object is counted in the object domain"
        );
        drop(sweep);
    }
}
