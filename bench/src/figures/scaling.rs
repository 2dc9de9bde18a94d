//! Two cores: two interpreters with their own GILs against two plain threads in the same run.

use core::hint::black_box;
use std::time::Instant;

use archipelago::{InterpreterConfig, Runtime};
use archipelago_guest_wasm::WasiSetup;

use crate::{
    Trouble,
    contend::{both, microsecond, work},
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, turns_against},
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
    turns_against(effort, ours, peer)
}

fn wasm(effort: Effort) -> Result<Samples, Trouble> {
    let text = busy(ROUNDS);
    let rt = Runtime::new()?;
    let program = load(&text)?;
    let ours = || speed_up(|| run(&rt, &InterpreterConfig::isolated(), &program, WasiSetup::new()));
    let peer = || speed_up(|| Plain::new(text.as_bytes(), Some(Box::new(std::io::sink())))?.run());
    turns_against(effort, ours, peer)
}
