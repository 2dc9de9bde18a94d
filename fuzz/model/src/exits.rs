//! The reference, third part: what an end does before anybody is refused anything, and what keeps it from going on.

use archipelago_kernel::{
    error::{EndError, GuardError, ThreadError},
    interpreter::Phase,
    memory::{AllocError, Domain},
};

use crate::{
    model::{Key, Model},
    witness::{Told, fails, registers},
};

/// A callback.
pub(crate) struct Exit {
    pub(crate) number: usize,
    pub(crate) is_hook: bool,
    /// What it notes, which says what it does.
    pub(crate) value: usize,
}

impl Model {
    /// Its number.
    pub(crate) fn register(&mut self, key: Key, is_hook: bool, value: usize) -> Result<usize, AllocError> {
        let interpreter = &mut self.interpreters[key];
        interpreter.account.take(Domain::Mem, self.sizes.exit)?;
        self.next_exit += 1;
        interpreter.exits.push(Exit { number: self.next_exit, is_hook, value });
        Ok(self.next_exit)
    }

    /// Whether it was still there.
    pub(crate) fn forget_exit(&mut self, key: Key, number: usize) -> bool {
        let interpreter = &mut self.interpreters[key];
        let place = interpreter.exits.iter().position(|exit| exit.number == number);
        let Some(place) = place else { return false };
        interpreter.exits.remove(place);
        interpreter.account.give(Domain::Mem, self.sizes.exit);
        true
    }

    pub(crate) fn guard(&mut self, key: Key) -> Result<(), GuardError> {
        match self.interpreters[key].phase {
            Phase::Running => self.interpreters[key].guards += 1,
            Phase::Ended => return Err(GuardError::Ended),
            _ => return Err(GuardError::Finalizing),
        }
        Ok(())
    }

    pub(crate) fn join_ticket(&mut self, key: Key) -> Result<(), ThreadError> {
        match self.interpreters[key].phase {
            Phase::Running => self.interpreters[key].joinable += 1,
            Phase::Ended => return Err(ThreadError::NotFound),
            _ => return Err(ThreadError::Finalizing),
        }
        Ok(())
    }

    /// Callbacks of one kind that are there now, the newest first; not those that they register.
    fn run_exits(&mut self, key: Key, is_hook: bool) {
        let newest = self.next_exit;
        let wanted = |exit: &Exit| exit.is_hook == is_hook && exit.number <= newest;
        while let Some(at) = self.interpreters[key].exits.iter().rposition(wanted) {
            let Exit { number, value, .. } = self.interpreters[key].exits[at];
            self.forget_exit(key, number);
            self.told.push(Told::Exit(value, self.interpreters[key].number));
            let refused = registers(value).is_some_and(|next| self.register(key, false, next).is_err());
            self.interpreters[key].exits_failed += usize::from(refused || fails(value));
        }
    }

    /// Everything that comes before FINALIZING, without patience: callbacks run once.
    pub(crate) fn wind_down(&mut self, key: Key) -> Result<(), EndError> {
        let has_exits = |model: &Self| {
            let interpreter = &model.interpreters[key];
            !interpreter.exits.is_empty() || interpreter.joinable > 0
        };
        if has_exits(self) {
            self.run_exits(key, true);
            if self.interpreters[key].joinable > 0 {
                return Err(EndError::StillRunning);
            }
            self.pass(key);
            self.run_exits(key, false);
            if has_exits(self) {
                return Err(EndError::StillRunning);
            }
        }
        if self.interpreters[key].guards > 0 {
            return Err(EndError::StillGuarded);
        }
        Ok(())
    }
}
