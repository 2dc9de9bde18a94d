//! The suite on `linked_list_allocator`, behind two locks.
#![allow(unsafe_code)]

use core::{alloc::Layout, mem::MaybeUninit, ptr::NonNull};

use archipelago_alloc_linked_list::{InitError, LinkedListRaw};
use archipelago_alloc_suite::{Model, OnRaw, raw, served};
use archipelago_kernel::host::{RawAlloc, RawLock};
use archipelago_locks::{CsLock, SpinLock};

/// Runs `test` on an allocator with `len` bytes that begin `skew` bytes off, and checks that all came back.
fn on_region<L: RawLock>(len: usize, skew: usize, test: impl FnOnce(&LinkedListRaw<L>)) {
    let mut region = vec![MaybeUninit::<u8>::uninit(); len + skew];
    let raw = LinkedListRaw::new(L::new());
    let start = NonNull::from(&mut region[skew..]).cast();
    // SAFETY: the region outlives the allocator and is touched by nothing else.
    unsafe { raw.init_at(start, len) }.expect("the region is large enough");
    let free = raw.free();
    assert!(free > len - 4 * size_of::<usize>() && raw.used() == 0);
    test(&raw);
    assert_eq!((raw.used(), raw.free()), (0, free), "everything is back");
}

#[test]
fn every_alignment() {
    on_region::<SpinLock>(1 << 18, 1, |raw| served::every_alignment(OnRaw(raw)));
}

#[test]
fn every_size() {
    on_region::<SpinLock>(1 << 17, 3, |raw| served::every_size(OnRaw(raw)));
}

#[test]
fn contents_are_kept() {
    on_region::<SpinLock>(1 << 17, 0, |raw| served::contents_are_kept(OnRaw(raw)));
}

#[test]
fn resizing_keeps_contents() {
    on_region::<SpinLock>(1 << 14, 0, |raw| served::resizing_keeps_contents(OnRaw(raw)));
}

#[test]
fn the_impossible_is_refused() {
    on_region::<SpinLock>(1 << 12, 0, |raw| served::the_impossible_is_refused(OnRaw(raw)));
}

#[test]
fn exhaustion_is_an_error_and_recovers() {
    on_region::<SpinLock>(1 << 12, 5, |raw| {
        served::exhaustion_is_an_error_and_recovers(OnRaw(raw));
    });
}

#[test]
fn random_sequences() {
    on_region::<SpinLock>(1 << 16, 0, |raw| served::random_sequences(|| OnRaw(raw)));
}

#[test]
fn four_threads() {
    on_region::<SpinLock>(1 << 16, 0, raw::four_threads);
}

#[test]
fn blocks_lie_in_the_region() {
    on_region::<SpinLock>(1 << 16, 0, raw::blocks_lie_in_the_region);
}

#[test]
fn four_threads_with_critical_sections() {
    on_region::<CsLock>(1 << 16, 0, raw::four_threads);
}

#[test]
fn a_static_takes_a_region_once() {
    static RAW: LinkedListRaw<SpinLock> = LinkedListRaw::new(SpinLock::new_const());
    static mut REGION: [MaybeUninit<u8>; 256] = [MaybeUninit::uninit(); 256];
    static mut OTHER: [MaybeUninit<u8>; 256] = [MaybeUninit::uninit(); 256];

    assert_eq!(RAW.region(), None);
    assert!(RAW.allocate(Layout::new::<u8>()).is_err(), "no memory yet");
    assert_eq!(RAW.init(&mut []), Err(InitError::TooSmall));
    #[expect(static_mut_refs)]
    // SAFETY: this test is the only code that names the two statics, and takes each once.
    let (region, other) = unsafe { (&mut REGION, &mut OTHER) };
    assert_eq!(RAW.init(region), Ok(()));
    assert_eq!(RAW.init(other), Err(InitError::AlreadyInitialized));
    assert!(RAW.region().is_some_and(|region| region.len() > 220));
    let mut model = Model::new(OnRaw(&RAW));
    model.allocate(Layout::new::<[u8; 100]>()).expect("room for it");
    model.clear();
}

#[test]
fn regions_too_small_are_refused_at_every_offset() {
    let mut region = [0_u64; 8].map(MaybeUninit::new);
    let start = NonNull::from(&mut region).cast::<u8>();
    for skew in 0..16 {
        for len in 0..48 {
            let raw = LinkedListRaw::new(SpinLock::new_const());
            // SAFETY: the region outlives the allocator; the one before it is gone.
            let answer = unsafe { raw.init_at(start.add(skew), len) };
            assert_eq!(answer.is_ok(), raw.region().is_some());
            if answer.is_ok() {
                let mut model = Model::new(OnRaw(&raw));
                model.allocate(Layout::array::<u8>(raw.free()).unwrap()).expect("all of it in one block");
                assert_eq!(raw.free(), 0);
                model.clear();
            }
        }
    }
}

#[test]
fn blocks_stay_when_the_value_moves() {
    let mut region = vec![MaybeUninit::<u8>::uninit(); 4096];
    let raw = LinkedListRaw::new(SpinLock::new_const());
    // SAFETY: the region outlives the allocator and is touched by nothing else.
    unsafe { raw.init_at(NonNull::from(&mut region[..]).cast(), 4096) }.expect("large enough");
    let layout = Layout::new::<[u64; 4]>();
    let first = raw.allocate(layout).expect("room for it");
    let moved = Box::new(raw);
    let second = moved.allocate(layout).expect("room for it");
    assert_ne!(first, second);
    // SAFETY: both are live blocks of this allocator.
    unsafe {
        moved.deallocate(first.cast(), layout);
        moved.deallocate(second.cast(), layout);
    }
    assert_eq!(moved.used(), 0);
}

#[test]
fn resizing_within_the_rounded_size_succeeds() {
    on_region::<SpinLock>(1 << 12, 0, |raw| {
        let mut model = Model::new(OnRaw(raw));
        let unit = 2 * size_of::<usize>();
        let address = model.allocate(Layout::from_size_align(3 * unit - 1, 4).unwrap()).unwrap();
        assert_eq!(model.resize(address, 3 * unit), Ok(()));
        assert_eq!(model.resize(address, 2 * unit + 1), Ok(()));
        assert!(model.resize(address, 2 * unit).is_err());
        assert!(model.resize(address, 3 * unit + 1).is_err());
        model.clear();
    });
}

#[test]
fn alignments_beyond_the_region_are_refused() {
    on_region::<SpinLock>(1 << 12, 0, |raw| {
        for log in 13..usize::BITS - 1 {
            let layout = Layout::from_size_align(1, 1 << log).unwrap();
            if let Ok(block) = raw.allocate(layout) {
                // By chance such an address may lie in the region.
                assert!(block.cast::<u8>().addr().get().is_multiple_of(layout.align()));
                // SAFETY: served just now.
                unsafe { raw.deallocate(block.cast(), layout) };
            }
        }
    });
}

#[test]
fn what_is_left_over_is_a_hole_again() {
    on_region::<SpinLock>(1 << 10, 0, |raw| {
        let mut model = Model::new(OnRaw(raw));
        let unit = 2 * size_of::<usize>();
        let hole = model.allocate(Layout::array::<u8>(2 * unit).unwrap()).unwrap();
        while model.allocate(Layout::array::<u8>(2 * unit).unwrap()).is_ok() {}
        while model.allocate(Layout::array::<u8>(1).unwrap()).is_ok() {}
        model.deallocate(hole);
        // Whatever half of the hole it takes, the other half serves the next.
        assert_eq!(model.allocate(Layout::array::<u8>(unit / 2).unwrap()), Ok(hole));
        assert_eq!(model.allocate(Layout::array::<u8>(unit).unwrap()), Ok(hole + unit));
        model.clear();
    });
}
