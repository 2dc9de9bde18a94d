//! A GIL that can be waited for with a time limit and handed to a waiter: what the policy `Interval` needs.
#![allow(unsafe_code)]

use core::{cell::Cell, ptr, sync::atomic, time::Duration};

use archipelago_kernel::host::{RawGil, RawGilFair, RawGilTimed};
use loom::sync::{
    Condvar, Mutex,
    atomic::{AtomicBool, Ordering},
};

use crate::parts::thread_id;

/// A flag, and a queue of those who wait. As in many parking locks a waiter whose time runs out leaves the queue, and
/// is not there to be handed the GIL until it waits again, unless [`places_are_kept`]; and a release without a hand-over may
/// be overtaken.
pub struct LoomTimedGil {
    held: AtomicBool,
    /// How many stand in the queue for it. Not loom's, so that it orders nothing.
    waiting: atomic::AtomicUsize,
}

/// A thread that waits, and the GIL that it waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Waiter(usize, *const LoomTimedGil);

/// The queue of all such GILs.
#[derive(Default)]
struct Queue {
    waiting: Vec<Waiter>,
    /// Who was handed a GIL, until they notice.
    served: Vec<Waiter>,
    intervals: usize,
    keeps: bool,
}

loom::lazy_static! {
    static ref QUEUE: (Mutex<Queue>, Condvar) = Default::default();
}

loom::thread_local! {
    static PASSED_BY: Cell<bool> = Cell::new(false);
}

/// Lets the time of all who wait for such a GIL run out.
pub fn interval_passes() {
    QUEUE.0.lock().unwrap().intervals += 1;
    QUEUE.1.notify_all();
}

/// From now on who asks for such a GIL stays where it stands in the queue.
pub fn places_are_kept() {
    QUEUE.0.lock().unwrap().keeps = true;
}

/// How many stand in the queues.
pub fn standing() -> usize {
    QUEUE.0.lock().unwrap().waiting.len()
}

/// Whether this thread, when it last let such a GIL go, let it go past somebody who stood in the queue.
pub fn passed_by() -> bool {
    PASSED_BY.with(Cell::get)
}

impl LoomTimedGil {
    /// Until it is held (true), or until the interval is over; where places are kept `ask` is called instead.
    fn wait(&self, timed: bool, ask: &mut dyn FnMut()) -> bool {
        let me = Waiter(thread_id(), self);
        let mut queue = QUEUE.0.lock().unwrap();
        let mut began = queue.intervals;
        queue.waiting.push(me);
        self.waiting.fetch_add(1, atomic::Ordering::Relaxed);
        loop {
            if let Some(place) = queue.served.iter().position(|served| *served == me) {
                queue.served.swap_remove(place);
                return true;
            }
            let held = self.try_lock().is_some();
            if !held && timed && queue.keeps && queue.intervals != began {
                began = queue.intervals;
                drop(queue);
                ask();
                queue = QUEUE.0.lock().unwrap();
                continue;
            }
            if held || (timed && queue.intervals != began) {
                queue.waiting.retain(|waiter| *waiter != me);
                self.waiting.fetch_sub(1, atomic::Ordering::Relaxed);
                return held;
            }
            queue = QUEUE.1.wait(queue).unwrap();
        }
    }
}

// SAFETY: the flag goes up by compare-and-swap (acquire) and falls by the holder (release), or it stays up while the
// GIL goes from the holder to one waiter, under the mutex of the queue.
unsafe impl RawGil for LoomTimedGil {
    type Held = ();

    fn new() -> Self {
        LoomTimedGil { held: AtomicBool::new(false), waiting: atomic::AtomicUsize::new(0) }
    }

    fn lock(&self) {
        if self.try_lock().is_none() {
            self.wait(false, &mut || {});
        }
    }

    fn try_lock(&self) -> Option<()> {
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok().map(drop)
    }

    unsafe fn unlock(&self, (): ()) {
        self.held.store(false, Ordering::Release);
        // Whoever comes to the queue later finds the flag down.
        let left = self.waiting.load(atomic::Ordering::Relaxed) > 0;
        PASSED_BY.with(|passed| passed.set(left));
        if left {
            drop(QUEUE.0.lock().unwrap());
            QUEUE.1.notify_all();
        }
    }
}

// SAFETY: `Some` comes from `try_lock`, or from a holder that handed it to this thread.
unsafe impl RawGilTimed for LoomTimedGil {
    fn lock_for(&self, _: Duration) -> Option<()> {
        (self.try_lock().is_some() || self.wait(true, &mut || {})).then_some(())
    }

    fn lock_asking(&self, next: &mut dyn FnMut() -> Duration) {
        loop {
            next();
            if self.try_lock().is_some() || self.wait(true, &mut || _ = next()) {
                return;
            }
        }
    }
}

// SAFETY: where somebody waits the flag stays up, and that thread alone finds the GIL its own.
unsafe impl RawGilFair for LoomTimedGil {
    unsafe fn unlock_fair(&self, (): ()) {
        let mut queue = QUEUE.0.lock().unwrap();
        let next = queue.waiting.iter().position(|waiter| ptr::eq(waiter.1, self));
        PASSED_BY.with(|passed| passed.set(false));
        let Some(next) = next else { return self.held.store(false, Ordering::Release) };
        let next = queue.waiting.remove(next);
        self.waiting.fetch_sub(1, atomic::Ordering::Relaxed);
        queue.served.push(next);
        QUEUE.1.notify_all();
    }
}
