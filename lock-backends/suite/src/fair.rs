//! The fair tier: hand-over to a blocked thread.
#![allow(unsafe_code)]

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{sync::mpsc, thread};

use archipelago_kernel::host::RawGilFair;

use crate::{Basic, basic::Guarded, rounds};

/// What was handed over to nobody is free.
pub fn releases<G: RawGilFair>() {
    let gil = G::new();
    for _ in 0..3 {
        let held = gil.try_lock().expect("it is free");
        // SAFETY: acquired above.
        unsafe { gil.unlock_fair(held) };
    }
}

/// A holder that hands over and asks again at once comes second.
///
/// No call tells whether the waiter is blocked yet, so it gets a moment, and a longer one after each miss: on a
/// busy machine a fair lock misses a few times, an unfair one at whatever length.
pub fn serves_a_blocked_waiter_first<G: RawGilFair>() {
    // Miri's clock runs with the program, which is slow, and leaps while everybody sleeps.
    let (rounds, first) = if cfg!(miri) { (3, 500) } else { (12, 4) };
    let mut moment = Duration::from_millis(first);
    let mut misses = 0;
    for _ in 0..rounds {
        while !waiter_is_served_first::<G>(moment) {
            misses += 1;
            assert!(misses < 10, "the waiter came second in {misses} of {rounds} rounds");
            moment *= 2;
        }
    }
}

fn waiter_is_served_first<G: RawGilFair>(moment: Duration) -> bool {
    let gil = G::new();
    let held = gil.lock();
    let had_it = AtomicBool::new(false);
    let (to_main, arrived) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            to_main.send(()).unwrap();
            let held = gil.lock();
            had_it.store(true, Ordering::Relaxed);
            // SAFETY: acquired above.
            unsafe { gil.unlock(held) };
        });
        arrived.recv().unwrap();
        thread::sleep(moment);
        // SAFETY: acquired above.
        unsafe { gil.unlock_fair(held) };
        let held = gil.lock();
        let first = had_it.load(Ordering::Relaxed);
        // SAFETY: acquired above.
        unsafe { gil.unlock(held) };
        first
    })
}

/// Always hands over.
struct AlwaysFair<G>(G);

// SAFETY: forwards to a `RawGilFair`, whose `unlock_fair` has the contract of `unlock`.
unsafe impl<G: RawGilFair> Basic for AlwaysFair<G> {
    type Held = G::Held;

    fn new() -> Self {
        AlwaysFair(G::new())
    }

    fn lock(&self) -> G::Held {
        self.0.lock()
    }

    fn try_lock(&self) -> Option<G::Held> {
        self.0.try_lock()
    }

    unsafe fn unlock(&self, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { self.0.unlock_fair(held) }
    }
}

/// No addition of four threads is lost where every release hands over.
pub fn excludes_four_threads<G: RawGilFair>() {
    let counter = Guarded::<AlwaysFair<G>, usize>::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds(500) {
                    counter.with(|n| *n += 1);
                }
            });
        }
    });
    assert_eq!(counter.with(|n| *n), 4 * rounds(500));
}
