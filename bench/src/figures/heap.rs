//! The heap of an interpreter, accounts and limits on, beside the allocators it is compared with.

use archipelago::{Attached, InterpreterConfig, Runtime};

use super::worker_word;
use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    heap::{
        Bare, Batch, Inlined, LinkedList, Memory, Mimalloc, Ours, Rlsf, Snmalloc, System, Talc, Trace,
        Uncounted, lifo,
    },
    measure::{Effort, Samples, rounds, rounds_against, turns_against},
    process,
};

pub(super) const NAME: &str = "heap";

macro_rules! sizes {
    ($($pair:literal $inlined:literal $against:literal $batch:literal $size:literal $pymalloc:literal;)+) => {
        pub(super) const FIGURES: &[Figure] = &[
            $(
                Figure {
                    name: $pair,
                    what: "a block taken and given back",
                    unit: "ns",
                    goal: Goal::RatioAtMost(0.75),
                    peer: Peer::Measured("mimalloc"),
                    measure: |effort| pairs(effort, $size),
                },
                Figure {
                    name: $against,
                    what: "a block taken and given back",
                    unit: "ns",
                    goal: Goal::RatioAtMost(0.5),
                    peer: Peer::Cited { name: "CPython's pymalloc, malloc+free", median: $pymalloc },
                    measure: |effort| alone(effort, $size),
                },
                Figure {
                    name: $batch,
                    what: "10,000 blocks taken and given back in random order, for each",
                    unit: "ns",
                    goal: Goal::RatioAtMost(1.0),
                    peer: Peer::Measured("mimalloc"),
                    measure: |effort| batches(effort, $size),
                },
            )+
            $(
                Figure {
                    name: $inlined,
                    what: "a block taken and given back, compiled into the guest's code",
                    unit: "ns",
                    goal: Goal::Information,
                    peer: Peer::Measured("mimalloc"),
                    measure: |effort| inlined(effort, $size),
                },
            )+
            Figure {
                name: "heap/pair-bare",
                what: "the same of a bare list with a counter of bytes, behind calls: no allocator takes less",
                unit: "ns",
                goal: Goal::Information,
                peer: Peer::Measured("mimalloc"),
                measure: |effort| {
                    let mut bare = Bare::new();
                    beside_mimalloc(effort, 16, |count| lifo(&mut bare, 16, count))
                },
            },
            Figure {
                goal: Goal::Information,
                ..mixed("heap/mixed-inlined", "mimalloc", |effort| {
                    attached(|cx| traced(effort, &mut Inlined(cx), Mimalloc))
                })
            },
            Figure {
                what: "the same of the heap alone: nothing is counted, nothing is limited",
                goal: Goal::Information,
                ..mixed("heap/mixed-uncounted", "mimalloc", |effort| {
                    traced(effort, &mut Uncounted::new(), Mimalloc)
                })
            },
            mixed("heap/mixed-mimalloc", "mimalloc", |effort| traces(effort, Mimalloc)),
            mixed("heap/mixed-snmalloc", "snmalloc", |effort| traces(effort, Snmalloc)),
            mixed("heap/mixed-system", "the C library's", |effort| traces(effort, System)),
            mixed("heap/mixed-talc", "talc, unlocked", |effort| traces(effort, Talc::new())),
            mixed("heap/mixed-rlsf", "rlsf, unlocked", |effort| traces(effort, Rlsf::new())),
            mixed("heap/mixed-linked-list", "linked_list_allocator, unlocked", |effort| {
                traces(effort, LinkedList::new())
            }),
            Figure {
                name: "heap/mixed-memory",
                what: "the most resident memory of the mixed trace, above before",
                unit: "MiB",
                goal: Goal::RatioAtMost(1.15),
                peer: Peer::Measured("the best of its peers"),
                measure: memory,
            },
        ];
    };
}

sizes! {
    "heap/pair-16" "heap/inlined-16" "heap/pair-16-pymalloc" "heap/batch-16" 16 6.35;
    "heap/pair-64" "heap/inlined-64" "heap/pair-64-pymalloc" "heap/batch-64" 64 7.26;
    "heap/pair-256" "heap/inlined-256" "heap/pair-256-pymalloc" "heap/batch-256" 256 7.05;
    "heap/pair-512" "heap/inlined-512" "heap/pair-512-pymalloc" "heap/batch-512" 512 6.98;
}

const fn mixed(
    name: &'static str,
    peer: &'static str,
    measure: fn(Effort) -> Result<Samples, Trouble>,
) -> Figure {
    Figure {
        name,
        what: "a request of the mixed trace (sizes and lifetimes of an interpreter's objects)",
        unit: "ns",
        goal: Goal::RatioAtMost(1.0),
        peer: Peer::Measured(peer),
        measure,
    }
}

/// Blocks of a batch.
const BATCH: usize = 10_000;

/// Runs `f` attached to an interpreter with limits.
fn attached<R>(f: impl for<'i> FnOnce(&mut Attached<'i>) -> Result<R, Trouble>) -> Result<R, Trouble> {
    let rt = Runtime::new()?;
    let config =
        InterpreterConfig::isolated().with_memory_limit(Some(2 << 30)).with_memory_soft_limit(Some(1 << 30));
    rt.create(&config, None)?.attach(f)?
}

fn alone(effort: Effort, size: u32) -> Result<Samples, Trouble> {
    attached(|cx| rounds(effort, |count| lifo(&mut Ours(cx), size, count)))
}

fn pairs(effort: Effort, size: u32) -> Result<Samples, Trouble> {
    attached(|cx| beside_mimalloc(effort, size, |count| lifo(&mut Ours(cx), size, count)))
}

fn inlined(effort: Effort, size: u32) -> Result<Samples, Trouble> {
    attached(|cx| beside_mimalloc(effort, size, |count| lifo(&mut Inlined(cx), size, count)))
}

fn beside_mimalloc(
    effort: Effort,
    size: u32,
    pairs: impl FnMut(u64) -> Result<(), Trouble>,
) -> Result<Samples, Trouble> {
    rounds_against(effort, pairs, |count| lifo(&mut Mimalloc, size, count))
}

/// A value of one round for each of `parts`.
pub(super) fn per_part(mut samples: Samples, parts: usize) -> Samples {
    for value in samples.ours.iter_mut().chain(&mut samples.peer) {
        *value /= parts as f64;
    }
    samples
}

fn batches(effort: Effort, size: u32) -> Result<Samples, Trouble> {
    let run = |memory: &mut dyn FnMut(&mut Batch) -> Result<(), Trouble>, batch: &mut Batch, count| {
        (0..count).try_for_each(|_| memory(batch))
    };
    let mut batch = Batch::new(BATCH);
    let mut theirs = Batch::new(BATCH);
    let samples = attached(|cx| {
        rounds_against(
            effort,
            |count| run(&mut |batch| batch.run(&mut Ours(cx), size), &mut batch, count),
            |count| run(&mut |batch| batch.run(&mut Mimalloc, size), &mut theirs, count),
        )
    })?;
    Ok(per_part(samples, BATCH))
}

fn traces(effort: Effort, peer: impl Memory) -> Result<Samples, Trouble> {
    attached(|cx| traced(effort, &mut Ours(cx), peer))
}

fn traced(effort: Effort, memory: &mut impl Memory, mut peer: impl Memory) -> Result<Samples, Trouble> {
    let (mut trace, mut theirs) = (Trace::new()?, Trace::new()?);
    let requests = trace.len();
    let samples = rounds_against(
        effort,
        |count| (0..count).try_for_each(|_| trace.run(memory)),
        |count| (0..count).try_for_each(|_| theirs.run(&mut peer)),
    )?;
    Ok(per_part(samples, requests))
}

fn memory(effort: Effort) -> Result<Samples, Trouble> {
    let grown = |name| worker_word(&[NAME, name], 0);
    let best = || {
        let peers = ["mimalloc", "snmalloc", "system", "talc", "rlsf", "linked-list"];
        peers.into_iter().map(grown).try_fold(f64::INFINITY, |best, one| Ok(best.min(one?)))
    };
    turns_against(effort, || grown("ours"), best)
}

/// Prints how much resident memory the trace took at most, in MiB.
pub(super) fn work(name: &str) -> Result<(), Trouble> {
    let mut trace = Trace::new()?;
    let mut grown = |memory: &mut dyn FnMut(&mut Trace) -> Result<(), Trouble>| -> Result<(), Trouble> {
        let before = process::resident()?;
        process::forget_peak()?;
        memory(&mut trace)?;
        println!("{}", process::peak()?.saturating_sub(before) as f64 / f64::from(1 << 20));
        Ok(())
    };
    match name {
        "ours" => attached(|cx| grown(&mut |trace| trace.run(&mut Ours(cx)))),
        "mimalloc" => grown(&mut |trace| trace.run(&mut Mimalloc)),
        "snmalloc" => grown(&mut |trace| trace.run(&mut Snmalloc)),
        "system" => grown(&mut |trace| trace.run(&mut System)),
        "talc" => grown(&mut |trace| trace.run(&mut Talc::new())),
        "rlsf" => grown(&mut |trace| trace.run(&mut Rlsf::new())),
        "linked-list" => grown(&mut |trace| trace.run(&mut LinkedList::new())),
        _ => Err("no such allocator".into()),
    }
}
