//! The reference, second part: how interpreters and runtimes end.

use archipelago_kernel::{
    error::{CreateError, EndError, ResetError, RuntimeError},
    interpreter::Phase,
    memory::{Domain, Ledger},
    runtime::RuntimePhase,
};

use crate::{
    account::Account,
    model::{Interpreter, Key, Model},
    witness::Told,
};

/// What a finalization answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Finalized {
    pub(crate) left_over: usize,
    pub(crate) unclean: usize,
    pub(crate) main: Ledger,
}

impl Model {
    /// Without patience.
    pub(crate) fn end(&mut self, key: Key) -> Result<Ledger, EndError> {
        self.may_end(key)?;
        self.wind_down_and(key, Self::take_down)
    }

    fn wind_down_and(
        &mut self,
        key: Key,
        take_down: impl FnOnce(&mut Self, Key) -> Ledger,
    ) -> Result<Ledger, EndError> {
        if self.interpreters[key].phase == Phase::Running {
            self.wind_down(key)?;
        }
        self.interpreters[key].phase = Phase::Finalizing;
        if self.activations(key) > 0 {
            return Err(EndError::StillActive);
        }
        Ok(take_down(self, key))
    }

    /// The values of what is still alive go, and all memory.
    pub(crate) fn take_down(&mut self, key: Key) -> Ledger {
        let ledger = self.clear(key);
        let interpreter = &mut self.interpreters[key];
        interpreter.phase = Phase::Ended;
        let number = interpreter.number;
        let _ = self.tell(Told::Ended(number, ledger));
        ledger
    }

    /// Without patience. The interpreter's next first thread state, and what it left behind.
    pub(crate) fn reset(&mut self, thread: Key) -> Result<(Key, Ledger), ResetError> {
        let key = self.threads[thread].interpreter;
        let Interpreter { number, phase, config, guest, .. } = self.interpreters[key];
        if number == 0 {
            return Err(EndError::Main.into());
        }
        if !self.threads[thread].is_alive {
            return Err(ResetError::ThreadEnded);
        }
        self.is_elsewhere(key)?;
        if phase != Phase::Running {
            return Err(EndError::InProgress.into());
        }
        self.tell(Told::Clearing(number)).map_err(|()| EndError::Vetoed)?;
        let ledger = self.wind_down_and(key, Self::clear)?;
        let fresh = Account::of(&config, guest, &self.sizes).map_err(|_| CreateError::NoMemory)?;
        let interpreter = &mut self.interpreters[key];
        interpreter.phase = Phase::Running;
        interpreter.account = fresh;
        interpreter.arm(self.now);
        (interpreter.overdue, interpreter.blocks) = (false, 0);
        (interpreter.room, interpreter.used, interpreter.free) = (0, 0, 0);
        interpreter.charges.clear();
        let id = interpreter.id;
        for name in self.names.iter_mut().filter(|name| Some(name.id) == id) {
            name.is_live = false;
        }
        let _ = self.tell(Told::Reset(number, ledger));
        Ok((self.new_thread_state(key), ledger))
    }

    fn clear(&mut self, key: Key) -> Ledger {
        while self.run_pending(key).is_some() {}
        let (data, state, root, name) = (self.sizes.data, self.sizes.state, self.sizes.root, self.sizes.name);
        let interpreter = &mut self.interpreters[key];
        interpreter.account.give(Domain::Raw, self.sizes.footprint);
        for thread in self.threads.iter_mut().filter(|thread| thread.interpreter == key && thread.is_alive) {
            thread.is_alive = false;
            if thread.data.is_some() {
                interpreter.account.give(Domain::Mem, data);
            }
        }
        if interpreter.guest {
            interpreter.account.give(Domain::Mem, state);
            interpreter.account.give(Domain::Object, root);
        }
        if interpreter.room > 0 {
            interpreter.account.give(Domain::Mem, interpreter.room * name);
        }
        self.settle(key);
        let mut ledger = Ledger::default();
        let interpreter = &mut self.interpreters[key];
        for object in self.objects.iter_mut().filter(|object| object.interpreter == key && object.is_alive) {
            object.is_alive = false;
            ledger.objects += 1;
        }
        ledger.leaked = interpreter.account.usage;
        ledger.peak = interpreter.account.usage.peak;
        ledger.callbacks_failed = core::mem::take(&mut interpreter.exits_failed);
        interpreter.running = None;
        interpreter.deadline = None;
        ledger
    }

    /// A visitor leaves: the last one out completes an end that gave up waiting.
    pub(crate) fn depart(&mut self, key: Key) {
        let interpreter = &mut self.interpreters[key];
        interpreter.visits -= 1;
        if interpreter.phase == Phase::Finalizing && self.activations(key) == 0 {
            self.take_down(key);
        }
    }

    /// Without patience.
    pub(crate) fn finalize(&mut self) -> Result<Finalized, RuntimeError> {
        if self.attached().is_some() {
            return Err(RuntimeError::AlreadyAttached);
        }
        if !self.frames.is_empty() {
            return Err(RuntimeError::WouldDeadlock);
        }
        if !matches!(self.phase, RuntimePhase::Running | RuntimePhase::Finalizing) {
            return Err(RuntimeError::NotRunning);
        }
        self.phase = RuntimePhase::Finalizing;
        let _ = self.tell(Told::Finalizing);
        let mut answer = Finalized::default();
        while let Some(newest) = self.newest() {
            let Interpreter { number, phase, .. } = self.interpreters[newest];
            // Told once, also if it takes several tries.
            if phase == Phase::Running {
                if number != 0 {
                    let _ = self.tell(Told::LeftOver(number));
                }
                let _ = self.tell(Told::Clearing(number));
            }
            let ledger = self.wind_down_and(newest, Self::take_down).map_err(|error| match error {
                EndError::StillRunning => RuntimeError::StillRunning,
                EndError::StillGuarded => RuntimeError::StillGuarded,
                _ => RuntimeError::StillActive,
            })?;
            if number == 0 {
                answer.main = ledger;
            } else {
                answer.left_over += 1;
                answer.unclean += usize::from(!ledger.is_clean());
            }
        }
        self.phase = RuntimePhase::Finalized;
        Ok(answer)
    }
}
