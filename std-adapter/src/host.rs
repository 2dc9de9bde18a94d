//! `StdHost`: what the kernel needs, from an operating system.

use core::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use archipelago_alloc_slab::UsualHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{Host, gil::Interval, host::Heap};
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
    /// A host for a [`kernel::Runtime`](archipelago_kernel::Runtime) of one's own. Only a [`Runtime`](crate::Runtime) has a
    /// thread that watches deadlines: without it the interpreter has to [`poll`](archipelago_kernel::Attached::poll).
    pub const fn new() -> Self {
        StdHost { timer: Timer::new(), clock: StdClock, park: StdPark }
    }

    pub(crate) fn timer(&self) -> &Timer {
        &self.timer
    }
}

/// [`StdHost`] with heaps of type `T`, such as a wrapper around [`UsualHeap`].
///
/// Another heap is another host, and not a choice at run time: a question on the way of every block would be paid by
/// those who never ask for another one. And it is not a parameter of `StdHost`, which is in every error of a compiler.
pub struct StdHostOf<T>(StdHost, PhantomData<fn() -> T>);

impl<T> StdHostOf<T> {
    /// As [`StdHost::new`].
    pub const fn new() -> Self {
        StdHostOf(StdHost::new(), PhantomData)
    }
}

impl<T> Default for StdHostOf<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A host that is [`StdHost`], or all but its heaps are: what a [`Runtime`](crate::Runtime) runs on.
pub trait OnStd: Host<Raw = SystemRaw> + Default {
    /// What this host is made of: always the same one.
    fn std(&self) -> &StdHost;
}

impl OnStd for StdHost {
    fn std(&self) -> &StdHost {
        self
    }
}

impl<T: Heap<SystemRaw>> OnStd for StdHostOf<T> {
    fn std(&self) -> &StdHost {
        &self.0
    }
}

/// The two hosts differ in their heap and in nothing else.
macro_rules! host {
    ($host:ty, heaps of $heap:ty $(, for $parameter:ident)?) => {
        impl$(<$parameter: Heap<SystemRaw>>)? Host for $host {
            type Lock = FromLockApi05<RawMutex>;
            type Gil = ParkingGil;
            type GilPolicy = Interval;
            type Park = StdPark;
            type Clock = StdClock;
            type Raw = SystemRaw;
            type Heap = $heap;
            type Slot = ThreadLocalSlot;

            fn clock(&self) -> &StdClock {
                &self.std().clock
            }

            fn park(&self) -> &StdPark {
                &self.std().park
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
                self.std().timer.arm(within);
            }

            fn relax(&self) {
                std::thread::yield_now();
            }
        }
    };
}

host!(StdHost, heaps of UsualHeap);
host!(StdHostOf<T>, heaps of T, for T);
