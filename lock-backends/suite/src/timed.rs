//! The timed tier: waiting with a limit. No test measures how long; that is the host's business.
#![allow(unsafe_code)]

use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::{
    sync::{Mutex, mpsc},
    thread,
};

use archipelago_kernel::host::{RawGilFair, RawGilTimed};

use crate::{Basic, basic::Guarded, rounds};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(2);

/// A wait ends at its limit, and takes nothing then.
pub fn gives_up<G: RawGilTimed>() {
    let gil = G::new();
    let held = gil.lock();
    for patience in [Duration::ZERO, SHORT] {
        assert!(gil.lock_for(patience).is_none());
        thread::scope(|scope| {
            let refused = scope.spawn(|| gil.lock_for(patience).is_none()).join().unwrap();
            assert!(refused);
        });
    }
    // SAFETY: acquired above; giving up released nothing, which the next line shows.
    unsafe { gil.unlock(held) };
    let held = gil.try_lock().expect("nobody who gave up holds it");
    // SAFETY: acquired above.
    unsafe { gil.unlock(held) };
}

/// A free one is had at once, whatever the limit is.
pub fn takes_a_free_one<G: RawGilTimed>() {
    let gil = G::new();
    for patience in [Duration::ZERO, SHORT, LONG, Duration::MAX] {
        let held = gil.lock_for(patience).expect("it is free");
        assert!(gil.try_lock().is_none());
        // SAFETY: acquired above.
        unsafe { gil.unlock(held) };
    }
}

/// A wait ends when it is released.
pub fn takes_one_that_is_freed<G: RawGilTimed>() {
    let gil = G::new();
    for _ in 0..rounds(50) {
        let held = gil.lock();
        let (to_main, arrived) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                to_main.send(()).unwrap();
                let held = gil.lock_for(LONG).expect("it is freed");
                // SAFETY: acquired above.
                unsafe { gil.unlock(held) };
            });
            arrived.recv().unwrap();
            // SAFETY: acquired above.
            unsafe { gil.unlock(held) };
        });
    }
}

/// Waits in short pieces, as the kernel's `Interval` policy does.
struct InPieces<G>(G);

// SAFETY: `lock_for` answers `Some` only with the GIL held (contract of `RawGilTimed`).
unsafe impl<G: RawGilTimed> Basic for InPieces<G> {
    type Held = G::Held;

    fn new() -> Self {
        InPieces(G::new())
    }

    fn lock(&self) -> G::Held {
        loop {
            if let Some(held) = self.0.lock_for(Duration::from_micros(50)) {
                return held;
            }
        }
    }

    fn try_lock(&self) -> Option<G::Held> {
        self.0.lock_for(Duration::ZERO)
    }

    unsafe fn unlock(&self, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { self.0.unlock(held) }
    }
}

/// No addition of four threads is lost where all wait in short pieces.
pub fn excludes_four_threads<G: RawGilTimed>() {
    let counter = Guarded::<InPieces<G>, usize>::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds(2000) {
                    counter.with(|n| *n += 1);
                }
            });
        }
    });
    assert_eq!(counter.with(|n| *n), 4 * rounds(2000));
}

/// Asks while it waits, as the kernel's `Interval` policy does.
struct Asking<G>(G);

// SAFETY: forwards to a `RawGilTimed`.
unsafe impl<G: RawGilTimed> Basic for Asking<G> {
    type Held = G::Held;

    fn new() -> Self {
        Asking(G::new())
    }

    fn lock(&self) -> G::Held {
        self.0.lock_asking(&mut || Duration::from_micros(50))
    }

    fn try_lock(&self) -> Option<G::Held> {
        self.0.try_lock()
    }

    unsafe fn unlock(&self, held: G::Held) {
        // SAFETY: passed on from the caller.
        unsafe { self.0.unlock(held) }
    }
}

/// No addition of four threads is lost where all ask while they wait.
pub fn excludes_four_that_ask<G: RawGilTimed>() {
    let counter = Guarded::<Asking<G>, usize>::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds(2000) {
                    counter.with(|n| *n += 1);
                }
            });
        }
    });
    assert_eq!(counter.with(|n| *n), 4 * rounds(2000));
}

/// Who asks keeps its place: three that wait are served in the order in which they came, however often they asked.
pub fn keeps_places<G: RawGilTimed + RawGilFair>() {
    let gil = G::new();
    let mut held = Some(gil.lock());
    let (asked, order) = ([const { AtomicUsize::new(0) }; 3], Mutex::new(Vec::new()));
    // Who was asked for an answer twice stood in the queue between.
    let asks = |who: usize, times: usize| {
        let seen = asked[who].load(Ordering::Relaxed);
        while asked[who].load(Ordering::Relaxed) < seen + times {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        for who in 0..3 {
            let (gil, asked, order) = (&gil, &asked, &order);
            scope.spawn(move || {
                let held = gil.lock_asking(&mut || {
                    asked[who].fetch_add(1, Ordering::Relaxed);
                    SHORT
                });
                order.lock().unwrap().push(who);
                // SAFETY: acquired above.
                unsafe { gil.unlock_fair(held) };
            });
            asks(who, 2);
        }
        (0..3).for_each(|who| asks(who, 2));
        // SAFETY: acquired above.
        unsafe { gil.unlock_fair(held.take().expect("held")) };
    });
    assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
}
