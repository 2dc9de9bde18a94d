//! Creating and ending an interpreter (SPEC L1, L3).

use archipelago::Runtime;

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, rounds},
    ops,
};

const PEER: Peer = Peer::Cited { name: "CPython new+end, own GIL, isolated", median: 9_550_000.0 };

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "create-end/10",
        what: "an isolated interpreter without a guest is created and ended, 10 others alive",
        unit: "ns",
        goal: Goal::AtMost(1000.0),
        peer: PEER,
        measure: |effort| create_end(effort, 10),
    },
    Figure {
        name: "create-end/10000",
        what: "the same with 10,000 others alive",
        unit: "ns",
        goal: Goal::AtMost(1000.0),
        peer: PEER,
        measure: |effort| create_end(effort, 10_000),
    },
];

fn create_end(effort: Effort, others: usize) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    for _ in 0..others {
        drop(ops::isolated(&rt)?);
    }
    rounds(effort, |count| {
        for _ in 0..count {
            if !ops::create_end(&rt)?.is_clean() {
                return Err("an empty interpreter left something behind".into());
            }
        }
        Ok(())
    })
}
