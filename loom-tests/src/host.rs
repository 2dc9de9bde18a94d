//! The loom host.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};
use core::{cell::Cell, time::Duration};

use archipelago_kernel::{
    Host,
    gil::{Blocking, GilPolicy},
    host::{NoClock, RawGil},
};

use crate::parts::{LoomGil, LoomHeap, LoomLock, LoomPark, LoomRaw, LoomSlot, thread_id};

/// A host whose locks, waits and thread-locals are loom's. It has no clock.
pub struct LoomHost {
    park: LoomPark,
    cycles: AtomicU64,
}

impl LoomHost {
    pub(crate) fn new() -> Self {
        LoomHost { park: LoomPark::new(), cycles: AtomicU64::new(1) }
    }
}

impl Host for LoomHost {
    type Lock = LoomLock;
    type Gil = LoomGil;
    type GilPolicy = Watched;
    type Park = LoomPark;
    type Clock = NoClock;
    type Raw = LoomRaw;
    type Heap = LoomHeap;
    type Slot = LoomSlot;

    fn clock(&self) -> &NoClock {
        &NoClock
    }

    fn park(&self) -> &LoomPark {
        &self.park
    }

    fn new_cycle(&self) -> u64 {
        self.cycles.fetch_add(1, Ordering::Relaxed)
    }

    fn thread_id(&self) -> usize {
        thread_id()
    }

    fn relax(&self) {
        loom::thread::yield_now();
    }
}

/// [`Blocking`], which also notes that a holder let go because it was asked.
pub struct Watched;

loom::thread_local! {
    static HANDED_OVER: Cell<bool> = Cell::new(false);
}

/// Whether this thread handed a GIL over since it last asked.
pub fn handed_over() -> bool {
    HANDED_OVER.with(Cell::take)
}

// SAFETY: `Blocking` keeps the contract.
unsafe impl GilPolicy<LoomGil> for Watched {
    const ASKS_ONCE: bool = true;

    fn wait(gil: &LoomGil, interval: Duration, ask: &mut dyn FnMut()) -> <LoomGil as RawGil>::Held {
        Blocking::wait(gil, interval, ask)
    }

    unsafe fn hand_over(gil: &LoomGil, held: <LoomGil as RawGil>::Held) {
        HANDED_OVER.with(|handed| handed.set(true));
        // SAFETY: passed on from the caller.
        unsafe { Blocking::hand_over(gil, held) }
    }
}
