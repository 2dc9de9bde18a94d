//! The std host with other parts.

use core::{marker::PhantomData, time::Duration};

use archipelago::{
    ParkingGil, StdClock, StdHost, StdPark, ThreadLocalSlot,
    kernel::{
        Host, Runtime,
        gil::{GilPolicy, Interval, Metered},
        host::{Heap, RawLock},
    },
};
use archipelago_alloc_shared::Shared;
use archipelago_alloc_slab::UsualHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_locks::FromLockApi05;
use parking_lot::RawMutex;

use crate::Trouble;

type StdLock = FromLockApi05<RawMutex>;

/// As [`StdHost`], but for its heap and its policy, and without a timer for deadlines.
pub struct Variant<T, P>(StdHost, PhantomData<fn() -> (T, P)>);

/// With one heap for all: PEP 684's third strategy.
pub type OneHeapHost = Variant<Shared<UsualHeap, StdLock>, Interval>;

/// It counts how long GILs are held.
pub type MeteredHost = Variant<UsualHeap, Metered<Interval>>;

impl<T: Heap<SystemRaw>, P: GilPolicy<ParkingGil>> Variant<T, P> {
    /// A runtime on such a host.
    ///
    /// # Errors
    /// If main cannot be made.
    pub fn started() -> Result<Runtime<Self>, Trouble> {
        let rt = Runtime::new(Variant(StdHost::new(), PhantomData), SystemRaw, StdLock::new());
        let _main = rt.initialize(None).map_err(archipelago::Error::from)?;
        Ok(rt)
    }
}

impl<T: Heap<SystemRaw>, P: GilPolicy<ParkingGil>> Host for Variant<T, P> {
    type Lock = StdLock;
    type Gil = ParkingGil;
    type GilPolicy = P;
    type Park = StdPark;
    type Clock = StdClock;
    type Raw = SystemRaw;
    type Heap = T;
    type Slot = ThreadLocalSlot;

    fn clock(&self) -> &StdClock {
        self.0.clock()
    }

    fn park(&self) -> &StdPark {
        self.0.park()
    }

    fn new_cycle(&self) -> u64 {
        self.0.new_cycle()
    }

    fn new_index(&self) -> usize {
        self.0.new_index()
    }

    fn thread_id(&self) -> usize {
        self.0.thread_id()
    }

    fn deadline_armed(&self, _: Duration) {}

    fn relax(&self) {
        self.0.relax();
    }
}
