//! Looking interpreters up (SPEC R3).

#![allow(unsafe_code)]

use crate::{
    error::LookupError,
    host::Host,
    interpreter::{Interpreter, InterpreterHead, InterpreterId, InterpreterSlot, Phase},
    runtime::{Registry, Runtime},
};

impl Registry {
    pub(crate) fn newest_id(&self) -> Option<InterpreterId> {
        // SAFETY: listed heads are slots of this runtime.
        unsafe { self.newest().as_ref() }.map(|head| head.id.get())
    }

    /// The first interpreter that is `wanted`, from the one at `at` towards older ones.
    pub(crate) fn first(
        &self,
        mut at: *const InterpreterHead,
        wanted: impl Fn(&InterpreterHead) -> bool,
    ) -> Option<InterpreterId> {
        // SAFETY: called under the lock with listed heads.
        while let Some(head) = unsafe { at.as_ref() } {
            if wanted(head) {
                return Some(head.id.get());
            }
            at = head.older.get();
        }
        None
    }

    pub(crate) fn main_id(&self) -> Option<InterpreterId> {
        // SAFETY: listed heads are slots of this runtime.
        unsafe { self.oldest().as_ref() }.map(|head| head.id.get()).filter(|id| id.is_main())
    }
}

/// Interpreters that are still being created, or already being taken down, are not to be seen.
fn is_ready(head: &InterpreterHead) -> bool {
    matches!(head.word.phase(), Phase::Running | Phase::Ending | Phase::Finalizing)
}

impl<H: Host> Runtime<H> {
    /// The slot of `id`, under the lock.
    pub(crate) fn listed<'rt>(
        &'rt self,
        registry: &Registry,
        id: InterpreterId,
    ) -> Result<&'rt InterpreterSlot<H>, LookupError> {
        if registry.cycle != id.cycle {
            return Err(LookupError::WrongCycle);
        }
        let head = registry.table.find(id.number);
        if head.is_null() {
            return Err(LookupError::NotFound);
        }
        // SAFETY: the registry lists heads of this runtime's slots by the pointers the allocator gave.
        Ok(unsafe { InterpreterSlot::of(head) })
    }

    /// Looks something up under the lock. An interrupt handler may have interrupted whoever holds it.
    pub(crate) fn look<R>(
        &self,
        f: impl FnOnce(&Registry) -> Result<R, LookupError>,
    ) -> Result<R, LookupError> {
        if self.host().in_interrupt() {
            return Err(LookupError::InInterrupt);
        }
        self.locked(|registry| f(registry))
    }

    /// A handle for `id`.
    ///
    /// # Errors
    /// `NotFound` for an interpreter that ended or never was, `WrongCycle` for a name of an earlier
    /// initialization or another runtime.
    pub fn interpreter(&self, id: InterpreterId) -> Result<Interpreter<'_, H>, LookupError> {
        self.look(|registry| self.listed(registry, id).map(|_| ()))?;
        Ok(Interpreter { rt: self, id })
    }

    /// The name of the interpreter with this number in the present cycle.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub fn id(&self, number: u64) -> Result<InterpreterId, LookupError> {
        self.look(|registry| {
            let id = InterpreterId { cycle: registry.cycle, number };
            self.listed(registry, id).map(|_| id)
        })
    }

    /// The newest interpreter (`PyInterpreterState_Head`).
    ///
    /// # Errors
    /// `NotRunning` if there is none: the runtime is not initialized.
    pub fn head(&self) -> Result<InterpreterId, LookupError> {
        self.look(|registry| registry.first(registry.newest(), is_ready).ok_or(LookupError::NotRunning))
    }

    /// The next older interpreter (`PyInterpreterState_Next`); `None` after main.
    ///
    /// # Errors
    /// `NotFound` or `WrongCycle` if `id` ended meanwhile.
    pub fn next(&self, id: InterpreterId) -> Result<Option<InterpreterId>, LookupError> {
        self.look(|registry| {
            let slot = self.listed(registry, id)?;
            Ok(registry.first(slot.head.older.get(), is_ready))
        })
    }

    /// The main interpreter of the present cycle (`PyInterpreterState_Main`).
    ///
    /// # Errors
    /// `NotRunning` if there is none: the runtime is not initialized.
    pub fn main(&self) -> Result<InterpreterId, LookupError> {
        self.look(|registry| registry.main_id().ok_or(LookupError::NotRunning))
    }

    /// Writes the names of all interpreters, in the order of creation, into `names`, as many as fit, and
    /// answers how many there are (`list_all`).
    ///
    /// # Errors
    /// `InInterrupt` only.
    pub fn list(&self, names: &mut [InterpreterId]) -> Result<usize, LookupError> {
        self.look(|registry| {
            let (mut at, mut count) = (registry.oldest(), 0);
            // SAFETY: listed heads are slots of this runtime.
            while let Some(head) = unsafe { at.as_ref() } {
                if is_ready(head) {
                    if let Some(name) = names.get_mut(count) {
                        *name = head.id.get();
                    }
                    count += 1;
                }
                at = head.newer.get();
            }
            Ok(count)
        })
    }

    /// How many interpreters there are, main among them, those being created or taken down too.
    ///
    /// # Errors
    /// `InInterrupt` only.
    pub fn count(&self) -> Result<usize, LookupError> {
        self.look(|registry| Ok(registry.count))
    }
}
