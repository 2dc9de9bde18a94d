//! The Shuttle host.

use core::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
};

use archipelago_alloc_suite::DirectHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Host,
    gil::{GilPolicy, Interval},
    host::RawGil,
};

use crate::{
    gil::ShuttleGil,
    parts::{ShuttleClock, ShuttleLock, ShuttlePark, ShuttleSlot, thread_id},
};

/// A host whose locks, waits and thread-locals are Shuttle's, with the GIL and the policy of the model's choice.
pub struct ShuttleHost<G = ShuttleGil, P = Interval> {
    park: ShuttlePark,
    cycles: AtomicU64,
    of: PhantomData<fn() -> (G, P)>,
}

impl<G, P> Default for ShuttleHost<G, P> {
    fn default() -> Self {
        ShuttleHost { park: ShuttlePark::default(), cycles: AtomicU64::new(1), of: PhantomData }
    }
}

impl<G: RawGil + 'static, P: GilPolicy<G>> Host for ShuttleHost<G, P> {
    type Lock = ShuttleLock;
    type Gil = G;
    type GilPolicy = P;
    type Park = ShuttlePark;
    type Clock = ShuttleClock;
    type Raw = SystemRaw;
    type Heap = DirectHeap;
    type Slot = ShuttleSlot;

    fn clock(&self) -> &ShuttleClock {
        &self.park.clock
    }

    fn park(&self) -> &ShuttlePark {
        &self.park
    }

    fn new_cycle(&self) -> u64 {
        self.cycles.fetch_add(1, Ordering::Relaxed)
    }

    fn thread_id(&self) -> usize {
        thread_id()
    }

    fn relax(&self) {
        shuttle::thread::yield_now();
    }
}
