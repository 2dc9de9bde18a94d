//! Operations on what keeps an interpreter from ending, and on what its end runs.

use archipelago_kernel::{
    Attached, Host,
    error::{AttachError, PendingError},
    interpreter::{ExitId, Guard, JoinTicket, Phase, View},
};

use super::{Driver, FRAMES, pick};
use crate::{
    model::Key,
    operation::Operation,
    witness::{CALLS, NODES, note, note_exit},
};

/// So many of each at most.
const MOST: usize = 4;

/// What the driver holds, each with the interpreter's key in the model.
pub(super) struct Keeps<'rt, H: Host> {
    views: Vec<(Key, View<'rt, H>)>,
    guards: Vec<(Key, Guard<'rt, H>)>,
    tickets: Vec<(Key, JoinTicket<'rt, H>)>,
    /// With their numbers in the model.
    exits: Vec<(usize, ExitId)>,
}

impl<H: Host> Default for Keeps<'_, H> {
    fn default() -> Self {
        Keeps { views: Vec::new(), guards: Vec::new(), tickets: Vec::new(), exits: Vec::new() }
    }
}

impl<'scope, H: Host> Driver<'scope, '_, H> {
    pub(super) fn keeping(&mut self, operation: &Operation) {
        match *operation {
            Operation::Call { interpreter, call } => {
                let Some((key, id)) = self.interpreter(interpreter) else { return };
                let Ok(port) = self.rt.interpreter(id).and_then(|handle| handle.port()) else { return };
                let call = NODES + usize::from(call) % (CALLS - NODES);
                let model = if self.model.interpreters[key].phase != Phase::Running {
                    Err(PendingError::Ended)
                } else if self.model.add_call(key, call) {
                    Ok(())
                } else {
                    Err(PendingError::Full)
                };
                assert_eq!(port.call(note::<H>, self.run.argument(call)), model);
            }
            Operation::View { interpreter } => {
                let Some((key, id)) = self.interpreter(interpreter) else { return };
                let Ok(handle) = self.rt.interpreter(id) else { return };
                self.keeps.views.truncate(MOST);
                self.keeps.views.insert(0, (key, handle.view().expect("it is listed")));
            }
            Operation::Guard { view } => {
                let Some(at) = pick(view, self.keeps.views.len()) else { return };
                let (key, view) = self.keeps.views[at];
                if self.keeps.guards.len() < MOST {
                    let (real, model) = (view.guard(), self.model.guard(key));
                    assert_eq!(real.as_ref().map(|_| ()).map_err(|error| *error), model);
                    self.keeps.guards.extend(real.ok().map(|guard| (key, guard)));
                }
            }
            Operation::Unguard { guard } => {
                let Some(at) = pick(guard, self.keeps.guards.len()) else { return };
                let (key, guard) = self.keeps.guards.swap_remove(at);
                self.model.interpreters[key].guards -= 1;
                drop(guard);
            }
            Operation::EnsureBy { guard, number } => self.ensure_by(guard, number),
            Operation::Ticket { interpreter } => {
                let Some((key, id)) = self.interpreter(interpreter) else { return };
                let Ok(handle) = self.rt.interpreter(id) else { return };
                if self.keeps.tickets.len() < MOST {
                    let (real, model) = (handle.join_ticket(), self.model.join_ticket(key));
                    assert_eq!(real.as_ref().map(|_| ()).map_err(|error| *error), model);
                    self.keeps.tickets.extend(real.ok().map(|ticket| (key, ticket)));
                }
            }
            Operation::Joined { ticket } => {
                let Some(at) = pick(ticket, self.keeps.tickets.len()) else { return };
                let (key, ticket) = self.keeps.tickets.swap_remove(at);
                self.model.interpreters[key].joinable -= 1;
                drop(ticket);
            }
            _ => {}
        }
    }

    fn ensure_by(&mut self, by_guard: bool, number: u8) {
        let of = if by_guard { self.keeps.guards.len() } else { self.keeps.views.len() };
        let Some(at) = pick(number, of) else { return };
        if self.model.frames.len() >= FRAMES {
            return;
        }
        let (key, view) = if by_guard {
            let (key, guard) = &self.keeps.guards[at];
            (*key, guard.view())
        } else {
            self.keeps.views[at]
        };
        let model = self.model.ensure(key);
        let real = view.ensure(|cx| self.inside(cx));
        // Where both are so, a view says either: it asks no list whether the interpreter is in it.
        let attached = real == Err(AttachError::AlreadyAttached) && self.model.attached().is_some();
        if !(attached && model == Err(AttachError::Ended)) {
            assert_eq!(real, model.map(|_| ()));
        }
        self.ensured(model);
    }

    /// Operations on callbacks.
    pub(super) fn exits(&mut self, operation: &Operation, cx: &mut Attached<'_, H>) -> bool {
        let (here, _) = self.here();
        match *operation {
            Operation::Exit { is_hook, value } => {
                let value = usize::from(value) % CALLS;
                let argument = self.run.argument(value);
                let real = if is_hook {
                    cx.on_shutdown(note_exit::<H>, argument)
                } else {
                    cx.at_exit(note_exit::<H>, argument)
                };
                let model = self.model.register(here, is_hook, value);
                assert_eq!(real.map(|_| ()), model.map(|_| ()));
                if let (Ok(real), Ok(model)) = (real, model) {
                    self.keeps.exits.push((model, real));
                }
            }
            Operation::ForgetExit { exit } => {
                // Also those of other interpreters, and those that ran.
                let Some(at) = pick(exit, self.keeps.exits.len()) else { return true };
                let (number, id) = self.keeps.exits[at];
                assert_eq!(cx.forget_exit(id), self.model.forget_exit(here, number));
            }
            _ => return false,
        }
        true
    }

    /// Guards and tickets go.
    pub(super) fn keep_nothing(&mut self) {
        while !self.keeps.guards.is_empty() {
            self.keeping(&Operation::Unguard { guard: 0 });
        }
        while !self.keeps.tickets.is_empty() {
            self.keeping(&Operation::Joined { ticket: 0 });
        }
    }
}
