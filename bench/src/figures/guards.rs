//! Guards (SPEC L9), and tokens inside a call that lends one (SPEC T5).

use archipelago::Runtime;

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, rounds},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "guard/plain",
        what: "a guard without a label is taken from a view and given back",
        unit: "ns",
        goal: Goal::AtMost(8.0),
        peer: Peer::None,
        measure: plain,
    },
    Figure {
        name: "guard/labelled",
        what: "the same with a label, by which an end that gives up can name it",
        unit: "ns",
        goal: Goal::AtMost(60.0),
        peer: Peer::None,
        measure: labelled,
    },
    Figure {
        name: "ensure/nested",
        what: "a token by a view, inside a call that lends this thread's token of the same interpreter",
        unit: "ns",
        goal: Goal::AtMost(5.0),
        peer: Peer::None,
        measure: nested,
    },
    Figure {
        name: "ensure/nested-id",
        what: "the same by the interpreter's name",
        unit: "ns",
        goal: Goal::AtMost(5.0),
        peer: Peer::None,
        measure: nested_by_id,
    },
];

fn plain(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let view = rt.interpreter(ops::isolated(&rt)?.interpreter())?.view()?;
    rounds(effort, |count| Ok((0..count).try_for_each(|_| ops::guard(view))?))
}

fn labelled(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let view = rt.interpreter(ops::isolated(&rt)?.interpreter())?.view()?;
    rounds(effort, |count| Ok((0..count).try_for_each(|_| ops::labelled_guard(view))?))
}

fn nested(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let mut state = ops::isolated(&rt)?;
    let view = rt.interpreter(state.interpreter())?.view()?;
    state.attach(|cx| {
        cx.call_out(|| rounds(effort, |count| Ok((0..count).try_for_each(|_| ops::ensure_by(view))?)))
    })?
}

fn nested_by_id(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let mut state = ops::isolated(&rt)?;
    let id = state.interpreter();
    state.attach(|cx| {
        cx.call_out(|| rounds(effort, |count| Ok((0..count).try_for_each(|_| ops::ensure(&rt, id))?)))
    })?
}
