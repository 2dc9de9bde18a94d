//! Threads that all compute under one GIL for seconds: how the time in which they held it is shared (SPEC G4).

use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{sync::Barrier, thread, time::Instant};

use archipelago::Runtime;

use crate::{
    Trouble,
    contend::{microsecond, work},
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "fairness/2",
        what: "the smallest share of held time through the largest: 2 threads that compute for 5 s",
        unit: "of 1",
        goal: Goal::AtLeast(0.95),
        peer: Peer::None,
        measure: shares::<2>,
    },
    Figure {
        name: "fairness/4",
        what: "the same with 4 threads",
        unit: "of 1",
        goal: Goal::AtLeast(0.9),
        peer: Peer::None,
        measure: shares::<4>,
    },
    Figure {
        name: "fairness/16",
        what: "the same with 16 threads",
        unit: "of 1",
        goal: Goal::AtLeast(0.9),
        peer: Peer::None,
        measure: shares::<16>,
    },
];

/// Many intervals of 5 ms for each of sixteen threads.
const WINDOW: Duration = Duration::from_secs(5);
/// Work between two safepoints, in microseconds: small beside an interval, large beside two looks at the clock.
const STEP: u64 = 10;

fn shares<const THREADS: usize>(effort: Effort) -> Result<Samples, Trouble> {
    let windows = match effort {
        Effort::Quick => 1,
        Effort::Full => 3,
    };
    let mut samples = Samples::default();
    for _ in 0..windows {
        samples.ours.push(share::<THREADS>()?);
    }
    Ok(samples)
}

fn share<const THREADS: usize>() -> Result<f64, Trouble> {
    let steps = microsecond() * STEP;
    let rt = Runtime::new()?;
    let id = ops::isolated(&rt)?.interpreter();
    let (start, stop) = (Barrier::new(THREADS + 1), AtomicBool::new(false));
    let compute = || -> Result<Duration, Trouble> {
        rt.thread_state(id)?.attach(|cx| {
            cx.detach(|| start.wait());
            let (mut held, mut since) = (Duration::ZERO, Instant::now());
            while !stop.load(Ordering::Relaxed) {
                black_box(work(steps));
                // What passes in a safepoint is not held time: others have it then.
                held += since.elapsed();
                cx.safepoint().map_err(archipelago::Error::from)?;
                since = Instant::now();
            }
            Ok(held)
        })?
    };
    let held = thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(compute));
        start.wait();
        thread::sleep(WINDOW);
        stop.store(true, Ordering::Relaxed);
        threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    });
    let held = held.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (least, most) = (held.iter().min(), held.iter().max());
    Ok(least.zip(most).map_or(0.0, |(least, most)| least.as_secs_f64() / most.as_secs_f64()))
}
