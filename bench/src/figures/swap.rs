//! Another thread state attached in place of the present one (SPEC T3), one way; and who is attached, asked without a
//! token (SPEC T4).

#![allow(unsafe_code)]

use core::{hint::black_box, mem};

use archipelago::{
    GilChoice, InterpreterConfig, InterpreterId, Runtime, StdHost,
    kernel::{raw, thread},
};

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, rounds},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "swap/same",
        what: "to another thread state of the same interpreter, one way, by the raw layer",
        unit: "ns",
        goal: Goal::AtMost(8.0),
        peer: Peer::Cited { name: "CPython PyThreadState_Swap, same interpreter", median: 35.4 },
        measure: |effort| {
            let rt = Runtime::new()?;
            let id = ops::isolated(&rt)?.interpreter();
            swap(effort, &rt, [id, id])
        },
    },
    Figure {
        name: "swap/shared",
        what: "to another interpreter under the same GIL",
        unit: "ns",
        goal: Goal::AtMost(8.0),
        peer: Peer::Cited { name: "CPython PyThreadState_Swap, shared GIL", median: 35.2 },
        measure: |effort| across(effort, &InterpreterConfig::isolated().with_gil(GilChoice::Shared)),
    },
    Figure {
        name: "swap/own",
        what: "to another interpreter under its own GIL",
        unit: "ns",
        goal: Goal::AtMost(20.0),
        peer: Peer::Cited { name: "CPython PyThreadState_Swap, own GILs", median: 36.0 },
        measure: |effort| across(effort, &InterpreterConfig::isolated()),
    },
    Figure {
        name: "current",
        what: "the thread state and interpreter that are attached, asked without a token",
        unit: "ns",
        goal: Goal::AtMost(1.5),
        peer: Peer::None,
        measure: current,
    },
];

fn across(effort: Effort, config: &InterpreterConfig) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let states = [rt.create(config, None)?, rt.create(config, None)?];
    let ids = states.each_ref().map(archipelago::ThreadState::interpreter);
    swap(effort, &rt, ids)
}

fn swap(effort: Effort, rt: &Runtime, ids: [InterpreterId; 2]) -> Result<Samples, Trouble> {
    swapping(rt, ids, |swap| rounds(effort, swap))
}

/// Runs `f`, which is given how to swap so many times between thread states of two interpreters.
///
/// # Errors
/// The kernel's, and what `f` answers.
pub fn swapping<R>(
    rt: &Runtime,
    [from, to]: [InterpreterId; 2],
    f: impl FnOnce(&mut dyn FnMut(u64) -> Result<(), Trouble>) -> Result<R, Trouble>,
) -> Result<R, Trouble> {
    // SAFETY: [R1]: the thread states are made and used on this thread, and deleted when both are detached.
    unsafe {
        let (mut next, mut other) = (raw::thread_new(rt, from)?, raw::thread_new(rt, to)?);
        raw::attach(rt, next)?;
        let answer = f(&mut |count| {
            for _ in 0..count {
                mem::swap(&mut next, &mut other);
                black_box(raw::swap(rt, Some(next))?);
            }
            Ok(())
        })?;
        raw::detach(rt)?;
        for state in [next, other] {
            raw::attach(rt, state)?;
            raw::thread_clear(rt, state)?;
            raw::thread_delete_current(rt)?;
        }
        Ok(answer)
    }
}

fn current(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    ops::isolated(&rt)?.attach(|_| {
        rounds(effort, |count| {
            for _ in 0..count {
                let current = black_box(thread::current::<StdHost>());
                current.ok_or("nothing is attached")?;
            }
            Ok(())
        })
    })?
}
