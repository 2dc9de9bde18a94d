//! `Interpreter`: a checked name with its runtime.

use core::time::Duration;

use crate::{
    config::{Act, InterpreterConfig},
    error::{EndError, GuardError, LookupError, PermitError, Refusal, ThreadError},
    eval::breaker::INTERRUPT,
    gil::{Counter, GilStats},
    host::Host,
    interpreter::{Guard, InterpreterId, InterpreterSlot, Patience, Phase, Port, View, Whence, end},
    memory::{Ledger, Usage},
    runtime::Runtime,
    sync::Ordering,
    thread::ThreadState,
};

/// A handle to one interpreter (`PyInterpreterState`): a name and its runtime. `Copy` and `Send`; every use
/// asks the registry, so it may outlive the interpreter.
pub struct Interpreter<'rt, H: Host> {
    pub(crate) rt: &'rt Runtime<H>,
    pub(crate) id: InterpreterId,
}

impl<H: Host> Clone for Interpreter<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for Interpreter<'_, H> {}

/// What an interpreter did so far (SPEC G5). Read without stopping it; the fields are not one snapshot.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InterpreterStats {
    /// Its threads waited so often for the GIL.
    pub waits: usize,
    /// They waited so long in all. Wraps with the host's pointer width, in microseconds.
    pub waited: Duration,
    /// Its threads held the GIL so long in all, where the host counts that ([`Metered`](crate::gil::Metered)): up to when
    /// it was let go last. Wraps as `waited` does.
    pub held: Option<Duration>,
    /// Its threads took the GIL so often from another thread state.
    pub switches: usize,
    /// Open activations.
    pub activations: usize,
    /// Guards that are held.
    pub guards: usize,
    /// Threads that its end joins.
    pub joinable: usize,
}

impl<'rt, H: Host> Interpreter<'rt, H> {
    /// Its name.
    pub fn id(&self) -> InterpreterId {
        self.id
    }

    /// Its runtime.
    pub fn runtime(&self) -> &'rt Runtime<H> {
        self.rt
    }

    fn with<R>(&self, f: impl FnOnce(&InterpreterSlot<H>) -> R) -> Result<R, LookupError> {
        self.rt.look(|registry| self.rt.listed(registry, self.id).map(f))
    }

    /// Who made it (SPEC L5).
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn whence(&self) -> Result<Whence, LookupError> {
        self.with(|slot| slot.head.whence.get())
    }

    /// The config it was created with, `default` stored as `shared` (SPEC C4).
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn config(&self) -> Result<InterpreterConfig, LookupError> {
        self.with(|slot| slot.head.config())
    }

    /// Where it is in its life: `Ended` also for one that is gone.
    ///
    /// # Errors
    /// `InInterrupt` only.
    pub fn phase(&self) -> Result<Phase, LookupError> {
        match self.with(|slot| slot.head.word.phase()) {
            Err(LookupError::InInterrupt) => Err(LookupError::InInterrupt),
            found => Ok(found.unwrap_or(Phase::Ended)),
        }
    }

    /// Whether a thread state holds its main slot (SPEC L7). Background threads do not count.
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn is_running(&self) -> Result<bool, LookupError> {
        self.with(|slot| slot.head.is_running())
    }

    /// What it uses now (SPEC M6).
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn usage(&self) -> Result<Usage, LookupError> {
        self.with(|slot| slot.head.account.usage())
    }

    /// What it did so far.
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn stats(&self) -> Result<InterpreterStats, LookupError> {
        self.with(|slot| InterpreterStats {
            waits: slot.head.waits.load(Ordering::Relaxed),
            waited: Duration::from_micros(slot.head.waited_us.load(Ordering::Relaxed) as u64),
            held: slot.held_time.sum(),
            switches: slot.head.switches.load(Ordering::Relaxed),
            activations: slot.head.word.activations(),
            guards: slot.head.word.guards(),
            joinable: slot.head.joinable.load(Ordering::Relaxed) as usize,
        })
    }

    /// The GIL it runs under: its own, or main's (SPEC G5).
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn gil(&self) -> Result<GilStats, LookupError> {
        self.with(|slot| slot.gil().stats())
    }

    /// How many thread states it has.
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn threads(&self) -> Result<usize, LookupError> {
        self.with(|slot| slot.head.thread_count())
    }

    /// Whether it may do `act`; the error names it and the setting (SPEC C6).
    ///
    /// # Errors
    /// The setting that refuses it, or `NotFound`.
    pub fn permit(&self, act: Act) -> Result<(), Refusal> {
        let permitted =
            self.config().map_err(|_| PermitError::NotFound).and_then(|config| config.permits(act));
        permitted.map_err(|reason| Refusal { interpreter: self.id, reason })
    }

    /// A thread state for this OS thread.
    ///
    /// # Errors
    /// As for [`Runtime::thread_state`].
    pub fn thread_state(&self) -> Result<ThreadState<'rt, H>, ThreadError> {
        self.rt.thread_state(self.id)
    }

    /// Interrupts it: each of its thread states is told once, at its next safepoint, and blocked waits end
    /// (SPEC E3). A safepoint answers [`Interrupt::Requested`](crate::error::Interrupt::Requested).
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn interrupt(&self) -> Result<(), LookupError> {
        self.with(|slot| slot.head.break_all(INTERRUPT))
    }

    /// A way in for pending calls and interrupts, also from interrupt handlers.
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn port(&self) -> Result<Port<'rt, H>, LookupError> {
        self.view().map(|view| view.port())
    }

    /// A view of it, for those who come later (`PyInterpreterView_FromCurrent`; SPEC L9).
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn view(&self) -> Result<View<'rt, H>, LookupError> {
        View::new(self.rt, self.id)
    }

    /// Keeps it from finalizing until the guard is dropped (`PyInterpreterGuard_FromCurrent`; SPEC L9).
    ///
    /// # Errors
    /// As for [`View::guard`].
    pub fn guard(&self) -> Result<Guard<'rt, H>, GuardError> {
        let view = self.view().map_err(|error| match error {
            LookupError::InInterrupt => GuardError::InInterrupt,
            _ => GuardError::Ended,
        })?;
        view.guard()
    }

    /// Ends it, whoever created it, also while it runs (SPEC L3). See [`Runtime::end`].
    ///
    /// # Errors
    /// As for [`Runtime::end`].
    pub fn end(&self, patience: Patience) -> Result<Ledger, EndError> {
        self.rt.end(self.id, patience)
    }

    /// Closes it (SPEC L8): refused for main, for the current one, for a running one, and for one that this
    /// interface did not create.
    ///
    /// # Errors
    /// Which of these it is; `NotFound` the second time.
    pub fn close(&self, patience: Patience) -> Result<Ledger, EndError> {
        struct Vacate<'a, 'rt, H: Host>(&'a Interpreter<'rt, H>, bool);
        impl<H: Host> Drop for Vacate<'_, '_, H> {
            fn drop(&mut self) {
                if self.1 {
                    // Nothing changed, or another end won: in the memory of an ended interpreter the slot is not
                    // ours.
                    let _ = self.0.with(|slot| slot.head.vacate_main_slot(&slot.reserve));
                }
            }
        }
        if self.rt.host().in_interrupt() {
            return Err(EndError::InInterrupt);
        }
        let taken = self.with(|slot| {
            if self.id.is_main() {
                return Err(EndError::Main);
            }
            if slot.head.whence.get() != Whence::Stdlib {
                return Err(EndError::Foreign);
            }
            end::refuse_own_frames::<H>(slot)?;
            // The end takes the main slot, so that no run begins from here on. A close that gave up waiting left it
            // taken. Another one that has not come so far may still give it back, and a run could then begin between
            // this check and the end.
            match slot.head.take_main_slot(&slot.reserve) {
                true => Ok(true),
                false if !slot.head.is_run_by(&slot.reserve) => Err(EndError::Running),
                false if slot.head.word.phase() == Phase::Running => Err(EndError::InProgress),
                false => Ok(false),
            }
        });
        let mut vacate = Vacate(self, taken.map_err(|_| EndError::NotFound)??);
        let ended = self.end(patience);
        if matches!(ended, Ok(_) | Err(EndError::StillActive)) {
            vacate.1 = false;
        }
        ended
    }
}
