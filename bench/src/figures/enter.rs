//! Entering another thread state and coming back (SPEC T3): there and back are two swaps of the peer.

use archipelago::{GilChoice, InterpreterConfig, Runtime, ThreadState};

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, rounds},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "enter/same",
        what: "into another thread state of the same interpreter, and back",
        unit: "ns",
        goal: Goal::RatioAtMost(1.0),
        peer: Peer::Cited { name: "CPython PyThreadState_Swap, same interpreter, twice", median: 2.0 * 35.4 },
        measure: same,
    },
    Figure {
        name: "enter/shared",
        what: "into another interpreter under the same GIL, and back",
        unit: "ns",
        goal: Goal::RatioAtMost(1.0),
        peer: Peer::Cited { name: "CPython PyThreadState_Swap, shared GIL, twice", median: 2.0 * 35.2 },
        measure: shared,
    },
    Figure {
        name: "enter/own",
        what: "into another interpreter under its own GIL, and back",
        unit: "ns",
        goal: Goal::RatioAtMost(1.0),
        peer: Peer::Cited { name: "CPython PyThreadState_Swap, own GILs, twice", median: 2.0 * 36.0 },
        measure: own,
    },
];

fn enter(effort: Effort, from: &mut ThreadState<'_>, to: &mut ThreadState<'_>) -> Result<Samples, Trouble> {
    from.attach(|cx| rounds(effort, |count| Ok((0..count).try_for_each(|_| ops::enter(cx, to))?)))?
}

fn same(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let mut from = ops::isolated(&rt)?;
    let mut to = rt.thread_state(from.interpreter())?;
    enter(effort, &mut from, &mut to)
}

fn shared(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let config = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
    let (mut from, mut to) = (rt.create(&config, None)?, rt.create(&config, None)?);
    enter(effort, &mut from, &mut to)
}

fn own(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let (mut from, mut to) = (ops::isolated(&rt)?, ops::isolated(&rt)?);
    enter(effort, &mut from, &mut to)
}
