//! Two threads at one GIL, each holding it for about a microsecond and free for about a microsecond (SPEC G4).
//!
//! A voluntary detach may be overtaken, so most pairs are no hand-overs: what counts is that nobody is kept from
//! running, and that nobody is left out.

use core::hint::black_box;

use archipelago::Runtime;
use parking_lot::Mutex;

use crate::{
    Trouble,
    contend::{Turns, contend, microsecond, work},
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, turns_against},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "hand-over/pairs",
        what: "attach and detach by two threads at one GIL, 1 us held and 1 us free",
        unit: "pairs/s",
        goal: Goal::RatioAtLeast(0.7),
        peer: Peer::Measured("parking_lot mutex lock+unlock"),
        measure: |effort| hand_over(effort, |turns| turns.pairs_per_second),
    },
    Figure {
        name: "hand-over/pairs-cpython",
        what: "attach and detach by two threads at one GIL, 1 us held and 1 us free",
        unit: "pairs/s",
        goal: Goal::RatioAtLeast(0.9),
        // The middle of what was measured, 0.61 to 0.66 million.
        peer: Peer::Cited { name: "CPython, the same by PyEval_SaveThread+RestoreThread", median: 635_000.0 },
        measure: |effort| {
            let mut samples = hand_over(effort, |turns| turns.pairs_per_second)?;
            samples.peer.clear();
            Ok(samples)
        },
    },
    Figure {
        name: "hand-over/fairness",
        what: "the smaller of the two threads' shares through the larger",
        unit: "of 1",
        goal: Goal::AtLeast(0.85),
        peer: Peer::Measured("parking_lot mutex lock+unlock"),
        measure: |effort| hand_over(effort, |turns| turns.fairness),
    },
];

fn hand_over(effort: Effort, figure: fn(&Turns) -> f64) -> Result<Samples, Trouble> {
    let steps = microsecond();
    let rt = Runtime::new()?;
    let id = ops::isolated(&rt)?.interpreter();
    let ours = || {
        let turns = contend(effort.window(), |shift| {
            let pairs = rt.thread_state(id)?.attach(|cx| {
                cx.detach(|| shift.begin());
                let mut pairs = 0;
                while shift.is_open() {
                    black_box(work(steps));
                    cx.detach(|| black_box(work(steps)));
                    pairs += 1;
                }
                pairs
            })?;
            Ok(pairs)
        })?;
        Ok(figure(&turns))
    };
    let mutex = Mutex::new(());
    let peer = || {
        let turns = contend(effort.window(), |shift| {
            shift.begin();
            let mut pairs = 0;
            while shift.is_open() {
                let guard = mutex.lock();
                black_box(work(steps));
                drop(guard);
                black_box(work(steps));
                pairs += 1;
            }
            Ok(pairs)
        })?;
        Ok(figure(&turns))
    };
    turns_against(effort, ours, peer)
}
