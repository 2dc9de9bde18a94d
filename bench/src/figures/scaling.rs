//! Two cores: two interpreters with their own GILs against two plain threads in the same run.

use core::hint::black_box;
use std::time::Instant;

use archipelago::{InterpreterConfig, Runtime};
use archipelago_guest_wasm::WasiSetup;

use crate::{
    Trouble,
    contend::{both, microsecond, work},
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, median, turns_against},
    ops,
    programs::{Plain, busy, load, run},
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "scaling/native",
        what: "speed-up of two interpreters over one, a native loop with safepoints",
        unit: "x",
        goal: Goal::RatioAtLeast(0.95),
        peer: Peer::Measured("two plain threads over one"),
        measure: native,
    },
    Figure {
        name: "scaling/wasm",
        what: "speed-up of two interpreters over one, a WebAssembly program",
        unit: "x",
        goal: Goal::RatioAtLeast(0.95),
        peer: Peer::Measured("wasmi on two plain threads over one"),
        measure: wasm,
    },
];

/// Work of one turn of one thread.
const MICROSECONDS: u64 = 100_000;
const ROUNDS: u64 = 5_000_000;

/// What two plain threads must reach over one for the figure to say anything: without a second core that is free,
/// one thread is as fast as two, whoever runs them.
const SECOND_CORE: f64 = 1.5;

fn with_two_cores(samples: Samples) -> Result<Samples, Trouble> {
    match median(&samples.peer) {
        Some(peer) if peer < SECOND_CORE => {
            let why =
                format!("no second core was free: two plain threads were {peer:.2} times as fast as one");
            Err(why.into())
        }
        _ => Ok(samples),
    }
}

/// Twice the work in how many times the time.
fn speed_up(run: impl Fn() -> Result<(), Trouble> + Sync) -> Result<f64, Trouble> {
    let start = Instant::now();
    run()?;
    let alone = start.elapsed();
    Ok(2.0 * alone.as_secs_f64() / both(run)?.as_secs_f64())
}

fn native(effort: Effort) -> Result<Samples, Trouble> {
    let steps = microsecond();
    let rt = Runtime::new()?;
    let ours = || {
        speed_up(|| {
            let mut state = ops::isolated(&rt)?;
            let done = state.attach(|cx| {
                for _ in 0..MICROSECONDS {
                    black_box(work(steps));
                    cx.safepoint()?;
                }
                Ok(())
            })?;
            rt.end(state.interpreter(), None)?;
            done
        })
    };
    let peer = || {
        speed_up(|| {
            for _ in 0..MICROSECONDS {
                black_box(work(steps));
            }
            Ok(())
        })
    };
    with_two_cores(turns_against(effort, ours, peer)?)
}

fn wasm(effort: Effort) -> Result<Samples, Trouble> {
    let text = busy(ROUNDS);
    let rt = Runtime::new()?;
    let program = load(&text)?;
    let ours = || speed_up(|| run(&rt, &InterpreterConfig::isolated(), &program, WasiSetup::new()));
    let peer = || speed_up(|| Plain::new(text.as_bytes(), Some(Box::new(std::io::sink())))?.run());
    with_two_cores(turns_against(effort, ours, peer)?)
}
