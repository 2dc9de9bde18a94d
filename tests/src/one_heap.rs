//! `OneHeapHost`: the machine whose interpreters may have one heap and GILs of their own.
#![allow(unsafe_code)]

use core::cell::Cell;

use archipelago_alloc_shared::Shared;
use archipelago_alloc_slab::SmallHeap;
use archipelago_kernel::{
    gil::{Blocking, Metered},
    host::RawLock,
};
use archipelago_locks::SpinLock;

use crate::{BareRaw, Machine, Scanned, YieldingCore};

/// The machine with one heap for all, which counts how long GILs are held.
pub type OneHeapHost = Machine<BareRaw, Shared<Scanned<SmallHeap>, CountedLock>, Metered<Blocking>>;

std::thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// The lock of a heap. It counts how often each thread took such a one.
pub struct CountedLock(SpinLock<YieldingCore>);

impl CountedLock {
    /// How often this thread took one.
    pub fn taken() -> usize {
        TAKEN.get()
    }
}

// SAFETY: the lock's.
unsafe impl RawLock for CountedLock {
    type Held = ();

    fn new() -> Self {
        CountedLock(SpinLock::relaxing())
    }

    fn lock(&self) {
        TAKEN.set(TAKEN.get() + 1);
        RawLock::lock(&self.0);
    }

    fn try_lock(&self) -> Option<()> {
        TAKEN.set(TAKEN.get() + 1);
        RawLock::try_lock(&self.0)
    }

    unsafe fn unlock(&self, (): ()) {
        // SAFETY: passed on.
        unsafe { RawLock::unlock(&self.0, ()) }
    }
}
