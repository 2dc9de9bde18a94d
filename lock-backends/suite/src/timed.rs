//! The timed tier: waiting with a limit. No test measures how long; that is the host's business.
#![allow(unsafe_code)]

use core::time::Duration;
use std::{sync::mpsc, thread};

use archipelago_kernel::host::RawGilTimed;

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
