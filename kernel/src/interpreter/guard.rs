//! Guards: an interpreter does not finalize while one is held (PEP 788; SPEC L9).

use crate::{
    error::{AttachError, ThreadError},
    host::{Host, Park},
    interpreter::{InterpreterId, View, end, word::ReleaseGuard},
    thread::{Attached, ThreadState},
};

/// Keeps an interpreter from finalizing (`PyInterpreterGuard`; SPEC L9). `Send` and `Sync`: it may be given back by any
/// thread, by dropping it. Attaching is never refused as `Finalizing` while one is held.
///
/// An end waits for it, so a thread that asks for an end without a time limit while it holds one waits for itself.
#[must_use = "dropping it gives it back"]
pub struct Guard<'rt, H: Host> {
    view: View<'rt, H>,
}

impl<'rt, H: Host> Guard<'rt, H> {
    /// Of a view whose interpreter counted it.
    pub(super) fn counted(view: View<'rt, H>) -> Self {
        Guard { view }
    }

    /// The interpreter it keeps.
    pub fn id(&self) -> InterpreterId {
        self.view.id()
    }

    /// A view of it, which outlives the guard.
    pub fn view(&self) -> View<'rt, H> {
        self.view
    }

    /// A token for a thread that has none in its hands (`PyThreadState_Ensure`; SPEC T5). See [`View::ensure`].
    ///
    /// # Errors
    /// As there, but neither `Finalizing` nor `Ended`.
    pub fn ensure<R>(&self, f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R) -> Result<R, AttachError> {
        self.view.ensure(f)
    }

    /// A thread state for this OS thread.
    ///
    /// # Errors
    /// `NoMemory`, `InInterrupt`.
    pub fn thread_state(&self) -> Result<ThreadState<'rt, H>, ThreadError> {
        self.view.rt().thread_state(self.view.id())
    }
}

impl<H: Host> Drop for Guard<'_, H> {
    fn drop(&mut self) {
        let slot = self.view.slot();
        match slot.head.word.release_guard() {
            ReleaseGuard::Quiet => {}
            ReleaseGuard::WakeEnder => self.view.rt().host().park().unpark(end::key(slot)),
        }
    }
}
