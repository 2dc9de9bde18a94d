//! Objects (SPEC O1).

use archipelago::Runtime;

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, rounds},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[Figure {
    name: "alloc-release",
    what: "a small object is made, counted, released and freed",
    unit: "ns",
    goal: Goal::Information,
    peer: Peer::None,
    measure: alloc_release,
}];

fn alloc_release(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    ops::isolated(&rt)?
        .attach(|cx| rounds(effort, |count| (0..count).try_for_each(|_| ops::alloc_release(cx))))?
}
