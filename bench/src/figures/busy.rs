//! What slices, fuel and safepoints cost a program that only computes: against the same engine without fuel.

use std::{io::sink, time::Instant};

use archipelago::{InterpreterConfig, Runtime};
use archipelago_guest_wasm::WasiSetup;

use crate::{
    Trouble,
    commands::{self, ours, wasmi},
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, turns_against},
    programs::{File, PRIMES, Plain, busy, load, run},
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "busy/in-process",
        what: "a program that computes, in an interpreter of its own",
        unit: "ms",
        goal: Goal::RatioAtMost(1.15),
        peer: Peer::Measured("wasmi in process, no fuel"),
        measure: in_process,
    },
    Figure {
        name: "busy/command",
        what: "the same program under `archipelago run`, the whole process",
        unit: "ms",
        goal: Goal::RatioAtMost(1.15),
        peer: Peer::Measured("wasmi's command, no fuel"),
        measure: |effort| command(effort, "busy", &busy(ROUNDS)),
    },
    Figure {
        name: "busy/command-primes",
        what: "a program that works on memory, under `archipelago run`, the whole process",
        unit: "ms",
        goal: Goal::RatioAtMost(1.15),
        peer: Peer::Measured("wasmi's command, no fuel"),
        measure: |effort| command(effort, "primes", PRIMES),
    },
    Figure {
        name: "busy/metering",
        what: "the program that computes on the bare engine with fuel, without slices: what metering alone costs",
        unit: "ms",
        goal: Goal::Information,
        peer: Peer::Measured("wasmi in process, no fuel"),
        measure: metering,
    },
];

const ROUNDS: u64 = 15_000_000;

fn in_process(effort: Effort) -> Result<Samples, Trouble> {
    let text = busy(ROUNDS);
    let rt = Runtime::new()?;
    let program = load(&text)?;
    let ours = || {
        let start = Instant::now();
        run(&rt, &InterpreterConfig::isolated(), &program, WasiSetup::new())?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    turns_against(effort, ours, || plain(Plain::new(text.as_bytes(), Some(Box::new(sink())))?))
}

/// Milliseconds of one run.
fn plain(mut program: Plain) -> Result<f64, Trouble> {
    let start = Instant::now();
    program.run()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn metering(effort: Effort) -> Result<Samples, Trouble> {
    let text = busy(ROUNDS);
    let ours = || plain(Plain::metered(text.as_bytes(), Some(Box::new(sink())))?);
    turns_against(effort, ours, || plain(Plain::new(text.as_bytes(), Some(Box::new(sink())))?))
}

fn command(effort: Effort, name: &str, text: &str) -> Result<Samples, Trouble> {
    let (archipelago, wasmi) = (ours()?, wasmi()?);
    let file = File::new(name, text)?;
    let ours = || {
        let ran = commands::run(&archipelago, ["run".as_ref(), file.path()])?;
        Ok(ran.whole.as_secs_f64() * 1e3)
    };
    let peer = || Ok(commands::run(&wasmi, [file.path()])?.whole.as_secs_f64() * 1e3);
    turns_against(effort, ours, peer)
}
