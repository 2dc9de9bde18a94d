//! The reference, fourth part: parts of a run that have a deadline or fuel of their own.

use archipelago_kernel::error::Interrupt;

use crate::model::{Key, Model};

const UNLIMITED: u64 = u64::MAX;

/// One that is open, on the one thread that opens any. Which are around it stands below it in the list of all.
pub(crate) struct Scope {
    thread: Key,
    /// The scope around it, of this thread state or of the one whose frame is around this one's.
    around: Option<usize>,
    /// The frame that has it because the code around is bound.
    frame: Option<usize>,
    at: Option<u64>,
    pub(crate) passed: bool,
    tell_again: bool,
    given: u64,
    pub(crate) left: u64,
    pub(crate) ran_out: bool,
}

impl Model {
    fn innermost(&self, thread: Key) -> Option<usize> {
        self.scopes.iter().rposition(|scope| scope.thread == thread)
    }

    /// The nearest with a deadline, from this one outwards.
    fn timed(&self, scope: Option<usize>) -> Option<&Scope> {
        let mut at = scope;
        while let Some(scope) = at.map(|at| &self.scopes[at]) {
            if scope.at.is_some() {
                return Some(scope);
            }
            at = scope.around;
        }
        None
    }

    fn has_passed(&self, scope: Option<usize>) -> bool {
        self.timed(scope).is_some_and(|timed| timed.passed)
    }

    fn open_in(
        &mut self,
        thread: Key,
        around: Option<usize>,
        at: Option<u64>,
        units: u64,
        frame: Option<usize>,
    ) {
        let given = around.map_or(units, |around| units.min(self.scopes[around].left));
        let passed = at.is_some() && self.has_passed(around);
        let told = &mut self.threads[thread].deadline;
        let tell_again = at.is_some() && *told;
        *told |= passed;
        self.scopes.push(Scope {
            thread,
            around,
            frame,
            at,
            passed,
            tell_again,
            given,
            left: given,
            ran_out: false,
        });
    }

    pub(crate) fn open_scope(&mut self, thread: Key, within: Option<u64>, units: Option<u64>) {
        let around = self.innermost(thread);
        let outer = self.timed(around).and_then(|timed| timed.at);
        let at = within.map(|within| (self.now + within).min(outer.unwrap_or(u64::MAX)));
        self.open_in(thread, around, at, units.unwrap_or(UNLIMITED), None);
    }

    /// A frame opens inside another one.
    pub(crate) fn inherit_scope(&mut self, thread: Key, outer: Key) {
        if thread != outer
            && let Some(around) = self.innermost(outer)
        {
            let at = self.timed(Some(around)).and_then(|timed| timed.at);
            self.open_in(thread, Some(around), at, UNLIMITED, Some(self.frames.len()));
        }
    }

    /// The innermost frame closes: with what it inherited.
    pub(crate) fn leave_scope(&mut self) {
        let inherited = self.scopes.last().and_then(|scope| scope.frame);
        if inherited.is_some_and(|frame| frame + 1 == self.frames.len()) {
            self.close_scope();
        }
    }

    /// The innermost closes: as it was, and the units left in it that its interpreter has too.
    pub(crate) fn close_scope(&mut self) -> (Scope, u64) {
        let scope = self.scopes.pop().expect("one is open");
        let thread = scope.thread;
        let below = self.innermost(thread);
        if scope.at.is_some() {
            self.threads[thread].deadline = scope.tell_again || self.has_passed(below);
        }
        let shared = self.interpreters[self.threads[thread].interpreter].fuel;
        if let Some(around) = scope.around.map(|around| &mut self.scopes[around])
            && around.left != UNLIMITED
        {
            around.left = around.left.saturating_sub(scope.given.saturating_sub(scope.left));
        }
        if scope.ran_out || self.threads[thread].dry {
            let is_dry = shared == Some(0);
            self.threads[thread].dry = is_dry || below.is_some_and(|below| self.scopes[below].left == 0);
            if let Some(around) = scope.around.map(|around| &mut self.scopes[around])
                && scope.ran_out
                && (around.left == 0 || is_dry && around.thread == thread)
            {
                around.ran_out = true;
                self.threads[around.thread].dry = true;
            }
        }
        let left = scope.left.min(shared.unwrap_or(UNLIMITED));
        (scope, left)
    }

    /// What may still be spent by this thread state.
    pub(crate) fn fuel(&self, thread: Key) -> Option<u64> {
        let shared = self.interpreters[self.threads[thread].interpreter].fuel;
        let scoped =
            self.innermost(thread).map(|scope| self.scopes[scope].left).filter(|left| *left != UNLIMITED);
        scoped.into_iter().chain(shared).min()
    }

    pub(crate) fn spend(&mut self, thread: Key, units: u64) -> Result<(), Interrupt> {
        let key = self.threads[thread].interpreter;
        let scope = self.innermost(thread);
        let least = self.fuel(thread).unwrap_or(UNLIMITED);
        let granted = units.min(least);
        if let Some(scope) = scope.map(|scope| &mut self.scopes[scope]) {
            scope.left -= if scope.left == UNLIMITED { 0 } else { granted };
            scope.ran_out |= granted < units;
        }
        let shared = self.interpreters[key].fuel.map(|shared| shared - granted);
        self.interpreters[key].fuel = shared;
        if granted == units {
            return Ok(());
        }
        let all = shared == Some(0);
        for (other, of) in self.threads.iter_mut().enumerate() {
            of.dry |= other == thread || all && of.interpreter == key;
        }
        Err(Interrupt::OutOfFuel)
    }

    /// Scopes whose deadline passes now; when the next one does.
    pub(crate) fn tick_scopes(&mut self) -> Option<u64> {
        let now = self.now;
        for scope in self.scopes.iter_mut().filter(|scope| scope.at.is_some_and(|at| at <= now)) {
            self.threads[scope.thread].deadline |= !core::mem::replace(&mut scope.passed, true);
        }
        let waits = self.scopes.iter().filter(|scope| !scope.passed);
        waits.filter_map(|scope| scope.at).min().map(|at| at - now)
    }

    /// The deadline of this interpreter passed: those in scopes are told again outside.
    pub(crate) fn pass_around(&mut self, key: Key) {
        for scope in self.scopes.iter_mut().filter(|scope| scope.at.is_some()) {
            scope.tell_again |= self.threads[scope.thread].interpreter == key;
        }
    }

    /// The interpreter gets another deadline: this thread state is told of those of its scopes alone.
    pub(crate) fn forget_deadline(&mut self, thread: Key) {
        for scope in self.scopes.iter_mut().filter(|scope| scope.thread == thread) {
            scope.tell_again = false;
        }
        let passed = self.has_passed(self.innermost(thread));
        self.threads[thread].deadline &= passed;
    }
}
