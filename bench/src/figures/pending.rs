//! Pending calls that are added and run by one thread (SPEC E2).

use archipelago::{
    PendingCall, Runtime,
    kernel::{error::PendingError, interpreter::Port},
};

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, rounds},
    ops,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "pending/add-run",
        what: "a pending call is added by the holder of the GIL, in a slot of the kernel's, and run at its safepoint",
        unit: "ns",
        goal: Goal::AtMost(30.0),
        peer: Peer::None,
        measure: add_run,
    },
    Figure {
        name: "pending/node",
        what: "the same in a node of the caller's",
        unit: "ns",
        goal: Goal::Information,
        peer: Peer::None,
        measure: node,
    },
    Figure {
        name: "pending/by-port",
        what: "the same through a port, as any thread would add it",
        unit: "ns",
        goal: Goal::Information,
        peer: Peer::None,
        measure: by_port,
    },
];

static NODE: PendingCall = PendingCall::new(ops::called, 0);

fn measured(
    effort: Effort,
    add: impl Fn(&archipelago::Attached<'_>, Port<'_, archipelago::StdHost>) -> Result<(), PendingError>,
) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let mut state = ops::isolated(&rt)?;
    let port = rt.interpreter(state.interpreter())?.port()?;
    state.attach(|cx| {
        rounds(effort, |count| {
            for _ in 0..count {
                add(cx, port)?;
                ops::safepoint(cx).map_err(archipelago::Error::from)?;
            }
            Ok(())
        })
    })?
}

fn add_run(effort: Effort) -> Result<Samples, Trouble> {
    measured(effort, |cx, _| ops::call_soon(cx))
}

fn node(effort: Effort) -> Result<Samples, Trouble> {
    measured(effort, |cx, _| cx.add_call(&NODE))
}

fn by_port(effort: Effort) -> Result<Samples, Trouble> {
    measured(effort, |_, port| port.call(ops::called, 0))
}
