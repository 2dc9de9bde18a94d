//! A hundred thousand interpreters that do nothing.

use archipelago::{InterpreterConfig, Runtime};

use super::worker_word;
use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, turns},
    process::{self, resident},
};

pub(super) const NAME: &str = "idle";

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "idle/memory",
        what: "what the process grows by for each of 100,000 interpreters alive at once, with its first thread state",
        unit: "bytes",
        goal: Goal::AtMost(1024.0),
        peer: Peer::None,
        measure: |effort| idle(effort, 0),
    },
    Figure {
        name: "idle/left",
        what: "resident memory after all of them ended and their runtime is gone, above before",
        unit: "MiB",
        goal: Goal::AtMost(1.0),
        peer: Peer::None,
        measure: |effort| idle(effort, 1),
    },
    Figure {
        name: "idle/again",
        what: "what 100,000 more take in a runtime whose first ones ended",
        unit: "MiB",
        goal: Goal::AtMost(1.0),
        peer: Peer::None,
        measure: |effort| idle(effort, 2),
    },
];

const COUNT: usize = 100_000;

fn idle(effort: Effort, word: usize) -> Result<Samples, Trouble> {
    turns(effort, || worker_word(&[NAME, &COUNT.to_string()], word))
}

/// Prints the bytes of one of so many, what is left of them in the end, and what as many again take, in MiB.
pub(super) fn work(count: usize) -> Result<(), Trouble> {
    let start = resident()?;
    let rt = Runtime::new()?;
    let mut states = Vec::with_capacity(count);
    for _ in 0..count {
        states.push(rt.create(&InterpreterConfig::isolated(), None)?);
    }
    let first = resident()?;
    // Of all that the process took: the runtime and the handles too.
    let each = first.saturating_sub(start) as f64 / count as f64;
    let end = |states: &mut Vec<archipelago::ThreadState<'_>>| {
        states.drain(..).try_for_each(|state| {
            let id = state.interpreter();
            drop(state);
            rt.end(id, None).map(|_| ())
        })
    };
    end(&mut states)?;
    for _ in 0..count {
        states.push(rt.create(&InterpreterConfig::isolated(), None)?);
    }
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let again = mebibytes(resident()?.saturating_sub(first));
    end(&mut states)?;
    drop(states);
    drop(rt);
    process::return_free_memory();
    println!("{each} {} {again}", mebibytes(resident()?.saturating_sub(start)));
    Ok(())
}
