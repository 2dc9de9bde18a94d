//! Guards: an interpreter does not finalize while one is held (PEP 788; SPEC L9).

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::{
    error::{AttachError, GuardError, LookupError, ThreadError},
    host::Host,
    interpreter::{Interpreter, InterpreterHead, InterpreterId, View, end, word::ReleaseGuard},
    thread::{Attached, ThreadState},
};

/// Invariant [E2]: a record stands in the registry's list, under the runtime's lock, from its guard's making until its
/// drop; the guard alone frees it, and the count that it holds keeps the interpreter meanwhile.
struct Record {
    label: &'static str,
    /// Compared only.
    of: *const InterpreterHead,
    next: *mut Record,
    prev: *mut Record,
}

/// Keeps an interpreter from finalizing (`PyInterpreterGuard`; SPEC L9). `Send` and `Sync`: it may be given back by any
/// thread, by dropping it. Attaching is never refused as `Finalizing` while one is held.
///
/// An end waits for it, so a thread that asks for an end without a time limit while it holds one waits for itself. It is not
/// dropped in an interrupt handler.
#[must_use = "dropping it gives it back"]
pub struct Guard<'rt, H: Host> {
    view: View<'rt, H>,
    /// Null without a label.
    record: *mut Record,
}

// SAFETY: [E2] the record is touched under the runtime's lock only, and freed by the drop, which one thread runs.
unsafe impl<H: Host> Send for Guard<'_, H> {}
// SAFETY: as above; by a shared reference the record is not touched.
unsafe impl<H: Host> Sync for Guard<'_, H> {}

/// How many guards an interpreter has.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardCount {
    /// All of them.
    pub total: usize,
    /// Those that have a label.
    pub labelled: usize,
}

impl<'rt, H: Host> Guard<'rt, H> {
    /// Of a view whose interpreter counted it.
    pub(super) fn counted(view: View<'rt, H>) -> Self {
        Guard { view, record: ptr::null_mut() }
    }

    /// The same with a label, for those who ask who holds guards.
    pub(super) fn labelled(mut self, label: &'static str) -> Result<Self, GuardError> {
        let (rt, head) = (self.view.rt(), &self.view.slot().head);
        let block = rt.raw().take(Layout::new::<Record>()).map_err(|_| GuardError::NoMemory)?;
        let record = block.cast::<Record>().as_ptr();
        // SAFETY: [E2] the block is fresh and has the layout; listed records are live, and the lock is held.
        rt.locked(|registry| unsafe {
            let next = registry.guards.cast::<Record>();
            record.write(Record { label, of: head, next, prev: ptr::null_mut() });
            if let Some(next) = next.as_mut() {
                next.prev = record;
            }
            registry.guards = record.cast();
        });
        self.record = record;
        Ok(self)
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
    #[inline]
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

impl<H: Host> Guard<'_, H> {
    /// Takes the label out of the list.
    #[cold]
    fn unlist(&self, block: NonNull<Record>) {
        let rt = self.view.rt();
        // SAFETY: [E2] the record and its neighbours are live, and the lock is held.
        rt.locked(|registry| unsafe {
            let Record { next, prev, .. } = *block.as_ptr();
            match prev.as_mut() {
                Some(prev) => prev.next = next,
                None => registry.guards = next.cast(),
            }
            if let Some(next) = next.as_mut() {
                next.prev = prev;
            }
        });
        // SAFETY: [E2] it is in no list any more, and came from the raw domain with this layout.
        unsafe { rt.raw().deallocate(block.cast(), Layout::new::<Record>()) };
    }
}

impl<H: Host> Drop for Guard<'_, H> {
    #[inline]
    fn drop(&mut self) {
        if let Some(block) = NonNull::new(self.record) {
            self.unlist(block);
        }
        let (rt, slot) = (self.view.rt(), self.view.slot());
        match slot.head.word.release_guard() {
            // An end that gave up because of this guard counted in the same word, so what it left is seen.
            ReleaseGuard::Quiet => rt.remind_of(slot),
            ReleaseGuard::WakeEnder => end::wake(rt, slot),
        }
    }
}

impl<H: Host> Interpreter<'_, H> {
    /// How many guards are held, and as many labels as `labels` has room for, the newest first: after an end answered
    /// `StillGuarded`, or at any time (SPEC L9).
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn guards(&self, labels: &mut [&'static str]) -> Result<GuardCount, LookupError> {
        self.rt.look(|registry| {
            let head = &self.rt.listed(registry, self.id)?.head;
            let mut count = GuardCount { total: head.word.guards(), labelled: 0 };
            let mut at = registry.guards.cast::<Record>();
            // SAFETY: [E2] listed records are live, and the lock is held.
            while let Some(record) = unsafe { at.as_ref() } {
                at = record.next;
                if !ptr::eq(record.of, head) {
                    continue;
                }
                if let Some(place) = labels.get_mut(count.labelled) {
                    *place = record.label;
                }
                count.labelled += 1;
            }
            Ok(count)
        })
    }
}
