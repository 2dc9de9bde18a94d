//! Thread states (SPEC T1), and tokens for threads that have none (SPEC T5).

use archipelago::Runtime;

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, rounds},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "thread-state",
        what: "a thread state is made and deleted",
        unit: "ns",
        goal: Goal::Information,
        peer: Peer::Cited { name: "CPython PyThreadState_New+Clear+Delete", median: 236.0 },
        measure: thread_state,
    },
    Figure {
        name: "ensure/foreign",
        what: "a token for a thread that has no thread state, made for the length of the call",
        unit: "ns",
        goal: Goal::Information,
        peer: Peer::Cited { name: "CPython PyGILState_Ensure+Release, foreign thread", median: 802.0 },
        measure: ensure,
    },
];

fn thread_state(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let id = ops::isolated(&rt)?.interpreter();
    rounds(effort, |count| (0..count).try_for_each(|_| ops::thread_state(&rt, id)))
}

fn ensure(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let id = ops::isolated(&rt)?.interpreter();
    rounds(effort, |count| Ok((0..count).try_for_each(|_| ops::ensure(&rt, id))?))
}
