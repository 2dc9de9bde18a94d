//! Two threads that take turns at one lock, and work that takes a known time.

use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    sync::{Barrier, OnceLock},
    thread,
    time::Instant,
};

use crate::Trouble;

/// What two threads did in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turns {
    /// Pairs of taking and letting go, a second, both threads together.
    pub pairs_per_second: f64,
    /// The smaller share through the larger.
    pub fairness: f64,
}

/// Work that the optimizer cannot shorten: so many steps of a generator.
#[inline(never)]
pub fn work(steps: u64) -> u64 {
    let mut state = black_box(1_u64);
    for _ in 0..steps {
        state = black_box(state).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    state
}

/// How many steps of [`work`] take about a microsecond here.
pub fn microsecond() -> u64 {
    static STEPS: OnceLock<u64> = OnceLock::new();
    const PROBE: u64 = 100_000;
    *STEPS.get_or_init(|| {
        // The fastest of several: an interruption only adds.
        let fastest = (0..20).map(|_| {
            let start = Instant::now();
            black_box(work(PROBE));
            start.elapsed()
        });
        let fastest = fastest.min().unwrap_or_default().as_nanos().max(1);
        u64::try_from(u128::from(PROBE) * 1000 / fastest).unwrap_or(1).max(1)
    })
}

/// Runs `run` on two threads while the window is open: it begins the shift, takes turns while it is open, and
/// answers how many.
///
/// # Errors
/// What `run` answers on either thread.
pub fn contend(
    window: Duration,
    run: impl Fn(&Shift<'_>) -> Result<u64, Trouble> + Sync,
) -> Result<Turns, Trouble> {
    let (start, stop) = (Barrier::new(3), AtomicBool::new(false));
    let shift = Shift { start: &start, stop: &stop };
    let (counts, took) = thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| run(&shift)));
        start.wait();
        let began = Instant::now();
        thread::sleep(window);
        stop.store(true, Ordering::Relaxed);
        let took = began.elapsed();
        (threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))), took)
    });
    let [one, two] = counts;
    let (one, two) = (one?, two?);
    Ok(Turns {
        pairs_per_second: (one + two) as f64 / took.as_secs_f64(),
        fairness: one.min(two) as f64 / one.max(two).max(1) as f64,
    })
}

/// The window, as the two threads see it.
pub struct Shift<'a> {
    start: &'a Barrier,
    stop: &'a AtomicBool,
}

impl Shift<'_> {
    /// Waits for the window to begin. Each thread calls it once.
    pub fn begin(&self) {
        self.start.wait();
    }

    /// Whether the window is still open.
    pub fn is_open(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// How long it takes until both of two threads have run `run`, and what they answered.
///
/// # Errors
/// What `run` answers on either thread.
pub fn both(run: impl Fn() -> Result<(), Trouble> + Sync) -> Result<Duration, Trouble> {
    let start = Barrier::new(3);
    thread::scope(|scope| {
        let threads = [(); 2].map(|()| {
            scope.spawn(|| {
                start.wait();
                run()
            })
        });
        start.wait();
        let began = Instant::now();
        for thread in threads {
            thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))?;
        }
        Ok(began.elapsed())
    })
}
