//! Two busy programs under one GIL (SPEC G3): both finish, and they take turns all the while.

use core::time::Duration;

use archipelago::{GilChoice, InterpreterConfig, Runtime};
use archipelago_guest_wasm::WasiSetup;

use crate::{
    Trouble,
    contend::both,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, turns},
    process::processor_time,
    programs::{busy, load, run},
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "shared-gil/switches",
        what: "two busy WebAssembly programs under one GIL, nothing else on the machine: switches, of those that fit at the switch interval",
        unit: "of 1",
        goal: Goal::AtLeast(0.8),
        peer: Peer::None,
        measure: |effort| switches(effort, |wall, _| wall),
    },
    Figure {
        name: "shared-gil/switches-cpu",
        what: "the same, of those that fit into the time that the machine gave to the programs: where other load is there, read this one",
        unit: "of 1",
        goal: Goal::Information,
        peer: Peer::None,
        measure: |effort| switches(effort, |_, processor| processor),
    },
];

const ROUNDS: u64 = 10_000_000;

/// `of` chooses between the time on the wall and the processor's.
fn switches(effort: Effort, of: fn(Duration, Duration) -> Duration) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let main = rt.interpreter(rt.main()?)?;
    let interval = main.thread_state()?.attach(|cx| cx.switch_interval())?;
    let config = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
    let program = load(&busy(ROUNDS))?;
    turns(effort, || {
        let (before, processor) = (main.gil()?.switches, processor_time()?);
        let wall = both(|| run(&rt, &config, &program, WasiSetup::new()))?;
        let switches = main.gil()?.switches.wrapping_sub(before);
        let time = of(wall, processor_time()?.saturating_sub(processor));
        Ok(switches as f64 / (time.as_secs_f64() / interval.as_secs_f64()))
    })
}
