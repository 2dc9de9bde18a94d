//! Ten thousand interpreters, two at a time, each with a small program: what is left afterwards.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::{io, thread};

use archipelago::{InterpreterConfig, Runtime};
use archipelago_guest_wasm::{Output, Program, WasiSetup, WriterSink};

use super::worker_word;
use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, turns},
    process::resident,
    programs::{HELLO, load, run},
};

pub(super) const NAME: &str = "many";

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "many/memory",
        what: "resident memory after 10,000 interpreters of a WebAssembly program, two at a time, above before",
        unit: "MiB",
        goal: Goal::AtMost(8.0),
        peer: Peer::None,
        measure: |effort| many(effort, 0),
    },
    Figure {
        name: "many/time",
        what: "one of these 10,000: created, loaded, run, ended, every ledger zero",
        unit: "us",
        goal: Goal::Information,
        peer: Peer::None,
        measure: |effort| many(effort, 1),
    },
];

const COUNT: usize = 10_000;
const JOBS: usize = 2;

fn many(effort: Effort, word: usize) -> Result<Samples, Trouble> {
    turns(effort, || worker_word(&[NAME, &COUNT.to_string()], word))
}

/// Prints how much more memory this process has afterwards, in MiB, and the microseconds of one interpreter.
pub(super) fn work(count: usize) -> Result<(), Trouble> {
    let rt = Runtime::new()?;
    let program = load(HELLO)?;
    let sink = std::sync::Arc::new(WriterSink::new(io::sink()));
    let one = |rt: &Runtime, program: &Program| {
        let setup = WasiSetup::new().stdout(Output::Sink(sink.clone()));
        // A ledger that is not zero is an error.
        run(rt, &InterpreterConfig::isolated(), program, setup)
    };
    let before = resident()?;
    let start = std::time::Instant::now();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let jobs = [(); JOBS].map(|()| {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    one(&rt, &program)?;
                }
                Ok::<_, Trouble>(())
            })
        });
        jobs.into_iter().try_for_each(|job| job.join().unwrap_or_else(|_| Err("a job panicked".into())))
    })?;
    let took = start.elapsed().as_secs_f64() * 1e6 * JOBS as f64 / count as f64;
    let more = resident()?.saturating_sub(before) as f64 / f64::from(1 << 20);
    println!("{more} {took}");
    Ok(())
}
