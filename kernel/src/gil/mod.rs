//! The GIL: the host's lock below, the kernel's policy above it.
//!
//! A voluntary release may be overtaken by whoever runs: handing over at every release would be a convoy. A
//! waiter asks the holder by its breaker; a holder that was asked lets go at its next safepoint and does not
//! take the GIL again before somebody else had it (SPEC G3).

#![allow(unsafe_code)]

mod policy;

pub use policy::{Blocking, GilPolicy, Interval};

use core::{ptr, time::Duration};

use crate::{
    eval::breaker::DROP_GIL,
    host::{Clock, Host, RawGil},
    interpreter::InterpreterHead,
    runtime::Runtime,
    sync::{AtomicPtr, AtomicU32, AtomicUsize, Cell, Ordering, fence, tally},
    thread::slot::{Status, ThreadSlot},
};

/// CPython's default switch interval.
pub const DEFAULT_SWITCH_INTERVAL: Duration = Duration::from_millis(5);

/// What a GIL looks like from outside, at the moment of asking (SPEC G5).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GilStats {
    /// A thread state holds it.
    pub held: bool,
    /// Threads that wait for it.
    pub waiters: usize,
    /// How often another thread state took it than had it before. Wraps.
    pub switches: usize,
}

/// One GIL.
///
/// Invariant [G1]: `held` is `Some` exactly while a thread is between `take` and `release`; only that thread
/// touches `held` and `last`.
pub(crate) struct Gil<H: Host> {
    raw: H::Gil,
    held: Cell<Option<<H::Gil as RawGil>::Held>>,
    owner: AtomicPtr<ThreadSlot>,
    waiters: AtomicUsize,
    switches: AtomicUsize,
    last: Cell<*const ThreadSlot>,
    interval_us: AtomicU32,
}

fn add(word: &tally::AtomicUsize, more: usize) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl<H: Host> Gil<H> {
    pub(crate) fn new() -> Self {
        Gil {
            raw: H::Gil::new(),
            held: Cell::new(None),
            owner: AtomicPtr::new(ptr::null_mut()),
            waiters: AtomicUsize::new(0),
            switches: AtomicUsize::new(0),
            last: Cell::new(ptr::null()),
            interval_us: AtomicU32::new(0),
        }
    }

    /// For the next interpreter that owns it, while nobody holds it or waits.
    pub(crate) fn renew(&self, interval: Duration) {
        self.last.set(ptr::null());
        self.switches.store(0, Ordering::Relaxed);
        self.set_interval(interval);
    }

    pub(crate) fn set_interval(&self, interval: Duration) {
        self.interval_us.store(u32::try_from(interval.as_micros()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_micros(self.interval_us.load(Ordering::Relaxed).into())
    }

    /// Blocks until this thread holds the GIL through `me`. It does so also where the host's clock panics, for the
    /// frames of the caller may rely on the GIL.
    #[inline]
    pub(crate) fn take(&self, rt: &Runtime<H>, me: &ThreadSlot, interpreter: &InterpreterHead) {
        if let Some(low) = me.gave_way() {
            let now = self.switches.load(Ordering::Relaxed);
            // One less is as good as any where there was a switch since.
            let seen = if now as u32 == low { now } else { now.wrapping_sub(1) };
            return self.take_in_turn(rt, me, interpreter, seen);
        }
        match self.raw.try_lock() {
            Some(held) => self.install(held, me, interpreter),
            None => self.wait(me, interpreter, Some(rt), self.switches.load(Ordering::Relaxed)),
        }
    }

    /// As [`take`](Self::take), without a look at the clock: it does not unwind.
    pub(crate) fn take_untimed(&self, me: &ThreadSlot, interpreter: &InterpreterHead) {
        match self.raw.try_lock() {
            Some(held) => self.install(held, me, interpreter),
            None => self.wait(me, interpreter, None, self.switches.load(Ordering::Relaxed)),
        }
    }

    #[inline]
    fn install(&self, held: <H::Gil as RawGil>::Held, me: &ThreadSlot, interpreter: &InterpreterHead) {
        self.held.set(Some(held));
        self.publish(me, interpreter);
    }

    #[inline]
    fn publish(&self, me: &ThreadSlot, interpreter: &InterpreterHead) {
        self.owner.store(ptr::from_ref(me).cast_mut(), Ordering::Release);
        if self.last.get() != ptr::from_ref(me) {
            self.last.set(me);
            self.switches.store(self.switches.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            add(&interpreter.switches, 1);
        }
        me.set_status(Status::Attached);
        if H::GilPolicy::ASKS_ONCE {
            // Pairs with the fence in `wait`: either the waiter sees this owner and asks it, or this owner
            // sees the waiter and asks itself.
            fence(Ordering::SeqCst);
            if self.waiters.load(Ordering::Relaxed) > 0 {
                me.breaker.set(DROP_GIL);
            }
        }
    }

    /// Waits until this thread holds the GIL. The holder is asked once a whole interval passed without a switch; `seen`
    /// is the number of switches at the beginning of the first.
    #[cold]
    fn wait(
        &self,
        me: &ThreadSlot,
        interpreter: &InterpreterHead,
        timed: Option<&Runtime<H>>,
        mut seen: usize,
    ) {
        /// Holds the GIL from its drop on.
        struct Hold<'a, H: Host> {
            gil: &'a Gil<H>,
            me: &'a ThreadSlot,
            interpreter: &'a InterpreterHead,
            held: Option<<H::Gil as RawGil>::Held>,
        }
        impl<H: Host> Drop for Hold<'_, H> {
            fn drop(&mut self) {
                let held = self.held.take().unwrap_or_else(|| {
                    // The clock panicked before the wait: without its patience, then.
                    self.gil.ask();
                    self.gil.raw.lock()
                });
                self.gil.waiters.fetch_sub(1, Ordering::AcqRel);
                self.gil.install(held, self.me, self.interpreter);
            }
        }
        me.set_status(Status::Waiting);
        self.waiters.fetch_add(1, Ordering::AcqRel);
        let mut hold = Hold { gil: self, me, interpreter, held: None };
        if H::GilPolicy::ASKS_ONCE {
            fence(Ordering::SeqCst);
        }
        // Inside the guard: the host may panic here.
        let start = timed.map(|rt| {
            let clock = rt.host().clock();
            (clock, clock.now())
        });
        let mut looked = false;
        hold.held = Some(H::GilPolicy::wait(&self.raw, &mut || {
            let now = self.switches.load(Ordering::Relaxed);
            // A switch since the last look means that the holder has not had its whole interval yet.
            if (looked && now == seen) || H::GilPolicy::ASKS_ONCE {
                self.ask();
            }
            // The number before this wait began counts for the first interval.
            if looked {
                seen = now;
            }
            looked = true;
            self.interval()
        }));
        let waited = start.map(|(clock, start)| clock.between(start, clock.now()).as_micros());
        drop(hold);
        // GIL fields of the interpreter: this thread holds its GIL now.
        add(&interpreter.waits, 1);
        add(&interpreter.waited_us, waited.map_or(0, |us| usize::try_from(us).unwrap_or(usize::MAX)));
    }

    fn ask(&self) {
        // SAFETY: thread slots are type-stable while the runtime lives; a late request finds a stale slot.
        if let Some(owner) = unsafe { self.owner.load(Ordering::Acquire).as_ref() } {
            owner.breaker.set(DROP_GIL);
        }
    }

    fn take_back(&self) -> <H::Gil as RawGil>::Held {
        self.owner.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: [G1] the caller of `release` or `hand_over` holds the GIL, so `held` is its own, and `Some`.
        unsafe { self.held.take().unwrap_unchecked() }
    }

    /// Lets the GIL go: to a waiter, if one asked and the lock can; else to whoever runs first. Who was asked takes it in
    /// turn next time.
    ///
    /// # Safety
    /// This thread holds this GIL through `me`.
    #[inline]
    pub(crate) unsafe fn release(&self, me: &ThreadSlot) {
        let held = self.take_back();
        // SAFETY: `held` comes from the acquisition in `take` on this thread.
        unsafe {
            if me.breaker.bits() & DROP_GIL == 0 {
                self.raw.unlock(held);
            } else {
                self.release_asked(me, held);
            }
        }
    }

    #[cold]
    unsafe fn release_asked(&self, me: &ThreadSlot, held: <H::Gil as RawGil>::Held) {
        me.breaker.take(DROP_GIL);
        me.set_gave_way(Some(self.switches.load(Ordering::Relaxed) as u32));
        // SAFETY: passed on.
        unsafe { H::GilPolicy::hand_over(&self.raw, held) }
    }

    /// Answers a drop request: somebody who waits gets the GIL, then this thread takes it again.
    ///
    /// # Safety
    /// This thread holds this GIL through `me`, a thread state of `interpreter`.
    pub(crate) unsafe fn hand_over(&self, rt: &Runtime<H>, me: &ThreadSlot, interpreter: &InterpreterHead) {
        if self.waiters.load(Ordering::Acquire) == 0 {
            return;
        }
        let seen = self.switches.load(Ordering::Relaxed);
        let held = self.take_back();
        // SAFETY: `held` comes from the acquisition in `take` on this thread.
        unsafe { H::GilPolicy::hand_over(&self.raw, held) };
        self.take_in_turn(rt, me, interpreter, seen);
    }

    /// Takes the GIL after it was let go because somebody asked, with so many switches `seen`: not before one who waits
    /// had it.
    #[cold]
    fn take_in_turn(&self, rt: &Runtime<H>, me: &ThreadSlot, interpreter: &InterpreterHead, seen: usize) {
        /// Takes the GIL, also if the host panics meanwhile.
        struct Take<'a, H: Host> {
            gil: &'a Gil<H>,
            me: &'a ThreadSlot,
            interpreter: &'a InterpreterHead,
            /// Switches so far.
            seen: usize,
            /// Not while it unwinds, when another panic, of the clock, would end the program.
            timed: Option<&'a Runtime<H>>,
        }
        impl<H: Host> Drop for Take<'_, H> {
            fn drop(&mut self) {
                let Take { gil, me, interpreter, seen, timed } = *self;
                match gil.raw.try_lock() {
                    Some(held) => gil.install(held, me, interpreter),
                    None => gil.wait(me, interpreter, timed, seen),
                }
            }
        }
        me.set_gave_way(None);
        let mut take = Take { gil: self, me, interpreter, seen, timed: None };
        while self.waiters.load(Ordering::Acquire) > 0 {
            take.seen = self.switches.load(Ordering::Acquire);
            if take.seen != seen {
                break;
            }
            if H::GilPolicy::DIRECT {
                match self.raw.try_lock() {
                    // A waiter between two looks was not there to be handed it.
                    // SAFETY: `early` comes from the acquisition in this step, on this thread.
                    Some(early) => unsafe { self.raw.unlock(early) },
                    // It has its owner, who may not run yet: spinning would keep it from running. Its switch, which
                    // is still to come, begins its interval.
                    None => {
                        take.seen = seen.wrapping_add(1);
                        break;
                    }
                }
            }
            rt.host().relax();
        }
        take.timed = Some(rt);
    }

    /// The GIL stays held; from now on through `me`. Swap under one GIL.
    ///
    /// # Safety
    /// This thread holds this GIL, and `me` is a thread state of `interpreter`, which uses this GIL.
    pub(crate) unsafe fn rename(&self, me: &ThreadSlot, interpreter: &InterpreterHead) {
        self.publish(me, interpreter);
    }

    pub(crate) fn stats(&self) -> GilStats {
        GilStats {
            held: !self.owner.load(Ordering::Relaxed).is_null(),
            waiters: self.waiters.load(Ordering::Relaxed),
            switches: self.switches.load(Ordering::Relaxed),
        }
    }
}
