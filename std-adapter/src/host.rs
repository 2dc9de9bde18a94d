//! `StdHost`: what the kernel needs, from an operating system.

use core::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use archipelago_alloc_slab::UsualHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{Host, gil::Interval};
use archipelago_locks::FromLockApi05;
use parking_lot::RawMutex;

use crate::{ParkingGil, StdClock, StdPark, ThreadLocalSlot, slot, timer::Timer};

static CYCLES: AtomicU64 = AtomicU64::new(1);
static INDEXES: AtomicUsize = AtomicUsize::new(0);

/// The host on `std`: parking locks, the monotonic clock, the system allocator.
#[derive(Default)]
pub struct StdHost {
    timer: Timer,
    clock: StdClock,
    park: StdPark,
}

impl StdHost {
    /// A host whose deadlines are watched once a timer is [attached](crate::Runtime).
    pub const fn new() -> Self {
        StdHost { timer: Timer::new(), clock: StdClock, park: StdPark }
    }

    pub(crate) fn timer(&self) -> &Timer {
        &self.timer
    }
}

impl Host for StdHost {
    type Lock = FromLockApi05<RawMutex>;
    type Gil = ParkingGil;
    type GilPolicy = Interval;
    type Park = StdPark;
    type Clock = StdClock;
    type Raw = SystemRaw;
    type Heap = UsualHeap;
    type Slot = ThreadLocalSlot;

    fn clock(&self) -> &StdClock {
        &self.clock
    }

    fn park(&self) -> &StdPark {
        &self.park
    }

    fn new_cycle(&self) -> u64 {
        CYCLES.fetch_add(1, Ordering::Relaxed)
    }

    fn new_index(&self) -> usize {
        INDEXES.fetch_add(1, Ordering::Relaxed)
    }

    fn thread_id(&self) -> usize {
        slot::thread_id()
    }

    fn deadline_armed(&self, within: Duration) {
        self.timer.arm(within);
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}
