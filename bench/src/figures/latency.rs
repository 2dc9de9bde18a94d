//! A thread that wants the GIL for a moment, again and again, behind one that computes (SPEC G4).

use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{thread, time::Instant};

use archipelago::Runtime;

use crate::{
    Trouble,
    contend::{microsecond, work},
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, median},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "latency/median",
        what: "from wanting the GIL to having it, behind a thread that computes; every 5 ms, for 10 us",
        unit: "us",
        goal: Goal::AtMost(100.0),
        peer: Peer::Cited { name: "CPython, the same", median: 5100.0 },
        measure: |effort| latency(effort, |waits| median(waits).unwrap_or(f64::INFINITY)),
    },
    Figure {
        name: "latency/p99",
        what: "the same, what one in a hundred exceeds",
        unit: "us",
        goal: Goal::AtMost(1000.0),
        peer: Peer::Cited { name: "CPython, the same", median: 9000.0 },
        measure: |effort| latency(effort, p99),
    },
    Figure {
        name: "latency/computing",
        what: "work of the thread that computes meanwhile",
        unit: "us/us",
        goal: Goal::RatioAtLeast(0.9),
        peer: Peer::Measured("the same thread, nobody else there"),
        measure: computing,
    },
];

const PAUSE: Duration = Duration::from_millis(5);
/// How long the GIL is wanted for, in microseconds.
const HELD: u64 = 10;

fn arrivals(effort: Effort) -> u32 {
    match effort {
        Effort::Quick => 400,
        Effort::Full => 2000,
    }
}

fn p99(waits: &[f64]) -> f64 {
    let mut sorted = waits.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(f64::INFINITY)
}

/// What happened in one run.
struct Run {
    /// Microseconds of each arrival.
    waits: Vec<f64>,
    /// Microseconds of work a microsecond, of the thread that computes.
    speed: f64,
}

/// One run, with so many arrivals; without any it is as long.
fn run(arrivals: u32, anybody: bool) -> Result<Run, Trouble> {
    let step = microsecond();
    let rt = Runtime::new()?;
    let id = ops::isolated(&rt)?.interpreter();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let computes = scope.spawn(|| -> Result<f64, Trouble> {
            rt.thread_state(id)?.attach(|cx| {
                let (start, mut done) = (Instant::now(), 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    black_box(work(step));
                    done += 1;
                    cx.safepoint().map_err(archipelago::Error::from)?;
                }
                Ok(done as f64 / (start.elapsed().as_secs_f64() * 1e6))
            })?
        });
        let mut waits = Vec::new();
        let arrive = |waits: &mut Vec<f64>| -> Result<(), Trouble> {
            rt.thread_state(id)?.attach(|cx| {
                for _ in 0..arrivals {
                    let wanted = cx.detach(|| {
                        thread::sleep(PAUSE);
                        Instant::now()
                    });
                    waits.push(wanted.elapsed().as_secs_f64() * 1e6);
                    black_box(work(step * HELD));
                }
            })?;
            Ok(())
        };
        let arrived = if anybody {
            arrive(&mut waits)
        } else {
            thread::sleep(PAUSE * arrivals);
            Ok(())
        };
        stop.store(true, Ordering::Relaxed);
        let speed = computes.join().unwrap_or_else(|_| Err("a thread panicked".into()))?;
        arrived?;
        Ok(Run { waits, speed })
    })
}

fn latency(effort: Effort, figure: fn(&[f64]) -> f64) -> Result<Samples, Trouble> {
    let mut samples = Samples::default();
    for _ in 0..effort.long_turns().div_ceil(5) {
        samples.ours.push(figure(&run(arrivals(effort), true)?.waits));
    }
    Ok(samples)
}

fn computing(effort: Effort) -> Result<Samples, Trouble> {
    let mut samples = Samples::default();
    for _ in 0..effort.long_turns() {
        // In short turns: what the machine does otherwise meets both.
        samples.ours.push(run(arrivals(effort) / 4, true)?.speed);
        samples.peer.push(run(arrivals(effort) / 4, false)?.speed);
    }
    Ok(samples)
}
