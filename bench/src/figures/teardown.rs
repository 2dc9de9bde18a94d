//! The end of an interpreter with a million live objects, large blocks among them.

#![allow(unsafe_code)]

use core::{alloc::Layout, hint::black_box, ptr::NonNull};
use std::time::Instant;

use archipelago::kernel::{
    Runtime,
    config::InterpreterConfig,
    host::{Host, RawAlloc, RawLock},
    memory::Domain,
};
use archipelago_alloc_system::SystemRaw;

use crate::{
    Trouble,
    figure::{Figure, Goal, Peer},
    measure::{Effort, Samples, turns, turns_against},
    recorder::{Recorded, Recorder},
};

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "teardown/kernel",
        what: "the kernel's part of ending an interpreter with a million objects, for 64 MiB of them",
        unit: "us",
        goal: Goal::AtMost(100.0),
        peer: Peer::None,
        measure: |effort| turns(effort, kernel),
    },
    Figure {
        name: "teardown/whole",
        what: "the same with the return of its memory, all of it",
        unit: "ms",
        goal: Goal::RatioAtMost(1.2),
        peer: Peer::Measured("a bare return of the same blocks, touched"),
        measure: whole,
    },
];

const OBJECTS: usize = 1_000_000;
/// Of the objects every so manieth is large.
const LARGE_EVERY: usize = 10_000;
const LARGE: usize = 200_000;

fn runtime() -> Result<Runtime<Recorded>, Trouble> {
    let rt = Runtime::new(Recorded::default(), Recorder::default(), <Recorded as Host>::Lock::new());
    let _main = rt.initialize(None)?;
    Ok(rt)
}

/// Makes an interpreter, fills it and times its end, before which `before` is called: seconds, and the bytes of the
/// objects.
fn filled_and_ended(rt: &Runtime<Recorded>, before: impl FnOnce()) -> Result<(f64, usize), Trouble> {
    let mut state = rt.create(&InterpreterConfig::isolated(), None)?;
    let bytes = state.attach(|cx| {
        for n in 0..OBJECTS {
            let size = if n % LARGE_EVERY == 0 { LARGE } else { 24 + n * 40 % 104 };
            let block = cx.allocate(Domain::Object, Layout::from_size_align(size, 8)?)?;
            // SAFETY: the block has eight bytes at least; the last lie in it too.
            unsafe {
                block.cast::<usize>().write(n);
                block.add(size - 1).write(1);
            }
        }
        Ok::<_, Trouble>(cx.usage().object.bytes)
    })??;
    before();
    let start = Instant::now();
    let ledger = rt.end(state.interpreter(), None)?;
    let took = start.elapsed().as_secs_f64();
    match ledger.leaked.object.blocks {
        OBJECTS => Ok((took, bytes)),
        found => Err(format!("{found} objects were live").into()),
    }
}

fn kernel() -> Result<f64, Trouble> {
    let rt = runtime()?;
    let (took, bytes) = filled_and_ended(&rt, || rt.raw().backend().keep())?;
    rt.raw().backend().let_go();
    Ok(took * 1e6 * f64::from(64 << 20) / bytes as f64)
}

fn whole(effort: Effort) -> Result<Samples, Trouble> {
    let rt = runtime()?;
    // The first interpreter leaves its slots to the next, so these are the blocks of a heap.
    filled_and_ended(&rt, || ())?;
    let before = rt.raw().backend().given().len();
    filled_and_ended(&rt, || ())?;
    let blocks = rt.raw().backend().given().split_off(before);
    let ours = || Ok(filled_and_ended(&rt, || ())?.0 * 1e3);
    turns_against(effort, ours, || bare(&blocks))
}

/// Takes the blocks, touches every page of them, and times their return: milliseconds.
fn bare(layouts: &[Layout]) -> Result<f64, Trouble> {
    let mut blocks: Vec<(NonNull<u8>, Layout)> = Vec::with_capacity(layouts.len());
    for layout in layouts {
        let block = SystemRaw.allocate(*layout).map_err(|_| "no memory")?.cast::<u8>();
        for at in (0..layout.size()).step_by(4096) {
            // SAFETY: it lies in the block.
            unsafe { block.add(at).write_volatile(1) };
        }
        blocks.push((block, *layout));
    }
    let start = Instant::now();
    for (block, layout) in black_box(&blocks) {
        // SAFETY: taken above with this layout, and not used any more.
        unsafe { SystemRaw.deallocate(*block, *layout) };
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
