//! Stop-the-world for one interpreter (SPEC G8).

use crate::{
    host::Host,
    thread::{Attached, session::Hold},
};

/// Others are stopped. Dropping it lets them go on.
struct Stopped<'a, 'i, H: Host>(&'a mut Attached<'i, H>);

impl<H: Host> Drop for Stopped<'_, '_, H> {
    fn drop(&mut self) {
        self.0.slot().gil().keep_no_longer(self.0.thread());
    }
}

impl<H: Host> Attached<'_, H> {
    /// Runs `f` while every other thread of this interpreter stands still (`_PyEval_StopTheWorld`; SPEC G8), and of those
    /// that share its GIL: this thread keeps the GIL, also at a safepoint, in [`detach`](Self::detach) and in
    /// [`wait`](Self::wait). Interpreters under other GILs go on.
    ///
    /// So this thread can take no other GIL: to enter, and inside a detach to attach, create, end and reset, answer `Stopped` meanwhile, but `enter`
    /// under the same GIL works, and [`ensure`](crate::runtime::Runtime::ensure) of this interpreter inside `detach`. What
    /// other threads ask for in this time — the GIL, an interrupt — is there when `f` has returned. `f` should not wait for
    /// another thread of this interpreter: that thread does not run.
    ///
    /// Inside another stop it just runs `f`.
    pub fn stop<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        if self.slot().gil().keeps() != Hold::Nothing {
            return f(self);
        }
        self.keeping(Hold::Kept, f)
    }

    /// Runs `f` and keeps the GIL meanwhile, for this reason.
    pub(crate) fn keeping<R>(&mut self, hold: Hold, f: impl FnOnce(&mut Self) -> R) -> R {
        self.slot().gil().keep(hold);
        f(Stopped(self).0)
    }
}
