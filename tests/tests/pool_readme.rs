//! What `alloc-backends/pool/README.md` says of its pools is true: they serve the interpreters it names, and one
//! interpreter asks for what it says.
#![cfg(target_pointer_width = "64")]
#![allow(unsafe_code)]

use core::{alloc::Layout, mem, ops::Range, ptr::NonNull};
use std::{collections::BTreeSet, sync::Mutex};

use archipelago_alloc_pool::{A512, Pool, PoolRaw};
use archipelago_kernel::{
    Runtime, ThreadState,
    config::InterpreterConfig,
    host::{Exhausted, RawAlloc},
};
use archipelago_locks::SpinLock;
use archipelago_tests::{Machine, YieldingCore};

type Pools = (
    Pool<128, 9>,        // tables of heaps
    Pool<256, 9>,        // thread states
    Pool<512, 24, A512>, // pages of `SmallHeap`
    Pool<1024, 12>,      // interpreters; the largest request that is served
);

static POOLS: PoolRaw<SpinLock<YieldingCore>, Pools> = PoolRaw::new(SpinLock::relaxing());

/// What was asked for, size and alignment, in order of size.
static ASKED: Mutex<BTreeSet<(usize, usize)>> = Mutex::new(BTreeSet::new());

/// The pools, written down.
struct Noted;

// SAFETY: all of it is the pools'.
unsafe impl RawAlloc for Noted {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        ASKED.lock().unwrap().insert((layout.size(), layout.align()));
        (&POOLS).allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { (&POOLS).deallocate(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        // SAFETY: passed on.
        unsafe { (&POOLS).resize(block, old, new) }
    }

    fn region(&self) -> Option<Range<usize>> {
        (&POOLS).region()
    }
}

/// A heap as it is when a program runs: a page of each of three classes, and what is too large for pages.
fn fill(state: &mut ThreadState<'_, Machine<Noted>>, large: bool) {
    let asked = state.attach(|cx| {
        // Left alone until the interpreter ends, so that they are live at the same time.
        mem::forget(cx.alloc_plain([0u8; 8]).expect("room for it"));
        mem::forget(cx.alloc_plain([0u8; 24]).expect("room for it"));
        mem::forget(cx.alloc_plain([0u8; 56]).expect("room for it"));
        if large {
            mem::forget(cx.alloc_plain([0u8; 700]).expect("room for it"));
        }
    });
    asked.expect("a thread state");
}

#[test]
fn the_pools_serve_eight_interpreters() {
    let rt: Runtime<Machine<Noted>> = Runtime::new(Machine::new(), Noted, SpinLock::relaxing());
    let _main = rt.initialize(None).unwrap();
    let mut states: Vec<_> =
        (0..8).map(|_| rt.create(&InterpreterConfig::isolated(), None).expect("room for it")).collect();
    states.iter_mut().for_each(|state| fill(state, false));
    let asked: Vec<_> = ASKED.lock().unwrap().iter().copied().collect();
    let told = [(72, 8), (160, 8), (512, 512), (832, 8)];
    assert_eq!(asked.len(), told.len(), "{asked:?}");
    for ((size, align), (about, told)) in asked.into_iter().zip(told) {
        assert!(
            size.abs_diff(about) <= 64 && align == told,
            "{size} aligned to {align}, told: about {about}"
        );
    }
    states.iter_mut().take(3).for_each(|state| fill(state, true));
    let peaks: Vec<_> = POOLS.usage().iter().map(|pool| pool.peak).collect();
    // One thread state is left for main.
    assert_eq!(peaks, [8, 8, 24, 12]);
}

#[test]
fn the_readme_has_these_pools() {
    fn pools(text: &str) -> Vec<&str> {
        let (_, rest) = text.split_once("\ntype Pools = (\n").expect("the pools");
        rest.split_once("\n);").expect("their end").0.lines().collect()
    }
    let readme = include_str!("../../alloc-backends/pool/README.md");
    assert_eq!(pools(readme), pools(include_str!("pool_readme.rs")));
}
