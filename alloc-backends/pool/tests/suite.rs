//! The suite on pools, behind two locks, and on a heap that takes its pages from pools.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_alloc_pool::{A64, A1024, A4096, Pool, PoolRaw, Pools};
use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_suite::{Model, OnHeap, OnRaw, raw, served};
use archipelago_kernel::{
    host::{RawAlloc, RawLock},
    memory::{AllocCause, RawDomain},
};
use archipelago_locks::{CsLock, SpinLock};

/// Room for whatever the suite asks for.
type Wide = (
    Pool<32, 32>,
    Pool<64, 64, A4096>,
    Pool<1024, 64, A1024>,
    Pool<4096, 96, A4096>,
    Pool<8192, 300, A4096>,
    Pool<65536, 4, A4096>,
);
/// One small pool, one tight one.
type Tight = (Pool<64, 30>, Pool<256, 40>);
/// Pages, and what is too large for them.
type Pages = (Pool<1024, 200, A1024>, Pool<2048, 32>);

/// So few that taking them all is soon done.
type Few = (Pool<1024, 12, A1024>, Pool<2048, 4>);

/// Runs `test` and checks that all came back.
fn checked<L: RawLock, P: Pools>(raw: &'static PoolRaw<L, P>, test: impl FnOnce(&&'static PoolRaw<L, P>)) {
    test(&raw);
    for pool in raw.usage() {
        assert_eq!(pool.live, 0, "everything is back: {pool:?}");
    }
}

/// Each test has pools of its own.
macro_rules! on_pools {
    ($($test:ident: $pools:ty, |$raw:ident| $body:expr;)+) => { $(
        #[test]
        fn $test() {
            static RAW: PoolRaw<SpinLock, $pools> = PoolRaw::new(SpinLock::new_const());
            checked(&RAW, |$raw| $body);
        }
    )+ };
}

on_pools! {
    every_alignment: Wide, |raw| served::every_alignment(OnRaw(raw));
    every_size: Wide, |raw| served::every_size(OnRaw(raw));
    contents_are_kept: Wide, |raw| served::contents_are_kept(OnRaw(raw));
    resizing_keeps_contents: Wide, |raw| served::resizing_keeps_contents(OnRaw(raw));
    the_impossible_is_refused: Wide, |raw| served::the_impossible_is_refused(OnRaw(raw));
    random_sequences: Wide, |raw| served::random_sequences(|| OnRaw(raw));
    random_sequences_where_little_is_left: Tight, |raw| served::random_sequences(|| OnRaw(raw));
    // Pools do not become one piece: what is larger than a block stays refused.
    exhaustion_is_an_error: Tight, |raw| served::exhaustion_is_an_error(OnRaw(raw));
    four_threads: Tight, |raw| raw::four_threads(raw);
    blocks_lie_in_the_region: Tight, |raw| raw::blocks_lie_in_the_region(raw);
    a_heap_on_pages: Pages, |raw| served::contents_are_kept(OnHeap::<SmallHeap, _>::new(raw));
    a_heap_on_few_pages: Few, |raw| served::exhaustion_is_an_error(OnHeap::<SmallHeap, _>::new(raw));
    random_sequences_of_a_heap: Pages, |raw| served::random_sequences(|| OnHeap::<SmallHeap, _>::new(raw));
}

#[test]
fn four_threads_with_critical_sections() {
    static RAW: PoolRaw<CsLock, Tight> = PoolRaw::new(CsLock::new_const());
    checked(&RAW, raw::four_threads);
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

/// The size of the block that a request got.
fn served(raw: &impl RawAlloc, size: usize, align: usize) -> Option<usize> {
    raw.allocate(layout(size, align)).ok().map(|block| block.len())
}

#[test]
fn the_smallest_block_that_fits_and_is_left() {
    static RAW: PoolRaw<SpinLock, (Pool<48, 2>, Pool<96, 2, A64>, Pool<192, 1, A64>)> =
        PoolRaw::new(SpinLock::new_const());
    let raw = &&RAW;
    assert_eq!(served(raw, 97, 8), Some(192));
    assert_eq!(served(raw, 1, 64), None, "aligned as the only pool that is, but it is empty");
    assert_eq!(served(raw, 48, 16), Some(48));
    assert_eq!(served(raw, 1, 32), Some(96), "96 bytes apart, so every second one is aligned to 64");
    assert_eq!(served(raw, 48, 1), Some(48));
    assert_eq!(served(raw, 48, 1), Some(96), "the next larger one");
    assert_eq!(served(raw, 1, 1), None);
    let usage = RAW.usage();
    assert_eq!(
        usage.iter().map(|pool| (pool.block, pool.blocks, pool.live, pool.peak)).collect::<Vec<_>>(),
        [(48, 2, 2, 2), (96, 2, 2, 2), (192, 1, 1, 1)]
    );
}

#[test]
fn a_block_is_resized_within_itself() {
    static RAW: PoolRaw<SpinLock, (Pool<64, 4>,)> = PoolRaw::new(SpinLock::new_const());
    checked(&RAW, |raw| {
        let mut model = Model::new(OnRaw(raw));
        let address = model.allocate(layout(10, 4)).expect("room for it");
        assert_eq!(model.resize(address, 64), Ok(()));
        assert_eq!(model.resize(address, 65), Err(AllocCause::Exhausted));
        assert_eq!(model.resize(address, 1), Ok(()));
        model.clear();
    });
}

#[test]
fn the_last_one_given_back_is_the_next_taken() {
    static RAW: PoolRaw<SpinLock, (Pool<64, 4>,)> = PoolRaw::new(SpinLock::new_const());
    let pools = &RAW;
    let raw = RawDomain::new(&pools);
    let [first, second] = [(); 2].map(|()| raw.take(layout(64, 16)).expect("room for it"));
    // SAFETY: both are live and came for this layout.
    unsafe {
        raw.deallocate(first, layout(64, 16));
        assert_eq!(raw.take(layout(64, 16)), Ok(first));
        raw.deallocate(first, layout(64, 16));
        raw.deallocate(second, layout(64, 16));
    }
    assert_eq!(RAW.usage()[0].peak, 2, "what was never needed was never touched");
}

#[test]
fn what_is_not_a_block_is_left_alone() {
    static RAW: PoolRaw<SpinLock, (Pool<64, 4>,)> = PoolRaw::new(SpinLock::new_const());
    let raw = &&RAW;
    let mut elsewhere = 0_u64;
    // SAFETY: the pools only compare addresses here.
    unsafe {
        assert!(raw.resize(NonNull::from(&mut elsewhere).cast(), layout(8, 8), layout(8, 8)).is_err());
    }
}
