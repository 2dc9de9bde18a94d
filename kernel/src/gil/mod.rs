//! The GIL: the host's lock below, the kernel's policy above it.
//!
//! A voluntary release may be overtaken by whoever runs: handing over at every release would be a convoy. So a waiter asks,
//! and to let go because somebody asked is a *turn*: the first in the lock's queue gets the GIL, and who let it go does not
//! take it again before somebody else had it (SPEC G3). The rule, and what it bounds, is in `wait.rs`.

#![allow(unsafe_code)]

mod held;
mod keep;
mod passage;
mod policy;
mod wait;

pub use held::{HeldTime, Meter, Unmetered};
pub(crate) use held::{HeldTimeOf, counter::Counter};
pub use policy::{Blocking, GilPolicy, Interval, Metered, Steps};

use core::{ptr, time::Duration};

use crate::{
    host::{Clock, Host, RawGil},
    interpreter::InterpreterHead,
    runtime::Runtime,
    sync::{AtomicPtr, AtomicU32, AtomicUsize, Cell, Ordering, fence, tally},
    thread::{
        Current,
        session::Hold,
        slot::{Status, ThreadSlot},
    },
};

/// CPython's default switch interval.
pub const DEFAULT_SWITCH_INTERVAL: Duration = Duration::from_millis(5);

/// What a GIL looks like from outside, at the moment of asking (SPEC G5).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GilStats {
    /// A thread state holds it.
    pub held: bool,
    /// Which one. Of a GIL that is shared it may be one of any interpreter.
    pub holder: Option<Current>,
    /// Threads that wait for it.
    pub waiters: usize,
    /// How often another thread state took it than had it before. Wraps.
    pub switches: usize,
}

/// One GIL.
///
/// Invariant [G1]: `held` is `Some` exactly while a thread is between `take` and `release`, or `seize` and `let_off`; only that thread
/// touches `held`, `last`, `since`, `since_switch` and `kept`.
pub(crate) struct Gil<H: Host> {
    raw: H::Gil,
    held: Cell<Option<<H::Gil as RawGil>::Held>>,
    owner: AtomicPtr<ThreadSlot>,
    waiters: AtomicU32,
    /// | | bit 0, [`ASKED`] | the rest |
    /// |---|---|---|
    /// | a waiter asks ([`ask`](Gil::ask)) | goes up | |
    /// | the holder lets go, and it is up, or its breaker says so ([`turn`](Gil::turn)) | goes down | one more turn |
    ///
    /// Only a holder takes it down, so a request that comes between stays for the next one. Wraps.
    turns: AtomicU32,
    switches: AtomicUsize,
    last: Cell<*const ThreadSlot>,
    interval_us: AtomicU32,
    /// How long computing threads may still be interrupted for those who come for a short run, in microseconds: rule 4 in
    /// `wait.rs`. Where everybody asks at once there is no credit, and it counts the safepoints since the holder was asked. Written
    /// by the holder.
    credit_us: tally::AtomicU32,
    /// When the owner of so many switches (their low bits) got the GIL, where a clock was read then: at the end of a wait.
    /// Another number means that it is not known. Holder only.
    since: Cell<Option<<H::Clock as Clock>::Instant>>,
    since_switch: Cell<u32>,
    /// What a frame still holds when it detaches: nothing, but where others are stopped. Holder only.
    kept: Cell<Hold>,
}

/// The next release is a turn, whosever it is.
const ASKED: u32 = 1;

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
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
            waiters: AtomicU32::new(0),
            turns: AtomicU32::new(0),
            switches: AtomicUsize::new(0),
            last: Cell::new(ptr::null()),
            interval_us: AtomicU32::new(0),
            credit_us: tally::AtomicU32::new(0),
            since: Cell::new(None),
            since_switch: Cell::new(0),
            kept: Cell::new(Hold::Nothing),
        }
    }

    /// For the next interpreter that owns it, while nobody holds it or waits.
    pub(crate) fn renew(&self, interval: Duration) {
        self.last.set(ptr::null());
        self.since.set(None);
        self.switches.store(0, Ordering::Relaxed);
        self.turns.store(0, Ordering::Relaxed);
        self.set_interval(interval);
    }

    pub(crate) fn set_interval(&self, interval: Duration) {
        self.interval_us.store(micros(interval), Ordering::Relaxed);
        self.credit_us.store(micros(interval), Ordering::Relaxed);
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
            // Whoever let go of its own accord, or is new, may want it for a moment only.
            None => self.wait(me, interpreter, Some(rt), true),
        }
    }

    /// As [`take`](Self::take), without a look at the clock: it does not unwind.
    pub(crate) fn take_untimed(&self, me: &ThreadSlot, interpreter: &InterpreterHead) {
        match self.raw.try_lock() {
            Some(held) => self.install(held, me, interpreter),
            None => self.wait(me, interpreter, None, false),
        }
    }

    #[inline]
    fn install(&self, held: <H::Gil as RawGil>::Held, me: &ThreadSlot, interpreter: &InterpreterHead) {
        self.held.set(Some(held));
        self.begin_steps();
        self.publish(me, interpreter);
    }

    /// From here on safepoints are counted anew, where they are.
    #[inline]
    fn begin_steps(&self) {
        if H::GilPolicy::STEPS > 1 {
            self.credit_us.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the holder, which was asked, gives way at this safepoint. Holder only.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        if H::GilPolicy::STEPS <= 1 {
            return true;
        }
        let steps = self.credit_us.load(Ordering::Relaxed).saturating_add(1);
        self.credit_us.store(steps, Ordering::Relaxed);
        steps >= H::GilPolicy::STEPS
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
                self.ask();
            }
        }
    }

    fn take_back(&self) -> <H::Gil as RawGil>::Held {
        self.owner.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: [G1] the caller of `release` or `hand_over` holds the GIL, so `held` is its own, and `Some`.
        unsafe { self.held.take().unwrap_unchecked() }
    }

    /// Lets the GIL go: if somebody asked, as a turn, and then this thread state takes it in turn next time; else to whoever
    /// runs first.
    ///
    /// # Safety
    /// This thread holds this GIL through `me`.
    #[inline]
    pub(crate) unsafe fn release(&self, me: &ThreadSlot) {
        let held = self.take_back();
        // SAFETY: `held` comes from the acquisition in `take` on this thread.
        unsafe {
            if self.turns.load(Ordering::Relaxed) & ASKED == 0 {
                self.raw.unlock(held);
            } else {
                self.release_asked(me, held);
            }
        }
    }

    /// The GIL stays held; from now on through `me`. Swap under one GIL.
    ///
    /// # Safety
    /// This thread holds this GIL, and `me` is a thread state of `interpreter`, which uses this GIL.
    pub(crate) unsafe fn rename(&self, me: &ThreadSlot, interpreter: &InterpreterHead) {
        self.publish(me, interpreter);
    }

    /// Under the runtime's lock: births write what is read of the owner, and a death comes after the owner let go.
    pub(crate) fn stats(&self) -> GilStats {
        // SAFETY: thread slots are type-stable while the runtime lives, and so are the interpreters' that they name.
        let holder = unsafe { self.owner.load(Ordering::Relaxed).as_ref() }.map(|owner| unsafe {
            let interpreter = (*owner.interpreter.get()).id.get();
            Current { interpreter, thread: owner.number.get() }
        });
        GilStats {
            held: holder.is_some(),
            holder,
            waiters: self.waiters.load(Ordering::Relaxed) as usize,
            switches: self.switches.load(Ordering::Relaxed),
        }
    }
}
