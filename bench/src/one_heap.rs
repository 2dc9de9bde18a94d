//! The std host with one heap for all: PEP 684's third strategy.

use core::time::Duration;

use archipelago::{
    ParkingGil, StdClock, StdHost, StdPark, ThreadLocalSlot,
    kernel::{Host, Runtime, gil::Interval, host::RawLock},
};
use archipelago_alloc_shared::Shared;
use archipelago_alloc_slab::UsualHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_locks::FromLockApi05;
use parking_lot::RawMutex;

use crate::Trouble;

type StdLock = FromLockApi05<RawMutex>;

/// As [`StdHost`], but for its heap, and without a timer for deadlines.
pub struct OneHeapHost(StdHost);

impl OneHeapHost {
    /// A runtime on such a host.
    ///
    /// # Errors
    /// If main cannot be made.
    pub fn started() -> Result<Runtime<Self>, Trouble> {
        let rt = Runtime::new(OneHeapHost(StdHost::new()), SystemRaw, StdLock::new());
        let _main = rt.initialize(None).map_err(archipelago::Error::from)?;
        Ok(rt)
    }
}

impl Host for OneHeapHost {
    type Lock = StdLock;
    type Gil = ParkingGil;
    type GilPolicy = Interval;
    type Park = StdPark;
    type Clock = StdClock;
    type Raw = SystemRaw;
    type Heap = Shared<UsualHeap, StdLock>;
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
