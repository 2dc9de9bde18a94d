//! Running a model.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering};
use std::{env, sync::Arc, time::Instant};

use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Runtime,
    gil::{GilPolicy, Interval},
    host::{RawGil, RawLock},
};
use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    rand::Rng,
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler},
    thread,
};

use crate::{gil::ShuttleGil, host::ShuttleHost, parts::ShuttleLock};

/// A runtime of the model, for as long as one schedule of it runs.
pub type ShuttleRuntime<G = ShuttleGil, P = Interval> = Arc<Runtime<ShuttleHost<G, P>>>;

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |value| value.parse().expect("a number"))
}

/// Runs `body` with `ARCHIPELAGO_SHUTTLE_SCHEDULES` (100) random schedules and as many of PCT, each with a new runtime
/// that is finalized and freed afterwards; the body joins its threads.
///
/// Says the seed (`ARCHIPELAGO_SHUTTLE_SEED`), with which the same schedules come again. Of one that failed it writes a file,
/// and says which: as `ARCHIPELAGO_SHUTTLE_REPLAY` it is run alone.
pub fn model<G: RawGil + 'static, P: GilPolicy<G>>(
    name: &'static str,
    body: impl Fn(&ShuttleRuntime<G, P>) + Send + Sync + 'static,
) {
    let seed = number("ARCHIPELAGO_SHUTTLE_SEED", 1);
    let schedules = number("ARCHIPELAGO_SHUTTLE_SCHEDULES", 100) as usize;
    let body = Arc::new(move || {
        let rt = Runtime::new(ShuttleHost::default(), SystemRaw, ShuttleLock::new());
        let rt = Arc::new(rt);
        let _ = rt.initialize(None).unwrap();
        body(&rt);
        let ledger = rt.finalize(None).unwrap();
        assert_eq!(ledger.main.objects, 0);
        assert_eq!(Arc::strong_count(&rt), 1, "the body joins its threads");
    });
    let run = |kind: &str, scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.stack_size = 1 << 18;
        config.failure_persistence = FailurePersistence::File(Some(env::temp_dir()));
        // Somebody waits for ever, or asks for ever.
        config.max_steps = MaxSteps::FailAfter(1_000_000);
        config.silence_warnings = true;
        println!("{name}: {kind}, seed {seed}");
        let (body, start) = (Arc::clone(&body), Instant::now());
        let ran = Runner::new(scheduler, config).run(move || body());
        println!("{name}: {kind}, {ran} schedules passed in {:.1} s", start.elapsed().as_secs_f64());
    };
    if let Some(file) = env::var_os("ARCHIPELAGO_SHUTTLE_REPLAY") {
        let scheduler = ReplayScheduler::new_from_file(file).expect("a schedule that was written");
        return run("one schedule again", Box::new(scheduler));
    }
    run("random", Box::new(RandomScheduler::new_from_seed(seed, schedules)));
    run("PCT", Box::new(PctScheduler::new_from_seed(seed, 3, schedules)));
}

/// So many threads, all of which are joined. Each is told its number.
pub fn together<G: RawGil + 'static, P: GilPolicy<G>>(
    rt: &ShuttleRuntime<G, P>,
    count: usize,
    body: impl Fn(usize, &ShuttleRuntime<G, P>) + Send + Sync + 'static,
) {
    let body = Arc::new(body);
    let threads: Vec<_> = (0..count)
        .map(|n| {
            let (rt, body) = (Arc::clone(rt), Arc::clone(&body));
            thread::spawn(move || body(n, &rt))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A number that Shuttle chooses, and chooses again when the schedule is replayed.
pub fn below(end: usize) -> usize {
    shuttle::rand::thread_rng().gen_range(0..end)
}

/// Who is attached to an interpreter: one at a time. Not Shuttle's, so that it orders nothing.
#[derive(Default)]
pub struct Inside(AtomicUsize);

impl Inside {
    /// Is there while others might come in too.
    pub fn stay(&self) {
        assert_eq!(self.0.swap(1, Ordering::Relaxed), 0, "two at a time");
        thread::yield_now();
        self.0.store(0, Ordering::Relaxed);
    }

    /// Nobody is there.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}
