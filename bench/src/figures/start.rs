//! From nothing to the first output of a program.

use std::time::Instant;

use archipelago::{InterpreterConfig, Runtime};
use archipelago_guest_wasm::WasiSetup;

use crate::{
    Trouble,
    commands::{self, ours, wasmi},
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, turns_against},
    programs::{File, FirstOutput, HELLO, Plain, load, run},
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "start/in-process",
        what: "runtime, engine, program and interpreter made, until the program's first output",
        unit: "ms",
        goal: Goal::Information,
        peer: Peer::Measured("wasmi in process, no fuel"),
        measure: in_process,
    },
    Figure {
        name: "start/command",
        what: "from the start of `archipelago run` to the program's first output",
        unit: "ms",
        goal: Goal::RatioAtMost(1.5),
        peer: Peer::Measured("wasmi's command, no fuel"),
        measure: command,
    },
];

/// A start takes a millisecond, so a turn makes so many, and the fastest counts.
const STARTS: usize = 20;

fn fastest(start: impl Fn() -> Result<f64, Trouble>) -> Result<f64, Trouble> {
    (0..STARTS).try_fold(f64::INFINITY, |fastest, _| Ok(start()?.min(fastest)))
}

fn in_process(effort: Effort) -> Result<Samples, Trouble> {
    let ours = || {
        let (first, start) = (FirstOutput::default(), Instant::now());
        let rt = Runtime::new()?;
        let setup = WasiSetup::new().stdout(first.output());
        run(&rt, &InterpreterConfig::isolated(), &load(HELLO)?, setup)?;
        Ok(first.at()?.duration_since(start).as_secs_f64() * 1e3)
    };
    let peer = || {
        let (first, start) = (FirstOutput::default(), Instant::now());
        Plain::new(HELLO.as_bytes(), Some(Box::new(first.clone())))?.run()?;
        Ok(first.at()?.duration_since(start).as_secs_f64() * 1e3)
    };
    turns_against(effort, || fastest(ours), || fastest(peer))
}

fn command(effort: Effort) -> Result<Samples, Trouble> {
    let (archipelago, wasmi) = (ours()?, wasmi()?);
    let file = File::new("hello", HELLO)?;
    let ours = || {
        let ran = commands::run(&archipelago, ["run".as_ref(), file.path()])?;
        Ok(ran.first_output.as_secs_f64() * 1e3)
    };
    let peer = || Ok(commands::run(&wasmi, [file.path()])?.first_output.as_secs_f64() * 1e3);
    turns_against(effort, || fastest(ours), || fastest(peer))
}
