//! PEP 684's three strategies side by side: an own heap for each interpreter, main's heap under one GIL, and one heap for
//! interpreters with GILs of their own.

use archipelago::{
    GilChoice, InterpreterConfig, Runtime,
    kernel::{self, Attached, Host},
};

use super::heap::per_part;
use crate::{
    Trouble,
    contend::contend,
    figure::{Figure, Goal, Peer},
    heap::{Batch, Ours, lifo},
    measure::{Effort, Samples, rounds_against, turns_against},
    variant::OneHeapHost,
};

const OWN: InterpreterConfig = InterpreterConfig::isolated();
const MAINS: InterpreterConfig = InterpreterConfig::legacy();
const ONE: InterpreterConfig = InterpreterConfig::legacy().with_gil(GilChoice::Own);

const SIZE: u32 = 64;
const BATCH: usize = 1000;

pub(super) const FIGURES: &[Figure] = &[
    figure("strategies/pair-main", "main's heap, one GIL: a block taken and given back", "ns", |effort| {
        pairs(effort, &*Runtime::new()?, &MAINS)
    }),
    figure("strategies/pair-one", "one heap for all: a block taken and given back", "ns", |effort| {
        pairs(effort, &OneHeapHost::started()?, &ONE)
    }),
    figure(
        "strategies/batch-main",
        "main's heap, one GIL: 1,000 blocks in random order, for each",
        "ns",
        |effort| batches(effort, &*Runtime::new()?, &MAINS),
    ),
    figure(
        "strategies/batch-one",
        "one heap for all: 1,000 blocks in random order, for each",
        "ns",
        |effort| batches(effort, &OneHeapHost::started()?, &ONE),
    ),
    figure(
        "strategies/two-main",
        "main's heap, one GIL: two interpreters on two threads",
        "M pairs/s",
        |effort| two(effort, &*Runtime::new()?, &MAINS),
    ),
    figure(
        "strategies/two-one",
        "one heap for all: two interpreters on two threads",
        "M pairs/s",
        |effort| two(effort, &OneHeapHost::started()?, &ONE),
    ),
];

const fn figure(
    name: &'static str,
    what: &'static str,
    unit: &'static str,
    measure: fn(Effort) -> Result<Samples, Trouble>,
) -> Figure {
    Figure { name, what, unit, goal: Goal::Information, peer: Peer::Measured("an own heap each"), measure }
}

fn pairs<H: Host>(
    effort: Effort,
    rt: &kernel::Runtime<H>,
    config: &InterpreterConfig,
) -> Result<Samples, Trouble> {
    let own = Runtime::new()?;
    let (mut ours, mut theirs) = (rt.create(config, None)?, own.create(&OWN, None)?);
    rounds_against(
        effort,
        |count| ours.attach(|cx| lifo(&mut Ours(cx), SIZE, count))?,
        |count| theirs.attach(|cx| lifo(&mut Ours(cx), SIZE, count))?,
    )
}

fn batches<H: Host>(
    effort: Effort,
    rt: &kernel::Runtime<H>,
    config: &InterpreterConfig,
) -> Result<Samples, Trouble> {
    fn run<H: Host>(cx: &mut Attached<'_, H>, batch: &mut Batch, count: u64) -> Result<(), Trouble> {
        (0..count).try_for_each(|_| batch.run(&mut Ours(cx), SIZE))
    }
    let own = Runtime::new()?;
    let (mut ours, mut theirs) = (rt.create(config, None)?, own.create(&OWN, None)?);
    let (mut batch, mut other) = (Batch::new(BATCH), Batch::new(BATCH));
    let samples = rounds_against(
        effort,
        |count| ours.attach(|cx| run(cx, &mut batch, count))?,
        |count| theirs.attach(|cx| run(cx, &mut other, count))?,
    )?;
    Ok(per_part(samples, BATCH))
}

/// Pairs between two safepoints.
const STRETCH: u64 = 256;

/// Millions of pairs a second of two threads, each with an interpreter of its own.
fn million_pairs<H: Host>(
    effort: Effort,
    rt: &kernel::Runtime<H>,
    config: &InterpreterConfig,
) -> Result<f64, Trouble> {
    let turns = contend(effort.window() / 4, |shift| {
        let mut state = rt.create(config, None)?;
        shift.begin();
        let made = state.attach(|cx| -> Result<u64, Trouble> {
            let mut made = 0;
            while shift.is_open() {
                lifo(&mut Ours(cx), SIZE, STRETCH)?;
                made += STRETCH;
                cx.safepoint()?;
            }
            Ok(made)
        })??;
        rt.end(state.interpreter(), None)?;
        Ok(made)
    })?;
    Ok(turns.pairs_per_second / 1e6)
}

fn two<H: Host>(
    effort: Effort,
    rt: &kernel::Runtime<H>,
    config: &InterpreterConfig,
) -> Result<Samples, Trouble> {
    let own = Runtime::new()?;
    turns_against(effort, || million_pairs(effort, rt, config), || million_pairs(effort, &*own, &OWN))
}
