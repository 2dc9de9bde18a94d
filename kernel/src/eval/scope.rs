//! Scopes: parts of a run that have a deadline or fuel of their own (SPEC E5, E6). A record on the stack of the call
//! that opened it, in the chain of its thread state; what encloses a scope bounds it too.
//!
//! A scope keeps the earlier of its deadline and the one around it, and the smaller of its fuel and what is left around
//! it. So whatever has passed outside has passed inside, and only the innermost scope is looked at. What was told inside
//! is told again outside where it is so there too: an inner scope never disarms an outer one, also where the code in it
//! swallowed the error.
//!
//! The chain is the OS thread's own. Those with a deadline are listed in the registry too, under its lock, for `tick`.

#![allow(unsafe_code)]

use core::{marker::PhantomData, mem::MaybeUninit, ptr};

use crate::{
    eval::breaker::{DEADLINE, FUEL},
    host::Host,
    interpreter::{InstantOf, InterpreterHead, Phase},
    runtime::{Registry, Runtime},
    sync::Cell,
    thread::{ThreadWhence, place::Place, session::Session, slot::ThreadSlot},
};

/// No limit of fuel.
pub(super) const UNLIMITED: u64 = u64::MAX;

pub(crate) struct Scope<H: Host> {
    /// Whom it concerns, alive while the scope is open.
    thread: *const ThreadSlot,
    /// The next outer scope of this thread state.
    below: *const Scope<H>,
    /// The scope that bounds it: `below`, or where its frame was entered from.
    around: *const Scope<H>,
    /// The innermost scope around it that has a deadline.
    timed_around: *const Scope<H>,
    /// The frame that inherited it; null for those that code opened.
    frame: *const Session,
    at: Option<InstantOf<H>>,
    /// lock: its deadline passed.
    passed: Cell<bool>,
    /// lock: when it closes, the thread state is to be told of the interpreter's deadline.
    tell_again: Cell<bool>,
    /// lock: those with a deadline.
    newer: Cell<*const Scope<H>>,
    older: Cell<*const Scope<H>>,
    given: u64,
    left: Cell<u64>,
    /// More was asked than was left.
    ran_out: Cell<bool>,
}

impl<H: Host> Scope<H> {
    fn new(thread: &ThreadSlot, around: *const Scope<H>, at: Option<InstantOf<H>>, units: u64) -> Self {
        // SAFETY: [S2] it is open, for this call is inside it.
        let outer = unsafe { around.as_ref() };
        let given = outer.map_or(units, |outer| units.min(outer.left.get()));
        Scope {
            thread,
            below: thread.scopes.get().cast(),
            around,
            timed_around: outer.map_or(ptr::null(), Self::timed),
            frame: ptr::null(),
            at,
            passed: Cell::new(false),
            tell_again: Cell::new(false),
            newer: Cell::new(ptr::null()),
            older: Cell::new(ptr::null()),
            given,
            left: Cell::new(given),
            ran_out: Cell::new(false),
        }
    }

    /// A scope of `units`, inside what is open for this thread state.
    pub(super) fn of_fuel(thread: &ThreadSlot, units: u64) -> Self {
        Self::new(thread, thread.scopes.get().cast(), None, units)
    }

    /// A scope until `at`, or until what is open for this thread state passes, if that is earlier. `earlier(a, b)`:
    /// whether `a` lies at or before `b`.
    pub(super) fn of_time(
        thread: &ThreadSlot,
        at: InstantOf<H>,
        earlier: impl FnOnce(InstantOf<H>, InstantOf<H>) -> bool,
    ) -> Self {
        let scope = Self::new(thread, thread.scopes.get().cast(), None, UNLIMITED);
        // SAFETY: [S2].
        let around = unsafe { scope.timed_around.as_ref() }.and_then(|timed| timed.at);
        let at = around.filter(|&around| earlier(around, at)).unwrap_or(at);
        Scope { at: Some(at), ..scope }
    }

    /// Whether the frame `outer` says what is around a frame inside it: a raw attach is in no call that has scopes, and another
    /// runtime has others, so what is outside of them bounds them.
    #[inline]
    fn is_decisive(rt: &Runtime<H>, outer: &Session) -> bool {
        // SAFETY: [S1] the slots of an open frame are alive.
        let thread = unsafe { &*outer.thread.get() };
        ptr::eq(outer.runtime.get(), ptr::from_ref(rt).cast()) && !ptr::eq(outer, &thread.session)
    }

    /// What bounds the code in the frame `outer`: a scope of another thread state of this OS thread. Null if nothing
    /// does, or if that is in this thread state's chain already.
    fn around(rt: &Runtime<H>, entered: &ThreadSlot, outer: &Session) -> *const Self {
        let mut at: *const Session = outer;
        // SAFETY: [S1] holds for every record of the chain.
        while let Some(outer) = unsafe { at.as_ref() } {
            if Self::is_decisive(rt, outer) {
                // SAFETY: [S1] the slots of an open frame are alive.
                let thread = unsafe { &*outer.thread.get() };
                return if ptr::eq(thread, entered) { ptr::null() } else { thread.scopes.get().cast() };
            }
            at = outer.prev.get();
        }
        ptr::null()
    }

    fn thread(&self) -> &ThreadSlot {
        // SAFETY: slots are type-stable.
        unsafe { &*self.thread }
    }

    /// The innermost scope with a deadline, from this one outwards.
    fn timed(&self) -> *const Self {
        if self.at.is_some() { self } else { self.timed_around }
    }

    /// Whether the deadline of this scope, or of one around it, has passed. Under the lock.
    fn has_passed(&self) -> bool {
        // SAFETY: [S2].
        unsafe { self.timed().as_ref() }.is_some_and(|timed| timed.passed.get())
    }

    /// The innermost scope of a thread state of this OS thread.
    #[inline]
    pub(super) fn innermost<'a>(thread: &ThreadSlot) -> Option<&'a Self> {
        // SAFETY: [S2] the reference does not outlive the kernel call that asked.
        unsafe { thread.scopes.get().cast::<Self>().as_ref() }
    }

    /// Opens it, until the answer is dropped.
    pub(super) fn open<'a>(&'a self, place: Place<'a, H>) -> Open<'a, H> {
        self.begin(place.rt);
        Open(self, place)
    }

    fn begin(&self, rt: &Runtime<H>) {
        let thread = self.thread();
        if self.at.is_some() {
            rt.locked(|registry| {
                // What is to be told already is told to those outside.
                self.tell_again.set(thread.breaker.bits() & DEADLINE != 0);
                // SAFETY: [S2].
                if unsafe { self.timed_around.as_ref() }.is_some_and(|timed| timed.passed.get()) {
                    self.passed.set(true);
                    thread.breaker.set(DEADLINE);
                }
                registry.list_scope(self);
            });
        }
        thread.scopes.set(ptr::from_ref(self).cast());
    }

    /// Closes it: the innermost, by the thread that opened it, with the GIL held.
    fn close(&self, rt: &Runtime<H>, interpreter: &InterpreterHead) {
        self.thread().scopes.set(self.below.cast());
        if self.at.is_some() {
            rt.locked(|registry| self.close_time(registry));
        }
        self.close_fuel(interpreter.fuel());
    }

    /// Takes `units` of what is left, and of what is left in `shared`: whether there was so much. Less than that is
    /// taken where there was less.
    #[must_use]
    pub(super) fn spend(&self, units: u64, shared: Option<u64>) -> (bool, Option<u64>) {
        let left = self.left.get();
        let granted = units.min(left).min(shared.unwrap_or(UNLIMITED));
        self.take(granted);
        if granted < units {
            self.ran_out.set(true);
        }
        (granted == units, shared.map(|shared| shared - granted))
    }

    fn take(&self, units: u64) {
        if self.left.get() != UNLIMITED {
            self.left.set(self.left.get().saturating_sub(units));
        }
    }

    /// Units left in it.
    pub(super) fn left(&self) -> u64 {
        self.left.get()
    }

    /// Whether more was asked than was left.
    pub(super) fn ran_out(&self) -> bool {
        self.ran_out.get()
    }

    /// Whether its deadline passed. After it closed, or under the lock.
    pub(crate) fn passed(&self) -> bool {
        self.passed.get()
    }

    /// When its deadline passes. Of those that are listed.
    pub(crate) fn at(&self) -> Option<InstantOf<H>> {
        self.at
    }

    /// Its deadline has passed. Under the lock.
    pub(crate) fn pass(&self) {
        self.passed.set(true);
        self.thread().breaker.set(DEADLINE);
        self.thread().wake_up();
    }

    /// The deadline of `interpreter` has passed: whoever is in this scope of it is told, and told again outside.
    /// Under the lock.
    pub(crate) fn pass_around(&self, interpreter: *const InterpreterHead) {
        if ptr::eq(self.thread().interpreter.get(), interpreter) {
            self.tell_again.set(true);
        }
    }

    /// The interpreter has no deadline any more: this thread state is not told of it, but of those of its scopes. Under
    /// the lock, on its own OS thread.
    pub(super) fn forget_interpreters_deadline(thread: &ThreadSlot) {
        let innermost = Self::innermost(thread);
        let mut at = innermost;
        while let Some(scope) = at {
            scope.tell_again.set(false);
            // SAFETY: [S2].
            at = unsafe { scope.below.as_ref() };
        }
        if thread.breaker.take(DEADLINE) != 0 && innermost.is_some_and(Self::has_passed) {
            thread.breaker.set(DEADLINE);
        }
    }

    fn close_time(&self, registry: &mut Registry) {
        registry.unlist_scope(self);
        let thread = self.thread();
        // SAFETY: [S2].
        let outside = unsafe { self.below.as_ref() }.is_some_and(Self::has_passed);
        if self.tell_again.get() || outside {
            thread.breaker.set(DEADLINE);
        } else {
            thread.breaker.take(DEADLINE);
        }
    }

    /// `shared`: what the interpreter has left.
    fn close_fuel(&self, shared: Option<u64>) {
        let thread = self.thread();
        // SAFETY: [S2].
        let (around, below) = unsafe { (self.around.as_ref(), self.below.as_ref()) };
        if let Some(around) = around {
            around.take(self.given.saturating_sub(self.left.get()));
        }
        if !self.ran_out.get() && thread.breaker.bits() & FUEL == 0 {
            return;
        }
        let is_dry = shared == Some(0);
        if is_dry || below.is_some_and(|below| below.left.get() == 0) {
            thread.breaker.set(FUEL);
        } else {
            thread.breaker.take(FUEL);
        }
        if let Some(around) = around.filter(|_| self.ran_out.get())
            && (around.left.get() == 0 || is_dry && ptr::eq(around.thread, self.thread))
        {
            around.ran_out.set(true);
            around.thread().breaker.set(FUEL);
        }
    }
}

/// Room on a frame's stack for the scope that the frame inherits, if it does.
pub(crate) struct Inherited<H: Host>(MaybeUninit<Scope<H>>);

impl<H: Host> Inherited<H> {
    #[inline]
    pub(crate) const fn new() -> Self {
        Inherited(MaybeUninit::uninit())
    }

    /// What bounds the code that opened this frame bounds the frame, until the answer is dropped.
    #[inline]
    pub(crate) fn open<'a>(&'a mut self, place: Place<'_, H>, session: &'a Session) -> Bounds<'a, H> {
        // Only a frame inside another is bound by anything.
        // SAFETY: [S1] holds for every record of the chain.
        if let Some(outer) = unsafe { session.prev.get().as_ref() } {
            // SAFETY: [S1] the slots of an open frame are alive.
            let thread = unsafe { &*outer.thread.get() };
            if !thread.scopes.get().is_null() || !Scope::<H>::is_decisive(place.rt, outer) {
                self.inherit(place.rt, place.thread, session, outer);
            }
        }
        Bounds(session, PhantomData)
    }

    /// Its arguments are plain references, so that a place need not lie in memory for it.
    #[cold]
    #[inline(never)]
    fn inherit(&mut self, rt: &Runtime<H>, thread: &ThreadSlot, frame: &Session, outer: &Session) {
        let around = Scope::<H>::around(rt, thread, outer);
        // SAFETY: the frame is open.
        let phase = unsafe { (*thread.interpreter.get()).word.phase() };
        // What takes an interpreter down is bound by nothing, also on the thread state that the raw layer's end came with.
        if thread.whence.get() == ThreadWhence::Fini || phase == Phase::Clearing {
            return;
        }
        // SAFETY: [S2].
        if let Some(bound) = unsafe { around.as_ref() } {
            // SAFETY: [S2].
            let timed = unsafe { bound.timed().as_ref() }.and_then(|timed| timed.at);
            let scope = Scope::new(thread, around, timed, UNLIMITED);
            self.0.write(Scope { frame, ..scope }).begin(rt);
        }
    }
}

/// What bounds an open frame. Dropped, with it goes the scope that the frame inherited, if it did.
pub(crate) struct Bounds<'a, H: Host>(&'a Session, PhantomData<&'a Inherited<H>>);

impl<H: Host> Bounds<'_, H> {
    #[cold]
    #[inline(never)]
    fn leave(session: &Session) {
        // SAFETY: the frame is open, and one of `H`.
        let place = unsafe { Place::<H>::of_frame(session) };
        // All scopes that were opened in the frame are closed.
        if let Some(scope) = Scope::<H>::innermost(place.thread).filter(|scope| ptr::eq(scope.frame, session))
        {
            scope.close(place.rt, &place.interpreter.head);
        }
    }
}

impl<H: Host> Drop for Bounds<'_, H> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: [S1] the slots of an open frame are alive.
        let thread = unsafe { &*self.0.thread.get() };
        if !thread.scopes.get().is_null() {
            Self::leave(self.0);
        }
    }
}

/// An open scope. Dropped in reverse order, by the thread that opened it, with the GIL held.
pub(crate) struct Open<'a, H: Host>(&'a Scope<H>, Place<'a, H>);

impl<H: Host> Drop for Open<'_, H> {
    fn drop(&mut self) {
        self.0.close(self.1.rt, &self.1.interpreter.head);
    }
}

impl Registry {
    fn list_scope<H: Host>(&mut self, scope: &Scope<H>) {
        let older: *const Scope<H> = self.scopes.cast();
        scope.older.set(older);
        // SAFETY: [S2] listed scopes are open.
        if let Some(older) = unsafe { older.as_ref() } {
            older.newer.set(scope);
        }
        self.scopes = ptr::from_ref(scope).cast();
    }

    fn unlist_scope<H: Host>(&mut self, scope: &Scope<H>) {
        // SAFETY: [S2] listed scopes are open.
        let (newer, older) = unsafe { (scope.newer.get().as_ref(), scope.older.get().as_ref()) };
        match newer {
            Some(newer) => newer.older.set(scope.older.get()),
            None => self.scopes = scope.older.get().cast(),
        }
        if let Some(older) = older {
            older.newer.set(scope.newer.get());
        }
    }

    /// The open scopes that have a deadline, newest first: an inner one before those around it.
    pub(crate) fn scopes<'a, H: Host>(&'a self, _: &Runtime<H>) -> impl Iterator<Item = &'a Scope<H>> {
        let mut at: *const Scope<H> = self.scopes.cast();
        core::iter::from_fn(move || {
            // SAFETY: [S2] under the lock those that are listed are open, and of the registry's own runtime.
            let scope = unsafe { at.as_ref() }?;
            at = scope.older.get();
            Some(scope)
        })
    }
}
