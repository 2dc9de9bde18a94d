//! The memory of the raw domain.
#![allow(unsafe_code)]

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    sync::atomic::{AtomicBool, Ordering},
};

use archipelago_alloc_linked_list::LinkedListRaw;

use crate::{RUNTIME, board::Lock, numbers::HEAP};

/// The raw domain: one region, divided as it is asked for.
pub type Raw = LinkedListRaw<Lock>;

/// It, without memory yet.
pub const fn raw() -> Raw {
    LinkedListRaw::new(Lock::new_const())
}

#[repr(align(8))]
struct Region(UnsafeCell<[MaybeUninit<u8>; HEAP]>);

// SAFETY: `give` hands it out once, and nothing else reaches it.
unsafe impl Sync for Region {}

static REGION: Region = Region(UnsafeCell::new([MaybeUninit::uninit(); HEAP]));
static GIVEN: AtomicBool = AtomicBool::new(false);

/// Gives the region to the runtime's raw domain. Once, in thread mode.
pub fn give() {
    assert!(!GIVEN.load(Ordering::Relaxed), "the region was given before");
    GIVEN.store(true, Ordering::Relaxed);
    // SAFETY: the flag lets one caller through: there is one thread, and no handler calls this.
    let region = unsafe { &mut *REGION.0.get() };
    assert!(RUNTIME.raw().backend().init(region).is_ok());
}

/// Bytes that there are.
pub fn bytes() -> usize {
    HEAP
}

/// Bytes of it that are in use.
pub fn used() -> usize {
    RUNTIME.raw().backend().used()
}
