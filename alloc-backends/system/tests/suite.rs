//! The suite on the system's allocator.
#![allow(unsafe_code)]

use core::alloc::Layout;

use archipelago_alloc_suite::{Checked, OnRaw, raw, served};
use archipelago_alloc_system::{CountedSystem, SystemRaw};
use archipelago_kernel::host::RawAlloc;

#[test]
fn serves() {
    let counted = CountedSystem::new();
    served::every_alignment(OnRaw(&counted));
    served::every_size(OnRaw(&counted));
    served::contents_are_kept(OnRaw(&counted));
    served::resizing_keeps_contents(OnRaw(&counted));
    assert_eq!((counted.blocks(), counted.bytes()), (0, 0));
}

// Miri ends the program where a real system's allocator answers null.
#[cfg_attr(miri, ignore)]
#[test]
fn the_impossible_is_refused() {
    served::the_impossible_is_refused(OnRaw(&SystemRaw));
}

#[test]
fn random_sequences() {
    let counted = CountedSystem::new();
    served::random_sequences(|| OnRaw(&counted));
    assert_eq!((counted.blocks(), counted.bytes()), (0, 0));
}

#[test]
fn four_threads() {
    let counted = CountedSystem::new();
    raw::four_threads(&counted);
    assert_eq!((counted.blocks(), counted.bytes()), (0, 0));
    raw::four_threads(&SystemRaw);
}

#[test]
fn a_budget_is_kept_and_recovers() {
    let raw = Checked::new(SystemRaw).with_budget(10_000);
    served::exhaustion_is_an_error_and_recovers(OnRaw(&raw));
    assert_eq!(raw.live(), (0, 0));
}

#[test]
fn nothing_of_size_zero() {
    let layout = Layout::from_size_align(0, 8).unwrap();
    assert!(SystemRaw.allocate(layout).is_err());
    assert!(CountedSystem::new().allocate(layout).is_err());
}

#[test]
fn counts_what_is_live() {
    let counted = CountedSystem::new();
    let (small, large) = (Layout::new::<u32>(), Layout::new::<[u8; 1000]>());
    let a = counted.allocate(small).unwrap();
    let b = counted.allocate(large).unwrap();
    assert_eq!((counted.blocks(), counted.bytes()), (2, 1004));
    // SAFETY: allocated above for these layouts.
    unsafe {
        counted.deallocate(b.cast(), large);
        assert_eq!((counted.blocks(), counted.bytes()), (1, 4));
        counted.deallocate(a.cast(), small);
    }
    assert_eq!((counted.blocks(), counted.bytes()), (0, 0));
}
