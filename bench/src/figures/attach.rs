//! Taking the GIL and letting it go where nobody else wants it (SPEC T2), and safepoints (SPEC E1).

use archipelago::{
    Runtime,
    kernel::{self, Host, error::Interrupt},
};
use parking_lot::Mutex;

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, rounds, rounds_against},
    ops,
    variant::MeteredHost,
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "detach",
        what: "the GIL is let go and taken back by one thread, nobody else there",
        unit: "ns",
        goal: Goal::AtMost(15.0),
        peer: Peer::Cited { name: "CPython PyEval_SaveThread+RestoreThread", median: 35.9 },
        measure: detach,
    },
    Figure {
        name: "detach/mutex",
        what: "the same beside the mutex that the GIL is made of, locked and unlocked",
        unit: "ns",
        goal: Goal::Information,
        peer: Peer::Measured("parking_lot mutex lock+unlock"),
        measure: detach_against_mutex,
    },
    Figure {
        name: "attach",
        what: "a whole frame: activation, GIL, token, and back",
        unit: "ns",
        goal: Goal::AtMost(15.0),
        peer: Peer::Cited { name: "CPython PyGILState_Ensure+Release, own thread state", median: 43.1 },
        measure: attach,
    },
    Figure {
        name: "detach/held",
        what: "as 'detach', on a host that counts how long a GIL is held: two looks at the clock",
        unit: "ns",
        goal: Goal::AtMost(70.0),
        peer: Peer::None,
        measure: detach_metered,
    },
    Figure {
        name: "attach/held",
        what: "as 'attach', on such a host",
        unit: "ns",
        goal: Goal::AtMost(70.0),
        peer: Peer::None,
        measure: attach_metered,
    },
    Figure {
        name: "safepoint",
        what: "a safepoint with nothing to do, inlined as in a guest's loop, eight a round",
        unit: "ns",
        goal: Goal::AtMost(1.0),
        peer: Peer::None,
        measure: safepoint,
    },
    Figure {
        name: "safepoint/called",
        what: "the same behind a call",
        unit: "ns",
        goal: Goal::Information,
        peer: Peer::None,
        measure: safepoint_called,
    },
];

fn detach(effort: Effort) -> Result<Samples, Trouble> {
    detach_on(&*Runtime::new()?, effort)
}

fn detach_metered(effort: Effort) -> Result<Samples, Trouble> {
    detach_on(&MeteredHost::started()?, effort)
}

fn detach_on<H: Host>(rt: &kernel::Runtime<H>, effort: Effort) -> Result<Samples, Trouble> {
    let samples = ops::isolated(rt)?.attach(|cx| {
        rounds(effort, |count| {
            (0..count).for_each(|_| ops::detach(cx));
            Ok(())
        })
    });
    samples.map_err(archipelago::Error::from)?
}

fn detach_against_mutex(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    let mutex = Mutex::new(());
    ops::isolated(&rt)?.attach(|cx| {
        let ours = |count| {
            (0..count).for_each(|_| ops::detach(cx));
            Ok(())
        };
        let peer = |count| {
            (0..count).for_each(|_| ops::lock_unlock(&mutex));
            Ok(())
        };
        rounds_against(effort, ours, peer)
    })?
}

fn attach(effort: Effort) -> Result<Samples, Trouble> {
    attach_on(&*Runtime::new()?, effort)
}

fn attach_metered(effort: Effort) -> Result<Samples, Trouble> {
    attach_on(&MeteredHost::started()?, effort)
}

fn attach_on<H: Host>(rt: &kernel::Runtime<H>, effort: Effort) -> Result<Samples, Trouble> {
    let mut state = ops::isolated(rt)?;
    rounds(effort, |count| Ok((0..count).try_for_each(|_| ops::attach(&mut state))?))
}

fn safepoint(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    ops::isolated(&rt)?.attach(|cx| {
        rounds(effort, |count| {
            // At most seven more than were asked for.
            let mut eight = || -> Result<(), Interrupt> {
                cx.safepoint()?;
                cx.safepoint()?;
                cx.safepoint()?;
                cx.safepoint()?;
                cx.safepoint()?;
                cx.safepoint()?;
                cx.safepoint()?;
                cx.safepoint()
            };
            (0..count.div_ceil(8)).try_for_each(|_| eight()).map_err(archipelago::Error::from)?;
            Ok(())
        })
    })?
}

fn safepoint_called(effort: Effort) -> Result<Samples, Trouble> {
    let rt = Runtime::new()?;
    ops::isolated(&rt)?.attach(|cx| {
        rounds(effort, |count| {
            (0..count).try_for_each(|_| ops::safepoint(cx)).map_err(archipelago::Error::from)?;
            Ok(())
        })
    })?
}
