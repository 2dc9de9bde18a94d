//! What runs before an interpreter finalizes: shutdown hooks and at-exit callbacks (SPEC L8, L13).

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::{
    host::Host,
    interpreter::{InterpreterHead, InterpreterSlot, Phase, end},
    memory::{AllocCause, AllocError, Domain},
    sync::Ordering,
    thread::Attached,
};

/// A callback reports that it failed; the ledger of the end counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitFailed;

/// The function of a callback.
pub type ExitFn<H> = for<'i> fn(&mut Attached<'i, H>, usize) -> Result<(), ExitFailed>;

/// The name of a callback that was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitId(u64);

/// When a callback runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ExitKind {
    /// Before threads are joined.
    Shutdown,
    /// After them.
    AtExit,
}

/// Invariant [E1]: an entry lies in the mem domain of its interpreter and stands in its list, under the runtime's lock, from
/// its registration until it is taken out; then it belongs to the token that took it out.
struct Entry<H: Host> {
    next: *mut Entry<H>,
    number: u64,
    kind: ExitKind,
    run: ExitFn<H>,
    argument: usize,
}

impl<H: Host> InterpreterSlot<H> {
    fn first_entry(&self) -> *mut Entry<H> {
        self.extras().map_or(ptr::null_mut(), |extras| extras.exits.load(Ordering::Relaxed)).cast()
    }

    fn set_first_entry(&self, entry: *mut Entry<H>) {
        if let Some(extras) = self.extras() {
            extras.exits.store(entry.cast(), Ordering::Relaxed);
        }
    }

    /// Whether callbacks wait. Under the runtime's lock the answer lasts.
    pub(super) fn has_callbacks(&self) -> bool {
        !self.first_entry().is_null()
    }

    /// Whether an end has something to run or to wait for before it closes. Under the runtime's lock the answer lasts.
    pub(super) fn has_exits(&self) -> bool {
        self.has_callbacks() || self.head.has_joins()
    }

    /// Takes the newest entry out that `wanted` picks. Under the runtime's lock.
    fn take_entry(&self, wanted: impl Fn(&Entry<H>) -> bool) -> Option<NonNull<Entry<H>>> {
        let mut before: *mut Entry<H> = ptr::null_mut();
        let mut at = self.first_entry();
        // SAFETY: [E1] listed entries are live, and the lock is held.
        unsafe {
            while let Some(entry) = at.as_ref() {
                if wanted(entry) {
                    match before.as_mut() {
                        Some(before) => before.next = entry.next,
                        None => self.set_first_entry(entry.next),
                    }
                    return NonNull::new(at);
                }
                (before, at) = (at, entry.next);
            }
        }
        None
    }
}

impl InterpreterHead {
    /// Whether threads are to be joined. What they did comes before what follows a no.
    pub(super) fn has_joins(&self) -> bool {
        self.joinable.load(Ordering::Acquire) > 0
    }
}

impl<H: Host> Attached<'_, H> {
    /// Runs `run` with `argument` when this interpreter ends, before anybody is refused anything; what was registered last
    /// runs first (`atexit.register`; SPEC L13). It may do whatever the interpreter's code may, register others too: they
    /// run in the same end, after threads that were started meanwhile.
    ///
    /// # Errors
    /// The entry lies in the interpreter's heap, which may refuse it.
    pub fn at_exit(&mut self, run: ExitFn<H>, argument: usize) -> Result<ExitId, AllocError> {
        self.register_exit(ExitKind::AtExit, run, argument)
    }

    /// As [`at_exit`](Self::at_exit), before the end waits for the threads that it joins: to tell them (SPEC L8).
    ///
    /// # Errors
    /// As there.
    pub fn on_shutdown(&mut self, run: ExitFn<H>, argument: usize) -> Result<ExitId, AllocError> {
        self.register_exit(ExitKind::Shutdown, run, argument)
    }

    /// Takes a callback back. Answers whether it was still to run.
    pub fn forget_exit(&mut self, id: ExitId) -> bool {
        let entry = self.rt().locked(|_| self.slot().take_entry(|entry| entry.number == id.0));
        entry.map(|entry| self.free_entry(entry)).is_some()
    }

    fn register_exit(
        &mut self,
        kind: ExitKind,
        run: ExitFn<H>,
        argument: usize,
    ) -> Result<ExitId, AllocError> {
        let layout = Layout::new::<Entry<H>>();
        let refused = |domain, cause| AllocError { domain, requested: layout.size(), cause };
        let head = &self.slot().head;
        let is_late = || !matches!(head.word.phase(), Phase::Running | Phase::Ending);
        if is_late() {
            return Err(refused(Domain::Mem, AllocCause::Finalizing));
        }
        self.slot().need_extras(self.rt().raw()).map_err(|cause| refused(Domain::Raw, cause))?;
        let place = self.allocate(Domain::Mem, layout)?.cast::<Entry<H>>();
        let number = self.rt().locked(|registry| {
            // The step to FINALIZING is taken under the lock too.
            if is_late() {
                return None;
            }
            let number = registry.next_exit();
            let entry = Entry { next: self.slot().first_entry(), number, kind, run, argument };
            // SAFETY: the block is fresh and has the entry's layout.
            unsafe { place.write(entry) };
            self.slot().set_first_entry(place.as_ptr());
            Some(number)
        });
        match number {
            Some(number) => {
                self.wake_ender();
                Ok(ExitId(number))
            }
            None => {
                // SAFETY: the block was not listed, and came from this token with this layout.
                unsafe { self.deallocate(Domain::Mem, place.cast(), layout) };
                Err(refused(Domain::Mem, AllocCause::Finalizing))
            }
        }
    }

    /// An ender that waits for guards looks again.
    fn wake_ender(&self) {
        if self.slot().head.word.phase() == Phase::Ending {
            end::wake(self.rt(), self.slot());
        }
    }

    fn free_entry(&self, entry: NonNull<Entry<H>>) {
        // SAFETY: [E1] it was taken out, and came from the mem domain with this layout.
        unsafe { self.deallocate(Domain::Mem, entry.cast(), Layout::new::<Entry<H>>()) }
    }

    /// Runs the callbacks of a kind that are there, the newest first. What they register comes in the next round. One that
    /// panics is gone; the others stay.
    pub(super) fn run_exits(&mut self, kind: ExitKind) {
        // SAFETY: [E1] listed entries are live, and the lock is held.
        let newest =
            self.rt().locked(|_| unsafe { self.slot().first_entry().as_ref() }.map(|entry| entry.number));
        let Some(newest) = newest else { return };
        let wanted = |entry: &Entry<H>| entry.kind == kind && entry.number <= newest;
        while let Some(entry) = self.rt().locked(|_| self.slot().take_entry(wanted)) {
            // SAFETY: [E1] it was taken out and is live.
            let (run, argument) = unsafe { (entry.as_ref().run, entry.as_ref().argument) };
            self.free_entry(entry);
            if run(self, argument).is_err() {
                let failed = &self.slot().head.exits_failed;
                failed.set(failed.get().saturating_add(1));
            }
        }
    }

    /// Frees the entries that nobody runs any more. In phase CLEARING.
    pub(super) fn drop_exits(&mut self) {
        while let Some(entry) = self.rt().locked(|_| self.slot().take_entry(|_| true)) {
            self.free_entry(entry);
        }
    }
}
