//! Fuel: units of work of an interpreter and of parts of a run (SPEC E6).

#![allow(unsafe_code)]

use crate::{
    error::Interrupt,
    eval::{
        breaker::FUEL,
        scope::{Scope, UNLIMITED},
    },
    host::Host,
    thread::Attached,
};

/// What a run with fuel of its own answered.
#[non_exhaustive]
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fuelled<R> {
    /// The closure's answer.
    pub value: R,
    /// Units it was given and did not spend: at most what was left around it.
    pub left: u64,
    /// It was refused fuel, for more was asked than was left of its own or around it.
    pub ran_out: bool,
}

impl<H: Host> Attached<'_, H> {
    /// Takes `units` of work off the fuel, if any was set (SPEC E6): that of the interpreter
    /// ([`set_fuel`](Self::set_fuel)) and that of each [`with_fuel`](Self::with_fuel) that is open here.
    ///
    /// # Errors
    /// `OutOfFuel` if less was left somewhere; there it is then zero, and so much was taken elsewhere. A safepoint says
    /// so once more, unless there is fuel by then: to this thread state, or to all of the interpreter where its own is
    /// used up. So code stops too that only makes safepoints. `Finalizing` in a finalizing interpreter.
    #[inline]
    pub fn spend(&mut self, units: u64) -> Result<(), Interrupt> {
        if self.slot().head.word.is_finalizing() {
            return Err(Interrupt::Finalizing);
        }
        if !self.thread().scopes.get().is_null() {
            return self.spend_in_scope(units);
        }
        let head = &self.slot().head;
        let Some(left) = head.fuel() else { return Ok(()) };
        head.set_fuel(Some(left.saturating_sub(units)));
        if left < units { Err(self.run_dry()) } else { Ok(()) }
    }

    #[inline(never)]
    fn spend_in_scope(&mut self, units: u64) -> Result<(), Interrupt> {
        let (head, thread) = (&self.slot().head, self.thread());
        let Some(scope) = Scope::<H>::innermost(thread) else { return Ok(()) };
        let (spent, shared) = scope.spend(units, head.fuel());
        head.set_fuel(shared);
        match spent {
            true => Ok(()),
            false if shared == Some(0) => Err(self.run_dry()),
            false => {
                thread.breaker.set(FUEL);
                Err(Interrupt::OutOfFuel)
            }
        }
    }

    /// The interpreter's fuel is used up: its other threads spend none where they only make safepoints.
    #[cold]
    #[inline(never)]
    fn run_dry(&self) -> Interrupt {
        self.rt().locked(|_| self.slot().head.break_quietly(FUEL));
        Interrupt::OutOfFuel
    }

    /// Does `units` of work, as [`spend`](Self::spend), and makes a safepoint: for each piece of what takes a time
    /// proportional to its operand, such as a copy, a fill or a search, so that it is paid for and can be ended.
    ///
    /// # Errors
    /// As for [`spend`](Self::spend) and [`safepoint`](Self::safepoint).
    #[inline]
    pub fn work(&mut self, units: u64) -> Result<(), Interrupt> {
        self.spend(units)?;
        self.safepoint()
    }

    /// Runs `f` with at most `units` of fuel (SPEC E6): less where less is left around it. What it spends is spent
    /// around it too: of the fuel of this interpreter, and of every `with_fuel` around. What it enters meanwhile on this OS
    /// thread spends of its own interpreter's fuel, and of every `with_fuel` around; not of the fuel of this interpreter. Where it returns, what is around it holds
    /// again; if that is used up as well, a safepoint says so, whatever became of the error inside.
    ///
    /// `u64::MAX` is no limit. A guest that yields inside `f` and is resumed later has left it: give such a run the
    /// interpreter's fuel.
    pub fn with_fuel<R>(&mut self, units: u64, f: impl FnOnce(&mut Self) -> R) -> Fuelled<R> {
        // SAFETY: used until this function returns.
        let place = unsafe { self.place_of_frame() };
        let scope = Scope::of_fuel(place.thread, units);
        let open = scope.open(place);
        let value = f(self);
        drop(open);
        let shared = self.slot().head.fuel().unwrap_or(UNLIMITED);
        Fuelled { value, left: scope.left().min(shared), ran_out: scope.ran_out() }
    }

    /// Fuel left: of the interpreter's and that of each [`with_fuel`](Self::with_fuel) that is open here the least;
    /// `None` means that none is set and the work is not limited.
    pub fn fuel(&self) -> Option<u64> {
        let scoped = Scope::<H>::innermost(self.thread()).map(Scope::left).filter(|&left| left != UNLIMITED);
        let shared = self.slot().head.fuel();
        scoped.map(|left| left.min(shared.unwrap_or(left))).or(shared)
    }

    /// Sets the fuel of the interpreter. That of [`with_fuel`](Self::with_fuel) stays what it is.
    pub fn set_fuel(&mut self, units: Option<u64>) {
        self.slot().head.set_fuel(units);
    }

    /// Whether to stop for want of fuel still. For the safepoint.
    pub(super) fn is_dry(&self) -> bool {
        self.fuel() == Some(0)
    }
}
